// SPDX-License-Identifier: BSD-3-Clause
//
// libFuzzer: TCP options in a heap block of exactly their length. What was read is written and read
// again: it must be the same.
//
// runs: 100000
#include "dataplane/tcp/options.h"

#include <assert.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void again(const struct tcp_options *options, bool syn)
{
	uint8_t buffer[40];
	struct tcp_options second;
	uint8_t length = options_write(options, buffer);

	assert(length <= 40 && length % 4 == 0);
	assert(options_parse(slice_of(buffer, length), syn, &second));
	assert(second.mss == options->mss && second.window_scale == options->window_scale);
	assert(second.sack_permitted == options->sack_permitted);
	assert(second.timestamps == options->timestamps);
	assert(!options->timestamps || (second.timestamp_value == options->timestamp_value &&
					second.timestamp_echo == options->timestamp_echo));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct tcp_options options;
	struct sack_blocks blocks, second;
	uint8_t buffer[40];

	if (size > 40)
		return 0;
	uint8_t *bytes = malloc(size);
	memcpy(bytes, data, size);
	for (unsigned syn = 0; syn < 2; syn++)
		if (options_parse(slice_of(bytes, size), syn, &options))
			again(&options, syn);
	options_parse_sack(slice_of(bytes, size), &blocks);
	free(bytes);
	assert(blocks.count <= SACK_BLOCKS_MAX);
	uint8_t length = options_write_sack(&blocks, buffer, 0);
	options_parse_sack(slice_of(buffer, length), &second);
	assert(second.count == blocks.count);
	assert(memcmp(second.block, blocks.block, blocks.count * sizeof(blocks.block[0])) == 0);
	return 0;
}
