// SPDX-License-Identifier: BSD-3-Clause
//
// The hash is the one that NICs compute: Microsoft's published vectors, and DPDK's bit-by-bit twin
// on random tuples. Owners are below the number of workers and evenly many, and every worker finds
// a local port to any server.
#include "dataplane/base/random.h"
#include "dataplane/base/spread.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <rte_byteorder.h>
#include <rte_thash.h>
#include <sodium.h>
#include <string.h>

// "Verifying the RSS hash calculation", Microsoft.
static const uint8_t published_key[SPREAD_KEY_BYTES] = {
	0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67, 0x25, 0x3d, 0x43, 0xa3,
	0x8f, 0xb0, 0xd0, 0xca, 0x2b, 0xcb, 0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3,
	0x80, 0x30, 0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa,
};

static struct tuple tuple_of(const char *from, unsigned from_port, const char *to, unsigned to_port)
{
	struct tuple tuple = {.remote_port = (uint16_t)from_port, .local_port = (uint16_t)to_port};
	const char *why;

	assert_int_equal(address_parse(from, &tuple.remote, &why), 0);
	assert_int_equal(address_parse(to, &tuple.local, &why), 0);
	return tuple;
}

static void test_published_vectors(void **state)
{
	static const struct {
		const char *from, *to;
		unsigned from_port, to_port;
		uint32_t hash;
	} vectors[] = {
		{"66.9.149.187", "161.142.100.80", 2794, 1766, 0x51ccc178},
		{"199.92.111.2", "65.69.140.83", 14230, 4739, 0xc626b0ea},
		{"24.19.198.95", "12.22.207.184", 12898, 38024, 0x5c2b394a},
		{"38.27.205.30", "209.142.163.6", 48228, 2217, 0xafc7327f},
		{"153.39.163.191", "202.188.127.2", 44251, 1303, 0x10e828a2},
		{"3ffe:2501:200:1fff::7", "3ffe:2501:200:3::1", 2794, 1766, 0x40207d3d},
		{"3ffe:501:8::260:97ff:fe40:efab", "ff02::1", 14230, 4739, 0xdde51bbf},
		{"3ffe:1900:4545:3:200:f8ff:fe21:67cf", "fe80::200:f8ff:fe21:67cf", 44251, 38024,
		 0x02d1feef},
	};
	static struct spread spread;

	spread_init(&spread, published_key, 2);
	for (unsigned i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
		struct tuple tuple = tuple_of(vectors[i].from, vectors[i].from_port, vectors[i].to,
					      vectors[i].to_port);

		assert_int_equal(spread_hash(&spread, &tuple), vectors[i].hash);
	}
}

static void draw(struct random *random, void *bytes, size_t length)
{
	for (size_t i = 0; i < length; i++)
		((uint8_t *)bytes)[i] = (uint8_t)random_u64(random);
}

static struct tuple draw_tuple(struct random *random, bool ipv4)
{
	struct tuple tuple;

	draw(random, &tuple, sizeof(tuple));
	for (unsigned i = 0; ipv4 && i < 12; i++)
		tuple.remote.bytes[i] = tuple.local.bytes[i] = i < 10 ? 0 : 0xff;
	return tuple;
}

// softrss reads words in host byte order.
static uint32_t slow_hash(const uint8_t *key, const struct tuple *tuple)
{
	bool ipv4 = address_is_ipv4(&tuple->remote);
	unsigned from = ipv4 ? 12 : 0, words = 0;
	uint32_t input[9];

	for (unsigned i = from; i < 16; i += 4)
		memcpy(&input[words++], tuple->remote.bytes + i, 4);
	for (unsigned i = from; i < 16; i += 4)
		memcpy(&input[words++], tuple->local.bytes + i, 4);
	for (unsigned i = 0; i < words; i++)
		input[i] = rte_be_to_cpu_32(input[i]);
	input[words++] = (uint32_t)tuple->remote_port << 16 | tuple->local_port;
	return rte_softrss(input, words, key);
}

static void test_same_as_the_slow_twin(void **state)
{
	static struct spread spread;
	struct random random;
	uint8_t key[SPREAD_KEY_BYTES];

	random_init(&random, (const uint8_t[16]){3});
	for (unsigned i = 0; i < 20; i++) {
		draw(&random, key, sizeof(key));
		spread_init(&spread, key, 1 + i % SPREAD_WORKERS_MAX);
		for (unsigned j = 0; j < 1000; j++) {
			struct tuple tuple = draw_tuple(&random, j % 2);

			assert_int_equal(spread_hash(&spread, &tuple), slow_hash(key, &tuple));
		}
	}
}

static void test_owners_are_evenly_many(void **state)
{
	static struct spread spread;
	struct random random;

	random_init(&random, (const uint8_t[16]){4});
	for (unsigned workers = 1; workers <= SPREAD_WORKERS_MAX; workers++) {
		unsigned owned[SPREAD_WORKERS_MAX + 1] = {0};

		spread_init(&spread, published_key, workers);
		for (unsigned i = 0; i < 1000 * workers; i++) {
			struct tuple tuple = draw_tuple(&random, i % 2);
			unsigned owner = spread_owner(&spread, &tuple);

			assert_true(owner < workers);
			owned[owner]++;
		}
		// 64 buckets: at worst 4 to one and 5 to another.
		for (unsigned i = 0; i < workers; i++)
			assert_in_range(owned[i], 750, 1350);
	}
}

// Whoever the server is: a tenth of the ports has one for every worker.
static void test_each_worker_finds_a_local_port(void **state)
{
	static struct spread spread;
	struct random random;

	random_init(&random, (const uint8_t[16]){5});
	assert_true(spread_init(&spread, published_key, SPREAD_WORKERS_MAX));
	for (unsigned i = 0; i < 100; i++) {
		struct tuple tuple = draw_tuple(&random, i % 2);
		unsigned found = 0;

		for (unsigned j = 0; j < 5000; j++) {
			tuple.local_port = (uint16_t)(10000 + j);
			found |= 1u << spread_owner(&spread, &tuple);
		}
		assert_int_equal(found, (1u << SPREAD_WORKERS_MAX) - 1);
	}
}

static void test_a_key_that_ignores_the_port_is_refused(void **state)
{
	static struct spread spread;
	uint8_t key[SPREAD_KEY_BYTES];

	memcpy(key, published_key, sizeof(key));
	assert_true(spread_init(&spread, key, 2));
	memset(key + 10, 0, 6); // what IPv4's local port adds
	assert_false(spread_init(&spread, key, 2));
	memcpy(key, published_key, sizeof(key));
	memset(key + 34, 0, 6); // and IPv6's
	assert_false(spread_init(&spread, key, 2));
}

static void test_shares_add_up(void **state)
{
	for (unsigned workers = 1; workers <= SPREAD_WORKERS_MAX; workers++)
		for (uint64_t total = 0; total < 50; total++) {
			uint64_t sum = 0;

			for (unsigned i = 0; i < workers; i++)
				sum += spread_share(total, i, workers);
			assert_int_equal(sum, total);
			assert_true(spread_share(total, 0, workers) -
					    spread_share(total, workers - 1, workers) <=
				    1);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_published_vectors),
		cmocka_unit_test(test_same_as_the_slow_twin),
		cmocka_unit_test(test_owners_are_evenly_many),
		cmocka_unit_test(test_each_worker_finds_a_local_port),
		cmocka_unit_test(test_a_key_that_ignores_the_port_is_refused),
		cmocka_unit_test(test_shares_add_up),
	};
	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
