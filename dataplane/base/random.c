// SPDX-License-Identifier: BSD-3-Clause
//
// SipHash-2-4 of a counter. The counter never repeats within a process, so neither does an input;
// without the key an output tells nothing about the next one. Seeding is the business of control/
// (or of a test that wants the same numbers again).
#include "dataplane/base/random.h"

#include <assert.h>
#include <sodium/crypto_shorthash.h>
#include <string.h>

_Static_assert(sizeof(((struct random *)0)->key) == crypto_shorthash_KEYBYTES, "SipHash key");

void random_init(struct random *random, const uint8_t key[16])
{
	memcpy(random->key, key, sizeof(random->key));
	random->counter = 0;
}

uint64_t random_u64(struct random *random)
{
	uint64_t number;
	uint64_t counter = random->counter++;
	crypto_shorthash((uint8_t *)&number, (const uint8_t *)&counter, sizeof(counter),
			 random->key);
	return number;
}

uint32_t random_below(struct random *random, uint32_t bound)
{
	assert(bound > 0);
	// Multiply instead of dividing. The products whose low half is below 2^32 mod bound are the
	// surplus that would favour some results: drawn again, so the result is exactly uniform.
	uint64_t product = (uint64_t)(uint32_t)random_u64(random) * bound;
	if ((uint32_t)product < bound) {
		uint32_t surplus = -bound % bound;
		while ((uint32_t)product < surplus)
			product = (uint64_t)(uint32_t)random_u64(random) * bound;
	}
	return (uint32_t)(product >> 32);
}
