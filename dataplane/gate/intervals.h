// SPDX-License-Identifier: BSD-3-Clause
//
// Ranges of connectors -> disjoint intervals of source addresses, each with its source class
// (nests.h). Addresses are plain numbers here, so that both families share one sweep.
#ifndef RELAYGATE_GATE_INTERVALS_H
#define RELAYGATE_GATE_INTERVALS_H

#include <string.h>

#include "config/address.h"
#include "dataplane/gate/nests.h"

// An address within its family: 0 to 2^32 - 1, or 0 to 2^128 - 1.
typedef unsigned __int128 address_number;

// *number of an address; true for IPv4. Inline, because each packet asks it.
static inline bool address_number_of(const struct address *address, address_number *number)
{
	uint64_t halves[2];
	memcpy(halves, address->bytes, sizeof(halves));
	uint64_t high = __builtin_bswap64(halves[0]), low = __builtin_bswap64(halves[1]);
	if (high == 0 && low >> 32 == 0xffff) {
		*number = (uint32_t)low;
		return true;
	}
	*number = (address_number)high << 64 | low;
	return false;
}

struct source_range {
	address_number first;
	address_number last;
	uint16_t connector;
};

// From first up to the next interval's first, or to the end of the family.
struct interval {
	address_number first;
	uint32_t source_class;
};

struct intervals {
	struct interval *list; // ascending; list[0].first is 0
	uint32_t count;        // at least 1; neighbours differ in class
	uint32_t capacity;
};

// Sweeps over the ranges of one family whose largest address is `largest`. Ranges of connectors
// that share a binding are nested or apart; others may overlap in any way. 0 or -ENOMEM.
// intervals_fini is due in both cases.
int intervals_build(struct intervals *intervals, const struct source_range *ranges, uint32_t count,
		    address_number largest, struct nests *nests);
void intervals_fini(struct intervals *intervals);

#endif
