// SPDX-License-Identifier: BSD-3-Clause
//
// Which accepted domain a recipient belongs to, and what a connector's rights add up to.
#include "config/policy.h"
#include "tests/unit/config/support.h"

static struct accepted_domain domains[] = {
	{.name = (char *)"contoso.com", .match_subdomains = true, .line = 1},
	{.name = (char *)"mail.contoso.com", .type = DOMAIN_INTERNAL_RELAY, .line = 2},
	{.name = (char *)"*.fabrikam.com", .line = 3},
	{.name = (char *)"*.deep.fabrikam.com", .type = DOMAIN_EXTERNAL_RELAY, .line = 4},
	{.name = (char *)"example", .line = 5},
	{.name = (char *)"tailspin.com", .line = 6},
	{.name = (char *)"*.tailspin.com", .line = 7},
	{.name = (char *)"xn--mller-kva.example", .line = 8},
};

static const struct {
	const char *name;
	unsigned line; // of the entry that owns it; 0 = none
} lookups[] = {
	{"contoso.com", 1},
	{"CONTOSO.Com", 1},
	{"a.contoso.com", 1},
	{"b.a.contoso.com", 1},
	{"mail.contoso.com", 2},
	{"x.mail.contoso.com", 1}, // the entry has no MatchSubDomains, the one above has
	{"xcontoso.com", 0},
	{"contoso.com.", 0},
	{"contoso.co", 0},
	{"contoso.comm", 0},
	{"com", 0},
	{".contoso.com", 1}, // such a name is no domain; path parsing refuses it earlier
	{"fabrikam.com", 0}, // a wildcard is for subdomains only
	{"a.fabrikam.com", 3},
	{"deep.fabrikam.com", 3},
	{"a.deep.fabrikam.com", 4},
	{"*.fabrikam.com", 0},
	{"*.contoso.com", 0},
	{"example", 5},
	{"a.example", 0},
	{"tailspin.com", 6},
	{"a.tailspin.com", 7},
	{"XN--MLLER-kva.example", 8},
	{"", 0},
	{".", 0},
	{"..", 0},
	{"*", 0},
};

static void check_lookups(const struct policy *policy)
{
	for (size_t i = 0; i < COUNT(lookups); i++) {
		size_t length = strlen(lookups[i].name);
		// No NUL behind it: the sanitizer sees a read past the end.
		char *name = malloc(length + (length == 0));
		const struct accepted_domain *found;

		memcpy(name, lookups[i].name, length);
		found = policy_accepted_domain(policy, name, length);
		if ((found != NULL ? found->line : 0) != lookups[i].line)
			fail_msg("%s: entry %u", lookups[i].name, found != NULL ? found->line : 0);
		free(name);
	}
}

static void test_accepted_domains(void **state)
{
	struct policy policy = {.domains = domains, .domain_count = COUNT(domains)};
	const struct policy none = {0};

	check_lookups(&policy); // as a policy made by hand
	policy_sort_domains(&policy);
	assert_true(policy.domains_sorted);
	check_lookups(&policy);
	assert_null(policy_accepted_domain(&none, "contoso.com", 11));
}

// Many entries: the sorted search against the linear one.
static void test_sorted_search_agrees(void **state)
{
	struct policy policy = {.domain_count = 500};
	char name[64];
	unsigned found = 0;

	policy.domains = calloc(policy.domain_count, sizeof(*policy.domains));
	for (unsigned i = 0; i < policy.domain_count; i++) {
		snprintf(name, sizeof(name), "%s%c%u.%c.test", i % 3 == 0 ? "*." : "",
			 'a' + i * 7 % 26, i * 37, 'a' + i % 5);
		policy.domains[i].name = strdup(name);
		policy.domains[i].match_subdomains = i % 3 == 1;
		policy.domains[i].line = i + 1;
	}
	policy_sort_domains(&policy);
	for (unsigned i = 0; i < 3 * policy.domain_count; i++) {
		static const char *const below[] = {"", "host.", "a.b."};
		const char *base = policy.domains[i / 3].name;
		const struct accepted_domain *fast, *slow;
		int length = snprintf(name, sizeof(name), "%s%s", below[i % 3],
				      base[0] == '*' ? base + 2 : base);

		policy.domains_sorted = true;
		fast = policy_accepted_domain(&policy, name, (size_t)length);
		policy.domains_sorted = false;
		slow = policy_accepted_domain(&policy, name, (size_t)length);
		assert_ptr_equal(fast, slow);
		found += fast != NULL;
	}
	assert_true(found > 500);
	for (unsigned i = 0; i < policy.domain_count; i++)
		free(policy.domains[i].name);
	free(policy.domains);
}

static void test_rights_of_a_connector(void **state)
{
	struct connector connector = {
		.permission_groups = PERMISSION_GROUP_ANONYMOUS_USERS,
		.granted = RIGHT_ACCEPT_ANY_RECIPIENT,
		.denied = RIGHT_ACCEPT_ANY_SENDER | RIGHT_ACCEPT_AUTHORITATIVE_SENDER,
	};

	assert_int_equal(connector_anonymous_rights(&connector),
			 RIGHT_SUBMIT | RIGHT_ACCEPT_ANY_RECIPIENT);
	connector.denied = RIGHT_ACCEPT_ANY_RECIPIENT; // a denial always wins
	assert_false(connector_anonymous_rights(&connector) & RIGHT_ACCEPT_ANY_RECIPIENT);
	connector.permission_groups = PERMISSION_GROUP_EXCHANGE_SERVERS;
	assert_int_equal(connector_anonymous_rights(&connector), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_accepted_domains),
		cmocka_unit_test(test_sorted_search_agrees),
		cmocka_unit_test(test_rights_of_a_connector),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
