// SPDX-License-Identifier: BSD-3-Clause
//
// See record_ring.h. A record is eight bytes of header and its contents in one piece, padded to
// eight; what does not fit before the end of the memory begins at its start, behind a header that
// says so. Positions only grow; each side keeps what it last saw of the other's.

#include "dataplane/base/record_ring.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define SKIP     UINT64_MAX // instead of a length: go on at the start of the memory
#define HEADER   sizeof(uint64_t)
#define SIZE_MIN 1024
#define LINE     64 // of the cache

struct record_ring {
	size_t size;
	uint8_t *memory;

	_Alignas(LINE) _Atomic uint64_t written;
	uint64_t released_seen; // the writer's
	uint64_t reserved;      // where the reserved record's header stands

	_Alignas(LINE) _Atomic uint64_t released;
	uint64_t written_seen; // the reader's
};

static size_t padded(size_t length)
{
	return HEADER + ((length + HEADER - 1) & ~(HEADER - 1));
}

struct record_ring *record_ring_create(size_t size)
{
	struct record_ring *ring = aligned_alloc(LINE, sizeof(*ring));
	size_t rounded = SIZE_MIN;

	if (!ring)
		return NULL;
	memset(ring, 0, sizeof(*ring));
	while (rounded < size)
		rounded *= 2;
	ring->size = rounded;
	ring->memory = aligned_alloc(LINE, rounded);
	if (!ring->memory) {
		free(ring);
		return NULL;
	}
	memset(ring->memory, 0, rounded);
	return ring;
}

void record_ring_destroy(struct record_ring *ring)
{
	if (!ring)
		return;
	free(ring->memory);
	free(ring);
}

static uint64_t *header_at(const struct record_ring *ring, uint64_t position)
{
	return (uint64_t *)(ring->memory + (position & (ring->size - 1)));
}

void *record_ring_reserve(struct record_ring *ring, size_t length)
{
	const uint64_t written = atomic_load_explicit(&ring->written, memory_order_relaxed);
	const size_t need = padded(length);
	const size_t to_end = ring->size - (size_t)(written & (ring->size - 1));
	const uint64_t begin = need > to_end ? written + to_end : written;

	if (begin + need - ring->released_seen > ring->size)
		ring->released_seen = atomic_load_explicit(&ring->released, memory_order_acquire);
	if (begin + need - ring->released_seen > ring->size)
		return NULL;
	if (begin != written)
		*header_at(ring, written) = SKIP;
	ring->reserved = begin;
	return header_at(ring, begin) + 1;
}

void record_ring_commit(struct record_ring *ring, size_t length)
{
	*header_at(ring, ring->reserved) = length;
	atomic_store_explicit(&ring->written, ring->reserved + padded(length),
			      memory_order_release);
}

const void *record_ring_peek(struct record_ring *ring, size_t *length)
{
	uint64_t released = atomic_load_explicit(&ring->released, memory_order_relaxed);

	if (released == ring->written_seen)
		ring->written_seen = atomic_load_explicit(&ring->written, memory_order_acquire);
	if (released == ring->written_seen)
		return NULL;
	if (*header_at(ring, released) == SKIP) {
		released += ring->size - (released & (ring->size - 1));
		atomic_store_explicit(&ring->released, released, memory_order_release);
	}
	assert(released < ring->written_seen);
	*length = *header_at(ring, released);
	return header_at(ring, released) + 1;
}

void record_ring_release(struct record_ring *ring)
{
	const uint64_t released = atomic_load_explicit(&ring->released, memory_order_relaxed);

	assert(released < ring->written_seen);
	atomic_store_explicit(&ring->released, released + padded(*header_at(ring, released)),
			      memory_order_release);
}
