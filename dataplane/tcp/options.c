// SPDX-License-Identifier: BSD-3-Clause
//
// TCP options as bytes: parse (untrusted) and write. Knows MSS, window scale, SACK-permitted and
// timestamps, and SACK blocks by a call of their own; every other option is skipped by its length.
#include "dataplane/tcp/options.h"

#include "dataplane/base/cursor.h"

enum option_kind {
	OPTION_END = 0,
	OPTION_NOP = 1,
	OPTION_MSS = 2,
	OPTION_WINDOW_SCALE = 3,
	OPTION_SACK_PERMITTED = 4,
	OPTION_SACK = 5,
	OPTION_TIMESTAMPS = 8,
};

enum option_length { // kind and length bytes included
	LENGTH_MSS = 4,
	LENGTH_WINDOW_SCALE = 3,
	LENGTH_SACK_PERMITTED = 2,
	LENGTH_TIMESTAMPS = 10,
	LENGTH_SACK_BLOCK = 8,
};

#define WINDOW_SCALE_MAX 14 // RFC 7323 2.3

struct option {
	uint8_t kind;
	struct slice body;
};

// The next option that is not padding; false at the end, and with cursor->failed at a fault.
// Inlined, as the next one: a cursor that is kept in registers halves what a segment's options
// cost.
static inline __attribute__((always_inline)) bool next_option(struct cursor *cursor,
							      struct option *option)
{
	while (cursor->rest.length > 0) {
		option->kind = cursor_u8(cursor);
		if (option->kind == OPTION_END)
			return false;
		if (option->kind == OPTION_NOP)
			continue;
		uint8_t length = cursor_u8(cursor);
		// Length 0 or 1 would never move on; a missing length byte reads as 0.
		if (length < 2) {
			cursor->failed = true;
			return false;
		}
		option->body = cursor_take(cursor, length - 2);
		// An option past the end of the header would read payload.
		return !cursor->failed;
	}
	return false;
}

// One option that may count. A known kind with another length than its own means nothing to us and
// is skipped as an unknown one.
static inline __attribute__((always_inline)) void take_option(uint8_t kind, struct slice body,
							      bool syn, struct tcp_options *out)
{
	struct cursor cursor = cursor_of(body);

	if (kind == OPTION_MSS && body.length == LENGTH_MSS - 2 && syn) {
		out->mss = cursor_u16(&cursor);
	} else if (kind == OPTION_WINDOW_SCALE && body.length == LENGTH_WINDOW_SCALE - 2 && syn) {
		uint8_t scale = cursor_u8(&cursor);
		// A larger shift would let one segment's window pass 2^30.
		out->window_scale = scale > WINDOW_SCALE_MAX ? WINDOW_SCALE_MAX : scale;
	} else if (kind == OPTION_SACK_PERMITTED && body.length == LENGTH_SACK_PERMITTED - 2 &&
		   syn) {
		out->sack_permitted = true;
	} else if (kind == OPTION_TIMESTAMPS && body.length == LENGTH_TIMESTAMPS - 2) {
		out->timestamps = true;
		out->timestamp_value = cursor_u32(&cursor);
		out->timestamp_echo = cursor_u32(&cursor);
	}
}

bool options_parse(struct slice bytes, bool syn, struct tcp_options *out)
{
	struct cursor cursor = cursor_of(bytes);
	uint32_t seen = 0; // bit n: kind n was there; only the first of duplicates counts
	struct option option;

	*out = (struct tcp_options){.window_scale = TCP_NO_WINDOW_SCALE};
	while (next_option(&cursor, &option)) {
		if (option.kind > OPTION_TIMESTAMPS || (seen >> option.kind & 1))
			continue;
		seen |= 1u << option.kind;
		take_option(option.kind, option.body, syn, out);
	}
	return !cursor.failed;
}

void options_parse_sack(struct slice bytes, struct sack_blocks *out)
{
	struct cursor cursor = cursor_of(bytes);
	struct option option;

	out->count = 0;
	do {
		if (!next_option(&cursor, &option))
			return;
	} while (option.kind != OPTION_SACK);
	// Half a block: who wrote that cannot be believed the other half.
	if (option.body.length % LENGTH_SACK_BLOCK != 0)
		return;
	cursor = cursor_of(option.body);
	while (cursor.rest.length > 0 && out->count < SACK_BLOCKS_MAX) {
		struct sack_block *block = &out->block[out->count++];
		block->start = cursor_u32(&cursor);
		block->end = cursor_u32(&cursor);
	}
}

static uint8_t *put_u32(uint8_t *to, uint32_t value)
{
	to[0] = value >> 24;
	to[1] = value >> 16;
	to[2] = value >> 8;
	to[3] = value;
	return to + 4;
}

// Each option is led by the NOPs that make it a multiple of 4, so the next one is aligned too.
uint8_t options_write(const struct tcp_options *options, uint8_t buffer[40])
{
	uint8_t *at = buffer;

	if (options->mss != 0)
		at = put_u32(at, (uint32_t)OPTION_MSS << 24 | LENGTH_MSS << 16 | options->mss);
	if (options->window_scale != TCP_NO_WINDOW_SCALE)
		at = put_u32(at, (uint32_t)OPTION_NOP << 24 | OPTION_WINDOW_SCALE << 16 |
					 LENGTH_WINDOW_SCALE << 8 | options->window_scale);
	if (options->sack_permitted)
		at = put_u32(at, (uint32_t)OPTION_NOP << 24 | OPTION_NOP << 16 |
					 OPTION_SACK_PERMITTED << 8 | LENGTH_SACK_PERMITTED);
	if (options->timestamps) {
		at = put_u32(at, (uint32_t)OPTION_NOP << 24 | OPTION_NOP << 16 |
					 OPTION_TIMESTAMPS << 8 | LENGTH_TIMESTAMPS);
		at = put_u32(at, options->timestamp_value);
		at = put_u32(at, options->timestamp_echo);
	}
	return (uint8_t)(at - buffer);
}

uint8_t options_write_sack(const struct sack_blocks *blocks, uint8_t buffer[40], uint8_t used)
{
	uint8_t *at = buffer + used;

	if (blocks->count == 0)
		return used;
	at = put_u32(at, (uint32_t)OPTION_NOP << 24 | OPTION_NOP << 16 | OPTION_SACK << 8 |
				 (2 + LENGTH_SACK_BLOCK * blocks->count));
	for (uint32_t i = 0; i < blocks->count; i++) {
		at = put_u32(at, blocks->block[i].start);
		at = put_u32(at, blocks->block[i].end);
	}
	return (uint8_t)(at - buffer);
}
