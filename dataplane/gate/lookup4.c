// SPDX-License-Identifier: BSD-3-Clause
//
// IPv4 look-up in at most two cache misses for nearly every address: the slot, then the intervals
// of the slot, which lie side by side. Few intervals are counted without a branch, because a
// mispredicted one costs more than the comparisons; many are searched by halving, so a crowded
// slot costs O(log n).
#include "dataplane/gate/lookup4.h"

#include <errno.h>
#include <string.h>

#define INDEX_BITS_MIN   8
#define INDEX_BITS_MAX   21
#define INDEX_BITS_AHEAD 3 // slots per interval, as a power of two: most slots hold one class
#define RUN_MAX          4 // intervals that begin inside a slot of kind SLOT_RUN

// Kind of a slot: its two top bits. The others are its value.
#define SLOT_CLASS 0x00000000u // the class
#define SLOT_RUN   0x40000000u // index of the entry that holds the slot's first address
#define SLOT_LONG  0x80000000u // index into longs
#define SLOT_KIND  0xc0000000u
#define SLOT_VALUE 0x3fffffffu

struct entry {
	uint32_t first;
	uint32_t source_class;
};

struct long_run {
	uint32_t entry; // that holds the slot's first address
	uint32_t count; // entries from there that begin at or before the slot's last address
};

static unsigned bits_of(uint32_t count)
{
	return count > 1 ? 32 - (unsigned)__builtin_clz(count - 1) : 0;
}

// Entries, and behind them as many copies of the last as a run may read past the end.
static int build_entries(struct lookup4 *lookup, const struct intervals *intervals)
{
	uint32_t count = intervals->count;
	if (count > SLOT_VALUE)
		return -ENOMEM;
	if (memory_map(&lookup->entries, ((size_t)count + RUN_MAX) * sizeof(struct entry)) != 0)
		return -ENOMEM;
	struct entry *entries = lookup->entries.data;
	for (uint32_t i = 0; i < count; i++)
		entries[i] = (struct entry){(uint32_t)intervals->list[i].first,
					    intervals->list[i].source_class};
	for (uint32_t i = count; i < count + RUN_MAX; i++)
		entries[i] = (struct entry){UINT32_MAX, entries[count - 1].source_class};
	lookup->interval_count = count;
	return 0;
}

// Fills the slots; with longs NULL only counts how many runs are long.
static uint32_t build_slots(struct lookup4 *lookup, struct long_run *longs)
{
	const struct entry *entries = lookup->entries.data;
	uint32_t *slots = lookup->slots.data;
	uint32_t count = lookup->interval_count, entry = 0, long_count = 0;
	for (uint64_t slot = 0; slot < 1ull << (32 - lookup->shift); slot++) {
		uint32_t last = (uint32_t)(((slot + 1) << lookup->shift) - 1);
		uint32_t begin = (uint32_t)(slot << lookup->shift);
		while (entry + 1 < count && entries[entry + 1].first <= begin)
			entry++;
		uint32_t end = entry;
		while (end + 1 < count && entries[end + 1].first <= last)
			end++;
		if (end == entry) {
			slots[slot] = SLOT_CLASS | entries[entry].source_class;
		} else if (end - entry <= RUN_MAX) {
			slots[slot] = SLOT_RUN | entry;
		} else {
			if (longs)
				longs[long_count] = (struct long_run){entry, end - entry + 1};
			slots[slot] = SLOT_LONG | long_count++;
		}
		entry = end;
	}
	return long_count;
}

int lookup4_build(struct lookup4 *lookup, const struct intervals *intervals)
{
	*lookup = (struct lookup4){0};
	unsigned bits = bits_of(intervals->count) + INDEX_BITS_AHEAD;
	if (bits < INDEX_BITS_MIN)
		bits = INDEX_BITS_MIN;
	if (bits > INDEX_BITS_MAX)
		bits = INDEX_BITS_MAX;
	lookup->shift = 32 - bits;
	if (build_entries(lookup, intervals) != 0 ||
	    memory_map(&lookup->slots, sizeof(uint32_t) << bits) != 0)
		return -ENOMEM;
	uint32_t longs = build_slots(lookup, NULL);
	if (memory_map(&lookup->longs, longs * sizeof(struct long_run)) != 0)
		return -ENOMEM;
	build_slots(lookup, lookup->longs.data);
	memory_seal(&lookup->slots);
	memory_seal(&lookup->entries);
	memory_seal(&lookup->longs);
	return 0;
}

void lookup4_fini(struct lookup4 *lookup)
{
	memory_unmap(&lookup->slots);
	memory_unmap(&lookup->entries);
	memory_unmap(&lookup->longs);
}

static uint32_t find_in_run(const struct entry *run, uint32_t address)
{
	unsigned steps = 0;
	for (unsigned i = 1; i <= RUN_MAX; i++)
		steps += run[i].first <= address;
	return run[steps].source_class;
}

static uint32_t find_in_long(const struct entry *entries, const struct long_run *run,
			     uint32_t address)
{
	const struct entry *base = entries + run->entry;
	for (uint32_t count = run->count; count > 1;) {
		uint32_t half = count / 2;
		base = base[half].first <= address ? base + half : base;
		count -= half;
	}
	return base->source_class;
}

void lookup4_find(const struct lookup4 *lookup, const uint32_t addresses[], unsigned count,
		  uint32_t classes[])
{
	const uint32_t *slots = lookup->slots.data;
	const struct entry *entries = lookup->entries.data;
	const struct long_run *longs = lookup->longs.data;
	unsigned shift = lookup->shift;
	for (unsigned i = 0; i < count; i++)
		__builtin_prefetch(&slots[addresses[i] >> shift]);
	for (unsigned i = 0; i < count; i++) {
		uint32_t slot = slots[addresses[i] >> shift];
		classes[i] = slot;
		// The lines that a run begins and ends in. For the other kinds this asks for them
		// in vain, which is cheaper than to branch.
		__builtin_prefetch(&entries[slot & SLOT_VALUE]);
		__builtin_prefetch(&entries[(slot & SLOT_VALUE) + RUN_MAX]);
	}
	for (unsigned i = 0; i < count; i++) {
		uint32_t slot = classes[i];
		if ((slot & SLOT_KIND) == SLOT_RUN)
			classes[i] = find_in_run(&entries[slot & SLOT_VALUE], addresses[i]);
		else if ((slot & SLOT_KIND) == SLOT_LONG)
			classes[i] = find_in_long(entries, &longs[slot & SLOT_VALUE], addresses[i]);
	}
}

size_t lookup4_memory(const struct lookup4 *lookup)
{
	return lookup->slots.bytes + lookup->entries.bytes + lookup->longs.bytes;
}
