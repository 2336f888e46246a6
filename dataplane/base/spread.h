// SPDX-License-Identifier: BSD-3-Clause
//
// Which worker owns a flow: the hash that a NIC's receive-side scaling computes over the addresses
// and ports of a received frame (Toeplitz, as in Microsoft's "RSS hashing functions"), and the
// table from its low bits to a worker. The same in every worker, so that a frame that came in
// elsewhere is known, and so that a NIC that was given key and table puts frames where they belong.
// Constant after spread_init; knows no queue and no device.
#ifndef RELAYGATE_BASE_SPREAD_H
#define RELAYGATE_BASE_SPREAD_H

#include "dataplane/base/hash.h"

#include <stdbool.h>
#include <stdint.h>

// What an IPv6 tuple needs: its 36 bytes, and 32 bits behind its last one.
#define SPREAD_KEY_BYTES 40
// Entries of the redirection table: the fewest that NICs have; a larger one repeats them.
#define SPREAD_BUCKETS     64
#define SPREAD_WORKERS_MAX 16
#define SPREAD_TUPLE_BYTES 36

struct spread {
	unsigned workers;
	uint8_t key[SPREAD_KEY_BYTES];
	uint8_t owner[SPREAD_BUCKETS]; // by the hash's low bits
	// What each value of each byte adds to the hash. IPv4 uses the first twelve positions.
	uint32_t partial[SPREAD_TUPLE_BYTES][256];
};

// False when the key's bits at the local port are so alike that some worker could not be reached by
// choosing a local port: draw another key (one in hundreds is such). 1 to SPREAD_WORKERS_MAX
// workers.
bool spread_init(struct spread *spread, const uint8_t key[SPREAD_KEY_BYTES], unsigned workers);

// The hash of a frame that is received by the tuple's flow: from remote to local.
uint32_t spread_hash(const struct spread *spread, const struct tuple *tuple);
// The worker whose flow it is: below spread->workers.
static inline unsigned spread_owner(const struct spread *spread, const struct tuple *tuple)
{
	return spread->owner[spread_hash(spread, tuple) % SPREAD_BUCKETS];
}

// What worker `worker` gets of a total that the workers divide: the parts add up to the total.
static inline uint64_t spread_share(uint64_t total, unsigned worker, unsigned workers)
{
	return total / workers + (worker < total % workers);
}

#endif
