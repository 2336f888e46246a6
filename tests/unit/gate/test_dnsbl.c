// SPDX-License-Identifier: BSD-3-Clause
//
// Names that are looked up, the sum of weights while answers come in, the rings, the cache, and a
// reader beside the writer.
#include "dataplane/gate/dnsbl.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <threads.h>

#include <cmocka.h>

#define SECOND 1000000ull

static const struct hash_key key = {{1}};

static struct address parsed(const char *text)
{
	struct address address;
	const char *why;

	assert_int_equal(address_parse(text, &address, &why), 0);
	return address;
}

static struct address numbered(uint32_t number)
{
	const uint8_t bytes[4] = {10, (uint8_t)(number >> 16), (uint8_t)(number >> 8),
				  (uint8_t)number};

	return address_from_ipv4(bytes);
}

// RFC 5782 sections 2.1 and 2.4.
static void test_names(void **state)
{
	static const struct {
		const char *client, *name;
	} cases[] = {
		{"192.0.2.99", "99.2.0.192.bad.example.com"},
		{"255.0.10.1", "1.10.0.255.bad.example.com"},
		{"::ffff:192.0.2.99", "99.2.0.192.bad.example.com"},
		{"2001:db8:1:2:3:4:567:89ab",
		 "b.a.9.8.7.6.5.0.4.0.0.0.3.0.0.0.2.0.0.0.1.0.0.0.8.b.d.0.1.0.0.2."
		 "bad.example.com"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct address client = parsed(cases[i].client);
		char name[DNSBL_NAME_MAX];

		assert_string_equal(dnsbl_name(&client, "bad.example.com", name), cases[i].name);
	}
}

static void test_weights(void **state)
{
	static struct dnsbl_list lists[] = {{.weight = 3}, {.weight = 1}, {.weight = -2}};
	static const struct {
		uint32_t listed, answered, threshold;
		enum dnsbl_verdict verdict;
		unsigned heaviest; // 9 = none
	} cases[] = {
		{0, 0, 1, DNSBL_VERDICT_OPEN, 9},
		{0, 7, 1, DNSBL_VERDICT_CLEAN, 9},
		{1, 7, 1, DNSBL_VERDICT_LISTED, 0},
		{2, 7, 1, DNSBL_VERDICT_LISTED, 1},
		{3, 7, 4, DNSBL_VERDICT_LISTED, 0},
		{3, 7, 5, DNSBL_VERDICT_CLEAN, 0},
		{7, 7, 2, DNSBL_VERDICT_LISTED, 0},
		{6, 7, 1, DNSBL_VERDICT_CLEAN, 1},
		// Answers to come: 3 - 2 is still 1, 1 - 2 is not.
		{1, 3, 1, DNSBL_VERDICT_LISTED, 0},
		{1, 3, 2, DNSBL_VERDICT_OPEN, 0},
		{2, 3, 1, DNSBL_VERDICT_OPEN, 1},
		{0, 5, 2, DNSBL_VERDICT_CLEAN, 9},
		{0, 6, 3, DNSBL_VERDICT_OPEN, 9},
	};
	struct policy policy = {.dnsbls = lists, .dnsbl_count = 3};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct dnsbl_answer answer = {cases[i].listed, cases[i].answered};
		unsigned heaviest = 9;

		assert_int_equal(dnsbl_judge(&policy, cases[i].threshold, &answer, &heaviest),
				 cases[i].verdict);
		assert_int_equal(heaviest, cases[i].heaviest);
	}
}

static void test_rings(void **state)
{
	struct dnsbl *dnsbl = dnsbl_create(2, &key);
	struct address client, next = numbered(7);
	unsigned taken = 0, given = 0;

	assert_false(dnsbl_next(dnsbl, &client));
	while (dnsbl_ask(dnsbl, 0, &next))
		taken++;
	assert_true(taken >= DNSBL_WAITING);
	// The other worker's is not behind all of them.
	next = numbered(8);
	assert_true(dnsbl_ask(dnsbl, 1, &next));
	assert_true(dnsbl_next(dnsbl, &client) && dnsbl_next(dnsbl, &client));
	assert_memory_equal(&client, &next, sizeof(client));
	while (dnsbl_next(dnsbl, &client))
		given++;
	assert_int_equal(given, taken - 1);
	dnsbl_destroy(dnsbl);
	dnsbl_destroy(NULL);
}

static void test_cache(void **state)
{
	struct dnsbl *dnsbl = dnsbl_create(1, &key);
	const struct address one = numbered(1), other = numbered(2);
	struct dnsbl_answer answer = {1, 3};

	assert_false(dnsbl_find(dnsbl, &one, 0, &answer));
	assert_true(dnsbl_put(dnsbl, &one, &(struct dnsbl_answer){1, 3}, 60 * SECOND, 0));
	assert_true(dnsbl_find(dnsbl, &one, 59 * SECOND, &answer));
	assert_int_equal(answer.listed, 1);
	assert_int_equal(answer.answered, 3);
	assert_false(dnsbl_find(dnsbl, &other, 0, &answer));
	assert_false(dnsbl_find(dnsbl, &one, 60 * SECOND, &answer));
	// More of it becomes known.
	assert_true(dnsbl_put(dnsbl, &one, &(struct dnsbl_answer){5, 7}, 90 * SECOND, SECOND));
	assert_true(dnsbl_find(dnsbl, &one, 80 * SECOND, &answer));
	assert_int_equal(answer.listed, 5);
	dnsbl_destroy(dnsbl);
}

static void test_full_cache(void **state)
{
	struct dnsbl *dnsbl = dnsbl_create(1, &key);
	const struct dnsbl_answer clean = {0, 1};
	struct dnsbl_answer answer;
	unsigned displaced = 0, kept = 0;

	for (uint32_t i = 0; i < 4 * DNSBL_ENTRIES; i++) {
		const struct address client = numbered(i);

		displaced += !dnsbl_put(dnsbl, &client, &clean, (100 + i) * SECOND, 0);
	}
	assert_in_range(displaced, 3 * DNSBL_ENTRIES, 4 * DNSBL_ENTRIES - DNSBL_ENTRIES / 2);
	for (uint32_t i = 3 * DNSBL_ENTRIES + DNSBL_ENTRIES / 2; i < 4 * DNSBL_ENTRIES; i++) {
		const struct address client = numbered(i);

		kept += dnsbl_find(dnsbl, &client, 0, &answer);
	}
	assert_in_range(kept, DNSBL_ENTRIES / 2 * 9 / 10, DNSBL_ENTRIES / 2);
	// What is over makes room without anybody's loss.
	assert_true(
		dnsbl_put(dnsbl, &(struct address){{1}}, &clean, 900000 * SECOND, 800000 * SECOND));
	dnsbl_destroy(dnsbl);
}

// ---- Two threads -----------------------------------------------------------------------------

static atomic_bool over;

// Each client's own bits: any others would be another one's.
static int write_all(void *context)
{
	struct dnsbl *dnsbl = context;

	for (uint32_t i = 0; i < 400000; i++) {
		const struct address client = numbered(i % 50000);
		const struct dnsbl_answer answer = {i % 50000, ~(i % 50000)};

		dnsbl_put(dnsbl, &client, &answer, 100 * SECOND, 0);
	}
	atomic_store(&over, true);
	return 0;
}

static void test_reader_beside_the_writer(void **state)
{
	struct dnsbl *dnsbl = dnsbl_create(1, &key);
	unsigned found = 0;
	thrd_t thread;

	atomic_store(&over, false);
	assert_int_equal(thrd_create(&thread, write_all, dnsbl), thrd_success);
	for (uint32_t i = 0; !atomic_load(&over) || found == 0; i++) {
		const struct address client = numbered(i * 7919 % 50000);
		struct dnsbl_answer answer;

		if (!dnsbl_find(dnsbl, &client, 0, &answer))
			continue;
		found++;
		assert_int_equal(answer.listed, i * 7919 % 50000);
		assert_int_equal(answer.answered, ~(i * 7919 % 50000));
	}
	thrd_join(thread, NULL);
	dnsbl_destroy(dnsbl);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),      cmocka_unit_test(test_weights),
		cmocka_unit_test(test_rings),      cmocka_unit_test(test_cache),
		cmocka_unit_test(test_full_cache), cmocka_unit_test(test_reader_beside_the_writer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
