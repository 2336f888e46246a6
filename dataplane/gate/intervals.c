// SPDX-License-Identifier: BSD-3-Clause
//
// The sweep: range ends are sorted, then walked in ascending order with a stack of the ranges that
// are open, largest at the bottom. Nested ranges come and go at the top of the stack, so a policy
// of n ranges costs O(n) after the sort, however deep it nests; only ranges of different bindings
// that overlap without nesting are taken out of its middle.
// The sort is by radix and skips the bytes that all keys share, which for most lists is nearly all.
#include "dataplane/gate/intervals.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define KEY_BYTES 16
#define AHEAD     16 // the list may be in any order: each range is a cache miss

// One end of a range.
struct end {
	uint64_t key[2]; // low half first
	uint32_t range;
};

struct open_range {
	uint32_t range;
	uint32_t source_class; // of this range inside those below it in the stack
};

struct sweep {
	const struct source_range *ranges;
	struct nests *nests;
	struct intervals *intervals;
	struct open_range *stack;
	uint32_t depth;
	uint32_t capacity;
	uint32_t settled; // entries at the bottom whose source_class is up to date
};

static address_number key_of(const struct end *end)
{
	return (address_number)end->key[1] << 64 | end->key[0];
}

static uint8_t key_byte(const struct end *end, unsigned byte)
{
	return (uint8_t)(end->key[byte / 8] >> byte % 8 * 8);
}

static void scatter(const struct end *from, struct end *to, uint32_t count, unsigned byte,
		    const uint32_t histogram[256])
{
	uint32_t next[256], sum = 0;
	for (unsigned i = 0; i < 256; i++) {
		next[i] = sum;
		sum += histogram[i];
	}
	for (uint32_t i = 0; i < count; i++)
		to[next[key_byte(&from[i], byte)]++] = from[i];
}

// Sorts by key; both arrays have count elements. Returns the one that holds the result.
static struct end *sort_ends(struct end *ends, struct end *spare, uint32_t count)
{
	uint32_t histograms[KEY_BYTES][256] = {0};
	bool sorted = true;
	for (uint32_t i = 0; i < count; i++) {
		for (unsigned byte = 0; byte < KEY_BYTES; byte++)
			histograms[byte][key_byte(&ends[i], byte)]++;
		if (i && key_of(&ends[i - 1]) > key_of(&ends[i]))
			sorted = false;
	}
	for (unsigned byte = 0; byte < KEY_BYTES && !sorted; byte++) {
		if (histograms[byte][key_byte(&ends[0], byte)] == count)
			continue; // the same in every key
		scatter(ends, spare, count, byte, histograms[byte]);
		struct end *swap = ends;
		ends = spare;
		spare = swap;
	}
	return ends;
}

static int append_interval(struct intervals *intervals, address_number first, uint32_t source_class)
{
	uint32_t count = intervals->count;
	if (count && intervals->list[count - 1].source_class == source_class)
		return 0;
	if (count == intervals->capacity) {
		uint32_t capacity = count ? count * 2 : 64;
		struct interval *list = NULL;
		if (capacity > count) // else it wrapped
			list = reallocarray(intervals->list, capacity, sizeof(*list));
		if (!list)
			return -ENOMEM;
		intervals->list = list;
		intervals->capacity = capacity;
	}
	intervals->list[intervals->count++] = (struct interval){first, source_class};
	return 0;
}

static bool range_goes_below(const struct source_range *a, const struct source_range *b)
{
	address_number size_a = a->last - a->first, size_b = b->last - b->first;
	return size_a != size_b ? size_a > size_b : a->connector > b->connector;
}

static int open_range(struct sweep *sweep, uint32_t range)
{
	if (sweep->depth == sweep->capacity) {
		uint32_t capacity = sweep->capacity ? sweep->capacity * 2 : 64;
		struct open_range *stack = reallocarray(sweep->stack, capacity, sizeof(*stack));
		if (!stack)
			return -ENOMEM;
		sweep->stack = stack;
		sweep->capacity = capacity;
	}
	uint32_t at = sweep->depth++;
	for (; at > 0; at--) {
		const struct open_range *below = &sweep->stack[at - 1];
		if (!range_goes_below(&sweep->ranges[range], &sweep->ranges[below->range]))
			break;
		sweep->stack[at] = *below;
	}
	sweep->stack[at] = (struct open_range){range, 0};
	if (sweep->settled > at)
		sweep->settled = at;
	return 0;
}

static void close_range(struct sweep *sweep, uint32_t range)
{
	uint32_t at = sweep->depth - 1;
	while (sweep->stack[at].range != range)
		at--;
	sweep->depth--;
	memmove(&sweep->stack[at], &sweep->stack[at + 1],
		(sweep->depth - at) * sizeof(*sweep->stack));
	if (sweep->settled > at)
		sweep->settled = at;
}

// The class of the addresses from here on; false when out of memory.
static bool settle(struct sweep *sweep, uint32_t *source_class)
{
	uint32_t outer = sweep->settled ? sweep->stack[sweep->settled - 1].source_class : 0;
	for (uint32_t i = sweep->settled; i < sweep->depth; i++) {
		uint16_t connector = sweep->ranges[sweep->stack[i].range].connector;
		outer = nests_inside(sweep->nests, outer, connector);
		if (outer == 0)
			return false;
		sweep->stack[i].source_class = outer;
	}
	sweep->settled = sweep->depth;
	*source_class = outer;
	return true;
}

static int walk(struct sweep *sweep, const struct end *opens, uint32_t open_count,
		const struct end *closes, uint32_t close_count)
{
	uint32_t open = 0, close = 0;
	while (open < open_count || close < close_count) {
		address_number at;
		if (close == close_count)
			at = key_of(&opens[open]);
		else if (open == open_count || key_of(&closes[close]) < key_of(&opens[open]))
			at = key_of(&closes[close]);
		else
			at = key_of(&opens[open]);
		for (; close < close_count && key_of(&closes[close]) == at; close++)
			close_range(sweep, closes[close].range);
		for (; open < open_count && key_of(&opens[open]) == at; open++) {
			if (open + AHEAD < open_count)
				__builtin_prefetch(&sweep->ranges[opens[open + AHEAD].range]);
			if (open_range(sweep, opens[open].range) != 0)
				return -ENOMEM;
		}
		uint32_t source_class;
		if (!settle(sweep, &source_class))
			return -ENOMEM;
		// At address 0 nothing was open before.
		if (at == 0)
			sweep->intervals->count = 0;
		if (append_interval(sweep->intervals, at, source_class) != 0)
			return -ENOMEM;
	}
	return 0;
}

int intervals_build(struct intervals *intervals, const struct source_range *ranges, uint32_t count,
		    address_number largest, struct nests *nests)
{
	int result = -ENOMEM;
	uint32_t close_count = 0;
	*intervals = (struct intervals){0};
	struct sweep sweep = {.ranges = ranges, .nests = nests, .intervals = intervals};
	size_t room = count ? count : 1;
	struct end *opens = reallocarray(NULL, room, sizeof(*opens));
	struct end *closes = reallocarray(NULL, room, sizeof(*closes));
	struct end *spare = reallocarray(NULL, room, sizeof(*spare));
	if (!opens || !closes || !spare || append_interval(intervals, 0, 0) != 0)
		goto out;

	for (uint32_t i = 0; i < count; i++) {
		opens[i] = (struct end){
			{(uint64_t)ranges[i].first, (uint64_t)(ranges[i].first >> 64)}, i};
		address_number after = ranges[i].last + 1;
		if (ranges[i].last != largest) // else open to the end
			closes[close_count++] =
				(struct end){{(uint64_t)after, (uint64_t)(after >> 64)}, i};
	}
	struct end *sorted_opens = sort_ends(opens, spare, count);
	// Whichever of the two is not in use any more serves the other sort.
	struct end *free_array = sorted_opens == opens ? spare : opens;
	struct end *sorted_closes = sort_ends(closes, free_array, close_count);
	result = walk(&sweep, sorted_opens, count, sorted_closes, close_count);
out:
	free(opens);
	free(closes);
	free(spare);
	free(sweep.stack);
	return result;
}

void intervals_fini(struct intervals *intervals)
{
	free(intervals->list);
	*intervals = (struct intervals){0};
}
