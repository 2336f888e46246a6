/* SPDX-License-Identifier: (BSD-3-Clause OR GPL-2.0) */
/*
 * What a running gate shows of itself beside its counters: its workers, the backends' servers, the
 * sources that it drops the most of. One list a kind, as in counters.h: X(name, help); field names,
 * table columns, JSON, Prometheus metrics and their help are made from the rows. A help that opens
 * with "gauge:" goes up and down, and says nothing of a gate that no longer runs.
 */
#ifndef RELAYGATE_BPF_STATE_H
#define RELAYGATE_BPF_STATE_H

#include "bpf/counters.h"

/* One worker. A turn of its loop that took no frame is idle, whatever timers it ran. */
#define WORKER_COUNTERS(X)                                                                         \
	X(turns, "turns of the loop")                                                              \
	X(busy_cycles, "clock cycles of turns that took frames")                                   \
	X(idle_cycles, "clock cycles of turns that took none, sleep included")                     \
	X(bursts, "bursts of frames taken from a device or another worker")                        \
	X(burst_frames, "frames in those bursts")                                                  \
	X(clients, "gauge: connections of clients")                                                \
	X(servers, "gauge: connections to servers")                                                \
	X(flows, "gauge: TCP flows of both kinds")                                                 \
	X(time_wait, "gauge: TIME-WAIT records")                                                   \
	X(half_open, "gauge: half-open entries")                                                   \
	X(chunks_used, "gauge: payload buffers in use")                                            \
	X(chunks, "gauge: payload buffers there are")                                              \
	X(timers, "gauge: timers armed")                                                           \
	X(log_sequence, "records of the log written")

/* One server of a backend. */
#define SERVER_COUNTERS(X)                                                                         \
	X(live, "gauge: 1 after a probe succeeded, 0 when it failed or was not yet made")          \
	X(down, "gauge: 1 after a probe or connection failed")                                     \
	X(since_us, "gauge: microseconds since 1970 at which that changed last")                   \
	X(connections, "gauge: connections that count against MaxConnections")                     \
	X(connections_max, "gauge: MaxConnections")                                                \
	X(waiting, "gauge: transactions that wait for any server of its backend")

/* One source of dropped frames, the largest first. */
#define OFFENDER_COUNTERS(X)                                                                       \
	X(frames, "gauge: its dropped frames, halved every 9 minutes")                             \
	X(frames_over, "gauge: by so much at most that number is too high")                        \
	X(seen_us, "gauge: microseconds since 1970 of the last one")

struct worker_counters {
	char name[COUNTERS_NAME_BYTES]; /* its number */
#define X(name, help) counters_u64 name;
	WORKER_COUNTERS(X)
#undef X
} __attribute__((aligned(64)));

struct server_counters {
	char name[COUNTERS_NAME_BYTES]; /* address and port */
	char backend[COUNTERS_NAME_BYTES];
#define X(name, help) counters_u64 name;
	SERVER_COUNTERS(X)
#undef X
} __attribute__((aligned(64)));

struct offender_counters {
	char name[COUNTERS_NAME_BYTES];   /* its address */
	char reason[COUNTERS_NAME_BYTES]; /* of the last drop */
#define X(name, help) counters_u64 name;
	OFFENDER_COUNTERS(X)
#undef X
} __attribute__((aligned(64)));

#define OFFENDERS_SHOWN 64 /* rows of the map */

#endif
