// SPDX-License-Identifier: BSD-3-Clause
//
// Tests of base/pace: what is found in a window, over time that runs, stands still and waits; and a
// twin that remembers every amount.
#include "dataplane/base/pace.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#define SECOND 1000000ull
#define START  (1234567 * SECOND + 890123)

static uint64_t measured(const struct pace *pace, uint64_t now_us)
{
	uint64_t amount;

	assert_true(pace_measure(pace, now_us, &amount));
	return amount;
}

static void assert_too_early(const struct pace *pace, uint64_t now_us)
{
	uint64_t amount;

	assert_false(pace_measure(pace, now_us, &amount));
}

static void a_window_must_be_over(void **state)
{
	struct pace pace;

	pace_begin(&pace, START);
	assert_too_early(&pace, START + 10 * SECOND - 1);
	assert_int_equal(measured(&pace, START + 10 * SECOND), 0);
	pace_take(&pace, 7, START + 10 * SECOND);
	assert_int_equal(measured(&pace, START + 10 * SECOND), 7);
	assert_int_equal(measured(&pace, START + 21 * SECOND - 1), 7);
	assert_int_equal(measured(&pace, START + 21 * SECOND), 0);
}

// Whoever does exactly so much in each window is never found to have done less, however it comes.
static void exactly_so_much_is_enough(void **state)
{
	static const uint64_t every_us[] = {1000, 250000, SECOND, 2500000, 10 * SECOND};

	for (unsigned i = 0; i < sizeof(every_us) / sizeof(every_us[0]); i++) {
		const uint32_t amount = (uint32_t)(every_us[i] / 1000);
		struct pace pace;

		pace_begin(&pace, START);
		for (uint64_t at = every_us[i]; at < 100 * SECOND; at += every_us[i]) {
			if (at > 10 * SECOND)
				assert_true(measured(&pace, START + at - 1) >= 10000);
			pace_take(&pace, amount, START + at);
		}
	}
}

static void time_stands_still(void **state)
{
	struct pace pace;

	pace_begin(&pace, START);
	pace_take(&pace, 5, START);
	pace_stop(&pace, START + 9 * SECOND);
	pace_stop(&pace, START + 99 * SECOND);
	assert_too_early(&pace, START + 1000 * SECOND);
	pace_go_on(&pace, false, START + 1000 * SECOND);
	pace_go_on(&pace, false, START + 1001 * SECOND);
	assert_too_early(&pace, START + 1001 * SECOND - 1);
	assert_int_equal(measured(&pace, START + 1001 * SECOND), 5);
	assert_int_equal(measured(&pace, START + 1003 * SECOND), 0);
}

static void time_waits_for_who_may_not_know(void **state)
{
	struct pace pace;

	pace_begin(&pace, START);
	pace_stop(&pace, START + 5 * SECOND);
	pace_go_on(&pace, true, START + 35 * SECOND);
	assert_too_early(&pace, START + 70 * SECOND - 1);
	assert_int_equal(measured(&pace, START + 70 * SECOND), 0);
	// His first word shows that he knows.
	pace_begin(&pace, START);
	pace_stop(&pace, START + 5 * SECOND);
	pace_go_on(&pace, true, START + 35 * SECOND);
	pace_take(&pace, 1, START + 40 * SECOND);
	assert_too_early(&pace, START + 45 * SECOND - 1);
	assert_int_equal(measured(&pace, START + 45 * SECOND), 1);
}

// Every amount by the second of his time in which it came.
static void as_a_twin_remembers_it(void **state)
{
	static uint32_t done[40000];
	uint64_t now_us = START, his_us = 0, sum, amount;
	struct pace pace;
	bool runs = true;

	srandom(1);
	pace_begin(&pace, now_us);
	for (unsigned i = 0; i < 20000; i++) {
		const uint64_t step = (uint64_t)random() % (i % 50 ? SECOND : 30 * SECOND);

		now_us += step;
		his_us += runs ? step : 0;
		if (random() % 4 == 0 && runs)
			pace_stop(&pace, now_us), runs = false;
		else if (random() % 2 == 0)
			pace_go_on(&pace, false, now_us), runs = true;
		if (random() % 3) {
			pace_take(&pace, i, now_us);
			done[his_us / SECOND] += i;
		}
		if (!pace_measure(&pace, now_us, &amount)) {
			assert_true(his_us < 10 * SECOND);
			continue;
		}
		sum = 0;
		for (unsigned back = 0; back <= PACE_SECONDS; back++)
			sum += done[his_us / SECOND - back];
		assert_int_equal(amount, sum);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_window_must_be_over),
		cmocka_unit_test(exactly_so_much_is_enough),
		cmocka_unit_test(time_stands_still),
		cmocka_unit_test(time_waits_for_who_may_not_know),
		cmocka_unit_test(as_a_twin_remembers_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
