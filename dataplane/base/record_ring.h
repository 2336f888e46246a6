// SPDX-License-Identifier: BSD-3-Clause
//
// A bounded ring of records of any length between one thread that writes and one that reads. All
// memory is taken and touched at the start; neither side locks, waits or makes a system call. What
// finds no room is not written: the writer counts that. Knows nothing of what the records are.
#ifndef RELAYGATE_BASE_RECORD_RING_H
#define RELAYGATE_BASE_RECORD_RING_H

#include <stddef.h>
#include <stdint.h>

struct record_ring;

// size: bytes of all records and 8 more for each, rounded up to a power of 2. NULL when there is
// not enough memory.
struct record_ring *record_ring_create(size_t size);
void record_ring_destroy(struct record_ring *ring); // NULL is fine

// The writer's: room for a record of at most so many bytes, aligned to 8; NULL when there is none
// now. Nothing is seen of it before the commit, which says how long it has become.
void *record_ring_reserve(struct record_ring *ring, size_t length);
void record_ring_commit(struct record_ring *ring, size_t length);

// The reader's: the oldest record, or NULL. It stays valid until it is released.
const void *record_ring_peek(struct record_ring *ring, size_t *length);
void record_ring_release(struct record_ring *ring);

#endif
