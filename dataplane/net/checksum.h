// SPDX-License-Identifier: BSD-3-Clause
//
// The Internet checksum (RFC 1071), summed eight bytes at a time in the machine's own byte order:
// the sum commutes with byte swapping, so nothing is swapped until a field is stored. What is
// carried out at the top of 64 bits comes in at the bottom. Headers are summed where they are used:
// a SYN and its answer have six such sums of few bytes each.
#ifndef RELAYGATE_NET_CHECKSUM_H
#define RELAYGATE_NET_CHECKSUM_H

#include <arpa/inet.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

// So many bytes of a constant number are summed without a call.
#define CHECKSUM_SHORT 32

static inline uint64_t checksum_load_u64(const uint8_t *at)
{
	uint64_t value;
	memcpy(&value, at, sizeof(value));
	return value;
}

static inline uint32_t checksum_load_u32(const uint8_t *at)
{
	uint32_t value;
	memcpy(&value, at, sizeof(value));
	return value;
}

// Ones' complement: RFC 1071.
static inline uint64_t checksum_add_word(uint64_t sum, uint64_t value)
{
	sum += value;
	return sum + (sum < value);
}

// checksum_add of any number of bytes.
uint64_t checksum_add_long(uint64_t sum, const void *bytes, size_t length);

// sum with length bytes added. Only the last run of a packet may have an odd length.
static inline __attribute__((always_inline)) uint64_t checksum_add(uint64_t sum, const void *bytes,
								   size_t length)
{
	const uint8_t *at = bytes;

	if (!__builtin_constant_p(length) || length > CHECKSUM_SHORT || length % 4)
		return checksum_add_long(sum, bytes, length);
	for (; length >= 8; at += 8, length -= 8)
		sum = checksum_add_word(sum, checksum_load_u64(at));
	return length ? checksum_add_word(sum, checksum_load_u32(at)) : sum;
}

// sum with the pseudo header of a packet added: ip points at a complete IPv4 or IPv6 header, length
// counts the bytes from the transport header on, protocol is the transport's (RFC 9293 3.1,
// RFC 8200 8.1).
static inline uint64_t checksum_add_pseudo(uint64_t sum, const uint8_t *ip, uint8_t protocol,
					   uint32_t length)
{
	if (ip[0] >> 4 == 4)
		sum = checksum_add(sum, ip + 12, 8);
	else
		sum = checksum_add(sum, ip + 8, 32);
	// 34 bits at most: one carry of both
	return checksum_add_word(sum, (uint64_t)htonl(length) + htons(protocol));
}

// Each half is added to the other: what the lower one carries out, the upper one has taken in.
static inline uint16_t checksum_fold(uint64_t sum)
{
	uint32_t half = (uint32_t)((sum + (sum << 32 | sum >> 32)) >> 32);

	return (uint16_t)((half + (half << 16 | half >> 16)) >> 16);
}

// True when everything summed, the checksum field included, is as its sender made it.
static inline bool checksum_good(uint64_t sum)
{
	return checksum_fold(sum) == 0xffff;
}

// Writes the checksum of sum (to which the field itself contributed zero) to the two bytes at
// field.
static inline void checksum_store(uint8_t *field, uint64_t sum)
{
	uint16_t value = (uint16_t)~checksum_fold(sum);
	memcpy(field, &value, sizeof(value));
}

#endif
