// SPDX-License-Identifier: BSD-3-Clause
//
// See rates.h. A set of four entries by the keyed hash of (source, connector); an entry is the hash
// and one word of its minute's beginning and the count, so that a new minute is one store.
#include "dataplane/gate/rates.h"

#include <stdatomic.h>
#include <stdlib.h>

#define WAYS 4

struct entry {
	_Atomic uint64_t tag;   // of its source; 0 = free
	_Atomic uint64_t count; // beginning in units of 2^20 us << 32 | messages
};

struct rates {
	struct hash_key key;
	uint32_t mask; // of sets
	struct entry entries[];
};

struct rates *rates_create(uint32_t entries, const struct hash_key *key)
{
	uint32_t sets = 1;
	struct rates *rates;

	while (sets < UINT32_MAX / 2 / WAYS && sets * WAYS < entries)
		sets *= 2;
	rates = calloc(1, sizeof(*rates) + (size_t)sets * WAYS * sizeof(rates->entries[0]));
	if (!rates)
		return NULL;
	rates->key = *key;
	rates->mask = sets - 1;
	return rates;
}

void rates_destroy(struct rates *rates)
{
	free(rates);
}

static uint32_t beginning_of(uint64_t count)
{
	return (uint32_t)(count >> 32);
}

static uint32_t ticks(uint64_t now_us)
{
	return (uint32_t)(now_us >> 20);
}

static struct entry *find(struct entry *set, uint64_t tag, uint32_t now)
{
	struct entry *oldest = set;
	uint32_t oldest_age = 0;

	for (unsigned i = 0; i < WAYS; i++) {
		const uint64_t count = atomic_load_explicit(&set[i].count, memory_order_relaxed);
		const uint64_t owner = atomic_load_explicit(&set[i].tag, memory_order_relaxed);
		const uint32_t age = owner == 0 ? UINT32_MAX : now - beginning_of(count);

		if (owner == tag)
			return &set[i];
		if (age >= oldest_age) {
			oldest = &set[i];
			oldest_age = age;
		}
	}
	atomic_store_explicit(&oldest->tag, tag, memory_order_relaxed);
	atomic_store_explicit(&oldest->count, (uint64_t)now << 32, memory_order_relaxed);
	return oldest;
}

bool rates_take(struct rates *rates, const struct address *source, uint16_t connector,
		uint32_t limit, uint64_t now_us)
{
	const struct tuple key = {.remote = *source, .local_port = connector};
	const uint64_t hash = hash_tuple(&rates->key, &key);
	const uint32_t now = ticks(now_us);
	struct entry *entry =
		find(&rates->entries[(hash & rates->mask) * WAYS], hash ? hash : 1, now);
	uint64_t count = atomic_load_explicit(&entry->count, memory_order_relaxed), next;

	do {
		const bool over = now - beginning_of(count) >= ticks(RATES_INTERVAL_US);

		if (!over && (uint32_t)count >= limit)
			return false;
		next = over ? (uint64_t)now << 32 | 1 : count + 1;
	} while (!atomic_compare_exchange_weak_explicit(
		&entry->count, &count, next, memory_order_relaxed, memory_order_relaxed));
	return true;
}
