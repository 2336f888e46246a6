// SPDX-License-Identifier: BSD-3-Clause
//
// Source classes. A class is a nest of connectors: those whose ranges contain an address, innermost
// first. Nests share their outer parts, so each is one connector and the class around it. Class 0
// is the empty nest: an address in no range at all.
#ifndef RELAYGATE_GATE_NESTS_H
#define RELAYGATE_GATE_NESTS_H

#include <stdint.h>

struct nest {
	uint32_t outer; // the class without the innermost connector; always a smaller number
	uint16_t connector;
};

struct nests {
	struct nest *list; // indexed by class; list[0] is the empty nest
	uint32_t count;
	uint32_t capacity;
	uint32_t *table; // hash of {outer, connector} -> class, 0 = free
	uint32_t table_mask;
};

// 0 or -ENOMEM; then nests_fini is still due.
int nests_init(struct nests *nests);
void nests_fini(struct nests *nests);
// The class of a connector inside another class, made when it is new. A connector directly inside
// itself changes nothing. 0 (never a class that this returns) when out of memory.
uint32_t nests_inside(struct nests *nests, uint32_t outer, uint16_t connector);

#endif
