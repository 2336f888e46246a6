// SPDX-License-Identifier: BSD-3-Clause
//
// Which connectors draw a warning: nobody can use them, or anybody can relay.
#include "config/exposure.h"
#include "config/policy.h"
#include "tests/unit/config/support.h"

#define SUBMIT PERMISSION_GROUP_ANONYMOUS_USERS
#define RELAY  RIGHT_ACCEPT_ANY_RECIPIENT

static const struct {
	const char *binding, *range, *range2;
	uint32_t groups;
	rights_mask granted, denied;
	bool disabled;
	const char *warnings[2];
} cases[] = {
	{"192.0.2.1:25", "10.0.0.1", NULL, SUBMIT, 0, 0, false, {NULL}},
	{"192.0.2.1:25", "0.0.0.0/0", NULL, SUBMIT, 0, 0, false, {NULL}}, // an ordinary edge
	{"192.0.2.1:25", "10.0.0.1", NULL, 0, 0, 0, false, {"grants no right to anybody"}},
	{"192.0.2.1:25",
	 "10.0.0.1",
	 NULL,
	 0,
	 RELAY,
	 0,
	 false,
	 {"does not grant ms-Exch-SMTP-Submit"}},
	{"192.0.2.1:25",
	 "10.0.0.1",
	 NULL,
	 SUBMIT,
	 0,
	 RIGHT_SUBMIT,
	 false,
	 {"does not grant ms-Exch-SMTP-Submit"}},
	{"192.0.2.1:25", "10.0.0.1", NULL, SUBMIT, 0, 0, true, {"is disabled"}},
	{"192.0.2.1:25",
	 "10.0.0.1",
	 NULL,
	 SUBMIT | PERMISSION_GROUP_PARTNERS,
	 0,
	 0,
	 false,
	 {"Partners grants nothing here"}},
	{"192.0.2.1:25",
	 "10.0.0.1",
	 NULL,
	 PERMISSION_GROUP_EXCHANGE_SERVERS,
	 0,
	 0,
	 false,
	 {"ExchangeServers grants nothing", "grants no right to anybody"}},
	{"[::]:25", "10.0.0.1", NULL, SUBMIT, 0, 0, false, {"of different address families"}},
	// Relaying for the world
	{"192.0.2.1:25",
	 "0.0.0.0/0",
	 NULL,
	 SUBMIT,
	 RELAY,
	 0,
	 false,
	 {"is an open relay: without authentication, 4256038912 public IPv4 addresses, among them "
	  "0.0.0.0/0"}},
	{"192.0.2.1:25", "198.51.0.0/16", NULL, SUBMIT, RELAY, 0, false, {NULL}},
	{"192.0.2.1:25", "198.50.0.0/15", NULL, SUBMIT, RELAY, 0, false, {"is an open relay"}},
	{"192.0.2.1:25",
	 "198.51.0.0/16",
	 "203.0.113.1",
	 SUBMIT,
	 RELAY,
	 0,
	 false,
	 {"65537 public IPv4 addresses, among them 198.51.0.0/16"}},
	{"192.0.2.1:25", "10.0.0.0/8", NULL, SUBMIT, RELAY, 0, false, {NULL}}, // nobody's outside
	{"192.0.2.1:25", "9.255.255.0-11.0.0.255", NULL, SUBMIT, RELAY, 0, false, {NULL}},
	{"192.0.2.1:25",
	 "9.0.0.0-10.255.255.255",
	 NULL,
	 SUBMIT,
	 RELAY,
	 0,
	 false,
	 {"16777216 public IPv4 addresses"}},
	{"192.0.2.1:25", "0.0.0.0/0", NULL, SUBMIT, RELAY, RELAY, false, {NULL}}, // denied again
	{"192.0.2.1:25", "0.0.0.0/0", NULL, SUBMIT, RELAY, 0, true, {"is disabled"}},
	{"[::]:25", "2001:db8::/48", NULL, SUBMIT, RELAY, 0, false, {NULL}},
	{"[::]:25",
	 "2001:db8::/47",
	 NULL,
	 SUBMIT,
	 RELAY,
	 0,
	 false,
	 {"131072 public IPv6 /64 networks"}},
	{"[::]:25", "fc00::/7", NULL, SUBMIT, RELAY, 0, false, {NULL}},
	{"[::]:25",
	 "::/0",
	 NULL,
	 SUBMIT,
	 RELAY,
	 0,
	 false,
	 {"is an open relay", "unknown IPv6 clients"}},
	{"[::]:25", "::/0", NULL, SUBMIT, 0, 0, false, {"unknown IPv6 clients (::/0)"}},
	{"[::]:25", "2001:db8::/32", NULL, SUBMIT, 0, 0, false, {NULL}},
	{"[::]:25", "2000::/3", NULL, SUBMIT, 0, 0, false, {"unknown IPv6 clients"}},
};

static void test_cases(void **state)
{
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct endpoint binding;
		struct connector_range ranges[2] = {{.line = 7}, {.line = 8}};
		struct connector connector = {
			.name = (char *)"c",
			.enabled = !cases[i].disabled,
			.bindings = &binding,
			.binding_count = 1,
			.ranges = ranges,
			.range_count = cases[i].range2 != NULL ? 2 : 1,
			.permission_groups = cases[i].groups,
			.granted[PRINCIPAL_ANONYMOUS] = cases[i].granted,
			.denied[PRINCIPAL_ANONYMOUS] = cases[i].denied,
			.line = 5,
		};
		const struct policy policy = {
			.file = (char *)"f", .connectors = &connector, .connector_count = 1};
		struct findings findings;
		unsigned wanted = 0;
		const char *why;

		assert_int_equal(endpoint_parse(cases[i].binding, 0, &binding, &why), 0);
		assert_int_equal(range_parse(cases[i].range, &ranges[0].range, &why), 0);
		if (cases[i].range2 != NULL)
			assert_int_equal(range_parse(cases[i].range2, &ranges[1].range, &why), 0);
		findings_init(&findings);
		exposure_check(&policy, &findings.diagnostics);
		for (; wanted < 2 && cases[i].warnings[wanted] != NULL; wanted++)
			if (strstr(findings.text, cases[i].warnings[wanted]) == NULL)
				fail_msg("case %zu lacks \"%s\": %s", i, cases[i].warnings[wanted],
					 findings.text);
		if (findings.diagnostics.warnings != wanted || findings.diagnostics.errors != 0)
			fail_msg("case %zu: %s", i, findings.text);
		findings_fini(&findings);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_cases)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
