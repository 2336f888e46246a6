// SPDX-License-Identifier: BSD-3-Clause
//
// Tests of base/random: the same key gives the same numbers, other keys other ones, and
// random_below is uniform.
#include "dataplane/base/random.h"

#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static const uint8_t key[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};

// SipHash-2-4 of the counters 0, 1, 2 as eight little-endian bytes, computed independently.
static void test_known_answers(void **state)
{
	struct random random;
	random_init(&random, key);
	static const uint64_t expected[] = {0x39d3851ca07681a7, 0x2b91b2b085e6d1f6,
					    0x2cf030f1fa30eb6d};
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(random_u64(&random), expected[i]);
	random_init(&random, key);
	assert_int_equal(random_u64(&random), expected[0]);
	uint8_t other_key[16] = {1};
	random_init(&random, other_key);
	assert_int_not_equal(random_u64(&random), expected[0]);
}

static void test_below_is_uniform(void **state)
{
	static const uint32_t bounds[] = {1, 2, 3, 7, 10, 64, 1000};
	struct random random;
	random_init(&random, key);
	for (unsigned b = 0; b < sizeof(bounds) / sizeof(*bounds); b++) {
		enum { PER_VALUE = 2000 };
		uint32_t counts[1000] = {0};
		for (uint32_t i = 0; i < bounds[b] * PER_VALUE; i++) {
			uint32_t number = random_below(&random, bounds[b]);
			assert_in_range(number, 0, bounds[b] - 1);
			counts[number]++;
		}
		// Six standard deviations; the numbers are the same in every run.
		for (uint32_t i = 0; i < bounds[b]; i++)
			assert_in_range(counts[i], PER_VALUE - 270, PER_VALUE + 270);
	}
}

// With a bound of 3/4 of 2^32 a plain multiplication would give every third number twice as often.
static void test_below_with_a_large_bound(void **state)
{
	struct random random;
	random_init(&random, key);
	uint32_t residues[3] = {0};
	for (unsigned i = 0; i < 60000; i++)
		residues[random_below(&random, 0xc0000000) % 3]++;
	for (unsigned i = 0; i < 3; i++)
		assert_in_range(residues[i], 19300, 20700);
	for (unsigned i = 0; i < 1000; i++)
		assert_true(random_below(&random, UINT32_MAX) < UINT32_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_known_answers),
		cmocka_unit_test(test_below_is_uniform),
		cmocka_unit_test(test_below_with_a_large_bound),
	};
	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
