// SPDX-License-Identifier: BSD-3-Clause
//
// From the servers of one policy to those of the next, in one worker: what both have keeps its
// connections, its pool, its probe and who waits for it. They are known by their rows of the shared
// table, which a backend's name, and a server's address with it, keep through all policies. What is
// in the old policy alone stays with the old struct servers until its last connection is closed.
#include "dataplane/relay/servers_state.h"

#include <string.h>

static bool find_server(const struct servers *servers, const struct server_shared *row,
			unsigned *backend, unsigned *server)
{
	for (unsigned i = 0; i < servers->group_count; i++) {
		const struct group *group = &servers->groups[i];

		for (unsigned j = 0; j < group->backend->server_count; j++) {
			if (group->servers[j].shared != row)
				continue;
			*backend = i;
			*server = j;
			return true;
		}
	}
	return false;
}

bool servers_successor(const struct servers *servers, const struct servers *old, unsigned *backend,
		       unsigned *server)
{
	return find_server(servers, servers_state_seen(old, *backend, *server)->shared, backend,
			   server);
}

static struct group *find_group(struct servers *servers, const struct group_shared *row)
{
	for (unsigned i = 0; i < servers->group_count; i++)
		if (servers->groups[i].shared == row)
			return &servers->groups[i];
	return NULL;
}

// The next probe, or sooner if the interval is shorter now.
static uint64_t probe_due_us(const struct backend *backend, const struct server *from)
{
	uint64_t soonest_us = servers_state_later(
		from->probe_began_us, backend->probe_interval_ms + backend->probe_interval_ms / 16);

	return from->probe_due_us < soonest_us ? from->probe_due_us : soonest_us;
}

// The row, the part and the place in the policy are the new one's own.
static void move_server(struct servers *servers, struct server *from)
{
	struct servers_connection *connection;
	unsigned backend, server;
	struct server *to;

	if (!find_server(servers, from->shared, &backend, &server))
		return;
	to = &servers->groups[backend].servers[server];
	to->connections = from->connections;
	to->opening = from->opening;
	to->idle = from->idle;
	to->newest = from->newest;
	to->oldest = from->oldest;
	to->probing = from->probing;
	to->probe_began_us = from->probe_began_us;
	to->probe_due_us = probe_due_us(servers->groups[backend].backend, from);
	for (connection = to->newest; connection != NULL; connection = connection->next) {
		connection->backend = backend;
		connection->server = server;
	}
	from->connections = from->opening = from->idle = 0;
	from->newest = from->oldest = NULL;
	from->probing = false;
}

static void move_waiters(struct servers *servers, struct servers *old, struct group *from)
{
	struct group *to = find_group(servers, from->shared);
	struct servers_waiter *waiter;

	if (to == NULL)
		return;
	to->first = from->first;
	to->last = from->last;
	to->waiting = from->waiting;
	for (waiter = to->first; waiter != NULL; waiter = waiter->next)
		waiter->backend = (unsigned)(to - servers->groups);
	servers->waiting += from->waiting;
	old->waiting -= from->waiting;
	from->first = from->last = NULL;
	from->waiting = 0;
}

void servers_set_random(struct servers *servers, struct random *random)
{
	servers->random = random;
}

void servers_adopt(struct servers *servers, struct servers *old, struct random *random)
{
	servers->random = random;
	for (unsigned i = 0; i < old->total; i++)
		move_server(servers, &old->all[i]);
	for (unsigned i = 0; i < old->group_count; i++) {
		move_waiters(servers, old, &old->groups[i]);
		servers_state_note_hunger(&old->groups[i]);
	}
	for (unsigned i = 0; i < servers->group_count; i++)
		servers_state_note_hunger(&servers->groups[i]);
}

struct servers_waiter *servers_next_stranded(struct servers *old)
{
	for (unsigned i = 0; i < old->group_count; i++) {
		struct servers_waiter *waiter = old->groups[i].first;

		if (waiter == NULL)
			continue;
		servers_cancel(old, waiter);
		return waiter;
	}
	return NULL;
}

struct servers_connection *servers_next_removed(struct servers *old)
{
	for (unsigned i = 0; i < old->total; i++) {
		struct servers_connection *connection = old->all[i].oldest;

		if (connection == NULL)
			continue;
		return servers_take_idle(old, connection->backend, connection->server);
	}
	return NULL;
}

bool servers_find(const struct servers *servers, const char *name, unsigned *backend)
{
	for (unsigned i = 0; i < servers->group_count; i++) {
		if (strcmp(servers->groups[i].shared->identity.backend, name) != 0)
			continue;
		*backend = i;
		return true;
	}
	return false;
}
