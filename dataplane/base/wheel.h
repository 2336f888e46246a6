// SPDX-License-Identifier: BSD-3-Clause
//
// A hierarchical timer wheel with intrusive timers: O(1) to arm, move and cancel; no allocation.
// A timer never fires early, and at the latest at its deadline rounded up to WHEEL_TICK_US; one
// that is armed for the past is due at once. Lazy re-arming: a timer whose deadline only moved
// later stays where it is; wheel_expire moves it on instead of firing it, so re-arming on every
// segment costs one store. Timers of one tick come in no particular order. One worker's own.
#ifndef RELAYGATE_BASE_WHEEL_H
#define RELAYGATE_BASE_WHEEL_H

#include <stdbool.h>
#include <stdint.h>

#define WHEEL_TICK_US 1000u

// Embedded in its owner, which outlives its stay in the wheel. Fields are the wheel's own.
struct wheel_timer {
	struct wheel_timer *next;
	struct wheel_timer **previous_next; // NULL when not in the wheel
	uint64_t deadline_us;               // wanted
	uint64_t slot_tick; // where it sits, in ticks: never later than it is wanted
};

struct wheel;

// now_us is the time the wheel starts at. NULL when out of memory.
struct wheel *wheel_create(uint64_t now_us);
// Forgets the timers that are still armed; they must not be used with wheel_cancel afterwards.
void wheel_destroy(struct wheel *wheel);

void wheel_timer_init(struct wheel_timer *timer);
// Arms or moves the timer. UINT64_MAX means never: it is then taken out, as by wheel_cancel.
void wheel_arm(struct wheel *wheel, struct wheel_timer *timer, uint64_t deadline_us);
// Takes the timer out; nothing happens when it is not armed.
void wheel_cancel(struct wheel *wheel, struct wheel_timer *timer);
static inline bool wheel_timer_armed(const struct wheel_timer *timer)
{
	return timer->previous_next != 0;
}

// The next timer that is due at now_us, taken out of the wheel; NULL when none is left. The caller
// loops; a timer armed meanwhile for the past is returned by the same loop. A now_us that lies
// before an earlier call's counts as that call's.
struct wheel_timer *wheel_expire(struct wheel *wheel, uint64_t now_us);

// A time not later than the next moment at which wheel_expire returns a timer, UINT64_MAX when no
// timer is armed: how long an idle loop (or a simulation) may sleep. After a loop over wheel_expire
// returned NULL, and nothing was armed for the past, it lies after that loop's now_us.
uint64_t wheel_next_us(const struct wheel *wheel);

// Number of timers in the wheel.
uint64_t wheel_count(const struct wheel *wheel);

#endif
