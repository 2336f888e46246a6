// SPDX-License-Identifier: BSD-3-Clause
//
// A hierarchical timer wheel with intrusive timers: O(1) to arm, move and cancel; no allocation.
// Resolution is WHEEL_TICK_US; a timer never fires early. Lazy re-arming: a timer whose deadline
// only moved later may stay where it is; wheel_advance moves it on instead of firing it.
// One worker's own.
#ifndef RELAYGATE_BASE_WHEEL_H
#define RELAYGATE_BASE_WHEEL_H

#include <stdbool.h>
#include <stdint.h>

#define WHEEL_TICK_US 1000u

struct wheel_timer {
	struct wheel_timer *next;
	struct wheel_timer **previous_next; // NULL when not in the wheel
	uint64_t deadline_us;               // wanted
	uint64_t slot_us;                   // where it sits: never later than wanted
};

struct wheel;

// now_us is the time the wheel starts at. NULL when out of memory.
struct wheel *wheel_create(uint64_t now_us);
void wheel_destroy(struct wheel *wheel);

void wheel_timer_init(struct wheel_timer *timer);
// Arms or moves the timer.
void wheel_arm(struct wheel *wheel, struct wheel_timer *timer, uint64_t deadline_us);
void wheel_cancel(struct wheel *wheel, struct wheel_timer *timer);
static inline bool wheel_timer_armed(const struct wheel_timer *timer)
{
	return timer->previous_next != 0;
}

// The next timer that is due at now_us, taken out of the wheel; NULL when none is left. The caller
// loops; a timer armed meanwhile for the past is returned by the same loop.
struct wheel_timer *wheel_expire(struct wheel *wheel, uint64_t now_us);

// A time not later than the earliest deadline, UINT64_MAX when no timer is armed: how long an idle
// loop (or a simulation) may sleep.
uint64_t wheel_next_us(const struct wheel *wheel);

// Number of timers in the wheel.
uint64_t wheel_count(const struct wheel *wheel);

#endif
