// SPDX-License-Identifier: BSD-3-Clause
//
// The servers of every backend: health by probes, choice, pool of idle connections, bounded
// waiting. Decides only; the pipeline opens and closes connections. One instance a worker. A server
// is live after a probe (EHLO, QUIT) succeeded, down after a probe or a connection attempt failed;
// probes run at start, every probe_interval, and at once (but at most one a second) when mail asks
// for a backend that has no live server.
//
// A connection counts against MaxConnections from SERVERS_CONNECT to its end, which is exactly one
// of: servers_connect_failed or servers_abandoned before servers_opened, servers_closed after it.
//
// Several workers share MaxConnections, MaxWaiting and what is known of a server's health through
// one table: the limits hold for all of them together. Worker 0 alone probes. When a server has no
// room left and transactions of one worker wait, the others give up idle connections. A worker that
// waits and has less than its part (MaxConnections / workers) gets it: those above theirs open and
// lend nothing more meanwhile. The one who waits notices by looking again.
#ifndef RELAYGATE_RELAY_SERVERS_H
#define RELAYGATE_RELAY_SERVERS_H

#include "bpf/counters.h"
#include "config/policy.h"

struct servers;
struct servers_shared;
struct random;

enum server_health { SERVER_UNKNOWN, SERVER_LIVE, SERVER_DOWN };

enum servers_choice {
	SERVERS_BORROW,      // *connection was taken from the pool
	SERVERS_CONNECT,     // open a connection to *server; it is already counted
	SERVERS_WAIT,        // all live servers are at MaxConnections, or others wait already, or
			     // none is live but one is yet unknown: the waiter was queued
	SERVERS_UNAVAILABLE, // no live server: backend_unavailable
	SERVERS_BUSY,        // too many waiters: backend_busy
};

// Embedded by whoever waits; FIFO a backend. Zeroed before its first use.
struct servers_waiter {
	struct servers_waiter *next, *previous;
	unsigned backend;
	bool queued;
	bool fresh; // wants a new connection, none from the pool: set by its owner before
		    // servers_request. Who had to wait for it is lent what comes back: that was
		    // alive just now.
	uint64_t deadline_us;
};

// Embedded by whoever owns a connection to a server: pooled when idle.
struct servers_connection {
	struct servers_connection *next, *previous;
	unsigned backend, server;
	bool bound; // between servers_opened and servers_closed
	bool pooled;
	uint64_t idle_deadline_us;
};

// What all workers know of the servers; each is unknown. NULL when memory is short. Outlives every
// struct servers that it was given to; the policy's limits are at least the number of workers.
// Has room for twice the policy's servers and some more: those of later policies.
struct servers_shared *servers_shared_create(const struct policy *policy, unsigned workers);
void servers_shared_destroy(struct servers_shared *shared); // NULL is fine

// One server as all workers see it now, for those who only look; from any thread.
struct servers_view {
	enum server_health health;
	unsigned connections; // that count against MaxConnections
	unsigned waiting;     // transactions that wait for its backend
};
struct servers_view servers_shared_view(const struct servers_shared *shared,
					const struct policy *policy, unsigned backend,
					unsigned server);

// policy is not copied and outlives the servers. Every server's probe is due. shared NULL: this is
// the only worker. NULL when memory or the shared table's rows are short. Made and destroyed by one
// thread only, while workers may use others of the same table.
struct servers *servers_create(const struct policy *policy, struct random *random,
			       struct servers_shared *shared, unsigned worker);
// Connections and waiters that are still known are forgotten, not touched.
void servers_destroy(struct servers *servers);

// ---- From one policy to the next --------------------------------------------------------------
// `servers` was made from the new policy with the same shared table (random: NULL until here) and
// is of the same worker as `old`. Takes over the connections, the pools, the probes and the waiters
// of the servers and backends that both policies have: same name of the backend, same address.
// Connections that are lent or being opened are known by their places: servers_successor tells
// the new ones.
void servers_adopt(struct servers *servers, struct servers *old, struct random *random);
// For servers that are the first of their worker.
void servers_set_random(struct servers *servers, struct random *random);
// The place in `servers` of what had this place in `old`; false when it is no more.
bool servers_successor(const struct servers *servers, const struct servers *old, unsigned *backend,
		       unsigned *server);
// After servers_adopt: who waits for a backend that is no more, no longer queued. NULL: nobody.
struct servers_waiter *servers_next_stranded(struct servers *old);
// After servers_adopt: a pooled connection of a server that is no more, taken out of the pool.
struct servers_connection *servers_next_removed(struct servers *old);
// The place of the backend of this name; false when there is none.
bool servers_find(const struct servers *servers, const char *name, unsigned *backend);

// A connection for one transaction, at the live server with the fewest connections in use that has
// an idle one or may get another (the next one in turn where several have as few): its most
// recently used idle connection, else a new one; else waiting. *connection is set by BORROW only,
// *server by BORROW and CONNECT. Nobody overtakes a waiter.
enum servers_choice servers_request(struct servers *servers, unsigned backend,
				    struct servers_waiter *waiter, uint64_t now_us,
				    struct servers_connection **connection, unsigned *server);
// How many transactions of all workers wait for this backend; does any for any of them?
unsigned servers_waiting(const struct servers *servers, unsigned backend);
bool servers_any_waiting(const struct servers *servers);
// May an end of a transaction at this server help those who wait? It is live, and more of them wait
// for its backend, of all workers, than the live servers have room for.
bool servers_short(const struct servers *servers, unsigned backend, unsigned server);
// The waiter gives up. Fine when it does not wait (any more).
void servers_cancel(struct servers *servers, struct servers_waiter *waiter);

// A connection was opened (counted by servers_request); call once to bind it to its server.
// Overwrites *connection. May be called as soon as the attempt begins.
void servers_opened(struct servers *servers, struct servers_connection *connection,
		    unsigned backend, unsigned server);
// The connection of SERVERS_CONNECT was not attempted or not finished for a reason of our own: no
// flow, no port, its client left. Uncounted; says nothing about the server. Before servers_opened.
void servers_abandoned(struct servers *servers, unsigned backend, unsigned server);
// It is idle again and may be lent (most recently used first).
void servers_return(struct servers *servers, struct servers_connection *connection,
		    uint64_t now_us);
// It is closed, in whatever state it was; removes it from the pool. Says nothing about the server
// (servers_failed does).
void servers_closed(struct servers *servers, struct servers_connection *connection);

// After servers_return, servers_closed, servers_abandoned, a change of health or time: the first
// waiter that can be served now, or needs to wait no longer. NULL when none; *choice as in
// servers_request: SERVERS_BUSY for a late one, SERVERS_UNAVAILABLE when the last server went down.
// The waiter is no longer queued. Call until NULL.
struct servers_waiter *servers_next_waiter(struct servers *servers, uint64_t now_us,
					   enum servers_choice *choice,
					   struct servers_connection **connection,
					   unsigned *server);
// The first pooled connection that has been idle too long, or whose room another worker waits for,
// taken out of the pool: QUIT it. Counted until servers_closed.
struct servers_connection *servers_next_idle(struct servers *servers, uint64_t now_us);
// Any pooled connection of the server, taken out of the pool like that; NULL when there is none.
struct servers_connection *servers_take_idle(struct servers *servers, unsigned backend,
					     unsigned server);

// The next server whose probe is due; false when none, and always but in worker 0. The caller opens
// a probe connection (not counted against MaxConnections) and reports with servers_probed, always:
// a server has one probe at a time.
bool servers_next_probe(struct servers *servers, uint64_t now_us, unsigned *backend,
			unsigned *server);
// The probe was not made for a reason of our own (no flow, no port): due again in a second.
void servers_probe_postponed(struct servers *servers, unsigned backend, unsigned server,
			     uint64_t now_us);
// The probe's outcome, which sets the health. extensions (bits of enum smtp_extension) and size
// (0 = no limit) are what EHLO said, kept while alive. REASON_backend_up or _down when health
// changed, else REASON_NONE; the first success of an unknown server is no event.
enum reason servers_probed(struct servers *servers, unsigned backend, unsigned server, bool alive,
			   unsigned extensions, uint64_t size, uint64_t now_us);
// The connection of SERVERS_CONNECT failed before servers_opened: uncounted, and the server is
// down. Returns REASON_backend_down when that is new.
enum reason servers_connect_failed(struct servers *servers, unsigned backend, unsigned server,
				   uint64_t now_us);
// The same for a connection that was bound: the handshake failed or the greeting or EHLO was
// refused, and servers_closed says or said the rest. Marks the server down, counts nothing.
enum reason servers_failed(struct servers *servers, unsigned backend, unsigned server);

enum server_health servers_health(const struct servers *servers, unsigned backend, unsigned server);
// Extensions that every live server of the backend has; 0 when none is live.
unsigned servers_extensions(const struct servers *servers, unsigned backend);
// The smallest SIZE limit of the live servers, 0 = none.
uint64_t servers_size(const struct servers *servers, unsigned backend);
// This worker's connections that are being opened or lent, and all of it that count against
// MaxConnections (the pooled ones too). Probes are in neither.
unsigned servers_in_use(const struct servers *servers, unsigned backend, unsigned server);
unsigned servers_connections(const struct servers *servers, unsigned backend, unsigned server);

// When servers_next_waiter, _idle or _probe will have something to say because of time alone;
// UINT64_MAX when never. Other workers' doing comes on top: look again every few milliseconds.
uint64_t servers_next_us(const struct servers *servers);

#endif
