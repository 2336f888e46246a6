// SPDX-License-Identifier: BSD-3-Clause
//
// How fast somebody goes on: an amount (octets, recipients) over the last PACE_SECONDS of *his*
// time, which stands still while it is not his turn. A ring of seconds in place; nothing to free.
// Does not know what is too slow, nor whose turn it is.
#ifndef RELAYGATE_BASE_PACE_H
#define RELAYGATE_BASE_PACE_H

#include <stdbool.h>
#include <stdint.h>

// The window. The second that has begun counts with it, so that who does exactly what is asked in
// each window is never found to have done less.
#define PACE_SECONDS 10

struct pace {
	uint64_t spent_us;   // his time until it stood still last
	uint64_t runs_us;    // it runs from then on; PACE_STOPPED
	uint64_t stopped_us; // when it came to stand still
	uint64_t second;     // the newest one of `taken`
	uint32_t taken[PACE_SECONDS + 1];
};
#define PACE_STOPPED UINT64_MAX

// Nothing is done yet, and his time runs.
void pace_begin(struct pace *pace, uint64_t now_us);
// So much more is done. His time runs again, if pace_go_on let it wait.
void pace_take(struct pace *pace, uint32_t amount, uint64_t now_us);
// It is not his turn, from now on. Idempotent.
void pace_stop(struct pace *pace, uint64_t now_us);
// It is his turn again; idempotent. doubt: he may not know it yet, and asks the more seldom the
// longer it took (a closed window is probed at growing intervals, RFC 9293 section 3.8.6.1): his
// time waits for him, as long as it stood still.
void pace_go_on(struct pace *pace, bool doubt, uint64_t now_us);
// What was done in the window. False while less than a window of his time is over.
bool pace_measure(const struct pace *pace, uint64_t now_us, uint64_t *amount);

#endif
