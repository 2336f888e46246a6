// SPDX-License-Identifier: BSD-3-Clause
//
// Blocks for tables: zeroed to their end, aligned, present; and no size makes them overflow.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include <sys/mman.h>

#include "dataplane/base/block.h"

#define MIB ((size_t)1 << 20)

static void zeroed_and_aligned(void **state)
{
	static const size_t sizes[] = {1, 63, 64, 4097, 2 * MIB - 1, 2 * MIB, 3 * MIB + 5};

	for (unsigned i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		uint8_t *block = block_allocate(sizes[i]);
		assert_non_null(block);
		assert_int_equal((uintptr_t)block % 64, 0);
		for (size_t at = 0; at < sizes[i]; at++)
			assert_int_equal(block[at], 0);
		free(block);
	}
}

static void every_page_is_there(void **state)
{
	const size_t page = (size_t)sysconf(_SC_PAGESIZE), bytes = 5 * MIB;
	uint8_t *block = block_allocate(bytes);
	unsigned char present[5 * MIB / 4096];

	assert_non_null(block);
	uint8_t *first = (uint8_t *)(((uintptr_t)block + page - 1) & ~(page - 1));
	assert_int_equal(mincore(first, bytes - page, present), 0);
	for (size_t i = 0; i < (bytes - page) / page; i++)
		assert_true(present[i] & 1);
	free(block);
}

static void too_much_is_refused(void **state)
{
	assert_null(block_allocate(SIZE_MAX));
	assert_null(block_allocate(SIZE_MAX - 100));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(zeroed_and_aligned),
		cmocka_unit_test(every_page_is_there),
		cmocka_unit_test(too_much_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
