// SPDX-License-Identifier: BSD-3-Clause
//
// Tests of base/chunk: a queue holds exactly the bytes that went in and did not go out, compared
// with a flat array, and holds no chunk more than it needs.
#include "dataplane/base/chunk.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define FLAT_BYTES (64 * 1024)

static uint8_t byte_of(uint64_t number)
{
	return (uint8_t)(number * 131 + (number >> 8));
}

// Chunks that a queue of this shape needs.
static uint32_t chunks_needed(const struct chunk_queue *queue)
{
	return queue->length ? (queue->start + queue->length + CHUNK_BYTES - 1) / CHUNK_BYTES : 0;
}

static void check_content(const struct chunk_queue *queue, uint64_t first)
{
	uint32_t offset = 0;
	while (offset < queue->length) {
		struct slice run = chunk_queue_peek(queue, offset);
		assert_in_range(run.length, 1, CHUNK_BYTES);
		for (size_t i = 0; i < run.length; i++)
			assert_int_equal(run.data[i], byte_of(first + offset + i));
		offset += (uint32_t)run.length;
	}
	assert_int_equal(offset, queue->length);
	assert_int_equal(chunk_queue_peek(queue, queue->length).length, 0);
	assert_int_equal(chunk_queue_peek(queue, UINT32_MAX).length, 0);
}

static void check_copy(const struct chunk_queue *queue, uint64_t first)
{
	uint32_t offset = (uint32_t)((unsigned long)random() % (queue->length + 1));
	uint32_t length = (uint32_t)((unsigned long)random() % (queue->length - offset + 1));
	uint8_t *copy = malloc(length ? length : 1); // exact, so that a byte too many is found
	chunk_queue_copy(queue, offset, copy, length);
	for (uint32_t i = 0; i < length; i++)
		assert_int_equal(copy[i], byte_of(first + offset + i));
	free(copy);
}

static void test_against_flat_bytes(void **state)
{
	struct pool pool;
	struct chunk_queue queue;
	uint64_t first = 0, end = 0; // numbers of the bytes held
	static uint8_t flat[FLAT_BYTES];
	assert_int_equal(chunk_pool_init(&pool, 48 * 1024), 0);
	assert_int_equal(pool.count, 24);
	chunk_queue_init(&queue);
	srandom(2);
	for (unsigned step = 0; step < 3000; step++) {
		static const uint32_t most[] = {3, 2032, 2033, 5000, 30000};
		uint32_t length = (uint32_t)random() % (most[random() % 5] + 1);
		if (random() % 2) {
			for (uint32_t i = 0; i < length; i++)
				flat[i] = byte_of(end + i);
			size_t taken = chunk_queue_append(&queue, &pool, slice_of(flat, length));
			if (taken < length)
				assert_null(pool_get(&pool));
			end += taken;
		} else {
			if (length > queue.length)
				length = queue.length;
			chunk_queue_drop(&queue, &pool, length);
			first += length;
		}
		assert_int_equal(queue.length, end - first);
		assert_int_equal(pool_used(&pool), chunks_needed(&queue));
		check_content(&queue, first);
		check_copy(&queue, first);
	}
	chunk_queue_clear(&queue, &pool);
	assert_int_equal(queue.length, 0);
	assert_int_equal(pool_used(&pool), 0);
	pool_fini(&pool);
}

static void test_edges_of_a_chunk(void **state)
{
	struct pool pool;
	struct chunk_queue queue;
	static const uint8_t bytes[3 * CHUNK_BYTES];
	assert_int_equal(chunk_pool_init(&pool, 3 * 2048 + 2047), 0);
	assert_int_equal(pool.count, 3);
	chunk_queue_init(&queue);
	assert_int_equal(chunk_queue_append(&queue, &pool, slice_of(bytes, 0)), 0);
	assert_int_equal(pool_used(&pool), 0);
	assert_int_equal(chunk_queue_append(&queue, &pool, slice_of(bytes, CHUNK_BYTES)),
			 CHUNK_BYTES);
	assert_int_equal(pool_used(&pool), 1); // full, and no second one before it is needed
	chunk_queue_append(&queue, &pool, slice_of(bytes, 1));
	assert_int_equal(pool_used(&pool), 2);
	chunk_queue_drop(&queue, &pool, CHUNK_BYTES);
	assert_int_equal(pool_used(&pool), 1);
	chunk_queue_drop(&queue, &pool, 1);
	assert_int_equal(pool_used(&pool), 0);
	// Full to the last byte, and not one more.
	assert_int_equal(chunk_queue_append(&queue, &pool, slice_of(bytes, sizeof(bytes))),
			 sizeof(bytes));
	assert_int_equal(chunk_queue_append(&queue, &pool, slice_of(bytes, 1)), 0);
	chunk_queue_drop(&queue, &pool, 1);
	assert_int_equal(chunk_queue_append(&queue, &pool, slice_of(bytes, 1)), 0);
	chunk_queue_clear(&queue, &pool);
	pool_fini(&pool);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_against_flat_bytes),
		cmocka_unit_test(test_edges_of_a_chunk),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
