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

uint64_t checksum_add(uint64_t sum, const void *bytes, size_t length)
{
	const uint8_t *at = bytes;
	uint64_t second = 0; // two chains of additions, so that they overlap

	for (; length >= 32; at += 32, length -= 32) {
		sum += halves(load_u64(at)) + halves(load_u64(at + 8));
		second += halves(load_u64(at + 16)) + halves(load_u64(at + 24));
	}
	for (; length >= 8; at += 8, length -= 8)
		sum += halves(load_u64(at));
	if (length) {
		uint64_t rest = 0; // the missing bytes count as zero
		memcpy(&rest, at, length);
		sum += halves(rest);
	}
	return sum + second;
}

uint64_t checksum_add_pseudo(uint64_t sum, const uint8_t *ip, uint8_t protocol, uint32_t length)
{
	if (ip[0] >> 4 == 4)
		sum = checksum_add(sum, ip + 12, 8);
	else
		sum = checksum_add(sum, ip + 8, 32);
	return sum + htonl(length) + htons(protocol);
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
