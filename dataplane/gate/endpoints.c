// SPDX-License-Identifier: BSD-3-Clause
//
// Hash table of endpoints: buckets of one cache line with two entries, at most a quarter full;
// an entry that finds its bucket full goes to the next one. Does not grow and does not delete.
#include "dataplane/gate/endpoints.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#define ENTRIES 2 // a bucket

#define USED 0x10000u

struct entry {
	uint64_t address[2];
	uint32_t port; // | USED; 0 = free
	uint32_t number;
};

struct bucket {
	struct entry entries[ENTRIES];
} __attribute__((aligned(64)));

int endpoints_init(struct endpoints *endpoints, uint32_t most)
{
	unsigned bits = 1;
	while ((1ull << bits) < (uint64_t)most * 2)
		bits++;
	*endpoints = (struct endpoints){.shift = 64 - bits, .mask = (uint32_t)((1ull << bits) - 1)};
	if (bits > 31)
		return -ENOMEM;
	return memory_map(&endpoints->buckets, sizeof(struct bucket) << bits);
}

void endpoints_fini(struct endpoints *endpoints)
{
	memory_unmap(&endpoints->buckets);
}

void endpoints_seal(struct endpoints *endpoints)
{
	memory_seal(&endpoints->buckets);
}

// The entry with this key, or the free one where it belongs. The key comes as numbers: a struct of
// it would be written in pieces and read whole, which the processor waits for, each packet.
static struct entry *find(const struct endpoints *endpoints, uint64_t first, uint64_t second,
			  uint32_t port)
{
	struct bucket *buckets = endpoints->buckets.data;
	uint64_t hash = (first * 0x9e3779b97f4a7c15ull) ^ second;
	hash = (hash ^ hash >> 32 ^ (uint64_t)port << 16) * 0xd6e8feb86659fd93ull;
	for (uint32_t i = (uint32_t)(hash >> endpoints->shift);; i++) {
		struct bucket *bucket = &buckets[i & endpoints->mask];
		for (unsigned j = 0; j < ENTRIES; j++) {
			struct entry *entry = &bucket->entries[j];
			if (!entry->port || (entry->address[1] == second &&
					     entry->address[0] == first && entry->port == port))
				return entry;
		}
	}
}

void endpoints_set(struct endpoints *endpoints, const struct address *address, uint16_t port,
		   uint32_t number)
{
	assert(number != ENDPOINT_ABSENT);
	uint64_t key[2];
	memcpy(key, address->bytes, sizeof(key));
	struct entry *entry = find(endpoints, key[0], key[1], port | USED);
	*entry = (struct entry){{key[0], key[1]}, port | USED, number};
}

uint32_t endpoints_get(const struct endpoints *endpoints, const struct address *address,
		       uint16_t port)
{
	uint64_t key[2];
	memcpy(key, address->bytes, sizeof(key));
	const struct entry *entry = find(endpoints, key[0], key[1], port | USED);
	return entry->port ? entry->number : ENDPOINT_ABSENT;
}
