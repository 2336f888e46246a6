// SPDX-License-Identifier: BSD-3-Clause
//
// Tests of smtp/session: whole dialogues, hostile bytes, limits of size and time, and every way to
// end. Verbs one by one are in test_command, the backend's answers in test_answer.
#include "tests/unit/smtp/dialogue.h"

#define BAD_ENDING                                                                                 \
	"!smtp_bad_line_ending\n"                                                                  \
	"521 5.5.2 Bare CR, bare LF or NUL, closing transmission channel\n"
#define NOT_SMTP "!smtp_not_smtp\n521 5.5.1 This is not SMTP, closing transmission channel\n"
#define TOO_LONG "!smtp_line_too_long\n500 5.5.2 Line too long\n"
#define TOO_LARGE                                                                                  \
	"!smtp_too_large\n552 5.3.4 Message size exceeds fixed maximum "                           \
	"message size\n"
#define QUIT_REPLY "221 2.0.0 Service closing transmission channel\n"
#define YES                                                                                        \
	ANSWERS("250 2.1.5 Recipient OK", "354 go",                                                \
		"250 2.6.0 <1@own.test> Queued mail for delivery")
#define TO_DATA HELLO MAIL RCPT "DATA\r\n"
#define AT_DATA ENVELOPE_REPLY "[DATA]\n" DATA_REPLY
#define SMALL   .setup = {.max_message_size = 20}
#define SMALL_EHLO                                                                                 \
	BANNER "250-mx.own.test Hello [192.0.2.7]\n250-SIZE 20\n250-PIPELINING\n"                  \
	       "250-ENHANCEDSTATUSCODES\n250 8BITMIME\n"

static const struct script scripts[] = {
	{"one message", CLIENT(TO_DATA "Subject: x\r\n\r\nbody\r\n.\r\nQUIT\r\n"), YES,
	 .expect = AT_DATA "{Subject: x\r\n\r\nbody\r\n}\n[END 20]\n" ACCEPTED
			   "[RESET]\n" QUIT_REPLY "[CLOSE]\n"},
	{"in crumbs for the backend", .setup = {.room = HEADER_HELD_MAX + 2},
	 CLIENT(TO_DATA "Subject: x\r\n\r\n..body\r\n.\r\nQUIT\r\n"), YES,
	 .expect = AT_DATA "{Subject: x\r\n\r\n..body\r\n}\n[END 21]\n" ACCEPTED
			   "[RESET]\n" QUIT_REPLY "[CLOSE]\n"},
	{"an empty message", CLIENT(TO_DATA ".\r\nNOOP\r\n"), YES,
	 .expect = AT_DATA "[END 0]\n" ACCEPTED "[RESET]\n250 2.0.0 OK\n"},
	{"dots, 8-bit bytes and what looks like commands",
	 CLIENT(TO_DATA "..\r\n.a\r\n...\r\nQUIT\r\n\x80\xff\r\n. \r\n .\r\n.\r\n"), YES,
	 .expect = AT_DATA
	 "{..\r\n.a\r\n...\r\nQUIT\r\n\x80\xff\r\n. \r\n .\r\n}\n[END 27]\n" ACCEPTED "[RESET]\n"},
	{"the header firewall", .setup = {.denied = RIGHT_ACCEPT_HEADERS_ROUTING},
	 CLIENT(TO_DATA "Received: a\r\n\tb\r\nSubject: x\r\n.Resent-To: c\r\n"
			"X-MS-Exchange-Organization-AuthAs: Internal\r\n\r\nReceived: d\r\n.\r\n"),
	 YES,
	 .expect = AT_DATA "{Subject: x\r\n\r\nReceived: d\r\n}\n[END 103]\n" ACCEPTED "[RESET]\n"},
	{"and with the rights for it", .setup = {.granted = RIGHT_ACCEPT_HEADERS_ORGANIZATION},
	 CLIENT(TO_DATA "Received: a\r\nX-MS-Exchange-Organization-SCL: 1\r\n"
			"X-MS-Exchange-Forest-A: b\r\n\r\n.\r\n"),
	 YES,
	 .expect = AT_DATA
	 "{Received: a\r\nX-MS-Exchange-Organization-SCL: 1\r\n\r\n}\n[END 77]\n" ACCEPTED
	 "[RESET]\n"},
	{"nothing but a header that is removed", .setup = {.denied = RIGHT_ACCEPT_HEADERS_ROUTING},
	 CLIENT(TO_DATA "Received: a\r\n.\r\n"), YES,
	 .expect = AT_DATA "[END 13]\n" ACCEPTED "[RESET]\n"},
	{"as many hops as there may be", .setup = {.max_hop_count = 2},
	 CLIENT(TO_DATA "Received: a\r\nReceived: b\r\n\r\nReceived: c\r\n.\r\n"), YES,
	 .expect = AT_DATA
	 "{Received: a\r\nReceived: b\r\n\r\nReceived: c\r\n}\n[END 41]\n" ACCEPTED "[RESET]\n"},
	{"one more, removed or not",
	 .setup = {.max_hop_count = 2, .denied = RIGHT_ACCEPT_HEADERS_ROUTING},
	 CLIENT(TO_DATA "Received: a\r\nReceived: b\r\nReceived: c\r\n\r\nd\r\n.\r\nNOOP\r\n"),
	 ANSWERS("250 2.1.5 Recipient OK", "354 go"),
	 .expect = AT_DATA "[ABORT]\n!smtp_hop_count\n554 5.4.6 Hop count exceeded - possible mail "
			   "loop\n[RESET]\n250 2.0.0 OK\n"},
	{"several messages with different fates, S14",
	 CLIENT(HELLO MAIL RCPT "DATA\r\none\r\n.\r\n" MAIL RCPT "RSET\r\n" MAIL RCPT
				"DATA\r\ntwo\r\n.\r\n" HELLO MAIL RCPT "DATA\r\n3\r\n.\r\n"),
	 ANSWERS("250 2.1.5 Recipient OK", "354 go", "554 5.6.0 no", "250 2.1.5 Recipient OK",
		 "250 2.1.5 Recipient OK", "354 go", "250 2.6.0 yes", "250 2.1.5 Recipient OK",
		 "354 go", "452 4.3.1 later"),
	 .expect = AT_DATA
	 "{one\r\n}\n[END 5]\n!backend_refused_message\n554 5.6.0 no\n[RESET]\n" MAIL_REPLY
		 RCPT_INTENT RCPT_REPLY
	 "250 2.0.0 Resetting\nleft [RESET]\n" MAIL_REPLY RCPT_INTENT RCPT_REPLY
	 "[DATA]\n" DATA_REPLY
	 "{two\r\n}\n[END 5]\n250 2.6.0 yes\n[RESET]\n" EHLO_REPLY MAIL_REPLY RCPT_INTENT RCPT_REPLY
	 "[DATA]\n" DATA_REPLY
	 "{3\r\n}\n[END 3]\n!backend_refused_message\n452 4.3.1 later\n[RESET]\n"},
	// End of data: nothing but CR LF . CR LF. No byte goes on before the bad one, so that the
	// transcript does not depend on the pieces.
	{"LF . LF", CLIENT(TO_DATA "\n.\nMAIL FROM:<x@y>\r\n"), YES,
	 .expect = AT_DATA BAD_ENDING "left [CLOSE]\n"},
	{"LF . CR LF", CLIENT(TO_DATA "\n.\r\nMAIL FROM:<x@y>\r\n"), YES,
	 .expect = AT_DATA BAD_ENDING "left [CLOSE]\n"},
	{"CR LF . LF", CLIENT(TO_DATA ".\nMAIL FROM:<x@y>\r\n"), YES,
	 .expect = AT_DATA BAD_ENDING "left [CLOSE]\n"},
	{"CR . CR", CLIENT(TO_DATA "\r.\r"), YES, .expect = AT_DATA BAD_ENDING "left [CLOSE]\n"},
	{"CR CR LF", CLIENT(TO_DATA "\r\r\n.\r\n"), YES,
	 .expect = AT_DATA BAD_ENDING "left [CLOSE]\n"},
	{"CR LF . CR CR LF", CLIENT(TO_DATA ".\r\r\n"), YES,
	 .expect = AT_DATA BAD_ENDING "left [CLOSE]\n"},
	{"CR LF . CR x", CLIENT(TO_DATA ".\rx"), YES,
	 .expect = AT_DATA BAD_ENDING "left [CLOSE]\n"},
	{"NUL", CLIENT(TO_DATA "\0.\r\n"), YES, .expect = AT_DATA BAD_ENDING "left [CLOSE]\n"},
	{"CR NUL LF . CR LF", CLIENT(TO_DATA "\r\0\n.\r\n"), YES,
	 .expect = AT_DATA BAD_ENDING "left [CLOSE]\n"},
	{"CR LF . NUL CR LF", CLIENT(TO_DATA ".\0\r\n"), YES,
	 .expect = AT_DATA BAD_ENDING "left [CLOSE]\n"},
	{"CR LF . blank CR LF is text", CLIENT(TO_DATA "\r\n. \r\n.\r\n"), YES,
	 .expect = AT_DATA "{\r\n. \r\n}\n[END 5]\n" ACCEPTED "[RESET]\n"},
	// The same among commands.
	{"a command that ends in LF", CLIENT("EHLO x\n"), .expect = BANNER BAD_ENDING "[CLOSE]\n"},
	{"a command that ends in CR CR LF", CLIENT("EHLO x\r\r\n"),
	 .expect = BANNER BAD_ENDING "[CLOSE]\n"},
	{"a command with NUL", CLIENT(HELLO "MAIL FROM:<a\0@b>\r\n"),
	 .expect = BANNER EHLO_REPLY BAD_ENDING "[CLOSE]\n"},
	{"a bare CR hides a command", CLIENT(HELLO MAIL "NOOP\rRCPT TO:<b@own.test>\r\n"),
	 .expect = BANNER EHLO_REPLY MAIL_REPLY BAD_ENDING "left [CLOSE]\n"},
	// S15
	{"HTTP", CLIENT("GET / HTTP/1.1\r\nHost: x\r\n\r\nEHLO x\r\n"),
	 .expect = BANNER NOT_SMTP "[CLOSE]\n"},
	{"bare LFs that end the header, taken", .setup = {.accept_bare_lf = true},
	 CLIENT(HELLO MAIL RCPT "DATA\r\na: b\n\n.\nc: d\n\r\n.\r\n"),
	 ANSWERS("250 2.1.5 Recipient OK", "354 go",
		 "250 2.6.0 <1@own.test> Queued mail for delivery"),
	 .expect = ENVELOPE_REPLY
	 "[DATA]\n" DATA_REPLY "{a: b\r\n\r\n..\r\nc: d\r\n\r\n}\n[END 19]\n" ACCEPTED "[RESET]\n"},
	{"HTTP with bare LF", CLIENT("POST / HTTP/1.0\n\nMAIL"),
	 .expect = BANNER NOT_SMTP "[CLOSE]\n"},
	{"TLS", CLIENT("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
	 .expect = BANNER NOT_SMTP "[CLOSE]\n"},
	{"SSH", CLIENT("SSH-2.0-OpenSSH_9.2\r\n"), .expect = BANNER NOT_SMTP "[CLOSE]\n"},
	// MaxMessageSize
	{"as large as allowed", SMALL, CLIENT(TO_DATA "..23456789012345678\r\n.\r\n"), YES,
	 .expect = SMALL_EHLO MAIL_REPLY RCPT_INTENT RCPT_REPLY
	 "[DATA]\n" DATA_REPLY "{..23456789012345678\r\n}\n[END 20]\n" ACCEPTED "[RESET]\n"},
	{"a large message may bypass the limit",
	 .setup = {.max_message_size = 20, .granted = RIGHT_BYPASS_MESSAGE_SIZE_LIMIT},
	 CLIENT(TO_DATA "23456789012345678901234\r\n.\r\n"), YES,
	 .expect = BANNER
	 "250-mx.own.test Hello [192.0.2.7]\n250-SIZE\n250-PIPELINING\n"
	 "250-ENHANCEDSTATUSCODES\n250 8BITMIME\n" MAIL_REPLY RCPT_INTENT RCPT_REPLY
	 "[DATA]\n" DATA_REPLY "{23456789012345678901234\r\n}\n[END 25]\n" ACCEPTED "[RESET]\n"},
};

static void test_scripts(void **state)
{
	dialogue_play_all(scripts, sizeof(scripts) / sizeof(*scripts));
}

// How much of the body went on before the limit depends on its pieces; the rest does not.
static void test_too_large(void **state)
{
	static const char body[] = "0123456789\r\n0123456789\r\n..QUIT\r\n.\r\nNOOP\r\n";
	static const char after[] = "[ABORT]\n" TOO_LARGE "[RESET]\n250 2.0.0 OK\n";
	static const char *const answers[] = {"250 2.1.5 Recipient OK", "354 go", NULL};
	static struct dialogue dialogue;
	const struct dialogue_setup setup = {.max_message_size = 20};
	for (size_t cut = 0; cut < sizeof(body) - 1; cut++) {
		dialogue_open(&dialogue, &setup);
		dialogue.answers = answers;
		dialogue_send_text(&dialogue, TO_DATA);
		dialogue.length = 0;
		if (cut > 0)
			dialogue_send(&dialogue, body, cut);
		dialogue_send(&dialogue, body + cut, sizeof(body) - 1 - cut);
		dialogue.transcript[dialogue.length] = '\0';
		const char *abort = strstr(dialogue.transcript, "[ABORT]");
		assert_non_null(abort);
		assert_string_equal(abort, after);
		assert_true(abort - dialogue.transcript <= 20 + 3);
		dialogue_end(&dialogue);
	}
}

// S8. The whole line is gone before it is answered, and what follows it is a command again.
static void test_long_lines(void **state)
{
	static const struct {
		const char *verb;
		size_t octets;
		const char *reply;
	} lines[] = {
		{"NOOP ", 512, "250 2.0.0 OK\n"},
		{"NOOP ", 513, TOO_LONG},
		{"NOOP ", 1000, TOO_LONG},
		{"NOOP ", 1024, TOO_LONG},
		{"NOOP ", 9000, TOO_LONG},
		{"NOOP ", 1 << 20, TOO_LONG},
		{"MAIL FROM:<> SIZE=1 X=", 1024,
		 "!smtp_bad_parameter\n555 5.5.4 Unsupported parameter\n"},
		{"MAIL FROM:<> SIZE=1 X=", 1025, TOO_LONG},
		{"RCPT TO:<b@own.test> X=", 1025, TOO_LONG},
		{"EHLO ", 513, TOO_LONG},
	};
	static struct dialogue dialogue;
	const struct dialogue_setup setup = {0};
	for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++) {
		for (size_t piece = 100; piece <= 100000; piece *= 10) {
			char *bytes = malloc(lines[i].octets + 6);
			const size_t verb = strlen(lines[i].verb);
			memset(bytes, 'x', lines[i].octets);
			memcpy(bytes, lines[i].verb, verb);
			memcpy(bytes + lines[i].octets - 2, "\r\nNOOP\r\n", 8);
			dialogue_open(&dialogue, &setup);
			dialogue_send_text(&dialogue, HELLO);
			dialogue_expect(&dialogue, BANNER EHLO_REPLY);
			for (size_t at = 0; at < lines[i].octets + 6; at += piece) {
				const size_t rest = lines[i].octets + 6 - at;
				dialogue_send(&dialogue, bytes + at, rest < piece ? rest : piece);
				assert_in_range(pool_used(&dialogue.chunks), 0, 1);
			}
			char expect[200];
			snprintf(expect, sizeof(expect), "%s250 2.0.0 OK\n", lines[i].reply);
			dialogue_expect(&dialogue, expect);
			dialogue_end(&dialogue);
			free(bytes);
		}
	}
}

static void test_body_waits_for_room(void **state)
{
	static const char *const answers[] = {"250 2.1.5 Recipient OK", "354 go", NULL};
	static struct dialogue dialogue;
	const struct dialogue_setup setup = {0};
	dialogue_open(&dialogue, &setup);
	dialogue.answers = answers;
	dialogue_send_text(&dialogue, TO_DATA "\r\n");
	struct session_step *step = &dialogue.step;
	session_input(&dialogue.session, slice_of_text("abc\r\n"), 0,
		      (struct session_servers){0, 0}, dialogue.now, &dialogue.reply, step);
	assert_int_equal(step->intent, SESSION_MORE);
	assert_int_equal(step->consumed, 0);
	session_input(&dialogue.session, slice_of_text("abc\r\n"), 2,
		      (struct session_servers){0, 0}, dialogue.now, &dialogue.reply, step);
	assert_int_equal(step->intent, SESSION_BODY);
	assert_int_equal(step->consumed, 2);
	// A CR that fits nowhere yet is no message byte, but there is more to do.
	session_input(&dialogue.session, slice_of_text("\r\n"), 1, (struct session_servers){0, 0},
		      dialogue.now, &dialogue.reply, step);
	assert_int_equal(step->intent, SESSION_NEXT);
	assert_int_equal(step->consumed, 1);
	dialogue_end(&dialogue);
}

enum at { GREETED, MID_LINE, READY, MAILED, ASKED, RECIPIENT, DATA, BODY, DISCARD, FINAL };

// A session at one point of its life.
static void bring_to(struct dialogue *dialogue, enum at at, const struct dialogue_setup *setup)
{
	static const char *const texts[] = {
		[GREETED] = "",
		[MID_LINE] = "EHL",
		[READY] = HELLO,
		[MAILED] = HELLO MAIL,
		[ASKED] = HELLO MAIL RCPT,
		[RECIPIENT] = HELLO MAIL RCPT,
		[DATA] = TO_DATA,
		[BODY] = TO_DATA "text\r\n.",
		[DISCARD] = TO_DATA "text",
		[FINAL] = TO_DATA "text\r\n.\r\n",
	};
	static const char *const yes[] = {"250 2.1.5 Recipient OK", "354 go", NULL};
	static const char *const yes_once[] = {"250 2.1.5 Recipient OK", NULL};
	const struct session_answer lost = {.failure = REASON_backend_lost};
	dialogue_open(dialogue, setup);
	dialogue->answers = at == ASKED ? NULL : at == DATA ? yes_once : yes;
	dialogue_send_text(dialogue, texts[at]);
	if (at == DISCARD)
		session_fail_body(&dialogue->session, &lost);
	dialogue->length = 0;
	dialogue->in_body = false;
}

static void test_end_of_input(void **state)
{
	static const struct {
		enum at at;
		enum session_intent intent;
		bool left;
	} cases[] = {
		{GREETED, SESSION_CLOSE, false}, {MID_LINE, SESSION_CLOSE, false},
		{READY, SESSION_CLOSE, false},   {MAILED, SESSION_RESET, true},
		{ASKED, SESSION_ABORT, true},    {RECIPIENT, SESSION_RESET, true},
		{DATA, SESSION_ABORT, true},     {BODY, SESSION_ABORT, true},
		{DISCARD, SESSION_ABORT, true},  {FINAL, SESSION_MORE, false},
	};
	static struct dialogue dialogue;
	const struct dialogue_setup setup = {0};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		bring_to(&dialogue, cases[i].at, &setup);
		session_end_of_input(&dialogue.session, &dialogue.step);
		assert_int_equal(dialogue.step.intent, cases[i].intent);
		assert_int_equal(dialogue.step.transaction_ended_by_client, cases[i].left);
		if (cases[i].at != FINAL) {
			assert_int_equal(dialogue.session.state, SESSION_STATE_CLOSED);
		} else {
			// The client sent it all: it gets its answer, and then the close.
			dialogue_answer(&dialogue, "250 2.6.0 ok");
			dialogue_expect(&dialogue, "250 2.6.0 ok\n[CLOSE]\n");
		}
		dialogue_end(&dialogue);
	}
}

static void test_drain(void **state)
{
	static const char closed[] =
		"!smtp_draining\n421 4.3.2 Service not available, closing transmission channel\n"
		"[CLOSE]\n";
	static struct dialogue dialogue;
	const struct dialogue_setup setup = {0};
	for (int at = GREETED; at <= FINAL; at++) {
		bring_to(&dialogue, (enum at)at, &setup);
		const bool quiet = at <= READY;
		assert_int_equal(
			session_drain(&dialogue.session, false, &dialogue.reply, &dialogue.step),
			quiet);
		if (!quiet)
			assert_true(session_drain(&dialogue.session, true, &dialogue.reply,
						  &dialogue.step));
		dialogue_note(&dialogue);
		dialogue_expect(&dialogue, closed);
		assert_false(
			session_drain(&dialogue.session, true, &dialogue.reply, &dialogue.step));
		dialogue_end(&dialogue);
	}
}

#define OPENED_US  1000ull
#define SILENCE_US 300000000ull // as dialogue_open sets them
#define SESSION_US 600000000ull

static void test_deadlines(void **state)
{
	static struct dialogue dialogue;
	const struct dialogue_setup setup = {0};
	for (int at = GREETED; at <= FINAL; at++) {
		bring_to(&dialogue, (enum at)at, &setup);
		const uint64_t deadline = session_deadline(&dialogue.session);
		// While the backend is asked the client is not silent; the final reply has no
		// limit.
		if (at == FINAL)
			assert_true(deadline == UINT64_MAX);
		else if (at == ASKED || at == DATA)
			assert_true(deadline == OPENED_US + SESSION_US);
		else
			assert_true(deadline == OPENED_US + SILENCE_US);
		session_close(&dialogue.session);
		assert_true(session_deadline(&dialogue.session) == UINT64_MAX);
		dialogue_end(&dialogue);
	}
	// S13: a byte now and then moves one limit, never the other.
	dialogue_open(&dialogue, &setup);
	dialogue.now.now_us += 200000000;
	dialogue_send_text(&dialogue, "E");
	assert_true(session_deadline(&dialogue.session) == OPENED_US + 200000000 + SILENCE_US);
	dialogue.now.now_us += 250000000;
	dialogue_send_text(&dialogue, "H");
	assert_true(session_deadline(&dialogue.session) == OPENED_US + SESSION_US);
	dialogue_end(&dialogue);
	// An answer that took long gives the client its whole time again.
	bring_to(&dialogue, ASKED, &setup);
	dialogue.now.now_us += 100000000;
	dialogue_answer(&dialogue, "250 ok");
	assert_true(session_deadline(&dialogue.session) == OPENED_US + 100000000 + SILENCE_US);
	dialogue_end(&dialogue);
}

static void test_timeouts(void **state)
{
	static const char silent[] = "!smtp_timeout\n451 4.7.0 Timeout waiting for client input\n";
	static const char session[] = "!smtp_session_timeout\n421 4.4.1 Connection timed out\n";
	static struct dialogue dialogue;
	const struct dialogue_setup setup = {0};
	for (int at = GREETED; at < FINAL; at++) {
		for (int whole = 0; whole <= 1; whole++) {
			char expect[200];
			bring_to(&dialogue, (enum at)at, &setup);
			dialogue.now.now_us = OPENED_US + (whole ? SESSION_US : SILENCE_US);
			session_timeout(&dialogue.session, dialogue.now, &dialogue.reply,
					&dialogue.step);
			dialogue_note(&dialogue);
			snprintf(expect, sizeof(expect), "%s%s[CLOSE]\n", whole ? session : silent,
				 at >= MAILED ? "left " : "");
			dialogue_expect(&dialogue, expect);
			assert_string_equal(dialogue.step.verb, at >= BODY ? "BODY" : "");
			dialogue_end(&dialogue);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_scripts),      cmocka_unit_test(test_too_large),
		cmocka_unit_test(test_long_lines),   cmocka_unit_test(test_body_waits_for_room),
		cmocka_unit_test(test_end_of_input), cmocka_unit_test(test_drain),
		cmocka_unit_test(test_deadlines),    cmocka_unit_test(test_timeouts),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
