// SPDX-License-Identifier: BSD-3-Clause
//
// The Internet checksum against published sums and against a plain one, at every length and
// alignment.
#include "dataplane/net/checksum.h"

#include "tests/unit/net/fixture.h"

static void known_sums(void **state)
{
	// RFC 1071 section 3
	static const uint8_t rfc1071[] = {0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7};
	// a header that many texts work through: sum b861
	static const uint8_t header[] = {0x45, 0x00, 0x00, 0x73, 0x00, 0x00, 0x40,
					 0x00, 0x40, 0x11, 0xb8, 0x61, 0xc0, 0xa8,
					 0x00, 0x01, 0xc0, 0xa8, 0x00, 0xc7};
	uint8_t field[2];

	checksum_store(field, checksum_add(0, rfc1071, sizeof(rfc1071)));
	assert_memory_equal(field, ((uint8_t[]){0x22, 0x0d}), 2);
	assert_true(checksum_good(checksum_add(0, header, sizeof(header))));
	uint8_t damaged[sizeof(header)];
	for (size_t bit = 0; bit < 8 * sizeof(header); bit++) {
		memcpy(damaged, header, sizeof(header));
		damaged[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_false(checksum_good(checksum_add(0, damaged, sizeof(damaged))));
	}
}

static void equals_the_plain_sum(void **state)
{
	struct random random;
	random_init(&random, (const uint8_t[16]){9});

	for (size_t length = 0; length < 200; length++) {
		for (size_t shift = 0; shift < 9; shift++) {
			uint8_t *block = malloc(length + shift + 1);
			uint8_t *bytes = block + shift, field[2];
			bool ones = shift == 8; // carries everywhere
			for (size_t i = 0; i < length; i++)
				bytes[i] = ones ? 0xff : (uint8_t)random_u64(&random);
			// exact size: the last byte of the block is the last one summed
			block = realloc(block, length + shift ? length + shift : 1);
			bytes = block + shift;
			checksum_store(field, checksum_add(0, bytes, length));
			assert_int_equal(field[0] << 8 | field[1],
					 plain_checksum(bytes, length, 0));
			free(block);
		}
	}
}

static void largest_packet_does_not_overflow(void **state)
{
	size_t length = 65535;
	uint8_t *bytes = malloc(length), field[2];

	memset(bytes, 0xff, length);
	checksum_store(field, checksum_add(UINT32_MAX, bytes, length));
	uint32_t carried = 0xffff + 0xffff; // what UINT32_MAX folds to
	uint32_t sum = carried;
	for (size_t i = 0; i < length; i++) {
		sum += i % 2 ? bytes[i] : (uint32_t)bytes[i] << 8;
		sum = (sum & 0xffff) + (sum >> 16);
	}
	assert_int_equal(field[0] << 8 | field[1], (uint16_t)~sum);
	free(bytes);
}

// Folding 64 bits is arithmetic modulo 65,535, in which only nothing at all is zero.
static void folding(void **state)
{
	struct random random;
	random_init(&random, (const uint8_t[16]){10});
	static const uint64_t edges[] = {0,           1,           0xffff,
					 0x10000,     0xffffffff,  0x1fffffffe,
					 0x1ffffffff, 0x200000000, 0xffffffff0001fffe};

	for (unsigned i = 0; i < 100000; i++) {
		uint64_t sum =
			i < sizeof(edges) / sizeof(edges[0]) ? edges[i] : random_u64(&random);
		uint16_t expected = sum && sum % 65535 == 0 ? 65535 : (uint16_t)(sum % 65535);
		uint16_t got;
		checksum_store((uint8_t *)&got, sum);
		assert_int_equal((uint16_t)~got, expected);
		assert_int_equal(checksum_good(sum), expected == 65535);
	}
}

static void pseudo_headers(void **state)
{
	// scapy's transport checksums: summed with their own field they must come out good
	const uint8_t *ip4 = tcp4_data + 14, *ip6 = tcp6_data + 14;
	size_t length = sizeof(tcp4_data) - 34;

	assert_true(checksum_good(
		checksum_add_pseudo(checksum_add(0, ip4 + 20, length), ip4, 6, (uint32_t)length)));
	assert_true(checksum_good(
		checksum_add_pseudo(checksum_add(0, ip6 + 40, length), ip6, 6, (uint32_t)length)));
	assert_false(checksum_good(
		checksum_add_pseudo(checksum_add(0, ip6 + 40, length), ip6, 58, (uint32_t)length)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known_sums),
		cmocka_unit_test(equals_the_plain_sum),
		cmocka_unit_test(largest_packet_does_not_overflow),
		cmocka_unit_test(folding),
		cmocka_unit_test(pseudo_headers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
