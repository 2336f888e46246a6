// SPDX-License-Identifier: BSD-3-Clause
//
// Tests of base/siphash_lanes: by each kind of instructions that this processor has, each lane is
// what libsodium computes of its message, and of the published example.
#include "dataplane/base/siphash_lanes.h"

#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define UNTOUCHED 0x5555555555555555ull

// Message m of so many bytes, padded as SipHash has it.
static void put_message(struct siphash_messages *messages, unsigned m, const uint8_t *bytes,
			size_t length)
{
	uint64_t words[SIPHASH_WORDS_MAX] = {0};

	memcpy(words, bytes, length);
	words[length / 8] |= (uint64_t)length << 56;
	for (unsigned i = 0; i <= length / 8; i++)
		messages->words[i][m] = words[i];
}

// Appendix A of the paper.
static void test_published_example(void **state)
{
	struct siphash_messages messages = {.word_count = 2, .count = SIPHASH_BURST};
	uint64_t hashes[SIPHASH_BURST];
	uint8_t bytes[16];

	for (unsigned i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)i;
	for (unsigned m = 0; m < SIPHASH_BURST; m++)
		put_message(&messages, m, bytes, 15);
	for (enum siphash_way way = SIPHASH_PLAIN; way <= siphash_best(); way++) {
		memset(hashes, 0, sizeof(hashes));
		siphash_lanes_by(way, bytes, &messages, hashes);
		for (unsigned m = 0; m < SIPHASH_BURST; m++)
			assert_int_equal(hashes[m], 0xa129ca6149be45e5);
	}
}

static void check_random(size_t length, unsigned count)
{
	struct siphash_messages messages = {.word_count = (unsigned)(length / 8) + 1,
					    .count = count};
	uint8_t key[16], bytes[SIPHASH_BURST][SIPHASH_WORDS_MAX * 8];
	uint64_t hashes[SIPHASH_BURST + 1], expected;

	randombytes_buf(key, sizeof(key));
	randombytes_buf(bytes, sizeof(bytes));
	randombytes_buf(messages.words, sizeof(messages.words)); // behind the last one, too
	for (unsigned m = 0; m < count; m++)
		put_message(&messages, m, bytes[m], length);
	for (enum siphash_way way = SIPHASH_PLAIN; way <= siphash_best(); way++) {
		for (unsigned m = 0; m <= SIPHASH_BURST; m++)
			hashes[m] = UNTOUCHED;
		siphash_lanes_by(way, key, &messages, hashes);
		for (unsigned m = 0; m < count; m++) {
			crypto_shorthash_siphash24((uint8_t *)&expected, bytes[m], length, key);
			assert_int_equal(hashes[m], expected);
		}
		for (unsigned m = count; m <= SIPHASH_BURST; m++)
			assert_int_equal(hashes[m], UNTOUCHED);
	}
}

static void test_libsodium(void **state)
{
	for (size_t length = 0; length < SIPHASH_WORDS_MAX * 8; length++)
		for (unsigned count = 0; count <= SIPHASH_BURST; count++)
			check_random(length, count);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_published_example),
		cmocka_unit_test(test_libsodium),
	};
	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
