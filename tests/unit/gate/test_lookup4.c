// SPDX-License-Identifier: BSD-3-Clause
//
// Tests of gate/lookup4: at every edge of every interval, and at random addresses, the class is the
// one that a walk over the interval list finds; and for nested prefixes it is what DPDK's rte_fib
// says, whose code shares nothing with ours.
#include "dataplane/gate/lookup4.h"

#include <rte_eal.h>
#include <rte_fib.h>
#include <rte_memory.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ASKED_MAX 200000

static uint32_t random_u32(void)
{
	return (uint32_t)random() << 16 ^ (uint32_t)random();
}

// Asks for addresses, filled up, in bursts of changing size.
struct asked {
	uint32_t addresses[ASKED_MAX];
	uint32_t classes[ASKED_MAX];
	unsigned count;
};

static void ask_edge(struct asked *asked, uint32_t edge)
{
	for (uint32_t step = 0; step < 3 && asked->count < ASKED_MAX; step++)
		asked->addresses[asked->count++] = edge - 1 + step; // wraps: as good as any
}

static void ask_all(struct asked *asked, const struct lookup4 *lookup)
{
	for (unsigned done = 0, burst = 1; done < asked->count; burst = burst % 67 + 1) {
		unsigned count = asked->count - done < burst ? asked->count - done : burst;
		lookup4_find(lookup, asked->addresses + done, count, asked->classes + done);
		done += count;
	}
}

static int compare_u32(const void *left, const void *right)
{
	uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
	return a < b ? -1 : a > b;
}

// count - 1 edges, where they crowd depends on shape.
static void make_intervals(struct intervals *intervals, uint32_t count, unsigned shape)
{
	uint32_t *edges = calloc(count, sizeof(*edges));
	for (uint32_t i = 1; i < count; i++) {
		uint32_t number = random_u32();
		edges[i] = shape == 0   ? number                        // anywhere
			   : shape == 1 ? 0xc0000200 | (number & 0xfff) // in one crowd
			   : shape == 2 ? number >> (number & 31)       // ever denser towards 0
			   : shape == 3 ? UINT32_MAX - (number & 0x3ff) // at the very end
					: (number & 0xfff00000) + (number & 1); // on slots' borders
	}
	qsort(edges, count, sizeof(*edges), compare_u32);
	*intervals = (struct intervals){.list = calloc(count, sizeof(*intervals->list))};
	for (uint32_t i = 0; i < count; i++) {
		if (i && edges[i] == edges[i - 1])
			continue;
		intervals->list[intervals->count] =
			(struct interval){edges[i], intervals->count % 5 + (i % 2 ? 0 : 1000)};
		intervals->count++;
	}
	free(edges);
}

static uint32_t naive_class(const struct intervals *intervals, uint32_t address)
{
	uint32_t i = intervals->count - 1;
	while (intervals->list[i].first > address)
		i--;
	return intervals->list[i].source_class;
}

static void test_against_interval_list(void **state)
{
	static const uint32_t counts[] = {1, 2, 3, 5, 6, 40, 3000};
	static struct asked asked;
	srandom(3);
	for (unsigned test = 0; test < 7 * 5; test++) {
		struct intervals intervals;
		struct lookup4 lookup;
		make_intervals(&intervals, counts[test % 7], test / 7);
		assert_int_equal(lookup4_build(&lookup, &intervals), 0);
		asked.count = 0;
		for (uint32_t i = 0; i < intervals.count; i++)
			ask_edge(&asked, (uint32_t)intervals.list[i].first);
		for (unsigned i = 0; i < 2000; i++)
			asked.addresses[asked.count++] = random_u32() >> (i & 15);
		ask_all(&asked, &lookup);
		for (unsigned i = 0; i < asked.count; i++)
			assert_int_equal(asked.classes[i],
					 naive_class(&intervals, asked.addresses[i]));
		assert_int_equal(lookup.interval_count, intervals.count);
		lookup4_fini(&lookup);
		intervals_fini(&intervals);
	}
}

static struct rte_fib *create_fib(const struct source_range *ranges, const uint8_t depths[],
				  unsigned count)
{
	struct rte_fib_conf configuration = {
		.type = RTE_FIB_DIR24_8,
		.default_nh = 0,
		.max_routes = 65536,
		.rib_ext_sz = 0,
		.dir24_8 = {.nh_sz = RTE_FIB_DIR24_8_4B, .num_tbl8 = 20000},
	};
	struct rte_fib *fib = rte_fib_create("twin", SOCKET_ID_ANY, &configuration);
	assert_non_null(fib);
	for (unsigned i = 0; i < count; i++)
		assert_int_equal(rte_fib_add(fib, (uint32_t)ranges[i].first, depths[i],
					     ranges[i].connector + 1),
				 0);
	return fib;
}

// Prefixes of every length, many inside one another; each is its own connector. None ends at
// 255.255.255.255: rte_fib of DPDK 22.11 spreads such a one over its whole table.
static unsigned make_prefixes(struct source_range *ranges, uint8_t depths[], unsigned most)
{
	unsigned count = 0;
	for (unsigned i = 0; i < most; i++) {
		depths[count] = (uint8_t)(1 + random() % 32);
		uint32_t size = depths[count] == 32 ? 0 : UINT32_MAX >> depths[count];
		uint32_t near = i % 3 ? random_u32() : 0x0a000000 | (random_u32() & 0x3ffff);
		ranges[count].first = near & ~size;
		ranges[count].last = near | size;
		ranges[count].connector = (uint16_t)count;
		bool unfit = ranges[count].last == UINT32_MAX;
		for (unsigned j = 0; j < count && !unfit; j++)
			unfit = ranges[j].first == ranges[count].first &&
				depths[j] == depths[count];
		count += !unfit;
	}
	return count;
}

static void test_against_rte_fib(void **state)
{
	enum { MOST = 6000 };
	static struct source_range ranges[MOST];
	static uint8_t depths[MOST];
	static struct asked asked;
	static uint64_t hops[ASKED_MAX];
	srandom(4);
	unsigned count = make_prefixes(ranges, depths, MOST);
	struct nests nests;
	struct intervals intervals;
	struct lookup4 lookup;
	assert_int_equal(nests_init(&nests), 0);
	assert_int_equal(intervals_build(&intervals, ranges, count, UINT32_MAX, &nests), 0);
	assert_int_equal(lookup4_build(&lookup, &intervals), 0);
	struct rte_fib *fib = create_fib(ranges, depths, count);
	asked.count = 0;
	for (unsigned i = 0; i < count; i++) {
		ask_edge(&asked, (uint32_t)ranges[i].first);
		ask_edge(&asked, (uint32_t)ranges[i].last);
	}
	while (asked.count < ASKED_MAX)
		asked.addresses[asked.count++] = random_u32();
	ask_all(&asked, &lookup);
	assert_int_equal(rte_fib_lookup_bulk(fib, asked.addresses, hops, (int)asked.count), 0);
	for (unsigned i = 0; i < asked.count; i++) {
		uint32_t class = asked.classes[i];
		assert_int_equal(class ? nests.list[class].connector + 1u : 0, hops[i]);
	}
	rte_fib_free(fib);
	lookup4_fini(&lookup);
	intervals_fini(&intervals);
	nests_fini(&nests);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_against_interval_list),
		cmocka_unit_test(test_against_rte_fib),
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
