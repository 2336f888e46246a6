// SPDX-License-Identifier: BSD-3-Clause
//
// Toeplitz hash by tables: it is linear, so each byte of the tuple adds its own 32 bits, whatever
// the others are. 36 KB, of which IPv4 touches 12. Not rte_thash: it walks the tuple bit by bit (it
// is the slow twin in the test), and base/ knows no DPDK.
#include "dataplane/base/spread.h"

#include <assert.h>
#include <string.h>

// Where the local port, the last of the tuple, lies in the hashed bytes.
#define LOCAL_PORT_IPV4 10
#define LOCAL_PORT_IPV6 34

// The key's 32 bits from a bit on: what a one at that place of the tuple adds.
static uint32_t window(const uint8_t *key, unsigned bit)
{
	uint64_t bytes = 0;

	for (unsigned i = 0; i < 5; i++)
		bytes = bytes << 8 | (bit / 8 + i < SPREAD_KEY_BYTES ? key[bit / 8 + i] : 0);
	return (uint32_t)(bytes >> (8 - bit % 8));
}

static void fill(struct spread *spread, unsigned position)
{
	for (unsigned value = 0; value < 256; value++) {
		uint32_t sum = 0;

		for (unsigned bit = 0; bit < 8; bit++)
			if (value & 0x80u >> bit)
				sum ^= window(spread->key, 8 * position + bit);
		spread->partial[position][value] = sum;
	}
}

// Do the values of a port reach every bucket, whatever the rest of the tuple is?
static bool port_reaches_all(const struct spread *spread, unsigned position)
{
	bool reached[SPREAD_BUCKETS] = {false};
	unsigned count = 0;

	for (unsigned port = 0; port < 65536; port++) {
		uint32_t sum = spread->partial[position][port >> 8] ^
			       spread->partial[position + 1][port & 0xff];

		count += !reached[sum % SPREAD_BUCKETS];
		reached[sum % SPREAD_BUCKETS] = true;
	}
	return count == SPREAD_BUCKETS;
}

bool spread_init(struct spread *spread, const uint8_t key[SPREAD_KEY_BYTES], unsigned workers)
{
	assert(workers > 0 && workers <= SPREAD_WORKERS_MAX);
	spread->workers = workers;
	memcpy(spread->key, key, SPREAD_KEY_BYTES);
	for (unsigned i = 0; i < SPREAD_BUCKETS; i++)
		spread->owner[i] = (uint8_t)(i % workers);
	for (unsigned i = 0; i < SPREAD_TUPLE_BYTES; i++)
		fill(spread, i);
	return port_reaches_all(spread, LOCAL_PORT_IPV4) &&
	       port_reaches_all(spread, LOCAL_PORT_IPV6);
}

// Adds up `count` bytes from a position of the tuple on.
static uint32_t sum_of(const struct spread *spread, unsigned position, const uint8_t *bytes,
		       unsigned count)
{
	uint32_t sum = 0;

	for (unsigned i = 0; i < count; i++)
		sum ^= spread->partial[position + i][bytes[i]];
	return sum;
}

uint32_t spread_hash(const struct spread *spread, const struct tuple *tuple)
{
	const uint8_t ports[4] = {(uint8_t)(tuple->remote_port >> 8), (uint8_t)tuple->remote_port,
				  (uint8_t)(tuple->local_port >> 8), (uint8_t)tuple->local_port};

	if (address_is_ipv4(&tuple->remote))
		return sum_of(spread, 0, tuple->remote.bytes + 12, 4) ^
		       sum_of(spread, 4, tuple->local.bytes + 12, 4) ^ sum_of(spread, 8, ports, 4);
	return sum_of(spread, 0, tuple->remote.bytes, 16) ^
	       sum_of(spread, 16, tuple->local.bytes, 16) ^ sum_of(spread, 32, ports, 4);
}
