// SPDX-License-Identifier: BSD-3-Clause
//
// Bans as a client and a server see them: what is an offence and what is not, how many are enough,
// what becomes of the other sessions of the source, on this worker and on others, and that a
// message on its way arrives and is answered.
#include "dataplane/gate/bans.h"
#include "dataplane/gate/sources.h"
#include "tests/unit/pipeline/lab.h"

#define REFUSED  "550 5.7.1 Unable to relay\r\n"
#define FAREWELL "421 4.7.0 Too many offences of this host, closing transmission channel\r\n"

static struct lab *open_with(const char *gate)
{
	struct lab *lab = lab_open(gate, "");

	lab->policy->ban.enabled = true;
	return lab;
}

static struct peer *greeted(struct lab *lab)
{
	struct peer *client = lab_connect(lab);

	lab_say(lab, client, "EHLO c.test\r\n");
	lab_say(lab, client, "MAIL FROM:<>\r\n");
	lab_heard(client);
	return client;
}

static bool is_banned(const struct lab *lab)
{
	return ban_refuses(lab->pipeline, &lab->client_address.address);
}

static void test_third_try(void **state)
{
	static const char *const families[] = {"", LAB_IPV6};

	for (unsigned i = 0; i < 2; i++) {
		struct lab *lab = open_with(families[i]);
		struct peer *client = greeted(lab), *next;

		lab_say(lab, client, "RCPT TO:<a@foreign.test>\r\nRCPT TO:<b@foreign.test>\r\n");
		assert_heard(client, REFUSED REFUSED);
		assert_false(is_banned(lab));
		lab_say(lab, client, "RCPT TO:<c@foreign.test>\r\nNOOP\r\n");
		assert_heard(client, REFUSED FAREWELL);
		assert_null(client->connection);
		assert_false(client->reset);
		assert_true(is_banned(lab));
		assert_int_equal(lab->reasons[REASON_source_banned].count, 1);
		assert_int_equal(lab->reasons[REASON_smtp_banned].count, 1);
		assert_int_equal(lab->reasons[REASON_banned].count, 0);
		// Silence, until the time is over.
		next = lab_connecting(lab);
		lab_run(lab, 10000);
		assert_heard(next, "");
		assert_true(lab->reasons[REASON_banned].count > 0);
		lab_run(lab, 591000);
		assert_false(is_banned(lab));
		client = lab_connect(lab);
		assert_heard(client, "220 hello\r\n");
		lab_close(lab);
	}
}

// A refusal that the tarpit keeps back goes out before the end.
static void test_tarpit(void **state)
{
	struct lab *lab = open_with("");
	struct peer *client = greeted(lab);

	lab->policy->ban.threshold = 40;
	lab->policy->connectors[0].tarpit_interval_ms = 5000;
	lab_say(lab, client, "RCPT TO:<a@foreign.test>\r\n");
	assert_heard(client, REFUSED FAREWELL);
	assert_null(client->connection);
	lab_close(lab);
}

struct scene {
	const char *lines;
	unsigned points;       // of the source then
	const char *recipient; // the server's answer; NULL: the usual one
};

static void test_offences(void **state)
{
	static const struct scene scenes[] = {
		{"RCPT TO:<a@foreign.test>\r\n", 40, NULL},
		{"RCPT TO:<a@accepted.test>\r\n", 0, NULL},
		{"RCPT TO:<a@accepted.test>\r\n", 5, "550 5.1.1 no such user\r\n"},
		{"RCPT TO:<a@accepted.test>\r\n", 0, "450 4.2.0 greylisted\r\n"},
		{"RCPT TO:<a b@accepted.test>\r\n", 5, NULL},
		{"MAIL FROM:<a b@accepted.test>\r\n", 0, NULL},
		{"NOOP\n", 50, NULL},
		{"FOO\r\nFOO\r\nFOO\r\nFOO\r\nFOO\r\n", 0, NULL},
		{"FOO\r\nFOO\r\nFOO\r\nFOO\r\nFOO\r\nFOO\r\n", 50, NULL},
		{"RSET\r\nQUIT\r\n", 0, NULL},
	};

	for (unsigned i = 0; i < sizeof(scenes) / sizeof(scenes[0]); i++) {
		struct lab *lab = open_with("");
		struct peer *client = greeted(lab);
		uint32_t score;

		if (scenes[i].recipient)
			lab->plan.recipient = scenes[i].recipient;
		lab_say(lab, client, scenes[i].lines);
		score = sources_score(lab->pipeline->sources, &lab->client_address.address,
				      lab->now.now_us);
		// A score begins to fall at once, and is told in whole points.
		if (score != scenes[i].points && score + 1 != scenes[i].points)
			fail_msg("%s: %u points", scenes[i].lines, score);
		lab_close(lab);
	}
}

// Once a session, whatever the connector does about it and however many recipients it refuses.
static void test_early_talkers(void **state)
{
	static const enum early_action actions[] = {EARLY_COUNT, EARLY_REJECT, EARLY_CLOSE};

	for (unsigned i = 0; i < 3; i++) {
		struct lab *lab = open_with("");
		struct peer *client = lab_connect(lab);
		uint32_t score;

		lab->policy->connectors[0].early_pipelining_action = actions[i];
		lab_say(lab, client,
			"EHLO c.test\r\nMAIL FROM:<>\r\nRCPT TO:<a@accepted.test>\r\n"
			"RCPT TO:<b@accepted.test>\r\n");
		score = sources_score(lab->pipeline->sources, &lab->client_address.address,
				      lab->now.now_us);
		assert_in_range(score, 24, 25);
		lab_close(lab);
	}
}

static void test_another_protocol(void **state)
{
	struct lab *lab = open_with("");
	struct peer *client = lab_connect(lab);

	lab_say(lab, client, "GET / HTTP/1.1\r\n");
	assert_true(is_banned(lab));
	lab_close(lab);
}

// Disabled, without points, on the IP Allow list, more than anonymous.
static void test_who_is_not_banned(void **state)
{
	for (unsigned way = 0; way < 4; way++) {
		struct lab *lab = open_with("");
		struct ip_entry entry = {0};
		struct peer *client;

		entry.range = range_from_prefix(&lab->client_address.address, 32);
		if (way == 0)
			lab->policy->ban.enabled = false;
		else if (way == 1)
			lab->policy->ban.points[OFFENCE_RELAY] = 0;
		else if (way == 2)
			lab->policy->ip_allow = (struct ip_list){.entries = &entry, .count = 1};
		else
			lab->policy->connectors[0].mechanisms = MECHANISM_EXTERNAL_AUTHORITATIVE;
		ip_list_sort(&lab->policy->ip_allow);
		client = greeted(lab);
		for (unsigned i = 0; i < 6; i++) {
			lab_say(lab, client, "RCPT TO:<a@foreign.test>\r\n");
			assert_heard(client, REFUSED);
		}
		assert_false(bans_any(lab->pipeline->bans));
		lab->policy->ip_allow = (struct ip_list){0};
		lab_close(lab);
	}
}

static void ban_client(struct lab *lab)
{
	struct ban_state state = {.until_s = lab->now.wall_us / 1000000 + 600};

	assert_int_equal(
		bans_set(lab->pipeline->bans, sources_number(&lab->client_address.address), &state),
		BANS_DONE);
}

// Where a session stands when its source is banned by somebody else.
static void test_other_sessions(void **state)
{
	static const struct {
		const char *says;
		bool goes_on;
	} rows[] = {
		{"", false},
		{"RCPT TO:<x@accepted.test>\r\n", false},
		{"RCPT TO:<x@accepted.test>\r\nDATA\r\n", true},
		{"RCPT TO:<x@accepted.test>\r\nDATA\r\nbegin", true},
		{"RCPT TO:<x@accepted.test>\r\nBDAT 5\r\nab", true},
		{"RCPT TO:<x@accepted.test>\r\nBDAT 2\r\nab", true},
	};

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct lab *lab = open_with("");
		struct peer *client = greeted(lab);

		lab_say(lab, client, rows[i].says);
		lab_heard(client);
		ban_client(lab);
		lab_run(lab, 1000);
		if (rows[i].goes_on) {
			assert_heard(client, "");
			assert_non_null(client->connection);
		} else {
			assert_heard(client, FAREWELL);
			assert_null(client->connection);
		}
		lab_close(lab);
	}
}

// The server is being asked about the recipient, or thinks about the message.
static void test_while_the_server_thinks(void **state)
{
	struct lab *lab = open_with("");
	struct peer *client;

	lab->plan.recipient = "";
	client = lab_asking(lab, "a");
	ban_client(lab);
	lab_run(lab, 1000);
	assert_heard(client, FAREWELL);
	lab_close(lab);

	lab = open_with("");
	lab->plan.final = "";
	client = greeted(lab);
	lab_say(lab, client, "RCPT TO:<x@accepted.test>\r\nDATA\r\nhello\r\n.\r\n");
	lab_heard(client);
	ban_client(lab);
	lab_run(lab, 1000);
	assert_heard(client, "");
	lab_say(lab, lab_server(lab), "250 2.0.0 done\r\n");
	assert_heard(client, "250 2.0.0 done\r\n" FAREWELL);
	assert_null(client->connection);
	lab_close(lab);
}

static void test_a_message_on_its_way(void **state)
{
	struct lab *lab = open_with("");
	struct peer *busy = greeted(lab), *prober;

	lab->policy->ban.threshold = 40;
	prober = greeted(lab);
	lab_say(lab, busy, "RCPT TO:<x@accepted.test>\r\nDATA\r\nfirst\r\n");
	lab_heard(busy);
	lab_say(lab, prober, "RCPT TO:<a@foreign.test>\r\n");
	assert_heard(prober, REFUSED FAREWELL);
	lab_say(lab, busy, "second\r\n.\r\nMAIL FROM:<>\r\n");
	lab_run(lab, 1000);
	assert_non_null(strstr(busy->heard, "250"));
	assert_non_null(strstr(lab_heard(busy), FAREWELL));
	assert_null(busy->connection);
	assert_int_equal(lab->delivered, 1);
	assert_non_null(strstr(lab->message, "first\r\nsecond\r\n"));
	lab_close(lab);
}

// Sessions and SYNs of the source at the other worker.
static void test_crew(void **state)
{
	struct lab *lab = lab_open_crew("", "", LAB_WRONG);
	struct peer *clients[8];

	lab->policy->ban.enabled = true;
	lab->policy->ban.threshold = 40;
	for (unsigned i = 0; i < 8; i++)
		clients[i] = greeted(lab);
	assert_true(pipeline_levels(lab->crew[0]).clients > 0 &&
		    pipeline_levels(lab->crew[1]).clients > 0);
	lab_say(lab, clients[0], "RCPT TO:<a@foreign.test>\r\n");
	lab_run(lab, 2000);
	assert_heard(clients[0], REFUSED FAREWELL);
	for (unsigned i = 1; i < 8; i++)
		assert_heard(clients[i], FAREWELL);
	lab_connecting(lab);
	lab_connecting(lab);
	lab_run(lab, 1000);
	assert_true(lab->reasons[REASON_banned].count >= 2);
	assert_int_equal(lab->reasons[REASON_source_banned].count, 1);
	lab_close(lab);
}

// Who still waits for the greeting hears the farewell in its place, and nothing behind it.
static void test_before_the_greeting(void **state)
{
	for (unsigned talks = 0; talks < 2; talks++) {
		struct lab *lab = open_with("");
		struct peer *client = greeted(lab), *waiting;

		lab->policy->ban.threshold = 40;
		lab->policy->connectors[0].greet_delay_ms = 6000;
		waiting = lab_connect(lab);
		waiting->stays = true;
		assert_heard(waiting, "220-hello\r\n");
		lab_say(lab, client, "RCPT TO:<a@foreign.test>\r\n");
		lab_run(lab, 2000);
		assert_heard(waiting, FAREWELL);
		if (talks)
			lab_say(lab, waiting, "EHLO c.test\r\nQUIT\r\n");
		lab_run(lab, 10000);
		assert_heard(waiting, "");
		assert_int_equal(lab->reasons[REASON_greet_early_talker].count, 0);
		assert_int_equal(lab->reasons[REASON_buffers_low].count, 0);
		lab_close(lab);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_third_try),
		cmocka_unit_test(test_tarpit),
		cmocka_unit_test(test_offences),
		cmocka_unit_test(test_early_talkers),
		cmocka_unit_test(test_another_protocol),
		cmocka_unit_test(test_who_is_not_banned),
		cmocka_unit_test(test_other_sessions),
		cmocka_unit_test(test_while_the_server_thinks),
		cmocka_unit_test(test_a_message_on_its_way),
		cmocka_unit_test(test_crew),
		cmocka_unit_test(test_before_the_greeting),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
