// SPDX-License-Identifier: BSD-3-Clause
//
// Tests of gate/lookup6: at every edge of every interval, and at random addresses, the class is the
// one that a walk over the interval list finds, however the intervals crowd; and for nested
// prefixes it is what DPDK's rte_fib6 says.
#include "dataplane/gate/lookup6.h"

#include <rte_eal.h>
#include <rte_fib6.h>
#include <rte_memory.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ASKED_MAX 100000

static address_number random_number(void)
{
	address_number number = 0;
	for (unsigned i = 0; i < 5; i++)
		number = number << 28 ^ (address_number)random();
	return number;
}

struct asked {
	address_number addresses[ASKED_MAX];
	uint32_t classes[ASKED_MAX];
	unsigned count;
};

static void ask_edge(struct asked *asked, address_number edge)
{
	for (unsigned step = 0; step < 3 && asked->count < ASKED_MAX; step++)
		asked->addresses[asked->count++] = edge - 1 + step; // wraps: as good as any
}

static void ask_all(struct asked *asked, const struct lookup6 *lookup)
{
	for (unsigned done = 0, burst = 1; done < asked->count; burst = burst % LOOKUP6_BURST + 1) {
		unsigned count = asked->count - done < burst ? asked->count - done : burst;
		lookup6_find(lookup, asked->addresses + done, count, asked->classes + done);
		done += count;
	}
}

static int compare_numbers(const void *left, const void *right)
{
	address_number a, b;
	memcpy(&a, left, sizeof(a));
	memcpy(&b, right, sizeof(b));
	return a < b ? -1 : a > b;
}

// Registry, provider, site and subnet, as real addresses crowd.
static address_number real_looking(void)
{
	static const uint16_t registries[] = {0x2001, 0x2400, 0x2600, 0x2a00, 0x2a02};
	address_number number = (address_number)registries[random() % 5] << 112;
	number |= (address_number)(random() % 30 << 3) << 96;
	number |= (address_number)(random() % 16) << 80;
	number |= (address_number)(random() % 256) << 64;
	return number | (random() % 4 ? 0 : (address_number)(random() % 1000));
}

enum shape { ANYWHERE, ONE_SITE, HALVING, AT_THE_END, HALVING_UP, REAL, SHAPES };

static address_number random_edge(enum shape shape)
{
	address_number number = random_number();
	address_number site = (address_number)0x20010db8 << 96;
	switch (shape) {
	case ANYWHERE:
		return number;
	case ONE_SITE:
		return site | (number & 0xffff) << 64;
	case HALVING: // every node's slots but one are empty: as deep as nodes get
		return number >> (random() & 127);
	case AT_THE_END:
		return ~(number & 0xfff);
	case HALVING_UP:
		return ~(number >> (random() & 127));
	default:
		return real_looking();
	}
}

static void make_intervals(struct intervals *intervals, uint32_t count, enum shape shape)
{
	address_number *edges = aligned_alloc(16, count * sizeof(*edges));
	edges[0] = 0;
	for (uint32_t i = 1; i < count; i++)
		edges[i] = random_edge(shape);
	qsort(edges, count, sizeof(*edges), compare_numbers);
	*intervals =
		(struct intervals){.list = aligned_alloc(16, count * sizeof(*intervals->list))};
	for (uint32_t i = 0; i < count; i++) {
		if (i && edges[i] == edges[i - 1])
			continue;
		intervals->list[intervals->count] =
			(struct interval){edges[i], intervals->count % 5 + (i % 2 ? 0 : 1000)};
		intervals->count++;
	}
	free(edges);
}

static uint32_t naive_class(const struct intervals *intervals, address_number address)
{
	uint32_t i = intervals->count - 1;
	while (intervals->list[i].first > address)
		i--;
	return intervals->list[i].source_class;
}

static void test_against_interval_list(void **state)
{
	static const uint32_t counts[] = {1, 2, 3, 5, 6, 7, 40, 3000};
	static struct asked asked;
	srandom(5);
	for (unsigned test = 0; test < 8 * SHAPES; test++) {
		struct intervals intervals;
		struct lookup6 lookup;
		enum shape shape = test / 8;
		make_intervals(&intervals, counts[test % 8], shape);
		assert_int_equal(lookup6_build(&lookup, &intervals), 0);
		asked.count = 0;
		for (uint32_t i = 0; i < intervals.count; i++)
			ask_edge(&asked, intervals.list[i].first);
		for (unsigned i = 0; i < 2000; i++)
			asked.addresses[asked.count++] =
				i % 2 ? random_edge(shape) : random_number();
		ask_all(&asked, &lookup);
		for (unsigned i = 0; i < asked.count; i++)
			assert_int_equal(asked.classes[i],
					 naive_class(&intervals, asked.addresses[i]));
		assert_int_equal(lookup.interval_count, intervals.count);
		lookup6_fini(&lookup);
		intervals_fini(&intervals);
	}
}

static void to_bytes(address_number number, uint8_t bytes[16])
{
	for (unsigned i = 0; i < 16; i++)
		bytes[i] = (uint8_t)(number >> (120 - 8 * i));
}

static struct rte_fib6 *create_fib(const struct source_range *ranges, const uint8_t depths[],
				   unsigned count)
{
	struct rte_fib6_conf configuration = {
		.type = RTE_FIB6_TRIE,
		.default_nh = 0,
		.max_routes = 65536,
		.rib_ext_sz = 0,
		.trie = {.nh_sz = RTE_FIB6_TRIE_4B, .num_tbl8 = 60000},
	};
	struct rte_fib6 *fib = rte_fib6_create("twin", SOCKET_ID_ANY, &configuration);
	assert_non_null(fib);
	for (unsigned i = 0; i < count; i++) {
		uint8_t bytes[16];
		to_bytes(ranges[i].first, bytes);
		assert_int_equal(rte_fib6_add(fib, bytes, depths[i], ranges[i].connector + 1u), 0);
	}
	return fib;
}

static unsigned make_prefixes(struct source_range *ranges, uint8_t depths[], unsigned most)
{
	unsigned count = 0;
	for (unsigned i = 0; i < most; i++) {
		depths[count] = (uint8_t)(1 + random() % 128);
		address_number size =
			depths[count] == 128 ? 0 : ~(address_number)0 >> depths[count];
		address_number near = i % 3 ? real_looking() : random_number();
		ranges[count].first = near & ~size;
		ranges[count].last = near | size;
		ranges[count].connector = (uint16_t)count;
		bool twice = false;
		for (unsigned j = 0; j < count && !twice; j++)
			twice = ranges[j].first == ranges[count].first &&
				depths[j] == depths[count];
		count += !twice;
	}
	return count;
}

static void test_against_rte_fib6(void **state)
{
	enum { MOST = 3000 };
	static struct source_range ranges[MOST];
	static uint8_t depths[MOST], bytes[ASKED_MAX][16];
	static struct asked asked;
	static uint64_t hops[ASKED_MAX];
	srandom(6);
	unsigned count = make_prefixes(ranges, depths, MOST);
	struct nests nests;
	struct intervals intervals;
	struct lookup6 lookup;
	assert_int_equal(nests_init(&nests), 0);
	assert_int_equal(intervals_build(&intervals, ranges, count, ~(address_number)0, &nests), 0);
	assert_int_equal(lookup6_build(&lookup, &intervals), 0);
	struct rte_fib6 *fib = create_fib(ranges, depths, count);
	asked.count = 0;
	for (unsigned i = 0; i < count; i++) {
		ask_edge(&asked, ranges[i].first);
		ask_edge(&asked, ranges[i].last);
	}
	while (asked.count < ASKED_MAX)
		asked.addresses[asked.count++] = random() % 2 ? real_looking() : random_number();
	ask_all(&asked, &lookup);
	for (unsigned i = 0; i < asked.count; i++)
		to_bytes(asked.addresses[i], bytes[i]);
	assert_int_equal(rte_fib6_lookup_bulk(fib, bytes, hops, (int)asked.count), 0);
	for (unsigned i = 0; i < asked.count; i++) {
		uint32_t class = asked.classes[i];
		assert_int_equal(class ? nests.list[class].connector + 1u : 0, hops[i]);
	}
	rte_fib6_free(fib);
	lookup6_fini(&lookup);
	intervals_fini(&intervals);
	nests_fini(&nests);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_against_interval_list),
		cmocka_unit_test(test_against_rte_fib6),
	};
	// rte_eal_init may reorder what it gets.
	static char arguments[][20] = {
		"test",           "--no-huge",         "--no-pci", "--no-shconf",
		"--no-telemetry", "--log-level=error", "-m",       "256"};
	enum { ARGUMENTS = sizeof(arguments) / sizeof(*arguments) };
	char *list[ARGUMENTS + 1] = {0};
	for (unsigned i = 0; i < ARGUMENTS; i++)
		list[i] = arguments[i];
	if (rte_eal_init(ARGUMENTS, list) < 0)
		return 1;
	int result = cmocka_run_group_tests(tests, NULL, NULL);
	rte_eal_cleanup();
	return result;
}
