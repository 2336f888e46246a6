// SPDX-License-Identifier: BSD-3-Clause
//
// Tests of base/wheel: against a naive twin that looks at every timer, with random operations over
// virtual time from single microseconds to centuries.
#include "dataplane/base/wheel.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#define TIMERS    300
#define SECOND_US 1000000ull
#define DAY_US    (86400 * SECOND_US)
#define NEVER     UINT64_MAX

// Twin: when each timer may fire at the earliest, and must at the latest; NEVER = not armed.
struct twin {
	struct wheel *wheel;
	struct wheel_timer timers[TIMERS];
	uint64_t deadline_us[TIMERS];
	uint64_t fires_us[TIMERS];
	uint64_t now_us; // of the latest expiry
	unsigned fired;
};

static uint64_t random_u64(void)
{
	return (uint64_t)random() << 42 ^ (uint64_t)random() << 21 ^ (uint64_t)random();
}

// Mostly of the size that timeouts have, sometimes of any size.
static uint64_t random_distance_us(void)
{
	static const uint64_t most[] = {
		1,          1000,        5000, 300000, SECOND_US, 70 * SECOND_US, 600 * SECOND_US,
		3 * DAY_US, 800 * DAY_US};
	return random_u64() % (most[(unsigned)random() % 9] + 1);
}

static uint64_t rounded_up_us(uint64_t deadline_us)
{
	uint64_t rest = deadline_us % WHEEL_TICK_US;
	if (rest == 0)
		return deadline_us;
	return deadline_us > UINT64_MAX - WHEEL_TICK_US ? NEVER - 1
							: deadline_us - rest + WHEEL_TICK_US;
}

static void twin_arm(struct twin *twin, unsigned i, uint64_t deadline_us)
{
	wheel_arm(twin->wheel, &twin->timers[i], deadline_us);
	twin->deadline_us[i] = deadline_us;
	twin->fires_us[i] = deadline_us == NEVER          ? NEVER
			    : deadline_us <= twin->now_us ? twin->now_us
							  : rounded_up_us(deadline_us);
	assert_int_equal(wheel_timer_armed(&twin->timers[i]), deadline_us != NEVER);
}

static void twin_check(struct twin *twin)
{
	uint64_t armed = 0, earliest = NEVER;
	for (unsigned i = 0; i < TIMERS; i++) {
		if (twin->fires_us[i] == NEVER)
			continue;
		armed++;
		if (twin->fires_us[i] < earliest)
			earliest = twin->fires_us[i];
	}
	assert_int_equal(wheel_count(twin->wheel), armed);
	uint64_t next_us = wheel_next_us(twin->wheel);
	if (armed == 0)
		assert_true(next_us == NEVER);
	else
		assert_true(next_us <= earliest || earliest == NEVER - 1);
}

// Takes everything that is due, sometimes re-arming what fired.
static void twin_expire(struct twin *twin, uint64_t now_us)
{
	twin->now_us = now_us;
	struct wheel_timer *timer;
	while ((timer = wheel_expire(twin->wheel, now_us))) {
		ptrdiff_t i = timer - twin->timers;
		assert_in_range(i, 0, TIMERS - 1);
		assert_true(twin->fires_us[i] != NEVER && twin->deadline_us[i] <= now_us);
		assert_false(wheel_timer_armed(timer));
		twin->fires_us[i] = NEVER;
		twin->fired++;
		if (random() % 8 == 0)
			twin_arm(twin, (unsigned)i, now_us - random_u64() % (now_us / 16 + 1));
		else if (random() % 4 == 0)
			twin_arm(twin, (unsigned)i, now_us + random_distance_us());
	}
	for (unsigned i = 0; i < TIMERS; i++)
		assert_true(twin->fires_us[i] == NEVER || twin->fires_us[i] > now_us);
	assert_true(wheel_next_us(twin->wheel) > now_us);
}

static void random_operation(struct twin *twin)
{
	unsigned i = (unsigned)random() % TIMERS;
	uint64_t now_us = twin->now_us;
	switch (random() % 12) {
	case 0:
		wheel_cancel(twin->wheel, &twin->timers[i]);
		twin->fires_us[i] = NEVER;
		break;
	case 1:
		twin_arm(twin, i, now_us - random_u64() % (now_us + 1));
		break;
	case 2:
		twin_arm(twin, i, random() % 2 ? NEVER : NEVER - random_u64() % 5000);
		break;
	case 3:
		twin_expire(twin, now_us + random_distance_us());
		break;
	case 4: { // as an idle loop sleeps
		uint64_t next_us = wheel_next_us(twin->wheel);
		if (next_us < now_us + 1000 * DAY_US)
			twin_expire(twin, next_us);
		break;
	}
	case 5:
		twin_expire(twin, now_us + random_u64() % 1500);
		break;
	default:
		twin_arm(twin, i, now_us + random_distance_us());
	}
}

static void test_against_naive_twin(void **state)
{
	for (unsigned seed = 1; seed <= 20; seed++) {
		static struct twin twin;
		twin = (struct twin){.now_us = seed % 4 ? seed * 77777777ull : 0};
		srandom(seed);
		twin.wheel = wheel_create(twin.now_us);
		assert_non_null(twin.wheel);
		for (unsigned i = 0; i < TIMERS; i++) {
			wheel_timer_init(&twin.timers[i]);
			twin.fires_us[i] = NEVER;
		}
		for (unsigned step = 0; step < 10000; step++) {
			random_operation(&twin);
			twin_check(&twin);
		}
		assert_true(twin.fired > 1000);
		assert_true(twin.now_us > 1000000 * SECOND_US);
		wheel_destroy(twin.wheel);
	}
}

// A timer that is only ever moved later fires once, at the last deadline; moved earlier, earlier.
static void test_moved_timers(void **state)
{
	struct wheel *wheel = wheel_create(0);
	struct wheel_timer later, earlier;
	wheel_timer_init(&later);
	wheel_timer_init(&earlier);
	wheel_arm(wheel, &earlier, 500 * SECOND_US);
	for (uint64_t now_us = 0; now_us < 1000 * SECOND_US; now_us += SECOND_US / 2) {
		wheel_arm(wheel, &later, now_us + 300 * SECOND_US);
		assert_null(wheel_expire(wheel, now_us));
		if (now_us < 400 * SECOND_US)
			wheel_arm(wheel, &earlier, 500 * SECOND_US);
		else
			wheel_arm(wheel, &earlier, now_us + 2 * SECOND_US);
	}
	assert_null(wheel_expire(wheel, 1001499999));
	assert_ptr_equal(wheel_expire(wheel, 1001500000), &earlier);
	assert_null(wheel_expire(wheel, 1299499999));
	assert_ptr_equal(wheel_expire(wheel, 1299500000), &later);
	assert_true(wheel_next_us(wheel) == NEVER);
	wheel_destroy(wheel);
}

// Sleeping to wheel_next_us always gets on: few wake-ups a timer, none without progress.
static void test_sleeping_loop(void **state)
{
	static const uint64_t deadlines_us[] = {
		1,       999,     1000,    1001,        255999,       256000,     256001,
		2047999, 2048000, 2049001, 70 * DAY_US, 366 * DAY_US, 9999999999, 5000 * DAY_US};
	for (unsigned i = 0; i < sizeof(deadlines_us) / sizeof(*deadlines_us); i++) {
		struct wheel *wheel = wheel_create(0);
		struct wheel_timer timer;
		wheel_timer_init(&timer);
		wheel_arm(wheel, &timer, deadlines_us[i]);
		uint64_t now_us = 0;
		unsigned wakes = 0;
		while (!wheel_expire(wheel, now_us)) {
			uint64_t next_us = wheel_next_us(wheel);
			assert_true(next_us > now_us);
			now_us = next_us;
			assert_true(++wakes < 40);
		}
		assert_int_equal(now_us, rounded_up_us(deadlines_us[i]));
		wheel_destroy(wheel);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_against_naive_twin),
		cmocka_unit_test(test_moved_timers),
		cmocka_unit_test(test_sleeping_loop),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
