// SPDX-License-Identifier: BSD-3-Clause
//
// When servers are probed, when they are live and down, and what the live ones offer together.
#include "tests/unit/relay/cluster.h"

static void every_server_is_probed_at_start(void **state)
{
	struct servers *servers = cluster_create();
	bool seen[4] = {false};
	unsigned backend, server;

	assert_int_equal(servers_next_us(servers), 0);
	for (unsigned i = 0; i < 4; i++) {
		assert_true(servers_next_probe(servers, 5 * SECOND, &backend, &server));
		assert_false(seen[backend * ONE_SERVERS + server]);
		seen[backend * ONE_SERVERS + server] = true;
		assert_int_equal(servers_health(servers, backend, server), SERVER_UNKNOWN);
	}
	// Each has its probe running now, and one is enough.
	assert_false(servers_next_probe(servers, 500 * SECOND, &backend, &server));
	assert_int_equal(servers_next_us(servers), UINT64_MAX);
	servers_destroy(servers);
}

static void probes_come_back_around_the_interval(void **state)
{
	struct servers *servers = cluster_create();
	uint64_t now_us = SECOND;

	assert_int_equal(cluster_probe(servers, now_us, true), 4);
	for (unsigned i = 0; i < 400; i++) {
		uint64_t next_us = servers_next_us(servers);

		assert_true(next_us > now_us);
		assert_int_equal(cluster_probe(servers, next_us - 1, true), 0);
		now_us = next_us;
		assert_true(cluster_probe(servers, now_us, true) >= 1);
	}
	// Four servers, a hundred rounds of 30 seconds.
	assert_in_range(now_us, 90 * PROBE_INTERVAL, 110 * PROBE_INTERVAL);
	servers_destroy(servers);
}

static void changes_of_health_are_reported_once(void **state)
{
	static const struct {
		enum { PROBE_UP, PROBE_DOWN, FAILED } event;
		enum reason reason;
		enum server_health health;
	} steps[] = {
		{PROBE_UP, REASON_NONE, SERVER_LIVE}, // news, but nothing came back
		{PROBE_UP, REASON_NONE, SERVER_LIVE},
		{PROBE_DOWN, REASON_backend_down, SERVER_DOWN},
		{PROBE_DOWN, REASON_NONE, SERVER_DOWN},
		{FAILED, REASON_NONE, SERVER_DOWN},
		{PROBE_UP, REASON_backend_up, SERVER_LIVE},
		{FAILED, REASON_backend_down, SERVER_DOWN},
		{PROBE_UP, REASON_backend_up, SERVER_LIVE},
	};
	struct servers *servers = cluster_create();
	uint64_t now_us = 0;
	unsigned backend, server;

	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		enum reason reason = REASON_NONE;

		now_us += 2 * PROBE_INTERVAL;
		if (steps[i].event == FAILED)
			reason = servers_failed(servers, TWO, 0);
		else
			while (servers_next_probe(servers, now_us, &backend, &server))
				reason = servers_probed(servers, backend, server,
							steps[i].event == PROBE_UP, 0, 0, now_us);
		assert_int_equal(reason, steps[i].reason);
		assert_int_equal(servers_health(servers, TWO, 0), steps[i].health);
	}
	servers_destroy(servers);
}

static void a_server_that_is_down_at_first_is_reported(void **state)
{
	struct servers *servers = cluster_create();
	unsigned backend, server;

	assert_true(servers_next_probe(servers, 0, &backend, &server));
	assert_int_equal(servers_probed(servers, backend, server, false, 0, 0, 0),
			 REASON_backend_down);
	servers_destroy(servers);
}

static void mail_hastens_probes_once_a_second(void **state)
{
	struct servers *servers = cluster_create();
	struct servers_waiter waiter = {0};
	struct servers_connection *connection;
	uint64_t now_us = 100 * SECOND;
	unsigned server, probes = 0;

	assert_int_equal(cluster_probe(servers, now_us, false), 4);
	for (unsigned i = 0; i < 1000; i++) { // ten seconds of mail for a dead backend
		now_us += SECOND / 100;
		assert_int_equal(
			servers_request(servers, ONE, &waiter, now_us, &connection, &server),
			SERVERS_UNAVAILABLE);
		probes += cluster_probe(servers, now_us, false);
	}
	assert_int_equal(probes, 10 * ONE_SERVERS);
	// Alive again at the next one, and mail for a live backend hastens nothing.
	servers_request(servers, ONE, &waiter, now_us, &connection, &server);
	now_us += SECOND;
	assert_int_equal(cluster_probe(servers, now_us, true), ONE_SERVERS);
	assert_int_equal(servers_request(servers, ONE, &waiter, now_us, &connection, &server),
			 SERVERS_CONNECT);
	assert_int_equal(cluster_probe(servers, now_us + SECOND, true), 0);
	servers_destroy(servers);
}

static void a_postponed_probe_comes_back(void **state)
{
	struct servers *servers = cluster_create();
	unsigned backend, server;

	while (servers_next_probe(servers, 0, &backend, &server))
		servers_probe_postponed(servers, backend, server, 0);
	assert_int_equal(cluster_probe(servers, SECOND - 1, true), 0);
	assert_int_equal(servers_next_us(servers), SECOND);
	assert_int_equal(cluster_probe(servers, SECOND, true), 4);
	servers_destroy(servers);
}

static void the_live_servers_offer_what_all_have(void **state)
{
	static const struct {
		struct {
			bool alive;
			unsigned extensions;
			uint64_t size;
		} servers[ONE_SERVERS];
		unsigned extensions;
		uint64_t size;
	} cases[] = {
		{{{true, 7, 500}, {true, 7, 300}, {true, 7, 400}}, 7, 300},
		{{{true, 7, 0}, {true, 3, 300}, {true, 6, 0}}, 2, 300},
		{{{true, 7, 0}, {true, 3, 0}, {true, 4, 0}}, 0, 0},
		{{{true, 7, 500}, {false, 0, 0}, {true, 7, 0}}, 7, 500},
		{{{false, 7, 1}, {true, 5, 0}, {false, 7, 1}}, 5, 0},
		{{{false, 7, 1}, {false, 7, 1}, {false, 7, 1}}, 0, 0},
	};
	struct servers *servers = cluster_create();
	uint64_t now_us = 0;
	unsigned backend, server;

	assert_int_equal(servers_extensions(servers, ONE), 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		now_us += 2 * PROBE_INTERVAL;
		while (servers_next_probe(servers, now_us, &backend, &server))
			servers_probed(servers, backend, server,
				       backend == ONE && cases[i].servers[server].alive,
				       backend == ONE ? cases[i].servers[server].extensions : 0,
				       backend == ONE ? cases[i].servers[server].size : 0, now_us);
		assert_int_equal(servers_extensions(servers, ONE), cases[i].extensions);
		assert_int_equal(servers_size(servers, ONE), cases[i].size);
	}
	servers_destroy(servers);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_server_is_probed_at_start),
		cmocka_unit_test(probes_come_back_around_the_interval),
		cmocka_unit_test(changes_of_health_are_reported_once),
		cmocka_unit_test(a_server_that_is_down_at_first_is_reported),
		cmocka_unit_test(mail_hastens_probes_once_a_second),
		cmocka_unit_test(a_postponed_probe_comes_back),
		cmocka_unit_test(the_live_servers_offer_what_all_have),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
