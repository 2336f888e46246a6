// SPDX-License-Identifier: BSD-3-Clause
//
// Every spelling that Exchange's documents use, and what each group grants without authentication.
#include "config/rights.h"
#include "tests/unit/config/support.h"

#include <errno.h>

static void test_spellings(void **state)
{
	static const struct {
		const char *text;
		int status;
		enum right right;
	} cases[] = {
		{"ms-Exch-SMTP-Submit", 0, RIGHT_SUBMIT},
		{"MS-EXCH-SMTP-SUBMIT", 0, RIGHT_SUBMIT},
		{"Ms-Exch-SMTP-Accept-Any-Recipient", 0, RIGHT_ACCEPT_ANY_RECIPIENT},
		{"Ms-Exchange-SMTP-Accept-Any-Recipient", 0, RIGHT_ACCEPT_ANY_RECIPIENT},
		{"s-Exch-SMTP-Accept-Any-Recipient", 0, RIGHT_ACCEPT_ANY_RECIPIENT},
		{"ms-exch-smtp-accept-any-sender", 0, RIGHT_ACCEPT_ANY_SENDER},
		{"ms-Exch-SMTP-Accept-Authoritative-Domain", 0, RIGHT_ACCEPT_AUTHORITATIVE_SENDER},
		{"ms-Exch-SMTP-Accept-Authoritative-Domain-Sender", 0,
		 RIGHT_ACCEPT_AUTHORITATIVE_SENDER},
		{"ms-Exch-Bypass-Message-Size-Limit", 0, RIGHT_BYPASS_MESSAGE_SIZE_LIMIT},
		{"ms-Exch-Accept-Headers-Routing", -ENOTSUP, 0},
		{"ms-Exch-SMTP-Accept-Exch50", -ENOTSUP, 0},
		{"Ms-Exch-Accept-Exch50", -ENOTSUP, 0},
		{"ms-Exch-Bypass-Anti-Spam", -ENOTSUP, 0},
		{"ms-Exch-SMTP-Accept-XShadow", -ENOTSUP, 0},
		{"ms-Exch-SMTP", -EINVAL, 0},
		{"ms-Exch-SMTP-Submit ", -EINVAL, 0},
		{"", -EINVAL, 0},
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		enum right right = 0;

		assert_int_equal(rights_parse(cases[i].text, &right), cases[i].status);
		if (cases[i].status == 0)
			assert_int_equal(right, cases[i].right);
	}
}

static void test_canonical_names_read_back(void **state)
{
	for (uint32_t bit = RIGHT_SUBMIT; bit <= RIGHT_BYPASS_MESSAGE_SIZE_LIMIT; bit <<= 1) {
		enum right right;

		assert_int_equal(rights_parse(right_name((enum right)bit), &right), 0);
		assert_int_equal(right, bit);
	}
	assert_string_equal(right_name(RIGHT_ACCEPT_ANY_RECIPIENT),
			    "ms-Exch-SMTP-Accept-Any-Recipient");
	assert_string_equal(right_name(RIGHT_ACCEPT_AUTHORITATIVE_SENDER),
			    "ms-Exch-SMTP-Accept-Authoritative-Domain-Sender");
	for (uint32_t bit = PERMISSION_GROUP_ANONYMOUS_USERS; bit <= PERMISSION_GROUP_PARTNERS;
	     bit <<= 1) {
		uint32_t group;

		assert_int_equal(permission_group_parse(
					 permission_group_name((enum permission_group)bit), &group),
				 0);
		assert_int_equal(group, bit);
	}
}

static void test_groups(void **state)
{
	uint32_t group = 99;

	assert_int_equal(permission_group_parse("none", &group), 0);
	assert_int_equal(group, 0);
	assert_int_equal(permission_group_parse("Anonymous", &group), 0);
	assert_int_equal(group, PERMISSION_GROUP_ANONYMOUS_USERS);
	assert_int_equal(permission_group_parse("partner", &group), 0);
	assert_int_equal(group, PERMISSION_GROUP_PARTNERS);
	assert_int_equal(permission_group_parse("Custom", &group), -EINVAL);
	assert_int_equal(permission_group_parse("Everyone", &group), -EINVAL);

	assert_int_equal(permission_groups_anonymous_rights(PERMISSION_GROUP_ANONYMOUS_USERS),
			 RIGHT_SUBMIT | RIGHT_ACCEPT_ANY_SENDER |
				 RIGHT_ACCEPT_AUTHORITATIVE_SENDER);
	// All other groups grant to principals that have authenticated.
	assert_int_equal(
		permission_groups_anonymous_rights(
			PERMISSION_GROUP_EXCHANGE_USERS | PERMISSION_GROUP_EXCHANGE_SERVERS |
			PERMISSION_GROUP_EXCHANGE_LEGACY_SERVERS | PERMISSION_GROUP_PARTNERS),
		0);
	assert_int_equal(permission_groups_anonymous_rights(0), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_spellings),
		cmocka_unit_test(test_canonical_names_read_back),
		cmocka_unit_test(test_groups),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
