// SPDX-License-Identifier: BSD-3-Clause
//
// A borrowed run of bytes: pointer and length. Owns nothing; whoever hands one out says how long it
// lives. The only form in which bytes travel between folders.
#ifndef RELAYGATE_BASE_SLICE_H
#define RELAYGATE_BASE_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct slice {
	const uint8_t *data;
	size_t length;
};

static inline struct slice slice_of(const void *data, size_t length)
{
	return (struct slice){data, length};
}

static inline struct slice slice_of_text(const char *text)
{
	return (struct slice){(const uint8_t *)text, strlen(text)};
}

// The bytes from offset on; empty when the slice is shorter.
static inline struct slice slice_from(struct slice slice, size_t offset)
{
	if (offset > slice.length)
		offset = slice.length;
	return (struct slice){slice.data + offset, slice.length - offset};
}

// The first length bytes, or all of a shorter slice.
static inline struct slice slice_first(struct slice slice, size_t length)
{
	if (length > slice.length)
		length = slice.length;
	return (struct slice){slice.data, length};
}

static inline bool slice_equals_text(struct slice slice, const char *text)
{
	return slice.length == strlen(text) && memcmp(slice.data, text, slice.length) == 0;
}

#endif
