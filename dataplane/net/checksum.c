// SPDX-License-Identifier: BSD-3-Clause
//
// The Internet checksum. DPDK's rte_raw_cksum would serve, but it adds two bytes at a time; payload
// is summed for every segment sent and received, so this one is worth its forty lines.
#include "dataplane/net/checksum.h"

#include <arpa/inet.h>
#include <string.h>

#include "dataplane/net/wire.h"

static uint64_t load_u64(const uint8_t *at)
{
	uint64_t value;
	memcpy(&value, at, sizeof(value));
	return value;
}

static uint64_t halves(uint64_t value)
{
	return (value & UINT32_MAX) + (value >> 32);
}

// Ones' complement: what is carried out at the top comes in at the bottom (RFC 1071).
static uint64_t add(uint64_t sum, uint64_t value)
{
	sum += value;
	return sum + (sum < value);
}

// The last 7 bytes or fewer, in words of the machine's order; a missing byte counts as zero.
static uint64_t add_rest(uint64_t sum, const uint8_t *at, size_t length)
{
	uint32_t four;
	uint16_t two;

	if (length & 4) {
		memcpy(&four, at, sizeof(four));
		sum = add(sum, four);
		at += sizeof(four);
	}
	if (length & 2) {
		memcpy(&two, at, sizeof(two));
		sum = add(sum, two);
		at += sizeof(two);
	}
	if (length & 1) {
		memcpy(&two, (uint8_t[]){*at, 0}, sizeof(two));
		sum = add(sum, two);
	}
	return sum;
}

uint64_t checksum_add(uint64_t sum, const void *bytes, size_t length)
{
	const uint8_t *at = bytes;
	uint64_t second = 0; // two chains of additions, so that they overlap

	for (; length >= 32; at += 32, length -= 32) {
		sum = add(add(sum, load_u64(at)), load_u64(at + 8));
		second = add(add(second, load_u64(at + 16)), load_u64(at + 24));
	}
	for (; length >= 8; at += 8, length -= 8)
		sum = add(sum, load_u64(at));
	return add(add_rest(sum, at, length), second);
}

uint64_t checksum_add_pseudo(uint64_t sum, const uint8_t *ip, uint8_t protocol, uint32_t length)
{
	if (ip[0] >> 4 == 4)
		sum = checksum_add(sum, ip + 12, 8);
	else
		sum = checksum_add(sum, ip + 8, 32);
	return add(add(sum, htonl(length)), htons(protocol));
}

static uint16_t fold(uint64_t sum)
{
	sum = halves(sum);
	sum = halves(sum);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

bool checksum_good(uint64_t sum)
{
	return fold(sum) == 0xffff;
}

void checksum_store(uint8_t *field, uint64_t sum)
{
	uint16_t value = (uint16_t)~fold(sum);
	memcpy(field, &value, sizeof(value));
}
