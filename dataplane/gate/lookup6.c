// SPDX-License-Identifier: BSD-3-Clause
//
// IPv6 look-up by interpolation through nested nodes. A node costs two cache misses (itself, one
// slot) and cuts n intervals that are spread evenly to about one; each level of real structure
// (registry, provider, site, subnet) costs one node more. Depth is bounded; whatever is still
// crowded below is searched by halving: O(log n) in the worst case.
#include "dataplane/gate/lookup6.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define DEPTH_MAX 8
#define RUN_MAX   4 // intervals that begin inside a slot of kind SLOT_RUN

// Kind of a slot: its two top bits. The others are its value.
#define SLOT_CLASS 0x00000000u // the class
#define SLOT_RUN   0x40000000u // index of the entry that holds the slot's first address
#define SLOT_LONG  0x80000000u // index into longs
#define SLOT_NODE  0xc0000000u // index into nodes
#define SLOT_KIND  0xc0000000u
#define SLOT_VALUE 0x3fffffffu

struct entry {
	uint64_t first[2]; // low half first
	uint32_t source_class;
};

struct long_run {
	uint32_t entry; // that holds the slot's first address
	uint32_t count; // entries from there that begin at or before the slot's last address
};

struct node {
	address_number first; // where its first interval begins
	address_number last;  // where its last interval begins
	uint32_t slots;       // index of the first
	uint32_t before;      // class of addresses below first
	uint32_t after;       // class of addresses from last on
	uint32_t shift;       // log2 of the addresses in a slot
} __attribute__((aligned(64)));

// A list that grows while the tables are built.
struct vector {
	char *data;
	size_t count, capacity, element;
};

struct builder {
	const struct interval *list;
	struct vector nodes, slots, longs;
};

// Makes room for count more elements and returns the index of the first; negative when out of
// memory or of slot values.
static int64_t vector_add(struct vector *vector, size_t count)
{
	size_t first = vector->count;
	if (first + count > SLOT_VALUE)
		return -ENOMEM;
	if (first + count > vector->capacity) {
		size_t capacity = (first + count) * 2;
		char *data = reallocarray(vector->data, capacity, vector->element);
		if (!data)
			return -ENOMEM;
		vector->data = data;
		vector->capacity = capacity;
	}
	vector->count += count;
	return (int64_t)first;
}

static unsigned bits_of(address_number number)
{
	uint64_t high = (uint64_t)(number >> 64), low = (uint64_t)number;
	if (high)
		return 128 - (unsigned)__builtin_clzll(high);
	return low ? 64 - (unsigned)__builtin_clzll(low) : 0;
}

static int build_node(struct builder *builder, uint32_t begin, uint32_t end, unsigned depth);

// The slot for the intervals [begin, end) that begin inside it, `begin - 1` holding its first
// address. Negative when out of memory.
static int64_t build_slot(struct builder *builder, uint32_t begin, uint32_t end, unsigned depth)
{
	if (begin == end)
		return SLOT_CLASS | builder->list[begin - 1].source_class;
	if (end - begin <= RUN_MAX)
		return SLOT_RUN | (begin - 1);
	if (depth < DEPTH_MAX) {
		int64_t node = (int64_t)builder->nodes.count;
		int result = build_node(builder, begin, end, depth);
		return result ? result : (int64_t)(SLOT_NODE | (uint64_t)node);
	}
	int64_t index = vector_add(&builder->longs, 1);
	if (index < 0)
		return index;
	((struct long_run *)(void *)builder->longs.data)[index] =
		(struct long_run){begin - 1, end - begin + 1};
	return (int64_t)(SLOT_LONG | (uint64_t)index);
}

// A node over the intervals [begin, end), at least one; begin > 0.
static int build_node(struct builder *builder, uint32_t begin, uint32_t end, unsigned depth)
{
	const struct interval *list = builder->list;
	struct node node = {
		.first = list[begin].first,
		.last = list[end - 1].first,
		.before = list[begin - 1].source_class,
		.after = list[end - 1].source_class,
	};
	unsigned span_bits = bits_of(node.last - node.first);
	unsigned index_bits = bits_of(end - begin) + 1; // two to four slots an interval
	node.shift = span_bits > index_bits ? span_bits - index_bits : 0;
	uint32_t slot_count = (uint32_t)((node.last - node.first) >> node.shift) + 1;

	int64_t index = vector_add(&builder->nodes, 1);
	int64_t slots = vector_add(&builder->slots, slot_count);
	if (index < 0 || slots < 0)
		return -ENOMEM;
	node.slots = (uint32_t)slots;
	((struct node *)(void *)builder->nodes.data)[index] = node;

	uint32_t at = begin;
	for (uint32_t i = 0; i < slot_count; i++) {
		address_number slot_first = node.first + ((address_number)i << node.shift);
		address_number slot_last = slot_first + (((address_number)1 << node.shift) - 1);
		if (i == slot_count - 1)
			slot_last = node.last; // its end may lie beyond the largest address
		// Those that begin at the slot's first address do not begin inside it.
		while (at < end && list[at].first <= slot_first)
			at++;
		uint32_t inside = at;
		while (at < end && list[at].first <= slot_last)
			at++;
		int64_t slot = build_slot(builder, inside, at, depth + 1);
		if (slot < 0)
			return -ENOMEM;
		((uint32_t *)(void *)builder->slots.data)[slots + i] = (uint32_t)slot;
	}
	return 0;
}

// A root that needs no slot, for a list of one interval.
static int build_single(struct builder *builder)
{
	uint32_t source_class = builder->list[0].source_class;
	struct node node = {.before = source_class, .after = source_class};
	if (vector_add(&builder->nodes, 1) < 0)
		return -ENOMEM;
	((struct node *)(void *)builder->nodes.data)[0] = node;
	return 0;
}

// Entries, and behind them as many copies of the last as a run may read past the end.
static int build_entries(struct lookup6 *lookup, const struct intervals *intervals)
{
	uint32_t count = intervals->count;
	if (count > SLOT_VALUE)
		return -ENOMEM;
	if (memory_map(&lookup->entries, ((size_t)count + RUN_MAX) * sizeof(struct entry)) != 0)
		return -ENOMEM;
	struct entry *entries = lookup->entries.data;
	for (uint32_t i = 0; i < count + RUN_MAX; i++) {
		bool within = i < count;
		const struct interval *from = &intervals->list[within ? i : count - 1];
		address_number first = within ? from->first : ~(address_number)0;
		entries[i] = (struct entry){{(uint64_t)first, (uint64_t)(first >> 64)},
					    from->source_class};
	}
	lookup->interval_count = count;
	return 0;
}

static int move_vector(struct memory *memory, const struct vector *vector)
{
	size_t bytes = vector->count * vector->element;
	if (memory_map(memory, bytes) != 0)
		return -ENOMEM;
	if (bytes)
		memcpy(memory->data, vector->data, bytes);
	memory_seal(memory);
	return 0;
}

int lookup6_build(struct lookup6 *lookup, const struct intervals *intervals)
{
	*lookup = (struct lookup6){0};
	struct builder builder = {
		.list = intervals->list,
		.nodes.element = sizeof(struct node),
		.slots.element = sizeof(uint32_t),
		.longs.element = sizeof(struct long_run),
	};
	int result = build_entries(lookup, intervals);
	if (result == 0)
		result = intervals->count > 1 ? build_node(&builder, 1, intervals->count, 0)
					      : build_single(&builder);
	if (result == 0)
		result = move_vector(&lookup->nodes, &builder.nodes);
	if (result == 0)
		result = move_vector(&lookup->slots, &builder.slots);
	if (result == 0)
		result = move_vector(&lookup->longs, &builder.longs);
	if (result == 0)
		memory_seal(&lookup->entries);
	free(builder.nodes.data);
	free(builder.slots.data);
	free(builder.longs.data);
	return result;
}

void lookup6_fini(struct lookup6 *lookup)
{
	memory_unmap(&lookup->nodes);
	memory_unmap(&lookup->slots);
	memory_unmap(&lookup->longs);
	memory_unmap(&lookup->entries);
}

static address_number entry_first(const struct entry *entry)
{
	return (address_number)entry->first[1] << 64 | entry->first[0];
}

static uint32_t find_in_run(const struct entry *run, address_number address)
{
	unsigned steps = 0;
	for (unsigned i = 1; i <= RUN_MAX; i++)
		steps += entry_first(&run[i]) <= address;
	return run[steps].source_class;
}

static uint32_t find_in_long(const struct entry *entries, const struct long_run *run,
			     address_number address)
{
	const struct entry *base = entries + run->entry;
	for (uint32_t count = run->count; count > 1;) {
		uint32_t half = count / 2;
		base = entry_first(&base[half]) <= address ? base + half : base;
		count -= half;
	}
	return base->source_class;
}

// One level for every look-up that is still under way (waiting[]): reads its node, asks for its
// slot. classes[] carries node indexes in and slot indexes out. Returns how many go on.
static unsigned enter_nodes(const struct lookup6 *lookup, const address_number addresses[],
			    uint8_t waiting[], unsigned count, uint32_t classes[])
{
	const struct node *nodes = lookup->nodes.data;
	const uint32_t *slots = lookup->slots.data;
	unsigned left = 0;
	for (unsigned i = 0; i < count; i++) {
		unsigned at = waiting[i];
		address_number address = addresses[at];
		const struct node *node = &nodes[classes[at]];
		if (address < node->first) {
			classes[at] = node->before;
		} else if (address >= node->last) {
			classes[at] = node->after;
		} else {
			classes[at] =
				node->slots + (uint32_t)((address - node->first) >> node->shift);
			__builtin_prefetch(&slots[classes[at]]);
			waiting[left++] = (uint8_t)at;
		}
	}
	return left;
}

void lookup6_find(const struct lookup6 *lookup, const address_number addresses[], unsigned count,
		  uint32_t classes[])
{
	const struct node *nodes = lookup->nodes.data;
	const uint32_t *slots = lookup->slots.data;
	const struct entry *entries = lookup->entries.data;
	const struct long_run *longs = lookup->longs.data;
	uint8_t waiting[LOOKUP6_BURST], searching[LOOKUP6_BURST];
	unsigned search_count = 0;
	assert(count <= LOOKUP6_BURST);
	for (unsigned i = 0; i < count; i++) {
		waiting[i] = (uint8_t)i;
		classes[i] = 0; // the root
	}
	while (count) {
		unsigned asked = enter_nodes(lookup, addresses, waiting, count, classes);
		count = 0;
		for (unsigned i = 0; i < asked; i++) {
			unsigned at = waiting[i];
			uint32_t slot = slots[classes[at]];
			uint32_t value = slot & SLOT_VALUE, kind = slot & SLOT_KIND;
			classes[at] = slot;
			if (kind == SLOT_NODE) {
				classes[at] = value;
				__builtin_prefetch(&nodes[value]);
				waiting[count++] = (uint8_t)at;
			} else if (kind != SLOT_CLASS) {
				searching[search_count++] = (uint8_t)at;
				// Two in a line, and some.
				for (unsigned k = 0; kind == SLOT_RUN && k <= RUN_MAX; k += 2)
					__builtin_prefetch(&entries[value + k]);
			}
		}
	}
	for (unsigned i = 0; i < search_count; i++) {
		unsigned at = searching[i];
		uint32_t value = classes[at] & SLOT_VALUE;
		if ((classes[at] & SLOT_KIND) == SLOT_RUN)
			classes[at] = find_in_run(&entries[value], addresses[at]);
		else
			classes[at] = find_in_long(entries, &longs[value], addresses[at]);
	}
}

size_t lookup6_memory(const struct lookup6 *lookup)
{
	return lookup->nodes.bytes + lookup->slots.bytes + lookup->longs.bytes +
	       lookup->entries.bytes;
}
