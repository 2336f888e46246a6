// SPDX-License-Identifier: BSD-3-Clause
//
// BDAT: chunks of every kind, cut at every place; a chunk never becomes commands, and what reaches
// the backend is the message in DATA form.
#include "tests/unit/smtp/dialogue.h"

#define CHUNKS .setup = {.chunking = true}
#define CHUNKING_EHLO                                                                              \
	BANNER "250-mx.own.test Hello [192.0.2.7]\n250-SIZE 65536\n250-PIPELINING\n"               \
	       "250-ENHANCEDSTATUSCODES\n250-8BITMIME\n250 CHUNKING\n"
#define ENVELOPE CHUNKING_EHLO MAIL_REPLY RCPT_INTENT RCPT_REPLY
#define TO_BDAT  HELLO MAIL RCPT
#define YES                                                                                        \
	ANSWERS("250 2.1.5 Recipient OK", "354 go",                                                \
		"250 2.6.0 <1@own.test> Queued mail for delivery")
#define BINARY                                                                                     \
	.setup = {.chunking = true,                                                                \
		  .binary_mime = true,                                                             \
		  .chunked = true,                                                                 \
		  .extensions = SMTP_EXTENSION_CHUNKING | SMTP_EXTENSION_BINARYMIME}
#define TO_BINARY HELLO "MAIL FROM:<a@foreign.test> BODY=BINARYMIME\r\n" RCPT
#define BINARY_ENVELOPE                                                                            \
	BANNER "250-mx.own.test Hello [192.0.2.7]\n250-SIZE 65536\n250-PIPELINING\n"               \
	       "250-ENHANCEDSTATUSCODES\n250-8BITMIME\n250-BINARYMIME\n250 CHUNKING\n" MAIL_REPLY  \
	       "[RECIPIENT <a@foreign.test> BODY=BINARYMIME <b@own.test>]\n" RCPT_REPLY
#define CHUNK(n)      "250 2.6.0 CHUNK received OK, " n " octets\n"
#define DONE          ACCEPTED "[RESET]\n"
#define NEED_MAIL     "!smtp_bad_sequence\n503 5.5.2 Need mail command\n"
#define BAD_ARGUMENTS "!smtp_bad_parameter\n501 5.5.4 Invalid arguments\n"
#define BAD_ENDING                                                                                 \
	"!smtp_bad_line_ending\n521 5.5.2 Bare CR, bare LF or NUL, closing transmission channel\n"

static const struct script scripts[] = {
	{"one chunk", CHUNKS, CLIENT(TO_BDAT "BDAT 9 LAST\r\n\r\nQUIT\r\n\rNOOP\r\n"), YES,
	 .expect = ENVELOPE "[DATA]\n{\r\nQUIT\r\n}\n" BAD_ENDING "left [CLOSE]\n"},
	{"commands inside", CHUNKS, CLIENT(TO_BDAT "BDAT 15 LAST\r\n\r\nQUIT\r\nRSET\r\n.NOOP\r\n"),
	 YES,
	 .expect =
		 ENVELOPE "[DATA]\n{\r\nQUIT\r\nRSET\r\n..\r\n}\n[END 15]\n" DONE "250 2.0.0 OK\n"},
	{"three", CHUNKS,
	 CLIENT(TO_BDAT "BDAT 5\r\na: b\rBDAT 3\r\n\n\r\nbdat 2 last\r\nxyNOOP\r\n"), YES,
	 .expect = ENVELOPE "[DATA]\n{a: b}\n" CHUNK("5") "{\r\n\r\n}\n" CHUNK(
		 "3") "{xy\r\n}\n[END 10]\n" DONE "250 2.0.0 OK\n"},
	{"nothing, then its end", CHUNKS, CLIENT(TO_BDAT "BDAT 4\r\nab\r\nBDAT 0 LAST\r\nNOOP\r\n"),
	 YES, .expect = ENVELOPE "[DATA]\n{ab\r\n}\n" CHUNK("4") "[END 4]\n" DONE "250 2.0.0 OK\n"},
	{"nothing at all", CHUNKS, CLIENT(TO_BDAT "BDAT 0\r\nBDAT 0 LAST\r\nNOOP\r\n"), YES,
	 .expect = ENVELOPE "[DATA]\n" CHUNK("0") "[END 0]\n" DONE "250 2.0.0 OK\n"},
	{"dots", CHUNKS, CLIENT(TO_BDAT "BDAT 21 LAST\r\n\r\n.\r\n..\r\n.a\r\n.\r\nMAIL.NOOP\r\n"),
	 YES,
	 .expect = ENVELOPE "[DATA]\n{\r\n..\r\n...\r\n..a\r\n..\r\nMAIL.\r\n}\n[END 21]\n" DONE
			    "250 2.0.0 OK\n"},
	{"an end of data inside is none", CHUNKS,
	 CLIENT(TO_BDAT "BDAT 5\r\na\r\n.\rBDAT 3 LAST\r\n\nq\rNOOP\r\n"), YES,
	 .expect =
		 ENVELOPE "[DATA]\n{a\r\n..}\n" CHUNK("5") "{\r\nq}\n" BAD_ENDING "left [CLOSE]\n"},
	{"the header firewall", CHUNKS,
	 CLIENT(TO_BDAT
		"BDAT 47\r\nX-MS-Exchange-Organization-SCL: -1\r\nSubject: x\rBDAT 26 LAST\r\n"
		"\nX-MS-Exchange-Forest-A: b"),
	 YES, .expect = ENVELOPE "[DATA]\n{Subject: x}\n" CHUNK("47") "{\r\n}\n[END 73]\n" DONE},
	{"the end of what may become a forbidden field", CHUNKS,
	 CLIENT(TO_BDAT "BDAT 14 LAST\r\nSubject: x\r\nReNOOP\r\n"), YES,
	 .expect = ENVELOPE "[DATA]\n{Subject: x\r\nRe\r\n}\n[END 14]\n" DONE "250 2.0.0 OK\n"},
	{"an end that is a whole forbidden name",
	 CLIENT(TO_BDAT "BDAT 23 LAST\r\nSubject: x\r\nResent-From"), YES,
	 .setup = {.chunking = true, .denied = RIGHT_ACCEPT_HEADERS_ROUTING},
	 .expect = ENVELOPE "[DATA]\n{Subject: x\r\n}\n[END 23]\n" DONE},
	// S5: sizes
	{"no size", CHUNKS, CLIENT(TO_BDAT "BDAT\r\nNOOP\r\n"), ANSWERS("250 2.1.5 Recipient OK"),
	 .expect = ENVELOPE BAD_ARGUMENTS "left [CLOSE]\n"},
	{"a sign", CHUNKS, CLIENT(TO_BDAT "BDAT -1\r\nNOOP\r\n"), ANSWERS("250 2.1.5 Recipient OK"),
	 .expect = ENVELOPE BAD_ARGUMENTS "left [CLOSE]\n"},
	{"hexadecimal", CHUNKS, CLIENT(TO_BDAT "BDAT 0x5\r\nNOOP\r\n"),
	 ANSWERS("250 2.1.5 Recipient OK"), .expect = ENVELOPE BAD_ARGUMENTS "left [CLOSE]\n"},
	{"2^64", CHUNKS, CLIENT(TO_BDAT "BDAT 18446744073709551616\r\nNOOP\r\n"),
	 ANSWERS("250 2.1.5 Recipient OK"), .expect = ENVELOPE BAD_ARGUMENTS "left [CLOSE]\n"},
	{"trailing junk", CHUNKS, CLIENT(TO_BDAT "BDAT 2 FIRST\r\nNOOP\r\n"),
	 ANSWERS("250 2.1.5 Recipient OK"), .expect = ENVELOPE BAD_ARGUMENTS "left [CLOSE]\n"},
	{"leading zeros", CHUNKS,
	 CLIENT(TO_BDAT "BDAT 0000000000000000000000002 LAST\r\nxyNOOP\r\n"), YES,
	 .expect = ENVELOPE "[DATA]\n{xy\r\n}\n[END 2]\n" DONE "250 2.0.0 OK\n"},
	{"2^63 that never comes", CHUNKS, CLIENT(TO_BDAT "BDAT 9223372036854775808\r\nNOOP\r\n"),
	 YES, .expect = ENVELOPE "[DATA]\n{NOOP\r\n}\n"},
	// out of place: read, then refused
	{"before MAIL", CHUNKS, CLIENT(HELLO "BDAT 6\r\nQUIT\r\nNOOP\r\n"),
	 .expect = CHUNKING_EHLO NEED_MAIL "250 2.0.0 OK\n"},
	{"before EHLO", CHUNKS, CLIENT("BDAT 6\r\nQUIT\r\nNOOP\r\n"),
	 .expect = BANNER "!smtp_bad_sequence\n503 5.5.2 Send hello first\n250 2.0.0 OK\n"},
	{"before RCPT", CHUNKS, CLIENT(HELLO MAIL "BDAT 6 LAST\r\nQUIT\r\nNOOP\r\n"),
	 .expect = CHUNKING_EHLO MAIL_REPLY
	 "!smtp_bad_sequence\n503 5.5.2 Need rcpt command\n250 2.0.0 OK\n"},
	{"all recipients refused", CHUNKS,
	 CLIENT(HELLO MAIL "RCPT TO:<c@foreign.test>\r\nBDAT 6 LAST\r\nQUIT\r\nNOOP\r\n"),
	 .expect = CHUNKING_EHLO MAIL_REPLY
	 "!smtp_unable_to_relay\n550 5.7.1 Unable to relay\n"
	 "!smtp_bad_sequence\n554 5.5.1 No valid recipients\n250 2.0.0 OK\n"},
	{"not offered", .setup = {0}, CLIENT(HELLO MAIL RCPT "BDAT 6 LAST\r\nQUIT\r\n"),
	 ANSWERS("250 2.1.5 Recipient OK"),
	 .expect = ENVELOPE_REPLY
	 "!smtp_unrecognized\n500 5.3.3 Unrecognized command\nleft [CLOSE]\n"},
	{"other commands between", CHUNKS,
	 CLIENT(TO_BDAT "BDAT 4\r\nab\r\n" MAIL RCPT "DATA\r\nNOOP\r\nBDAT 0 LAST\r\n"), YES,
	 .expect = ENVELOPE
	 "[DATA]\n{ab\r\n}\n" CHUNK("4") "!smtp_bad_sequence\n503 5.5.2 Sender already specified\n"
					 "!smtp_bad_sequence\n503 5.5.2 Need BDAT command\n"
					 "!smtp_bad_sequence\n503 5.5.2 Need BDAT command\n250 "
					 "2.0.0 OK\n[END 4]\n" DONE},
	{"RSET between", CHUNKS,
	 CLIENT(TO_BDAT "BDAT 4\r\nab\r\nRSET\r\nBDAT 6 LAST\r\nQUIT\r\nNOOP\r\n"), YES,
	 .expect = ENVELOPE "[DATA]\n{ab\r\n}\n" CHUNK(
		 "4") "250 2.0.0 Resetting\nleft [ABORT]\n" NEED_MAIL "250 2.0.0 OK\n"},
	{"QUIT between", CHUNKS, CLIENT(TO_BDAT "BDAT 4\r\nab\r\nQUIT\r\n"), YES,
	 .expect = ENVELOPE "[DATA]\n{ab\r\n}\n" CHUNK(
		 "4") "221 2.0.0 Service closing transmission channel\nleft [CLOSE]\n"},
	{"XEXCH50 without the right", CHUNKS,
	 CLIENT(HELLO "XEXCH50 4 2\r\n" MAIL "XEXCH50 4 2\r\nNOOP\r\n"),
	 .expect = CHUNKING_EHLO NEED_MAIL MAIL_REPLY
	 "!smtp_exch50_refused\n504 Need to authenticate first\n250 2.0.0 OK\n"},
	{"XEXCH50 with it", .setup = {.granted = RIGHT_ACCEPT_EXCH50},
	 CLIENT(HELLO MAIL RCPT "XEXCH50 x 2\r\nXEXCH50 6 2\r\nQUIT\r\nXEXCH50 0 2\r\nDATA\r\n"),
	 YES,
	 .expect = BANNER
	 "250-mx.own.test Hello [192.0.2.7]\n250-SIZE 65536\n250-PIPELINING\n"
	 "250-ENHANCEDSTATUSCODES\n250-8BITMIME\n250 XEXCH50\n" MAIL_REPLY RCPT_INTENT RCPT_REPLY
		 BAD_ARGUMENTS "354 Send binary data\n250 2.0.0 OK\n354 Send binary data\n250 "
	 "2.0.0 OK\n[DATA]\n" DATA_REPLY},
	{"a bare LF", CHUNKS, CLIENT(TO_BDAT "BDAT 4 LAST\r\n\nb\r\n"), YES,
	 .expect = ENVELOPE "[DATA]\n" BAD_ENDING "left [CLOSE]\n"},
	{"bare LFs that end the header, taken", .setup = {.chunking = true, .accept_bare_lf = true},
	 CLIENT(TO_BDAT "BDAT 13 LAST\r\na: b\n\n.\nc: d\n"), YES,
	 .expect = ENVELOPE "[DATA]\n{a: b\r\n\r\n..\r\nc: d\r\n}\n[END 17]\n" DONE},
	// to a server that takes chunks: as it is, nothing added
	{"dots to chunks", .setup = {.chunking = true, .chunked = true},
	 CLIENT(TO_BDAT "BDAT 21 LAST\r\n\r\n.\r\n..\r\n.a\r\n.\r\nMAIL.NOOP\r\n"), YES,
	 .expect = ENVELOPE "[DATA]\n{\r\n.\r\n..\r\n.a\r\n.\r\nMAIL.}\n[END 21]\n" DONE
			    "250 2.0.0 OK\n"},
	{"a bare LF to chunks", .setup = {.chunking = true, .chunked = true},
	 CLIENT(TO_BDAT "BDAT 4 LAST\r\n\nb\r\n"), YES,
	 .expect = ENVELOPE "[DATA]\n" BAD_ENDING "left [CLOSE]\n"},
	{"a CR at the end to chunks", .setup = {.chunking = true, .chunked = true},
	 CLIENT(TO_BDAT "BDAT 2 LAST\r\na\r"), YES,
	 .expect = ENVELOPE "[DATA]\n{a}\n" BAD_ENDING "left [CLOSE]\n"},
	{"bare LFs taken, to chunks",
	 .setup = {.chunking = true, .chunked = true, .accept_bare_lf = true},
	 CLIENT(TO_BDAT "BDAT 13 LAST\r\na: b\n\n.\nc: d\n"), YES,
	 .expect = ENVELOPE "[DATA]\n{a: b\r\n\r\n.\r\nc: d\r\n}\n[END 17]\n" DONE},
	{"DATA to chunks", .setup = {.chunking = true, .chunked = true},
	 CLIENT(TO_BDAT "DATA\r\n..a: b\r\n\r\n..\r\n...\r\n.x\r\nx.\r\n.\r\nNOOP\r\n"), YES,
	 .expect = ENVELOPE "[DATA]\n" DATA_REPLY
			    "{.a: b\r\n\r\n.\r\n..\r\nx\r\nx.\r\n}\n[END 23]\n" DONE
			    "250 2.0.0 OK\n"},
	{"DATA with bare LFs to chunks",
	 .setup = {.chunking = true, .chunked = true, .accept_bare_lf = true},
	 CLIENT(TO_BDAT "DATA\r\na: b\n\n.\n.c\r\n.\r\nNOOP\r\n"), YES,
	 .expect = ENVELOPE "[DATA]\n" DATA_REPLY "{a: b\r\n\r\n.\r\n.c\r\n}\n[END 15]\n" DONE
			    "250 2.0.0 OK\n"},
	{"the header firewall and chunks", .setup = {.chunking = true, .chunked = true},
	 CLIENT(TO_BDAT "DATA\r\n.X-MS-Exchange-Organization-SCL: -1\r\n -2\r\nSubject: x\r\n"
			"X-MS-Exchange-Forest-A: b\r\n\r\n.\r\n"),
	 YES, .expect = ENVELOPE "[DATA]\n" DATA_REPLY "{Subject: x\r\n\r\n}\n[END 82]\n" DONE},
	{"the end of what may become a forbidden field, to chunks",
	 .setup = {.chunking = true, .chunked = true},
	 CLIENT(TO_BDAT "BDAT 14 LAST\r\nSubject: x\r\nReNOOP\r\n"), YES,
	 .expect = ENVELOPE "[DATA]\n{Subject: x\r\nRe\r\n}\n[END 14]\n" DONE "250 2.0.0 OK\n"},
	{"an end that is a whole forbidden name, to chunks",
	 .setup = {.chunking = true, .chunked = true, .denied = RIGHT_ACCEPT_HEADERS_ROUTING},
	 CLIENT(TO_BDAT "BDAT 23 LAST\r\nSubject: x\r\nResent-From"), YES,
	 .expect = ENVELOPE "[DATA]\n{Subject: x\r\n}\n[END 23]\n" DONE},
	{"any other unfinished end, to chunks", .setup = {.chunking = true, .chunked = true},
	 CLIENT(TO_BDAT "BDAT 15 LAST\r\nSubject: x\r\nFoo"), YES,
	 .expect = ENVELOPE "[DATA]\n{Subject: x\r\nFoo}\n[END 15]\n" DONE},
	// BODY=BINARYMIME
	{"the end of what may become a forbidden field, binary", BINARY,
	 CLIENT(TO_BINARY "BDAT 14 LAST\r\nSubject: x\r\nReNOOP\r\n"), YES,
	 .expect = BINARY_ENVELOPE "[DATA]\n{Subject: x\r\nRe\r\n}\n[END 14]\n" DONE
				   "250 2.0.0 OK\n"},
	{"any octets", BINARY,
	 CLIENT(TO_BINARY "BDAT 30\r\na: b\r\n\r\n\0\r\n.\r\n\n.\n\r.\rx\0\r\r\n.\r\nQU"
			  "BDAT 5 LAST\r\nIT\r\n\rNOOP\r\n"),
	 YES,
	 .expect = BINARY_ENVELOPE "[DATA]\n{a: b\r\n\r\n^@\r\n.\r\n\n.\n\r.\rx^@\r\r\n."
				   "\r\nQU}\n" CHUNK("30") "{IT\r\n\r}\n[END 35]\n" DONE
							   "250 2.0.0 OK\n"},
	{"DATA is none of its ends", BINARY, CLIENT(TO_BINARY "DATA\r\nBDAT 3 LAST\r\n\r\n\r"), YES,
	 .expect =
		 BINARY_ENVELOPE "!smtp_bad_sequence\n503 5.5.2 Need BDAT command\n[DATA]\n{\r\n\r}"
				 "\n[END 3]\n" DONE},
	// What ends a line, and a header, must be the same to all.
	{"a bare CR in a binary message's header", BINARY,
	 CLIENT(TO_BINARY "BDAT 41 LAST\r\nx\rX-MS-Exchange-Organization-A: b\ry\nz\r\n\r\n"), YES,
	 .expect = BINARY_ENVELOPE "[DATA]\n" BAD_ENDING "left [CLOSE]\n"},
	{"a bare LF there", BINARY, CLIENT(TO_BINARY "BDAT 9 LAST\r\nx\n\n\r\nR: a\r\n"), YES,
	 .expect = BINARY_ENVELOPE "[DATA]\n" BAD_ENDING "left [CLOSE]\n"},
	{"a bare LF there, taken",
	 .setup = {.chunking = true,
		   .chunked = true,
		   .binary_mime = true,
		   .accept_bare_lf = true,
		   .extensions = SMTP_EXTENSION_CHUNKING | SMTP_EXTENSION_BINARYMIME},
	 CLIENT(TO_BINARY "BDAT 8 LAST\r\nx\n\ny\nz\0\r"), YES,
	 .expect = BINARY_ENVELOPE "[DATA]\n{x\r\n\r\ny\nz^@\r}\n[END 10]\n" DONE},
	{"a NUL there", BINARY, CLIENT(TO_BINARY "BDAT 6 LAST\r\nx\0\r\n\r\n"), YES,
	 .expect = BINARY_ENVELOPE "[DATA]\n" BAD_ENDING "left [CLOSE]\n"},
	{"the servers have no BINARYMIME",
	 .setup = {.chunking = true, .binary_mime = true, .extensions = SMTP_EXTENSION_CHUNKING},
	 CLIENT(HELLO "MAIL FROM:<a@foreign.test> BODY=BINARYMIME\r\n"),
	 .expect = CHUNKING_EHLO "!smtp_bad_parameter\n555 5.5.4 Unsupported parameter\n"},
	{"nor CHUNKING",
	 .setup = {.chunking = true, .binary_mime = true, .extensions = SMTP_EXTENSION_BINARYMIME},
	 CLIENT(HELLO), .expect = CHUNKING_EHLO},
	{"the connector has no BINARYMIME",
	 .setup = {.chunking = true,
		   .extensions = SMTP_EXTENSION_CHUNKING | SMTP_EXTENSION_BINARYMIME},
	 CLIENT(HELLO), .expect = CHUNKING_EHLO},
	{"nor CHUNKING",
	 .setup = {.binary_mime = true,
		   .extensions = SMTP_EXTENSION_CHUNKING | SMTP_EXTENSION_BINARYMIME},
	 CLIENT(HELLO), .expect = BANNER EHLO_REPLY},
	// limits and refusals
	{"the backend refuses the message", CHUNKS,
	 CLIENT(TO_BDAT "BDAT 6\r\nQUIT\r\nBDAT 6 LAST\r\nQUIT\r\nNOOP\r\n"),
	 ANSWERS("250 2.1.5 Recipient OK", "452 4.3.1 full"),
	 .expect = ENVELOPE "[DATA]\n[RESET]\n!backend_refused_message\n452 4.3.1 full\n" NEED_MAIL
			    "250 2.0.0 OK\n"},
	{"the backend is lost", CHUNKS, CLIENT(TO_BDAT "BDAT 6\r\nQUIT\r\nNOOP\r\n"),
	 ANSWERS("250 2.1.5 Recipient OK", "!backend_lost"),
	 .expect =
		 ENVELOPE "[DATA]\n[RESET]\n!backend_lost\n451 4.4.2 Connection to the mail server "
			  "was lost\n250 2.0.0 OK\n"},
};

static void test_scripts(void **state)
{
	dialogue_play_all(scripts, sizeof(scripts) / sizeof(*scripts));
}

// The leg is lost between chunks and inside one.
static void test_lost_in_the_middle(void **state)
{
	static const char *const answers[] = {"250 2.1.5 Recipient OK", "354 go", NULL};
	static const struct session_answer lost = {.failure = REASON_backend_lost};
	static struct dialogue dialogue;
	const struct dialogue_setup setup = {.chunking = true};

	for (int inside = 0; inside < 2; inside++) {
		dialogue_open(&dialogue, &setup);
		dialogue.answers = answers;
		dialogue_send_text(&dialogue, TO_BDAT "BDAT 4\r\nab\r\n");
		if (inside)
			dialogue_send_text(&dialogue, "BDAT 4\r\nc");
		session_fail_body(&dialogue.session, &lost);
		dialogue_send_text(&dialogue, inside ? "d\r\n" : "BDAT 4\r\ncd\r\n");
		dialogue_send_text(&dialogue, "BDAT 4 LAST\r\nef\r\nNOOP\r\n");
		assert_non_null(strstr(dialogue.transcript,
				       "451 4.4.2 Connection to the mail server was lost\n"));
		assert_non_null(strstr(dialogue.transcript, NEED_MAIL "250 2.0.0 OK\n"));
		assert_null(strstr(dialogue.transcript, "[END"));
		dialogue_end(&dialogue);
	}
}

// A server that refuses a chunk while the client is between two of its own: in its own words.
static void test_refused_in_the_middle(void **state)
{
	static const char *const answers[] = {"250 2.1.5 Recipient OK", "354 go", NULL};
	static const char words[] = "554 5.7.1 spam\r\n";
	static struct dialogue dialogue;
	const struct dialogue_setup setup = {.chunking = true, .chunked = true};

	for (int inside = 0; inside < 2; inside++) {
		const struct session_answer refused = {.code = 554, .reply = slice_of_text(words)};

		dialogue_open(&dialogue, &setup);
		dialogue.answers = answers;
		dialogue_send_text(&dialogue, TO_BDAT "BDAT 4\r\nab\r\n");
		if (inside)
			dialogue_send_text(&dialogue, "BDAT 4\r\nc");
		session_fail_body(&dialogue.session, &refused);
		dialogue_send_text(&dialogue, inside ? "d\r\n" : "BDAT 4\r\ncd\r\n");
		assert_non_null(strstr(dialogue.transcript, "554 5.7.1 spam\n"));
		dialogue_send_text(&dialogue, "BDAT 4 LAST\r\nef\r\nNOOP\r\n");
		assert_non_null(strstr(dialogue.transcript, NEED_MAIL "250 2.0.0 OK\n"));
		assert_null(strstr(dialogue.transcript, "[END"));
		dialogue_end(&dialogue);
	}
}

// Octets beyond the limit are read, and none of them is a command.
static void test_too_large(void **state)
{
	static const char *const answers[] = {"250 2.1.5 Recipient OK", "354 go", NULL};
	static struct dialogue dialogue;
	const struct dialogue_setup setup = {.chunking = true, .max_message_size = 6};

	dialogue_open(&dialogue, &setup);
	dialogue.answers = answers;
	dialogue_send_text(&dialogue, TO_BDAT
			   "BDAT 4\r\nab\r\nBDAT 4\r\ncd\r\nBDAT 6 LAST\r\nQUIT\r\nNOOP\r\n");
	assert_non_null(strstr(dialogue.transcript, "[ABORT]"));
	assert_non_null(strstr(dialogue.transcript,
			       "!smtp_too_large\n552 5.3.4 Message size exceeds fixed maximum "
			       "message size\n" NEED_MAIL "250 2.0.0 OK\n"));
	dialogue_end(&dialogue);
}

// Chunks that were on their way when one was refused are no protocol errors; others are.
static void test_pipelined_behind_a_refusal(void **state)
{
	static const char *const answers[] = {"250 2.1.5 Recipient OK", "354 go", NULL};
	static struct dialogue dialogue;
	const struct dialogue_setup setup = {.chunking = true, .max_message_size = 6};

	dialogue_open(&dialogue, &setup);
	dialogue.answers = answers;
	dialogue_send_text(&dialogue, TO_BDAT "BDAT 4\r\nab\r\nBDAT 4\r\ncd\r\n");
	for (unsigned i = 0; i < 20; i++)
		dialogue_send_text(&dialogue, "BDAT 4\r\nef\r\n");
	assert_null(strstr(dialogue.transcript, "421"));
	dialogue_send_text(&dialogue, "RSET\r\n");
	for (unsigned i = 0; i < 6; i++)
		dialogue_send_text(&dialogue, "BDAT 4\r\nef\r\n");
	assert_non_null(strstr(dialogue.transcript, "421 4.7.0 Too many errors"));
	dialogue_end(&dialogue);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_scripts),
		cmocka_unit_test(test_lost_in_the_middle),
		cmocka_unit_test(test_refused_in_the_middle),
		cmocka_unit_test(test_too_large),
		cmocka_unit_test(test_pipelined_behind_a_refusal),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
