// SPDX-License-Identifier: BSD-3-Clause
//
// See pace.h. Seconds of his time that nothing was done in are emptied when the next amount comes;
// whoever measures passes them over.
#include "dataplane/base/pace.h"

#include <string.h>

#define SECOND_US 1000000ull
#define PLACES    (PACE_SECONDS + 1)

static uint64_t time_of(const struct pace *pace, uint64_t now_us)
{
	return pace->spent_us + (pace->runs_us < now_us ? now_us - pace->runs_us : 0);
}

void pace_begin(struct pace *pace, uint64_t now_us)
{
	memset(pace, 0, sizeof(*pace));
	pace->runs_us = now_us;
}

void pace_take(struct pace *pace, uint32_t amount, uint64_t now_us)
{
	uint64_t second;

	if (pace->runs_us != PACE_STOPPED && pace->runs_us > now_us)
		pace->runs_us = now_us;
	second = time_of(pace, now_us) / SECOND_US;
	if (second - pace->second >= PLACES) {
		memset(pace->taken, 0, sizeof(pace->taken));
		pace->second = second;
	}
	while (pace->second < second)
		pace->taken[++pace->second % PLACES] = 0;
	pace->taken[second % PLACES] += amount;
}

void pace_stop(struct pace *pace, uint64_t now_us)
{
	if (pace->runs_us == PACE_STOPPED)
		return;
	pace->spent_us = time_of(pace, now_us);
	pace->runs_us = PACE_STOPPED;
	pace->stopped_us = now_us;
}

void pace_go_on(struct pace *pace, bool doubt, uint64_t now_us)
{
	if (pace->runs_us == PACE_STOPPED)
		pace->runs_us = now_us + (doubt ? now_us - pace->stopped_us : 0);
}

bool pace_measure(const struct pace *pace, uint64_t now_us, uint64_t *amount)
{
	const uint64_t second = time_of(pace, now_us) / SECOND_US;

	*amount = 0;
	if (second < PACE_SECONDS)
		return false;
	for (unsigned back = 0; back < PLACES; back++)
		if (second - back <= pace->second && pace->second - (second - back) < PLACES)
			*amount += pace->taken[(second - back) % PLACES];
	return true;
}
