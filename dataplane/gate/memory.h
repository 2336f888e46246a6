// SPDX-License-Identifier: BSD-3-Clause
//
// Blocks of zeroed memory straight from the system, for look-up tables: page-aligned, transparent
// huge pages asked for (a table of many megabytes otherwise costs a TLB miss for each look-up), and
// given back to the system as a whole when a ruleset is replaced.
#ifndef RELAYGATE_GATE_MEMORY_H
#define RELAYGATE_GATE_MEMORY_H

#include <stddef.h>

struct memory {
	void *data;
	size_t bytes;
};

// bytes may be 0: data is then valid but holds nothing. 0 or -ENOMEM.
int memory_map(struct memory *memory, size_t bytes);
// Makes the block read-only: a stray write elsewhere is then a fault here, not a wrong verdict.
void memory_seal(struct memory *memory);
// Nothing happens for a zeroed struct.
void memory_unmap(struct memory *memory);

#endif
