// SPDX-License-Identifier: BSD-3-Clause
//
// The neighbour table: a keyed hash over a fixed pool, lists by age for eviction, and one timer
// list for each length of time. An entry that stops answering unicast probes loses its MAC and is
// asked for by broadcast again (RFC 7048's advice: the address may have moved to another station);
// only when that fails too is it given up.
#include "dataplane/net/neighbour.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

// How often an entry in use is moved to the young end of its list.
#define TOUCH_INTERVAL_US 1000000u
// How often a confirmation is worth a new time limit.
#define CONFIRM_INTERVAL_US 1000000u

static const enum neighbour_timer timer_of[] = {
	[NEIGHBOUR_NONE] = NEIGHBOUR_TIMER_NONE,
	[NEIGHBOUR_INCOMPLETE] = NEIGHBOUR_TIMER_RETRANSMIT,
	[NEIGHBOUR_REACHABLE] = NEIGHBOUR_TIMER_NONE, // ends when it is used too late
	[NEIGHBOUR_STALE] = NEIGHBOUR_TIMER_NONE,
	[NEIGHBOUR_DELAY] = NEIGHBOUR_TIMER_DELAY,
	[NEIGHBOUR_PROBE] = NEIGHBOUR_TIMER_RETRANSMIT,
	[NEIGHBOUR_FAILED] = NEIGHBOUR_TIMER_HOLD,
};

static const uint64_t timer_length_us[NEIGHBOUR_TIMERS] = {
	[NEIGHBOUR_TIMER_RETRANSMIT] = NEIGHBOUR_RETRANSMIT_US,
	[NEIGHBOUR_TIMER_DELAY] = NEIGHBOUR_DELAY_US,
	[NEIGHBOUR_TIMER_HOLD] = NEIGHBOUR_HOLD_US,
};

int neighbour_table_init(struct neighbour_table *table, unsigned pinned_max, struct random *random)
{
	*table = (struct neighbour_table){.random = random};
	table->buckets = calloc(NEIGHBOUR_BUCKETS, sizeof(*table->buckets));
	if (!table->buckets)
		return -ENOMEM;
	explicit_bzero(table->buckets,
		       NEIGHBOUR_BUCKETS * sizeof(*table->buckets)); // see pool_init
	if (pool_init(&table->pool, sizeof(struct neighbour), NEIGHBOUR_MAX + pinned_max) < 0) {
		free(table->buckets);
		table->buckets = NULL;
		return -ENOMEM;
	}
	for (unsigned i = 0; i < NEIGHBOUR_KINDS; i++)
		TAILQ_INIT(&table->ages[i]);
	for (unsigned i = 0; i < NEIGHBOUR_TIMERS; i++)
		TAILQ_INIT(&table->timers[i]);
	uint64_t key[2] = {random_u64(random), random_u64(random)};
	memcpy(table->key.bytes, key, sizeof(table->key.bytes));
	return 0;
}

void neighbour_table_fini(struct neighbour_table *table)
{
	pool_fini(&table->pool);
	free(table->buckets);
	table->buckets = NULL;
}

static struct neighbour_bucket *bucket_of(const struct neighbour_table *table, uint16_t port,
					  const struct address *address)
{
	struct tuple tuple = {.local = *address, .local_port = port};
	return &table->buckets[hash_tuple(&table->key, &tuple) & (NEIGHBOUR_BUCKETS - 1)];
}

struct neighbour *neighbour_find(const struct neighbour_table *table, uint16_t port,
				 const struct address *address)
{
	struct neighbour *neighbour;

	LIST_FOREACH(neighbour, bucket_of(table, port, address), bucket)
	{
		if (neighbour->port == port &&
		    memcmp(&neighbour->address, address, sizeof(*address)) == 0)
			return neighbour;
	}
	return NULL;
}

// The one setter of the state; starts the new state's timer.
static void set_state(struct neighbour_table *table, struct neighbour *neighbour,
		      enum neighbour_state state, uint64_t now_us)
{
	enum neighbour_timer before = timer_of[neighbour->state];
	enum neighbour_timer after = timer_of[state];

	if (before != NEIGHBOUR_TIMER_NONE)
		TAILQ_REMOVE(&table->timers[before], neighbour, timer);
	if (after != NEIGHBOUR_TIMER_NONE) {
		neighbour->deadline_us = now_us + timer_length_us[after];
		TAILQ_INSERT_TAIL(&table->timers[after], neighbour, timer);
	}
	if (state != neighbour->state)
		neighbour->solicitations = 0;
	neighbour->state = state;
}

static void set_reachable(struct neighbour_table *table, struct neighbour *neighbour,
			  uint64_t now_us)
{
	set_state(table, neighbour, NEIGHBOUR_REACHABLE, now_us);
	neighbour->confirmed_us = now_us;
	neighbour->reachable_until_us = now_us + NEIGHBOUR_REACHABLE_BASE_US / 2 +
					random_below(table->random, NEIGHBOUR_REACHABLE_BASE_US);
}

static void set_kind(struct neighbour_table *table, struct neighbour *neighbour,
		     enum neighbour_kind kind)
{
	TAILQ_REMOVE(&table->ages[neighbour->kind], neighbour, age);
	table->learned_count -= neighbour->kind == NEIGHBOUR_LEARNED;
	neighbour->kind = kind;
	table->learned_count += kind == NEIGHBOUR_LEARNED;
	TAILQ_INSERT_TAIL(&table->ages[kind], neighbour, age);
}

static struct neighbour *insert(struct neighbour_table *table, uint16_t port,
				const struct address *address, enum neighbour_kind kind)
{
	struct neighbour *neighbour = pool_get(&table->pool);

	assert(neighbour); // the callers made room
	*neighbour = (struct neighbour){.address = *address, .port = port, .kind = kind};
	table->learned_count += kind == NEIGHBOUR_LEARNED;
	LIST_INSERT_HEAD(bucket_of(table, port, address), neighbour, bucket);
	TAILQ_INSERT_TAIL(&table->ages[kind], neighbour, age);
	return neighbour;
}

static void discard(struct neighbour_table *table, struct neighbour *neighbour)
{
	set_state(table, neighbour, NEIGHBOUR_NONE, 0); // out of its timer list
	LIST_REMOVE(neighbour, bucket);
	TAILQ_REMOVE(&table->ages[neighbour->kind], neighbour, age);
	table->learned_count -= neighbour->kind == NEIGHBOUR_LEARNED;
	pool_put(&table->pool, neighbour);
}

static void evict(struct neighbour_table *table, struct neighbour *victim)
{
	table->lost = true;
	table->lost_address = victim->address;
	discard(table, victim);
}

// Pool places beyond those kept for pinned entries, which are all taken at start.
static bool table_full(const struct neighbour_table *table)
{
	return table->pool.free_count == 0;
}

struct neighbour *neighbour_pin(struct neighbour_table *table, uint16_t port,
				const struct address *address)
{
	struct neighbour *neighbour = neighbour_find(table, port, address);

	if (!neighbour)
		return insert(table, port, address, NEIGHBOUR_PINNED);
	set_kind(table, neighbour, NEIGHBOUR_PINNED);
	return neighbour;
}

struct neighbour *neighbour_want(struct neighbour_table *table, uint16_t port,
				 const struct address *address, uint64_t now_us)
{
	if (table_full(table)) {
		struct neighbour *victim = TAILQ_FIRST(&table->ages[NEIGHBOUR_LEARNED]);
		if (!victim)
			victim = TAILQ_FIRST(&table->ages[NEIGHBOUR_WANTED]);
		evict(table, victim);
	}
	struct neighbour *neighbour = insert(table, port, address, NEIGHBOUR_WANTED);
	neighbour->used_us = now_us;
	return neighbour;
}

static void fill(struct neighbour *neighbour, const uint8_t *mac)
{
	memcpy(neighbour->mac, mac, sizeof(neighbour->mac));
}

void neighbour_learn(struct neighbour_table *table, uint16_t port, const struct address *address,
		     const uint8_t *mac)
{
	struct neighbour *neighbour = neighbour_find(table, port, address);

	if (!neighbour) {
		if (table_full(table) || table->learned_count == NEIGHBOUR_LEARNED_MAX) {
			struct neighbour *victim = TAILQ_FIRST(&table->ages[NEIGHBOUR_LEARNED]);
			if (!victim) { // a stranger displaces nobody whom we need
				table->lost = true;
				table->lost_address = *address;
				return;
			}
			evict(table, victim);
		}
		neighbour = insert(table, port, address, NEIGHBOUR_LEARNED);
	} else if (neighbour->state != NEIGHBOUR_NONE) {
		neighbour_heard(table, neighbour,
				&(struct neighbour_news){.mac = mac, .override = true}, 0);
		return;
	}
	fill(neighbour, mac);
	set_state(table, neighbour, NEIGHBOUR_STALE, 0);
}

bool neighbour_has_mac(const struct neighbour *neighbour)
{
	return neighbour->state >= NEIGHBOUR_REACHABLE && neighbour->state <= NEIGHBOUR_PROBE;
}

static void touch(struct neighbour_table *table, struct neighbour *neighbour, uint64_t now_us)
{
	if (neighbour->kind == NEIGHBOUR_LEARNED) {
		set_kind(table, neighbour, NEIGHBOUR_WANTED);
	} else if (neighbour->kind == NEIGHBOUR_WANTED) {
		if (now_us - neighbour->used_us < TOUCH_INTERVAL_US)
			return;
		set_kind(table, neighbour, NEIGHBOUR_WANTED); // to the young end
	}
	neighbour->used_us = now_us;
}

enum neighbour_action neighbour_use(struct neighbour_table *table, struct neighbour *neighbour,
				    uint64_t now_us)
{
	touch(table, neighbour, now_us);
	switch (neighbour->state) {
	case NEIGHBOUR_NONE:
		set_state(table, neighbour, NEIGHBOUR_INCOMPLETE, now_us);
		neighbour->solicitations = 1;
		return NEIGHBOUR_SOLICIT_ALL;
	case NEIGHBOUR_REACHABLE:
		if (now_us >= neighbour->reachable_until_us)
			set_state(table, neighbour, NEIGHBOUR_DELAY, now_us);
		return NEIGHBOUR_NOTHING;
	case NEIGHBOUR_STALE:
		set_state(table, neighbour, NEIGHBOUR_DELAY, now_us);
		return NEIGHBOUR_NOTHING;
	default:
		return NEIGHBOUR_NOTHING;
	}
}

bool neighbour_heard(struct neighbour_table *table, struct neighbour *neighbour,
		     const struct neighbour_news *news, uint64_t now_us)
{
	if (neighbour->state == NEIGHBOUR_NONE)
		return false;
	if (!neighbour_has_mac(neighbour)) {
		if (!news->mac)
			return false;
		bool answer = news->solicited && neighbour->state == NEIGHBOUR_INCOMPLETE;
		fill(neighbour, news->mac);
		if (answer)
			set_reachable(table, neighbour, now_us);
		else
			set_state(table, neighbour, NEIGHBOUR_STALE, now_us);
		return true;
	}
	bool changed = news->mac && memcmp(neighbour->mac, news->mac, sizeof(neighbour->mac)) != 0;
	if (changed && !news->override) {
		// a second station under one address (RFC 4861 7.2.5 I): doubt, but keep the first
		if (neighbour->state == NEIGHBOUR_REACHABLE)
			set_state(table, neighbour, NEIGHBOUR_STALE, now_us);
		return true;
	}
	if (changed)
		fill(neighbour, news->mac);
	if (news->solicited && neighbour->state == NEIGHBOUR_PROBE)
		set_reachable(table, neighbour, now_us);
	else if (changed)
		set_state(table, neighbour, NEIGHBOUR_STALE, now_us);
	return true;
}

void neighbour_confirm(struct neighbour_table *table, struct neighbour *neighbour, uint64_t now_us)
{
	// every segment that acknowledges comes here
	if (neighbour->state == NEIGHBOUR_REACHABLE &&
	    now_us - neighbour->confirmed_us < CONFIRM_INTERVAL_US)
		return;
	if (neighbour_has_mac(neighbour))
		set_reachable(table, neighbour, now_us);
}

// The entry's timer ran out. False when the entry is gone or needs nothing.
static bool advance(struct neighbour_table *table, struct neighbour *neighbour, uint64_t now_us,
		    enum neighbour_action *action)
{
	enum neighbour_state state = neighbour->state;

	switch (state) {
	case NEIGHBOUR_INCOMPLETE:
		if (neighbour->solicitations == NEIGHBOUR_SOLICITATIONS) {
			set_state(table, neighbour, NEIGHBOUR_FAILED, now_us);
			*action = NEIGHBOUR_UNRESOLVED;
			return true;
		}
		*action = NEIGHBOUR_SOLICIT_ALL;
		break;
	case NEIGHBOUR_DELAY:
		state = NEIGHBOUR_PROBE;
		*action = NEIGHBOUR_SOLICIT_ONE;
		break;
	case NEIGHBOUR_PROBE:
		if (neighbour->solicitations == NEIGHBOUR_SOLICITATIONS) {
			state = NEIGHBOUR_INCOMPLETE;
			*action = NEIGHBOUR_SOLICIT_ALL;
		} else {
			*action = NEIGHBOUR_SOLICIT_ONE;
		}
		break;
	case NEIGHBOUR_FAILED:
		if (neighbour->kind == NEIGHBOUR_PINNED)
			set_state(table, neighbour, NEIGHBOUR_NONE, now_us);
		else
			discard(table, neighbour);
		return false;
	default:
		assert(!"a state without a timer expired");
	}
	set_state(table, neighbour, state, now_us);
	neighbour->solicitations++;
	return true;
}

struct neighbour *neighbour_expire(struct neighbour_table *table, uint64_t now_us,
				   enum neighbour_action *action)
{
	for (unsigned i = 0; i < NEIGHBOUR_TIMERS; i++) {
		struct neighbour *neighbour;
		while ((neighbour = TAILQ_FIRST(&table->timers[i])) &&
		       neighbour->deadline_us <= now_us) {
			if (advance(table, neighbour, now_us, action))
				return neighbour;
		}
	}
	return NULL;
}

uint64_t neighbour_next_us(const struct neighbour_table *table)
{
	uint64_t next_us = UINT64_MAX;

	for (unsigned i = 0; i < NEIGHBOUR_TIMERS; i++) {
		const struct neighbour *neighbour = TAILQ_FIRST(&table->timers[i]);
		if (neighbour && neighbour->deadline_us < next_us)
			next_us = neighbour->deadline_us;
	}
	return next_us;
}

bool neighbour_take_lost(struct neighbour_table *table, struct address *address)
{
	bool lost = table->lost;

	*address = table->lost_address;
	table->lost = false;
	return lost;
}
