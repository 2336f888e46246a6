// SPDX-License-Identifier: BSD-3-Clause
//
// Memory of the tables and pools that are taken once, at start. Large ones ask for huge pages:
// their entries are touched at random, and with small pages each touch would miss the TLB as well.
#ifndef RELAYGATE_BASE_BLOCK_H
#define RELAYGATE_BASE_BLOCK_H

#include <stddef.h>

// Zeroed, and every page is there from the start: a flood must not find the machine short of memory
// that was promised. Aligned to 64 bytes at least; to be given to free(). NULL when there is not
// enough; not for 0 bytes.
void *block_allocate(size_t bytes);

#endif
