// SPDX-License-Identifier: BSD-3-Clause
//
// Inside relay/ only: what servers.c (choice, pool, waiting) and servers_health.c (probes, health)
// share. A server's health is written by servers_health.c, its counts and lists by servers.c.
#ifndef RELAYGATE_RELAY_SERVERS_STATE_H
#define RELAYGATE_RELAY_SERVERS_STATE_H

#include "dataplane/relay/servers.h"

#include <assert.h>

struct server {
	enum server_health health;
	unsigned connections; // counted: being opened, lent, pooled
	unsigned opening;     // of these, not yet bound
	unsigned idle;        // of these, pooled
	struct servers_connection *newest, *oldest;
	bool probing;
	uint64_t probe_due_us;   // when not probing
	uint64_t probe_began_us; // the last one
	unsigned extensions;     // as of the last successful probe
	uint64_t size;
};

struct group {
	const struct backend *backend;
	struct server *servers; // [backend->server_count]
	unsigned turn;          // where the next choice begins to look
	struct servers_waiter *first, *last;
	unsigned waiting;
};

struct servers {
	struct random *random;
	struct server *all;
	unsigned total;
	unsigned waiting; // of all backends
	bool probes_stopped;
	unsigned group_count;
	struct group groups[];
};

static inline struct group *servers_state_group(struct servers *servers, unsigned backend)
{
	assert(backend < servers->group_count);
	return &servers->groups[backend];
}

static inline struct server *servers_state_server(struct servers *servers, unsigned backend,
						  unsigned server)
{
	struct group *group = servers_state_group(servers, backend);

	assert(server < group->backend->server_count);
	return &group->servers[server];
}

static inline const struct server *servers_state_seen(const struct servers *servers,
						      unsigned backend, unsigned server)
{
	assert(backend < servers->group_count);
	assert(server < servers->groups[backend].backend->server_count);
	return &servers->groups[backend].servers[server];
}

static inline uint64_t servers_state_later(uint64_t now_us, uint32_t ms)
{
	return now_us + ms * UINT64_C(1000);
}

static inline unsigned servers_state_in_use(const struct server *server)
{
	return server->connections - server->idle;
}

// Mail asks for a backend without a live server: its probes are due as soon as they may be.
void servers_health_hasten(struct group *group, uint64_t now_us);
// Down from now on; REASON_backend_down when that is new.
enum reason servers_health_down(struct server *server);

#endif
