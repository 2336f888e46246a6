// SPDX-License-Identifier: BSD-3-Clause
//
// Tests of gate/endpoints: every endpoint that was set is found with its number, and no other.
#include "dataplane/gate/endpoints.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static struct address address_number(unsigned number)
{
	uint8_t bytes[16] = {0x20, 0x01, 0x0d, 0xb8};
	bytes[14] = (uint8_t)(number >> 8);
	bytes[15] = (uint8_t)number;
	return number % 2 ? address_from_ipv4(bytes + 12) : address_from_ipv6(bytes);
}

static void test_all_that_was_set(void **state)
{
	static const uint32_t sizes[] = {0, 1, 2, 3, 100, 5000};
	for (unsigned s = 0; s < sizeof(sizes) / sizeof(*sizes); s++) {
		struct endpoints endpoints;
		uint32_t addresses = (sizes[s] + 4) / 5;
		assert_int_equal(endpoints_init(&endpoints, sizes[s]), 0);
		for (uint32_t i = 0; i < sizes[s]; i++) {
			struct address address = address_number(i / 5);
			endpoints_set(&endpoints, &address, (uint16_t)(i % 5), 7777);
			endpoints_set(&endpoints, &address, (uint16_t)(i % 5), i); // counts
		}
		endpoints_seal(&endpoints);
		for (uint32_t i = 0; i < addresses * 10; i++) {
			struct address address = address_number(i / 10);
			uint16_t port = (uint16_t)(i % 10);
			uint32_t number = i / 10 * 5 + port;
			uint32_t expected =
				port < 5 && number < sizes[s] ? number : ENDPOINT_ABSENT;
			assert_int_equal(endpoints_get(&endpoints, &address, port), expected);
		}
		struct address other = address_number(60000), zero = {{0}};
		assert_int_equal(endpoints_get(&endpoints, &other, 0), ENDPOINT_ABSENT);
		assert_int_equal(endpoints_get(&endpoints, &zero, 0), ENDPOINT_ABSENT);
		endpoints_fini(&endpoints);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_that_was_set),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
