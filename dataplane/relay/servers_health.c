// SPDX-License-Identifier: BSD-3-Clause
//
// Health of the servers: when a probe is due, what its outcome means, and what the live servers of
// a backend can do together. Does not choose servers nor count connections (servers.c).
#include "dataplane/base/random.h"
#include "dataplane/relay/servers_state.h"

#define PROBE_SPACING_US UINT64_C(1000000) // between probes of one server that mail asked for

void servers_health_hasten(struct group *group, uint64_t now_us)
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

bool servers_next_probe(struct servers *servers, uint64_t now_us, unsigned *backend,
			unsigned *server)
{
	for (unsigned i = 0; i < servers->group_count && !servers->probes_stopped; i++) {
		struct group *group = &servers->groups[i];

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

void servers_stop_probes(struct servers *servers)
{
	servers->probes_stopped = true;
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
	if (server->health == SERVER_DOWN)
		return REASON_NONE;
	server->health = SERVER_DOWN;
	return REASON_backend_down;
}

enum reason servers_probed(struct servers *servers, unsigned backend, unsigned server, bool alive,
			   unsigned extensions, uint64_t size, uint64_t now_us)
{
	struct server *at = servers_state_server(servers, backend, server);
	uint32_t interval_ms = servers_state_group(servers, backend)->backend->probe_interval_ms;
	bool was_down = at->health == SERVER_DOWN;
	uint32_t spread_ms = interval_ms / 8; // workers and gates started together drift apart

	assert(at->probing);
	at->probing = false;
	at->probe_due_us = servers_state_later(
		now_us, interval_ms - spread_ms / 2 + random_below(servers->random, spread_ms + 1));
	if (!alive)
		return servers_health_down(at);
	at->health = SERVER_LIVE;
	at->extensions = extensions;
	at->size = size;
	return was_down ? REASON_backend_up : REASON_NONE;
}

enum reason servers_failed(struct servers *servers, unsigned backend, unsigned server)
{
	return servers_health_down(servers_state_server(servers, backend, server));
}

enum server_health servers_health(const struct servers *servers, unsigned backend, unsigned server)
{
	return servers_state_seen(servers, backend, server)->health;
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

		if (server->health != SERVER_LIVE)
			continue;
		live = true;
		common &= server->extensions;
	}
	return live ? common : 0;
}

uint64_t servers_size(const struct servers *servers, unsigned backend)
{
	uint64_t smallest = 0;

	assert(backend < servers->group_count);
	for (unsigned i = 0; i < servers->groups[backend].backend->server_count; i++) {
		const struct server *server = &servers->groups[backend].servers[i];

		if (server->health != SERVER_LIVE || server->size == 0)
			continue;
		if (smallest == 0 || server->size < smallest)
			smallest = server->size;
	}
	return smallest;
}
