// SPDX-License-Identifier: BSD-3-Clause
//
// Which server gets the next transaction, on which connection, and who waits. One array of servers
// for all backends, a stack of idle connections a server, a queue of waiters a backend. All lists
// run through the callers' objects, so nothing here is allocated after servers_create and no list
// can be full; a backend has a handful of servers, so choosing looks at each.
// Health is servers_health.c. Does not open, close or read connections, and knows no clock.
#include "dataplane/base/spread.h"
#include "dataplane/relay/servers_state.h"

#include <stdlib.h>

#define NEVER UINT64_MAX

static unsigned part_of(const struct backend *backend, unsigned worker, unsigned workers)
{
	uint64_t part = spread_share(backend->max_connections, worker, workers);

	return part ? (unsigned)part : 1;
}

// -1 when the shared table has no row left; servers_destroy undoes what was done.
static int fill_groups(struct servers *servers, const struct policy *policy,
		       struct servers_shared *shared, unsigned worker)
{
	for (unsigned i = 0, offset = 0; i < policy->backend_count; i++) {
		const struct backend *backend = &policy->backends[i];
		struct group *group = &servers->groups[i];

		group->backend = backend;
		group->servers = servers->all + offset;
		group->shared = servers_state_enter_group(shared, backend->name);
		if (!group->shared)
			return -1;
		for (unsigned j = 0; j < backend->server_count; j++) {
			struct server *server = &group->servers[j];

			server->shared = servers_state_enter_server(shared, backend->name,
								    &backend->servers[j]);
			if (!server->shared)
				return -1;
			server->part = part_of(backend, worker, shared->workers);
		}
		offset += backend->server_count;
	}
	return 0;
}

struct servers *servers_create(const struct policy *policy, struct random *random,
			       struct servers_shared *shared, unsigned worker)
{
	struct servers *servers =
		calloc(1, sizeof(*servers) + policy->backend_count * sizeof(struct group));

	if (servers == NULL)
		return NULL;
	servers->random = random;
	servers->prober = worker == 0;
	servers->group_count = policy->backend_count;
	servers->total = servers_state_count(policy);
	if (shared == NULL) {
		shared = servers->own = servers_shared_create(policy, 1);
		if (shared == NULL)
			goto destroy;
	}
	servers->all = calloc(servers->total ? servers->total : 1, sizeof(struct server));
	if (servers->all == NULL)
		goto destroy;
	if (fill_groups(servers, policy, shared, worker))
		goto destroy;
	return servers;

destroy:
	servers_destroy(servers);
	return NULL;
}

void servers_destroy(struct servers *servers)
{
	if (servers == NULL)
		return;
	for (unsigned i = 0; servers->all && i < servers->total; i++)
		if (servers->all[i].shared)
			servers_state_leave(&servers->all[i].shared->identity);
	for (unsigned i = 0; i < servers->group_count; i++)
		if (servers->groups[i].shared)
			servers_state_leave(&servers->groups[i].shared->identity);
	free(servers->all);
	servers_shared_destroy(servers->own);
	free(servers);
}

// ---- Pool of idle connections ----------------------------------------------------------------

static void pool_put(struct server *server, struct servers_connection *connection)
{
	connection->previous = NULL;
	connection->next = server->newest;
	if (server->newest != NULL)
		server->newest->previous = connection;
	else
		server->oldest = connection;
	server->newest = connection;
	connection->pooled = true;
	server->idle++;
}

static void pool_take(struct server *server, struct servers_connection *connection)
{
	if (connection->previous != NULL)
		connection->previous->next = connection->next;
	else
		server->newest = connection->next;
	if (connection->next != NULL)
		connection->next->previous = connection->previous;
	else
		server->oldest = connection->previous;
	connection->next = connection->previous = NULL;
	connection->pooled = false;
	assert(server->idle > 0);
	server->idle--;
}

// ---- Hunger ----------------------------------------------------------------------------------

void servers_state_note_hunger(struct group *group)
{
	for (unsigned i = 0; i < group->backend->server_count; i++) {
		struct server *server = &group->servers[i];
		bool hungry = group->waiting > 0 && server->connections < server->part;

		if (hungry == server->hungry)
			continue;
		server->hungry = hungry;
		if (hungry)
			atomic_fetch_add_explicit(&server->shared->hungry, 1, memory_order_relaxed);
		else
			servers_state_give(&server->shared->hungry);
	}
}

// ---- Waiters ---------------------------------------------------------------------------------

// The caller has counted it for all workers.
static void waiter_put(struct servers *servers, struct group *group, struct servers_waiter *waiter,
		       uint64_t now_us)
{
	assert(!waiter->queued);
	waiter->backend = (unsigned)(group - servers->groups);
	waiter->deadline_us = servers_state_later(now_us, group->backend->wait_timeout_ms);
	waiter->queued = true;
	waiter->next = NULL;
	waiter->previous = group->last;
	if (group->last != NULL)
		group->last->next = waiter;
	else
		group->first = waiter;
	group->last = waiter;
	group->waiting++;
	servers->waiting++;
	servers_state_note_hunger(group);
}

static void waiter_take(struct servers *servers, struct group *group, struct servers_waiter *waiter)
{
	if (waiter->previous != NULL)
		waiter->previous->next = waiter->next;
	else
		group->first = waiter->next;
	if (waiter->next != NULL)
		waiter->next->previous = waiter->previous;
	else
		group->last = waiter->previous;
	waiter->next = waiter->previous = NULL;
	waiter->queued = false;
	assert(group->waiting > 0);
	group->waiting--;
	servers->waiting--;
	servers_state_give(&group->shared->waiting);
	servers_state_note_hunger(group);
}

// ---- Choice ----------------------------------------------------------------------------------

// Others have transactions waiting for this backend.
static bool others_wait(const struct group *group)
{
	return servers_state_read(&group->shared->waiting) > group->waiting;
}

static bool is_full(const struct group *group, const struct server *server)
{
	return servers_state_read(&server->shared->connections) >= group->backend->max_connections;
}

// Another worker with mail waiting has less than its part of this server.
static bool others_hungry(const struct server *server)
{
	return servers_state_read(&server->shared->hungry) > server->hungry;
}

// Idle connections that this worker must not use again: it has more than its part, another one
// less. Without this, a busy worker would lend each connection to its own next waiter for ever.
static bool must_yield(const struct group *group, const struct server *server)
{
	return server->connections > server->part && others_hungry(server) &&
	       is_full(group, server);
}

static bool has_room(const struct group *group, const struct server *server, bool fresh)
{
	if (server->idle > 0 && !fresh && !must_yield(group, server))
		return true;
	return !is_full(group, server) &&
	       (server->connections < server->part || !others_hungry(server));
}

// The best of the group's servers, or NULL. Equal ones take turns.
static struct server *choose(const struct group *group, bool fresh)
{
	unsigned count = group->backend->server_count;
	struct server *best = NULL;

	for (unsigned i = 0; i < count; i++) {
		struct server *server = &group->servers[(group->turn + i) % count];

		if (servers_state_health(server) != SERVER_LIVE || !has_room(group, server, fresh))
			continue;
		if (best == NULL || servers_state_in_use(server) < servers_state_in_use(best))
			best = server;
	}
	return best;
}

static bool any_of_health(const struct group *group, enum server_health health)
{
	for (unsigned i = 0; i < group->backend->server_count; i++)
		if (servers_state_health(&group->servers[i]) == health)
			return true;
	return false;
}

// Counts or unpools what it gives. WAIT means only that waiting makes sense.
static enum servers_choice serve(struct group *group, bool fresh,
				 struct servers_connection **connection, unsigned *server)
{
	struct server *best = choose(group, fresh);

	if (best == NULL)
		return any_of_health(group, SERVER_LIVE) || any_of_health(group, SERVER_UNKNOWN)
			       ? SERVERS_WAIT
			       : SERVERS_UNAVAILABLE;
	*server = (unsigned)(best - group->servers);
	group->turn = (*server + 1) % group->backend->server_count;
	if (best->newest != NULL && !fresh && !must_yield(group, best)) {
		*connection = best->newest;
		pool_take(best, best->newest);
		return SERVERS_BORROW;
	}
	// Another worker may have taken the last one just now.
	if (!servers_state_take(&best->shared->connections, group->backend->max_connections))
		return SERVERS_WAIT;
	best->connections++;
	best->opening++;
	servers_state_note_hunger(group);
	return SERVERS_CONNECT;
}

enum servers_choice servers_request(struct servers *servers, unsigned backend,
				    struct servers_waiter *waiter, uint64_t now_us,
				    struct servers_connection **connection, unsigned *server)
{
	struct group *group = servers_state_group(servers, backend);
	enum servers_choice choice = SERVERS_WAIT;

	assert(!waiter->queued);
	if (group->first == NULL)
		choice = serve(group, waiter->fresh, connection, server);
	if (choice == SERVERS_UNAVAILABLE)
		servers_health_hasten(servers, group, now_us);
	if (choice != SERVERS_WAIT)
		return choice;
	if (!servers_state_take(&group->shared->waiting, group->backend->max_waiting))
		return SERVERS_BUSY;
	waiter_put(servers, group, waiter, now_us);
	return SERVERS_WAIT;
}

unsigned servers_waiting(const struct servers *servers, unsigned backend)
{
	return servers_state_read(&servers->groups[backend].shared->waiting);
}

bool servers_any_waiting(const struct servers *servers)
{
	for (unsigned i = 0; i < servers->group_count; i++)
		if (servers_waiting(servers, i))
			return true;
	return false;
}

bool servers_short(const struct servers *servers, unsigned backend, unsigned server)
{
	const struct group *group = &servers->groups[backend];
	unsigned room = 0;

	if (servers_state_health(&group->servers[server]) != SERVER_LIVE)
		return false;
	for (unsigned i = 0; i < group->backend->server_count; i++) {
		const struct server *at = &group->servers[i];
		unsigned taken = servers_state_read(&at->shared->connections);

		if (taken < group->backend->max_connections &&
		    servers_state_health(at) == SERVER_LIVE)
			room += group->backend->max_connections - taken;
	}
	return servers_waiting(servers, backend) > room;
}

void servers_cancel(struct servers *servers, struct servers_waiter *waiter)
{
	if (waiter->queued)
		waiter_take(servers, servers_state_group(servers, waiter->backend), waiter);
}

struct servers_waiter *servers_next_waiter(struct servers *servers, uint64_t now_us,
					   enum servers_choice *choice,
					   struct servers_connection **connection, unsigned *server)
{
	for (unsigned i = 0; servers->waiting > 0 && i < servers->group_count; i++) {
		struct group *group = &servers->groups[i];
		struct servers_waiter *waiter = group->first;

		if (waiter == NULL)
			continue;
		*choice = serve(group, false, connection, server);
		if (*choice == SERVERS_WAIT) {
			// All wait equally long, so the first in the queue is the first to be late.
			if (now_us < waiter->deadline_us)
				continue;
			*choice = SERVERS_BUSY;
		}
		if (*choice == SERVERS_UNAVAILABLE)
			servers_health_hasten(servers, group, now_us);
		waiter_take(servers, group, waiter);
		return waiter;
	}
	return NULL;
}

// ---- Connections -----------------------------------------------------------------------------

static void forget_opening(struct group *group, struct server *server)
{
	assert(server->opening > 0);
	server->opening--;
	server->connections--;
	servers_state_give(&server->shared->connections);
	servers_state_note_hunger(group);
}

void servers_opened(struct servers *servers, struct servers_connection *connection,
		    unsigned backend, unsigned server)
{
	struct server *at = servers_state_server(servers, backend, server);

	assert(at->opening > 0);
	at->opening--;
	*connection = (struct servers_connection){
		.backend = backend,
		.server = server,
		.bound = true,
		.idle_deadline_us = NEVER,
	};
}

void servers_abandoned(struct servers *servers, unsigned backend, unsigned server)
{
	forget_opening(servers_state_group(servers, backend),
		       servers_state_server(servers, backend, server));
}

void servers_return(struct servers *servers, struct servers_connection *connection, uint64_t now_us)
{
	struct group *group = servers_state_group(servers, connection->backend);

	assert(connection->bound && !connection->pooled);
	connection->idle_deadline_us = servers_state_later(now_us, group->backend->idle_timeout_ms);
	pool_put(&group->servers[connection->server], connection);
}

void servers_closed(struct servers *servers, struct servers_connection *connection)
{
	struct server *server =
		servers_state_server(servers, connection->backend, connection->server);

	assert(connection->bound);
	if (connection->pooled)
		pool_take(server, connection);
	connection->bound = false;
	assert(server->connections > 0);
	server->connections--;
	servers_state_give(&server->shared->connections);
	servers_state_note_hunger(servers_state_group(servers, connection->backend));
}

// Another worker could use the room that an idle connection takes: there is none left, and here
// nobody waits, or has more than his part.
static bool is_wanted(const struct group *group, const struct server *server)
{
	return others_wait(group) && is_full(group, server) &&
	       (group->first == NULL || must_yield(group, server));
}

struct servers_connection *servers_next_idle(struct servers *servers, uint64_t now_us)
{
	for (unsigned i = 0; i < servers->total; i++) {
		struct server *server = &servers->all[i];
		struct servers_connection *oldest = server->oldest;

		if (oldest == NULL || (now_us < oldest->idle_deadline_us &&
				       !is_wanted(&servers->groups[oldest->backend], server)))
			continue;
		pool_take(server, oldest);
		return oldest;
	}
	return NULL;
}

struct servers_connection *servers_take_idle(struct servers *servers, unsigned backend,
					     unsigned server)
{
	struct server *at = servers_state_server(servers, backend, server);
	struct servers_connection *connection = at->oldest;

	if (connection != NULL)
		pool_take(at, connection);
	return connection;
}

enum reason servers_connect_failed(struct servers *servers, unsigned backend, unsigned server,
				   uint64_t now_us)
{
	struct server *at = servers_state_server(servers, backend, server);

	forget_opening(servers_state_group(servers, backend), at);
	return servers_health_down(at);
}

uint64_t servers_next_us(const struct servers *servers)
{
	uint64_t next_us = NEVER;

	for (unsigned i = 0; i < servers->total; i++) {
		const struct server *server = &servers->all[i];

		if (servers->prober && !server->probing && server->probe_due_us < next_us)
			next_us = server->probe_due_us;
		if (server->oldest != NULL && server->oldest->idle_deadline_us < next_us)
			next_us = server->oldest->idle_deadline_us;
	}
	for (unsigned i = 0; i < servers->group_count; i++) {
		const struct servers_waiter *first = servers->groups[i].first;

		if (first != NULL && first->deadline_us < next_us)
			next_us = first->deadline_us;
	}
	return next_us;
}
