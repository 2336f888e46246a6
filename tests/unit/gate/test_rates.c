// SPDX-License-Identifier: BSD-3-Clause
//
// Messages a minute: what passes, when it passes again, who is told apart, a full table, and two
// threads that count the same source.
#include "dataplane/gate/rates.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <threads.h>

#include <cmocka.h>

#define SECOND 1000000ull

static const struct hash_key key = {{1}};

static struct address source(uint32_t number)
{
	struct address address = {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff}};

	for (unsigned i = 0; i < 4; i++)
		address.bytes[12 + i] = (uint8_t)(number >> (24 - 8 * i));
	return address;
}

static void test_a_minute(void **state)
{
	struct rates *rates = rates_create(64, &key);
	const struct address one = source(1), other = source(2);
	uint64_t now = 1000 * SECOND;

	for (unsigned i = 0; i < 3; i++)
		assert_true(rates_take(rates, &one, 0, 3, now + i * SECOND));
	assert_false(rates_take(rates, &one, 0, 3, now + 5 * SECOND));
	assert_false(rates_take(rates, &one, 0, 3, now + 57 * SECOND));
	// Another source, another connector and a higher limit are not concerned.
	assert_true(rates_take(rates, &other, 0, 3, now + 5 * SECOND));
	assert_true(rates_take(rates, &one, 1, 3, now + 5 * SECOND));
	assert_true(rates_take(rates, &one, 0, 4, now + 5 * SECOND));
	// A minute after its first message it may again, and as often.
	for (unsigned i = 0; i < 3; i++)
		assert_true(rates_take(rates, &one, 0, 3, now + 62 * SECOND));
	assert_false(rates_take(rates, &one, 0, 3, now + 62 * SECOND));
	rates_destroy(rates);
}

// More sources than entries: nobody is refused a message that it may send.
static void test_full_table(void **state)
{
	struct rates *rates = rates_create(16, &key);

	for (unsigned round = 0; round < 2; round++)
		for (uint32_t i = 0; i < 10000; i++) {
			const struct address address = source(i);

			assert_true(
				rates_take(rates, &address, 0, 2, SECOND * (i + 10000 * round)));
		}
	rates_destroy(rates);
}

struct race {
	struct rates *rates;
	atomic_uint passed;
};

static int race(void *argument)
{
	struct race *race = argument;
	const struct address one = source(1);

	for (unsigned i = 0; i < 20000; i++)
		race->passed += rates_take(race->rates, &one, 0, 10000, SECOND);
	return 0;
}

static void test_two_workers(void **state)
{
	struct race shared = {.rates = rates_create(16, &key)};
	thrd_t threads[2];

	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(thrd_create(&threads[i], race, &shared), thrd_success);
	for (unsigned i = 0; i < 2; i++)
		thrd_join(threads[i], NULL);
	// The first two may both have found the entry free, and begun it anew.
	assert_in_range(shared.passed, 10000, 10001);
	rates_destroy(shared.rates);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_minute),
		cmocka_unit_test(test_full_table),
		cmocka_unit_test(test_two_workers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
