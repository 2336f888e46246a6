// SPDX-License-Identifier: BSD-3-Clause
//
// Tests of gate/intervals and gate/nests: for every address of a small world the class is the nest
// that a naive search over all ranges finds, whatever the ranges and their order; the interval list
// is as short as it can be.
#include "dataplane/gate/intervals.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define WORLD  256 // addresses, each `unit` numbers wide
#define RANGES 60

struct world {
	struct source_range ranges[RANGES];
	uint32_t count;
	address_number unit;    // 1, or more to use the high bytes of the keys
	address_number largest; // of the world
};

static unsigned below(unsigned bound)
{
	return (unsigned)random() % bound;
}

// Any ranges: they overlap as they like, some are equal.
static void make_random_ranges(struct world *world)
{
	world->count = below(RANGES + 1);
	for (uint32_t i = 0; i < world->count; i++) {
		unsigned first = below(WORLD), length = below(below(2) ? 4 : WORLD);
		unsigned last = first + length < WORLD ? first + length : WORLD - 1;
		world->ranges[i] = (struct source_range){
			first * world->unit, (last + 1) * world->unit - 1, (uint16_t)below(6)};
		if (below(8) == 0)
			world->ranges[i].last = world->largest;
	}
}

// Like matryoshkas: as deep as the stack can get.
static void make_nested_ranges(struct world *world)
{
	world->count = RANGES;
	for (uint32_t i = 0; i < RANGES; i++)
		world->ranges[i] = (struct source_range){
			i * world->unit, (WORLD - i) * world->unit - 1, (uint16_t)(i % 7)};
}

static int compare_inner_first(const void *left, const void *right)
{
	const struct source_range *a = left, *b = right;
	address_number size_a = a->last - a->first, size_b = b->last - b->first;
	if (size_a != size_b)
		return size_a < size_b ? -1 : 1;
	return (int)a->connector - (int)b->connector;
}

// Connectors around an address, innermost first, without direct repetitions.
static unsigned naive_nest(const struct world *world, address_number address, uint16_t nest[RANGES])
{
	struct source_range around[RANGES];
	unsigned count = 0, depth = 0;
	for (uint32_t i = 0; i < world->count; i++)
		if (world->ranges[i].first <= address && address <= world->ranges[i].last)
			around[count++] = world->ranges[i];
	qsort(around, count, sizeof(*around), compare_inner_first);
	for (unsigned i = 0; i < count; i++)
		if (depth == 0 || nest[depth - 1] != around[i].connector)
			nest[depth++] = around[i].connector;
	return depth;
}

static uint32_t class_at(const struct intervals *intervals, address_number address)
{
	uint32_t i = 0;
	while (i + 1 < intervals->count && intervals->list[i + 1].first <= address)
		i++;
	return intervals->list[i].source_class;
}

static void check_address(const struct world *world, const struct intervals *intervals,
			  const struct nests *nests, address_number address)
{
	uint16_t nest[RANGES];
	unsigned depth = naive_nest(world, address, nest);
	uint32_t class = class_at(intervals, address);
	for (unsigned i = 0; i < depth; i++) {
		assert_int_not_equal(class, 0);
		assert_int_equal(nests->list[class].connector, nest[i]);
		assert_true(nests->list[class].outer < class);
		class = nests->list[class].outer;
	}
	assert_int_equal(class, 0);
}

static void check_world(struct world *world)
{
	struct nests nests;
	struct intervals intervals;
	assert_int_equal(nests_init(&nests), 0);
	assert_int_equal(
		intervals_build(&intervals, world->ranges, world->count, world->largest, &nests),
		0);
	assert_true(intervals.list[0].first == 0);
	for (uint32_t i = 1; i < intervals.count; i++) {
		assert_true(intervals.list[i - 1].first < intervals.list[i].first);
		assert_int_not_equal(intervals.list[i - 1].source_class,
				     intervals.list[i].source_class);
	}
	for (unsigned i = 0; i < WORLD; i++) {
		check_address(world, &intervals, &nests, i * world->unit);
		check_address(world, &intervals, &nests, (i + 1) * world->unit - 1);
	}
	check_address(world, &intervals, &nests, world->largest);
	intervals_fini(&intervals);
	nests_fini(&nests);
}

static void test_against_naive_search(void **state)
{
	static const unsigned unit_bits[] = {0, 7, 24, 56, 61, 64, 100, 120};
	for (unsigned seed = 0; seed < 400; seed++) {
		struct world world = {.unit = (address_number)1 << unit_bits[seed % 8]};
		world.largest = WORLD * world.unit - 1; // wraps to the largest of all numbers
		srandom(seed);
		if (seed % 20 == 0)
			make_nested_ranges(&world);
		else
			make_random_ranges(&world);
		check_world(&world);
	}
}

static void test_whole_families(void **state)
{
	struct world world = {
		.ranges = {{0, UINT32_MAX, 3}}, .count = 1, .unit = 1, .largest = UINT32_MAX};
	check_world(&world);
	world.ranges[0].last = world.largest = ~(address_number)0;
	check_world(&world);
	world.count = 0;
	check_world(&world);
}

static void test_numbers_of_addresses(void **state)
{
	static const struct {
		const char *text;
		bool ipv4;
		uint64_t high, low;
	} cases[] = {
		{"0.0.0.0", true, 0, 0},
		{"192.0.2.1", true, 0, 0xc0000201},
		{"255.255.255.255", true, 0, 0xffffffff},
		{"::", false, 0, 0},
		{"::ffff:0:0:1", false, 0, 0xffff000000000001},
		{"::fffe:1.2.3.4", false, 0, 0xfffe01020304},
		{"::1:ffff:1.2.3.4", false, 0, 0x1ffff01020304},
		{"2001:db8::10", false, 0x20010db800000000, 0x10},
		{"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", false, ~0ull, ~0ull},
	};
	for (unsigned i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct address address;
		const char *why;
		address_number number;
		assert_int_equal(address_parse(cases[i].text, &address, &why), 0);
		assert_int_equal(address_number_of(&address, &number), cases[i].ipv4);
		assert_true((uint64_t)(number >> 64) == cases[i].high);
		assert_true((uint64_t)number == cases[i].low);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_against_naive_search),
		cmocka_unit_test(test_whole_families),
		cmocka_unit_test(test_numbers_of_addresses),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
