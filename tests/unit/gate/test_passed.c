// SPDX-License-Identifier: BSD-3-Clause
//
// Who need not wait for the greeting again: for how long, who is one source, and what a table of
// few entries forgets.
#include "dataplane/gate/passed.h"

#include <setjmp.h>
#include <stdarg.h>

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

static void test_time(void **state)
{
	struct passed *passed = passed_create(64, &key);
	const struct address source = parsed("192.0.2.1"), other = parsed("192.0.2.2");

	assert_false(passed_find(passed, &source, 0));
	passed_note(passed, &source, 100 * SECOND);
	assert_true(passed_find(passed, &source, 99 * SECOND));
	assert_false(passed_find(passed, &source, 100 * SECOND));
	assert_false(passed_find(passed, &other, 99 * SECOND));
	passed_note(passed, &source, 200 * SECOND);
	assert_true(passed_find(passed, &source, 150 * SECOND));
	// Passing for no time at all is not passing.
	passed_note(passed, &source, 150 * SECOND);
	assert_false(passed_find(passed, &source, 150 * SECOND));
	passed_destroy(passed);
	passed_destroy(NULL);
}

static void test_sources(void **state)
{
	struct passed *passed = passed_create(64, &key);
	const struct address one = parsed("2001:db8:1:2::1"), same = parsed("2001:db8:1:2:3:4:5:6"),
			     other = parsed("2001:db8:1:3::1"), four = parsed("192.0.2.1"),
			     near = parsed("192.0.2.3");

	passed_note(passed, &one, SECOND);
	assert_true(passed_find(passed, &same, 0));
	assert_false(passed_find(passed, &other, 0));
	passed_note(passed, &four, SECOND);
	assert_true(passed_find(passed, &four, 0));
	assert_false(passed_find(passed, &near, 0));
	passed_destroy(passed);
}

// What is forgotten is what would have ended first; a table that is not full forgets hardly any.
static void test_full_table(void **state)
{
	struct passed *passed = passed_create(4096, &key);
	unsigned kept = 0;

	for (uint32_t i = 0; i < 1024; i++) {
		struct address address = numbered(i);

		passed_note(passed, &address, 100 * SECOND);
	}
	for (uint32_t i = 0; i < 1024; i++) {
		struct address address = numbered(i);

		kept += passed_find(passed, &address, 0);
	}
	assert_in_range(kept, 1000, 1024);
	for (uint32_t i = 0; i < 100000; i++) {
		struct address address = numbered(i);

		passed_note(passed, &address, (100 + i) * SECOND);
	}
	kept = 0;
	for (uint32_t i = 100000 - 1024; i < 100000; i++) {
		struct address address = numbered(i);

		kept += passed_find(passed, &address, 0);
	}
	assert_in_range(kept, 1000, 1024);
	assert_false(passed_find(passed, &(struct address){{0}}, 0));
	passed_destroy(passed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_time),
		cmocka_unit_test(test_sources),
		cmocka_unit_test(test_full_table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
