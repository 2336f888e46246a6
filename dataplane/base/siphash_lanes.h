// SPDX-License-Identifier: BSD-3-Clause
//
// SipHash-2-4 (Aumasson and Bernstein, 2012) of many messages of one length at once: what libsodium
// computes for each, in a third to a fifth of the time. For base/hash alone; who has one message
// asks libsodium.
#ifndef RELAYGATE_BASE_SIPHASH_LANES_H
#define RELAYGATE_BASE_SIPHASH_LANES_H

#include <stdint.h>

#define SIPHASH_BURST     64
#define SIPHASH_WORDS_MAX 6

struct siphash_messages {
	// words[w][m]: word w of message m, in the machine's byte order. The last word of each
	// holds what is left of it and, in its top byte, its length in bytes. Words of other
	// messages than the first `count` may be read, too, but count for nothing.
	uint64_t words[SIPHASH_WORDS_MAX][SIPHASH_BURST];
	unsigned word_count, count;
};

// hashes: messages->count of them.
void siphash_lanes(const uint8_t key[16], const struct siphash_messages *messages,
		   uint64_t hashes[]);

// The same by instructions of one's choice, which must not be above siphash_best.
enum siphash_way { SIPHASH_PLAIN, SIPHASH_AVX2, SIPHASH_AVX512 };
enum siphash_way siphash_best(void);
void siphash_lanes_by(enum siphash_way way, const uint8_t key[16],
		      const struct siphash_messages *messages, uint64_t hashes[]);

#endif
