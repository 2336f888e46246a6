// SPDX-License-Identifier: BSD-3-Clause
//
// See dnsbl.h. A set of four entries by the keyed hash of the client. An entry has one writer, the
// helper: it takes the head away, changes the bits, and puts the new head; a reader that saw the
// same head before and after has bits that belong to it.
#include "dataplane/gate/dnsbl.h"

#include "dataplane/base/record_ring.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WAYS         4
#define RECORD_BYTES (sizeof(struct address) + 8)

struct entry {
	_Atomic uint64_t head; // 32 bits of the hash, and the second from which on it is over
	_Atomic uint64_t bits; // listed << 32 | answered
};

struct dnsbl {
	struct hash_key key;
	unsigned workers, turn; // whose ring is looked at next
	struct record_ring *rings[POLICY_WORKERS_MAX];
	struct entry entries[DNSBL_ENTRIES];
};

_Static_assert(POLICY_DNSBLS_MAX == 32, "a bit of a word for each list");

struct dnsbl *dnsbl_create(unsigned workers, const struct hash_key *key)
{
	struct dnsbl *dnsbl = calloc(1, sizeof(*dnsbl));

	if (!dnsbl)
		return NULL;
	dnsbl->key = *key;
	for (; dnsbl->workers < workers; dnsbl->workers++) {
		dnsbl->rings[dnsbl->workers] = record_ring_create(DNSBL_WAITING * RECORD_BYTES);
		if (!dnsbl->rings[dnsbl->workers]) {
			dnsbl_destroy(dnsbl);
			return NULL;
		}
	}
	return dnsbl;
}

void dnsbl_destroy(struct dnsbl *dnsbl)
{
	if (!dnsbl)
		return;
	while (dnsbl->workers > 0)
		record_ring_destroy(dnsbl->rings[--dnsbl->workers]);
	free(dnsbl);
}

static uint32_t seconds(uint64_t us)
{
	return (uint32_t)(us / 1000000);
}

static uint64_t hash_of(const struct dnsbl *dnsbl, const struct address *client)
{
	return hash_tuple(&dnsbl->key, &(struct tuple){.remote = *client});
}

// ---- The workers' side -----------------------------------------------------------------------

static bool read_entry(const struct entry *entry, uint64_t tag, uint32_t now,
		       struct dnsbl_answer *answer)
{
	const uint64_t head = atomic_load_explicit(&entry->head, memory_order_acquire);
	const uint64_t bits = atomic_load_explicit(&entry->bits, memory_order_relaxed);

	atomic_thread_fence(memory_order_acquire);
	if (atomic_load_explicit(&entry->head, memory_order_relaxed) != head || head >> 32 != tag ||
	    (uint32_t)head <= now)
		return false;
	*answer = (struct dnsbl_answer){(uint32_t)(bits >> 32), (uint32_t)bits};
	return true;
}

bool dnsbl_find(const struct dnsbl *dnsbl, const struct address *client, uint64_t now_us,
		struct dnsbl_answer *answer)
{
	const uint64_t hash = hash_of(dnsbl, client);
	const struct entry *set = &dnsbl->entries[hash % (DNSBL_ENTRIES / WAYS) * WAYS];

	for (unsigned i = 0; i < WAYS; i++)
		if (read_entry(&set[i], hash >> 32, seconds(now_us), answer))
			return true;
	return false;
}

bool dnsbl_ask(struct dnsbl *dnsbl, unsigned worker, const struct address *client)
{
	struct address *record = record_ring_reserve(dnsbl->rings[worker], sizeof(*client));

	if (!record)
		return false;
	*record = *client;
	record_ring_commit(dnsbl->rings[worker], sizeof(*client));
	return true;
}

enum dnsbl_verdict dnsbl_judge(const struct policy *policy, uint32_t threshold,
			       const struct dnsbl_answer *answer, unsigned *heaviest)
{
	int64_t sum = 0, more = 0, less = 0;
	int32_t most = 0;

	for (unsigned i = 0; i < policy->dnsbl_count; i++) {
		const int32_t weight = policy->dnsbls[i].weight;

		if (answer->listed >> i & 1) {
			sum += weight;
			if (weight > most) {
				most = weight;
				*heaviest = i;
			}
		} else if (!(answer->answered >> i & 1)) {
			more += weight > 0 ? weight : 0;
			less += weight < 0 ? weight : 0;
		}
	}
	if (sum + less >= (int64_t)threshold)
		return DNSBL_VERDICT_LISTED;
	return sum + more < (int64_t)threshold ? DNSBL_VERDICT_CLEAN : DNSBL_VERDICT_OPEN;
}

// ---- The helper's side -----------------------------------------------------------------------

bool dnsbl_next(struct dnsbl *dnsbl, struct address *client)
{
	for (unsigned i = 0; i < dnsbl->workers; i++) {
		struct record_ring *ring = dnsbl->rings[dnsbl->turn];
		size_t length;
		const struct address *record;

		dnsbl->turn = (dnsbl->turn + 1) % dnsbl->workers;
		record = record_ring_peek(ring, &length);
		if (!record)
			continue;
		*client = *record;
		record_ring_release(ring);
		return true;
	}
	return false;
}

bool dnsbl_put(struct dnsbl *dnsbl, const struct address *client, const struct dnsbl_answer *answer,
	       uint64_t until_us, uint64_t now_us)
{
	const uint64_t hash = hash_of(dnsbl, client), tag = hash >> 32;
	struct entry *set = &dnsbl->entries[hash % (DNSBL_ENTRIES / WAYS) * WAYS], *chosen = set;
	uint32_t least = UINT32_MAX;

	for (unsigned i = 0; i < WAYS; i++) {
		const uint64_t head = atomic_load_explicit(&set[i].head, memory_order_relaxed);

		if (head >> 32 == tag) {
			chosen = &set[i];
			least = 0;
			break;
		}
		if ((uint32_t)head < least) {
			least = (uint32_t)head;
			chosen = &set[i];
		}
	}
	atomic_store_explicit(&chosen->head, 0, memory_order_relaxed);
	atomic_thread_fence(memory_order_release);
	atomic_store_explicit(&chosen->bits, (uint64_t)answer->listed << 32 | answer->answered,
			      memory_order_relaxed);
	atomic_store_explicit(&chosen->head, tag << 32 | seconds(until_us), memory_order_release);
	return least <= seconds(now_us);
}

char *dnsbl_name(const struct address *client, const char *zone, char name[DNSBL_NAME_MAX])
{
	const uint8_t *bytes = client->bytes;
	size_t length = 0;

	if (address_is_ipv4(client))
		length = (size_t)snprintf(name, DNSBL_NAME_MAX, "%u.%u.%u.%u.", bytes[15],
					  bytes[14], bytes[13], bytes[12]);
	else
		for (unsigned i = 16; i-- > 0;)
			length += (size_t)snprintf(name + length, DNSBL_NAME_MAX - length, "%x.%x.",
						   bytes[i] & 15u, bytes[i] >> 4);
	snprintf(name + length, DNSBL_NAME_MAX - length, "%s", zone);
	return name;
}
