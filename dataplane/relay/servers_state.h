// SPDX-License-Identifier: BSD-3-Clause
//
// Inside relay/ only: what servers.c (choice, pool, waiting) and servers_health.c (probes, health)
// share. A server's health is written by servers_health.c, its counts and lists by servers.c. What
// all workers see of it is in struct servers_shared: relaxed atomics, touched when a connection
// opens or closes, a waiter comes or goes, a server's health changes.
#ifndef RELAYGATE_RELAY_SERVERS_STATE_H
#define RELAYGATE_RELAY_SERVERS_STATE_H

#include "dataplane/relay/servers.h"

#include <assert.h>
#include <stdatomic.h>

#define SERVERS_CACHE_LINE 64

// Whose row it is, through all policies: main thread only.
struct server_identity {
	char backend[POLICY_NAME_MAX + 1];
	struct endpoint endpoint;
	unsigned users; // struct servers that point to it; 0 = free
};

// One server for all workers.
struct server_shared {
	struct server_identity identity; // written while no worker knows of the row
	atomic_uint connections;         // of all workers
	atomic_uint hungry;              // workers with mail waiting that have less than their part
	atomic_uint health;              // enum server_health
	atomic_uint extensions;          // as of the last successful probe
	_Atomic uint64_t size;
} __attribute__((aligned(SERVERS_CACHE_LINE)));

// One backend for all workers.
struct group_shared {
	struct server_identity identity; // endpoint unused
	atomic_uint waiting;             // of all workers
	atomic_bool hastened;            // probes are wanted at once; whoever probes takes it back
} __attribute__((aligned(SERVERS_CACHE_LINE)));

struct servers_shared {
	unsigned workers;
	unsigned server_rows, group_rows;
	struct server_shared *servers;
	struct group_shared *groups;
};

struct server {
	struct server_shared *shared;
	unsigned connections; // counted: being opened, lent, pooled; of this worker
	unsigned part;        // of MaxConnections, that nobody may keep from this worker
	bool hungry;          // this worker is counted in shared->hungry
	unsigned opening;     // of these, not yet bound
	unsigned idle;        // of these, pooled
	struct servers_connection *newest, *oldest;
	bool probing;
	uint64_t probe_due_us;   // when not probing
	uint64_t probe_began_us; // the last one
};

struct group {
	const struct backend *backend;
	struct group_shared *shared;
	struct server *servers; // [backend->server_count]
	unsigned turn;          // where the next choice begins to look
	struct servers_waiter *first, *last;
	unsigned waiting;
};

struct servers {
	struct random *random;
	struct servers_shared *own; // the table of an only worker, NULL when it was given
	bool prober;
	struct server *all;
	unsigned total;
	unsigned waiting; // of all backends
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

static inline enum server_health servers_state_health(const struct server *server)
{
	return (enum server_health)atomic_load_explicit(&server->shared->health,
							memory_order_acquire);
}

static inline unsigned servers_state_read(const atomic_uint *number)
{
	return atomic_load_explicit(number, memory_order_relaxed);
}

// Counts one more, unless there are `most` already.
static inline bool servers_state_take(atomic_uint *number, unsigned most)
{
	if (atomic_fetch_add_explicit(number, 1, memory_order_relaxed) < most)
		return true;
	atomic_fetch_sub_explicit(number, 1, memory_order_relaxed);
	return false;
}

static inline void servers_state_give(atomic_uint *number)
{
	unsigned before = atomic_fetch_sub_explicit(number, 1, memory_order_relaxed);

	assert(before > 0);
}

// The row of a backend, or of one of its servers: the one it has already, else a free one, emptied.
// NULL when all are taken. Counts one more user; to be given back by servers_state_leave.
struct group_shared *servers_state_enter_group(struct servers_shared *shared, const char *backend);
struct server_shared *servers_state_enter_server(struct servers_shared *shared, const char *backend,
						 const struct endpoint *endpoint);
void servers_state_leave(struct server_identity *identity);

// After a waiter came or went, or a connection was opened or closed.
void servers_state_note_hunger(struct group *group);

// Servers of all backends.
unsigned servers_state_count(const struct policy *policy);

// Mail asks for a backend without a live server: its probes are due as soon as they may be.
void servers_health_hasten(struct servers *servers, struct group *group, uint64_t now_us);
// Down from now on; REASON_backend_down when that is new.
enum reason servers_health_down(struct server *server);

#endif
