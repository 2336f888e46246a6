// SPDX-License-Identifier: BSD-3-Clause
//
// The rules of DNS lists, and what their keys make of values.
#include "config/check_dnsbl.h"
#include "config/policy.h"
#include "tests/unit/config/support.h"

#define BASE                                                                                       \
	"[gate]\nName = mx.example.com\n[port p]\nDevice = e\nAddress = 192.0.2.10/24\n"           \
	"[accepted-domain contoso.com]\n[backend b]\nServers = 192.0.2.20\n"                       \
	"[connector c]\nBindings = 192.0.2.10:25\nRemoteIPRanges = 10.0.0.1\n"                     \
	"PermissionGroups = AnonymousUsers\n"
#define ASKS "DnsblAction = reject\n"
#define LIST "[dnsbl l]\nZone = l.test\n"

static const struct {
	const char *text;
	char severity; // 0 = no finding at all
	const char *fragment;
} cases[] = {
	{BASE, 0, NULL},
	{BASE ASKS LIST, 0, NULL},
	{BASE ASKS, 'E', "there is no list to ask"},
	{BASE "DnsblAction = count\n", 'E', "there is no list to ask"},
	{BASE "Enabled = no\n" ASKS, 'W', "disabled"},
	{BASE LIST, 'W', "[dnsbl l] is asked by no connector"},
	{BASE ASKS "DnsblThreshold = 2\n" LIST, 'E', "weigh 1: no client can reach 2"},
	{BASE ASKS "DnsblThreshold = 2\n" LIST "Weight = 2\n", 0, NULL},
	{BASE ASKS LIST "Weight = -1\n", 'E', "weigh 0: no client can reach 1"},
	{BASE ASKS LIST "Weight = 0\n", 'E', "out of range: -100 to 100, not 0"},
	{BASE ASKS LIST "Weight = -101\n", 'E', "out of range"},
	{BASE ASKS LIST "Weight = --1\n", 'E', "Weight"},
	{BASE ASKS "[dnsbl l\xc3\xa4]\nZone = l.test\n", 'E', "only printable ASCII"},
	{BASE ASKS "[dnsbl l]\nZone = l..test\n", 'E', "Zone"},
	{BASE ASKS LIST "Replies = 192.0.2.1\n", 'E', "127.0.0.0/8"},
	{BASE ASKS LIST "Replies = ::1\n", 'E', "127.0.0.0/8"},
	{BASE ASKS LIST "Replies = 127.0.0.2, 127.0.1.0/24, 127.0.0.4-127.0.0.9\n", 0, NULL},
};

static void test_rules(void **state)
{
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct findings findings;
		struct policy *policy;

		findings_init(&findings);
		policy = policy_load_text(cases[i].text, &findings.diagnostics);
		if (cases[i].severity == 0
			    ? findings.length != 0
			    : !findings_have(&findings, cases[i].severity, 0, cases[i].fragment) &&
				      !strstr(findings.text, cases[i].fragment))
			fail_msg("case %zu: %s", i, findings.text);
		assert_int_equal(policy == NULL, cases[i].severity == 'E');
		policy_destroy(policy);
		findings_fini(&findings);
	}
}

static void test_replies(void **state)
{
	static const struct {
		const char *replies, *address;
		bool listed;
	} rows[] = {
		{"", "127.0.0.1", false},
		{"", "127.0.0.2", true},
		{"", "127.0.255.255", true},
		{"", "127.1.0.1", false},
		{"", "127.255.255.254", false}, // "you may not ask"
		{"", "192.0.2.1", false},       // a resolver that answers for what is not there
		{"Replies = 127.0.0.2-127.0.0.11, 127.0.1.0/24\n", "127.0.0.11", true},
		{"Replies = 127.0.0.2-127.0.0.11, 127.0.1.0/24\n", "127.0.0.12", false},
		{"Replies = 127.0.0.2-127.0.0.11, 127.0.1.0/24\n", "127.0.1.255", true},
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct findings findings;
		struct policy *policy;
		struct address address;
		const char *why;
		char text[1024];

		findings_init(&findings);
		snprintf(text, sizeof(text), "%s%s", BASE ASKS LIST, rows[i].replies);
		policy = policy_load_text(text, &findings.diagnostics);
		assert_non_null(policy);
		assert_int_equal(address_parse(rows[i].address, &address, &why), 0);
		assert_int_equal(dnsbl_list_matches(&policy->dnsbls[0], &address), rows[i].listed);
		policy_destroy(policy);
		findings_fini(&findings);
	}
}

static void test_name_servers(void **state)
{
	struct findings findings;
	struct policy *policy;

	findings_init(&findings);
	policy = policy_load_text(BASE "[dnsbl l]\nZone = l.test\n" ASKS, &findings.diagnostics);
	assert_null(policy); // DnsblAction is a connector's
	policy = policy_load_text("[gate]\nName = mx.example.com\nDnsServers = 127.0.0.1, "
				  "[::1]:5353\nDnsServers = ::\n",
				  &findings.diagnostics);
	assert_null(policy);
	findings_fini(&findings);

	findings_init(&findings);
	policy = policy_load_text(BASE ASKS LIST, &findings.diagnostics);
	assert_int_equal(policy->gate.dns_server_count, 0);
	policy_destroy(policy);
	policy = policy_load_text(
		"[port p]\nDevice = e\nAddress = 192.0.2.10/24\n[accepted-domain contoso.com]\n"
		"[backend b]\nServers = 192.0.2.20\n[connector c]\nBindings = 192.0.2.10:25\n"
		"RemoteIPRanges = 10.0.0.1\nPermissionGroups = AnonymousUsers\n"
		"[gate]\nName = mx.example.com\nDnsServers = 127.0.0.1, [::1]:5353\n",
		&findings.diagnostics);
	assert_non_null(policy);
	assert_int_equal(policy->gate.dns_server_count, 2);
	assert_int_equal(policy->gate.dns_servers[0].port, 53);
	assert_int_equal(policy->gate.dns_servers[1].port, 5353);
	policy_destroy(policy);
	findings_fini(&findings);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rules),
		cmocka_unit_test(test_replies),
		cmocka_unit_test(test_name_servers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
