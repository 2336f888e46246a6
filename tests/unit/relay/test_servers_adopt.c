// SPDX-License-Identifier: BSD-3-Clause
//
// Servers of one policy and of the next: what both have goes on as if nothing had happened, what is
// gone gets nothing more, what is new is unknown.
#include "tests/unit/relay/cluster.h"

#define WORKERS 2

static struct servers_shared *shared;
static struct servers *before, *after;

// The servers of "one" without the first and with another one; "two" is gone, "three" is new.
static struct endpoint next_servers[] = {{{{10, 3}}, 25}, {{{10, 9}}, 25}, {{{10, 2}}, 25}};
static struct endpoint third_server[] = {{{{10, 7}}, 25}};
static struct backend next_backends[] = {
	{.name = (char *)"three", .servers = third_server, .server_count = 1, LIMITS},
	{.name = (char *)"one", .servers = next_servers, .server_count = 3, LIMITS},
};
static const struct policy next_policy = {.backends = next_backends, .backend_count = 2};

static int setup(void **state)
{
	static const uint8_t key[16] = {7};

	random_init(&cluster_random, key);
	shared = servers_shared_create(&cluster_policy, WORKERS);
	before = servers_create(&cluster_policy, &cluster_random, shared, 0);
	cluster_probe(before, 0, true);
	after = servers_create(&next_policy, NULL, shared, 0);
	return before && after ? 0 : -1;
}

static int teardown(void **state)
{
	servers_destroy(before);
	servers_destroy(after);
	servers_shared_destroy(shared);
	return 0;
}

static unsigned connect_one(struct servers *servers, unsigned backend,
			    struct servers_connection *connection)
{
	struct servers_waiter waiter = {0};
	struct servers_connection *borrowed;
	unsigned server = 99;

	assert_int_equal(servers_request(servers, backend, &waiter, SECOND, &borrowed, &server),
			 SERVERS_CONNECT);
	servers_opened(servers, connection, backend, server);
	return server;
}

static void test_health_and_pool_go_on(void **state)
{
	struct servers_connection connections[3], *borrowed = NULL;
	struct servers_waiter waiter = {0};
	unsigned server;

	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(connect_one(before, ONE, &connections[i]), i);
	servers_return(before, &connections[1], SECOND);
	servers_return(before, &connections[0], SECOND);
	servers_adopt(after, before, &cluster_random);
	assert_int_equal(servers_health(after, 1, 0), SERVER_LIVE);
	assert_int_equal(servers_health(after, 1, 1), SERVER_UNKNOWN);
	assert_int_equal(servers_health(after, 1, 2), SERVER_LIVE);
	assert_int_equal(servers_health(after, 0, 0), SERVER_UNKNOWN);
	// The pooled one of a server that stays is lent from its new place.
	assert_int_equal(connections[1].backend, 1);
	assert_int_equal(connections[1].server, 2);
	assert_int_equal(servers_request(after, 1, &waiter, SECOND, &borrowed, &server),
			 SERVERS_BORROW);
	assert_ptr_equal(borrowed, &connections[1]);
	// That of the server that is gone is to be closed, and counts where it was.
	assert_ptr_equal(servers_next_removed(before), &connections[0]);
	assert_null(servers_next_removed(before));
	servers_closed(before, &connections[0]);
	assert_int_equal(servers_connections(before, ONE, 0), 0);
	// The lent one finds its place.
	unsigned backend = ONE;
	server = 2;
	assert_true(servers_successor(after, before, &backend, &server));
	assert_int_equal(backend, 1);
	assert_int_equal(server, 0);
	server = 0;
	backend = ONE;
	assert_false(servers_successor(after, before, &backend, &server));
}

// A shorter ProbeInterval holds from the last probe on, not from the next one.
static void test_interval_is_the_new_one(void **state)
{
	struct servers *slower = after;

	servers_adopt(slower, before, &cluster_random);
	cluster_probe(slower, SECOND, true); // the new one
	assert_int_equal(cluster_probe(slower, 20 * SECOND, true), 0);
	next_backends[1].probe_interval_ms = 4000;
	after = servers_create(&next_policy, NULL, shared, 0);
	servers_adopt(after, slower, &cluster_random);
	next_backends[1].probe_interval_ms = 30000;
	assert_int_equal(cluster_probe(after, 3 * SECOND, true), 0);
	assert_int_equal(cluster_probe(after, 20 * SECOND, true), 3);
	servers_destroy(slower);
}

static void test_limits_count_on(void **state)
{
	struct servers_connection connections[4], *borrowed;
	struct servers_waiter waiter = {0};
	unsigned server;

	// Both connections of the two servers that stay are in use.
	for (unsigned i = 0; i < 6; i++) {
		struct servers_connection *place = &connections[i % 3 ? i % 3 : 3];

		connect_one(before, ONE, place);
	}
	servers_adopt(after, before, &cluster_random);
	assert_int_equal(servers_connections(after, 1, 0), MAX_CONNECTIONS);
	assert_int_equal(servers_connections(after, 1, 2), MAX_CONNECTIONS);
	// The new one is not known to be alive: wait for its probe.
	assert_int_equal(servers_request(after, 1, &waiter, SECOND, &borrowed, &server),
			 SERVERS_WAIT);
	assert_int_equal(cluster_probe(after, SECOND, true), 2);
	enum servers_choice choice;
	assert_ptr_equal(servers_next_waiter(after, SECOND, &choice, &borrowed, &server), &waiter);
	assert_int_equal(choice, SERVERS_CONNECT);
	assert_int_equal(server, 1);
}

static void test_waiters_follow_or_are_told(void **state)
{
	struct servers_connection connections[3], *borrowed;
	struct servers_waiter waiters[2] = {{0}};
	unsigned server;

	for (unsigned i = 0; i < 2; i++)
		connect_one(before, TWO, &connections[i]);
	assert_int_equal(servers_request(before, TWO, &waiters[0], SECOND, &borrowed, &server),
			 SERVERS_WAIT);
	for (unsigned i = 0; i < 6; i++)
		connect_one(before, ONE, &connections[2]);
	assert_int_equal(servers_request(before, ONE, &waiters[1], SECOND, &borrowed, &server),
			 SERVERS_WAIT);
	servers_adopt(after, before, &cluster_random);
	assert_ptr_equal(servers_next_stranded(before), &waiters[0]);
	assert_null(servers_next_stranded(before));
	assert_false(waiters[0].queued);
	assert_true(waiters[1].queued);
	assert_int_equal(waiters[1].backend, 1);
	servers_cancel(after, &waiters[1]);
}

static void test_backends_are_found_by_name(void **state)
{
	unsigned backend;

	assert_true(servers_find(after, "one", &backend));
	assert_int_equal(backend, 1);
	assert_false(servers_find(after, "two", &backend));
}

// Rows of the shared table come back: a hundred policies, each with other servers.
static void test_rows_come_back(void **state)
{
	for (unsigned i = 0; i < 100; i++) {
		struct endpoint endpoint = {{{10, 20, (uint8_t)i}}, 25};
		struct backend backend = {
			.name = (char *)"other", .servers = &endpoint, .server_count = 1, LIMITS};
		const struct policy policy = {.backends = &backend, .backend_count = 1};
		struct servers *servers = servers_create(&policy, NULL, shared, 0);

		assert_non_null(servers);
		assert_int_equal(servers_health(servers, 0, 0), SERVER_UNKNOWN);
		servers_destroy(servers);
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_interval_is_the_new_one),
		TEST(test_health_and_pool_go_on),
		TEST(test_limits_count_on),
		TEST(test_waiters_follow_or_are_told),
		TEST(test_backends_are_found_by_name),
		TEST(test_rows_come_back),
	};

	return cmocka_run_group_tests_name("servers_adopt", tests, NULL, NULL);
}
