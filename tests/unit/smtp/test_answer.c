// SPDX-License-Identifier: BSD-3-Clause
//
// Tests of smtp/answer: what each answer of a backend means at RCPT, DATA and the end of data, and
// a backend that is lost or speaks at the wrong time.
#include "tests/unit/smtp/dialogue.h"

#define TO_DATA     HELLO MAIL RCPT "DATA\r\n"
#define UNAVAILABLE "!backend_unavailable\n451 4.4.1 No mail server is available\n"
#define BUSY        "!backend_busy\n451 4.4.5 Mail servers are busy\n"
#define LOST        "!backend_lost\n451 4.4.2 Connection to the mail server was lost\n"
#define TIMEOUT     "!backend_timeout\n451 4.4.1 Mail server did not answer in time\n"
#define MALFORMED                                                                                  \
	"!backend_malformed_reply\n451 4.3.0 Mail server gave a reply that is not understood\n"
#define CLOSING "!backend_lost\n451 4.3.2 Mail server is closing its channel\n"
#define FULL    "!flows_full\n452 4.3.1 Insufficient system resources\n"
#define YES     "250 2.1.5 Recipient OK"
#define OK      "250 2.0.0 OK\n"

// One answer each, and the transcript from it on; a NOOP follows.
struct one {
	const char *answer;
	const char *at_recipient, *at_data, *at_end;
};

static const struct one ones[] = {
	{"250 fine", "250 fine\n", MALFORMED "[ABORT]\n", "250 fine\n[RESET]\n"},
	{"251 will forward", "251 will forward\n", MALFORMED "[ABORT]\n",
	 "250 will forward\n[RESET]\n"},
	// Any 2yz is a yes, and said as the one that every client understands.
	{"252-perhaps\r\n252 2.5.2 x", "250-perhaps\n250 2.5.2 x\n", MALFORMED "[ABORT]\n",
	 "250-perhaps\n250 2.5.2 x\n[RESET]\n"},
	{"200 taken", "250 taken\n", MALFORMED "[ABORT]\n", "250 taken\n[RESET]\n"},
	{"354 go", MALFORMED "[ABORT]\n", DATA_REPLY, MALFORMED "[ABORT]\n"},
	{"334 x", MALFORMED "[ABORT]\n", MALFORMED "[ABORT]\n", MALFORMED "[ABORT]\n"},
	{"421 4.3.2 bye", CLOSING "[ABORT]\n", CLOSING "[ABORT]\n", CLOSING "[ABORT]\n"},
	{"450-4.2.0 later\r\n450 4.2.0 please",
	 "!backend_refused_recipient\n450-4.2.0 later\n450 4.2.0 please\n",
	 "!backend_refused_message\n450-4.2.0 later\n450 4.2.0 please\n[RESET]\n",
	 "!backend_refused_message\n450-4.2.0 later\n450 4.2.0 please\n[RESET]\n"},
	{"550 5.1.1 User unknown", "!backend_refused_recipient\n550 5.1.1 User unknown\n",
	 "!backend_refused_message\n550 5.1.1 User unknown\n[RESET]\n",
	 "!backend_refused_message\n550 5.1.1 User unknown\n[RESET]\n"},
	{"503 5.5.1 what", "!backend_refused_recipient\n503 5.5.1 what\n",
	 "!backend_refused_message\n503 5.5.1 what\n[RESET]\n",
	 "!backend_refused_message\n503 5.5.1 what\n[RESET]\n"},
	{"!backend_unavailable", UNAVAILABLE, UNAVAILABLE "[RESET]\n", UNAVAILABLE "[RESET]\n"},
	{"!backend_busy", BUSY, BUSY "[RESET]\n", BUSY "[RESET]\n"},
	{"!backend_lost", LOST, LOST "[RESET]\n", LOST "[RESET]\n"},
	{"!backend_timeout", TIMEOUT, TIMEOUT "[RESET]\n", TIMEOUT "[RESET]\n"},
	{"!backend_malformed_reply", MALFORMED, MALFORMED "[RESET]\n", MALFORMED "[RESET]\n"},
	{"!flows_full", FULL, FULL "[RESET]\n", FULL "[RESET]\n"},
};

static void answer_at(const char *client, const char *const *before, const char *answer,
		      const char *expect)
{
	static struct dialogue dialogue;
	const struct dialogue_setup setup = {.max_protocol_errors = 1};
	char whole[400];
	dialogue_open(&dialogue, &setup);
	dialogue.answers = before;
	dialogue_send_text(&dialogue, client);
	dialogue.length = 0;
	dialogue.in_body = false;
	dialogue_answer(&dialogue, answer);
	// Whatever it was, the client's session goes on, and it is not the client's error.
	snprintf(whole, sizeof(whole), "%s%s", expect, OK);
	if (dialogue.session.state != SESSION_STATE_BODY) {
		dialogue_send_text(&dialogue, "NOOP\r\n");
		assert_int_equal(dialogue.session.protocol_errors, 0);
	} else {
		snprintf(whole, sizeof(whole), "%s", expect);
	}
	dialogue_expect(&dialogue, whole);
	dialogue_end(&dialogue);
}

static void test_every_answer_everywhere(void **state)
{
	static const char *const none[] = {NULL};
	static const char *const to_data[] = {YES, NULL};
	static const char *const to_end[] = {YES, "354 go", NULL};
	for (size_t i = 0; i < sizeof(ones) / sizeof(*ones); i++) {
		answer_at(HELLO MAIL RCPT, none, ones[i].answer, ones[i].at_recipient);
		answer_at(TO_DATA, to_data, ones[i].answer, ones[i].at_data);
		answer_at(TO_DATA "a\r\n.\r\n", to_end, ones[i].answer, ones[i].at_end);
	}
}

static const struct script scripts[] = {
	{"all recipients refused", CLIENT(HELLO MAIL RCPT RCPT "DATA\r\nRSET\r\nDATA\r\n"),
	 ANSWERS("550 no", "450 later"),
	 .expect = BANNER EHLO_REPLY MAIL_REPLY RCPT_INTENT
	 "!backend_refused_recipient\n550 no\n" RCPT_INTENT
	 "!backend_refused_recipient\n450 later\n"
	 "!smtp_bad_sequence\n554 5.5.1 No valid recipients\n"
	 "250 2.0.0 Resetting\nleft [RESET]\n"
	 "!smtp_bad_sequence\n503 5.5.2 Need mail command\n"},
	// A second connection would not know the first recipient: his copy would be lost.
	{"the backend is lost behind an accepted recipient",
	 CLIENT(HELLO MAIL RCPT RCPT RCPT "DATA\r\n" MAIL RCPT), ANSWERS(YES, "!backend_lost", YES),
	 .expect = ENVELOPE_REPLY RCPT_INTENT LOST LOST LOST
	 "[RESET]\n" MAIL_REPLY RCPT_INTENT RCPT_REPLY},
	{"the backend says 421 to a recipient", CLIENT(HELLO MAIL RCPT RCPT "RSET\r\n" MAIL RCPT),
	 ANSWERS("421 bye", YES),
	 .expect = BANNER EHLO_REPLY MAIL_REPLY RCPT_INTENT CLOSING
	 "[ABORT]\n" LOST "250 2.0.0 Resetting\nleft [RESET]\n" MAIL_REPLY RCPT_INTENT RCPT_REPLY},
	{"our own refusal comes before the failure",
	 CLIENT(HELLO MAIL RCPT "RCPT TO:<c@foreign.test>\r\n"), ANSWERS("!backend_busy"),
	 .expect = BANNER EHLO_REPLY MAIL_REPLY RCPT_INTENT BUSY
	 "!smtp_unable_to_relay\n550 5.7.1 Unable to relay\n"},
	{"DATA refused ends the transaction", CLIENT(TO_DATA "RCPT TO:<c@own.test>\r\n"),
	 ANSWERS(YES, "554 no"),
	 .expect = ENVELOPE_REPLY "[DATA]\n!backend_refused_message\n554 no\n[RESET]\n"
				  "!smtp_bad_sequence\n503 5.5.2 Need mail command\n"},
};

static void test_scripts(void **state)
{
	dialogue_play_all(scripts, sizeof(scripts) / sizeof(*scripts));
}

static struct session_answer answer_of(const char *text)
{
	struct session_answer answer = {REASON_NONE, 0, {NULL, 0}, false};
	if (text[0] == '!')
		answer.failure = dialogue_reason(text + 1);
	else
		answer = (struct session_answer){REASON_NONE, (uint16_t)atoi(text),
						 slice_of_text(text), false};
	return answer;
}

// Relay rule 5: the body is read to its end first, wherever the failure found it.
static void test_failure_inside_a_body(void **state)
{
	static const struct {
		const char *answer, *expect;
	} cases[] = {
		{"!backend_lost", LOST},
		{"!backend_timeout", TIMEOUT},
		{"552 5.3.4 too big\r\n", "!backend_refused_message\n552 5.3.4 too big\n"},
		{"452-4.3.1 full\r\n452 4.3.1 disk\r\n",
		 "!backend_refused_message\n452-4.3.1 full\n452 4.3.1 disk\n"},
		{"421 4.3.2 bye\r\n", LOST},
		{"250 2.6.0 thanks, that is enough\r\n", MALFORMED},
		{"354 go\r\n", MALFORMED},
	};
	static const char body[] = "one\r\n..two\r\nQUIT\r\n.\r\nNOOP\r\n";
	static const char *const answers[] = {YES, "354 go", NULL};
	static struct dialogue dialogue;
	const struct dialogue_setup setup = {.max_message_size = 1000};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		for (size_t cut = 0; cut <= strlen("one\r\n..two\r\nQUIT\r\n.\r"); cut++) {
			char expect[400];
			const struct session_answer answer = answer_of(cases[i].answer);
			dialogue_open(&dialogue, &setup);
			dialogue.answers = answers;
			dialogue_send_text(&dialogue, TO_DATA);
			dialogue_send(&dialogue, body, cut);
			dialogue.length = 0;
			dialogue.in_body = false;
			session_fail_body(&dialogue.session, &answer);
			// What is discarded waits for nobody. Only the first failure counts.
			dialogue.room = 0;
			session_fail_body(&dialogue.session, &answer);
			dialogue_send(&dialogue, body + cut, sizeof(body) - 1 - cut);
			snprintf(expect, sizeof(expect), "%s[RESET]\n%s", cases[i].expect, OK);
			dialogue_expect(&dialogue, expect);
			dialogue_end(&dialogue);
		}
	}
}

static void test_failure_between_commands(void **state)
{
	static const char *const yes[] = {YES, YES, NULL};
	static struct dialogue dialogue;
	const struct dialogue_setup setup = {0};
	const struct session_answer lost = answer_of("!backend_lost");
	dialogue_open(&dialogue, &setup);
	dialogue.answers = yes;
	// Without a transaction there is nothing to fail.
	session_fail_body(&dialogue.session, &lost);
	dialogue_send_text(&dialogue, HELLO MAIL RCPT);
	dialogue_expect(&dialogue, ENVELOPE_REPLY);
	session_fail_body(&dialogue.session, &lost);
	dialogue_send_text(&dialogue, RCPT "DATA\r\n");
	dialogue_expect(&dialogue, LOST LOST "[RESET]\n");
	dialogue_send_text(&dialogue, MAIL RCPT);
	dialogue_expect(&dialogue, MAIL_REPLY RCPT_INTENT RCPT_REPLY);
	dialogue_end(&dialogue);
}

// No chunk for the early reply: still no yes, and the client may come again.
static void test_early_reply_without_a_chunk(void **state)
{
	static const char *const answers[] = {YES, "354 go", NULL};
	static struct dialogue dialogue;
	const struct dialogue_setup setup = {0};
	const struct session_answer answer = answer_of("552 5.3.4 too big\r\n");
	struct chunk_queue hog;
	uint8_t bytes[CHUNK_BYTES] = {0};
	dialogue_open(&dialogue, &setup);
	dialogue.answers = answers;
	dialogue_send_text(&dialogue, TO_DATA);
	chunk_queue_init(&hog);
	while (chunk_queue_append(&hog, &dialogue.chunks, slice_of(bytes, sizeof(bytes))))
		;
	dialogue.length = 0;
	session_fail_body(&dialogue.session, &answer);
	dialogue_send_text(&dialogue, ".\r\n");
	dialogue_expect(&dialogue, "!backend_refused_message\n"
				   "451 4.3.0 Temporary failure, try again later\n[RESET]\n");
	chunk_queue_clear(&hog, &dialogue.chunks);
	dialogue_end(&dialogue);
}

static void test_detail_for_the_log(void **state)
{
	static const char *const none[] = {NULL};
	static struct dialogue dialogue;
	const struct dialogue_setup setup = {0};
	dialogue_open(&dialogue, &setup);
	dialogue.answers = none;
	dialogue_send_text(&dialogue, HELLO MAIL RCPT);
	dialogue_answer(&dialogue, "550 no");
	assert_string_equal(dialogue.step.verb, "RCPT");
	assert_string_equal(dialogue.step.detail, "<b@own.test>");
	dialogue_send_text(&dialogue, RCPT);
	dialogue_answer(&dialogue, "250 yes");
	assert_null(dialogue.step.detail);
	dialogue_send_text(&dialogue, "DATA\r\n");
	dialogue_answer(&dialogue, "354 go");
	assert_string_equal(dialogue.step.verb, "DATA");
	dialogue_send_text(&dialogue, ".\r\n");
	dialogue_answer(&dialogue, "554 5.6.0 no");
	assert_string_equal(dialogue.step.verb, "BODY");
	assert_memory_equal(dialogue.step.detail, "554 5.6.0 no", 12);
	dialogue_end(&dialogue);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_answer_everywhere),
		cmocka_unit_test(test_scripts),
		cmocka_unit_test(test_failure_inside_a_body),
		cmocka_unit_test(test_failure_between_commands),
		cmocka_unit_test(test_early_reply_without_a_chunk),
		cmocka_unit_test(test_detail_for_the_log),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
