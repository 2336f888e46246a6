// SPDX-License-Identifier: BSD-3-Clause
//
// The time of one loop turn. Read once by io/ (or invented by a test) and passed in; nothing below
// io/ reads a clock.
#ifndef RELAYGATE_BASE_TICK_H
#define RELAYGATE_BASE_TICK_H

#include <stdint.h>

struct tick {
	uint64_t now_us;  // monotonic, microseconds
	uint64_t wall_us; // since 1970-01-01 UTC, microseconds; only for texts that people read
};

#endif
