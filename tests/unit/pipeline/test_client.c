// SPDX-License-Identifier: BSD-3-Clause
//
// The client's side: its end in every form, time limits, and the stop of the gate.
#include "tests/unit/pipeline/lab.h"

#include <stdlib.h>

static const char accepted[] = "250 recipient\r\n";
static const char go_on[] = "354 Start mail input; end with <CRLF>.<CRLF>\r\n";
static const char stopping[] = "421 4.3.2 Service not available, closing transmission channel\r\n";

static struct peer *awaiting_final_reply(struct lab *lab)
{
	struct peer *client;

	lab->plan.final = "";
	client = lab_asking(lab, "a");
	assert_heard(client, accepted);
	lab_say(lab, client, "DATA\r\n");
	assert_heard(client, go_on);
	lab_say(lab, client, "text\r\n.\r\n");
	assert_heard(client, "");
	return client;
}

static void drain(struct lab *lab, bool force)
{
	pipeline_drain(lab->pipeline, force, lab->now, &lab->outbox);
	lab_run(lab, LAB_MOMENT_MS);
}

static void test_end_while_the_final_reply_is_awaited(void **state)
{
	struct lab *lab = lab_open("", "");
	struct peer *client = awaiting_final_reply(lab);

	// No limit of the connector's cuts a message that the server may have taken.
	lab_run(lab, 500000);
	client->connection->transport->close(client->connection);
	lab_run(lab, LAB_MOMENT_MS);
	lab_say(lab, lab_server(lab), "250 queued as 7\r\n");
	assert_heard(client, "250 queued as 7\r\n");
	assert_null(client->connection);
	assert_false(client->reset);
	assert_int_equal(lab->connector.messages, 1);
	assert_int_equal(lab->connector.messages_aborted, 0);
	assert_int_equal(lab->connector.sessions_reset, 1);
	lab_close(lab);
}

static void test_reset_while_the_final_reply_is_awaited(void **state)
{
	struct lab *lab = lab_open("", "");
	struct peer *client = awaiting_final_reply(lab);

	client->connection->transport->abort(client->connection);
	lab_run(lab, LAB_MOMENT_MS);
	assert_true(lab_server(lab)->reset);
	assert_int_equal(lab->connector.sessions_reset, 1);
	assert_int_equal(pipeline_levels(lab->pipeline).clients, 0);
	lab_close(lab);
}

static void test_whole_dialogue_at_once_and_then_fin(void **state)
{
	struct lab *lab = lab_open("", "");
	struct peer *client = lab_connect(lab);

	lab_heard(client);
	client->connection->transport->send(
		client->connection,
		slice_of_text("HELO c.test\r\nMAIL FROM:<>\r\nRCPT TO:<x@accepted.test>\r\nDATA\r\n"
			      "text\r\n.\r\n"));
	client->connection->transport->close(client->connection);
	lab_run(lab, LAB_MOMENT_MS);
	assert_non_null(strstr(lab_heard(client), "250 queued as 1\r\n"));
	assert_int_equal(lab->delivered, 1);
	lab_close(lab);
}

static void test_silence_is_answered(void **state)
{
	struct lab *lab = lab_open("", "");
	struct peer *client = lab_connect(lab);

	lab_heard(client);
	lab_run(lab, 310000);
	assert_heard(client, "451 4.7.0 Timeout waiting for client input\r\n");
	assert_int_equal(lab->connector.sessions_timed_out, 1);
	assert_int_equal(pipeline_levels(lab->pipeline).clients, 0);
	lab_close(lab);
}

// While buffers are scarce, who does not read is not answered further; all of it comes later.
static void test_who_does_not_read_gets_no_more_replies(void **state)
{
	struct lab *lab = lab_open("", "");
	struct peer *client = lab_connect(lab);
	uint32_t share = lab->pipeline->chunks.count / 8, used;
	char commands[300 * 6 + 1];

	for (unsigned i = 0; i < 300; i++)
		memcpy(commands + i * 6, "NOOP\r\n", 7);
	lab_heard(client);
	lab_exhaust(lab, share - 1);
	lab->wire.weather[STATION_CLIENT].loss_permille = 1000;
	lab_say(lab, client, commands);
	used = pool_used(&lab->pipeline->chunks) - lab->taken_count;
	assert_in_range(used, 2, 3); // replies, and commands that wait; 4,200 bytes would be three
	assert_true(lab->reasons[REASON_replies_unread].count > 0);
	lab->wire.weather[STATION_CLIENT].loss_permille = 0;
	lab_run(lab, 10000);
	assert_int_equal(strlen(lab_heard(client)), 300 * strlen("250 2.0.0 OK\r\n"));
	lab_replenish(lab);
	lab_close(lab);
}

// A limit ends the session, nothing is left to say so with, and in the same turn its wait for a
// server ends.
static void test_limit_without_a_buffer_while_waiting(void **state)
{
	struct lab *lab = lab_open("", "MaxConnections = 1\nWaitTimeout = 10m\n");
	struct peer *first = lab_asking(lab, "a");

	assert_heard(first, accepted);
	lab_asking(lab, "b");
	lab_exhaust(lab, 0);
	lab_jump(lab, 1300 * 1000);
	lab_replenish(lab);
	lab_run(lab, LAB_MOMENT_MS);
	assert_int_equal(pipeline_levels(lab->pipeline).clients, 0);
	lab_close(lab);
}

// RFC 9293 MUST-59: what came together is acknowledged together.
static void test_one_acknowledgment_for_a_burst(void **state)
{
	static const char line[] = "half a dozen segments of a message that is long enough\r\n";
	struct lab *lab = lab_open("", "");
	struct peer *client = lab_asking(lab, "a");
	struct flying flying[PIPELINE_BURST];
	struct slice frames[PIPELINE_BURST];
	unsigned long long before;
	unsigned count = 0;

	lab_say(lab, client, "DATA\r\n");
	for (unsigned i = 0; i < 160; i++)
		client->connection->transport->send(client->connection, slice_of_text(line));
	host_turn(&lab->client, lab->now);
	lab->now.now_us += 1000;
	while (count < PIPELINE_BURST &&
	       wire_receive(&lab->wire, lab->now.now_us, &flying[count])) {
		assert_int_equal(flying[count].to, STATION_GATE_OUTSIDE);
		frames[count] = slice_of(flying[count].bytes, flying[count].length);
		count++;
	}
	assert_in_range(count, 6, 8);
	before = lab->port_rows[0].frames_out;
	pipeline_input(lab->pipeline, 0, frames, count, lab->now, &lab->outbox);
	assert_int_equal(lab->port_rows[0].frames_out - before, 1);
	while (count > 0)
		free(flying[--count].bytes);
	lab_run(lab, LAB_MOMENT_MS);
	lab_close(lab);
}

// ---- The gate stops --------------------------------------------------------------------------

static void test_stop_closes_an_idle_session(void **state)
{
	struct lab *lab = lab_open("", "");
	struct peer *client = lab_connect(lab);

	lab_heard(client);
	drain(lab, false);
	assert_heard(client, stopping);
	assert_null(client->connection);
	assert_true(pipeline_drained(lab->pipeline));
	lab_connect(lab);
	assert_int_equal(lab->reasons[REASON_draining].count, 1);
	assert_int_equal(lab->connector.sessions, 1);
	lab_close(lab);
}

// The stop comes in the very turn in which several clients spoke.
static void test_stop_right_behind_commands(void **state)
{
	struct lab *lab = lab_open("", "");
	struct peer *clients[2];
	struct flying flying;

	for (unsigned i = 0; i < 2; i++) {
		clients[i] = lab_connect(lab);
		lab_say(lab, clients[i], "EHLO c.test\r\n");
		lab_heard(clients[i]);
	}
	for (unsigned i = 0; i < 2; i++)
		clients[i]->connection->transport->send(clients[i]->connection,
							slice_of_text("MAIL FROM:<>\r\n"));
	host_turn(&lab->client, lab->now);
	lab->now.now_us += 1000;
	while (wire_receive(&lab->wire, lab->now.now_us, &flying)) {
		struct slice frame = slice_of(flying.bytes, flying.length);

		pipeline_input(lab->pipeline, 0, &frame, 1, lab->now, &lab->outbox);
		free(flying.bytes);
	}
	pipeline_drain(lab->pipeline, false, lab->now, &lab->outbox);
	lab_run(lab, LAB_MOMENT_MS);
	for (unsigned i = 0; i < 2; i++) {
		assert_heard(clients[i], "250 2.1.0 Sender OK\r\n");
		lab_say(lab, clients[i], "RSET\r\n");
		assert_non_null(strstr(lab_heard(clients[i]), "421 4.3.2"));
	}
	assert_true(pipeline_drained(lab->pipeline));
	lab_close(lab);
}

static void test_stop_waits_for_the_transaction_and_no_longer(void **state)
{
	struct lab *lab = lab_open("", "");
	struct peer *client = awaiting_final_reply(lab);

	drain(lab, false);
	assert_heard(client, "");
	lab_say(lab, lab_server(lab), "250 queued as 7\r\n");
	assert_string_equal(lab_heard(client),
			    "250 queued as 7\r\n"
			    "421 4.3.2 Service not available, closing transmission channel\r\n");
	assert_null(client->connection);
	assert_true(pipeline_drained(lab->pipeline));
	assert_int_equal(lab->connector.messages, 1);
	lab_close(lab);
}

static void test_stop_lets_a_body_end(void **state)
{
	struct lab *lab = lab_open("", "");
	struct peer *client = lab_asking(lab, "a");

	assert_heard(client, accepted);
	drain(lab, false);
	lab_say(lab, client, "DATA\r\n");
	assert_heard(client, go_on);
	lab_say(lab, client, "text\r\n.\r\nMAIL FROM:<b@c.test>\r\n");
	assert_string_equal(lab_heard(client),
			    "250 queued as 1\r\n"
			    "421 4.3.2 Service not available, closing transmission channel\r\n");
	assert_int_equal(lab->delivered, 1);
	assert_int_equal(lab->connector.transactions, 1);
	lab_close(lab);
}

static void test_forced_stop_abandons(void **state)
{
	struct lab *lab = lab_open("", "");
	struct peer *client = lab_asking(lab, "a");

	assert_heard(client, accepted);
	lab_say(lab, client, "DATA\r\n");
	lab_heard(client);
	lab_say(lab, client, "half a message\r\n");
	drain(lab, false);
	assert_heard(client, "");
	drain(lab, true);
	assert_heard(client, stopping);
	assert_true(lab_server(lab)->reset);
	assert_int_equal(lab->delivered, 0);
	assert_int_equal(lab->reasons[REASON_drain_expired].count, 1);
	assert_true(pipeline_drained(lab->pipeline));
	lab_close(lab);
}

// No probe is made any more, though its time comes: the worker may sleep.
static void test_stopping_gate_rests(void **state)
{
	struct lab *lab = lab_open("", "");

	drain(lab, false);
	lab_jump(lab, 2 * 3600 * 1000);
	assert_true(pipeline_turn(lab->pipeline, lab->now, &lab->outbox) > lab->now.now_us);
	lab_close(lab);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_end_while_the_final_reply_is_awaited),
		cmocka_unit_test(test_reset_while_the_final_reply_is_awaited),
		cmocka_unit_test(test_whole_dialogue_at_once_and_then_fin),
		cmocka_unit_test(test_silence_is_answered),
		cmocka_unit_test(test_who_does_not_read_gets_no_more_replies),
		cmocka_unit_test(test_limit_without_a_buffer_while_waiting),
		cmocka_unit_test(test_one_acknowledgment_for_a_burst),
		cmocka_unit_test(test_stop_closes_an_idle_session),
		cmocka_unit_test(test_stop_right_behind_commands),
		cmocka_unit_test(test_stop_waits_for_the_transaction_and_no_longer),
		cmocka_unit_test(test_stop_lets_a_body_end),
		cmocka_unit_test(test_forced_stop_abandons),
		cmocka_unit_test(test_stopping_gate_rests),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
