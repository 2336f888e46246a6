// SPDX-License-Identifier: BSD-3-Clause
//
// What flood.c and wire.c share: internet checksums (RFC 1071) of frames that they make, and random
// numbers that are the same for the same seed. Nothing of it is the product's.
#ifndef RELAYGATE_TESTS_SYSTEM_FRAME_H
#define RELAYGATE_TESTS_SYSTEM_FRAME_H

#include <stdint.h>

// splitmix64: good enough to spread sources and ports and to lose frames.
static inline uint64_t next_random(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return z ^ (z >> 31);
}

// length: even.
static inline uint32_t sum_words(uint32_t sum, const uint8_t *bytes, uint32_t length)
{
	for (uint32_t i = 0; i + 1 < length; i += 2)
		sum += (uint32_t)(bytes[i] << 8 | bytes[i + 1]);
	return sum;
}

static inline void store_checksum(uint8_t *at, uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	at[0] = (uint8_t)(~sum >> 8);
	at[1] = (uint8_t)~sum;
}

#endif
