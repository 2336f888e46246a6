// SPDX-License-Identifier: BSD-3-Clause
//
// The audit: each planted mistake is found, under its code and with its severity, and nothing else
// is; the samples are clean.
#include "config/audit.h"
#include "config/load.h"
#include "tests/unit/config/support.h"

#include <inttypes.h>

#define NOW_US (1800000000ull * 1000000)

#define HEAD                                                                                       \
	"[gate]\nName = mx.contoso.com\n[port outside]\nDevice = eth1\n"                           \
	"Address = 198.51.100.25/27, 2001:db8:25::25/64\nGateway = 198.51.100.1\n"                 \
	"[backend cluster]\nServers = 198.51.100.26\n"
#define DOMAINS      "[accepted-domain contoso.com]\n"
#define AT           "Bindings = 198.51.100.25:25\n"
#define WORLD        "RemoteIPRanges = 0.0.0.0/0\n"
#define FEW          "RemoteIPRanges = 203.0.113.16/29\n"
#define ANON         "PermissionGroups = AnonymousUsers\n"
#define SERVERS      "PermissionGroups = ExchangeServers\nAuthMechanism = ExternalAuthoritative\n"
#define RELAY        "ExtendedRights = anonymous: ms-Exch-SMTP-Accept-Any-Recipient\n"
#define GRANT(right) "ExtendedRights = anonymous: ms-Exch-" right "\n"

enum { CRITICAL = AUDIT_CRITICAL, WARNING = AUDIT_WARNING, NOTICE = AUDIT_NOTICE };

static const struct {
	const char *text;
	int severity;
	const char *code; // the only one; NULL = clean
	const char *second;
} cases[] = {
	// clean
	{DOMAINS "[connector a]\n" AT WORLD ANON, 0, NULL, NULL},
	{DOMAINS "[connector a]\n" AT FEW ANON RELAY, 0, NULL, NULL},
	{DOMAINS "[connector a]\n" AT FEW SERVERS, 0, NULL, NULL},
	{DOMAINS "[connector a]\n" AT "RemoteIPRanges = 10.1.0.0/16\n" ANON RELAY, 0, NULL, NULL},
	{DOMAINS "[connector a]\n" AT WORLD ANON "[connector b]\n" AT FEW ANON RELAY, 0, NULL,
	 NULL},
	{DOMAINS "[connector a]\n" AT WORLD ANON
		 "DeniedRights = anonymous: ms-Exch-SMTP-Accept-Authoritative-Domain-Sender\n",
	 0, NULL, NULL},
	{DOMAINS "[connector a]\n" AT WORLD ANON "[ip-allow]\nAddresses = 203.0.113.25\n", 0, NULL,
	 NULL},
	// open relays
	{DOMAINS "[connector a]\n" AT "RemoteIPRanges = 52.0.0.0/8\n" ANON RELAY, CRITICAL,
	 "open-relay", NULL},
	{DOMAINS
	 "[connector a]\nBindings = [2001:db8:25::25]:25\nRemoteIPRanges = 2a00::/24\n" ANON RELAY,
	 CRITICAL, "open-relay", "anonymous-ipv6"},
	{DOMAINS "[connector a]\n" AT WORLD ANON RELAY, CRITICAL, "relay-on-default-connector",
	 NULL},
	{DOMAINS "[connector a]\n" AT "RemoteIPRanges = 0.0.0.0-255.255.255.255\n" ANON RELAY,
	 CRITICAL, "relay-on-default-connector", NULL},
	{DOMAINS "[connector a]\n" AT "RemoteIPRanges = 0.0.0.0/1, 128.0.0.0/1\n" ANON RELAY,
	 CRITICAL, "open-relay", NULL},
	{"[accepted-domain *]\nAllDomains = yes\n[connector a]\n" AT WORLD ANON, CRITICAL,
	 "accepts-all-domains", NULL},
	{"[accepted-domain *]\nAllDomains = yes\n[connector a]\n" AT FEW ANON, WARNING,
	 "accepts-all-domains", NULL},
	{"[accepted-domain *.com]\n[connector a]\n" AT WORLD ANON, CRITICAL,
	 "accepts-top-level-domain", NULL},
	{"[accepted-domain test]\nMatchSubDomains = yes\n[connector a]\n" AT WORLD ANON, CRITICAL,
	 "accepts-top-level-domain", NULL},
	{DOMAINS "[connector a]\n" AT "RemoteIPRanges = 10.0.0.0/8\n" ANON RELAY, WARNING,
	 "wide-internal-relay", NULL},
	// externally secured
	{DOMAINS "[connector a]\n" AT "RemoteIPRanges = 203.0.112.0/22\n" SERVERS, CRITICAL,
	 "wide-externally-secured", NULL},
	{DOMAINS "[connector a]\n" AT WORLD SERVERS, CRITICAL, "relay-on-default-connector",
	 "wide-externally-secured"},
	{DOMAINS "[connector a]\n" AT FEW "PermissionGroups = ExchangeServers, AnonymousUsers\n"
		 "AuthMechanism = ExternalAuthoritative\n" RELAY,
	 WARNING, "two-relay-methods", NULL},
	// trust
	{DOMAINS "[connector a]\n" AT WORLD ANON GRANT("Accept-Headers-Organization"), CRITICAL,
	 "trusts-strangers", NULL},
	{DOMAINS "[connector a]\n" AT WORLD ANON GRANT("Accept-Headers-Forest"), CRITICAL,
	 "trusts-strangers", NULL},
	{DOMAINS "[connector a]\n" AT WORLD ANON GRANT("SMTP-Accept-Authentication-Flag"), CRITICAL,
	 "trusts-strangers", NULL},
	{DOMAINS "[connector a]\n" AT WORLD ANON GRANT("Bypass-Anti-Spam"), CRITICAL,
	 "trusts-strangers", NULL},
	{DOMAINS "[connector a]\n" AT WORLD ANON GRANT("Bypass-Message-Size-Limit"), CRITICAL,
	 "trusts-strangers", NULL},
	{DOMAINS "[connector a]\n" AT WORLD ANON "[ip-allow]\nAddresses = 52.0.0.0/8\n", WARNING,
	 "wide-ip-allow", NULL},
	// of no use
	{DOMAINS "[connector a]\n" AT WORLD, WARNING, "useless-connector", NULL},
	{DOMAINS "[connector a]\n" AT FEW ANON "DeniedRights = anonymous: ms-Exch-SMTP-Submit\n",
	 WARNING, "useless-connector", NULL},
	{DOMAINS "[connector a]\n" AT "RemoteIPRanges = 2a00::/48\n" ANON, WARNING,
	 "useless-connector", NULL},
	{DOMAINS "[connector a]\n" AT FEW ANON "[connector b]\n" AT WORLD ANON "Enabled = no\n",
	 NOTICE, "disabled-connector", NULL},
	{"[connector a]\n" AT WORLD ANON, WARNING, "no-accepted-domain", NULL},
	// out of reach
	{DOMAINS "[connector a]\n" AT "RemoteIPRanges = 203.0.113.0/24\n" ANON "[connector b]\n" AT
		 "RemoteIPRanges = 203.0.113.0/25, 203.0.113.128-203.0.113.255\n" ANON,
	 WARNING, "unreachable-range", NULL},
	{DOMAINS "[connector a]\n" AT WORLD ANON "[connector b]\n" AT
		 "RemoteIPRanges = 0.0.0.0/1, 128.0.0.0/1\n" ANON,
	 WARNING, "unreachable-range", NULL},
	{DOMAINS "[connector a]\n" AT WORLD ANON
		 "[connector b]\nBindings = 0.0.0.0:25\nRemoteIPRanges = 203.0.113.7\n" ANON,
	 WARNING, "hidden-binding", NULL},
	{DOMAINS "[connector a]\n" AT "RemoteIPRanges = 203.0.113.0/24, 203.0.113.0/25\n" ANON, 0,
	 NULL, NULL},
	// limits
	{DOMAINS "[connector a]\n" AT WORLD ANON "MaxInboundConnectionPerSource = unlimited\n"
		 "MaxInboundConnectionPercentagePerSource = 100\n",
	 WARNING, "unlimited-source", NULL},
	{DOMAINS "[connector a]\n" AT WORLD ANON "MaxInboundConnectionPerSource = unlimited\n", 0,
	 NULL, NULL},
	// protocol
	{DOMAINS "[connector a]\nBindings = [2001:db8:25::25]:25\nRemoteIPRanges = ::/0\n" ANON,
	 WARNING, "anonymous-ipv6", NULL},
	{DOMAINS "[connector a]\n" AT FEW ANON "BareLinefeedRejectionEnabled = no\n", WARNING,
	 "bare-line-feeds", NULL},
	{DOMAINS "[connector a]\n" AT WORLD ANON "TarpitInterval = 0s\n", WARNING, "no-tarpit",
	 NULL},
	// pointless
	{DOMAINS "[connector a]\n" AT WORLD ANON
		 "DeniedRights = anonymous: ms-Exch-SMTP-Accept-Any-Recipient\n",
	 NOTICE, "pointless-denial", NULL},
	{DOMAINS "[connector a]\n" AT WORLD ANON
		 "ExtendedRights = authenticated: ms-Exch-SMTP-Accept-Any-Recipient\n",
	 NOTICE, "unreachable-grant", NULL},
	{DOMAINS "[connector a]\n" AT WORLD ANON RELAY
		 "DeniedRights = anonymous: ms-Exch-SMTP-Accept-Any-Recipient\n",
	 NOTICE, "denied-grant", NULL},
	{DOMAINS "[connector a]\n" AT WORLD ANON
		 "Backend = cluster\n[backend spare]\nServers = 198.51.100.27\n",
	 NOTICE, "unused-backend", NULL},
	{DOMAINS "[connector a]\n" AT WORLD ANON
		 "[ip-block]\nAddresses = 203.0.113.9 until 2020-01-01, 203.0.113.10\n",
	 NOTICE, "expired-entry", NULL},
};

static void print(char *text, size_t size, const struct audit *audit)
{
	size_t used = 0;

	text[0] = '\0';
	for (unsigned i = 0; i < audit->finding_count && used < size; i++)
		used += (size_t)snprintf(text + used, size - used, "%u: %s %s: %s\n",
					 audit->findings[i].line,
					 audit_severity_name(audit->findings[i].severity),
					 audit->findings[i].code, audit->findings[i].text);
}

static void test_planted_mistakes(void **state)
{
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct findings findings;
		struct policy *policy;
		struct audit *audit;
		char *text, told[2000];
		unsigned wanted = (cases[i].code != NULL) + (cases[i].second != NULL);

		assert_true(asprintf(&text, "%s%s", HEAD, cases[i].text) > 0);
		findings_init(&findings);
		policy = policy_load_text(text, &findings.diagnostics);
		if (policy == NULL)
			fail_msg("case %zu: %s", i, findings.text);
		audit = audit_make(policy, NOW_US);
		assert_non_null(audit);
		print(told, sizeof(told), audit);
		if (audit->finding_count != wanted)
			fail_msg("case %zu: %u findings wanted:\n%s", i, wanted, told);
		for (unsigned j = 0; j < wanted; j++) {
			const char *code = j == 0 ? cases[i].code : cases[i].second;

			if (strcmp(audit->findings[j].code, code) != 0 ||
			    (j == 0 && (int)audit->findings[j].severity != cases[i].severity))
				fail_msg("case %zu: %s wanted:\n%s", i, code, told);
			assert_true(audit->findings[j].advice[0] != '\0');
		}
		audit_destroy(audit);
		policy_destroy(policy);
		findings_fini(&findings);
		free(text);
	}
}

static void test_relays(void **state)
{
	struct findings findings;
	struct policy *policy;
	struct audit *audit;

	findings_init(&findings);
	policy = policy_load_text(HEAD DOMAINS "[connector world]\n" AT WORLD ANON
					       "[connector printers]\n" AT
					       "RemoteIPRanges = 10.0.0.0/29, 10.0.1.1\n" ANON RELAY
					       "[connector partner]\n" AT FEW SERVERS,
				  &findings.diagnostics);
	assert_non_null(policy);
	audit = audit_make(policy, NOW_US);
	assert_int_equal(audit->relay_count, 2);
	assert_string_equal(audit->relays[0].connector->name, "printers");
	assert_int_equal(audit->relays[0].width.ipv4, 9);
	assert_int_equal(audit->relays[0].width.public_ipv4, 0);
	assert_int_equal(audit->relays[0].grant.by, 0);
	assert_int_equal(audit->relays[0].grant.to, PRINCIPAL_ANONYMOUS);
	assert_string_equal(audit->relays[1].connector->name, "partner");
	assert_int_equal(audit->relays[1].grant.by, PERMISSION_GROUP_EXCHANGE_SERVERS);
	assert_int_equal(audit->relays[1].grant.to, PRINCIPAL_EXTERNALLY_SECURED);
	audit_destroy(audit);
	policy_destroy(policy);
	findings_fini(&findings);
}

static void test_samples_are_clean(void **state)
{
	static const char *const files[] = {
		"config/relaygate.ini", "config/examples/anonymous-relay.ini",
		"config/examples/internet-edge.ini",
		"config/examples/externally-secured-partner.ini", "config/examples/campus.ini"};

	for (size_t i = 0; i < COUNT(files); i++) {
		struct findings findings;
		char *path = source_path(__FILE__, files[i]);
		struct policy *policy;
		struct audit *audit;
		char told[2000];

		findings_init(&findings);
		policy = policy_load(path, &findings.diagnostics);
		if (policy == NULL)
			fail_msg("%s: %s", files[i], findings.text);
		audit = audit_make(policy, NOW_US);
		print(told, sizeof(told), audit);
		if (audit->finding_count != 0)
			fail_msg("%s:\n%s", files[i], told);
		audit_destroy(audit);
		policy_destroy(policy);
		findings_fini(&findings);
		free(path);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_planted_mistakes),
		cmocka_unit_test(test_relays),
		cmocka_unit_test(test_samples_are_clean),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
