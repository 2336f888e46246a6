// SPDX-License-Identifier: BSD-3-Clause
//
// A fixed number of equal objects, taken and given back in O(1), all allocated and touched by
// pool_init:
// nothing on the hot path reaches the heap. Objects are cache-line aligned and addressed by pointer
// or by index. Free objects are poisoned under AddressSanitizer. One worker's own; not for sharing.
#ifndef RELAYGATE_BASE_POOL_H
#define RELAYGATE_BASE_POOL_H

#include <stddef.h>
#include <stdint.h>

struct pool {
	uint8_t *memory;
	uint32_t *free; // stack of free indexes
	uint32_t free_count;
	uint32_t count;
	size_t object_size; // rounded up to 64
};

// count objects of object_size bytes. 0 or -ENOMEM.
int pool_init(struct pool *pool, size_t object_size, uint32_t count);
void pool_fini(struct pool *pool);
// An object, contents undefined, or NULL when none is free (the caller counts that).
void *pool_get(struct pool *pool);
// Brings the beginning of the object that pool_get gives next into the cache.
void pool_prefetch_next(const struct pool *pool, size_t bytes);
void pool_put(struct pool *pool, void *object);
uint32_t pool_index(const struct pool *pool, const void *object);
void *pool_at(const struct pool *pool, uint32_t index);
static inline uint32_t pool_used(const struct pool *pool)
{
	return pool->count - pool->free_count;
}

#endif
