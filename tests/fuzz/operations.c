// SPDX-License-Identifier: BSD-3-Clause
//
// Operations on disk and in a TCP header: see operations.h.
#include "tests/fuzz/operations.h"

#include "dataplane/net/wire.h"
#include "dataplane/tcp/options.h"

bool operation_next(struct cursor *cursor, struct operation *operation)
{
	const uint8_t *at = cursor_take(cursor, OPERATION_BYTES).data;

	if (cursor->failed)
		return false;
	*operation = (struct operation){
		.kind = at[0],
		.who = at[1],
		.choice = at[2],
		.flags = at[3],
		.place = at[4],
		.ack_place = at[5],
		.options = at[6],
		.length = at[7],
		.delta = (int16_t)get_u16(at + 8),
		.ack_delta = (int16_t)get_u16(at + 10),
		.window = get_u16(at + 12),
		.size = get_u16(at + 14),
	};
	if (operation->length > cursor->rest.length)
		operation->length = (uint8_t)cursor->rest.length;
	operation->bytes = cursor_take(cursor, operation->length);
	return true;
}

static uint8_t write_blocks(const struct operation *operation, uint32_t base, uint8_t buffer[40],
			    uint8_t used)
{
	struct sack_blocks blocks = {0};
	unsigned room = (40u - used - 4) / 8;

	for (unsigned i = 0; i + 4 <= operation->bytes.length && blocks.count < room; i += 4) {
		const uint8_t *at = operation->bytes.data + i;
		struct sack_block *block = &blocks.block[blocks.count++];

		block->start = base + (uint32_t)(int16_t)get_u16(at);
		block->end = block->start + get_u16(at + 2);
		if (blocks.count == SACK_BLOCKS_MAX)
			break;
	}
	return options_write_sack(&blocks, buffer, used);
}

uint8_t operation_write_options(const struct operation *operation, bool syn,
				struct operation_time time, uint32_t base, uint8_t buffer[40])
{
	uint8_t bits = operation->options;
	struct tcp_options options = {
		.mss = syn && (bits & OPERATION_MSS) ? operation->size : 0,
		.window_scale = syn && (bits & OPERATION_SCALE) ? operation->choice % 16
								: TCP_NO_WINDOW_SCALE,
		.sack_permitted = syn && (bits & OPERATION_SACK_PERMITTED),
		.timestamps = time.timestamps && !(bits & OPERATION_NO_TIMESTAMPS),
		.timestamp_value = time.value,
		.timestamp_echo = time.echo,
	};
	uint8_t used;

	if (bits & OPERATION_RAW_OPTIONS) {
		struct slice raw = slice_first(operation->bytes, 40);

		used = (uint8_t)((raw.length + 3) & ~3u);
		memset(buffer, 1, used);
		memcpy(buffer, raw.data, raw.length);
		return used;
	}
	if (bits & OPERATION_OLD_TIME)
		options.timestamp_value += (uint32_t)(int32_t)operation->ack_delta;
	used = options_write(&options, buffer);
	if ((bits & OPERATION_SACK) && used <= 28)
		used = write_blocks(operation, base, buffer, used);
	return used;
}
