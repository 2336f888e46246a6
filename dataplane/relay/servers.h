// SPDX-License-Identifier: BSD-3-Clause
//
// The servers of every backend: health by probes, choice, pool of idle connections, bounded
// waiting. Decides only; the pipeline opens and closes connections. One instance a worker. A server
// is live after a probe (EHLO, QUIT) succeeded, down after a probe or a connection attempt failed;
// probes run at start, every probe_interval, and at once (but at most one a second) when mail asks
// for a backend that has no live server.
#ifndef RELAYGATE_RELAY_SERVERS_H
#define RELAYGATE_RELAY_SERVERS_H

#include "bpf/counters.h"
#include "config/policy.h"

struct servers;
struct random;

enum server_health { SERVER_UNKNOWN, SERVER_LIVE, SERVER_DOWN };

enum servers_choice {
	SERVERS_BORROW,      // *connection was taken from the pool
	SERVERS_CONNECT,     // open a connection to *server; it is already counted
	SERVERS_WAIT,        // all live servers are at MaxConnections (or none is known yet): the
			     // waiter was queued
	SERVERS_UNAVAILABLE, // no live server: backend_unavailable
	SERVERS_BUSY,        // too many waiters: backend_busy
};

// Embedded by whoever waits; FIFO a backend.
struct servers_waiter {
	struct servers_waiter *next, *previous;
	unsigned backend;
	bool queued;
	uint64_t deadline_us;
};

// Embedded by whoever owns a connection to a server: pooled when idle.
struct servers_connection {
	struct servers_connection *next, *previous;
	unsigned backend, server;
	bool pooled;
	uint64_t idle_deadline_us;
};

struct servers *servers_create(const struct policy *policy, struct random *random);
void servers_destroy(struct servers *servers);

// A connection for one transaction: an idle one of the server with the fewest connections in use,
// else a new one, else waiting.
enum servers_choice servers_request(struct servers *servers, unsigned backend,
				    struct servers_waiter *waiter, uint64_t now_us,
				    struct servers_connection **connection, unsigned *server);
void servers_cancel(struct servers *servers, struct servers_waiter *waiter);

// A connection was opened (counted by servers_request); call once to bind it to its server.
void servers_opened(struct servers *servers, struct servers_connection *connection,
		    unsigned backend, unsigned server);
// It is idle again and may be lent (most recently used first).
void servers_return(struct servers *servers, struct servers_connection *connection,
		    uint64_t now_us);
// It is closed, in whatever state it was; removes it from the pool.
void servers_closed(struct servers *servers, struct servers_connection *connection);

// After servers_return, servers_closed, servers_probed or time: the first waiter that can be served
// now or is late. NULL when none; *choice as in servers_request, SERVERS_BUSY for a late one. Call
// until NULL.
struct servers_waiter *servers_next_waiter(struct servers *servers, uint64_t now_us,
					   enum servers_choice *choice,
					   struct servers_connection **connection,
					   unsigned *server);
// The first pooled connection that has been idle too long, taken out of the pool: QUIT it.
struct servers_connection *servers_next_idle(struct servers *servers, uint64_t now_us);

// The next server whose probe is due; false when none. The caller opens a probe connection (not
// counted against MaxConnections) and reports.
bool servers_next_probe(struct servers *servers, uint64_t now_us, unsigned *backend,
			unsigned *server);
// Probe's or connection attempt's outcome. REASON_backend_up or _down when health changed, else
// NONE.
enum reason servers_probed(struct servers *servers, unsigned backend, unsigned server, bool alive,
			   unsigned extensions, uint64_t size, uint64_t now_us);
enum reason servers_connect_failed(struct servers *servers, unsigned backend, unsigned server,
				   uint64_t now_us);

enum server_health servers_health(const struct servers *servers, unsigned backend, unsigned server);
// Extensions that every live server of the backend has; 0 when none is live.
unsigned servers_extensions(const struct servers *servers, unsigned backend);
// The smallest SIZE limit of the live servers, 0 = none.
uint64_t servers_size(const struct servers *servers, unsigned backend);
unsigned servers_in_use(const struct servers *servers, unsigned backend, unsigned server);

uint64_t servers_next_us(const struct servers *servers);

#endif
