// SPDX-License-Identifier: BSD-3-Clause
//
// Fixed number of equal objects in one block, with a stack of the free indexes beside it. The last
// object given back is the next one taken, because it is the likeliest to be in cache.
// Under AddressSanitizer a free object is poisoned, so touching or returning it twice is reported;
// without it only a foreign pointer and one put too many are caught. Does not handle sharing.
#include "dataplane/base/pool.h"

#include "dataplane/base/block.h"
#include "dataplane/base/prefetch.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#if defined(__SANITIZE_ADDRESS__)
#define POISONS 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define POISONS 1
#endif
#endif

#ifdef POISONS
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(address, size)   ((void)(address), (void)(size))
#define ASAN_UNPOISON_MEMORY_REGION(address, size) ((void)(address), (void)(size))
#endif

#define OBJECT_ALIGNMENT 64

int pool_init(struct pool *pool, size_t object_size, uint32_t count)
{
	if (object_size == 0)
		object_size = 1;
	if (object_size > SIZE_MAX - OBJECT_ALIGNMENT)
		return -ENOMEM;
	object_size = (object_size + OBJECT_ALIGNMENT - 1) & ~(size_t)(OBJECT_ALIGNMENT - 1);

	size_t bytes;
	if (__builtin_mul_overflow(object_size, (size_t)count, &bytes))
		return -ENOMEM;
	*pool = (struct pool){.object_size = object_size, .count = count, .free_count = count};
	// An empty pool still owns one line, so that its pointers are valid and distinct.
	pool->memory = block_allocate(bytes ? bytes : OBJECT_ALIGNMENT);
	pool->free = calloc(count ? count : 1, sizeof(*pool->free));
	if (!pool->memory || !pool->free) {
		free(pool->memory);
		free(pool->free);
		*pool = (struct pool){0};
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < count; i++)
		pool->free[i] = count - 1 - i;
	ASAN_POISON_MEMORY_REGION(pool->memory, bytes);
	return 0;
}

void pool_fini(struct pool *pool)
{
	if (pool->memory)
		ASAN_UNPOISON_MEMORY_REGION(pool->memory, pool->object_size * pool->count);
	free(pool->memory);
	free(pool->free);
	*pool = (struct pool){0};
}

void *pool_get(struct pool *pool)
{
	if (pool->free_count == 0)
		return NULL;
	void *object = pool_at(pool, pool->free[--pool->free_count]);
	ASAN_UNPOISON_MEMORY_REGION(object, pool->object_size);
	return object;
}

void pool_prefetch_next(const struct pool *pool, size_t bytes)
{
	if (pool->free_count > 0)
		prefetch(pool_at(pool, pool->free[pool->free_count - 1]), bytes);
}

void pool_put(struct pool *pool, void *object)
{
	uint32_t index = pool_index(pool, object);
	assert(pool->free_count < pool->count);
#ifdef POISONS
	assert(!__asan_address_is_poisoned(object));
#endif
	ASAN_POISON_MEMORY_REGION(object, pool->object_size);
	pool->free[pool->free_count++] = index;
}

uint32_t pool_index(const struct pool *pool, const void *object)
{
	size_t offset = (size_t)((const uint8_t *)object - pool->memory);
	size_t index = offset / pool->object_size;
	assert(index < pool->count && index * pool->object_size == offset);
	return (uint32_t)index;
}

void *pool_at(const struct pool *pool, uint32_t index)
{
	assert(index < pool->count);
	return pool->memory + (size_t)index * pool->object_size;
}
