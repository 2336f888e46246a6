// SPDX-License-Identifier: BSD-3-Clause
//
// A worker: polls its ports, hands bursts to its pipeline, sends what comes out, and sleeps when
// there is nothing to do (unless told to spin). Runs on an lcore of its own until it is asked to
// stop.
#ifndef RELAYGATE_IO_WORKER_H
#define RELAYGATE_IO_WORKER_H

#include "dataplane/io/port.h"

#include <stdbool.h>

struct pipeline;
struct worker;

enum worker_order {
	WORKER_RUN,
	WORKER_DRAIN,       // no new sessions, finish those there are
	WORKER_DRAIN_FORCE, // end them now
	WORKER_STOP,        // leave the loop
};

// ports: the array outlives the worker. NULL when out of memory.
struct worker *worker_create(struct pipeline *pipeline, struct port *ports, unsigned port_count,
			     bool spin);
void worker_destroy(struct worker *worker);

// Starts the loop on lcore 1 + index. 0 or -errno.
int worker_launch(struct worker *worker, unsigned lcore);
// May be called from another thread at any time.
void worker_order(struct worker *worker, enum worker_order order);
// After WORKER_DRAIN: nothing is left. From another thread.
bool worker_drained(const struct worker *worker);
// Waits until the loop has ended.
void worker_wait(struct worker *worker);

// The clock of the loop, for those who start things before it runs.
struct tick worker_now(void);

#endif
