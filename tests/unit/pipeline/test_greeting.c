// SPDX-License-Identifier: BSD-3-Clause
//
// The tests while a session begins, as the client meets them: who waits and how long, who talks
// early or pipelines before EHLO's answer, what each action does to him, who is remembered; and
// what the DNS lists' answers do at RCPT. Time is virtual: what is awaited is awaited exactly.
#include "tests/unit/pipeline/lab.h"

#define BANNER  "220 hello\r\n"
#define TEASER  "220-hello\r\n"
#define REFUSED "550 5.5.1 Protocol error: spoke before the greeting\r\n"
#define CLOSED                                                                                     \
	"521 5.5.1 Protocol error: spoke before the greeting, closing transmission channel\r\n"
#define PIPELINED                                                                                  \
	"521 5.5.1 Protocol error: spoke before the reply to EHLO, closing transmission "          \
	"channel\r\n"
#define RCPT "RCPT TO:<x@accepted.test>\r\n"

// GreetDelay is there when the gate is made, so that it remembers who waited.
static struct lab *open_delayed(void)
{
	struct lab *lab = lab_open("", "");
	struct connector *connector = &lab->policy->connectors[0];

	connector->greet_delay_ms = 6000;
	connector->greet_teaser = true;
	lab->pipeline->passed = lab->pipeline->own_passed =
		passed_create(1024, &(struct hash_key){{1}});
	assert_non_null(lab->pipeline->passed);
	return lab;
}

static uint64_t count(const struct lab *lab, enum reason reason)
{
	return lab->reasons[reason].count;
}

static void test_who_waits_goes_on(void **state)
{
	struct lab *lab = open_delayed();
	struct peer *client = lab_connect(lab);

	assert_heard(client, TEASER);
	lab_run(lab, 5000);
	assert_heard(client, "");
	lab_run(lab, 1000);
	assert_heard(client, BANNER);
	// The same session, to the end of a message.
	lab_say(lab, client, "EHLO c.test\r\n");
	lab_heard(client);
	lab_say(lab, client, "MAIL FROM:<a@c.test>\r\n" RCPT "DATA\r\n");
	lab_say(lab, client, "text\r\n.\r\nQUIT\r\n");
	assert_non_null(strstr(lab_heard(client), "250 queued as 1\r\n221"));
	assert_int_equal(count(lab, REASON_greet_early_talker), 0);
	assert_int_equal(count(lab, REASON_greet_pipelining), 0);
	// And the next one begins at once, of whichever port.
	client = lab_connect(lab);
	assert_heard(client, BANNER);
	lab_close(lab);
}

static void test_it_is_remembered_for_its_time(void **state)
{
	struct lab *lab = open_delayed();
	struct peer *client;

	lab->policy->gate.greet_pass_time_ms = 60000;
	client = lab_connect(lab);
	lab_run(lab, 6000);
	lab_say(lab, client, "EHLO c.test\r\n");
	// Not yet: whether it waits for this reply shows in what it says next.
	assert_heard(lab_connect(lab), TEASER);
	lab_say(lab, client, "NOOP\r\n");
	assert_heard(lab_connect(lab), BANNER);
	lab_run(lab, 50000);
	assert_heard(lab_connect(lab), BANNER);
	lab_run(lab, 12000);
	assert_heard(lab_connect(lab), TEASER);
	lab_close(lab);
}

static void test_without_a_teaser(void **state)
{
	struct lab *lab = open_delayed();
	struct peer *client;

	lab->policy->connectors[0].greet_teaser = false;
	client = lab_connect(lab);
	lab_run(lab, 5000);
	assert_heard(client, "");
	lab_run(lab, 1000);
	assert_heard(client, BANNER);
	lab_close(lab);
}

static void test_who_does_not_wait(void **state)
{
	struct lab *lab = open_delayed();
	struct ip_entry entry = {0};

	// Vouched for by its connector.
	lab->policy->connectors[0].mechanisms = MECHANISM_EXTERNAL_AUTHORITATIVE;
	assert_heard(lab_connect(lab), BANNER);
	lab->policy->connectors[0].mechanisms = 0;
	assert_heard(lab_connect(lab), TEASER);
	// Or on the IP Allow list.
	entry.range = range_from_prefix(&lab->client_address.address, 32);
	lab->policy->ip_allow = (struct ip_list){.entries = &entry, .count = 1};
	ip_list_sort(&lab->policy->ip_allow);
	assert_heard(lab_connect(lab), BANNER);
	lab->policy->ip_allow = (struct ip_list){0};
	lab_close(lab);
}

// Waiting would take places from those who have waited.
static void test_nobody_waits_when_few_sessions_are_free(void **state)
{
	struct lab *lab = lab_open("MaxSessions = 8\n", "");
	struct peer *client = NULL;

	lab->policy->connectors[0].greet_delay_ms = 6000;
	for (unsigned i = 0; i < 6; i++) {
		client = lab_connect(lab);
		assert_heard(client, TEASER);
	}
	assert_int_equal(count(lab, REASON_greet_delay_skipped), 0);
	assert_heard(lab_connect(lab), BANNER);
	assert_int_equal(count(lab, REASON_greet_delay_skipped), 1);
	lab_close(lab);
}

static void test_early_talker(void **state)
{
	static const struct {
		enum early_action action;
		const char *answer; // to what it said before the greeting
		const char *recipient;
	} cases[] = {
		{EARLY_COUNT, BANNER "250 mx.test Hello [192.0.2.20]\r\n", "250 recipient\r\n"},
		{EARLY_REJECT, BANNER "250 mx.test Hello [192.0.2.20]\r\n", REFUSED},
		{EARLY_CLOSE, CLOSED, NULL},
	};

	// With a delay, and without one: a client can be ahead of any greeting.
	for (unsigned i = 0; i < 6; i++) {
		struct lab *lab = open_delayed();
		struct peer *client;

		lab->policy->connectors[0].early_talker_action = cases[i / 2].action;
		// It is no refusal that waits.
		lab->policy->connectors[0].tarpit_interval_ms = i < 4 ? 0 : 5000;
		client = lab_connect(lab);
		assert_heard(client, TEASER);
		lab_say(lab, client, "HELO c.test\r\n");
		assert_heard(client, cases[i / 2].answer);
		assert_int_equal(count(lab, REASON_greet_early_talker), 1);
		if (cases[i / 2].recipient) {
			lab_say(lab, client, "MAIL FROM:<a@c.test>\r\n");
			lab_heard(client);
			lab_say(lab, client, RCPT);
			assert_heard(client, cases[i / 2].recipient);
			// Who talked is not remembered.
			assert_heard(lab_connect(lab), TEASER);
		} else {
			assert_null(client->connection);
			assert_false(client->reset);
		}
		lab_close(lab);
	}
}

// Its bytes come after the handshake's ACK, but were sent before the greeting could be read.
static void test_early_talker_without_a_delay(void **state)
{
	struct lab *lab = lab_open("", "");
	struct peer *client;

	lab->policy->connectors[0].early_talker_action = EARLY_CLOSE;
	lab->wire.weather[STATION_CLIENT].delay_us = 50000;
	client = lab_connecting(lab); // 1 ms
	lab_run(lab, 60);             // SYN-ACK there, the greeting on its way
	lab_say(lab, client, "HELO c.test\r\n");
	assert_heard(client, BANNER CLOSED);
	assert_int_equal(count(lab, REASON_greet_early_talker), 1);
	lab_close(lab);
}

static void test_early_pipelining(void **state)
{
	static const struct {
		const char *said;
		bool offends;
	} cases[] = {
		{"EHLO c.test\r\nMAIL FROM:<a@c.test>\r\n", true},
		{"HELO c.test\r\nNOOP\r\n", true},
		{"NOOP\r\nEHLO c.test\r\n", true},
		{"EHLO c.test\r\nM", true},
		{"EHLO c.test\r\n", false},
		{"EHLO c.te", false},
		{"NOOP\r\n", false},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct lab *lab = lab_open("", "");
		struct peer *client;
		const char *heard;

		lab->policy->connectors[0].early_pipelining_action = EARLY_CLOSE;
		client = lab_connect(lab);
		lab_heard(client);
		lab_say(lab, client, cases[i].said);
		heard = lab_heard(client);
		assert_int_equal(strstr(heard, PIPELINED) != NULL, cases[i].offends);
		assert_int_equal(count(lab, REASON_greet_pipelining), cases[i].offends);
		assert_int_equal(count(lab, REASON_greet_early_talker), 0);
		assert_int_equal(client->connection == NULL, cases[i].offends);
		lab_close(lab);
	}
}

// Behind the reply to EHLO a client may pipeline as it likes.
static void test_pipelining_after_the_reply(void **state)
{
	struct lab *lab = lab_open("", "");
	struct peer *client = lab_connect(lab);

	lab->policy->connectors[0].early_pipelining_action = EARLY_CLOSE;
	lab_say(lab, client, "EHLO c");
	lab_say(lab, client, ".test\r\n");
	lab_say(lab, client, "RSET\r\nNOOP\r\nMAIL FROM:<a@c.test>\r\n" RCPT "DATA\r\n");
	lab_say(lab, client, "text\r\n.\r\nRSET\r\nEHLO c.test\r\nQUIT\r\n");
	assert_non_null(strstr(lab_heard(client), "221"));
	assert_int_equal(lab->delivered, 1);
	assert_int_equal(count(lab, REASON_greet_pipelining), 0);
	lab_close(lab);
}

static void test_pipelining_is_refused_at_rcpt(void **state)
{
	struct lab *lab = lab_open("", "");
	struct peer *client = lab_connect(lab);
	unsigned servers = lab->server_count;

	lab->policy->connectors[0].early_pipelining_action = EARLY_REJECT;
	lab_say(lab, client, "EHLO c.test\r\nMAIL FROM:<a@c.test>\r\n");
	lab_heard(client);
	lab_say(lab, client, RCPT);
	assert_heard(client, "550 5.5.1 Protocol error: spoke before the reply to EHLO\r\n");
	assert_int_equal(lab->connector.recipients_refused, 1);
	assert_int_equal(lab->server_count, servers);
	lab_close(lab);
}

static void test_who_leaves_while_it_waits(void **state)
{
	for (int abort = 0; abort < 2; abort++) {
		struct lab *lab = open_delayed();
		struct peer *client = lab_connect(lab);

		lab_run(lab, 1000);
		if (abort)
			client->connection->transport->abort(client->connection);
		else
			client->connection->transport->close(client->connection);
		lab_run(lab, LAB_MOMENT_MS);
		assert_int_equal(pipeline_levels(lab->pipeline).clients, 0);
		lab_close(lab);
	}
}

static void test_the_stop_does_not_wait(void **state)
{
	for (int force = 0; force < 2; force++) {
		struct lab *lab = open_delayed();
		struct peer *client = lab_connect(lab);

		lab_heard(client);
		pipeline_drain(lab->pipeline, force, lab->now, &lab->outbox);
		lab_run(lab, LAB_MOMENT_MS);
		assert_heard(client,
			     "421 4.3.2 Service not available, closing transmission channel\r\n");
		assert_null(client->connection);
		lab_close(lab);
	}
}

static void test_it_costs_a_timer(void **state)
{
	struct lab *lab = open_delayed();
	struct pipeline_levels levels = pipeline_levels(lab->pipeline);

	lab_connect(lab);
	lab_run(lab, 1000);
	assert_int_equal(pipeline_levels(lab->pipeline).chunks_used, levels.chunks_used);
	assert_int_equal(pipeline_levels(lab->pipeline).timers, levels.timers + 1);
	lab_close(lab);
}

// ---- DNS lists -------------------------------------------------------------------------------

static struct dnsbl_list lists[] = {
	{.name = (char *)"bad.test", .zone = (char *)"bad.test", .weight = 2},
	{.name = (char *)"poor.test", .zone = (char *)"poor.test", .weight = 1},
	{.name = (char *)"good.test", .zone = (char *)"good.test", .weight = -2},
};

static struct lab *open_listing(enum dnsbl_action action)
{
	struct lab *lab = lab_open("", "");

	lab->policy->connectors[0].dnsbl_action = action;
	lab->policy->connectors[0].dnsbl_threshold = 1;
	lab->policy->dnsbls = lists;
	lab->policy->dnsbl_count = 3;
	lab->pipeline->dnsbl = dnsbl_create(1, &(struct hash_key){{2}});
	return lab;
}

static void close_listing(struct lab *lab)
{
	dnsbl_destroy(lab->pipeline->dnsbl);
	lab->pipeline->dnsbl = NULL;
	lab->policy->dnsbls = NULL;
	lab->policy->dnsbl_count = 0;
	lab_close(lab);
}

// What the lists say of the lab's client, in a minute's validity.
static void answer(struct lab *lab, uint32_t listed, uint32_t answered)
{
	struct dnsbl_answer known = {listed, answered};

	dnsbl_put(lab->pipeline->dnsbl, &lab->client_address.address, &known,
		  lab->now.now_us + 60000000, lab->now.now_us);
}

static struct peer *in_transaction(struct lab *lab)
{
	struct peer *client = lab_connect(lab);

	lab_say(lab, client, "HELO c.test\r\n");
	lab_say(lab, client, "MAIL FROM:<a@c.test>\r\n");
	lab_heard(client);
	return client;
}

static void test_lists_are_asked_once(void **state)
{
	struct lab *lab = open_listing(DNSBL_REJECT);
	struct address asked;

	lab_connect(lab);
	assert_true(dnsbl_next(lab->pipeline->dnsbl, &asked));
	assert_memory_equal(&asked, &lab->client_address.address, sizeof(asked));
	assert_false(dnsbl_next(lab->pipeline->dnsbl, &asked));
	answer(lab, 0, 7);
	lab_connect(lab);
	assert_false(dnsbl_next(lab->pipeline->dnsbl, &asked));
	// A full ring costs nobody anything.
	lab_run(lab, 61000);
	while (dnsbl_ask(lab->pipeline->dnsbl, 0, &asked))
		;
	assert_heard(lab_connect(lab), BANNER);
	assert_int_equal(count(lab, REASON_dnsbl_queue_full), 1);
	close_listing(lab);
}

static void test_listed(void **state)
{
	static const struct {
		uint32_t listed, answered;
		const char *reply;
		unsigned late;
	} cases[] = {
		{0, 0, "250 recipient\r\n", 1},
		{0, 7, "250 recipient\r\n", 0},
		{1, 7, "550 5.7.1 Client host [192.0.2.20] is blocked using bad.test\r\n", 0},
		{2, 7, "550 5.7.1 Client host [192.0.2.20] is blocked using poor.test\r\n", 0},
		{3, 7, "550 5.7.1 Client host [192.0.2.20] is blocked using bad.test\r\n", 0},
		{5, 7, "250 recipient\r\n", 0}, // the good one outweighs it
		{1, 3, "250 recipient\r\n", 1}, // and may do so yet
		{7, 7, "550 5.7.1 Client host [192.0.2.20] is blocked using bad.test\r\n", 0},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct lab *lab = open_listing(DNSBL_REJECT);
		struct peer *client = in_transaction(lab);
		bool refused = cases[i].reply[0] == '5';

		if (cases[i].answered)
			answer(lab, cases[i].listed, cases[i].answered);
		lab_say(lab, client, RCPT);
		assert_heard(client, cases[i].reply);
		assert_int_equal(count(lab, REASON_dnsbl_listed), refused);
		assert_int_equal(count(lab, REASON_dnsbl_late), cases[i].late);
		assert_int_equal(lab->connector.recipients_refused, refused);
		// The session goes on, and its recipients stay what they were.
		lab_say(lab, client, "NOOP\r\n");
		assert_heard(client, "250 2.0.0 OK\r\n");
		close_listing(lab);
	}
}

static void test_listed_and_only_counted(void **state)
{
	struct lab *lab = open_listing(DNSBL_COUNT);
	struct peer *client = in_transaction(lab);

	answer(lab, 1, 7);
	lab_say(lab, client, RCPT RCPT);
	assert_heard(client, "250 recipient\r\n250 recipient\r\n");
	assert_int_equal(count(lab, REASON_dnsbl_listed), 1);
	close_listing(lab);
}

// The first recipient waits, and no server is asked before; those behind it do not.
static void test_listed_and_tarpitted(void **state)
{
	struct lab *lab = open_listing(DNSBL_TARPIT);
	struct peer *client;
	unsigned servers;

	lab->policy->connectors[0].tarpit_interval_ms = 5000;
	client = in_transaction(lab);
	servers = lab->server_count;
	answer(lab, 1, 7);
	lab_say(lab, client, RCPT);
	lab_run(lab, 4000);
	assert_heard(client, "");
	assert_int_equal(lab->server_count, servers);
	lab_run(lab, 1000);
	assert_heard(client, "250 recipient\r\n");
	assert_int_equal(lab->connector.tarpitted, 1);
	lab_say(lab, client, RCPT "DATA\r\n");
	assert_non_null(strstr(lab_heard(client), "250 recipient\r\n354"));
	lab_say(lab, client, "text\r\n.\r\n");
	assert_heard(client, "250 queued as 1\r\n");
	assert_int_equal(count(lab, REASON_dnsbl_listed), 1);
	// The next message's waits again; who leaves then leaves nothing behind.
	lab_say(lab, client, "MAIL FROM:<a@c.test>\r\n" RCPT);
	assert_heard(client, "250 2.1.0 Sender OK\r\n");
	client->connection->transport->abort(client->connection);
	lab_run(lab, LAB_MOMENT_MS);
	assert_int_equal(pipeline_levels(lab->pipeline).clients, 0);
	close_listing(lab);
}

static void test_who_is_allowed_is_not_looked_up(void **state)
{
	struct lab *lab = open_listing(DNSBL_REJECT);
	struct ip_entry entry = {0};
	struct address asked;
	struct peer *client;

	entry.range = range_from_prefix(&lab->client_address.address, 32);
	lab->policy->ip_allow = (struct ip_list){.entries = &entry, .count = 1};
	ip_list_sort(&lab->policy->ip_allow);
	client = in_transaction(lab);
	assert_false(dnsbl_next(lab->pipeline->dnsbl, &asked));
	answer(lab, 1, 7);
	lab_say(lab, client, RCPT);
	assert_heard(client, "250 recipient\r\n");
	lab->policy->ip_allow = (struct ip_list){0};
	close_listing(lab);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_who_waits_goes_on),
		cmocka_unit_test(test_it_is_remembered_for_its_time),
		cmocka_unit_test(test_without_a_teaser),
		cmocka_unit_test(test_who_does_not_wait),
		cmocka_unit_test(test_nobody_waits_when_few_sessions_are_free),
		cmocka_unit_test(test_early_talker),
		cmocka_unit_test(test_early_talker_without_a_delay),
		cmocka_unit_test(test_early_pipelining),
		cmocka_unit_test(test_pipelining_after_the_reply),
		cmocka_unit_test(test_pipelining_is_refused_at_rcpt),
		cmocka_unit_test(test_who_leaves_while_it_waits),
		cmocka_unit_test(test_the_stop_does_not_wait),
		cmocka_unit_test(test_it_costs_a_timer),
		cmocka_unit_test(test_lists_are_asked_once),
		cmocka_unit_test(test_listed),
		cmocka_unit_test(test_listed_and_only_counted),
		cmocka_unit_test(test_listed_and_tarpitted),
		cmocka_unit_test(test_who_is_allowed_is_not_looked_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
