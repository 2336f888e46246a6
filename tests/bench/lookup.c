// SPDX-License-Identifier: BSD-3-Clause
//
// The look-up of a source address alone: random sources, none of which is seen twice, in bursts as
// the gate asks. Half of them lie near a range and half anywhere, so that neither cache nor branch
// prediction knows what comes. Prints cycles an address: the median of many short rounds.
#include "config/policy.h"
#include "dataplane/gate/lookup4.h"
#include "dataplane/gate/lookup6.h"
#include "tests/bench/syns.h"

#include <argp.h>
#include <stdlib.h>
#include <x86intrin.h>

#define BURST  LOOKUP6_BURST
#define ROUND  (BURST * 256)
#define SEEDED 0x9e3779b97f4a7c15ull

struct options {
	struct syns syns;
	uint32_t count;
	const char *json;
};

struct tables {
	struct lookup4 lookup4;
	struct lookup6 lookup6;
	struct address *ranges;
};

static void fail(const char *what)
{
	fprintf(stderr, "bench_lookup: %s\n", what);
	exit(1);
}

static void build(struct tables *tables, const struct syns *syns)
{
	struct source_range *ranges =
		aligned_alloc(_Alignof(struct source_range), syns->ranges * sizeof(*ranges));
	address_number largest = syns->family == 4 ? UINT32_MAX : ~(address_number)0;
	struct intervals intervals = {0};
	struct nests nests;

	tables->ranges = calloc(syns->ranges, sizeof(*tables->ranges));
	if (!ranges || !tables->ranges || nests_init(&nests))
		fail("out of memory");
	syns_ranges(syns, tables->ranges);
	for (uint32_t i = 0; i < syns->ranges; i++) {
		ranges[i].connector = (uint16_t)(i % syns->connectors);
		address_number_of(&tables->ranges[i], &ranges[i].first);
		ranges[i].last = ranges[i].first;
		if (syns->family == 6) {
			ranges[i].first &= ~(address_number)UINT64_MAX;
			ranges[i].last |= UINT64_MAX;
		}
	}
	if (intervals_build(&intervals, ranges, syns->ranges, largest, &nests) ||
	    (syns->family == 4 ? lookup4_build(&tables->lookup4, &intervals)
			       : lookup6_build(&tables->lookup6, &intervals)))
		fail("out of memory");
	intervals_fini(&intervals);
	nests_fini(&nests);
	free(ranges);
}

static uint64_t random_number(uint64_t *state)
{
	uint64_t z = *state += SEEDED;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

// Anywhere, or next to a range or inside it.
static address_number random_source(const struct tables *tables, const struct syns *syns,
				    uint64_t *state)
{
	uint64_t random = random_number(state);
	address_number near;

	if (random & 1)
		return syns->family == 4 ? (uint32_t)(random >> 8)
					 : (address_number)(random >> 2) << 64 | random;
	address_number_of(&tables->ranges[(random >> 8) % syns->ranges], &near);
	return near + (random >> 2 & 1);
}

// One round; what was found is added up, so that nothing is left out.
static uint64_t look_up(const struct tables *tables, const struct syns *syns, uint64_t *state,
			uint64_t *found)
{
	static address_number sources6[ROUND];
	static uint32_t sources4[ROUND];
	uint32_t classes[BURST];
	uint64_t begin;

	for (unsigned i = 0; i < ROUND; i++) {
		sources6[i] = random_source(tables, syns, state);
		sources4[i] = (uint32_t)sources6[i];
	}
	begin = __rdtsc();
	for (unsigned at = 0; at < ROUND; at += BURST) {
		if (syns->family == 4)
			lookup4_find(&tables->lookup4, sources4 + at, BURST, classes);
		else
			lookup6_find(&tables->lookup6, sources6 + at, BURST, classes);
		for (unsigned i = 0; i < BURST; i++)
			*found += classes[i] != 0;
	}
	return __rdtsc() - begin;
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static int run(const struct options *options)
{
	const struct syns *syns = &options->syns;
	uint32_t rounds = (options->count + ROUND - 1) / ROUND;
	uint64_t *cycles = calloc(rounds, sizeof(*cycles)), found = 0, state = 1;
	FILE *json = options->json ? fopen(options->json, "w") : NULL;
	struct tables tables = {0};
	size_t bytes;
	double median, best;

	if (!cycles)
		fail("out of memory");
	build(&tables, syns);
	for (uint32_t i = 0; i < rounds; i++)
		cycles[i] = look_up(&tables, syns, &state, &found);
	qsort(cycles, rounds, sizeof(cycles[0]), by_value);
	median = (double)cycles[rounds / 2] / ROUND;
	best = (double)cycles[rounds / 20] / ROUND;
	bytes = syns->family == 4 ? lookup4_memory(&tables.lookup4)
				  : lookup6_memory(&tables.lookup6);
	printf("IPv%u, %u ranges, %u sources: median %.1f cycles a look-up, best %.1f; tables of "
	       "%zu bytes\n",
	       syns->family, syns->ranges, rounds * ROUND, median, best, bytes);
	if (json) {
		fprintf(json,
			"{\"family\": %u, \"ranges\": %u, \"sources\": %u, \"found\": %llu, "
			"\"cycles_median\": %.2f, \"cycles_best\": %.2f, \"bytes\": %zu}\n",
			syns->family, syns->ranges, rounds * ROUND, (unsigned long long)found,
			median, best, bytes);
		fclose(json);
	}
	lookup4_fini(&tables.lookup4);
	lookup6_fini(&tables.lookup6);
	free(tables.ranges);
	free(cycles);
	return found ? 0 : 1;
}

static const struct argp_option arguments[] = {
	{"count", 'n', "N", 0, "sources", 0},
	{"json", 'j', "FILE", 0, "figures as JSON, too", 0},
	{0},
};

static error_t parse(int key, char *value, struct argp_state *state)
{
	struct options *options = state->input;
	uint32_t number = value ? (uint32_t)strtoul(value, NULL, 10) : 0;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &options->syns;
		break;
	case 'n':
		options->count = number;
		break;
	case 'j':
		options->json = value;
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

int main(int argc, char **argv)
{
	static const struct argp_child children[] = {{&syns_argp, 0, NULL, 0}, {0}};
	static const struct argp argp = {arguments, parse, NULL, NULL, children, NULL, NULL};
	struct options options = {.syns = {.family = 4, .connectors = 100, .ranges = 100000},
				  .count = 10000000};

	argp_parse(&argp, argc, argv, 0, NULL, &options);
	if (!options.count)
		fail("an option is out of range");
	return run(&options);
}
