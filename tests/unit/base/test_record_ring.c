// SPDX-License-Identifier: BSD-3-Clause
//
// The ring of records: what goes in comes out, whole and in order, however often it wraps; a full
// one takes nothing and loses nothing of what it has; and the same between two threads.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <sched.h>
#include <string.h>

#include "dataplane/base/record_ring.h"

// A record whose bytes tell which one it is, and how long it must be.
static size_t length_of(uint64_t number)
{
	return sizeof(number) + number * 7919 % 200;
}

static int put(struct record_ring *ring, uint64_t number)
{
	// As much as it may be, and then less.
	uint8_t *record = record_ring_reserve(ring, length_of(number) + number % 3 * 8);

	if (!record)
		return 0;
	assert_int_equal((uintptr_t)record % 8, 0);
	memcpy(record, &number, sizeof(number));
	memset(record + sizeof(number), (uint8_t)number, length_of(number) - sizeof(number));
	record_ring_commit(ring, length_of(number));
	return 1;
}

static int take(struct record_ring *ring, uint64_t number)
{
	size_t length;
	const uint8_t *record = record_ring_peek(ring, &length);

	if (!record)
		return 0;
	assert_int_equal(length, length_of(number));
	assert_memory_equal(record, &number, sizeof(number));
	for (size_t i = sizeof(number); i < length; i++)
		assert_int_equal(record[i], (uint8_t)number);
	record_ring_release(ring);
	return 1;
}

static void test_order_over_many_rounds(void **state)
{
	struct record_ring *ring = record_ring_create(1024);
	uint64_t in = 0, out = 0;

	assert_non_null(ring);
	for (unsigned round = 0; round < 20000; round++) {
		for (unsigned i = 0; i <= round % 7; i++)
			in += put(ring, in);
		for (unsigned i = 0; i <= round % 5; i++)
			out += take(ring, out);
	}
	while (take(ring, out))
		out++;
	assert_int_equal(in, out);
	assert_true(in > 20000);
	record_ring_destroy(ring);
}

static void test_full(void **state)
{
	struct record_ring *ring = record_ring_create(1024);
	size_t length;
	unsigned count = 0;
	uint64_t *record;

	while ((record = record_ring_reserve(ring, 56))) {
		*record = count++;
		record_ring_commit(ring, 56);
	}
	assert_int_equal(count, 1024 / 64);
	assert_null(record_ring_reserve(ring, 0));
	for (unsigned i = 0; i < count; i++) {
		assert_int_equal(*(const uint64_t *)record_ring_peek(ring, &length), i);
		assert_int_equal(length, 56);
		record_ring_release(ring);
		// Room for one again, and for no more.
		assert_non_null(record_ring_reserve(ring, 56));
	}
	assert_null(record_ring_peek(ring, &length));
	record_ring_destroy(ring);
}

static void test_too_large_for_ever(void **state)
{
	struct record_ring *ring = record_ring_create(1000);

	assert_non_null(record_ring_reserve(ring, 1016));
	assert_null(record_ring_reserve(ring, 1017));
	record_ring_destroy(ring);
}

static void test_reserved_is_not_seen(void **state)
{
	struct record_ring *ring = record_ring_create(1024);
	size_t length;

	assert_non_null(record_ring_reserve(ring, 8));
	assert_null(record_ring_peek(ring, &length));
	record_ring_commit(ring, 0);
	assert_non_null(record_ring_peek(ring, &length));
	assert_int_equal(length, 0);
	record_ring_destroy(ring);
}

#define PASSED 50000

static void *write_all(void *argument)
{
	for (uint64_t number = 0; number < PASSED;)
		if (put(argument, number))
			number++;
		else
			sched_yield();
	return NULL;
}

static void test_two_threads(void **state)
{
	struct record_ring *ring = record_ring_create(4096);
	pthread_t writer;

	assert_int_equal(pthread_create(&writer, NULL, write_all, ring), 0);
	for (uint64_t number = 0; number < PASSED;)
		if (take(ring, number))
			number++;
		else
			sched_yield();
	assert_int_equal(pthread_join(writer, NULL), 0);
	record_ring_destroy(ring);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order_over_many_rounds),
		cmocka_unit_test(test_full),
		cmocka_unit_test(test_too_large_for_ever),
		cmocka_unit_test(test_reserved_is_not_seen),
		cmocka_unit_test(test_two_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
