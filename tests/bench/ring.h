// SPDX-License-Identifier: BSD-3-Clause
//
// Frames from one thread to one other: fixed slots, a count of those written and one of those read.
// A slot is filled where it lies and read where it lies.
#ifndef RELAYGATE_BENCH_RING_H
#define RELAYGATE_BENCH_RING_H

#include "tests/bench/run.h"

#include <assert.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>

struct ring {
	_Alignas(64) _Atomic uint32_t written;
	_Alignas(64) _Atomic uint32_t read;
	_Alignas(64) struct run_frame *frames;
	uint32_t mask;
};

static inline void ring_init(struct ring *ring, uint32_t size)
{
	ring->frames = calloc(size, sizeof(*ring->frames));
	assert(ring->frames && (size & (size - 1)) == 0);
	ring->mask = size - 1;
}

static inline void ring_fini(struct ring *ring)
{
	free(ring->frames);
}

// The slot that ring_push sends; NULL when all are full.
static inline struct run_frame *ring_room(struct ring *ring)
{
	uint32_t written = atomic_load_explicit(&ring->written, memory_order_relaxed);

	if (written - atomic_load_explicit(&ring->read, memory_order_acquire) > ring->mask)
		return NULL;
	return &ring->frames[written & ring->mask];
}

static inline struct run_frame *ring_wait(struct ring *ring)
{
	struct run_frame *room;

	while (!(room = ring_room(ring)))
		sched_yield();
	return room;
}

static inline void ring_push(struct ring *ring)
{
	atomic_fetch_add_explicit(&ring->written, 1, memory_order_release);
}

// The oldest frames, up to max; they stay until ring_drop.
static inline unsigned ring_peek(struct ring *ring, const struct run_frame *frames[], unsigned max)
{
	uint32_t read = atomic_load_explicit(&ring->read, memory_order_relaxed);
	uint32_t count = atomic_load_explicit(&ring->written, memory_order_acquire) - read;

	if (count > max)
		count = max;
	for (uint32_t i = 0; i < count; i++)
		frames[i] = &ring->frames[(read + i) & ring->mask];
	return count;
}

static inline void ring_drop(struct ring *ring, unsigned count)
{
	uint32_t read = atomic_load_explicit(&ring->read, memory_order_relaxed);

	atomic_store_explicit(&ring->read, read + count, memory_order_release);
}

#endif
