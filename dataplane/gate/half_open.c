// SPDX-License-Identifier: BSD-3-Clause
//
// The half-open cache: entries out of one pool, found through a hash table with chains, timed
// by five queues. Every entry of a stage waits equally long, so a stage's queue is in order of its
// deadlines by itself: arming, expiry and removal are O(1) without a timer wheel. So is making
// room: what may be given up stands in one of two more queues, strangers' and proven sources', in
// the order of its SYNs; a stranger whose network has few entries goes to its end instead, while
// another one has many. Owns its memory; sends nothing: half_open_expire names the entries whose
// SYN-ACK is due.
#include "dataplane/gate/half_open.h"

#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "dataplane/base/pool.h"
#include "dataplane/base/prefetch.h"

#define SECOND_US 1000000ull

// How long an entry stays in each stage. The first four end in a SYN-ACK, the last in oblivion.
static const uint64_t stage_us[] = {1 * SECOND_US, 2 * SECOND_US, 4 * SECOND_US, 8 * SECOND_US,
				    16 * SECOND_US};

#define STAGES (sizeof(stage_us) / sizeof(*stage_us))

// Networks fall into so many, by a hash. One has many of the strangers' entries when it has more
// than a part of the cache: a flood from everywhere gives each a quarter of that.
#define NETWORKS     256
#define MANY_PART    64
#define SPARED_A_SYN 8 // entries that are looked at and left for one newcomer

struct item {
	LIST_ENTRY(item) in_bucket; // in one cache line with the tuple, by which it is found
	struct half_open_entry entry;
	uint8_t stage;
	uint8_t network;
	uint64_t deadline_us;
	TAILQ_ENTRY(item) in_stage;
	TAILQ_ENTRY(item) in_spare; // of the first kind only
};

TAILQ_HEAD(stage, item);
// Entries of the first kind.
struct spare {
	TAILQ_HEAD(, item) items;
	uint32_t count;
};
LIST_HEAD(bucket, item);

struct half_open {
	struct pool pool;
	uint32_t options_limit; // entries below which the second kind is offered
	uint32_t bucket_mask;
	struct bucket *buckets;
	struct stage stages[STAGES];
	struct spare strangers, proven;
	uint32_t proven_limit;       // from here on they make room for one another
	uint32_t networks[NETWORKS]; // entries among the strangers' of each
	uint32_t few;                // up to here a network has
	unsigned large_networks;     // that have more
};

struct half_open *half_open_create(uint32_t entries)
{
	struct half_open *half_open = calloc(1, sizeof(*half_open));
	if (!half_open)
		return NULL;
	// Many more than entries: most SYNs are in none, and then mostly the bucket alone is read.
	uint64_t buckets = 1;
	while (buckets < 4ull * entries)
		buckets *= 2;
	half_open->options_limit = entries - entries / 4;
	half_open->proven_limit = entries / 8;
	half_open->few = entries / MANY_PART;
	half_open->bucket_mask = (uint32_t)(buckets - 1);
	for (unsigned i = 0; i < STAGES; i++)
		TAILQ_INIT(&half_open->stages[i]);
	TAILQ_INIT(&half_open->strangers.items);
	TAILQ_INIT(&half_open->proven.items);
	if (pool_init(&half_open->pool, sizeof(struct item), entries) != 0)
		goto free_half_open;
	half_open->buckets = calloc(buckets, sizeof(*half_open->buckets)); // empty lists are zero
	if (!half_open->buckets)
		goto free_pool;
	explicit_bzero(half_open->buckets, buckets * sizeof(*half_open->buckets)); // see pool_init
	return half_open;

free_pool:
	pool_fini(&half_open->pool);
free_half_open:
	free(half_open);
	return NULL;
}

void half_open_destroy(struct half_open *half_open)
{
	if (!half_open)
		return;
	pool_fini(&half_open->pool);
	free(half_open->buckets);
	free(half_open);
}

static struct bucket *bucket_of(const struct half_open *half_open, uint32_t hash)
{
	return &half_open->buckets[hash & half_open->bucket_mask];
}

void half_open_prefetch_bucket(const struct half_open *half_open, uint32_t hash)
{
	prefetch(bucket_of(half_open, hash), 1);
}

static struct item *find_in(const struct bucket *bucket, const struct tuple *tuple)
{
	struct item *item;
	LIST_FOREACH(item, bucket, in_bucket)
	if (tuple_equal(&item->entry.tuple, tuple))
		return item;
	return NULL;
}

static void enter_stage(struct half_open *half_open, struct item *item, unsigned stage,
			uint64_t now_us)
{
	item->stage = (uint8_t)stage;
	item->deadline_us = now_us + stage_us[stage];
	TAILQ_INSERT_TAIL(&half_open->stages[stage], item, in_stage);
}

static void leave_stage(struct half_open *half_open, struct item *item)
{
	TAILQ_REMOVE(&half_open->stages[item->stage], item, in_stage);
}

static struct spare *spare_of(struct half_open *half_open, const struct half_open_entry *entry)
{
	return entry->proven ? &half_open->proven : &half_open->strangers;
}

// An IPv4 /16 or an IPv6 /48. Who wants to be taken for a network can send in its name, so the hash
// hides nothing.
static uint8_t network_of(const struct address *address)
{
	bool ipv4 = address_is_ipv4(address);
	uint64_t network = 0;

	memcpy(&network, address->bytes + (ipv4 ? 12 : 0), ipv4 ? 2 : 6);
	return (uint8_t)(network * 0x9e3779b97f4a7c15ull >> 56);
}

static void enter_network(struct half_open *half_open, struct item *item)
{
	item->network = network_of(&item->entry.tuple.remote);
	if (half_open->networks[item->network]++ == half_open->few)
		half_open->large_networks++;
}

static void leave_network(struct half_open *half_open, const struct item *item)
{
	if (--half_open->networks[item->network] == half_open->few)
		half_open->large_networks--;
}

static void enter_queues(struct half_open *half_open, struct item *item, uint64_t now_us)
{
	struct spare *spare = spare_of(half_open, &item->entry);

	enter_stage(half_open, item, 0, now_us);
	if (item->entry.handshake.has_entry)
		return;
	TAILQ_INSERT_TAIL(&spare->items, item, in_spare);
	spare->count++;
	if (!item->entry.proven)
		enter_network(half_open, item);
}

// Out of the queues that know its age and kind.
static void leave_queues(struct half_open *half_open, struct item *item)
{
	struct spare *spare = spare_of(half_open, &item->entry);

	leave_stage(half_open, item);
	if (item->entry.handshake.has_entry)
		return;
	TAILQ_REMOVE(&spare->items, item, in_spare);
	spare->count--;
	if (!item->entry.proven)
		leave_network(half_open, item);
}

static void drop(struct half_open *half_open, struct item *item)
{
	leave_queues(half_open, item);
	LIST_REMOVE(item, in_bucket);
	pool_put(&half_open->pool, item);
}

// The oldest, but of a network that has few while another one has many it stays.
static struct item *oldest_stranger(struct half_open *half_open)
{
	struct spare *strangers = &half_open->strangers;
	struct item *item = TAILQ_FIRST(&strangers->items);

	for (unsigned spared = 0; spared < SPARED_A_SYN && half_open->large_networks &&
				  half_open->networks[item->network] <= half_open->few;
	     spared++) {
		TAILQ_REMOVE(&strangers->items, item, in_spare);
		TAILQ_INSERT_TAIL(&strangers->items, item, in_spare);
		item = TAILQ_FIRST(&strangers->items);
	}
	return item;
}

// Whose entry is given up for the newcomer's; NULL when nobody's can be.
static struct item *victim_for(struct half_open *half_open, const struct half_open_entry *newcomer)
{
	struct spare *proven = &half_open->proven;
	bool enough = newcomer->proven && proven->count && proven->count >= half_open->proven_limit;

	if (half_open->strangers.count == 0 || enough)
		return TAILQ_FIRST(&proven->items);
	return oldest_stranger(half_open);
}

bool half_open_offers_options(const struct half_open *half_open)
{
	return half_open_count(half_open) < half_open->options_limit;
}

enum half_open_result half_open_insert(struct half_open *half_open,
				       const struct half_open_entry *entry, uint32_t hash,
				       uint64_t now_us)
{
	struct bucket *bucket = bucket_of(half_open, hash);
	struct item *item = find_in(bucket, &entry->tuple), *victim;
	enum half_open_result result = HALF_OPEN_KEPT;
	if (item) {
		leave_queues(half_open, item);
	} else {
		if (entry->handshake.has_entry && !half_open_offers_options(half_open))
			return HALF_OPEN_REFUSED;
		item = pool_get(&half_open->pool);
		if (!item && (victim = victim_for(half_open, entry))) {
			drop(half_open, victim);
			item = pool_get(&half_open->pool);
			result = HALF_OPEN_KEPT_FOR_OLDEST;
		}
		if (!item)
			return HALF_OPEN_REFUSED;
		LIST_INSERT_HEAD(bucket, item, in_bucket);
	}
	item->entry = *entry;
	enter_queues(half_open, item, now_us);
	return result;
}

const struct half_open_entry *half_open_find(const struct half_open *half_open,
					     const struct tuple *tuple, uint32_t hash)
{
	const struct item *item = find_in(bucket_of(half_open, hash), tuple);
	return item ? &item->entry : NULL;
}

void half_open_remove(struct half_open *half_open, const struct tuple *tuple, uint32_t hash)
{
	struct item *item = find_in(bucket_of(half_open, hash), tuple);
	if (item)
		drop(half_open, item);
}

const struct half_open_entry *half_open_expire(struct half_open *half_open, uint64_t now_us)
{
	struct item *item;
	while ((item = TAILQ_FIRST(&half_open->stages[STAGES - 1])) && item->deadline_us <= now_us)
		drop(half_open, item);
	for (unsigned stage = 0; stage < STAGES - 1; stage++) {
		item = TAILQ_FIRST(&half_open->stages[stage]);
		if (item && item->deadline_us <= now_us) {
			leave_stage(half_open, item);
			enter_stage(half_open, item, stage + 1, now_us);
			return &item->entry;
		}
	}
	return NULL;
}

uint64_t half_open_next_us(const struct half_open *half_open)
{
	uint64_t next_us = UINT64_MAX;
	for (unsigned stage = 0; stage < STAGES; stage++) {
		const struct item *item = TAILQ_FIRST(&half_open->stages[stage]);
		if (item && item->deadline_us < next_us)
			next_us = item->deadline_us;
	}
	return next_us;
}

uint32_t half_open_count(const struct half_open *half_open)
{
	return pool_used(&half_open->pool);
}
