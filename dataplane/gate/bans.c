// SPDX-License-Identifier: BSD-3-Clause
//
// See bans.h. A bucket is a cache line: three entries, and how many entries of it stand further on
// because it was full, so that a look-up goes no further than it must. Two buckets for three
// entries: one in fifteen look-ups takes a second line when the table is full.
//
// An entry is a key and a word with everything else. The word is what is fought for: 0 = free;
// whoever makes it his own writes the key afterwards, and removing takes it through BUSY. Each
// change compares with the word that was read; a few bits of the key's hash in it keep a place that
// changed hands meanwhile from being taken for the same. Two workers that ban a source at once may
// give it two entries: the first one counts, and removing takes both, one walk after the other.
#include "dataplane/gate/bans.h"

#include "dataplane/base/prefetch.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define WAYS 3
// How far from its own bucket an entry may stand.
#define BUCKETS_MAX 16
#define BUSY        1ull

// The word, from the top: until (34 bits), level (6), reason (9), shared, ended, of the hash (13).
#define UNTIL_SHIFT  30
#define LEVEL_SHIFT  24
#define REASON_SHIFT 15
#define SHARED_BIT   (1ull << 14)
#define ENDED_BIT    (1ull << 13)
#define TAG_MASK     ((1ull << 13) - 1)
#define REASON_MAX   511u

struct entry {
	_Atomic uint64_t source; // 0 = none
	_Atomic uint64_t word;
};

struct bucket {
	_Alignas(64) struct entry entries[WAYS];
	_Atomic uint64_t beyond; // entries that would stand here and stand further on
};

struct bans {
	struct hash_key key;
	uint32_t buckets;
	uint32_t entries_max;
	_Atomic uint32_t used, active, generation;
	struct bucket *table;
};

// Where a source's entry is looked for first, and its bits in the word.
struct home {
	uint32_t bucket;
	uint64_t tag;
};

struct bans *bans_create(uint32_t entries, const struct hash_key *key)
{
	struct bans *bans = calloc(1, sizeof(*bans));

	if (!bans)
		return NULL;
	bans->key = *key;
	bans->entries_max = entries;
	bans->buckets = entries / 3 * 2 + BUCKETS_MAX;
	bans->table = aligned_alloc(64, (size_t)bans->buckets * sizeof(*bans->table));
	if (!bans->table) {
		free(bans);
		return NULL;
	}
	memset(bans->table, 0, (size_t)bans->buckets * sizeof(*bans->table));
	return bans;
}

void bans_destroy(struct bans *bans)
{
	if (!bans)
		return;
	free(bans->table);
	free(bans);
}

size_t bans_memory(const struct bans *bans)
{
	return (size_t)bans->buckets * sizeof(*bans->table);
}

static uint32_t load32(const _Atomic uint32_t *counter)
{
	return atomic_load_explicit(counter, memory_order_relaxed);
}

static void add32(_Atomic uint32_t *counter, uint32_t number)
{
	atomic_fetch_add_explicit(counter, number, memory_order_relaxed);
}

uint32_t bans_used(const struct bans *bans)
{
	return load32(&bans->used);
}

uint32_t bans_active(const struct bans *bans)
{
	return load32(&bans->active);
}

// Who sees the number sees the ban that raised it, too: he looks only once.
uint32_t bans_generation(const struct bans *bans)
{
	return atomic_load_explicit(&bans->generation, memory_order_acquire);
}

static void raise_generation(struct bans *bans)
{
	atomic_fetch_add_explicit(&bans->generation, 1, memory_order_release);
}

bool bans_any(const struct bans *bans)
{
	return load32(&bans->active) > 0;
}

static struct home home_of(const struct bans *bans, uint64_t source)
{
	uint64_t hash = hash_numbers(&bans->key, source, 0);

	return (struct home){(uint32_t)(((hash >> 32) * bans->buckets) >> 32), hash & TAG_MASK};
}

static uint32_t bucket_at(const struct bans *bans, struct home home, unsigned step)
{
	uint32_t bucket = home.bucket + step;

	return bucket < bans->buckets ? bucket : bucket - bans->buckets;
}

static uint64_t pack(const struct ban_state *state, uint64_t tag)
{
	uint64_t until = state->until_s < BANS_FOR_EVER ? state->until_s : BANS_FOR_EVER;

	assert(state->reason <= REASON_MAX && state->level <= BANS_LEVEL_MAX);
	return until << UNTIL_SHIFT | (uint64_t)state->level << LEVEL_SHIFT |
	       (uint64_t)state->reason << REASON_SHIFT | (state->shared ? SHARED_BIT : 0) |
	       (state->ended ? ENDED_BIT : 0) | tag;
}

static struct ban_state unpack(uint64_t word)
{
	return (struct ban_state){
		.until_s = word >> UNTIL_SHIFT,
		.level = word >> LEVEL_SHIFT & BANS_LEVEL_MAX,
		.reason = word >> REASON_SHIFT & REASON_MAX,
		.shared = word & SHARED_BIT,
		.ended = word & ENDED_BIT,
	};
}

static bool is_free(uint64_t word)
{
	return word == 0 || word == BUSY;
}

// The entry of a source and its word, or NULL.
static struct entry *find(const struct bans *bans, uint64_t source, struct home home,
			  uint64_t *word)
{
	for (unsigned step = 0; step < BUCKETS_MAX; step++) {
		struct bucket *bucket = &bans->table[bucket_at(bans, home, step)];

		for (unsigned way = 0; way < WAYS; way++) {
			struct entry *entry = &bucket->entries[way];

			if (atomic_load_explicit(&entry->source, memory_order_acquire) != source)
				continue;
			*word = atomic_load_explicit(&entry->word, memory_order_acquire);
			if (!is_free(*word) && (*word & TAG_MASK) == home.tag)
				return entry;
		}
		if (atomic_load_explicit(&bucket->beyond, memory_order_relaxed) == 0)
			break;
	}
	return NULL;
}

void bans_prefetch(const struct bans *bans, uint64_t source)
{
	if (bans_any(bans))
		__builtin_prefetch(&bans->table[home_of(bans, source).bucket]);
}

bool bans_hold(const struct bans *bans, uint64_t source, uint64_t now_s)
{
	uint64_t word;

	return bans_any(bans) && find(bans, source, home_of(bans, source), &word) &&
	       word >> UNTIL_SHIFT > now_s && !(word & ENDED_BIT);
}

// One word for another, with the number of active bans.
static bool exchange(struct bans *bans, struct entry *entry, uint64_t from, uint64_t to)
{
	bool was = !is_free(from) && !(from & ENDED_BIT), is = !is_free(to) && !(to & ENDED_BIT);

	if (!atomic_compare_exchange_strong_explicit(&entry->word, &from, to, memory_order_acq_rel,
						     memory_order_relaxed))
		return false;
	if (is != was)
		add32(&bans->active, is ? 1 : UINT32_MAX);
	return true;
}

// Entries of this home that stand beyond it, up to the bucket where this one stands.
static void count_beyond(struct bans *bans, struct home home, const struct entry *entry,
			 uint64_t number)
{
	for (unsigned step = 0; step < BUCKETS_MAX; step++) {
		struct bucket *bucket = &bans->table[bucket_at(bans, home, step)];

		if (entry >= bucket->entries && entry < bucket->entries + WAYS)
			return;
		atomic_fetch_add_explicit(&bucket->beyond, number, memory_order_relaxed);
	}
}

// The entry was made this source's by its word.
static void settle(struct bans *bans, struct entry *entry, uint64_t source, struct home home)
{
	count_beyond(bans, home, entry, 1);
	atomic_store_explicit(&entry->source, source, memory_order_release);
	add32(&bans->used, 1);
}

// Takes out what stands there as `word`; the place is left with `next`.
static bool take_out(struct bans *bans, struct entry *entry, uint64_t word, uint64_t next)
{
	uint64_t source;

	if (!exchange(bans, entry, word, BUSY))
		return false;
	source = atomic_exchange_explicit(&entry->source, 0, memory_order_acq_rel);
	count_beyond(bans, home_of(bans, source), entry, UINT64_MAX);
	add32(&bans->used, UINT32_MAX);
	if (next)
		exchange(bans, entry, BUSY, next);
	else
		atomic_store_explicit(&entry->word, 0, memory_order_release);
	return true;
}

static struct entry *take_free(struct bans *bans, struct home home, uint64_t word)
{
	for (unsigned step = 0; step < BUCKETS_MAX; step++) {
		struct bucket *bucket = &bans->table[bucket_at(bans, home, step)];

		for (unsigned way = 0; way < WAYS; way++)
			if (exchange(bans, &bucket->entries[way], 0, word))
				return &bucket->entries[way];
	}
	return NULL;
}

// Whoever ends first of those in reach, if that is before the newcomer. Remembrances have ended.
static struct entry *take_soonest(struct bans *bans, struct home home, uint64_t word)
{
	struct entry *soonest = NULL;
	uint64_t lowest = word;

	for (unsigned step = 0; step < BUCKETS_MAX; step++) {
		struct bucket *bucket = &bans->table[bucket_at(bans, home, step)];

		for (unsigned way = 0; way < WAYS; way++) {
			struct entry *entry = &bucket->entries[way];
			uint64_t other = atomic_load_explicit(&entry->word, memory_order_relaxed);

			// A place without its key is being made just now.
			if (is_free(other) || other >> UNTIL_SHIFT >= lowest >> UNTIL_SHIFT ||
			    !atomic_load_explicit(&entry->source, memory_order_relaxed))
				continue;
			soonest = entry;
			lowest = other;
		}
	}
	return soonest && take_out(bans, soonest, lowest, word) ? soonest : NULL;
}

static enum bans_result insert(struct bans *bans, uint64_t source, struct home home, uint64_t word)
{
	struct entry *entry = NULL;
	enum bans_result result = BANS_DONE;

	if (source == 0) // ::/64, where nobody is: 0 is what a place without an entry has
		return BANS_FULL;
	if (load32(&bans->used) < bans->entries_max)
		entry = take_free(bans, home, word);
	if (!entry) {
		entry = take_soonest(bans, home, word);
		result = entry ? BANS_MADE_ROOM : BANS_FULL;
	}
	if (entry)
		settle(bans, entry, source, home);
	return result;
}

// Level and end of the next ban of who had this one.
static struct ban_state next_ban(const struct ban_state *former, uint16_t reason,
				 const struct bans_terms *terms, uint64_t now_s)
{
	struct ban_state state = {.reason = reason, .level = 1};
	uint64_t time_s = terms->time_s;

	if (former && former->until_s + terms->remembered_s > now_s &&
	    former->level < BANS_LEVEL_MAX)
		state.level = (uint8_t)(former->level + 1);
	for (unsigned i = 1; i < state.level && time_s < terms->time_max_s; i++)
		time_s *= 2;
	state.until_s = now_s + (time_s < terms->time_max_s ? time_s : terms->time_max_s);
	return state;
}

enum bans_result bans_offender(struct bans *bans, uint64_t source, uint16_t reason,
			       const struct bans_terms *terms, uint64_t now_s,
			       struct ban_state *state)
{
	struct home home = home_of(bans, source);
	enum bans_result result = BANS_DONE;
	struct ban_state former;
	struct entry *entry;
	uint64_t word;

	do {
		entry = find(bans, source, home, &word);
		former = entry ? unpack(word) : (struct ban_state){0};
		*state = entry && !former.ended && former.until_s > now_s
				 ? former
				 : next_ban(entry ? &former : NULL, reason, terms, now_s);
		if (entry && state->until_s == former.until_s)
			return BANS_ALREADY;
	} while (entry && !exchange(bans, entry, word, pack(state, home.tag)));
	if (!entry)
		result = insert(bans, source, home, pack(state, home.tag));
	if (result != BANS_FULL)
		raise_generation(bans);
	return result;
}

enum bans_result bans_set(struct bans *bans, uint64_t source, const struct ban_state *state)
{
	struct home home = home_of(bans, source);
	enum bans_result result = BANS_DONE;
	struct entry *entry;
	uint64_t word;

	do
		entry = find(bans, source, home, &word);
	while (entry && !exchange(bans, entry, word, pack(state, home.tag)));
	if (!entry)
		result = insert(bans, source, home, pack(state, home.tag));
	if (result != BANS_FULL && !state->ended)
		raise_generation(bans);
	return result;
}

static struct entry *entry_at(const struct bans *bans, uint32_t place)
{
	return &bans->table[place / WAYS].entries[place % WAYS];
}

bool bans_find(const struct bans *bans, uint64_t source, uint32_t *place, struct ban_state *state)
{
	uint64_t word;
	struct entry *entry = find(bans, source, home_of(bans, source), &word);
	const struct bucket *bucket;

	if (!entry)
		return false;
	bucket = &bans->table[((uint8_t *)entry - (uint8_t *)bans->table) / sizeof(*bucket)];
	*place = (uint32_t)((bucket - bans->table) * WAYS + (entry - bucket->entries));
	*state = unpack(word);
	return true;
}

uint32_t bans_places(const struct bans *bans)
{
	return bans->buckets * WAYS;
}

bool bans_at(const struct bans *bans, uint32_t place, uint64_t *source, struct ban_state *state)
{
	const struct entry *entry = entry_at(bans, place);
	uint64_t word;

	*source = atomic_load_explicit(&entry->source, memory_order_acquire);
	if (*source == 0)
		return false;
	word = atomic_load_explicit(&entry->word, memory_order_acquire);
	if (is_free(word) || home_of(bans, *source).tag != (word & TAG_MASK))
		return false;
	*state = unpack(word);
	return true;
}

// The word that `state` was unpacked from, of whoever stands there.
static uint64_t word_of(const struct bans *bans, const struct entry *entry,
			const struct ban_state *state)
{
	uint64_t source = atomic_load_explicit(&entry->source, memory_order_relaxed);

	return pack(state, home_of(bans, source).tag);
}

bool bans_change(struct bans *bans, uint32_t place, const struct ban_state *from,
		 const struct ban_state *to)
{
	struct entry *entry = entry_at(bans, place);
	uint64_t word = word_of(bans, entry, from);

	return exchange(bans, entry, word, pack(to, word & TAG_MASK));
}

bool bans_remove(struct bans *bans, uint32_t place, const struct ban_state *from)
{
	struct entry *entry = entry_at(bans, place);

	return take_out(bans, entry, word_of(bans, entry, from), 0);
}
