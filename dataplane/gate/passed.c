// SPDX-License-Identifier: BSD-3-Clause
//
// See passed.h. A set of four entries by the keyed hash of the source; an entry is one word, so
// that a reader never sees a half: 32 bits of the hash, and the second from which on it counts no
// more.
#include "dataplane/gate/passed.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define WAYS 4

struct passed {
	struct hash_key key;
	uint32_t mask; // of sets
	_Atomic uint64_t entries[];
};

struct passed *passed_create(uint32_t entries, const struct hash_key *key)
{
	uint32_t sets = 1;
	struct passed *passed;

	while (sets < UINT32_MAX / 2 / WAYS && sets * WAYS < entries)
		sets *= 2;
	passed = calloc(1, sizeof(*passed) + (size_t)sets * WAYS * sizeof(passed->entries[0]));
	if (!passed)
		return NULL;
	passed->key = *key;
	passed->mask = sets - 1;
	return passed;
}

void passed_destroy(struct passed *passed)
{
	free(passed);
}

static uint32_t seconds(uint64_t us)
{
	return (uint32_t)(us / 1000000);
}

static uint64_t hash_of(const struct passed *passed, const struct address *source)
{
	struct tuple key = {.remote = *source};

	if (!address_is_ipv4(source))
		memset(key.remote.bytes + 8, 0, 8);
	return hash_tuple(&passed->key, &key);
}

void passed_note(struct passed *passed, const struct address *source, uint64_t until_us)
{
	const uint64_t hash = hash_of(passed, source);
	_Atomic uint64_t *set = &passed->entries[(hash & passed->mask) * WAYS], *chosen = set;
	uint32_t least = UINT32_MAX;

	for (unsigned i = 0; i < WAYS; i++) {
		const uint64_t entry = atomic_load_explicit(&set[i], memory_order_relaxed);

		if (entry >> 32 == hash >> 32) {
			chosen = &set[i];
			break;
		}
		if ((uint32_t)entry < least) {
			least = (uint32_t)entry;
			chosen = &set[i];
		}
	}
	atomic_store_explicit(chosen, hash >> 32 << 32 | seconds(until_us), memory_order_relaxed);
}

bool passed_find(const struct passed *passed, const struct address *source, uint64_t now_us)
{
	const uint64_t hash = hash_of(passed, source);
	const _Atomic uint64_t *set = &passed->entries[(hash & passed->mask) * WAYS];

	for (unsigned i = 0; i < WAYS; i++) {
		const uint64_t entry = atomic_load_explicit(&set[i], memory_order_relaxed);

		if (entry >> 32 == hash >> 32 && (uint32_t)entry > seconds(now_us))
			return true;
	}
	return false;
}
