// SPDX-License-Identifier: BSD-3-Clause
//
// Health of the servers: when a probe is due, what its outcome means, and what the live servers of
// a backend can do together. Does not choose servers nor count connections (servers.c).
#include "dataplane/base/random.h"
#include "dataplane/relay/servers_state.h"

#define PROBE_SPACING_US UINT64_C(1000000) // between probes of one server that mail asked for

static void hasten(struct group *group, uint64_t now_us)
{
	for (unsigned i = 0; i < group->backend->server_count; i++) {
		struct server *server = &group->servers[i];
		uint64_t soonest_us = server->probe_began_us + PROBE_SPACING_US;

		if (soonest_us < now_us)
			soonest_us = now_us;
		if (soonest_us < server->probe_due_us)
			server->probe_due_us = soonest_us;
	}
}

void servers_health_hasten(struct servers *servers, struct group *group, uint64_t now_us)
{
	if (servers->prober)
		hasten(group, now_us);
	else
		atomic_store_explicit(&group->shared->hastened, true, memory_order_relaxed);
}

// Another worker's mail asked.
static bool take_hastened(struct group_shared *shared)
{
	return atomic_load_explicit(&shared->hastened, memory_order_relaxed) &&
	       atomic_exchange_explicit(&shared->hastened, false, memory_order_relaxed);
}

bool servers_next_probe(struct servers *servers, uint64_t now_us, unsigned *backend,
			unsigned *server)
{
	if (!servers->prober)
		return false;
	for (unsigned i = 0; i < servers->group_count; i++) {
		struct group *group = &servers->groups[i];

		if (take_hastened(group->shared))
			hasten(group, now_us);
		for (unsigned j = 0; j < group->backend->server_count; j++) {
			struct server *at = &group->servers[j];

			if (at->probing || now_us < at->probe_due_us)
				continue;
			at->probing = true;
			at->probe_began_us = now_us;
			*backend = i;
			*server = j;
			return true;
		}
	}
	return false;
}

void servers_probe_postponed(struct servers *servers, unsigned backend, unsigned server,
			     uint64_t now_us)
{
	struct server *at = servers_state_server(servers, backend, server);

	assert(at->probing);
	at->probing = false;
	at->probe_due_us = now_us + PROBE_SPACING_US;
}

enum reason servers_health_down(struct server *server)
{
	unsigned before = atomic_exchange_explicit(&server->shared->health, SERVER_DOWN,
						   memory_order_relaxed);

	return before == SERVER_DOWN ? REASON_NONE : REASON_backend_down;
}

enum reason servers_probed(struct servers *servers, unsigned backend, unsigned server, bool alive,
			   unsigned extensions, uint64_t size, uint64_t now_us)
{
	struct server *at = servers_state_server(servers, backend, server);
	uint32_t interval_ms = servers_state_group(servers, backend)->backend->probe_interval_ms;
	unsigned before;
	uint32_t spread_ms = interval_ms / 8; // workers and gates started together drift apart

	assert(at->probing);
	at->probing = false;
	at->probe_due_us = servers_state_later(
		now_us, interval_ms - spread_ms / 2 + random_below(servers->random, spread_ms + 1));
	if (!alive)
		return servers_health_down(at);
	atomic_store_explicit(&at->shared->extensions, extensions, memory_order_relaxed);
	atomic_store_explicit(&at->shared->size, size, memory_order_relaxed);
	before = atomic_exchange_explicit(&at->shared->health, SERVER_LIVE, memory_order_release);
	return before == SERVER_DOWN ? REASON_backend_up : REASON_NONE;
}

enum reason servers_failed(struct servers *servers, unsigned backend, unsigned server)
{
	return servers_health_down(servers_state_server(servers, backend, server));
}

enum server_health servers_health(const struct servers *servers, unsigned backend, unsigned server)
{
	return servers_state_health(servers_state_seen(servers, backend, server));
}

unsigned servers_in_use(const struct servers *servers, unsigned backend, unsigned server)
{
	return servers_state_in_use(servers_state_seen(servers, backend, server));
}

unsigned servers_connections(const struct servers *servers, unsigned backend, unsigned server)
{
	return servers_state_seen(servers, backend, server)->connections;
}

unsigned servers_extensions(const struct servers *servers, unsigned backend)
{
	unsigned common = ~0u;
	bool live = false;

	assert(backend < servers->group_count);
	for (unsigned i = 0; i < servers->groups[backend].backend->server_count; i++) {
		const struct server *server = &servers->groups[backend].servers[i];

		if (servers_state_health(server) != SERVER_LIVE)
			continue;
		live = true;
		common &= servers_state_read(&server->shared->extensions);
	}
	return live ? common : 0;
}

uint64_t servers_size(const struct servers *servers, unsigned backend)
{
	uint64_t smallest = 0;

	assert(backend < servers->group_count);
	for (unsigned i = 0; i < servers->groups[backend].backend->server_count; i++) {
		const struct server *server = &servers->groups[backend].servers[i];
		uint64_t size = atomic_load_explicit(&server->shared->size, memory_order_relaxed);

		if (servers_state_health(server) != SERVER_LIVE || size == 0)
			continue;
		if (smallest == 0 || size < smallest)
			smallest = size;
	}
	return smallest;
}
