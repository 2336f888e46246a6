// SPDX-License-Identifier: BSD-3-Clause
//
// A worker: polls its queue of each port and its inbox, hands bursts to its pipeline, sends what
// comes out, and sleeps when there is nothing to do (unless told to spin). Runs on an lcore of its
// own until it is asked to stop. Workers meet in rings only: an inbox each, for received frames,
// and each port's outgoing frames of those who have no queue there. Whoever puts something there
// wakes the one who sleeps.
#ifndef RELAYGATE_IO_WORKER_H
#define RELAYGATE_IO_WORKER_H

#include "dataplane/io/port.h"

#include <stdbool.h>

struct handover;
struct pipeline;
struct worker;
struct inboxes;
struct worker_counters;
struct rte_rcu_qsbr;
struct generation;

enum worker_order {
	WORKER_RUN,
	WORKER_CLOSE_DOOR,  // no new sessions until WORKER_RUN again, those there are go on
	WORKER_DRAIN,       // no new sessions, finish those there are
	WORKER_DRAIN_FORCE, // end them now
	WORKER_STOP,        // leave the loop
};

// Where the workers find the policy's newest generation (pipeline/generation.h). Whoever swaps
// stores it, begins a grace period, and knows by its end that every worker has left all of the one
// before but what it counts. Outlives the workers.
struct worker_source {
	_Atomic(struct generation *) newest;
	struct rte_rcu_qsbr *readers; // by the worker's index
};

// Outlives the worker.
struct worker_settings {
	unsigned index;
	struct port *ports; // [port_count]
	unsigned port_count;
	struct inboxes *inboxes; // of all workers; NULL: the only one
	bool spin;
	bool realtime; // it goes before all others on its CPU, so it rests whenever it can
	struct worker_counters *state; // the row that it writes about itself
};

// NULL when out of memory.
struct worker *worker_create(const struct worker_settings *settings);
// Before it is launched: the first generation is the one that its pipeline was made with.
void worker_follow(struct worker *worker, struct worker_source *source);
void worker_destroy(struct worker *worker);

// How its pipeline reaches the others.
struct handover *worker_handover(struct worker *worker);
// Starts the loop. 0 or -errno.
int worker_launch(struct worker *worker, struct pipeline *pipeline, unsigned lcore);
// May be called from another thread at any time.
void worker_order(struct worker *worker, enum worker_order order);
// After WORKER_DRAIN: nothing is left; after WORKER_CLOSE_DOOR: no session. From another thread.
bool worker_drained(const struct worker *worker);
// Waits until the loop has ended. Worker 0 ends last: it may have to send what others give it.
void worker_wait(struct worker *worker);

// The clock of the loop, for those who start things before it runs.
struct tick worker_now(void);

#endif
