// SPDX-License-Identifier: BSD-3-Clause
//
// See offenders.h. A set is two cache lines and a version that is odd while a place changes hands:
// readers that see it odd, or changed, look again. Halving is done to a set when it is touched, and
// to the copy when it is read.
#include "dataplane/gate/offenders.h"

#include <stdlib.h>
#include <string.h>

#define READ_TRIES 4
#define GOLDEN     UINT64_C(0x9e3779b97f4a7c15)

struct place {
	uint64_t source; // IPv4-mapped: the address's second half, else the first; 0 = free
	uint32_t frames;
	uint32_t over;
	uint32_t seen_ms;
	uint32_t reason;
};

struct set {
	uint32_t version;
	uint32_t halvings; // that its numbers have seen
	struct place places[OFFENDERS_WAYS];
} __attribute__((aligned(64)));

struct offenders {
	uint64_t key;
	uint64_t start_us;
	struct set sets[OFFENDERS_SETS];
};

struct offenders *offenders_create(uint64_t key, uint64_t now_us)
{
	struct offenders *offenders = aligned_alloc(64, sizeof(*offenders));

	if (!offenders)
		return NULL;
	memset(offenders, 0, sizeof(*offenders));
	offenders->key = key | 1;
	offenders->start_us = now_us;
	return offenders;
}

void offenders_destroy(struct offenders *offenders)
{
	free(offenders);
}

static void store(uint32_t *number, uint32_t value)
{
	__atomic_store_n(number, value, __ATOMIC_RELAXED);
}

static uint32_t halvings_at(const struct offenders *offenders, uint64_t now_us)
{
	return (uint32_t)((now_us - offenders->start_us) / OFFENDERS_HALF_LIFE_US);
}

static uint32_t halved(uint32_t number, uint32_t times)
{
	return times < 32 ? number >> times : 0;
}

// A multiplication by a secret odd number, folded. Nobody outside sees what shares a set.
static unsigned set_of(const struct offenders *offenders, uint64_t source)
{
	unsigned __int128 product =
		(unsigned __int128)(source ^ offenders->key) * (offenders->key * GOLDEN | 1);
	uint64_t folded = (uint64_t)(product >> 64) ^ (uint64_t)product;

	return (unsigned)(folded >> 32) % OFFENDERS_SETS;
}

static uint64_t word_of(const struct address *source)
{
	uint64_t word;

	memcpy(&word, source->bytes + (address_is_ipv4(source) ? 8 : 0), sizeof(word));
	return word;
}

// The second half of a mapped address opens with 00:00:ff:ff, which no prefix does.
static struct address address_of(uint64_t word)
{
	static const uint8_t mapped[4] = {0, 0, 0xff, 0xff};
	struct address address = {0};
	bool ipv4 = memcmp(&word, mapped, sizeof(mapped)) == 0;

	memcpy(address.bytes + (ipv4 ? 8 : 0), &word, sizeof(word));
	return address;
}

static void begin(struct set *set)
{
	store(&set->version, set->version + 1);
	__atomic_thread_fence(__ATOMIC_RELEASE);
}

static void end(struct set *set)
{
	__atomic_store_n(&set->version, set->version + 1, __ATOMIC_RELEASE);
}

static void halve(struct set *set, uint32_t halvings)
{
	begin(set);
	for (unsigned i = 0; i < OFFENDERS_WAYS; i++) {
		struct place *place = &set->places[i];

		store(&place->frames, halved(place->frames, halvings - set->halvings));
		store(&place->over, halved(place->over, halvings - set->halvings));
	}
	store(&set->halvings, halvings);
	end(set);
}

static void add(struct place *place, uint32_t weight)
{
	store(&place->frames,
	      place->frames > UINT32_MAX - weight ? UINT32_MAX : place->frames + weight);
}

// The source's place, or the one that it takes from the smallest.
static struct place *claim(struct set *set, uint64_t source)
{
	struct place *smallest = set->places;

	for (unsigned i = 0; i < OFFENDERS_WAYS; i++) {
		struct place *place = &set->places[i];

		if (place->source == source)
			return place;
		if (place->frames < smallest->frames)
			smallest = place;
	}
	begin(set);
	__atomic_store_n(&smallest->source, source, __ATOMIC_RELAXED);
	store(&smallest->over, smallest->frames);
	end(set);
	return smallest;
}

void offenders_note(struct offenders *offenders, const struct address *source, enum reason reason,
		    uint32_t weight, uint64_t now_us)
{
	uint32_t halvings = halvings_at(offenders, now_us);
	uint64_t word = word_of(source);
	struct set *set = &offenders->sets[set_of(offenders, word)];
	struct place *place;

	if (word == 0)
		return;
	if (set->halvings != halvings)
		halve(set, halvings);
	place = claim(set, word);
	add(place, weight);
	store(&place->seen_ms, (uint32_t)((now_us - offenders->start_us) / 1000));
	store(&place->reason, (uint32_t)reason);
}

// Milliseconds of 32 bits come round every 49 days; nobody is here that long after his last frame.
static uint64_t seen_us(const struct offenders *offenders, const struct place *place,
			uint64_t now_us)
{
	uint64_t now_ms = (now_us - offenders->start_us) / 1000;
	int32_t ahead_ms = (int32_t)(place->seen_ms - (uint32_t)now_ms);

	return offenders->start_us + (now_ms + (uint64_t)(int64_t)ahead_ms) * 1000;
}

static struct offender offender_of(const struct offenders *offenders, const struct place *place,
				   uint32_t times, uint64_t now_us)
{
	return (struct offender){
		.source = address_of(place->source),
		.frames = halved(place->frames, times),
		.over = halved(place->over, times),
		.seen_us = seen_us(offenders, place, now_us),
		.reason = (enum reason)place->reason,
	};
}

// A copy of a set that nobody changed meanwhile.
static bool copy_set(const struct set *set, struct set *copy)
{
	for (unsigned tries = 0; tries < READ_TRIES; tries++) {
		uint32_t version = __atomic_load_n(&set->version, __ATOMIC_ACQUIRE);

		for (size_t i = 0; i < sizeof(*set) / sizeof(uint64_t); i++)
			((uint64_t *)copy)[i] =
				__atomic_load_n(&((const uint64_t *)set)[i], __ATOMIC_RELAXED);
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		if (!(version & 1) && __atomic_load_n(&set->version, __ATOMIC_RELAXED) == version)
			return true;
	}
	return false;
}

unsigned offenders_read(const struct offenders *offenders, uint64_t now_us,
			struct offender out[OFFENDERS_ENTRIES])
{
	uint32_t halvings = halvings_at(offenders, now_us), times;
	unsigned count = 0;
	struct set copy = {0};

	for (unsigned i = 0; i < OFFENDERS_SETS; i++) {
		if (!copy_set(&offenders->sets[i], &copy))
			continue;
		// The writer may be a moment ahead.
		times = copy.halvings < halvings ? halvings - copy.halvings : 0;
		for (unsigned j = 0; j < OFFENDERS_WAYS; j++) {
			struct offender offender =
				offender_of(offenders, &copy.places[j], times, now_us);

			if (offender.frames)
				out[count++] = offender;
		}
	}
	return count;
}
