// SPDX-License-Identifier: BSD-3-Clause
//
// Hash table of endpoints: buckets of one cache line with two entries, at most a quarter full;
// an entry that finds its bucket full goes to the next one. Does not grow and does not delete.
#include "dataplane/gate/endpoints.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#define ENTRIES 2 // a bucket

struct entry {
	uint64_t address[2];
	uint16_t port;
	uint16_t used;
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

static struct entry entry_of(const struct address *address, uint16_t port)
{
	struct entry entry = {.port = port, .used = 1};
	memcpy(entry.address, address->bytes, sizeof(entry.address));
	return entry;
}

// The entry with this key, or the free one where it belongs.
static struct entry *find(const struct endpoints *endpoints, const struct entry *key)
{
	struct bucket *buckets = endpoints->buckets.data;
	uint64_t hash = (key->address[0] * 0x9e3779b97f4a7c15ull) ^ key->address[1];
	hash = (hash ^ hash >> 32 ^ (uint64_t)key->port << 16) * 0xd6e8feb86659fd93ull;
	for (uint32_t i = (uint32_t)(hash >> endpoints->shift);; i++) {
		struct bucket *bucket = &buckets[i & endpoints->mask];
		for (unsigned j = 0; j < ENTRIES; j++) {
			struct entry *entry = &bucket->entries[j];
			if (!entry->used ||
			    (entry->address[1] == key->address[1] &&
			     entry->address[0] == key->address[0] && entry->port == key->port))
				return entry;
		}
	}
}

void endpoints_set(struct endpoints *endpoints, const struct address *address, uint16_t port,
		   uint32_t number)
{
	assert(number != ENDPOINT_ABSENT);
	struct entry key = entry_of(address, port);
	struct entry *entry = find(endpoints, &key);
	key.number = number;
	*entry = key;
}

uint32_t endpoints_get(const struct endpoints *endpoints, const struct address *address,
		       uint16_t port)
{
	struct entry key = entry_of(address, port);
	const struct entry *entry = find(endpoints, &key);
	return entry->used ? entry->number : ENDPOINT_ABSENT;
}
