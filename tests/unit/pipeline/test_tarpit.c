// SPDX-License-Identifier: BSD-3-Clause
//
// What a connector does with time: the tarpit's delay of refusals, in every way it can end, and
// MessageRateLimit, over all sessions of a source.
#include "tests/unit/pipeline/lab.h"

#define REFUSED "550 5.7.1 Unable to relay\r\n"

// A client in a transaction, at a connector that delays refusals by five seconds.
static struct peer *tarpitted(struct lab *lab)
{
	struct peer *client;

	lab->policy->connectors[0].tarpit_interval_ms = 5000;
	client = lab_connect(lab);
	lab_say(lab, client, "EHLO c.test\r\nMAIL FROM:<>\r\n");
	lab_heard(client);
	return client;
}

static void test_a_refusal_waits(void **state)
{
	struct lab *lab = lab_open("", "");
	struct peer *client = tarpitted(lab);

	lab_say(lab, client, "RCPT TO:<a@foreign.test>\r\nNOOP\r\n");
	lab_run(lab, 3000);
	assert_heard(client, "");
	lab_run(lab, 2000);
	assert_heard(client, REFUSED "250 2.0.0 OK\r\n");
	assert_int_equal(lab->connector.tarpitted, 1);
	// One after the other, each with its delay.
	lab_say(lab, client, "RCPT TO:<a@foreign.test>\r\nRCPT TO:<b@foreign.test>\r\n");
	lab_run(lab, 6000);
	assert_heard(client, REFUSED);
	lab_run(lab, 5000);
	assert_heard(client, REFUSED);
	// What is not refused does not wait.
	lab_say(lab, client, "RCPT TO:<x@accepted.test>\r\n");
	assert_heard(client, "250 recipient\r\n");
	lab_close(lab);
}

static void test_the_last_reply_waits(void **state)
{
	struct lab *lab = lab_open("", "");
	struct peer *client = tarpitted(lab);

	lab_say(lab, client, "NOOP\n");
	lab_run(lab, 3000);
	assert_heard(client, "");
	assert_non_null(client->connection);
	lab_run(lab, 3000);
	assert_heard(client, "521 5.5.2 Bare CR, bare LF or NUL, closing transmission channel\r\n");
	assert_null(client->connection);
	assert_false(client->reset);
	lab_close(lab);
}

static void test_longer_than_the_silence_that_is_allowed(void **state)
{
	struct lab *lab = lab_open("", "");
	struct peer *client = tarpitted(lab);

	lab->policy->connectors[0].tarpit_interval_ms = 400000; // the limit is 300 s
	lab_say(lab, client, "RCPT TO:<a@foreign.test>\r\n");
	lab_run(lab, 401000);
	assert_heard(client, REFUSED);
	lab_run(lab, 200000);
	assert_heard(client, "");
	lab_run(lab, 150000);
	assert_heard(client, "451 4.7.0 Timeout waiting for client input\r\n");
	lab_close(lab);
}

static void test_who_leaves_is_let_go(void **state)
{
	struct lab *lab = lab_open("", "");
	struct peer *client = tarpitted(lab);

	lab_say(lab, client, "RCPT TO:<a@foreign.test>\r\n");
	client->connection->transport->close(client->connection);
	lab_run(lab, LAB_MOMENT_MS);
	assert_heard(client, REFUSED);
	assert_null(client->connection);
	lab_close(lab);

	lab = lab_open("", "");
	client = tarpitted(lab);
	lab_say(lab, client, "RCPT TO:<a@foreign.test>\r\n");
	client->connection->transport->abort(client->connection);
	lab_run(lab, LAB_MOMENT_MS);
	assert_int_equal(pipeline_levels(lab->pipeline).clients, 0);
	lab_close(lab);
}

static void test_the_stop_waits_for_it_or_not(void **state)
{
	for (int force = 0; force < 2; force++) {
		struct lab *lab = lab_open("", "");
		struct peer *client = tarpitted(lab);

		lab_say(lab, client, "RCPT TO:<a@foreign.test>\r\nRSET\r\n");
		pipeline_drain(lab->pipeline, force, lab->now, &lab->outbox);
		lab_run(lab, LAB_MOMENT_MS);
		if (!force) {
			assert_heard(client, "");
			lab_run(lab, 5000);
		}
		assert_non_null(strstr(lab_heard(client), REFUSED));
		assert_null(client->connection);
		lab_close(lab);
	}
}

// A server's refusal waits in a buffer, our own costs none.
static void test_who_is_refused_holds_no_more_than_a_timer(void **state)
{
	struct lab *lab = lab_open("", "");
	struct peer *client = tarpitted(lab);
	uint32_t before;

	lab_run(lab, 1000);
	before = pipeline_levels(lab->pipeline).chunks_used;
	lab_say(lab, client, "RCPT TO:<a@foreign.test>\r\n");
	assert_int_equal(pipeline_levels(lab->pipeline).chunks_used, before);
	lab_run(lab, 5000);
	assert_heard(client, REFUSED);
	lab_close(lab);
}

static void test_without_a_buffer_it_is_said_at_once(void **state)
{
	struct lab *lab = lab_open("", "");
	struct peer *client = tarpitted(lab);

	lab->plan.recipient = "550 nobody\r\n";
	lab_exhaust(lab, lab->pipeline->chunks.count / 4);
	lab_say(lab, client, "RCPT TO:<a@accepted.test>\r\n");
	assert_heard(client, "550 nobody\r\n");
	lab_replenish(lab);
	lab_say(lab, client, "RCPT TO:<a@accepted.test>\r\n");
	assert_heard(client, "");
	lab_run(lab, 5000);
	assert_heard(client, "550 nobody\r\n");
	lab_close(lab);
}

// While its refusal waits, others may use the server's connection; who has recipients there keeps
// it. The next recipient is asked by a connection of the pool, after MAIL again.
static void test_no_connection_waits_with_it(void **state)
{
	struct lab *lab = lab_open("", "MaxConnections = 1\n");
	struct peer *client = tarpitted(lab), *other;

	lab->plan.recipient = "550 nobody\r\n";
	lab_say(lab, client, "RCPT TO:<a@accepted.test>\r\n");
	lab->plan.recipient = "250 recipient\r\n";
	other = lab_asking(lab, "b");
	lab_say(lab, other, "DATA\r\n");
	lab_say(lab, other, "text\r\n.\r\n");
	assert_non_null(strstr(lab_heard(other), "250 queued"));
	assert_heard(client, "");
	lab_run(lab, 5000);
	assert_heard(client, "550 nobody\r\n");
	lab_say(lab, client, "RCPT TO:<c@accepted.test>\r\nDATA\r\n");
	lab_say(lab, client, "text\r\n.\r\n");
	assert_non_null(strstr(lab_heard(client), "250 queued"));
	assert_string_equal(lab->senders, "<><b@c.test><>");
	// With a recipient at the server its connection stays, and nobody else gets in.
	lab_say(lab, client, "MAIL FROM:<>\r\nRCPT TO:<c@accepted.test>\r\n");
	lab_say(lab, client, "RCPT TO:<c@foreign.test>\r\n");
	lab_heard(client);
	lab_say(lab, other, "MAIL FROM:<b@c.test>\r\nRCPT TO:<c@accepted.test>\r\n");
	assert_heard(other, "250 2.1.0 Sender OK\r\n");
	lab_run(lab, 6000);
	lab_say(lab, client, "QUIT\r\n");
	assert_heard(other, "250 recipient\r\n");
	lab_close(lab);
}

// They go before anybody else when sessions are used up, at once.
static void test_makes_room_first(void **state)
{
	struct lab *lab = lab_open("MaxSessions = 3\n", "");
	struct peer *idle, *refused, *newcomer;

	idle = lab_connect(lab);
	refused = tarpitted(lab);
	lab_run(lab, 20000);
	lab_say(lab, refused, "RCPT TO:<a@foreign.test>\r\n");
	lab_connect(lab);
	lab_run(lab, LAB_MOMENT_MS);
	newcomer = lab_connect(lab);
	lab_run(lab, LAB_MOMENT_MS);
	assert_heard(newcomer, "220 hello\r\n");
	assert_heard(refused,
		     REFUSED "421 4.3.2 Service not available, closing transmission channel\r\n");
	assert_non_null(idle->connection);
	assert_int_equal(lab->reasons[REASON_session_evicted].count, 1);
	lab_close(lab);
}

static void test_who_is_vouched_for_does_not_wait(void **state)
{
	struct lab *lab = lab_open("", "");
	struct peer *client;

	lab->policy->connectors[0].mechanisms = MECHANISM_EXTERNAL_AUTHORITATIVE;
	client = tarpitted(lab);
	lab_say(lab, client, "RCPT TO:<a@foreign.test>\r\n");
	assert_heard(client, REFUSED);
	lab_close(lab);
}

static void test_message_rate(void **state)
{
	struct lab *lab = lab_open("", "");
	struct peer *first, *second;

	lab->policy->connectors[0].message_rate_limit = 3;
	first = lab_connect(lab);
	second = lab_connect(lab);
	lab_heard(first);
	lab_heard(second);
	lab_say(lab, first, "HELO c.test\r\nMAIL FROM:<>\r\nRSET\r\nMAIL FROM:<>\r\n");
	assert_non_null(strstr(lab_heard(first), "250 2.1.0 Sender OK\r\n"));
	// The same source by another connection: one more, then no more.
	lab_say(lab, second, "HELO c.test\r\nMAIL FROM:<>\r\nRSET\r\nMAIL FROM:<>\r\n");
	assert_non_null(strstr(lab_heard(second),
			       "421 4.4.2 Message submission rate for this client has exceeded "
			       "the configured limit\r\n"));
	assert_null(second->connection);
	assert_int_equal(lab->reasons[REASON_smtp_message_rate].count, 1);
	// What was begun may be finished, and a minute later there is room again.
	lab_run(lab, 62000);
	lab_say(lab, first, "RSET\r\nMAIL FROM:<>\r\n");
	assert_heard(first, "250 2.0.0 Resetting\r\n250 2.1.0 Sender OK\r\n");
	lab_close(lab);
}

static void test_blocked_source(void **state)
{
	struct lab *lab = lab_open("", "");
	struct ip_entry entry = {0};
	struct peer *client;

	entry.range = range_from_prefix(&lab->client_address.address, 32);
	lab->policy->ip_block = (struct ip_list){.entries = &entry, .count = 1};
	ip_list_sort(&lab->policy->ip_block);
	client = lab_connecting(lab);
	lab_run(lab, 3000);
	assert_heard(client, "");
	assert_true(lab->reasons[REASON_ip_blocked].count > 0);
	assert_int_equal(lab->connector.sessions, 0);
	// Who is on both lists is allowed; the SYN is repeated.
	lab->policy->ip_allow = lab->policy->ip_block;
	lab_run(lab, 10000);
	assert_heard(client, "220 hello\r\n");
	lab->policy->ip_allow = lab->policy->ip_block = (struct ip_list){0};
	lab_close(lab);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_refusal_waits),
		cmocka_unit_test(test_the_last_reply_waits),
		cmocka_unit_test(test_longer_than_the_silence_that_is_allowed),
		cmocka_unit_test(test_who_leaves_is_let_go),
		cmocka_unit_test(test_the_stop_waits_for_it_or_not),
		cmocka_unit_test(test_who_is_refused_holds_no_more_than_a_timer),
		cmocka_unit_test(test_without_a_buffer_it_is_said_at_once),
		cmocka_unit_test(test_no_connection_waits_with_it),
		cmocka_unit_test(test_makes_room_first),
		cmocka_unit_test(test_who_is_vouched_for_does_not_wait),
		cmocka_unit_test(test_message_rate),
		cmocka_unit_test(test_blocked_source),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
