// SPDX-License-Identifier: BSD-3-Clause
//
// Bounds-checked reading of untrusted bytes, front to back. A read past the end yields zero and
// leaves the cursor failed for good, so a parser may read a whole header and test once.
// Multi-byte reads take network byte order and return host byte order.
#ifndef RELAYGATE_BASE_CURSOR_H
#define RELAYGATE_BASE_CURSOR_H

#include "dataplane/base/slice.h"

struct cursor {
	struct slice rest;
	bool failed;
};

static inline struct cursor cursor_of(struct slice slice)
{
	return (struct cursor){slice, false};
}

// The next length bytes, or an empty slice and failure.
static inline struct slice cursor_take(struct cursor *cursor, size_t length)
{
	if (cursor->failed || length > cursor->rest.length) {
		cursor->failed = true;
		return (struct slice){cursor->rest.data, 0};
	}
	struct slice taken = {cursor->rest.data, length};
	cursor->rest = slice_from(cursor->rest, length);
	return taken;
}

static inline uint8_t cursor_u8(struct cursor *cursor)
{
	struct slice taken = cursor_take(cursor, 1);
	return taken.length ? taken.data[0] : 0;
}

static inline uint16_t cursor_u16(struct cursor *cursor)
{
	struct slice taken = cursor_take(cursor, 2);
	return taken.length ? (uint16_t)(taken.data[0] << 8 | taken.data[1]) : 0;
}

static inline uint32_t cursor_u32(struct cursor *cursor)
{
	uint32_t high = cursor_u16(cursor);
	return high << 16 | cursor_u16(cursor);
}

#endif
