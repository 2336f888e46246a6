// SPDX-License-Identifier: BSD-3-Clause
//
// IPv6 source address -> source class. Real lists crowd into few prefixes (2001:db8::/32, one /48
// of many hosts), so an index on fixed bits would put them all into one slot. Here a node spreads
// its slots evenly between the first and the last interval that it holds, and a crowded slot is a
// node of its own. Built once, then read-only.
#ifndef RELAYGATE_GATE_LOOKUP6_H
#define RELAYGATE_GATE_LOOKUP6_H

#include "dataplane/gate/intervals.h"
#include "dataplane/gate/memory.h"

struct lookup6 {
	struct memory nodes; // the first is the root
	struct memory slots; // uint32_t, those of a node side by side
	struct memory longs; // of slots with many intervals that no node may spread any more
	struct memory entries;
	uint32_t interval_count;
};

// 0 or -ENOMEM; lookup6_fini is due in both cases.
int lookup6_build(struct lookup6 *lookup, const struct intervals *intervals);
void lookup6_fini(struct lookup6 *lookup);
// The classes of count addresses, at most LOOKUP6_BURST, interleaved so that cache misses overlap.
#define LOOKUP6_BURST 64
void lookup6_find(const struct lookup6 *lookup, const address_number addresses[], unsigned count,
		  uint32_t classes[]);
size_t lookup6_memory(const struct lookup6 *lookup);

#endif
