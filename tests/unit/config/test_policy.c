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
		.granted[PRINCIPAL_ANONYMOUS] = RIGHT_ACCEPT_ANY_RECIPIENT,
		.denied[PRINCIPAL_ANONYMOUS] =
			RIGHT_ACCEPT_ANY_SENDER | RIGHT_ACCEPT_AUTHORITATIVE_SENDER,
	};

	assert_int_equal(connector_session_rights(&connector),
			 RIGHT_SUBMIT | RIGHT_ACCEPT_ANY_RECIPIENT | RIGHT_ACCEPT_HEADERS_ROUTING);
	// A denial always wins.
	connector.denied[PRINCIPAL_ANONYMOUS] = RIGHT_ACCEPT_ANY_RECIPIENT;
	assert_false(connector_session_rights(&connector) & RIGHT_ACCEPT_ANY_RECIPIENT);
	connector.permission_groups = PERMISSION_GROUP_EXCHANGE_SERVERS;
	assert_int_equal(connector_session_rights(&connector), 0);

	// By its mechanism a session is a server as well: that adds its rights, and its denials.
	connector.mechanisms = MECHANISM_EXTERNAL_AUTHORITATIVE;
	assert_true(connector_session_rights(&connector) & RIGHT_BYPASS_ANTI_SPAM);
	assert_false(connector_session_rights(&connector) & RIGHT_ACCEPT_ANY_RECIPIENT);
	connector.denied[PRINCIPAL_EXTERNALLY_SECURED] = RIGHT_BYPASS_ANTI_SPAM;
	assert_false(connector_session_rights(&connector) & RIGHT_BYPASS_ANTI_SPAM);
	// What is somebody else's is not its.
	connector.denied[PRINCIPAL_PARTNER] = RIGHT_SUBMIT;
	connector.granted[PRINCIPAL_AUTHENTICATED] = RIGHT_ACCEPT_HEADERS_FOREST;
	assert_true(connector_session_rights(&connector) & RIGHT_SUBMIT);
	assert_false(connector_session_rights(&connector) & RIGHT_ACCEPT_HEADERS_FOREST);
	assert_true(connector_rights(&connector, 1u << PRINCIPAL_AUTHENTICATED) &
		    RIGHT_ACCEPT_HEADERS_FOREST);
}

static void test_ip_list(void **state)
{
	static const struct {
		const char *range;
		uint64_t expires_s;
	} entries[] = {
		{"192.0.2.0/24", 100}, {"192.0.2.7", 50},    {"10.0.0.0/8", 0},
		{"2001:db8::/32", 0},  {"10.5.0.0/16", 200}, {"192.0.2.200-192.0.2.210", 0},
	};
	static const struct {
		const char *address;
		uint64_t second;
		const char *range; // found; NULL = none
	} cases[] = {
		{"192.0.2.7", 10, "192.0.2.7"},
		{"192.0.2.7", 50, "192.0.2.0/24"}, // a smaller one is over
		{"192.0.2.7", 100, NULL},
		{"192.0.2.205", 100, "192.0.2.200-192.0.2.210"},
		{"10.5.1.1", 199, "10.5.0.0/16"},
		{"10.5.1.1", 200, "10.0.0.0/8"},
		{"10.255.255.255", 1000, "10.0.0.0/8"},
		{"9.255.255.255", 1, NULL},
		{"11.0.0.0", 1, NULL},
		{"2001:db8::1", 1, "2001:db8::/32"},
		{"2001:db9::", 1, NULL},
	};
	struct ip_entry memory[COUNT(entries)] = {0};
	struct ip_list list = {.entries = memory, .count = COUNT(entries)};
	const char *why;
	char text[RANGE_TEXT_MAX];

	for (size_t i = 0; i < COUNT(entries); i++) {
		assert_int_equal(range_parse(entries[i].range, &memory[i].range, &why), 0);
		memory[i].expires_s = entries[i].expires_s;
	}
	ip_list_sort(&list);
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct address address;
		const struct ip_entry *found;

		assert_int_equal(address_parse(cases[i].address, &address, &why), 0);
		found = ip_list_find(&list, &address, cases[i].second * 1000000);
		assert_int_equal(found != NULL, cases[i].range != NULL);
		if (found != NULL)
			assert_string_equal(range_format(&found->range, text), cases[i].range);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_accepted_domains),
		cmocka_unit_test(test_sorted_search_agrees),
		cmocka_unit_test(test_rights_of_a_connector),
		cmocka_unit_test(test_ip_list),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
