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
		{"ms-Exch-Accept-Headers-Routing", 0, RIGHT_ACCEPT_HEADERS_ROUTING},
		{"ms-Exch-SMTP-Accept-Exch50", 0, RIGHT_ACCEPT_EXCH50},
		{"Ms-Exch-Accept-Exch50", 0, RIGHT_ACCEPT_EXCH50},
		{"ms-Exch-Bypass-Anti-Spam", 0, RIGHT_BYPASS_ANTI_SPAM},
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
	for (uint32_t bit = RIGHT_FIRST; bit <= RIGHT_LAST; bit <<= 1) {
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
}

// The table of section 2.3 as it is printed there, but for the columns of servers that cannot
// authenticate here.
static void test_matrix(void **state)
{
	static const struct {
		const char *right;
		const char *granted; // to Anon, User, Ext, Part
	} rows[] = {
		{"ms-Exch-SMTP-Submit", "XXXX"},
		{"ms-Exch-SMTP-Accept-Any-Recipient", "-XX-"},
		{"ms-Exch-SMTP-Accept-Any-Sender", "X-X-"},
		{"ms-Exch-SMTP-Accept-Authoritative-Domain-Sender", "X-X-"},
		{"ms-Exch-SMTP-Accept-Authentication-Flag", "--X-"},
		{"ms-Exch-SMTP-Accept-Exch50", "--X-"},
		{"ms-Exch-Accept-Headers-Routing", "XXXX"},
		{"ms-Exch-Accept-Headers-Organization", "----"},
		{"ms-Exch-Accept-Headers-Forest", "----"},
		{"ms-Exch-Bypass-Anti-Spam", "-XX-"},
		{"ms-Exch-Bypass-Message-Size-Limit", "--X-"},
	};
	static const uint32_t group_of[PRINCIPAL_COUNT] = {
		[PRINCIPAL_ANONYMOUS] = PERMISSION_GROUP_ANONYMOUS_USERS,
		[PRINCIPAL_AUTHENTICATED] = PERMISSION_GROUP_EXCHANGE_USERS,
		[PRINCIPAL_EXTERNALLY_SECURED] = PERMISSION_GROUP_EXCHANGE_SERVERS,
		[PRINCIPAL_PARTNER] = PERMISSION_GROUP_PARTNERS,
	};
	rights_mask all = 0;

	for (size_t i = 0; i < COUNT(rows); i++) {
		enum right right;

		assert_int_equal(rights_parse(rows[i].right, &right), 0);
		all |= right;
		for (unsigned who = 0; who < PRINCIPAL_COUNT; who++)
			for (uint32_t group = PERMISSION_GROUP_ANONYMOUS_USERS;
			     group <= PERMISSION_GROUP_PARTNERS; group <<= 1)
				assert_int_equal(
					(permission_groups_rights(group, (enum principal)who) &
					 right) != 0,
					group == group_of[who] && rows[i].granted[who] == 'X');
	}
	assert_int_equal(all, (RIGHT_LAST << 1) - 1); // every right has its row
}

static void test_principals(void **state)
{
	static const struct {
		const char *text;
		int status;
		enum principal principal;
	} cases[] = {
		{"Anonymous", 0, PRINCIPAL_ANONYMOUS},
		{"nt authority\\anonymous logon", 0, PRINCIPAL_ANONYMOUS},
		{"NT-AUTORIT\xc3\x84T\\ANONYMOUS-ANMELDUNG", 0, PRINCIPAL_ANONYMOUS},
		{"AUTORITE NT\\ANONYMOUS LOGON", 0, PRINCIPAL_ANONYMOUS},
		{"AUTORITE NT\\Utilisateurs authentifi\xc3\xa9s", 0, PRINCIPAL_AUTHENTICATED},
		{"NT AUTHORITY\\Usuarios autentificados", 0, PRINCIPAL_AUTHENTICATED},
		{"CONTOSO\\ANONYMOUS LOGON", -EINVAL, 0},
		{"S-1-5-11", 0, PRINCIPAL_AUTHENTICATED},
		{"MS Exchange\\Externally Secured Servers", 0, PRINCIPAL_EXTERNALLY_SECURED},
		{"s-1-9-1419165041-1139599005-3936102811-1022490595-23", 0,
		 PRINCIPAL_EXTERNALLY_SECURED},
		{"S-1-9-1419165041-1139599005-3936102811-1022490595-10", 0, PRINCIPAL_PARTNER},
		{"S-1-5-70", -EINVAL, 0},
		{"Everyone", -EINVAL, 0},
		{"", -EINVAL, 0},
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		enum principal principal = PRINCIPAL_COUNT;

		assert_int_equal(principal_parse(cases[i].text, strlen(cases[i].text), &principal),
				 cases[i].status);
		if (cases[i].status == 0)
			assert_int_equal(principal, cases[i].principal);
	}
	for (unsigned i = 0; i < PRINCIPAL_COUNT; i++) {
		const char *name = principal_name((enum principal)i);
		enum principal principal;

		assert_int_equal(principal_parse(name, strlen(name), &principal), 0);
		assert_int_equal(principal, i);
	}
}

static void test_mechanisms(void **state)
{
	for (uint32_t bit = MECHANISM_TLS; bit <= MECHANISM_EXTERNAL_AUTHORITATIVE; bit <<= 1) {
		uint32_t mechanism;

		assert_int_equal(mechanism_parse(mechanism_name((enum mechanism)bit), &mechanism),
				 0);
		assert_int_equal(mechanism, bit);
	}
	uint32_t none = 1;
	assert_int_equal(mechanism_parse("none", &none), 0);
	assert_int_equal(none, 0);
	assert_int_equal(mechanism_parse("NTLM", &none), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_spellings),  cmocka_unit_test(test_canonical_names_read_back),
		cmocka_unit_test(test_groups),     cmocka_unit_test(test_matrix),
		cmocka_unit_test(test_principals), cmocka_unit_test(test_mechanisms),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
