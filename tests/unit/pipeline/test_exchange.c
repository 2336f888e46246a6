// SPDX-License-Identifier: BSD-3-Clause
//
// One transaction between a session and its server: what the client hears and where the message
// went when the server fails at each step, pooled connections, and those who wait.
#include "tests/unit/pipeline/lab.h"

#include <stdio.h>
#include <stdlib.h>

static const char accepted[] = "250 recipient\r\n";
static const char go_on[] = "354 Start mail input; end with <CRLF>.<CRLF>\r\n";
static const char lost[] = "451 4.4.2 Connection to the mail server was lost\r\n";
static const char closing[] = "451 4.3.2 Mail server is closing its channel\r\n";
static const char failed[] = "451 4.4.1 No mail server is available\r\n";

static void send_body(struct lab *lab, struct peer *client)
{
	lab_say(lab, client, "Subject: x\r\n\r\n");
	lab_say(lab, client, "text\r\n.\r\n");
}

// A whole message behind lab_asking; the answer to it is returned.
static const char *send_message(struct lab *lab, struct peer *client)
{
	assert_heard(client, accepted);
	lab_say(lab, client, "DATA\r\n");
	assert_heard(client, go_on);
	send_body(lab, client);
	return lab_heard(client);
}

static void test_message_goes_through(void **state)
{
	struct lab *lab = lab_open("", "");
	struct peer *client = lab_asking(lab, "a");

	assert_string_equal(send_message(lab, client), "250 queued as 1\r\n");
	assert_int_equal(lab->delivered, 1);
	assert_int_equal(strncmp(lab->message, "Received: ", 10), 0);
	assert_non_null(strstr(lab->message, "\r\nSubject: x\r\n\r\ntext\r\n"));
	assert_int_equal(lab->connector.messages, 1);
	assert_int_equal(lab->connector.message_bytes, strlen("Subject: x\r\n\r\ntext\r\n"));
	assert_int_equal(lab->connector.recipients, 1);
	assert_int_equal(lab->connector.transactions, 1);
	lab_close(lab);
}

// The server's connection ends where its plan has a "!": what the client hears to RCPT, DATA and
// the message, as far as it comes.
static const struct death {
	const char *name;
	struct plan plan; // as far as it differs from the good one
	const char *rcpt, *data, *message;
	unsigned delivered, deferred;
} deaths[] = {
	{"greeting", {.greeting = "!"}, .rcpt = failed},
	{"half a greeting", {.greeting = "220 ser!"}, .rcpt = failed},
	{"hello", {.hello = "!"}, .rcpt = failed},
	{"MAIL", {.mail = "!"}, .rcpt = lost},
	{"RCPT", {.recipient = "!"}, .rcpt = lost},
	{"between RCPT and DATA",
	 {.recipient = "250 recipient\r\n!"},
	 .rcpt = accepted,
	 .data = lost,
	 .deferred = 1},
	{"DATA", {.data = "!"}, .rcpt = accepted, .data = lost, .deferred = 1},
	{"in the body", {.data = "354 go on\r\n!"}, accepted, go_on, lost, 0, 1},
	{"final reply", {.final = "!"}, accepted, go_on, lost, 0, 1},
	{"half a final reply", {.final = "451 que!"}, accepted, go_on, lost, 0, 1},
	{"421 to RCPT", {.recipient = "421 bye\r\n!"}, .rcpt = closing},
	{"421 to DATA", {.data = "421 bye\r\n!"}, accepted, closing, .deferred = 1},
	{"421 in the body", {.data = "354 go on\r\n421 bye\r\n!"}, accepted, go_on, lost, 0, 1},
	{"421 to the message", {.final = "421 bye\r\n!"}, accepted, go_on, closing, 0, 1},
	{"behind it", {.final = "250 queued\r\n!"}, accepted, go_on, "250 queued\r\n", 1, 0},
};

// However many commands were refused for it, a failure of the server's is one.
static unsigned faults_counted(const struct lab *lab)
{
	static const enum reason reasons[] = {
		REASON_backend_unavailable,    REASON_backend_busy,
		REASON_backend_lost,           REASON_backend_timeout,
		REASON_backend_connect_failed, REASON_backend_malformed_reply,
	};
	unsigned sum = 0;

	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
		sum += (unsigned)lab->reasons[reasons[i]].count;
	return sum;
}

// The planned text with FIN or RST for its "!".
static const char *planned(const char *text, const char *good, const char *how, char store[64])
{
	if (!text)
		return good;
	snprintf(store, 64, "%.*s%s", (int)strcspn(text, "!"), text, strchr(text, '!') ? how : "");
	return store;
}

static void die(const struct death *death, const char *how)
{
	struct lab *lab = lab_open("", "");
	const struct plan *good = &lab_good_plan;
	char store[6][64];
	struct peer *client;

	lab->plan = (struct plan){
		planned(death->plan.greeting, good->greeting, how, store[0]),
		planned(death->plan.hello, good->hello, how, store[1]),
		planned(death->plan.mail, good->mail, how, store[2]),
		planned(death->plan.recipient, good->recipient, how, store[3]),
		planned(death->plan.data, good->data, how, store[4]),
		planned(death->plan.final, good->final, how, store[5]),
		good->chunk,
	};
	client = lab_asking(lab, "a");
	assert_heard(client, death->rcpt);
	if (death->data) {
		lab_say(lab, client, "DATA\r\n");
		assert_heard(client, death->data);
	}
	if (death->message) {
		send_body(lab, client);
		assert_heard(client, death->message);
	}
	// What a lost connection refuses later is no second loss.
	if (!death->data) {
		lab_say(lab, client, "RCPT TO:<y@accepted.test>\r\n");
		assert_int_equal(strncmp(lab_heard(client), "451 ", 4), 0);
	}
	lab_say(lab, client, "NOOP\r\n");
	assert_heard(client, "250 2.0.0 OK\r\n");
	assert_int_equal(lab->delivered, death->delivered);
	assert_int_equal(lab->connector.messages, death->delivered);
	assert_int_equal(lab->connector.messages_deferred, death->deferred);
	assert_int_equal(faults_counted(lab), death->delivered ? 0 : 1);
	assert_int_equal(lab->connector.messages_aborted, 0);
	assert_int_equal(lab->connector.recipients_refused_backend,
			 death->rcpt == accepted ? 0 : 2);
	assert_int_equal(pipeline_levels(lab->pipeline).servers, 0);
	lab_close(lab);
}

static void test_server_dies(void **state)
{
	for (size_t i = 0; i < sizeof(deaths) / sizeof(deaths[0]); i++) {
		print_message("%s\n", deaths[i].name);
		die(&deaths[i], "!FIN");
		die(&deaths[i], "!RST");
	}
}

static void test_refusal_in_the_body_waits_for_its_end(void **state)
{
	struct lab *lab = lab_open("", "");
	struct peer *client;

	lab->plan.data = "354 go on\r\n552 too much\r\n";
	client = lab_asking(lab, "a");
	assert_heard(client, accepted);
	lab_say(lab, client, "DATA\r\n");
	lab_heard(client);
	lab_say(lab, client, "Subject: x\r\n");
	assert_heard(client, "");
	lab_say(lab, client, ".\r\n");
	assert_non_null(strstr(lab_heard(client), "5"));
	assert_int_equal(lab->delivered, 0);
	lab_close(lab);
}

// ---- Pooled connections ----------------------------------------------------------------------

static void test_stale_connection_is_replaced_unseen(void **state)
{
	struct lab *lab = lab_open("", "");
	struct peer *client = lab_asking(lab, "a");

	assert_string_equal(send_message(lab, client), "250 queued as 1\r\n");
	assert_int_equal(lab->server_count, 1);
	// The server's host forgot the connection: MAIL on it is answered by RST.
	lab->mails_reset = 1;
	lab_say(lab, client, "MAIL FROM:<b@c.test>\r\n");
	lab_heard(client);
	lab_say(lab, client, "RCPT TO:<x@accepted.test>\r\n");
	assert_string_equal(send_message(lab, client), "250 queued as 1\r\n");
	assert_int_equal(lab->server_count, 2);
	assert_int_equal(lab->delivered, 2);
	assert_int_equal(lab->connector.recipients_refused_backend, 0);
	lab_close(lab);
}

static void test_dead_replacement_is_told(void **state)
{
	struct lab *lab = lab_open("", "");
	struct peer *client = lab_asking(lab, "a");

	send_message(lab, client);
	lab->mails_reset = 2;
	lab_say(lab, client, "MAIL FROM:<b@c.test>\r\nRCPT TO:<x@accepted.test>\r\n");
	assert_string_equal(strchr(lab_heard(client), '\n') + 1, lost);
	assert_int_equal(lab->server_count, 2);
	assert_int_equal(lab->connector.recipients_refused_backend, 1);
	lab_close(lab);
}

// The replacement is a new connection: those that waited in the pool still longer are as dead.
static void test_replacement_is_a_new_connection(void **state)
{
	struct lab *lab = lab_open("", "");
	struct peer *clients[3];

	for (unsigned i = 0; i < 3; i++)
		clients[i] = lab_asking(lab, "a");
	for (unsigned i = 0; i < 3; i++)
		assert_string_equal(send_message(lab, clients[i]), "250 queued as 1\r\n");
	assert_int_equal(lab->server_count, 3);
	lab->mails_reset = 1;
	lab_say(lab, clients[0], "MAIL FROM:<b@c.test>\r\n");
	lab_heard(clients[0]);
	lab_say(lab, clients[0], "RCPT TO:<x@accepted.test>\r\n");
	assert_string_equal(send_message(lab, clients[0]), "250 queued as 1\r\n");
	assert_int_equal(lab->server_count, 4);
	assert_int_equal(lab->delivered, 4);
	assert_int_equal(pipeline_levels(lab->pipeline).servers, 1);
	lab_close(lab);
}

// With every connection in use or dead, there is room for the replacement once the dead one is
// gone.
static void test_replacement_at_max_connections(void **state)
{
	struct lab *lab = lab_open("", "MaxConnections = 1\n");
	struct peer *client = lab_asking(lab, "a");

	send_message(lab, client);
	lab->mails_reset = 1;
	lab_say(lab, client, "MAIL FROM:<b@c.test>\r\n");
	lab_heard(client);
	lab_say(lab, client, "RCPT TO:<x@accepted.test>\r\n");
	assert_string_equal(send_message(lab, client), "250 queued as 1\r\n");
	assert_int_equal(lab->server_count, 2);
	lab_close(lab);
}

// A server that vanished without a word is found out in the pool, before mail is lent to it.
static void test_pooled_connection_is_kept_alive_or_given_up(void **state)
{
	struct lab *lab = lab_open("", "");
	struct peer *client = lab_asking(lab, "a");

	send_message(lab, client);
	lab_run(lab, 28000);
	assert_int_equal(pipeline_levels(lab->pipeline).servers, 1);
	lab->server.deaf = true;
	lab_run(lab, 26000); // still below IdleTimeout
	assert_int_equal(pipeline_levels(lab->pipeline).servers, 0);
	assert_int_equal(lab->reasons[REASON_retransmit_exhausted].count, 1);
	lab->server.deaf = false;
	lab_say(lab, client, "MAIL FROM:<b@c.test>\r\n");
	lab_heard(client);
	lab_say(lab, client, "RCPT TO:<x@accepted.test>\r\n");
	assert_string_equal(send_message(lab, client), "250 queued as 1\r\n");
	assert_int_equal(lab->reasons[REASON_backend_lost].count, 0);
	assert_int_equal(lab->reasons[REASON_backend_timeout].count, 0);
	lab_close(lab);
}

// Lent, it is not: a server that is silent about a whole message may still be at it.
static void test_connection_in_use_is_not_given_up_for_silence(void **state)
{
	struct lab *lab = lab_open("", "");
	struct peer *client = lab_asking(lab, "a");

	send_message(lab, client);
	lab->plan.final = "";
	lab_say(lab, client, "MAIL FROM:<b@c.test>\r\n");
	lab_heard(client);
	lab_say(lab, client, "RCPT TO:<x@accepted.test>\r\n");
	assert_heard(client, accepted);
	lab_say(lab, client, "DATA\r\n");
	lab_heard(client);
	send_body(lab, client);
	lab->server.deaf = true;
	lab_run(lab, 300000);
	lab->server.deaf = false;
	assert_heard(client, "");
	lab_say(lab, lab_server(lab), "250 queued as 7\r\n");
	assert_heard(client, "250 queued as 7\r\n");
	lab_close(lab);
}

static void test_abandoned_transaction_never_returns_to_the_pool(void **state)
{
	struct lab *lab = lab_open("", "");
	struct peer *client = lab_asking(lab, "a");

	assert_heard(client, accepted);
	lab_say(lab, client, "DATA\r\n");
	lab_say(lab, client, "half a li");
	client->connection->transport->close(client->connection);
	lab_run(lab, LAB_MOMENT_MS);
	assert_true(lab_server(lab)->reset);
	assert_int_equal(lab->connector.messages_aborted, 1);
	assert_int_equal(lab->connector.sessions_reset, 1);
	assert_int_equal(pipeline_levels(lab->pipeline).servers, 0);
	lab_close(lab);
}

// ---- Waiting ---------------------------------------------------------------------------------

static void test_one_connection_serves_all_in_their_order(void **state)
{
	struct lab *lab = lab_open("", "MaxConnections = 1\n");
	struct peer *clients[5];
	const char *names[] = {"a", "b", "c", "d", "e"};

	for (unsigned i = 0; i < 5; i++)
		clients[i] = lab_asking(lab, names[i]);
	for (unsigned i = 0; i < 5; i++) {
		assert_string_equal(send_message(lab, clients[i]), "250 queued as 1\r\n");
		lab_run(lab, LAB_MOMENT_MS);
	}
	assert_int_equal(lab->delivered, 5);
	assert_int_equal(lab->server_count, 1);
	assert_string_equal(lab->senders, "<a@c.test><b@c.test><c@c.test><d@c.test><e@c.test>");
	lab_close(lab);
}

static void test_who_waits_too_long_is_told(void **state)
{
	struct lab *lab = lab_open("", "MaxConnections = 1\nWaitTimeout = 30s\nMaxWaiting = 1\n");
	struct peer *first = lab_asking(lab, "a");
	struct peer *second = lab_asking(lab, "b");
	struct peer *third = lab_asking(lab, "c");

	assert_heard(third, "451 4.4.5 Mail servers are busy\r\n");
	assert_heard(first, "250 recipient\r\n");
	// Else its silence would cost it the connection.
	lab->policy->connectors[0].min_data_rate = 0;
	lab_say(lab, first, "DATA\r\n");
	assert_heard(first, "354 Start mail input; end with <CRLF>.<CRLF>\r\n");
	lab_run(lab, 26000);
	assert_heard(second, "");
	lab_run(lab, 5000);
	assert_heard(second, "451 4.4.5 Mail servers are busy\r\n");
	assert_int_equal(lab->reasons[REASON_backend_busy].count, 2);
	assert_int_equal(lab->connector.recipients_refused_backend, 2);
	lab_say(lab, first, "text\r\n.\r\n");
	assert_heard(first, "250 queued as 1\r\n");
	lab_close(lab);
}

static void test_who_left_is_not_waited_for(void **state)
{
	struct lab *lab = lab_open("", "MaxConnections = 1\n");
	struct peer *first = lab_asking(lab, "a");
	struct peer *second = lab_asking(lab, "b");
	struct peer *third = lab_asking(lab, "c");

	second->connection->transport->abort(second->connection);
	lab_run(lab, LAB_MOMENT_MS);
	assert_string_equal(send_message(lab, first), "250 queued as 1\r\n");
	lab_run(lab, LAB_MOMENT_MS);
	assert_heard(third, accepted);
	assert_string_equal(lab->senders, "<a@c.test><c@c.test>");
	lab_close(lab);
}

// ---- Full queues and no buffers --------------------------------------------------------------

// The end of data finds room whatever the body left: sizes around the full send queue, to a server
// that takes nothing for a while.
static void test_end_of_data_behind_a_full_queue(void **state)
{
	struct lab *lab = lab_open("", "");
	char *body = malloc(20000);
	struct peer *client;
	size_t header;

	send_message(lab, lab_asking(lab, "a"));
	header = (size_t)(strstr(lab->message, "Subject") - lab->message);
	for (size_t length = 16384 - 6; length <= 16384 + 2; length++) {
		client = lab_asking(lab, "b");
		assert_heard(client, accepted);
		lab_say(lab, client, "DATA\r\n");
		lab_heard(client);
		for (size_t i = 0; i < length; i++)
			body[i] = i % 64 == 62 ? '\r' : i % 64 == 63 ? '\n' : 'x';
		// No line end is cut short.
		body[length - 3] = 'x';
		memcpy(body + length - 2, "\r\n.\r\n", 6);
		if (body[length - 4] == '\r')
			body[length - 4] = 'x';
		lab->server.deaf = true;
		lab_say(lab, client, body);
		lab->server.deaf = false;
		lab_run(lab, 5000);
		assert_heard(client, "250 queued as 1\r\n");
		assert_int_equal(lab->message_length, header + length);
	}
	assert_int_equal(lab->reasons[REASON_buffers_low].count, 0);
	free(body);
	lab_close(lab);
}

// A client whose last reply is unacknowledged: the buffer that holds it has room for one more.
static struct peer *asking_and_unheard(struct lab *lab, const char *text)
{
	struct peer *client = lab_asking(lab, "a");

	assert_heard(client, accepted);
	lab->wire.weather[STATION_CLIENT].loss_permille = 1000;
	lab_say(lab, client, text);
	return client;
}

static void hear_again(struct lab *lab)
{
	lab_replenish(lab);
	lab->wire.weather[STATION_CLIENT].loss_permille = 0;
	lab_run(lab, 5000);
}

static void test_final_answer_counts_though_nothing_more_can_be_said(void **state)
{
	struct lab *lab = lab_open("", "");
	struct peer *client;

	lab->plan.final = "";
	client = asking_and_unheard(lab, "DATA\r\ntext\r\n.\r\n");
	lab_exhaust(lab, 0);
	lab_say(lab, lab_server(lab), "250 queued as 7\r\n");
	hear_again(lab);
	assert_string_equal(strstr(lab_heard(client), "250"), "250 queued as 7\r\n");
	assert_int_equal(lab->connector.messages, 1);
	lab_close(lab);
}

static void test_message_without_its_trace_header_is_not_sent(void **state)
{
	struct lab *lab = lab_open("", "");
	struct peer *client;

	lab->plan.data = "";
	client = asking_and_unheard(lab, "NOOP\r\nDATA\r\n");
	lab_exhaust(lab, 0);
	lab_say(lab, lab_server(lab), "354 go on\r\n");
	assert_true(lab_server(lab)->reset);
	hear_again(lab);
	assert_heard(client, "250 2.0.0 OK\r\n452 4.3.1 Insufficient system resources\r\n");
	assert_int_equal(pipeline_levels(lab->pipeline).servers, 0);
	lab_close(lab);
}

static void test_want_of_buffers_is_not_the_servers_fault(void **state)
{
	struct lab *lab = lab_open("", "");

	lab->plan.greeting = "";
	lab_asking(lab, "a");
	lab_exhaust(lab, 0);
	lab_say(lab, lab_server(lab), "220 server\r\n");
	assert_int_equal(pipeline_levels(lab->pipeline).servers, 0);
	assert_int_equal(lab->reasons[REASON_backend_down].count, 0);
	lab_replenish(lab);
	lab->plan.greeting = lab_good_plan.greeting;
	assert_string_equal(send_message(lab, lab_asking(lab, "b")), "250 queued as 1\r\n");
	lab_close(lab);
}

// A server that says yes to a message before its TCP has the end of it says it to something else.
static void test_yes_to_what_was_not_heard(void **state)
{
	struct lab *lab = lab_open("", "");
	struct peer *client = lab_asking(lab, "a");

	assert_heard(client, accepted);
	lab_say(lab, client, "DATA\r\n");
	assert_heard(client, go_on);
	lab->wire.weather[STATION_SERVER].delay_us = 50000;
	client->connection->transport->send(client->connection, slice_of_text("text\r\n.\r\n"));
	lab_run(lab, 5); // the end of data is on its way to the server
	lab_say(lab, lab_server(lab), "250 queued as 9\r\n");
	assert_heard(client, "451 4.3.0 Mail server gave a reply that is not understood\r\n");
	assert_int_equal(lab->reasons[REASON_backend_malformed_reply].count, 1);
	assert_int_equal(lab->connector.messages, 0);
	lab_close(lab);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_message_goes_through),
		cmocka_unit_test(test_server_dies),
		cmocka_unit_test(test_refusal_in_the_body_waits_for_its_end),
		cmocka_unit_test(test_stale_connection_is_replaced_unseen),
		cmocka_unit_test(test_dead_replacement_is_told),
		cmocka_unit_test(test_replacement_is_a_new_connection),
		cmocka_unit_test(test_replacement_at_max_connections),
		cmocka_unit_test(test_pooled_connection_is_kept_alive_or_given_up),
		cmocka_unit_test(test_connection_in_use_is_not_given_up_for_silence),
		cmocka_unit_test(test_abandoned_transaction_never_returns_to_the_pool),
		cmocka_unit_test(test_one_connection_serves_all_in_their_order),
		cmocka_unit_test(test_who_waits_too_long_is_told),
		cmocka_unit_test(test_who_left_is_not_waited_for),
		cmocka_unit_test(test_end_of_data_behind_a_full_queue),
		cmocka_unit_test(test_final_answer_counts_though_nothing_more_can_be_said),
		cmocka_unit_test(test_message_without_its_trace_header_is_not_sent),
		cmocka_unit_test(test_want_of_buffers_is_not_the_servers_fault),
		cmocka_unit_test(test_yes_to_what_was_not_heard),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
