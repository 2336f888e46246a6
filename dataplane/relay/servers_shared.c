// SPDX-License-Identifier: BSD-3-Clause
//
// The one table of servers that all workers read and write: a cache line a server and one a
// backend. Made once, for all. What its fields mean for a choice is in servers.c and
// servers_health.c.
#include "dataplane/relay/servers_state.h"

#include <stdlib.h>
#include <string.h>

// Rows beyond those of the policy at start: servers and backends that a reload adds, while those
// that it took away still have connections.
#define SPARE_FACTOR  2
#define SPARE_SERVERS 64
#define SPARE_GROUPS  16

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
	shared->server_rows = SPARE_FACTOR * servers_state_count(policy) + SPARE_SERVERS;
	shared->group_rows = SPARE_FACTOR * policy->backend_count + SPARE_GROUPS;
	shared->servers = rows(shared->server_rows, sizeof(*shared->servers));
	shared->groups = rows(shared->group_rows, sizeof(*shared->groups));
	if (shared->servers != NULL && shared->groups != NULL)
		return shared;
	servers_shared_destroy(shared);
	return NULL;
}

static bool is_of(const struct server_identity *identity, const char *backend,
		  const struct endpoint *endpoint)
{
	return identity->users > 0 && strcmp(identity->backend, backend) == 0 &&
	       endpoint->port == identity->endpoint.port &&
	       memcmp(&endpoint->address, &identity->endpoint.address, sizeof(struct address)) == 0;
}

static void name_row(struct server_identity *identity, const char *backend,
		     const struct endpoint *endpoint)
{
	size_t length = strnlen(backend, POLICY_NAME_MAX);

	memcpy(identity->backend, backend, length);
	identity->backend[length] = '\0';
	identity->endpoint = *endpoint;
}

struct group_shared *servers_state_enter_group(struct servers_shared *shared, const char *backend)
{
	static const struct endpoint none;
	struct group_shared *free_row = NULL;

	for (unsigned i = 0; i < shared->group_rows; i++) {
		struct group_shared *row = &shared->groups[i];

		if (is_of(&row->identity, backend, &none)) {
			row->identity.users++;
			return row;
		}
		if (!free_row && row->identity.users == 0)
			free_row = row;
	}
	if (!free_row)
		return NULL;
	memset(free_row, 0, sizeof(*free_row));
	name_row(&free_row->identity, backend, &none);
	free_row->identity.users = 1;
	return free_row;
}

struct server_shared *servers_state_enter_server(struct servers_shared *shared, const char *backend,
						 const struct endpoint *endpoint)
{
	struct server_shared *free_row = NULL;

	for (unsigned i = 0; i < shared->server_rows; i++) {
		struct server_shared *row = &shared->servers[i];

		if (is_of(&row->identity, backend, endpoint)) {
			row->identity.users++;
			return row;
		}
		if (!free_row && row->identity.users == 0)
			free_row = row;
	}
	if (!free_row)
		return NULL;
	memset(free_row, 0, sizeof(*free_row));
	name_row(&free_row->identity, backend, endpoint);
	free_row->identity.users = 1;
	return free_row;
}

void servers_state_leave(struct server_identity *identity)
{
	assert(identity->users > 0);
	identity->users--;
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
	static const struct endpoint none;
	const struct backend *of = &policy->backends[backend];
	struct servers_view view = {.health = SERVER_UNKNOWN};

	for (unsigned i = 0; i < shared->server_rows; i++) {
		const struct server_shared *row = &shared->servers[i];

		if (!is_of(&row->identity, of->name, &of->servers[server]))
			continue;
		view.health = (enum server_health)servers_state_read(&row->health);
		view.connections = servers_state_read(&row->connections);
		break;
	}
	for (unsigned i = 0; i < shared->group_rows; i++)
		if (is_of(&shared->groups[i].identity, of->name, &none))
			view.waiting = servers_state_read(&shared->groups[i].waiting);
	return view;
}
