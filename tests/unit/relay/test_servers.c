// SPDX-License-Identifier: BSD-3-Clause
//
// Choice, pool and waiting: cases that an operator would describe, then random operations against a
// naive model that keeps every connection and waiter in plain arrays.
#include "tests/unit/relay/cluster.h"

static void idle_connections_are_lent_newest_first(void **state)
{
	struct servers *servers = cluster_create();
	struct servers_connection connections[2], *lent;
	struct servers_waiter waiter = {0};
	unsigned server;

	cluster_probe(servers, 0, true);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(servers_request(servers, TWO, &waiter, 0, &lent, &server),
				 SERVERS_CONNECT);
		servers_opened(servers, &connections[i], TWO, server);
	}
	servers_return(servers, &connections[1], 1);
	servers_return(servers, &connections[0], 2);
	assert_int_equal(servers_in_use(servers, TWO, 0), 0);
	assert_int_equal(servers_connections(servers, TWO, 0), 2);
	assert_int_equal(servers_request(servers, TWO, &waiter, 3, &lent, &server), SERVERS_BORROW);
	assert_ptr_equal(lent, &connections[0]);
	assert_int_equal(servers_request(servers, TWO, &waiter, 3, &lent, &server), SERVERS_BORROW);
	assert_ptr_equal(lent, &connections[1]);
	servers_destroy(servers);
}

// While more wait than there is room for, and at a live server only.
static void an_end_helps_while_room_is_short(void **state)
{
	struct servers *servers = cluster_create();
	struct servers_connection connections[MAX_CONNECTIONS], *lent;
	struct servers_waiter waiter = {0}, waiting[2] = {{0}};
	unsigned server;

	cluster_probe(servers, 0, true);
	for (unsigned i = 0; i < MAX_CONNECTIONS; i++) {
		assert_int_equal(servers_request(servers, TWO, &waiter, 0, &lent, &server),
				 SERVERS_CONNECT);
		servers_opened(servers, &connections[i], TWO, server);
	}
	assert_false(servers_short(servers, TWO, 0));
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(servers_request(servers, TWO, &waiting[i], 0, &lent, &server),
				 SERVERS_WAIT);
	assert_true(servers_short(servers, TWO, 0));
	assert_false(servers_short(servers, ONE, 0));
	servers_closed(servers, &connections[0]);
	assert_true(servers_short(servers, TWO, 0));
	servers_closed(servers, &connections[1]);
	assert_false(servers_short(servers, TWO, 0));
	servers_cancel(servers, &waiting[0]);
	servers_cancel(servers, &waiting[1]);
	servers_destroy(servers);
}

static void a_fresh_connection_is_none_of_the_pool(void **state)
{
	struct servers *servers = cluster_create();
	struct servers_connection connections[MAX_CONNECTIONS], *lent;
	struct servers_waiter waiter = {.fresh = true};
	unsigned server;

	cluster_probe(servers, 0, true);
	for (unsigned i = 0; i < MAX_CONNECTIONS; i++) {
		assert_int_equal(servers_request(servers, TWO, &waiter, 0, &lent, &server),
				 SERVERS_CONNECT);
		servers_opened(servers, &connections[i], TWO, server);
		servers_return(servers, &connections[i], 1);
	}
	// No new one may be opened: what is in the pool has to go first, oldest first.
	assert_int_equal(servers_request(servers, TWO, &waiter, 3, &lent, &server), SERVERS_WAIT);
	servers_cancel(servers, &waiter);
	for (unsigned i = 0; i < MAX_CONNECTIONS; i++) {
		assert_ptr_equal(servers_take_idle(servers, TWO, 0), &connections[i]);
		assert_false(connections[i].pooled);
		servers_closed(servers, &connections[i]);
	}
	assert_null(servers_take_idle(servers, TWO, 0));
	assert_int_equal(servers_request(servers, TWO, &waiter, 3, &lent, &server),
			 SERVERS_CONNECT);
	servers_destroy(servers);
}

static void equal_servers_take_turns(void **state)
{
	struct servers *servers = cluster_create();
	struct servers_connection *lent;
	struct servers_waiter waiter = {0};
	unsigned server, sum = 0;

	cluster_probe(servers, 0, true);
	for (unsigned i = 0; i < ONE_SERVERS * MAX_CONNECTIONS; i++) {
		assert_int_equal(servers_request(servers, ONE, &waiter, 0, &lent, &server),
				 SERVERS_CONNECT);
		sum += 1u << (4 * server);
		if (i == ONE_SERVERS - 1)
			assert_int_equal(sum, 0x111);
	}
	assert_int_equal(sum, 0x222);
	assert_int_equal(servers_request(servers, ONE, &waiter, 0, &lent, &server), SERVERS_WAIT);
	servers_cancel(servers, &waiter);
	servers_cancel(servers, &waiter);
	// One backend's load is not another's.
	assert_int_equal(servers_request(servers, TWO, &waiter, 0, &lent, &server),
			 SERVERS_CONNECT);
	servers_destroy(servers);
}

static void light_load_goes_round(void **state)
{
	struct servers *servers = cluster_create();
	struct servers_connection connections[ONE_SERVERS], *lent;
	struct servers_waiter waiter = {0};
	unsigned server;

	cluster_probe(servers, 0, true);
	for (unsigned i = 0; i < ONE_SERVERS; i++) { // one message at a time
		assert_int_equal(servers_request(servers, ONE, &waiter, i, &lent, &server),
				 SERVERS_CONNECT);
		assert_int_equal(server, i);
		servers_opened(servers, &connections[i], ONE, server);
		servers_return(servers, &connections[i], i);
	}
	for (unsigned i = 0; i < ONE_SERVERS; i++) {
		assert_int_equal(servers_request(servers, ONE, &waiter, 9, &lent, &server),
				 SERVERS_BORROW);
		assert_ptr_equal(lent, &connections[i]);
		servers_return(servers, lent, 9);
	}
	servers_destroy(servers);
}

static void a_failed_connection_is_uncounted_and_its_server_avoided(void **state)
{
	struct servers *servers = cluster_create();
	struct servers_connection *lent;
	struct servers_waiter waiter = {0};
	unsigned failed, server;

	cluster_probe(servers, 0, true);
	servers_request(servers, ONE, &waiter, 0, &lent, &failed);
	assert_int_equal(servers_connect_failed(servers, ONE, failed, 0), REASON_backend_down);
	assert_int_equal(servers_connections(servers, ONE, failed), 0);
	for (unsigned i = 0; i < 2 * MAX_CONNECTIONS; i++) {
		assert_int_equal(servers_request(servers, ONE, &waiter, 0, &lent, &server),
				 SERVERS_CONNECT);
		assert_int_not_equal(server, failed);
	}
	assert_int_equal(servers_request(servers, ONE, &waiter, 0, &lent, &server), SERVERS_WAIT);
	servers_abandoned(servers, ONE, server);
	assert_int_equal(servers_health(servers, ONE, server), SERVER_LIVE);
	servers_destroy(servers);
}

static void who_comes_first_is_served_first(void **state)
{
	struct servers *servers = cluster_create();
	struct servers_connection connection, *lent;
	struct servers_waiter waiters[MAX_WAITING + 1] = {0};
	enum servers_choice choice;
	unsigned server;

	// Unknown yet: mail waits for the first probe.
	for (unsigned i = 0; i < MAX_WAITING; i++)
		assert_int_equal(servers_request(servers, TWO, &waiters[i], i, &lent, &server),
				 SERVERS_WAIT);
	assert_int_equal(servers_request(servers, TWO, &waiters[3], 3, &lent, &server),
			 SERVERS_BUSY);
	assert_null(servers_next_waiter(servers, 3, &choice, &lent, &server));
	cluster_probe(servers, 3, true);
	servers_cancel(servers, &waiters[1]);
	assert_ptr_equal(servers_next_waiter(servers, 3, &choice, &lent, &server), &waiters[0]);
	assert_int_equal(choice, SERVERS_CONNECT);
	// Nobody overtakes, though there is room.
	assert_int_equal(servers_request(servers, TWO, &waiters[3], 4, &lent, &server),
			 SERVERS_WAIT);
	assert_ptr_equal(servers_next_waiter(servers, 4, &choice, &lent, &server), &waiters[2]);
	assert_int_equal(choice, SERVERS_CONNECT);
	servers_opened(servers, &connection, TWO, server);
	assert_null(servers_next_waiter(servers, 4, &choice, &lent, &server));
	servers_return(servers, &connection, 5);
	assert_ptr_equal(servers_next_waiter(servers, 5, &choice, &lent, &server), &waiters[3]);
	assert_int_equal(choice, SERVERS_BORROW);
	assert_ptr_equal(lent, &connection);
	servers_destroy(servers);
}

static void waiting_ends(void **state)
{
	struct servers *servers = cluster_create();
	struct servers_connection *lent;
	struct servers_waiter waiters[2] = {0};
	enum servers_choice choice;
	unsigned server, backend;

	// In time:
	while (servers_next_probe(servers, 0, &backend, &server))
		;
	servers_request(servers, TWO, &waiters[0], 1, &lent, &server);
	assert_int_equal(servers_next_us(servers), 1 + WAIT_TIMEOUT);
	assert_null(servers_next_waiter(servers, WAIT_TIMEOUT, &choice, &lent, &server));
	assert_ptr_equal(servers_next_waiter(servers, 1 + WAIT_TIMEOUT, &choice, &lent, &server),
			 &waiters[0]);
	assert_int_equal(choice, SERVERS_BUSY);
	// With the last server's health:
	servers_request(servers, TWO, &waiters[1], 2, &lent, &server);
	servers_probed(servers, TWO, 0, false, 0, 0, 3);
	assert_ptr_equal(servers_next_waiter(servers, 3, &choice, &lent, &server), &waiters[1]);
	assert_int_equal(choice, SERVERS_UNAVAILABLE);
	assert_null(servers_next_waiter(servers, 3, &choice, &lent, &server));
	// Mail wants it, so it is asked again a second after the last time.
	assert_int_equal(servers_next_us(servers), SECOND);
	servers_destroy(servers);
}

static void idle_connections_are_quit_oldest_first(void **state)
{
	struct servers *servers = cluster_create();
	struct servers_connection connections[2], *lent;
	struct servers_waiter waiter = {0};
	unsigned server, backend;

	cluster_probe(servers, 0, true);
	for (unsigned i = 0; i < 2; i++) {
		servers_request(servers, TWO, &waiter, 0, &lent, &server);
		servers_opened(servers, &connections[i], TWO, server);
	}
	for (unsigned i = 0; i < 2; i++)
		servers_return(servers, &connections[i], i);
	while (servers_next_probe(servers, IDLE_TIMEOUT - 1, &backend, &server))
		;
	assert_null(servers_next_idle(servers, IDLE_TIMEOUT - 1));
	assert_int_equal(servers_next_us(servers), IDLE_TIMEOUT);
	assert_ptr_equal(servers_next_idle(servers, IDLE_TIMEOUT), &connections[0]);
	assert_null(servers_next_idle(servers, IDLE_TIMEOUT));
	// It counts until it is closed, and is not lent meanwhile.
	assert_int_equal(servers_connections(servers, TWO, 0), 2);
	assert_int_equal(servers_request(servers, TWO, &waiter, IDLE_TIMEOUT, &lent, &server),
			 SERVERS_BORROW);
	assert_ptr_equal(lent, &connections[1]);
	servers_closed(servers, &connections[0]);
	servers_closed(servers, &connections[1]);
	assert_int_equal(servers_connections(servers, TWO, 0), 0);
	assert_int_equal(servers_in_use(servers, TWO, 0), 0);
	servers_destroy(servers);
}

// ---- Random operations against a naive model -------------------------------------------------

enum life { UNUSED, OPENING, LENT, POOLED, QUITTING };

#define CONNECTIONS 16 // more than MaxConnections allows
#define WAITERS     (2 * MAX_WAITING + 2)

struct model {
	struct servers *servers;
	struct random dice;
	uint64_t now_us;
	struct {
		enum life life;
		unsigned backend, server;
		uint64_t returned; // order of servers_return
		uint64_t returned_us;
		struct servers_connection connection;
	} connections[CONNECTIONS];
	struct {
		bool waits;
		unsigned backend;
		uint64_t order, since_us;
		struct servers_waiter waiter;
	} waiters[WAITERS];
	enum server_health health[BACKENDS][ONE_SERVERS];
	bool probing[BACKENDS][ONE_SERVERS];
	uint64_t order;
	unsigned borrowed, connected, waited, unavailable, busy; // the run must have seen them all
};

static unsigned servers_of(unsigned backend)
{
	return cluster_backends[backend].server_count;
}

static unsigned count_of(const struct model *model, unsigned backend, unsigned server, bool pooled)
{
	unsigned count = 0;

	for (unsigned i = 0; i < CONNECTIONS; i++)
		count += model->connections[i].life != UNUSED &&
			 (pooled || model->connections[i].life != POOLED) &&
			 model->connections[i].backend == backend &&
			 model->connections[i].server == server;
	return count;
}

static unsigned waiting_of(const struct model *model, unsigned backend)
{
	unsigned count = 0;

	for (unsigned i = 0; i < WAITERS; i++)
		count += model->waiters[i].waits && model->waiters[i].backend == backend;
	return count;
}

static bool may_serve(const struct model *model, unsigned backend, unsigned server)
{
	unsigned all = count_of(model, backend, server, true);

	return model->health[backend][server] == SERVER_LIVE &&
	       (all < MAX_CONNECTIONS || count_of(model, backend, server, false) < all);
}

// What the backend can do for one that is first in the queue.
static enum servers_choice expected(const struct model *model, unsigned backend)
{
	bool hope = false;

	for (unsigned i = 0; i < servers_of(backend); i++) {
		if (may_serve(model, backend, i))
			return SERVERS_CONNECT; // or BORROW: depends on the server
		hope |= model->health[backend][i] != SERVER_DOWN;
	}
	return hope ? SERVERS_WAIT : SERVERS_UNAVAILABLE;
}

// Checks what was given against the rules, and notes it.
static void given(struct model *model, unsigned backend, enum servers_choice choice,
		  struct servers_connection *connection, unsigned server)
{
	unsigned newest = CONNECTIONS, unused = CONNECTIONS;

	assert_true(server < servers_of(backend));
	assert_true(may_serve(model, backend, server));
	for (unsigned i = 0; i < servers_of(backend); i++)
		if (may_serve(model, backend, i))
			assert_true(count_of(model, backend, server, false) <=
				    count_of(model, backend, i, false));
	for (unsigned i = 0; i < CONNECTIONS; i++) {
		if (model->connections[i].life == UNUSED)
			unused = i;
		if (model->connections[i].life == POOLED &&
		    model->connections[i].backend == backend &&
		    model->connections[i].server == server &&
		    (newest == CONNECTIONS ||
		     model->connections[i].returned > model->connections[newest].returned))
			newest = i;
	}
	if (newest < CONNECTIONS) {
		assert_int_equal(choice, SERVERS_BORROW);
		assert_ptr_equal(connection, &model->connections[newest].connection);
		model->connections[newest].life = LENT;
		model->borrowed++;
		return;
	}
	assert_int_equal(choice, SERVERS_CONNECT);
	model->connections[unused].life = OPENING;
	model->connections[unused].backend = backend;
	model->connections[unused].server = server;
	model->connected++;
}

static void act_request(struct model *model)
{
	unsigned backend = random_below(&model->dice, BACKENDS);
	unsigned slot = random_below(&model->dice, WAITERS), server = 99;
	struct servers_connection *connection = NULL;
	enum servers_choice choice, expect = SERVERS_WAIT;

	if (model->waiters[slot].waits)
		return;
	if (waiting_of(model, backend) == 0)
		expect = expected(model, backend);
	if (expect == SERVERS_WAIT && waiting_of(model, backend) == MAX_WAITING)
		expect = SERVERS_BUSY;
	choice = servers_request(model->servers, backend, &model->waiters[slot].waiter,
				 model->now_us, &connection, &server);
	if (expect == SERVERS_CONNECT) {
		given(model, backend, choice, connection, server);
		return;
	}
	assert_int_equal(choice, expect);
	model->unavailable += choice == SERVERS_UNAVAILABLE;
	model->busy += choice == SERVERS_BUSY;
	if (choice != SERVERS_WAIT)
		return;
	model->waited++;
	model->waiters[slot].waits = true;
	model->waiters[slot].backend = backend;
	model->waiters[slot].order = ++model->order;
	model->waiters[slot].since_us = model->now_us;
}

static void act_cancel(struct model *model)
{
	unsigned slot = random_below(&model->dice, WAITERS);

	servers_cancel(model->servers, &model->waiters[slot].waiter);
	model->waiters[slot].waits = false;
}

static void act_connection(struct model *model)
{
	unsigned i = random_below(&model->dice, CONNECTIONS);
	unsigned backend = model->connections[i].backend, server = model->connections[i].server;
	struct servers_connection *connection = &model->connections[i].connection;
	unsigned toss = random_below(&model->dice, 10);

	switch (model->connections[i].life) {
	case UNUSED:
		return;
	case OPENING:
		model->connections[i].life = UNUSED;
		if (toss == 0) {
			servers_connect_failed(model->servers, backend, server, model->now_us);
			model->health[backend][server] = SERVER_DOWN;
		} else if (toss == 1) {
			servers_abandoned(model->servers, backend, server);
		} else {
			servers_opened(model->servers, connection, backend, server);
			model->connections[i].life = LENT;
		}
		return;
	case LENT:
		if (toss > 1) {
			servers_return(model->servers, connection, model->now_us);
			model->connections[i].life = POOLED;
			model->connections[i].returned = ++model->order;
			model->connections[i].returned_us = model->now_us;
			return;
		}
		break;
	case POOLED:
		if (toss > 0) // closing pooled ones is rare
			return;
		break;
	case QUITTING:
		break;
	}
	servers_closed(model->servers, connection);
	model->connections[i].life = UNUSED;
}

static void act_probe(struct model *model)
{
	unsigned backend, server;

	if (servers_next_probe(model->servers, model->now_us, &backend, &server)) {
		assert_false(model->probing[backend][server]);
		model->probing[backend][server] = true;
	}
	backend = random_below(&model->dice, BACKENDS);
	server = random_below(&model->dice, servers_of(backend));
	if (model->probing[backend][server]) {
		bool alive = random_below(&model->dice, 4) > 0;

		servers_probed(model->servers, backend, server, alive, 0, 0, model->now_us);
		model->probing[backend][server] = false;
		model->health[backend][server] = alive ? SERVER_LIVE : SERVER_DOWN;
	}
}

static void act_idle(struct model *model)
{
	struct servers_connection *late = servers_next_idle(model->servers, model->now_us);

	for (unsigned i = 0; i < CONNECTIONS; i++) {
		bool is_late = model->connections[i].life == POOLED &&
			       model->now_us - model->connections[i].returned_us >= IDLE_TIMEOUT;

		if (late == &model->connections[i].connection) {
			assert_true(is_late);
			model->connections[i].life = QUITTING;
		}
		if (late == NULL)
			assert_false(is_late);
	}
}

// The one that waits longest for this backend, WAITERS when none does.
static unsigned first_of(const struct model *model, unsigned backend)
{
	unsigned first = WAITERS;

	for (unsigned i = 0; i < WAITERS; i++)
		if (model->waiters[i].waits && model->waiters[i].backend == backend &&
		    (first == WAITERS || model->waiters[i].order < model->waiters[first].order))
			first = i;
	return first;
}

static void act_waiters(struct model *model)
{
	struct servers_connection *connection = NULL;
	struct servers_waiter *waiter;
	enum servers_choice choice;
	unsigned server = 99, first;

	while ((waiter = servers_next_waiter(model->servers, model->now_us, &choice, &connection,
					     &server)) != NULL) {
		unsigned backend = waiter->backend;
		enum servers_choice expect = expected(model, backend);

		first = first_of(model, backend);
		assert_true(first < WAITERS);
		assert_ptr_equal(waiter, &model->waiters[first].waiter);
		model->waiters[first].waits = false;
		if (expect == SERVERS_CONNECT) {
			given(model, backend, choice, connection, server);
		} else if (expect == SERVERS_UNAVAILABLE) {
			assert_int_equal(choice, SERVERS_UNAVAILABLE);
		} else {
			assert_int_equal(choice, SERVERS_BUSY);
			assert_true(model->now_us - model->waiters[first].since_us >= WAIT_TIMEOUT);
		}
	}
	for (unsigned i = 0; i < BACKENDS; i++) {
		first = first_of(model, i);
		if (first == WAITERS)
			continue;
		assert_int_equal(expected(model, i), SERVERS_WAIT);
		assert_true(model->now_us - model->waiters[first].since_us < WAIT_TIMEOUT);
	}
}

static void check_counts(const struct model *model)
{
	for (unsigned i = 0; i < BACKENDS; i++) {
		for (unsigned j = 0; j < servers_of(i); j++) {
			unsigned all = count_of(model, i, j, true);

			assert_true(all <= MAX_CONNECTIONS);
			assert_int_equal(servers_connections(model->servers, i, j), all);
			assert_int_equal(servers_in_use(model->servers, i, j),
					 count_of(model, i, j, false));
			assert_int_equal(servers_health(model->servers, i, j), model->health[i][j]);
		}
	}
}

static void run_model(uint8_t seed)
{
	static void (*const actions[])(struct model *) = {
		act_request,    act_request, act_cancel, act_connection,
		act_connection, act_probe,   act_idle,   act_waiters,
	};
	struct model *model = calloc(1, sizeof(*model));
	const uint8_t key[16] = {seed, 1};

	model->servers = cluster_create();
	random_init(&model->dice, key);
	for (unsigned i = 0; i < 40000; i++) {
		// Mostly bursts within a moment, at times a long silence.
		unsigned pause = random_below(&model->dice, 200);

		model->now_us += pause == 0  ? random_below(&model->dice, 70000000)
				 : pause < 9 ? random_below(&model->dice, 2000000)
					     : random_below(&model->dice, 1000);
		actions[random_below(&model->dice, sizeof(actions) / sizeof(actions[0]))](model);
		check_counts(model);
	}
	assert_true(model->borrowed > 100 && model->connected > 100 && model->waited > 100);
	assert_true(model->unavailable > 10 && model->busy > 10);
	servers_destroy(model->servers);
	free(model);
}

static void random_operations_agree_with_a_naive_model(void **state)
{
	for (uint8_t seed = 0; seed < 10; seed++)
		run_model(seed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(idle_connections_are_lent_newest_first),
		cmocka_unit_test(an_end_helps_while_room_is_short),
		cmocka_unit_test(a_fresh_connection_is_none_of_the_pool),
		cmocka_unit_test(equal_servers_take_turns),
		cmocka_unit_test(light_load_goes_round),
		cmocka_unit_test(a_failed_connection_is_uncounted_and_its_server_avoided),
		cmocka_unit_test(who_comes_first_is_served_first),
		cmocka_unit_test(waiting_ends),
		cmocka_unit_test(idle_connections_are_quit_oldest_first),
		cmocka_unit_test(random_operations_agree_with_a_naive_model),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
