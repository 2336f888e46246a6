// SPDX-License-Identifier: BSD-3-Clause
//
// Tests of base/hash: SipHash-2-4 of every field of a tuple, under the key. The expected numbers
// were computed with a SipHash of another author so that byte order and layout
// cannot change unseen: hashes decide which worker owns a flow.
#include "dataplane/base/hash.h"

#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct hash_key key_of(uint8_t first)
{
	struct hash_key key;
	for (unsigned i = 0; i < sizeof(key.bytes); i++)
		key.bytes[i] = (uint8_t)(first + i);
	return key;
}

static struct tuple example(void)
{
	struct tuple tuple = {.local_port = 25, .remote_port = 40000};
	memcpy(tuple.local.bytes, (uint8_t[16]){[10] = 0xff, 0xff, 192, 0, 2, 10}, 16);
	memcpy(tuple.remote.bytes, (uint8_t[16]){[10] = 0xff, 0xff, 198, 51, 100, 7}, 16);
	return tuple;
}

static void test_known_answers(void **state)
{
	struct hash_key key = key_of(0);
	struct tuple tuple = example();
	struct tuple tuple6 = tuple;
	// Of IPv4 four bytes of each address count.
	assert_int_equal(hash_tuple(&key, &tuple), 0x1968bdaa8fe8e5e4);
	assert_int_equal(hash_tuple_with(&key, &tuple, 0x0123456789abcdef), 0x4f3a5461c0867005);
	memcpy(tuple6.local.bytes, (uint8_t[16]){0x20, 1, 0xd, 0xb8, 0, 1, [15] = 0x10}, 16);
	memcpy(tuple6.remote.bytes, (uint8_t[16]){0x20, 1, 0xd, 0xb8, 0, 2, [15] = 7}, 16);
	assert_int_equal(hash_tuple(&key, &tuple6), 0xe9a8b58dd5ae7108);
	assert_int_equal(hash_tuple_with(&key, &tuple6, 0x0123456789abcdef), 0x8c1ff99efa34054c);
}

// Changing any bit of any input changes the hash.
static void test_every_bit_counts(void **state)
{
	struct hash_key key = key_of(0);
	struct tuple tuple = example();
	uint64_t plain = hash_tuple(&key, &tuple);
	uint64_t with = hash_tuple_with(&key, &tuple, 5);
	assert_int_not_equal(plain, with);
	// struct tuple has no padding: two addresses and two ports.
	assert_int_equal(sizeof(tuple), 36);
	for (unsigned bit = 0; bit < sizeof(tuple) * 8; bit++) {
		struct tuple other = tuple;
		((uint8_t *)&other)[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_not_equal(hash_tuple(&key, &other), plain);
		assert_int_not_equal(hash_tuple_with(&key, &other, 5), with);
		assert_false(tuple_equal(&tuple, &other));
	}
	for (unsigned bit = 0; bit < 128; bit++) {
		struct hash_key other = key;
		other.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_not_equal(hash_tuple(&other, &tuple), plain);
	}
	for (unsigned bit = 0; bit < 64; bit++) {
		uint64_t flip = 1ull << bit;
		assert_int_not_equal(hash_tuple_with(&key, &tuple, 5 ^ flip), with);
	}
	assert_true(tuple_equal(&tuple, &(struct tuple){tuple.local, tuple.remote, 25, 40000}));
}

// One of either family: some alike in a row, some alone.
static struct tuple random_tuple(bool ipv6)
{
	struct tuple tuple = example();

	if (ipv6)
		randombytes_buf(&tuple, sizeof(tuple));
	randombytes_buf(tuple.remote.bytes + 12, 4);
	tuple.local_port = (uint16_t)randombytes_random();
	return tuple;
}

static void check_burst(unsigned count, uint32_t ipv6_of)
{
	struct tuple tuples[HASH_BURST];
	const struct tuple *pointers[HASH_BURST] = {0};
	uint64_t numbers[HASH_BURST] = {0}, plain[HASH_BURST], with[HASH_BURST], hashes[HASH_BURST];
	struct hash_key key = key_of((uint8_t)count);

	for (unsigned i = 0; i < count; i++) {
		tuples[i] = random_tuple(randombytes_uniform(8) < ipv6_of);
		pointers[i] = &tuples[i];
		randombytes_buf(&numbers[i], sizeof(numbers[i]));
	}
	hash_tuples(&key, pointers, NULL, count, plain);
	hash_tuples(&key, pointers, numbers, count, with);
	hash_many_numbers(&key, numbers, 7, count, hashes);
	for (unsigned i = 0; i < count; i++) {
		assert_int_equal(plain[i], hash_tuple(&key, &tuples[i]));
		assert_int_equal(with[i], hash_tuple_with(&key, &tuples[i], numbers[i]));
		assert_int_equal(hashes[i], hash_numbers(&key, numbers[i], 7));
	}
}

static void test_bursts(void **state)
{
	for (unsigned count = 0; count <= HASH_BURST; count++)
		for (uint32_t ipv6_of = 0; ipv6_of <= 8; ipv6_of++)
			check_burst(count, ipv6_of);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_known_answers),
		cmocka_unit_test(test_every_bit_counts),
		cmocka_unit_test(test_bursts),
	};
	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
