// SPDX-License-Identifier: BSD-3-Clause
//
// Tests of base/pool: every object exists once, is aligned and apart from the others, and comes
// back; a free object is poisoned under AddressSanitizer.
#include "dataplane/base/pool.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void test_sizes(void **state)
{
	static const struct {
		size_t object_size, rounded;
		uint32_t count;
	} cases[] = {{1, 64, 1},   {63, 64, 3},    {64, 64, 100},
		     {65, 128, 7}, {200, 256, 33}, {2048, 2048, 5}};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct pool pool;
		assert_int_equal(pool_init(&pool, cases[i].object_size, cases[i].count), 0);
		assert_int_equal(pool.object_size, cases[i].rounded);
		uint8_t *seen = calloc(cases[i].count, 1);
		for (uint32_t n = 0; n < cases[i].count; n++) {
			uint8_t *object = pool_get(&pool);
			assert_non_null(object);
			assert_int_equal((uintptr_t)object % 64, 0);
			uint32_t index = pool_index(&pool, object);
			assert_ptr_equal(pool_at(&pool, index), object);
			assert_int_equal(seen[index]++, 0);
			memset(object, (int)index, cases[i].object_size);
			assert_int_equal(pool_used(&pool), n + 1);
		}
		assert_null(pool_get(&pool));
		for (uint32_t n = 0; n < cases[i].count; n++) {
			uint8_t *object = pool_at(&pool, n);
			assert_int_equal(object[0], (uint8_t)n);
			assert_int_equal(object[cases[i].object_size - 1], (uint8_t)n);
			pool_put(&pool, object);
		}
		assert_int_equal(pool_used(&pool), 0);
		free(seen);
		pool_fini(&pool);
	}
}

static void test_empty_pool_and_impossible_sizes(void **state)
{
	struct pool pool;
	assert_int_equal(pool_init(&pool, 100, 0), 0);
	assert_null(pool_get(&pool));
	pool_fini(&pool);
	assert_int_equal(pool_init(&pool, SIZE_MAX, 1), -ENOMEM);
	assert_int_equal(pool_init(&pool, SIZE_MAX / 2, 3), -ENOMEM);
}

// Against a table of who holds what.
static void test_random_use(void **state)
{
	enum { COUNT = 57 };
	struct pool pool;
	uint32_t *held[COUNT] = {0};
	unsigned used = 0;
	assert_int_equal(pool_init(&pool, 24, COUNT), 0);
	srandom(1);
	for (unsigned step = 0; step < 200000; step++) {
		unsigned slot = (unsigned)random() % COUNT;
		if (held[slot]) {
			assert_int_equal(*held[slot], slot);
			pool_put(&pool, held[slot]);
			held[slot] = NULL;
			used--;
		} else {
			held[slot] = pool_get(&pool);
			assert_non_null(held[slot]);
			*held[slot] = slot;
			used++;
		}
		assert_int_equal(pool_used(&pool), used);
	}
	pool_fini(&pool);
}

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>

static void test_free_objects_are_poisoned(void **state)
{
	struct pool pool;
	assert_int_equal(pool_init(&pool, 64, 2), 0);
	assert_true(__asan_address_is_poisoned(pool_at(&pool, 0)));
	char *object = pool_get(&pool);
	assert_false(__asan_address_is_poisoned(object + 63));
	pool_put(&pool, object);
	assert_true(__asan_address_is_poisoned(object));
	pool_fini(&pool);
}
#endif

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_empty_pool_and_impossible_sizes),
		cmocka_unit_test(test_random_use),
#ifdef __SANITIZE_ADDRESS__
		cmocka_unit_test(test_free_objects_are_poisoned),
#endif
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
