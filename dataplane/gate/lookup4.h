// SPDX-License-Identifier: BSD-3-Clause
//
// IPv4 source address -> source class: intervals under a direct index on the address's top bits.
// A slot of the index holds the class itself where one interval covers all of it, else the place of
// its intervals. Built once, then read-only.
#ifndef RELAYGATE_GATE_LOOKUP4_H
#define RELAYGATE_GATE_LOOKUP4_H

#include "dataplane/gate/intervals.h"
#include "dataplane/gate/memory.h"

struct lookup4 {
	struct memory slots;   // uint32_t, 2^(32 - shift)
	struct memory entries; // one an interval, ascending
	struct memory longs;   // of slots with many intervals
	unsigned shift;
	uint32_t interval_count;
};

// 0 or -ENOMEM; lookup4_fini is due in both cases.
int lookup4_build(struct lookup4 *lookup, const struct intervals *intervals);
void lookup4_fini(struct lookup4 *lookup);
// The classes of count addresses (host byte order), interleaved so that cache misses overlap: give
// a burst at a time.
void lookup4_find(const struct lookup4 *lookup, const uint32_t addresses[], unsigned count,
		  uint32_t classes[]);
size_t lookup4_memory(const struct lookup4 *lookup);

#endif
