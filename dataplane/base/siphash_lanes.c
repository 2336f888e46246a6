// SPDX-License-Identifier: BSD-3-Clause
//
// See siphash_lanes.h. Our own, since no library has it: a flood's tuples come a burst at a time,
// and a lane of a vector register costs what the whole register does. Written once, in vectors of
// four words, and compiled for three kinds of processors; on the least of them, with SSE2 alone, it
// is as fast as libsodium's. No secret is looked up by or branched on.
#include "dataplane/base/siphash_lanes.h"

#include <string.h>

#define LANES  4 // words in a vector
#define CHAINS 4 // vectors that are worked at together: one alone would wait for its own last step
#define GROUP  (LANES * CHAINS)

#define INLINED inline __attribute__((always_inline))

typedef uint64_t vector __attribute__((vector_size(LANES * sizeof(uint64_t))));

struct state {
	vector v0[CHAINS], v1[CHAINS], v2[CHAINS], v3[CHAINS];
};

static INLINED void rotate(vector *value, unsigned bits)
{
	*value = *value << bits | *value >> (64 - bits);
}

static INLINED void rounds(struct state *state, unsigned count)
{
	for (unsigned round = 0; round < count; round++) {
#pragma GCC unroll 4
		for (unsigned i = 0; i < CHAINS; i++) {
			state->v0[i] += state->v1[i];
			state->v2[i] += state->v3[i];
			rotate(&state->v1[i], 13);
			rotate(&state->v3[i], 16);
			state->v1[i] ^= state->v0[i];
			state->v3[i] ^= state->v2[i];
			rotate(&state->v0[i], 32);
			state->v2[i] += state->v1[i];
			state->v0[i] += state->v3[i];
			rotate(&state->v1[i], 17);
			rotate(&state->v3[i], 21);
			state->v1[i] ^= state->v2[i];
			state->v3[i] ^= state->v0[i];
			rotate(&state->v2[i], 32);
		}
	}
}

static INLINED void begin(struct state *state, const uint64_t key[2])
{
	const vector zero = {0};

#pragma GCC unroll 4
	for (unsigned i = 0; i < CHAINS; i++) {
		state->v0[i] = zero + (key[0] ^ 0x736f6d6570736575);
		state->v1[i] = zero + (key[1] ^ 0x646f72616e646f6d);
		state->v2[i] = zero + (key[0] ^ 0x6c7967656e657261);
		state->v3[i] = zero + (key[1] ^ 0x7465646279746573);
	}
}

static INLINED void compress(struct state *state, const uint64_t words[])
{
	vector message[CHAINS];

	memcpy(message, words, sizeof(message));
#pragma GCC unroll 4
	for (unsigned i = 0; i < CHAINS; i++)
		state->v3[i] ^= message[i];
	rounds(state, 2);
#pragma GCC unroll 4
	for (unsigned i = 0; i < CHAINS; i++)
		state->v0[i] ^= message[i];
}

static INLINED void finish(struct state *state, uint64_t hashes[GROUP])
{
	vector result[CHAINS];

#pragma GCC unroll 4
	for (unsigned i = 0; i < CHAINS; i++)
		state->v2[i] ^= 0xff;
	rounds(state, 4);
#pragma GCC unroll 4
	for (unsigned i = 0; i < CHAINS; i++)
		result[i] = state->v0[i] ^ state->v1[i] ^ state->v2[i] ^ state->v3[i];
	memcpy(hashes, result, sizeof(result));
}

// `key` in two words. What follows is this function three times.
static INLINED void hash(const uint64_t key[2], const struct siphash_messages *messages,
			 uint64_t hashes[])
{
	for (unsigned first = 0; first < messages->count; first += GROUP) {
		unsigned left = messages->count - first;
		uint64_t group[GROUP];
		struct state state;

		begin(&state, key);
		for (unsigned i = 0; i < messages->word_count; i++)
			compress(&state, messages->words[i] + first);
		finish(&state, group);
		memcpy(hashes + first, group, (left < GROUP ? left : GROUP) * sizeof(group[0]));
	}
}

__attribute__((target("avx512f,avx512vl"))) static void
hash_avx512(const uint64_t key[2], const struct siphash_messages *messages, uint64_t hashes[])
{
	hash(key, messages, hashes);
}

__attribute__((target("avx2"))) static void
hash_avx2(const uint64_t key[2], const struct siphash_messages *messages, uint64_t hashes[])
{
	hash(key, messages, hashes);
}

static void hash_plain(const uint64_t key[2], const struct siphash_messages *messages,
		       uint64_t hashes[])
{
	hash(key, messages, hashes);
}

enum siphash_way siphash_best(void)
{
	if (__builtin_cpu_supports("avx512vl"))
		return SIPHASH_AVX512;
	return __builtin_cpu_supports("avx2") ? SIPHASH_AVX2 : SIPHASH_PLAIN;
}

void siphash_lanes_by(enum siphash_way way, const uint8_t key[16],
		      const struct siphash_messages *messages, uint64_t hashes[])
{
	uint64_t halves[2];

	memcpy(halves, key, sizeof(halves));
	switch (way) {
	case SIPHASH_AVX512:
		hash_avx512(halves, messages, hashes);
		return;
	case SIPHASH_AVX2:
		hash_avx2(halves, messages, hashes);
		return;
	case SIPHASH_PLAIN:
		hash_plain(halves, messages, hashes);
		return;
	}
}

void siphash_lanes(const uint8_t key[16], const struct siphash_messages *messages,
		   uint64_t hashes[])
{
	siphash_lanes_by(siphash_best(), key, messages, hashes);
}
