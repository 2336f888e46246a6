// SPDX-License-Identifier: BSD-3-Clause
//
// Who is dropped the most, in fixed memory: the Space-Saving sketch (Metwally, Agrawal, El Abbadi
// 2005) in sets of OFFENDERS_WAYS sources by a keyed hash. A source is an IPv4 address or an IPv6
// /64, all of which one host has. One that is not in its set takes
// the place and the number of the smallest there, and remembers that number as what its own may be
// too high by. So a number is never too low (but for sampling, below), it is too high by its `over`
// at most, which is at most the frames that fell into its set divided by OFFENDERS_WAYS, and every
// source with more than that is there: of N frames of well spread sources, N / OFFENDERS_ENTRIES.
//
// Numbers are halved every OFFENDERS_HALF_LIFE_US, counted from the start. Written by one worker;
// any thread may read.
#ifndef RELAYGATE_GATE_OFFENDERS_H
#define RELAYGATE_GATE_OFFENDERS_H

#include "bpf/counters.h"
#include "config/address.h"

#include <stdbool.h>
#include <stddef.h>

#define OFFENDERS_WAYS         4
#define OFFENDERS_SETS         256
#define OFFENDERS_ENTRIES      (OFFENDERS_SETS * OFFENDERS_WAYS)
#define OFFENDERS_HALF_LIFE_US (UINT64_C(1) << 29) // 9 minutes

struct offenders;

struct offender {
	struct address source; // of IPv6 the prefix
	uint64_t frames;
	uint64_t over;
	uint64_t seen_us;   // by the clock of offenders_note
	enum reason reason; // of the last one
};

// key: any random bits; who does not know them cannot choose sources that share a set. NULL when
// out of memory.
struct offenders *offenders_create(uint64_t key, uint64_t now_us);
void offenders_destroy(struct offenders *offenders); // NULL is fine

// `weight` frames of the source were dropped. A source of zeros (not known) is left out.
void offenders_note(struct offenders *offenders, const struct address *source, enum reason reason,
		    uint32_t weight, uint64_t now_us);

// All sources that are known now, in no order: how many of at most OFFENDERS_ENTRIES. From any
// thread; a set that changes all the time is left out.
unsigned offenders_read(const struct offenders *offenders, uint64_t now_us,
			struct offender out[OFFENDERS_ENTRIES]);

#endif
