// SPDX-License-Identifier: BSD-3-Clause
//
// Limits and actions are called what their keys and values are called.
#include "config/limit_names.h"
#include "tests/unit/config/support.h"

static void test_limits(void **state)
{
	static const char *const names[LIMIT_COUNT] = {
		[LIMIT_SYN_RATE] = "MaxSynRate",
		[LIMIT_CONNECTIONS] = "MaxInboundConnection",
		[LIMIT_PER_SOURCE] = "MaxInboundConnectionPerSource",
		[LIMIT_PERCENTAGE] = "MaxInboundConnectionPercentagePerSource",
		[LIMIT_PER_PREFIX] = "MaxInboundConnectionPerPrefix",
		[LIMIT_SOURCE_RATE] = "MaxConnectionRatePerSource",
		[LIMIT_PREFIX_RATE] = "MaxConnectionRatePerPrefix",
	};

	for (unsigned i = 0; i < LIMIT_COUNT; i++)
		assert_string_equal(limit_name(i), names[i]);
}

static void test_actions(void **state)
{
	assert_string_equal(limit_action_name(ABOVE_DROP), "drop");
	assert_string_equal(limit_action_name(ABOVE_RESET), "reset");
	assert_string_equal(limit_action_name(ABOVE_TARPIT), "tarpit");
	assert_string_equal(limit_action_name(ABOVE_REPLY), "reply");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_actions),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
