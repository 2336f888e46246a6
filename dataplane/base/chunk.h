// SPDX-License-Identifier: BSD-3-Clause
//
// Payload buffers: a byte queue of linked fixed-size chunks out of one preallocated pool. A flow
// keeps one for what it sends and one for what it received and nobody took yet.
// An empty queue holds no chunk, so an idle flow costs no buffer.
#ifndef RELAYGATE_BASE_CHUNK_H
#define RELAYGATE_BASE_CHUNK_H

#include "dataplane/base/pool.h"
#include "dataplane/base/slice.h"

#define CHUNK_BYTES 2032 // payload of one chunk; with its link a chunk is 2,048 bytes

struct chunk;

struct chunk_queue {
	struct chunk *first;
	struct chunk *last;
	uint32_t start;  // offset of the first byte in *first
	uint32_t length; // bytes held
};

// A pool of chunks for about `bytes` of memory. 0 or -ENOMEM.
int chunk_pool_init(struct pool *pool, uint64_t bytes);

void chunk_queue_init(struct chunk_queue *queue);
// Copies bytes to the end; returns how many were taken: fewer only when the pool is empty.
size_t chunk_queue_append(struct chunk_queue *queue, struct pool *pool, struct slice bytes);
// The first run of bytes at offset that lies in one chunk; empty past the end. Valid until the
// queue is changed.
struct slice chunk_queue_peek(const struct chunk_queue *queue, uint32_t offset);
// Copies length bytes at offset to destination; the caller guarantees offset + length <=
// queue->length.
void chunk_queue_copy(const struct chunk_queue *queue, uint32_t offset, uint8_t *destination,
		      size_t length);
// Gives up the first length bytes (at most queue->length) and every chunk that they empty.
void chunk_queue_drop(struct chunk_queue *queue, struct pool *pool, uint32_t length);
// Brings the beginning of the first chunk into the cache, to be written soon. Changes nothing.
void chunk_queue_prefetch(const struct chunk_queue *queue);
void chunk_queue_clear(struct chunk_queue *queue, struct pool *pool);

#endif
