// SPDX-License-Identifier: BSD-3-Clause
//
// The one table of servers that all workers read and write: a cache line a server and one a
// backend. Made once, for all. What its fields mean for a choice is in servers.c and
// servers_health.c.
#include "dataplane/relay/servers_state.h"

#include <stdlib.h>
#include <string.h>

static void *rows(unsigned count, size_t size)
{
	void *memory = aligned_alloc(SERVERS_CACHE_LINE, (count ? count : 1) * size);

	if (memory != NULL)
		memset(memory, 0, (count ? count : 1) * size);
	return memory;
}

unsigned servers_state_count(const struct policy *policy)
{
	unsigned count = 0;

	for (unsigned i = 0; i < policy->backend_count; i++)
		count += policy->backends[i].server_count;
	return count;
}

struct servers_shared *servers_shared_create(const struct policy *policy, unsigned workers)
{
	struct servers_shared *shared = calloc(1, sizeof(*shared));

	if (shared == NULL)
		return NULL;
	shared->workers = workers;
	shared->servers = rows(servers_state_count(policy), sizeof(*shared->servers));
	shared->groups = rows(policy->backend_count, sizeof(*shared->groups));
	if (shared->servers != NULL && shared->groups != NULL)
		return shared;
	servers_shared_destroy(shared);
	return NULL;
}

void servers_shared_destroy(struct servers_shared *shared)
{
	if (shared == NULL)
		return;
	free(shared->servers);
	free(shared->groups);
	free(shared);
}

struct servers_view servers_shared_view(const struct servers_shared *shared,
					const struct policy *policy, unsigned backend,
					unsigned server)
{
	unsigned index = server;

	for (unsigned i = 0; i < backend; i++)
		index += policy->backends[i].server_count;
	const struct server_shared *row = &shared->servers[index];

	return (struct servers_view){
		.health = (enum server_health)servers_state_read(&row->health),
		.connections = servers_state_read(&row->connections),
		.waiting = servers_state_read(&shared->groups[backend].waiting),
	};
}
