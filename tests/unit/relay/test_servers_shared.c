// SPDX-License-Identifier: BSD-3-Clause
//
// Two workers share the servers: MaxConnections and MaxWaiting hold for both together, health is
// the same to both and only the first one probes; nobody's waiter starves while another worker has
// connections to spare or more than its part.
#include "tests/unit/relay/cluster.h"

#define WORKERS 2u

struct crew {
	struct servers_shared *shared;
	struct servers *worker[WORKERS];
};

static struct crew crew_open(bool alive)
{
	static const uint8_t key[16] = {7};
	struct crew crew = {.shared = servers_shared_create(&cluster_policy, WORKERS)};

	random_init(&cluster_random, key);
	assert_non_null(crew.shared);
	for (unsigned i = 0; i < WORKERS; i++) {
		crew.worker[i] = servers_create(&cluster_policy, &cluster_random, crew.shared, i);
		assert_non_null(crew.worker[i]);
	}
	cluster_probe(crew.worker[0], 0, alive);
	return crew;
}

static void crew_close(struct crew *crew)
{
	for (unsigned i = 0; i < WORKERS; i++)
		servers_destroy(crew->worker[i]);
	servers_shared_destroy(crew->shared);
}

// A connection to TWO's only server: MAX_CONNECTIONS (2) fit.
static enum servers_choice ask(struct servers *servers, struct servers_waiter *waiter,
			       struct servers_connection *fresh,
			       struct servers_connection **borrowed)
{
	unsigned server = 9;
	enum servers_choice choice =
		servers_request(servers, TWO, waiter, SECOND, borrowed, &server);

	if (choice == SERVERS_CONNECT)
		servers_opened(servers, fresh, TWO, server);
	return choice;
}

static enum servers_choice next_waiter(struct servers *servers, struct servers_connection *fresh)
{
	struct servers_connection *borrowed = NULL;
	enum servers_choice choice = SERVERS_WAIT;
	unsigned server = 9;

	if (servers_next_waiter(servers, SECOND, &choice, &borrowed, &server) == NULL)
		return SERVERS_WAIT;
	if (choice == SERVERS_CONNECT)
		servers_opened(servers, fresh, TWO, server);
	return choice;
}

static void only_the_first_worker_probes_and_all_know(void **state)
{
	struct crew crew = crew_open(false);
	unsigned backend, server;

	assert_false(servers_next_probe(crew.worker[1], SECOND, &backend, &server));
	assert_int_equal(servers_next_us(crew.worker[1]), UINT64_MAX);
	assert_int_equal(servers_health(crew.worker[1], ONE, 0), SERVER_DOWN);
	assert_int_equal(cluster_probe(crew.worker[0], 40 * SECOND, true), 4);
	assert_int_equal(servers_health(crew.worker[1], ONE, 0), SERVER_LIVE);
	assert_int_equal(servers_extensions(crew.worker[1], ONE), 3);
	assert_int_equal(servers_size(crew.worker[1], ONE), 1000);
	// A fault that one meets is an event once, and true for both.
	assert_int_equal(servers_failed(crew.worker[1], ONE, 0), REASON_backend_down);
	assert_int_equal(servers_failed(crew.worker[0], ONE, 0), REASON_NONE);
	assert_int_equal(servers_health(crew.worker[0], ONE, 0), SERVER_DOWN);
	crew_close(&crew);
}

static void mail_of_any_worker_hastens_the_probe(void **state)
{
	struct crew crew = crew_open(false);
	struct servers_connection fresh, *borrowed;
	struct servers_waiter waiter = {0};

	assert_int_equal(cluster_probe(crew.worker[0], 2 * SECOND, false), 0);
	assert_int_equal(ask(crew.worker[1], &waiter, &fresh, &borrowed), SERVERS_UNAVAILABLE);
	assert_int_equal(cluster_probe(crew.worker[0], 2 * SECOND, true), 1);
	crew_close(&crew);
}

static void max_connections_is_a_total(void **state)
{
	struct crew crew = crew_open(true);
	struct servers_connection a[2], b, *borrowed = NULL;
	struct servers_waiter waiters[3] = {{0}};

	assert_int_equal(ask(crew.worker[0], &waiters[0], &a[0], &borrowed), SERVERS_CONNECT);
	assert_int_equal(ask(crew.worker[0], &waiters[1], &a[1], &borrowed), SERVERS_CONNECT);
	assert_int_equal(ask(crew.worker[1], &waiters[2], &b, &borrowed), SERVERS_WAIT);
	assert_int_equal(next_waiter(crew.worker[1], &b), SERVERS_WAIT);
	servers_closed(crew.worker[0], &a[0]);
	assert_int_equal(next_waiter(crew.worker[1], &b), SERVERS_CONNECT);
	servers_closed(crew.worker[0], &a[1]);
	servers_closed(crew.worker[1], &b);
	crew_close(&crew);
}

static void max_waiting_is_a_total(void **state)
{
	struct crew crew = crew_open(true);
	struct servers_connection a[2], b, *borrowed = NULL;
	struct servers_waiter waiters[MAX_WAITING + 3] = {{0}};

	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(ask(crew.worker[0], &waiters[i], &a[i], &borrowed),
				 SERVERS_CONNECT);
	for (unsigned i = 2; i < 2 + MAX_WAITING; i++)
		assert_int_equal(ask(crew.worker[i % 2], &waiters[i], &b, &borrowed), SERVERS_WAIT);
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(ask(crew.worker[i], &waiters[2 + MAX_WAITING], &b, &borrowed),
				 SERVERS_BUSY);
	servers_cancel(crew.worker[0], &waiters[2]);
	assert_int_equal(ask(crew.worker[1], &waiters[2 + MAX_WAITING], &b, &borrowed),
			 SERVERS_WAIT);
	for (unsigned i = 0; i < 2; i++)
		servers_closed(crew.worker[0], &a[i]);
	crew_close(&crew);
}

// Idle connections of one worker must not keep the other one's mail waiting.
static void an_idle_connection_makes_room_for_anothers_waiter(void **state)
{
	struct crew crew = crew_open(true);
	struct servers_connection a[2], b, *borrowed = NULL;
	struct servers_waiter waiters[3] = {{0}};

	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(ask(crew.worker[0], &waiters[i], &a[i], &borrowed),
				 SERVERS_CONNECT);
	}
	for (unsigned i = 0; i < 2; i++)
		servers_return(crew.worker[0], &a[i], SECOND);
	assert_null(servers_next_idle(crew.worker[0], SECOND));
	assert_int_equal(ask(crew.worker[1], &waiters[2], &b, &borrowed), SERVERS_WAIT);
	assert_ptr_equal(servers_next_idle(crew.worker[0], SECOND), &a[0]);
	servers_closed(crew.worker[0], &a[0]);
	// One is enough.
	assert_null(servers_next_idle(crew.worker[0], SECOND));
	assert_int_equal(next_waiter(crew.worker[1], &b), SERVERS_CONNECT);
	servers_closed(crew.worker[0], &a[1]);
	servers_closed(crew.worker[1], &b);
	crew_close(&crew);
}

// Nor may a worker with waiters of its own keep more than its part from one that has none.
static void a_busy_worker_yields_what_is_beyond_its_part(void **state)
{
	struct crew crew = crew_open(true);
	struct servers_connection a[3], b, *borrowed = NULL, *idle;
	struct servers_waiter waiters[4] = {{0}};

	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(ask(crew.worker[0], &waiters[i], &a[i], &borrowed),
				 SERVERS_CONNECT);
	assert_int_equal(ask(crew.worker[0], &waiters[2], &a[2], &borrowed), SERVERS_WAIT);
	assert_int_equal(ask(crew.worker[1], &waiters[3], &b, &borrowed), SERVERS_WAIT);
	servers_return(crew.worker[0], &a[0], SECOND);
	assert_int_equal(next_waiter(crew.worker[0], &a[2]), SERVERS_WAIT);
	idle = servers_next_idle(crew.worker[0], SECOND);
	assert_ptr_equal(idle, &a[0]);
	servers_closed(crew.worker[0], idle);
	// The room is for the other one, who has less than his part.
	assert_int_equal(next_waiter(crew.worker[0], &a[2]), SERVERS_WAIT);
	assert_int_equal(next_waiter(crew.worker[1], &b), SERVERS_CONNECT);
	// With each at its part, everybody lends to his own.
	servers_return(crew.worker[0], &a[1], SECOND);
	assert_int_equal(next_waiter(crew.worker[0], &a[2]), SERVERS_BORROW);
	servers_closed(crew.worker[0], &a[1]);
	servers_closed(crew.worker[1], &b);
	crew_close(&crew);
}

// Parts bind nobody while those who wait have theirs: what is free is for whoever looks first.
static void room_that_nobody_is_short_of_is_used(void **state)
{
	struct backend backend = {
		.name = (char *)"three", .servers = cluster_servers, .server_count = 1, LIMITS};
	const struct policy policy = {.backends = &backend, .backend_count = 1};
	struct servers_shared *shared;
	struct servers *worker[3];
	struct servers_connection connections[8], *borrowed = NULL;
	struct servers_waiter waiters[8] = {{0}};
	unsigned server;

	backend.max_connections = 6;
	shared = servers_shared_create(&policy, 3);
	for (unsigned i = 0; i < 3; i++)
		worker[i] = servers_create(&policy, &cluster_random, shared, i);
	cluster_probe(worker[0], 0, true);
	for (unsigned i = 0; i < 6; i++) {
		assert_int_equal(
			servers_request(worker[i % 3], 0, &waiters[i], SECOND, &borrowed, &server),
			SERVERS_CONNECT);
		servers_opened(worker[i % 3], &connections[i], 0, server);
	}
	for (unsigned i = 6; i < 8; i++)
		assert_int_equal(
			servers_request(worker[i % 3], 0, &waiters[i], SECOND, &borrowed, &server),
			SERVERS_WAIT);
	// The third worker needs its two no more.
	servers_closed(worker[2], &connections[2]);
	servers_closed(worker[2], &connections[5]);
	for (unsigned i = 6; i < 8; i++) {
		enum servers_choice choice;

		assert_ptr_equal(
			servers_next_waiter(worker[i % 3], SECOND, &choice, &borrowed, &server),
			&waiters[i]);
		assert_int_equal(choice, SERVERS_CONNECT);
	}
	for (unsigned i = 0; i < 3; i++)
		servers_destroy(worker[i]);
	servers_shared_destroy(shared);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_the_first_worker_probes_and_all_know),
		cmocka_unit_test(mail_of_any_worker_hastens_the_probe),
		cmocka_unit_test(max_connections_is_a_total),
		cmocka_unit_test(max_waiting_is_a_total),
		cmocka_unit_test(an_idle_connection_makes_room_for_anothers_waiter),
		cmocka_unit_test(room_that_nobody_is_short_of_is_used),
		cmocka_unit_test(a_busy_worker_yields_what_is_beyond_its_part),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
