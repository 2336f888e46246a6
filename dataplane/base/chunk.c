// SPDX-License-Identifier: BSD-3-Clause
//
// Byte queue over linked chunks. Every chunk but the last is full to its end and only the first one
// has a start offset, so a byte's place follows from its offset alone and chunks carry no lengths.
// Owns the chunks that it holds; the pool belongs to the worker.
#include "dataplane/base/chunk.h"
#include "dataplane/base/prefetch.h"

#include <assert.h>

// What a reply of a session takes.
#define PREFETCHED_BYTES 192

struct chunk {
	struct chunk *next;
	uint64_t unused; // keeps the payload 16-byte aligned
	uint8_t bytes[CHUNK_BYTES];
};

_Static_assert(sizeof(struct chunk) == 2048, "a chunk is half a page");

int chunk_pool_init(struct pool *pool, uint64_t bytes)
{
	uint64_t count = bytes / sizeof(struct chunk);
	if (count > UINT32_MAX)
		count = UINT32_MAX;
	return pool_init(pool, sizeof(struct chunk), (uint32_t)count);
}

void chunk_queue_init(struct chunk_queue *queue)
{
	*queue = (struct chunk_queue){0};
}

// Bytes that still fit into the last chunk.
static size_t room_in_last(const struct chunk_queue *queue)
{
	if (!queue->last)
		return 0;
	size_t used = ((size_t)queue->start + queue->length) % CHUNK_BYTES;
	return used ? CHUNK_BYTES - used : 0;
}

static bool add_chunk(struct chunk_queue *queue, struct pool *pool)
{
	struct chunk *chunk = pool_get(pool);
	if (!chunk)
		return false;
	if (queue->last)
		queue->last->next = chunk;
	else
		queue->first = chunk;
	queue->last = chunk;
	return true;
}

size_t chunk_queue_append(struct chunk_queue *queue, struct pool *pool, struct slice bytes)
{
	// Offsets are 32 bits; a queue is bounded by its flow's buffer size, far below.
	assert(bytes.length <= UINT32_MAX - CHUNK_BYTES - queue->length);
	size_t taken = 0;
	while (taken < bytes.length) {
		size_t room = room_in_last(queue);
		if (room == 0) {
			if (!add_chunk(queue, pool))
				break;
			room = CHUNK_BYTES;
		}
		struct slice part = slice_first(slice_from(bytes, taken), room);
		memcpy(queue->last->bytes + (CHUNK_BYTES - room), part.data, part.length);
		queue->length += (uint32_t)part.length;
		taken += part.length;
	}
	return taken;
}

// The chunk that holds the byte at offset; *place is its position there. offset < queue->length.
static const struct chunk *locate(const struct chunk_queue *queue, uint32_t offset, uint32_t *place)
{
	uint64_t position = (uint64_t)queue->start + offset;
	uint64_t index = position / CHUNK_BYTES;
	*place = (uint32_t)(position % CHUNK_BYTES);
	// What is sent next was mostly just appended: no walk for that.
	if (index == ((uint64_t)queue->start + queue->length - 1) / CHUNK_BYTES)
		return queue->last;
	const struct chunk *chunk = queue->first;
	while (index--)
		chunk = chunk->next;
	return chunk;
}

struct slice chunk_queue_peek(const struct chunk_queue *queue, uint32_t offset)
{
	if (offset >= queue->length)
		return (struct slice){NULL, 0};
	uint32_t place;
	const struct chunk *chunk = locate(queue, offset, &place);
	return slice_first(slice_of(chunk->bytes + place, CHUNK_BYTES - place),
			   queue->length - offset);
}

void chunk_queue_copy(const struct chunk_queue *queue, uint32_t offset, uint8_t *destination,
		      size_t length)
{
	assert(offset <= queue->length && length <= queue->length - offset);
	if (length == 0)
		return;
	uint32_t place;
	const struct chunk *chunk = locate(queue, offset, &place);
	for (;;) {
		struct slice part =
			slice_first(slice_of(chunk->bytes + place, CHUNK_BYTES - place), length);
		memcpy(destination, part.data, part.length);
		destination += part.length;
		length -= part.length;
		if (length == 0)
			return;
		chunk = chunk->next;
		place = 0;
	}
}

static void drop_first_chunk(struct chunk_queue *queue, struct pool *pool)
{
	struct chunk *chunk = queue->first;
	// The last one is not read: nobody touched it since it was sent, and it is out of the
	// cache.
	if (chunk == queue->last)
		queue->first = queue->last = NULL;
	else
		queue->first = chunk->next;
	pool_put(pool, chunk);
}

void chunk_queue_drop(struct chunk_queue *queue, struct pool *pool, uint32_t length)
{
	assert(length <= queue->length);
	if (length == queue->length) {
		chunk_queue_clear(queue, pool);
		return;
	}
	queue->length -= length;
	uint64_t start = (uint64_t)queue->start + length;
	for (; start >= CHUNK_BYTES; start -= CHUNK_BYTES)
		drop_first_chunk(queue, pool);
	queue->start = (uint32_t)start;
}

void chunk_queue_prefetch(const struct chunk_queue *queue)
{
	if (queue->first)
		prefetch(queue->first, PREFETCHED_BYTES);
}

void chunk_queue_clear(struct chunk_queue *queue, struct pool *pool)
{
	while (queue->first)
		drop_first_chunk(queue, pool);
	chunk_queue_init(queue);
}
