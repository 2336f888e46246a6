// SPDX-License-Identifier: BSD-3-Clause
//
// The Internet checksum of many bytes. DPDK's rte_raw_cksum would serve, but it adds two bytes at a
// time; payload is summed for every segment sent and received, so this one is worth its lines.
#include "dataplane/net/checksum.h"

// The last 7 bytes or fewer, in words of the machine's order; a missing byte counts as zero.
static uint64_t add_rest(uint64_t sum, const uint8_t *at, size_t length)
{
	uint16_t two;

	if (length & 4) {
		sum = checksum_add_word(sum, checksum_load_u32(at));
		at += 4;
	}
	if (length & 2) {
		memcpy(&two, at, sizeof(two));
		sum = checksum_add_word(sum, two);
		at += sizeof(two);
	}
	if (length & 1) {
		memcpy(&two, (uint8_t[]){*at, 0}, sizeof(two));
		sum = checksum_add_word(sum, two);
	}
	return sum;
}

uint64_t checksum_add_long(uint64_t sum, const void *bytes, size_t length)
{
	const uint8_t *at = bytes;
	uint64_t second = 0; // two chains of additions, so that they overlap

	for (; length >= 32; at += 32, length -= 32) {
		sum = checksum_add_word(checksum_add_word(sum, checksum_load_u64(at)),
					checksum_load_u64(at + 8));
		second = checksum_add_word(checksum_add_word(second, checksum_load_u64(at + 16)),
					   checksum_load_u64(at + 24));
	}
	for (; length >= 8; at += 8, length -= 8)
		sum = checksum_add_word(sum, checksum_load_u64(at));
	if (length)
		sum = add_rest(sum, at, length);
	return checksum_add_word(sum, second);
}
