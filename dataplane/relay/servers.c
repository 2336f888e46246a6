// SPDX-License-Identifier: BSD-3-Clause
//
// Which server gets the next transaction, on which connection, and who waits. One array of servers
// for all backends, a stack of idle connections a server, a queue of waiters a backend. All lists
// run through the callers' objects, so nothing here is allocated after servers_create and no list
// can be full; a backend has a handful of servers, so choosing looks at each.
// Health is servers_health.c. Does not open, close or read connections, and knows no clock.
#include "dataplane/relay/servers_state.h"

#include <stdlib.h>

#define NEVER UINT64_MAX

struct servers *servers_create(const struct policy *policy, struct random *random)
{
	struct servers *servers =
		calloc(1, sizeof(*servers) + policy->backend_count * sizeof(struct group));

	if (servers == NULL)
		return NULL;
	servers->random = random;
	servers->group_count = policy->backend_count;
	for (unsigned i = 0; i < policy->backend_count; i++)
		servers->total += policy->backends[i].server_count;
	servers->all = calloc(servers->total ? servers->total : 1, sizeof(struct server));
	if (servers->all == NULL)
		goto free_servers;
	for (unsigned i = 0, offset = 0; i < policy->backend_count; i++) {
		servers->groups[i].backend = &policy->backends[i];
		servers->groups[i].servers = servers->all + offset;
		offset += policy->backends[i].server_count;
	}
	return servers;

free_servers:
	free(servers);
	return NULL;
}

void servers_destroy(struct servers *servers)
{
	if (servers == NULL)
		return;
	free(servers->all);
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

// ---- Waiters ---------------------------------------------------------------------------------

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
}

// ---- Choice ----------------------------------------------------------------------------------

static bool has_room(const struct group *group, const struct server *server, bool fresh)
{
	return (server->idle > 0 && !fresh) ||
	       server->connections < group->backend->max_connections;
}

// The best of the group's servers, or NULL. Equal ones take turns.
static struct server *choose(const struct group *group, bool fresh)
{
	unsigned count = group->backend->server_count;
	struct server *best = NULL;

	for (unsigned i = 0; i < count; i++) {
		struct server *server = &group->servers[(group->turn + i) % count];

		if (server->health != SERVER_LIVE || !has_room(group, server, fresh))
			continue;
		if (best == NULL || servers_state_in_use(server) < servers_state_in_use(best))
			best = server;
	}
	return best;
}

static bool any_of_health(const struct group *group, enum server_health health)
{
	for (unsigned i = 0; i < group->backend->server_count; i++)
		if (group->servers[i].health == health)
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
	if (best->newest != NULL && !fresh) {
		*connection = best->newest;
		pool_take(best, best->newest);
		return SERVERS_BORROW;
	}
	best->connections++;
	best->opening++;
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
		servers_health_hasten(group, now_us);
	if (choice != SERVERS_WAIT)
		return choice;
	if (group->waiting >= group->backend->max_waiting)
		return SERVERS_BUSY;
	waiter_put(servers, group, waiter, now_us);
	return SERVERS_WAIT;
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
			servers_health_hasten(group, now_us);
		waiter_take(servers, group, waiter);
		return waiter;
	}
	return NULL;
}

// ---- Connections -----------------------------------------------------------------------------

static void forget_opening(struct server *server)
{
	assert(server->opening > 0);
	server->opening--;
	server->connections--;
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
	forget_opening(servers_state_server(servers, backend, server));
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
}

struct servers_connection *servers_next_idle(struct servers *servers, uint64_t now_us)
{
	for (unsigned i = 0; i < servers->total; i++) {
		struct server *server = &servers->all[i];
		struct servers_connection *oldest = server->oldest;

		if (oldest == NULL || now_us < oldest->idle_deadline_us)
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

	forget_opening(at);
	return servers_health_down(at);
}

uint64_t servers_next_us(const struct servers *servers)
{
	uint64_t next_us = NEVER;

	for (unsigned i = 0; i < servers->total; i++) {
		const struct server *server = &servers->all[i];

		if (!server->probing && server->probe_due_us < next_us)
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
