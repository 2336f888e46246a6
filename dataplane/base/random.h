// SPDX-License-Identifier: BSD-3-Clause
//
// A worker's random numbers: SipHash-2-4 in counter mode under a key that is given from outside
// (libsodium's crypto_shorthash), so a test with the same key sees the same numbers and a peer that
// sees some cannot tell the others.
#ifndef RELAYGATE_BASE_RANDOM_H
#define RELAYGATE_BASE_RANDOM_H

#include <stdint.h>

struct random {
	uint8_t key[16];
	uint64_t counter;
};

void random_init(struct random *random, const uint8_t key[16]);
uint64_t random_u64(struct random *random);
// Uniform in [0, bound); bound > 0.
uint32_t random_below(struct random *random, uint32_t bound);

#endif
