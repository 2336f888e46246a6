// SPDX-License-Identifier: BSD-3-Clause
//
// See sources.h. A set of 8 places by the keyed hash of (number, scope). A place is a tag (what
// stands there: the rest of the hash, and the connector), a state (generation and open sessions)
// and a time: of a rate or a score, both are "used up until", one unit being so many microseconds.
//
// Order without locks: the state is what is fought for. Whoever takes a place over for another name
// first makes the state CLAIMED with the next generation, then writes tag and time, then publishes
// one session. Whoever joins reads the state before the tag, and adds one session to that very
// state: it cannot succeed if the place was taken over in between. A place with a session is never
// taken over, so a time is only ever written by who holds one.

#include "dataplane/gate/sources.h"

#include "dataplane/base/block.h"
#include "dataplane/base/prefetch.h"

#include <assert.h>
#include <endian.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define WAYS         8 // three cache lines
#define ENTRIES_MAX  (1u << 23)
#define CONNECTORS   (UINT16_MAX + 1u)
#define NO_CONNECTOR UINT16_MAX
// How often a place that changes hands under our eyes is looked at again.
#define ATTEMPTS 64
// Sessions of a place that is just being taken over.
#define CLAIMED UINT32_MAX
// A hold: the place, and what remains of its generation.
#define HOLD_PLACE_BITS 24
#define HOLD_PLACE_MASK ((1u << HOLD_PLACE_BITS) - 1)

struct set {
	_Atomic uint64_t tags[WAYS];   // 0 = never used
	_Atomic uint64_t states[WAYS]; // generation << 32 | open sessions
	_Atomic uint64_t untils[WAYS]; // microseconds
};

struct sources {
	struct hash_key key;
	uint64_t point_us;
	uint64_t ipv4_mask, ipv6_mask; // of a prefix's number
	uint32_t set_mask;
	_Atomic uint32_t connectors[CONNECTORS];
	_Alignas(64) struct set sets[];
};

struct place {
	uint32_t set;
	uint64_t tag;
};

static uint64_t mask_of(unsigned bits)
{
	return bits == 0 ? 0 : UINT64_MAX << (64 - bits);
}

struct sources *sources_create(const struct sources_settings *settings)
{
	uint32_t sets = 1;
	struct sources *sources;
	size_t bytes;

	assert(settings->entries <= ENTRIES_MAX && settings->point_us > 0);
	assert(settings->ipv4_prefix <= 32 && settings->ipv6_prefix <= 64);
	while (sets * WAYS < settings->entries)
		sets *= 2;
	bytes = sizeof(*sources) + (size_t)sets * sizeof(struct set);
	sources = block_allocate(bytes);
	if (!sources)
		return NULL;
	sources->key = settings->key;
	sources->point_us = settings->point_us;
	sources->ipv4_mask = mask_of(32u + settings->ipv4_prefix);
	sources->ipv6_mask = mask_of(settings->ipv6_prefix);
	sources->set_mask = sets - 1;
	return sources;
}

void sources_destroy(struct sources *sources)
{
	free(sources);
}

uint64_t sources_number(const struct address *address)
{
	uint64_t upper;
	uint32_t ipv4;

	if (address_is_ipv4(address)) {
		memcpy(&ipv4, address->bytes + 12, sizeof(ipv4));
		return 0xffull << 56 | be32toh(ipv4);
	}
	memcpy(&upper, address->bytes, sizeof(upper));
	return be64toh(upper);
}

// What is hashed of a name, beside its scope.
static uint64_t number_of(const struct sources *sources, const struct sources_name *name)
{
	uint64_t number = sources_number(name->address);

	if (name->scope == SOURCES_PREFIX)
		number &= address_is_ipv4(name->address) ? sources->ipv4_mask : sources->ipv6_mask;
	return number;
}

// Its upper 48 bits, never 0, and the connector are the tag; its lowest ones choose the set.
static uint64_t with_tag(uint64_t hash)
{
	return hash >> 16 == 0 ? hash | 1u << 16 : hash;
}

static uint64_t hash_of(const struct sources *sources, const struct sources_name *name)
{
	return with_tag(hash_numbers(&sources->key, number_of(sources, name), name->scope));
}

static struct place place_of(const struct sources *sources, const struct sources_name *name)
{
	uint64_t hash = hash_of(sources, name);

	return (struct place){(uint32_t)hash & sources->set_mask,
			      (hash & ~0xffffull) | name->connector};
}

static uint32_t sessions_of(uint64_t state)
{
	return (uint32_t)state;
}

static uint32_t generation_of(uint64_t state)
{
	return (uint32_t)(state >> 32);
}

static uint64_t state_of(uint32_t generation, uint32_t sessions)
{
	return (uint64_t)generation << 32 | sessions;
}

static bool tagged(const struct set *set, unsigned way, uint64_t tag)
{
	return atomic_load_explicit(&set->tags[way], memory_order_acquire) == tag;
}

enum joined { JOINED, JOINED_NOT, AT_LIMIT };

// One session more of a place that had the tag.
static enum joined join(struct set *set, unsigned way, uint64_t tag, uint32_t limit)
{
	uint64_t state = atomic_load_explicit(&set->states[way], memory_order_acquire);
	const uint32_t generation = generation_of(state);

	if (!tagged(set, way, tag))
		return JOINED_NOT;
	do {
		if (sessions_of(state) == CLAIMED || generation_of(state) != generation)
			return JOINED_NOT;
		if (sessions_of(state) >= limit)
			return AT_LIMIT;
	} while (!atomic_compare_exchange_weak_explicit(
		&set->states[way], &state, state + 1, memory_order_acq_rel, memory_order_acquire));
	return JOINED;
}

// Takes a place over, with one session, if it is nobody's.
static bool claim(struct set *set, unsigned way, uint64_t tag, uint64_t now_us)
{
	uint64_t state = atomic_load_explicit(&set->states[way], memory_order_acquire);
	const uint32_t next = generation_of(state) + 1;

	if (sessions_of(state) != 0 ||
	    atomic_load_explicit(&set->untils[way], memory_order_relaxed) > now_us)
		return false;
	if (!atomic_compare_exchange_strong_explicit(&set->states[way], &state,
						     state_of(next, CLAIMED), memory_order_acq_rel,
						     memory_order_relaxed))
		return false;
	// A session that came and went meanwhile may have left a time.
	if (atomic_load_explicit(&set->untils[way], memory_order_relaxed) > now_us) {
		atomic_store_explicit(&set->states[way], state, memory_order_release);
		return false;
	}
	atomic_store_explicit(&set->tags[way], tag, memory_order_release);
	atomic_store_explicit(&set->untils[way], 0, memory_order_relaxed);
	atomic_store_explicit(&set->states[way], state_of(next, 1), memory_order_release);
	return true;
}

enum attempt { FOUND, FULL, LIMIT, AGAIN };

static enum attempt attempt(struct set *set, const struct place *place, uint32_t limit,
			    uint64_t now_us, unsigned *way)
{
	for (*way = 0; *way < WAYS; ++*way) {
		if (!tagged(set, *way, place->tag))
			continue;
		switch (join(set, *way, place->tag, limit)) {
		case JOINED:
			return FOUND;
		case AT_LIMIT:
			return LIMIT;
		case JOINED_NOT:
			return AGAIN;
		}
	}
	for (*way = 0; *way < WAYS; ++*way) {
		if (claim(set, *way, place->tag, now_us))
			return FOUND;
		// It is becoming somebody's: perhaps of the same name.
		if (sessions_of(atomic_load_explicit(&set->states[*way], memory_order_relaxed)) ==
		    CLAIMED)
			return AGAIN;
	}
	return FULL;
}

static enum sources_result hold_place(struct sources *sources, const struct sources_name *name,
				      uint32_t limit, uint64_t now_us, sources_hold *hold)
{
	const struct place place = place_of(sources, name);
	struct set *set = &sources->sets[place.set];
	uint64_t state;
	unsigned way;

	*hold = SOURCES_NO_HOLD;
	if (limit == 0)
		return SOURCES_AT_LIMIT;
	for (unsigned i = 0; i < ATTEMPTS; i++) {
		switch (attempt(set, &place, limit, now_us, &way)) {
		case FOUND:
			state = atomic_load_explicit(&set->states[way], memory_order_relaxed);
			*hold = (place.set * WAYS + way) | generation_of(state) << HOLD_PLACE_BITS;
			return SOURCES_HELD;
		case LIMIT:
			return SOURCES_AT_LIMIT;
		case FULL:
			return SOURCES_FULL;
		case AGAIN:
			break;
		}
	}
	return SOURCES_FULL;
}

enum sources_result sources_open(struct sources *sources, const struct sources_name *name,
				 uint32_t limit, uint64_t now_us, sources_hold *hold)
{
	assert(name->scope != SOURCES_SCORE && name->connector != NO_CONNECTOR);
	return hold_place(sources, name, limit, now_us, hold);
}

static struct set *set_of(struct sources *sources, sources_hold hold, unsigned *way)
{
	const uint32_t place = hold & HOLD_PLACE_MASK;

	assert(hold != SOURCES_NO_HOLD && place / WAYS <= sources->set_mask);
	*way = place % WAYS;
	return &sources->sets[place / WAYS];
}

void sources_close(struct sources *sources, sources_hold hold)
{
	unsigned way;
	struct set *set = set_of(sources, hold, &way);
	uint64_t state = atomic_fetch_sub_explicit(&set->states[way], 1, memory_order_acq_rel);

	// Given back already, or never held.
	assert(sessions_of(state) != 0 && sessions_of(state) != CLAIMED);
	assert((uint8_t)generation_of(state) == hold >> HOLD_PLACE_BITS);
}

// ---- Times -----------------------------------------------------------------------------------

static uint64_t later(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static uint64_t cost_of(const struct sources_rate *rate)
{
	assert(rate->connections > 0 && rate->interval_us >= rate->connections);
	return rate->interval_us / rate->connections;
}

static bool within(uint64_t until_us, const struct sources_rate *rate, uint64_t now_us)
{
	const uint64_t cost = cost_of(rate);

	return later(until_us, now_us) - now_us <= cost * (rate->connections - 1);
}

bool sources_take(struct sources *sources, sources_hold hold, const struct sources_rate *rate,
		  uint64_t now_us)
{
	unsigned way;
	struct set *set = set_of(sources, hold, &way);
	uint64_t until = atomic_load_explicit(&set->untils[way], memory_order_relaxed);

	do {
		if (!within(until, rate, now_us))
			return false;
	} while (!atomic_compare_exchange_weak_explicit(
		&set->untils[way], &until, later(until, now_us) + cost_of(rate),
		memory_order_relaxed, memory_order_relaxed));
	return true;
}

bool sources_may_take(const struct sources_level *level, const struct sources_rate *rate,
		      uint64_t now_us)
{
	return within(level->until_us, rate, now_us);
}

static uint32_t points_of(const struct sources *sources, uint64_t until_us, uint64_t now_us)
{
	const uint64_t left = later(until_us, now_us) - now_us;

	return (uint32_t)((left + sources->point_us - 1) / sources->point_us);
}

uint32_t sources_offend(struct sources *sources, const struct address *address, uint32_t points,
			uint64_t now_us)
{
	const struct sources_name name = {SOURCES_SCORE, NO_CONNECTOR, address};
	const uint64_t most = now_us + SOURCES_SCORE_MAX * sources->point_us;
	sources_hold hold;
	uint64_t until, next;
	struct set *set;
	unsigned way;

	if (points > SOURCES_SCORE_MAX)
		points = SOURCES_SCORE_MAX;
	if (hold_place(sources, &name, CLAIMED - 1, now_us, &hold) != SOURCES_HELD)
		return 0;
	set = set_of(sources, hold, &way);
	until = atomic_load_explicit(&set->untils[way], memory_order_relaxed);
	do {
		next = later(until, now_us) + points * sources->point_us;
		if (next > most)
			next = most;
	} while (!atomic_compare_exchange_weak_explicit(
		&set->untils[way], &until, next, memory_order_relaxed, memory_order_relaxed));
	sources_close(sources, hold);
	return points_of(sources, next, now_us);
}

// ---- Looking ---------------------------------------------------------------------------------

struct sources_level sources_look(const struct sources *sources, const struct sources_name *name)
{
	const struct place place = place_of(sources, name);
	const struct set *set = &sources->sets[place.set];
	struct sources_level level = {0};

	for (unsigned i = 0; i < WAYS; i++) {
		uint64_t state;

		if (!tagged(set, i, place.tag))
			continue;
		state = atomic_load_explicit(&set->states[i], memory_order_relaxed);
		level.until_us = atomic_load_explicit(&set->untils[i], memory_order_relaxed);
		level.sessions = sessions_of(state) == CLAIMED ? 0 : sessions_of(state);
		break;
	}
	return level;
}

uint32_t sources_score(const struct sources *sources, const struct address *address,
		       uint64_t now_us)
{
	const struct sources_name name = {SOURCES_SCORE, NO_CONNECTOR, address};

	return points_of(sources, sources_look(sources, &name).until_us, now_us);
}

void sources_look_ahead_all(const struct sources *sources, const struct address *const addresses[],
			    unsigned count, uint64_t places[])
{
	for (unsigned i = 0; i < count; i++)
		places[i] = sources_number(addresses[i]);
	hash_many_numbers(&sources->key, places, SOURCES_SOURCE, count, places);
	for (unsigned i = 0; i < count; i++) {
		places[i] = with_tag(places[i]);
		prefetch(sources->sets[(uint32_t)places[i] & sources->set_mask].tags,
			 sizeof(sources->sets[0].tags));
	}
}

uint64_t sources_look_ahead(const struct sources *sources, const struct address *address)
{
	uint64_t place;

	sources_look_ahead_all(sources, &address, 1, &place);
	return place;
}

bool sources_remembers(const struct sources *sources, uint64_t place)
{
	const struct set *set = &sources->sets[(uint32_t)place & sources->set_mask];

	for (unsigned i = 0; i < WAYS; i++)
		if (atomic_load_explicit(&set->tags[i], memory_order_relaxed) >> 16 == place >> 16)
			return true;
	return false;
}

uint32_t sources_open_sessions(const struct sources *sources, const struct address *address)
{
	const struct sources_name name = {SOURCES_SOURCE, 0, address};
	const struct place place = place_of(sources, &name);
	const struct set *set = &sources->sets[place.set];
	uint32_t sum = 0;

	for (unsigned i = 0; i < WAYS; i++) {
		uint64_t state = atomic_load_explicit(&set->states[i], memory_order_acquire);
		uint64_t tag = atomic_load_explicit(&set->tags[i], memory_order_relaxed);

		if (tag >> 16 == place.tag >> 16 && sessions_of(state) != CLAIMED)
			sum += sessions_of(state);
	}
	return sum;
}

// ---- Connectors ------------------------------------------------------------------------------

bool sources_open_connector(struct sources *sources, uint16_t connector, uint32_t limit)
{
	_Atomic uint32_t *sessions = &sources->connectors[connector];
	uint32_t count = atomic_load_explicit(sessions, memory_order_relaxed);

	do {
		if (count >= limit)
			return false;
	} while (!atomic_compare_exchange_weak_explicit(
		sessions, &count, count + 1, memory_order_relaxed, memory_order_relaxed));
	return true;
}

void sources_close_connector(struct sources *sources, uint16_t connector)
{
	uint32_t before =
		atomic_fetch_sub_explicit(&sources->connectors[connector], 1, memory_order_relaxed);

	assert(before != 0);
}

uint32_t sources_connector_sessions(const struct sources *sources, uint16_t connector)
{
	return atomic_load_explicit(&sources->connectors[connector], memory_order_relaxed);
}

struct sources_totals sources_totals(const struct sources *sources, uint64_t now_us)
{
	struct sources_totals totals = {.entries = (sources->set_mask + 1) * WAYS};

	for (uint32_t i = 0; i < totals.entries; i++) {
		const struct set *set = &sources->sets[i / WAYS];
		const uint32_t sessions = sessions_of(
			atomic_load_explicit(&set->states[i % WAYS], memory_order_relaxed));
		const uint64_t until =
			atomic_load_explicit(&set->untils[i % WAYS], memory_order_relaxed);

		totals.used += sessions > 0 || until > now_us;
		totals.sessions += sessions == CLAIMED ? 0 : sessions;
	}
	for (uint32_t i = 0; i < CONNECTORS; i++)
		totals.connector_sessions += sources_connector_sessions(sources, (uint16_t)i);
	return totals;
}
