// SPDX-License-Identifier: BSD-3-Clause
//
// Fetching ahead of need: nothing changes but the cache. A function that does nothing else is
// removed by the compiler as one without effect, so this one is always part of its caller.
#ifndef RELAYGATE_BASE_PREFETCH_H
#define RELAYGATE_BASE_PREFETCH_H

#include <stddef.h>
#include <stdint.h>

#define PREFETCH_LINE_BYTES 64

// The lines that these bytes begin in, to be read and written soon. Any address will do.
static inline __attribute__((always_inline)) void prefetch(const void *at, size_t bytes)
{
	for (size_t offset = 0; offset < bytes; offset += PREFETCH_LINE_BYTES)
		__builtin_prefetch((const uint8_t *)at + offset, 1);
}

#endif
