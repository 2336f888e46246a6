// SPDX-License-Identifier: BSD-3-Clause
//
// The promises of the sketch: exact while there are few sources, a large one is always there among
// any number of small ones, its number is never too low and too high by `over` at most, halves with
// time, and a reader beside the writer never sees one source with another's number.
#include "dataplane/gate/offenders.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define KEY      UINT64_C(0x853c49e6748fea9b)
#define START_US UINT64_C(1000000)

static struct offender found[OFFENDERS_ENTRIES];

static struct address ipv4(uint32_t number)
{
	struct address address = {{[10] = 0xff, [11] = 0xff}};

	for (unsigned i = 0; i < 4; i++)
		address.bytes[12 + i] = (uint8_t)(number >> (24 - 8 * i));
	return address;
}

static struct address ipv6(uint16_t network, uint16_t host)
{
	struct address address = {{0x20, 0x01, 0x0d, 0xb8}};

	address.bytes[6] = (uint8_t)(network >> 8);
	address.bytes[7] = (uint8_t)network;
	address.bytes[14] = (uint8_t)(host >> 8);
	address.bytes[15] = (uint8_t)host;
	return address;
}

static const struct offender *find(unsigned count, const struct address *source)
{
	for (unsigned i = 0; i < count; i++)
		if (memcmp(&found[i].source, source, sizeof(*source)) == 0)
			return &found[i];
	return NULL;
}

static int create(void **state)
{
	*state = offenders_create(KEY, START_US);
	return *state ? 0 : -1;
}

static int destroy(void **state)
{
	offenders_destroy(*state);
	return 0;
}

static void test_few_are_exact(void **state)
{
	struct address a = ipv4(0xc0000232), b = ipv6(7, 1), prefix = ipv6(7, 0);
	unsigned count;

	for (unsigned i = 0; i < 700; i++)
		offenders_note(*state, &a, REASON_no_connector, 1, START_US + i * 1000);
	for (uint16_t i = 0; i < 10; i++) {
		b = ipv6(7, i); // hosts of one network are one source
		offenders_note(*state, &b, REASON_tcp_checksum, 8, START_US);
	}
	count = offenders_read(*state, START_US + 1000000, found);
	assert_int_equal(count, 2);
	assert_non_null(find(count, &a));
	assert_int_equal(find(count, &a)->frames, 700);
	assert_int_equal(find(count, &a)->over, 0);
	assert_int_equal(find(count, &a)->reason, REASON_no_connector);
	assert_int_equal(find(count, &a)->seen_us, START_US + 699 * 1000);
	assert_non_null(find(count, &prefix));
	assert_int_equal(find(count, &prefix)->frames, 80);
}

static void test_unknown_source_is_left_out(void **state)
{
	struct address none = {{0}};

	offenders_note(*state, &none, REASON_frame_runt, 1, START_US);
	assert_int_equal(offenders_read(*state, START_US, found), 0);
}

// 20 sources of 1 % each, among 200,000 that come once or twice.
static void test_large_ones_are_always_there(void **state)
{
	const unsigned large = 20, each = 2000, all = 200000;
	unsigned count;

	srandom(1);
	for (unsigned i = 0; i < all; i++) {
		struct address source =
			i % 100 < large ? ipv4(0x0a000000 + i % 100) : ipv4((uint32_t)random());

		offenders_note(*state, &source, REASON_no_connector, 1, START_US);
	}
	count = offenders_read(*state, START_US, found);
	for (unsigned i = 0; i < large; i++) {
		struct address source = ipv4(0x0a000000 + i);
		const struct offender *offender = find(count, &source);

		assert_non_null(offender);
		assert_true(offender->frames >= each);
		assert_true(offender->frames - offender->over <= each);
		// The bound for well spread sources, with room for an unlucky set.
		assert_true(offender->over <= 4 * all / OFFENDERS_ENTRIES);
	}
}

static void test_numbers_halve(void **state)
{
	struct address a = ipv4(1), b = ipv4(2);
	unsigned count;

	offenders_note(*state, &a, REASON_no_flow, 1000, START_US);
	count = offenders_read(*state, START_US + OFFENDERS_HALF_LIFE_US - 1, found);
	assert_int_equal(find(count, &a)->frames, 1000);
	count = offenders_read(*state, START_US + OFFENDERS_HALF_LIFE_US, found);
	assert_int_equal(find(count, &a)->frames, 500);
	// Touched later, or only read: the same.
	offenders_note(*state, &b, REASON_no_flow, 10, START_US + 3 * OFFENDERS_HALF_LIFE_US);
	offenders_note(*state, &a, REASON_no_flow, 1, START_US + 3 * OFFENDERS_HALF_LIFE_US);
	count = offenders_read(*state, START_US + 3 * OFFENDERS_HALF_LIFE_US, found);
	assert_int_equal(find(count, &a)->frames, 126);
	assert_int_equal(find(count, &b)->frames, 10);
	assert_int_equal(offenders_read(*state, START_US + 40 * OFFENDERS_HALF_LIFE_US, found), 0);
}

// Milliseconds of 32 bits last for 49 days.
static void test_seen_after_months(void **state)
{
	const uint64_t now_us = START_US + UINT64_C(100) * 86400 * 1000000;
	struct address a = ipv4(1);
	unsigned count;

	offenders_note(*state, &a, REASON_no_flow, 100, now_us - 5000000);
	// The same, whenever one looks.
	for (unsigned i = 0; i < 5000; i += 321) {
		count = offenders_read(*state, now_us + i, found);
		assert_int_equal(find(count, &a)->seen_us, now_us - 5000000);
	}
}

// The reader took its time a moment before a writer that has halved since.
static void test_reader_is_behind(void **state)
{
	struct address a = ipv4(1);
	unsigned count;

	offenders_note(*state, &a, REASON_no_flow, 100, START_US + OFFENDERS_HALF_LIFE_US);
	count = offenders_read(*state, START_US + OFFENDERS_HALF_LIFE_US - 1000, found);
	assert_int_equal(count, 1);
	assert_int_equal(found[0].frames, 100);
	assert_in_range(found[0].seen_us, START_US + OFFENDERS_HALF_LIFE_US - 1000,
			START_US + OFFENDERS_HALF_LIFE_US);
}

struct writing {
	struct offenders *offenders;
	atomic_bool stop;
};

static void *write_on(void *argument)
{
	struct writing *writing = argument;
	struct address source;

	for (uint32_t i = 0; !atomic_load_explicit(&writing->stop, memory_order_relaxed); i++) {
		source = ipv4(i % 5000);
		offenders_note(writing->offenders, &source, REASON_no_flow, 1, START_US);
	}
	return NULL;
}

static void test_read_beside_the_writer(void **state)
{
	struct writing writing = {.offenders = *state};
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, write_on, &writing), 0);
	for (unsigned round = 0; round < 300; round++) {
		unsigned count = offenders_read(*state, START_US, found);

		for (unsigned i = 0; i < count; i++) {
			struct address low = ipv4(0), high = ipv4(4999);

			assert_true(memcmp(&found[i].source, &low, sizeof(low)) >= 0);
			assert_true(memcmp(&found[i].source, &high, sizeof(high)) <= 0);
			assert_true(found[i].over <= found[i].frames);
		}
	}
	atomic_store(&writing.stop, true);
	pthread_join(thread, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_few_are_exact, create, destroy),
		cmocka_unit_test_setup_teardown(test_unknown_source_is_left_out, create, destroy),
		cmocka_unit_test_setup_teardown(test_large_ones_are_always_there, create, destroy),
		cmocka_unit_test_setup_teardown(test_numbers_halve, create, destroy),
		cmocka_unit_test_setup_teardown(test_seen_after_months, create, destroy),
		cmocka_unit_test_setup_teardown(test_reader_is_behind, create, destroy),
		cmocka_unit_test_setup_teardown(test_read_beside_the_writer, create, destroy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
