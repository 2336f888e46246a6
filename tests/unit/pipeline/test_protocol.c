// SPDX-License-Identifier: BSD-3-Clause
//
// What the protocol log gets of whole sessions: every line in its order and no message content, how
// each session ended; and that a full ring costs lines and no mail.
#include "tests/unit/pipeline/lab.h"

#include "dataplane/base/protocol_record.h"
#include "dataplane/base/record_ring.h"

#include <stdio.h>

static char seen[16384];

static struct lab *open_verbose(const char *gate, size_t ring_bytes)
{
	struct lab *lab = lab_open(gate, "");

	lab->policy->connectors[0].protocol_logging = PROTOCOL_LOGGING_VERBOSE;
	lab->pipeline->protocol = record_ring_create(ring_bytes);
	assert_non_null(lab->pipeline->protocol);
	return lab;
}

static void close_verbose(struct lab *lab)
{
	struct record_ring *ring = lab->pipeline->protocol;

	lab_close(lab);
	record_ring_destroy(ring);
}

// The records since the last call, a line each: event, data, context where there is one.
static const char *logged(struct lab *lab)
{
	const struct protocol_record *record;
	size_t length, used = 0;

	seen[0] = '\0';
	while ((record = record_ring_peek(lab->pipeline->protocol, &length))) {
		assert_int_equal(length, sizeof(*record) + record->length);
		used += (size_t)snprintf(seen + used, sizeof(seen) - used, "%c%.*s", record->event,
					 (int)record->length, (const char *)record->data);
		if (record->context != PROTOCOL_CONTEXT_NONE)
			used += (size_t)snprintf(seen + used, sizeof(seen) - used, " (%u)",
						 record->context);
		used += (size_t)snprintf(seen + used, sizeof(seen) - used, "\n");
		assert_true(used < sizeof(seen));
		record_ring_release(lab->pipeline->protocol);
	}
	return seen;
}

static const char *with(unsigned context)
{
	static char text[4][16];
	static unsigned next;
	char *to = text[next++ % 4];

	snprintf(to, sizeof(text[0]), " (%u)\n", context);
	return to;
}

// Text with a context's number behind it.
#define assert_logged(lab, ...)                                                                    \
	do {                                                                                       \
		const char *const parts[] = {__VA_ARGS__};                                         \
		char expected[4096] = "";                                                          \
		for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)                      \
			strcat(expected, parts[i]);                                                \
		assert_string_equal(logged(lab), expected);                                        \
	} while (0)

static const char opened[] = "+\n*SMTPSubmit SMTPAcceptAnySender "
			     "SMTPAcceptAuthoritativeDomainSender AcceptRoutingHeaders";

static void test_whole_session(void **state)
{
	struct lab *lab = open_verbose("", 65536);
	struct peer *client = lab_connect(lab);

	assert_logged(lab, opened, with(PROTOCOL_CONTEXT_PERMISSIONS), ">220 hello\n");
	lab_say(lab, client, "HELO c.test\r\n");
	assert_logged(lab, "<HELO c.test\n", ">250 mx.test Hello [192.0.2.20]\n");
	lab_say(lab, client, "MAIL FROM:<a@c.test>\r\nRCPT TO:<b@accepted.test>\r\nDATA\r\n");
	assert_logged(lab, "<MAIL FROM:<a@c.test>\n>250 2.1.0 Sender OK\n"
			   "<RCPT TO:<b@accepted.test>\n>250 recipient\n"
			   "<DATA\n>354 Start mail input; end with <CRLF>.<CRLF>\n");
	lab_say(lab, client, "Subject: secret\r\n\r\nsecret\r\n");
	assert_logged(lab, "");
	lab_say(lab, client, ".\r\n");
	assert_logged(lab, "*27", with(PROTOCOL_CONTEXT_OCTETS), ">250 queued as 1\n");
	lab_say(lab, client, "RCPT TO:<x@y.test>\r\n");
	assert_logged(lab, "<RCPT TO:<x@y.test>\n*", with(REASON_smtp_bad_sequence),
		      ">503 5.5.2 Need mail command\n");
	lab_say(lab, client, "QUIT\r\n");
	assert_logged(lab, "<QUIT\n>221 2.0.0 Service closing transmission channel\n-",
		      with(PROTOCOL_CONTEXT_LOCAL));
	assert_int_equal(lab->delivered, 1);
	close_verbose(lab);
}

// Each reply line is a line of the log; chunks count once, at the message's end.
static void test_lines_of_ehlo_and_chunks(void **state)
{
	struct lab *lab = open_verbose("", 65536);
	struct peer *client = lab_connect(lab);
	const char *text;

	logged(lab);
	lab_say(lab, client, "EHLO c.test\r\n");
	text = logged(lab);
	assert_memory_equal(text, "<EHLO c.test\n>250-mx.test Hello", 31);
	assert_non_null(strstr(text, "\n>250-PIPELINING\n"));
	assert_null(strchr(text, '\r'));
	lab_say(lab, client, "MAIL FROM:<a@c.test>\r\nRCPT TO:<b@accepted.test>\r\n");
	logged(lab);
	lab_say(lab, client, "BDAT 6\r\nfirst\nBDAT 8 LAST\r\nsecond\r\n");
	// A bare line feed is no end of a line in the middle of a message.
	assert_null(strstr(logged(lab), "first"));
	close_verbose(lab);
}

static void test_a_line_in_pieces(void **state)
{
	struct lab *lab = open_verbose("", 65536);
	struct peer *client = lab_connect(lab);

	logged(lab);
	lab_say(lab, client, "NO");
	lab_say(lab, client, "OP\r");
	assert_logged(lab, "");
	lab_say(lab, client, "\n");
	assert_logged(lab, "<NOOP\n>250 2.0.0 OK\n");
	close_verbose(lab);
}

// What the client waits for is in the log before the reply is.
static void test_tarpit(void **state)
{
	struct lab *lab = open_verbose("", 65536);
	struct peer *client = lab_connect(lab);

	lab->policy->connectors[0].tarpit_interval_ms = 5000;
	logged(lab);
	lab_say(lab, client, "EXPN list\r\n");
	assert_logged(lab, "<EXPN list\n*", with(REASON_smtp_unrecognized),
		      "*Tarpit for '0.00:00:05'\n");
	lab_run(lab, 5000);
	assert_logged(lab, ">500 5.3.3 Unrecognized command\n");
	close_verbose(lab);
}

// A password that was said to a gate that does not want one is still a password.
static void test_no_secrets(void **state)
{
	struct lab *lab = open_verbose("", 65536);
	struct peer *client = lab_connect(lab);

	logged(lab);
	lab_say(lab, client, "auth  PLAIN AGEAYg==\r\n");
	assert_logged(lab, "<auth  PLAIN\n*", with(REASON_smtp_unrecognized),
		      ">500 5.3.3 Unrecognized command\n");
	close_verbose(lab);
}

static void test_ends(void **state)
{
	struct lab *lab = open_verbose("", 65536);
	struct peer *client;

	client = lab_connect(lab);
	logged(lab);
	client->connection->transport->close(client->connection);
	lab_run(lab, LAB_MOMENT_MS);
	assert_logged(lab, "-", with(PROTOCOL_CONTEXT_REMOTE));

	client = lab_connect(lab);
	logged(lab);
	client->connection->transport->abort(client->connection);
	lab_run(lab, LAB_MOMENT_MS);
	assert_logged(lab, "-", with(PROTOCOL_CONTEXT_REMOTE));

	client = lab_connect(lab);
	logged(lab);
	lab_run(lab, 310000);
	assert_logged(lab, "*", with(REASON_smtp_timeout),
		      ">451 4.7.0 Timeout waiting for client input\n-", with(REASON_smtp_timeout));

	client = lab_connect(lab);
	logged(lab);
	pipeline_drain(lab->pipeline, false, lab->now, &lab->outbox);
	lab_run(lab, LAB_MOMENT_MS);
	assert_logged(lab, "*", with(REASON_smtp_draining),
		      ">421 4.3.2 Service not available, closing transmission channel\n-",
		      with(REASON_smtp_draining));
	close_verbose(lab);
}

// Nobody empties the ring: mail passes, and every line that is not there was counted.
static void test_full_ring(void **state)
{
	struct lab *lab = open_verbose("", 1024);
	struct peer *client = lab_asking(lab, "a");
	const struct protocol_record *record;
	uint32_t lines = lab->pipeline->protocol ? 0 : 1;
	size_t length;

	lab_say(lab, client, "DATA\r\n");
	lab_say(lab, client, "text\r\n.\r\nQUIT\r\n");
	assert_int_equal(lab->delivered, 1);
	assert_non_null(strstr(lab_heard(client), "250 queued as 1\r\n221"));
	while ((record = record_ring_peek(lab->pipeline->protocol, &length))) {
		assert_int_equal(record->sequence, lines++);
		record_ring_release(lab->pipeline->protocol);
	}
	assert_in_range(lines, 5, 24);
	// + * 220, EHLO or HELO, MAIL, RCPT, DATA with a reply each, octets, 250, QUIT, 221, -.
	assert_in_range(lines + lab->reasons[REASON_protocol_log_full].count, 16, 24);
	// With room again the session's next line tells by its number how many are missing.
	client = lab_connect(lab);
	assert_non_null(record_ring_peek(lab->pipeline->protocol, &length));
	close_verbose(lab);
}

static void test_none(void **state)
{
	struct lab *lab = open_verbose("", 65536);
	struct peer *client;

	lab->policy->connectors[0].protocol_logging = PROTOCOL_LOGGING_NONE;
	client = lab_asking(lab, "a");
	lab_say(lab, client, "QUIT\r\n");
	assert_logged(lab, "");
	close_verbose(lab);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole_session),
		cmocka_unit_test(test_lines_of_ehlo_and_chunks),
		cmocka_unit_test(test_a_line_in_pieces),
		cmocka_unit_test(test_tarpit),
		cmocka_unit_test(test_no_secrets),
		cmocka_unit_test(test_ends),
		cmocka_unit_test(test_full_ring),
		cmocka_unit_test(test_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
