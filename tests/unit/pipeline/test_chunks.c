// SPDX-License-Identifier: BSD-3-Clause
//
// A message on its way to a server with CHUNKING: what the client hears, what the server has, and
// what becomes of the connection when either side fails before, in, between and behind chunks.
#include "tests/unit/pipeline/lab.h"

#include <stdio.h>
#include <stdlib.h>

static const char accepted[] = "250 recipient\r\n";
static const char go_on[] = "354 Start mail input; end with <CRLF>.<CRLF>\r\n";
static const char lost[] = "451 4.4.2 Connection to the mail server was lost\r\n";
static const char closing[] = "451 4.3.2 Mail server is closing its channel\r\n";
static const char queued[] = "250 queued as 1\r\n";

#define PIPELINED "250-server\r\n250-PIPELINING\r\n250 CHUNKING\r\n"
#define IN_TURN   "250-server\r\n250 CHUNKING\r\n"
// SendBuffer is 16 KB in the lab: so much makes a chunk of its own, and a second one.
#define LARGE 20000

static struct lab *open_with(const char *hello, struct peer **client)
{
	struct lab *lab = lab_open("", "");

	lab->plan.hello = hello;
	*client = lab_asking(lab, "a");
	assert_heard(*client, accepted);
	return lab;
}

static char *large_body(size_t length)
{
	char *body = malloc(length + 1);

	for (size_t i = 0; i < length; i++)
		body[i] = i % 64 == 62 ? '\r' : i % 64 == 63 ? '\n' : i % 64 == 0 ? '.' : 'x';
	memcpy(body + length - 2, "\r\n", 3);
	if (body[length - 3] == '\r')
		body[length - 3] = 'x';
	return body;
}

static void say_large(struct lab *lab, struct peer *client)
{
	char *body = large_body(LARGE);

	lab_say(lab, client, body);
	free(body);
}

// The next transaction of the client comes by; over so many connections in all.
static void next_message(struct lab *lab, struct peer *client, unsigned connections)
{
	unsigned delivered = lab->delivered;

	lab->plan.chunk = lab_good_plan.chunk;
	lab->plan.final = lab_good_plan.final;
	lab_heard(client);
	lab_say(lab, client, "MAIL FROM:<b@c.test>\r\nRCPT TO:<x@accepted.test>\r\nDATA\r\n");
	assert_non_null(strstr(lab_heard(client), go_on));
	lab_say(lab, client, "Subject: y\r\n\r\nnext\r\n.\r\n");
	assert_heard(client, queued);
	assert_int_equal(lab->delivered, delivered + 1);
	assert_non_null(strstr(lab->message, "\r\nSubject: y\r\n\r\nnext\r\n"));
	assert_int_equal(lab->server_count, connections);
}

static void test_small_message_is_one_chunk(void **state)
{
	struct peer *client;
	struct lab *lab = open_with(PIPELINED, &client);

	lab_say(lab, client, "DATA\r\n");
	assert_heard(client, go_on);
	lab_say(lab, client, "Subject: x\r\n\r\n..\r\n...\r\ntext\r\n");
	assert_int_equal(lab->chunks, 0);
	lab_say(lab, client, ".\r\n");
	assert_heard(client, queued);
	assert_int_equal(lab->chunks, 1);
	assert_int_equal(strncmp(lab->message, "Received: ", 10), 0);
	assert_non_null(strstr(lab->message, "\r\nSubject: x\r\n\r\n.\r\n..\r\ntext\r\n"));
	assert_null(strstr(lab_server(lab)->heard, "DATA"));
	assert_int_equal(lab->connector.messages, 1);
	assert_int_equal(lab->connector.message_bytes,
			 strlen("Subject: x\r\n\r\n.\r\n..\r\ntext\r\n"));
	next_message(lab, client, 1);
	lab_close(lab);
}

// The chunks of a large message are whole, in order and bounded, whatever the window is.
static void test_large_message(void **state)
{
	static const char *const hellos[] = {PIPELINED, IN_TURN};

	for (unsigned i = 0; i < 2; i++) {
		struct peer *client;
		struct lab *lab = open_with(hellos[i], &client);
		char *body = large_body(50000), *unstuffed;

		lab_say(lab, client, "DATA\r\n");
		lab_heard(client);
		lab_say(lab, client, body);
		lab_run(lab, 5000);
		assert_heard(client, "");
		lab_say(lab, client, ".\r\n");
		assert_heard(client, queued);
		assert_in_range(lab->chunks, 4, 50);
		unstuffed = strstr(lab->message, "xxx");
		for (size_t at = 0; body[at];) {
			at += body[at] == '.' && (at == 0 || body[at - 1] == '\n');
			assert_int_equal(*unstuffed++, body[at++]);
		}
		assert_int_equal(*unstuffed, '\0');
		free(body);
		next_message(lab, client, 1);
		lab_close(lab);
	}
}

// ---- The server fails ------------------------------------------------------------------------

static const struct failure {
	const char *name, *chunk, *final;
	const char *heard; // by the client, once its message ended
	unsigned delivered;
	bool keeps; // the connection
} failures[] = {
	{"a chunk refused", "552 5.3.4 too large\r\n", NULL, "552 5.3.4 too large\r\n", 0, true},
	{"a chunk deferred", "452 4.3.1 full\r\n", NULL, "452 4.3.1 full\r\n", 0, true},
	{"421 to a chunk", "421 bye\r\n!FIN", NULL, lost, 0, false},
	{"FIN in place of a chunk's answer", "!FIN", NULL, lost, 0, false},
	{"RST in place of a chunk's answer", "!RST", NULL, lost, 0, false},
	{"FIN between chunks", "250 chunk\r\n!FIN", NULL, lost, 0, false},
	{"RST between chunks", "250 chunk\r\n!RST", NULL, lost, 0, false},
	{"rubbish to a chunk", "what?\r\n", NULL,
	 "451 4.3.0 Mail server gave a reply that is not understood\r\n", 0, false},
	{"the message refused", NULL, "554 5.7.1 spam\r\n", "554 5.7.1 spam\r\n", 0, true},
	{"421 to the message", NULL, "421 bye\r\n!FIN", closing, 0, false},
	{"FIN in place of the final answer", NULL, "!FIN", lost, 0, false},
	{"RST in place of the final answer", NULL, "!RST", lost, 0, false},
	{"half a final answer", NULL, "451 que!FIN", lost, 0, false},
	{"FIN behind the final answer", NULL, "250 queued\r\n!FIN", "250 queued\r\n", 1, false},
};

// large: chunks come before the last one. late: the refusal comes when the client's end was seen.
static void fail_with(const struct failure *failure, const char *hello, bool late)
{
	struct peer *client;
	struct lab *lab = open_with(hello, &client);

	print_message("%s, %s\n", failure->name, late ? "late" : "soon");
	if (failure->chunk)
		lab->plan.chunk = failure->chunk;
	if (failure->final)
		lab->plan.final = failure->final;
	lab_say(lab, client, "DATA\r\n");
	assert_heard(client, go_on);
	if (late)
		lab->wire.weather[STATION_GATE_INSIDE].delay_us = 300000;
	say_large(lab, client);
	if (!late)
		assert_heard(client, "");
	lab_say(lab, client, ".\r\n");
	lab_run(lab, 5000);
	lab->wire.weather[STATION_GATE_INSIDE].delay_us = 100;
	assert_heard(client, failure->heard);
	assert_int_equal(lab->delivered, failure->delivered);
	assert_int_equal(lab->connector.messages, failure->delivered);
	lab_say(lab, client, "NOOP\r\n");
	assert_heard(client, "250 2.0.0 OK\r\n");
	next_message(lab, client, failure->keeps ? 1 : 2);
	lab_close(lab);
}

static void test_server_fails(void **state)
{
	for (size_t i = 0; i < sizeof(failures) / sizeof(failures[0]); i++)
		for (unsigned how = 0; how < 4; how++)
			fail_with(&failures[i], how & 1 ? PIPELINED : IN_TURN, how & 2);
}

static void test_silent_server(void **state)
{
	struct peer *client;
	struct lab *lab = open_with(PIPELINED, &client);

	lab->plan.chunk = "";
	lab_say(lab, client, "DATA\r\n");
	lab_heard(client);
	say_large(lab, client);
	lab_run(lab, 310000);
	assert_int_equal(lab->reasons[REASON_backend_timeout].count, 1);
	assert_int_equal(pipeline_levels(lab->pipeline).servers, 0);
	lab_close(lab);
}

// ---- The client fails ------------------------------------------------------------------------

// What is abandoned costs no connection, whether nothing, a chunk, or more was sent of it.
static void test_abandoned_message_keeps_the_connection(void **state)
{
	static const char *const ends[] = {"FIN", "RST", "a\nb\r\n.\r\n"};

	for (unsigned i = 0; i < 12; i++) {
		struct peer *client, *other;
		struct lab *lab = open_with(i & 1 ? PIPELINED : IN_TURN, &client);
		const char *end = ends[i / 2 % 3];

		lab_say(lab, client, "DATA\r\n");
		lab_heard(client);
		lab_say(lab, client, "Subject: x\r\n\r\nhalf a li");
		if (i >= 6)
			say_large(lab, client);
		assert_int_equal(lab->chunks > 0, i >= 6);
		if (strcmp(end, "FIN") == 0)
			client->connection->transport->close(client->connection);
		else if (strcmp(end, "RST") == 0)
			client->connection->transport->abort(client->connection);
		else
			lab_say(lab, client, end);
		lab_run(lab, LAB_MOMENT_MS);
		assert_int_equal(lab->delivered, 0);
		assert_int_equal(lab->resets, 1);
		assert_int_equal(lab->connector.messages_aborted, 1);
		assert_int_equal(pipeline_levels(lab->pipeline).servers, 1);
		other = lab_connect(lab);
		lab_say(lab, other, "EHLO c.test\r\n");
		next_message(lab, other, 1);
		lab_close(lab);
	}
}

// The same for what the gate itself refuses, and the session goes on.
static void test_refused_body_keeps_the_connection(void **state)
{
	struct peer *client;
	struct lab *lab = open_with(PIPELINED, &client);

	lab_say(lab, client, "DATA\r\n");
	lab_heard(client);
	for (unsigned i = 0; i < 70; i++)
		lab_say(lab, client, "Received: by a\r\n");
	lab_say(lab, client, "\r\n.\r\n");
	assert_heard(client, "554 5.4.6 Hop count exceeded - possible mail loop\r\n");
	assert_int_equal(lab->delivered, 0);
	assert_int_equal(lab->resets, 1);
	next_message(lab, client, 1);
	lab_close(lab);
}

// The client leaves while the server has not answered the chunks before the last one.
static void test_client_leaves_before_the_last_chunk(void **state)
{
	struct peer *client, *other;
	struct lab *lab = open_with(PIPELINED, &client);

	lab->plan.chunk = "";
	lab_say(lab, client, "DATA\r\n");
	lab_heard(client);
	say_large(lab, client);
	lab_say(lab, client, ".\r\n");
	client->connection->transport->abort(client->connection);
	lab_run(lab, LAB_MOMENT_MS);
	lab->plan.chunk = lab_good_plan.chunk;
	lab_say(lab, lab_server(lab), "250 chunk\r\n250 chunk\r\n");
	assert_int_equal(lab->delivered, 0);
	other = lab_connect(lab);
	lab_say(lab, other, "EHLO c.test\r\n");
	next_message(lab, other, 1);
	lab_close(lab);
}

// With FIN it has said all there is: the message is the server's.
static void test_client_closes_before_the_last_chunk(void **state)
{
	struct peer *client;
	struct lab *lab = open_with(PIPELINED, &client);

	lab->plan.chunk = "";
	lab_say(lab, client, "DATA\r\n");
	lab_heard(client);
	client->stays = true;
	say_large(lab, client);
	lab_say(lab, client, ".\r\n");
	client->connection->transport->close(client->connection);
	lab_run(lab, LAB_MOMENT_MS);
	lab_say(lab, lab_server(lab), "250 chunk\r\n");
	lab_say(lab, lab_server(lab), "250 chunk\r\n");
	assert_heard(client, queued);
	assert_int_equal(lab->delivered, 1);
	lab_close(lab);
}

// ---- Time and buffers ------------------------------------------------------------------------

// A slow client's bytes reach the server, whose patience may end.
static void test_slow_client(void **state)
{
	struct peer *client;
	struct lab *lab = open_with(PIPELINED, &client);

	lab_say(lab, client, "DATA\r\n");
	lab_say(lab, client, "Subject: x\r\n");
	lab_run(lab, 8000);
	assert_int_equal(lab->chunks, 0);
	lab_run(lab, 3000);
	assert_int_equal(lab->chunks, 1);
	lab_run(lab, 200000);
	assert_int_equal(lab->chunks, 1);
	lab_heard(client);
	lab_say(lab, client, "\r\ntext\r\n.\r\n");
	assert_heard(client, queued);
	assert_non_null(strstr(lab->message, "\r\nSubject: x\r\n\r\ntext\r\n"));
	assert_int_equal(lab->chunks, 2);
	lab_close(lab);
}

// However much a client sends, no more is held than SendBuffer and what its window let in.
static void test_server_that_does_not_read(void **state)
{
	struct peer *client;
	struct lab *lab = open_with(PIPELINED, &client);
	char *body = large_body(60000);

	lab_say(lab, client, "DATA\r\n");
	lab_heard(client);
	lab->server.deaf = true;
	lab_say(lab, client, body);
	lab_say(lab, client, ".\r\n");
	lab_run(lab, 2000);
	assert_true(lab_server(lab)->connection != NULL);
	lab->server.deaf = false;
	lab_run(lab, 20000);
	assert_heard(client, queued);
	assert_int_equal(lab->reasons[REASON_buffers_low].count, 0);
	free(body);
	lab_close(lab);
}

// ---- BINARYMIME and SIZE ---------------------------------------------------------------------

static void test_binary(void **state)
{
	static const char hello[] =
		"250-server\r\n250-BINARYMIME\r\n250-SIZE 5000\r\n250 CHUNKING\r\n";
	static const char ehlo[] = "250-SIZE 5000\r\n";
	struct lab *lab = lab_open("", "ProbeInterval = 5s\n");
	struct peer *client;

	lab->plan.hello = hello;
	lab_run(lab, 12000);
	client = lab_connect(lab);
	lab_say(lab, client, "EHLO c.test\r\nMAIL FROM:<b@c.test> SIZE=5001\r\n");
	assert_non_null(strstr(client->heard, ehlo));
	assert_non_null(strstr(client->heard, "\r\n250-BINARYMIME\r\n"));
	assert_non_null(strstr(lab_heard(client), "552 5.3.4 "));
	lab_say(lab, client,
		"MAIL FROM:<b@c.test> SIZE=5000 BODY=BINARYMIME\r\nRCPT TO:<x@accepted.test>\r\n");
	assert_non_null(strstr(lab_server(lab)->heard, "SIZE=5000 BODY=BINARYMIME\r\n"));
	lab_say(lab, client, "BDAT 13\r\na: b\r\n\r\n\n.\n\r.BDAT 5 LAST\r\n\r\n.\r\n");
	assert_non_null(strstr(lab_heard(client), queued));
	assert_non_null(strstr(lab->message, "\r\na: b\r\n\r\n\n.\n\r.\r\n.\r\n"));
	// The server lost it since it was last asked: nothing is converted.
	lab->plan.hello = PIPELINED;
	lab_say(lab, lab_server(lab), "421 bye\r\n");
	lab_say(lab, client,
		"MAIL FROM:<b@c.test> BODY=BINARYMIME\r\nRCPT TO:<x@accepted.test>\r\n");
	assert_non_null(strstr(lab_heard(client), "\r\n451 "));
	assert_int_equal(lab->reasons[REASON_backend_lacks_extension].count, 1);
	lab_close(lab);
}

// Binary is a body. In the header every server has to see the same lines: one that takes CR LF alone
// for a line's end would read on in the header where another one sees the body.
static void test_binary_header(void **state)
{
	static const char field[] = "X-MS-Exchange-Organization-SCL: -1\r\n";
	static const char *const headers[] = {
		"a: b\n\n\r\n", "a: b\r\n\n\r\n", "a: b\r\r\n", "a: b\r\r\r\n", "a: b\r\n\r\r\n",
	};

	for (size_t i = 0; i < 2 * sizeof(headers) / sizeof(headers[0]); i++) {
		struct lab *lab = lab_open("", "ProbeInterval = 5s\n");
		struct peer *client;
		char text[256];
		const char *end;

		lab->policy->connectors[0].bare_linefeed_rejection = i & 1;
		lab->plan.hello = "250-server\r\n250-BINARYMIME\r\n250 CHUNKING\r\n";
		lab_run(lab, 12000);
		client = lab_connect(lab);
		lab_say(lab, client, "EHLO c.test\r\n");
		lab_say(lab, client, "MAIL FROM:<b@c.test> BODY=BINARYMIME\r\n");
		lab_say(lab, client, "RCPT TO:<x@accepted.test>\r\n");
		snprintf(text, sizeof(text), "BDAT %zu LAST\r\n%s%s\r\nx",
			 strlen(headers[i / 2]) + strlen(field) + 3, headers[i / 2], field);
		lab_say(lab, client, text);
		end = strstr(lab->message, "\r\n\r\n");
		if (lab->delivered == 0)
			assert_int_equal(lab->reasons[REASON_smtp_bad_line_ending].count, 1);
		else if (strstr(lab->message, field))
			assert_true(end && end < strstr(lab->message, field));
		lab_close(lab);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_small_message_is_one_chunk),
		cmocka_unit_test(test_large_message),
		cmocka_unit_test(test_server_fails),
		cmocka_unit_test(test_silent_server),
		cmocka_unit_test(test_abandoned_message_keeps_the_connection),
		cmocka_unit_test(test_refused_body_keeps_the_connection),
		cmocka_unit_test(test_client_leaves_before_the_last_chunk),
		cmocka_unit_test(test_client_closes_before_the_last_chunk),
		cmocka_unit_test(test_slow_client),
		cmocka_unit_test(test_server_that_does_not_read),
		cmocka_unit_test(test_binary),
		cmocka_unit_test(test_binary_header),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
