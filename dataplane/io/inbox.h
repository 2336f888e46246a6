// SPDX-License-Identifier: BSD-3-Clause
//
// Where received frames for each worker wait that came in at another one: a ring each, many givers,
// one taker. Whoever puts something there wakes a taker that sleeps. Frames are given and taken
// with one reference of theirs.
#ifndef RELAYGATE_IO_INBOX_H
#define RELAYGATE_IO_INBOX_H

#include <stdbool.h>
#include <time.h>

struct inboxes;
struct rte_mbuf;

// One for each of so many workers. After environment_start. NULL when out of memory.
struct inboxes *inboxes_create(unsigned workers);
// Frames that are still there go with their port's buffers. NULL is fine.
void inboxes_destroy(struct inboxes *inboxes);

// Gives a frame to a worker. False when there is no room.
bool inboxes_put(struct inboxes *inboxes, unsigned worker, struct rte_mbuf *frame);
// A worker takes up to max frames out of its own; how many there were.
unsigned inboxes_take(struct inboxes *inboxes, unsigned worker, struct rte_mbuf **frames,
		      unsigned max);

// Ends the worker's sleep, if it sleeps; a system call only then. Seeing its sleep a moment too
// late costs one of its short pauses. For what was put elsewhere than here.
void inboxes_wake(struct inboxes *inboxes, unsigned worker);
// A worker's sleep: from now on it is woken. It then looks a last time at what else may wake it,
// and sleeps until the pause is over or it is woken; not at all if pause is NULL or its inbox is
// not empty.
void inboxes_sleep_begin(struct inboxes *inboxes, unsigned worker);
void inboxes_sleep(struct inboxes *inboxes, unsigned worker, const struct timespec *pause);

#endif
