// SPDX-License-Identifier: BSD-3-Clause
//
// Ten levels of 256 slots; a slot of level n is 8^n ticks wide. A timer goes to the finest level
// that reaches its tick, into the slot that contains it, and moves to a finer one when that slot
// begins: at most once a level. A level's slots overlap the next one's, so a slot is at most 1/32
// as wide as the time that was left: a million equal timeouts never move in one go, as they would
// if each level began where the finer one ends.
// Beyond the last level (about a year) a timer waits in its last slot and is then placed again.
// A bitmap a level finds the next occupied slot, so a jump over days costs no walk over ticks.
#include "dataplane/base/wheel.h"

#include <stdlib.h>
#include <string.h>

#define LEVELS        10
#define LEVEL_SHIFT   3
#define SLOTS         256
#define BITMAP_WORDS  (SLOTS / 64)
#define TICK_OF_NEVER UINT64_MAX

struct level {
	uint64_t occupied[BITMAP_WORDS]; // a set bit may be stale: its timers were cancelled
	struct wheel_timer *slots[SLOTS];
};

struct wheel {
	uint64_t now_us;         // of the latest wheel_expire
	uint64_t tick;           // slots that begin up to here are empty
	uint64_t next_tick;      // no occupied slot begins before this; > tick
	uint64_t count;          // timers in slots and in due
	struct wheel_timer *due; // reached their slot's tick, or were armed for the past
	struct level levels[LEVELS];
};

static void link_timer(struct wheel_timer **list, struct wheel_timer *timer)
{
	timer->next = *list;
	timer->previous_next = list;
	if (timer->next)
		timer->next->previous_next = &timer->next;
	*list = timer;
}

static void unlink_timer(struct wheel_timer *timer)
{
	*timer->previous_next = timer->next;
	if (timer->next)
		timer->next->previous_next = timer->previous_next;
	timer->next = NULL;
	timer->previous_next = NULL;
}

// The tick at which a deadline has passed: rounded up, so that no timer fires early.
static uint64_t tick_of(uint64_t deadline_us)
{
	return deadline_us / WHEEL_TICK_US + (deadline_us % WHEEL_TICK_US != 0);
}

// Links an unlinked timer where its deadline belongs.
static void place(struct wheel *wheel, struct wheel_timer *timer)
{
	uint64_t tick = tick_of(timer->deadline_us);
	if (timer->deadline_us <= wheel->now_us || tick <= wheel->tick) {
		timer->slot_tick = wheel->tick;
		link_timer(&wheel->due, timer);
		return;
	}
	unsigned level = 0, shift = 0;
	while ((tick >> shift) - (wheel->tick >> shift) >= SLOTS && level < LEVELS - 1) {
		level++;
		shift += LEVEL_SHIFT;
	}
	uint64_t slot = tick >> shift;
	if (slot - (wheel->tick >> shift) >= SLOTS)
		slot = (wheel->tick >> shift) + SLOTS - 1;
	timer->slot_tick = slot << shift;
	unsigned index = slot % SLOTS;
	link_timer(&wheel->levels[level].slots[index], timer);
	wheel->levels[level].occupied[index / 64] |= 1ull << index % 64;
	if (timer->slot_tick < wheel->next_tick)
		wheel->next_tick = timer->slot_tick;
}

// Empties the slots that begin at wheel->tick: what is due becomes so, the rest moves to finer
// levels.
static void enter_tick(struct wheel *wheel)
{
	for (unsigned level = 0; level < LEVELS; level++) {
		unsigned shift = level * LEVEL_SHIFT;
		uint64_t slot = wheel->tick >> shift;
		if (slot << shift != wheel->tick)
			return; // a coarser slot does not begin here either
		unsigned index = slot % SLOTS;
		wheel->levels[level].occupied[index / 64] &= ~(1ull << index % 64);
		struct wheel_timer **list = &wheel->levels[level].slots[index];
		while (*list) {
			struct wheel_timer *timer = *list;
			unlink_timer(timer);
			place(wheel, timer);
		}
	}
}

// How many slots after `from` the next occupied one lies, 1 to SLOTS - 1; 0 when none is occupied.
static unsigned distance_to_occupied(const struct level *level, unsigned from)
{
	for (unsigned step = 0; step <= BITMAP_WORDS; step++) {
		unsigned word = (from / 64 + step) % BITMAP_WORDS;
		uint64_t bits = level->occupied[word];
		if (step == 0)
			bits &= ~1ull << from % 64; // after `from` in its word
		else if (step == BITMAP_WORDS)
			bits &= (1ull << from % 64) - 1; // before it, having gone round
		if (bits)
			return (word * 64 + (unsigned)__builtin_ctzll(bits) - from) % SLOTS;
	}
	return 0;
}

static uint64_t find_next_tick(const struct wheel *wheel)
{
	uint64_t next = TICK_OF_NEVER;
	for (unsigned level = 0; level < LEVELS; level++) {
		unsigned shift = level * LEVEL_SHIFT;
		uint64_t slot = wheel->tick >> shift;
		unsigned distance = distance_to_occupied(&wheel->levels[level], slot % SLOTS);
		if (distance && (slot + distance) << shift < next)
			next = (slot + distance) << shift;
	}
	return next;
}

struct wheel *wheel_create(uint64_t now_us)
{
	struct wheel *wheel = calloc(1, sizeof(*wheel));
	if (!wheel)
		return NULL;
	explicit_bzero(wheel, sizeof(*wheel)); // see pool_init
	wheel->now_us = now_us;
	wheel->tick = now_us / WHEEL_TICK_US;
	wheel->next_tick = TICK_OF_NEVER;
	return wheel;
}

void wheel_destroy(struct wheel *wheel)
{
	free(wheel);
}

void wheel_timer_init(struct wheel_timer *timer)
{
	*timer = (struct wheel_timer){0};
}

void wheel_arm(struct wheel *wheel, struct wheel_timer *timer, uint64_t deadline_us)
{
	if (deadline_us == UINT64_MAX) {
		wheel_cancel(wheel, timer);
		return;
	}
	timer->deadline_us = deadline_us;
	if (wheel_timer_armed(timer)) {
		// In time where it sits: wheel_expire moves it on from there.
		if (deadline_us > wheel->now_us && timer->slot_tick <= tick_of(deadline_us))
			return;
		unlink_timer(timer);
	} else {
		wheel->count++;
	}
	place(wheel, timer);
}

void wheel_cancel(struct wheel *wheel, struct wheel_timer *timer)
{
	if (!wheel_timer_armed(timer))
		return;
	unlink_timer(timer);
	wheel->count--;
}

struct wheel_timer *wheel_expire(struct wheel *wheel, uint64_t now_us)
{
	if (now_us > wheel->now_us)
		wheel->now_us = now_us;
	uint64_t target = wheel->now_us / WHEEL_TICK_US;
	for (;;) {
		while (wheel->due) {
			struct wheel_timer *timer = wheel->due;
			unlink_timer(timer);
			if (timer->deadline_us <= wheel->now_us) {
				wheel->count--;
				return timer;
			}
			place(wheel, timer); // re-armed for later while it was due
		}
		if (wheel->next_tick > target) {
			wheel->tick = target;
			return NULL;
		}
		wheel->tick = wheel->next_tick;
		enter_tick(wheel);
		wheel->next_tick = find_next_tick(wheel);
	}
}

uint64_t wheel_next_us(const struct wheel *wheel)
{
	if (wheel->count == 0)
		return UINT64_MAX;
	if (wheel->due)
		return wheel->now_us;
	if (wheel->next_tick > UINT64_MAX / WHEEL_TICK_US)
		return UINT64_MAX;
	return wheel->next_tick * WHEEL_TICK_US;
}

uint64_t wheel_count(const struct wheel *wheel)
{
	return wheel->count;
}
