// SPDX-License-Identifier: BSD-3-Clause
//
// TCP options on the wire (RFC 9293 3.1, RFC 7323, RFC 2018): parse and write. SACK blocks are
// apart from struct tcp_options: they belong to one segment, the rest to a handshake.
#ifndef RELAYGATE_TCP_OPTIONS_H
#define RELAYGATE_TCP_OPTIONS_H

#include "dataplane/base/slice.h"
#include "dataplane/base/tcp_options.h"

// False when an option has length 0, 1 or runs past the end (parsing stops there; *out then holds
// what was read so far). Unknown options are skipped; of duplicates the first counts. syn: MSS,
// window scale and SACK-permitted count only on SYNs (RFC 7323 2.2).
bool options_parse(struct slice bytes, bool syn, struct tcp_options *out);

// What goes into a segment; fields at their "absent" values are left out. Returns the bytes
// written, padded with NOPs to a multiple of 4, at most 40.
uint8_t options_write(const struct tcp_options *options, uint8_t buffer[40]);

// ---- Selective acknowledgment (RFC 2018) -------------------------------------------------------
#define SACK_BLOCKS_MAX 4 // that 40 bytes of options have room for; 3 beside timestamps

struct sack_block {
	uint32_t start;
	uint32_t end; // one past the last
};
struct sack_blocks {
	uint32_t count;
	struct sack_block block[SACK_BLOCKS_MAX];
};

// The blocks of the first SACK option, as they stand there: nothing of them is checked but that the
// option is whole. None when there is no such option, or one with half a block.
void options_parse_sack(struct slice bytes, struct sack_blocks *out);
// Appends the blocks behind `used` bytes of other options (a multiple of 4) and returns the new
// length; the caller knows that they fit. Writes nothing when there are none.
uint8_t options_write_sack(const struct sack_blocks *blocks, uint8_t buffer[40], uint8_t used);
// Bytes that count blocks take in a header.
static inline uint32_t options_sack_bytes(uint32_t count)
{
	return count == 0 ? 0 : 4 + 8 * count;
}

#endif
