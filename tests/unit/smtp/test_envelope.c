// SPDX-License-Identifier: BSD-3-Clause
//
// Tests of smtp/envelope: what a session gives to its backend leg.
#include "dataplane/smtp/path.h"
#include "tests/unit/smtp/dialogue.h"

static const char *sender(struct dialogue *dialogue, unsigned extensions, bool *possible)
{
	static char text[SESSION_COMMAND_MAX + 1];
	const struct slice slice =
		session_sender(&dialogue->session, extensions, text, SESSION_COMMAND_MAX, possible);
	text[slice.length] = '\0';
	return text;
}

static void test_sender(void **state)
{
	enum { EIGHT = SMTP_EXTENSION_8BITMIME, SIZE = SMTP_EXTENSION_SIZE };
	static const struct {
		const char *mail;
		unsigned extensions;
		const char *text;
		bool possible;
	} cases[] = {
		{"MAIL FROM:<>\r\n", EIGHT | SIZE, "<>", true},
		{"MAIL FROM:<> SIZE=7\r\n", EIGHT | SIZE, "<> SIZE=7", true},
		{"MAIL FROM:<> SIZE=7\r\n", EIGHT, "<>", true},
		{"MAIL FROM:<> SIZE=0\r\n", SIZE, "<>", true},
		{"MAIL FROM:<A@b> BODY=8BITMIME SIZE=7\r\n", EIGHT | SIZE,
		 "<A@b> SIZE=7 BODY=8BITMIME", true},
		{"MAIL FROM:<A@b> BODY=8BITMIME SIZE=7\r\n", SIZE, "<A@b> SIZE=7", false},
		{"MAIL FROM:<A@b> BODY=7BIT\r\n", 0, "<A@b>", true},
		{"NOOP\r\n", EIGHT | SIZE, "", true},
	};
	static struct dialogue dialogue;
	const struct dialogue_setup setup = {0};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		bool possible;
		dialogue_open(&dialogue, &setup);
		dialogue_send_text(&dialogue, HELLO);
		dialogue_send_text(&dialogue, cases[i].mail);
		assert_string_equal(sender(&dialogue, cases[i].extensions, &possible),
				    cases[i].text);
		assert_int_equal(possible, cases[i].possible);
		dialogue_end(&dialogue);
	}
}

// Long addresses are for servers that take them, and only where they were offered.
static void test_long_addresses(void **state)
{
	static const char *const answers[] = {"250 ok", NULL};
	static struct dialogue dialogue;
	const struct dialogue_setup setup = {.long_addresses = true,
					     .extensions = SMTP_EXTENSION_XLONGADDR};
	const struct dialogue_setup without[] = {{.extensions = SMTP_EXTENSION_XLONGADDR},
						 {.long_addresses = true}};
	char local[1501], line[1600];
	bool possible;

	memset(local, 'x', 1500);
	local[1500] = '\0';
	snprintf(line, sizeof(line), "RCPT TO:<%s@own.test>\r\n", local);
	dialogue_open(&dialogue, &setup);
	dialogue_send_text(&dialogue, HELLO MAIL);
	assert_non_null(strstr(dialogue.transcript, "250 XLONGADDR\n"));
	sender(&dialogue, 0, &possible);
	assert_true(possible);
	dialogue.answers = answers;
	dialogue.transcript[dialogue.length = 0] = '\0';
	dialogue_send(&dialogue, line, 1000); // in two pieces
	dialogue_send_text(&dialogue, line + 1000);
	assert_non_null(strstr(dialogue.transcript, "250 ok\n"));
	sender(&dialogue, 0, &possible);
	assert_false(possible);
	sender(&dialogue, SMTP_EXTENSION_XLONGADDR, &possible);
	assert_true(possible);
	// HELO takes the offer back.
	dialogue_send_text(&dialogue, "HELO x\r\n" MAIL);
	dialogue.transcript[dialogue.length = 0] = '\0';
	dialogue_send_text(&dialogue, line);
	dialogue_expect(&dialogue, "!smtp_line_too_long\n500 5.5.2 Line too long\n");
	dialogue_end(&dialogue);
	for (unsigned i = 0; i < 2; i++) {
		dialogue_open(&dialogue, &without[i]);
		dialogue_send_text(&dialogue, HELLO MAIL "RCPT TO:<x@");
		assert_null(strstr(dialogue.transcript, "XLONGADDR"));
		dialogue.transcript[dialogue.length = 0] = '\0';
		dialogue_send_text(&dialogue, line + 9);
		dialogue_expect(&dialogue, "!smtp_line_too_long\n500 5.5.2 Line too long\n");
		dialogue_end(&dialogue);
	}
}

// A long alternate recipient needs servers that take long addresses, too; the longest command fits.
static void test_long_alternate_recipients(void **state)
{
	enum { ORAR = SMTP_EXTENSION_XORAR, LONG = SMTP_EXTENSION_XLONGADDR };
	static const char *const answers[] = {"250 ok", "250 ok", NULL};
	static struct dialogue dialogue;
	const struct dialogue_setup setup = {.orar = true,
					     .long_addresses = true,
					     .extensions = ORAR | LONG | SMTP_EXTENSION_DSN};
	const struct dialogue_setup without = {.orar = true, .extensions = ORAR | LONG};
	char local[PATH_LONG_ADDRESS], line[6000];
	bool possible;

	memset(local, 'x', sizeof(local));
	snprintf(line, sizeof(line), "RCPT TO:<b@own.test> ORAR=rfc822;%.300s@own.test\r\n", local);
	dialogue_open(&dialogue, &without);
	dialogue_send_text(&dialogue, HELLO MAIL);
	dialogue.transcript[dialogue.length = 0] = '\0';
	dialogue_send_text(&dialogue, line);
	assert_memory_equal(dialogue.transcript, "!smtp_bad_address\n501 5.1.3", 27);
	dialogue_end(&dialogue);

	dialogue_open(&dialogue, &setup);
	dialogue.answers = answers;
	dialogue_send_text(&dialogue, HELLO MAIL "RCPT TO:<b@own.test> ORAR=rfc822;c@own.test\r\n");
	sender(&dialogue, ORAR, &possible);
	assert_true(possible);
	sender(&dialogue, LONG, &possible);
	assert_false(possible);
	dialogue.transcript[dialogue.length = 0] = '\0';
	snprintf(line, sizeof(line),
		 "RCPT TO:<%.1851s@own.test> NOTIFY=SUCCESS,FAILURE,DELAY ORCPT=rfc822;%.493s "
		 "ORAR=rfc822;%.1851s@own.test\r\n",
		 local, local, local);
	dialogue_send_text(&dialogue, line);
	line[strlen(line) - 2] = '\0';
	assert_memory_equal(dialogue.transcript + strlen("[RECIPIENT <a@foreign.test> "),
			    line + strlen("RCPT TO:"), strlen(line) - strlen("RCPT TO:"));
	assert_non_null(strstr(dialogue.transcript, "]\n250 ok\n"));
	sender(&dialogue, ORAR | SMTP_EXTENSION_DSN, &possible);
	assert_false(possible);
	sender(&dialogue, ORAR | LONG | SMTP_EXTENSION_DSN, &possible);
	assert_true(possible);
	dialogue_end(&dialogue);
}

static void test_recipient_is_there_while_it_is_asked(void **state)
{
	static struct dialogue dialogue;
	const struct dialogue_setup setup = {0};
	char scratch[SESSION_COMMAND_MAX];
	dialogue_open(&dialogue, &setup);
	dialogue_send_text(&dialogue, HELLO MAIL);
	assert_int_equal(session_recipient(&dialogue.session, scratch, sizeof(scratch)).length, 0);
	dialogue_send_text(&dialogue, "RCPT TO: <B@Own.test>\r\n");
	assert_true(slice_equals_text(
		session_recipient(&dialogue.session, scratch, sizeof(scratch)), "<B@Own.test>"));
	dialogue_answer(&dialogue, "250 ok");
	assert_int_equal(session_recipient(&dialogue.session, scratch, sizeof(scratch)).length, 0);
	dialogue_end(&dialogue);
}

#define RECEIVED                                                                                   \
	"Received: from client.example ([192.0.2.7]) by mx.own.test with ESMTP id\r\n"             \
	"\t08D06729BA48D0CA; Tue, 2 Jan 2024 03:04:05 +0000\r\n"
#define STAMP     "X-MS-Exchange-Organization-"
#define ANONYMOUS STAMP "AuthAs: Anonymous\r\n" STAMP "AuthSource: mx.own.test\r\n"
#define INTERNAL  STAMP "AuthAs: Internal\r\n" STAMP "AuthSource: mx.own.test\r\n"

static void test_added_header(void **state)
{
	static const struct {
		struct dialogue_setup setup;
		const char *client, *header;
		bool allowed;
	} cases[] = {
		{{0}, HELLO, RECEIVED ANONYMOUS, false},
		{{.ipv6 = true},
		 "HELO [::1]\r\n",
		 "Received: from [::1] ([IPv6:2001:db8::7]) by mx.own.test with SMTP id\r\n"
		 "\t08D06729BA48D0CA; Tue, 2 Jan 2024 03:04:05 +0000\r\n" ANONYMOUS,
		 false},
		{{0},
		 "EHLO\r\n",
		 "Received: from [192.0.2.7] ([192.0.2.7]) by mx.own.test with ESMTP id\r\n"
		 "\t08D06729BA48D0CA; Tue, 2 Jan 2024 03:04:05 +0000\r\n" ANONYMOUS,
		 false},
		{{.extensions = SMTP_EXTENSION_SMTPUTF8},
		 HELLO "MAIL FROM:<\xc3\xa9@b> SMTPUTF8\r\n",
		 "Received: from client.example ([192.0.2.7]) by mx.own.test with UTF8SMTP id\r\n"
		 "\t08D06729BA48D0CA; Tue, 2 Jan 2024 03:04:05 +0000\r\n" ANONYMOUS,
		 false},
		{{0},
		 HELLO,
		 RECEIVED ANONYMOUS STAMP "SCL: -1\r\n" STAMP "Antispam-Report: IPOnAllowList\r\n",
		 true},
		{{.granted = RIGHT_BYPASS_ANTI_SPAM},
		 HELLO,
		 RECEIVED ANONYMOUS STAMP "SCL: -1\r\n" STAMP
					  "Antispam-Report: MessageSecurityAntispamBypass\r\n",
		 false},
		// AUTH= counts with its right only, and only if it names somebody.
		{{.granted = RIGHT_ACCEPT_AUTHENTICATION_FLAG},
		 HELLO "MAIL FROM:<> AUTH=a@b\r\n",
		 RECEIVED INTERNAL,
		 false},
		{{.granted = RIGHT_ACCEPT_AUTHENTICATION_FLAG},
		 HELLO "MAIL FROM:<> AUTH=<>\r\n",
		 RECEIVED ANONYMOUS,
		 false},
		{{0}, HELLO "MAIL FROM:<> AUTH=a@b\r\n", RECEIVED ANONYMOUS, false},
		// Whose own stamps pass gets none of ours.
		{{.granted = RIGHT_ACCEPT_HEADERS_ORGANIZATION | RIGHT_BYPASS_ANTI_SPAM},
		 HELLO,
		 RECEIVED,
		 true},
		{{.mechanisms = MECHANISM_EXTERNAL_AUTHORITATIVE},
		 HELLO,
		 RECEIVED INTERNAL STAMP "AuthMechanism: 10\r\n",
		 true},
	};
	static struct dialogue dialogue;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		char header[SESSION_ADDED_MAX + 1];
		dialogue_open(&dialogue, &cases[i].setup);
		dialogue.session.peer.allowed = cases[i].allowed;
		dialogue_send_text(&dialogue, cases[i].client);
		header[session_added_header(&dialogue.session, dialogue.now, header,
					    SESSION_ADDED_MAX)] = '\0';
		assert_string_equal(header, cases[i].header);
		dialogue_end(&dialogue);
	}
}

// Whatever its length, and the last one counts.
static void test_received_header_of_each_name(void **state)
{
	static struct dialogue dialogue;
	char name[SESSION_HELLO_MAX + 1], line[sizeof(name) + 16];
	char header[SESSION_ADDED_MAX + 1], wanted[sizeof(name) + 32];

	dialogue_open(&dialogue, &(struct dialogue_setup){0});
	for (size_t length = 1; length <= SESSION_HELLO_MAX; length++) {
		// Up and down through the lengths, across what the session itself has room for.
		size_t octets = length % 2 ? length : SESSION_HELLO_MAX + 1 - length;

		for (size_t i = 0; i < octets; i++)
			name[i] = i % 60 == 59 && i + 1 < octets ? '.' : (char)('a' + octets % 26);
		name[octets] = '\0';
		snprintf(line, sizeof(line), "EHLO %s\r\n", name);
		dialogue_send_text(&dialogue, line);
		header[session_added_header(&dialogue.session, dialogue.now, header,
					    SESSION_ADDED_MAX)] = '\0';
		snprintf(wanted, sizeof(wanted), " %s ([", name);
		for (char *at = header; (at = strstr(at, "\r\n\t"));) // unfolded
			memmove(at, at + 2, strlen(at + 2) + 1);
		for (char *at = header; (at = strchr(at, '\t'));)
			*at = ' ';
		if (!strstr(header, wanted))
			fail_msg("%s: %s", name, header);
		assert_int_equal(pool_used(&dialogue.chunks), octets > SESSION_HELLO_SHORT);
		dialogue.length = 0;
	}
	dialogue_end(&dialogue);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sender),
		cmocka_unit_test(test_long_addresses),
		cmocka_unit_test(test_long_alternate_recipients),
		cmocka_unit_test(test_recipient_is_there_while_it_is_asked),
		cmocka_unit_test(test_added_header),
		cmocka_unit_test(test_received_header_of_each_name),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
