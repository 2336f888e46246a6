// SPDX-License-Identifier: BSD-3-Clause
//
// Rules across sections that are hard to show in one broken file, every warning of check.c, and
// which rules are left out while something could not be read. The errors themselves: test_broken.c.
#include "config/check.h"
#include "config/keys.h"
#include "config/policy.h"
#include "tests/unit/config/support.h"

#define GATE   "[gate]\nName = mx.example.com\n"
#define PORT   "[port p]\nDevice = e\nAddress = 192.0.2.10/24\nGateway = 192.0.2.1\n"
#define DOMAIN "[accepted-domain contoso.com]\n"
#define CONNECTOR                                                                                  \
	"[connector c]\nBindings = 192.0.2.10:25\nRemoteIPRanges = 10.0.0.1\n"                     \
	"PermissionGroups = AnonymousUsers\n"
#define BACKEND "[backend b]\nServers = 192.0.2.20\n"
#define NEIGHBOUR                                                                                  \
	"[connector neighbour]\nBindings = 192.0.2.10:25\nRemoteIPRanges = 10.0.0.2\n"             \
	"PermissionGroups = AnonymousUsers\n"

static const struct {
	const char *text;
	char severity; // 0 = no finding at all
	unsigned line;
	const char *fragment;
} cases[] = {
	{GATE PORT DOMAIN CONNECTOR BACKEND, 0, 0, NULL},
	// Accepted domains
	{GATE PORT CONNECTOR BACKEND, 'W', 0, "there is no accepted domain"},
	{GATE PORT CONNECTOR BACKEND "[accepted-domain *.a.test]\nMatchSubDomains = yes\n", 'W', 13,
	 "MatchSubDomains has no effect on *.a.test"},
	{GATE PORT CONNECTOR BACKEND "[accepted-domain a.test]\nMatchSubDomains = yes\n"
				     "[accepted-domain *.a.test]\n",
	 'W', 15, "subdomains of a.test stand twice: here and on line 13"},
	{GATE PORT CONNECTOR BACKEND "[accepted-domain *.a.test]\n[accepted-domain *.b.a.test]\n",
	 'W', 14, "*.b.a.test changes nothing: *.a.test on line 13"},
	{GATE PORT CONNECTOR BACKEND "[accepted-domain b.a.test]\nMatchSubDomains = yes\n"
				     "[accepted-domain a.test]\nMatchSubDomains = yes\n",
	 'W', 13, "b.a.test changes nothing: a.test on line 15"},
	// Another type is a reason to name it; so is an apex beside its wildcard.
	{GATE PORT CONNECTOR BACKEND "[accepted-domain *.a.test]\n[accepted-domain *.b.a.test]\n"
				     "Type = InternalRelay\n[accepted-domain a.test]\n",
	 0, 0, NULL},
	// What a connector offers
	{GATE PORT DOMAIN CONNECTOR "ChunkingEnabled = no\n" BACKEND, 0, 0, NULL},
	{GATE PORT DOMAIN CONNECTOR "ChunkingEnabled = no\nBinaryMimeEnabled = no\n" BACKEND, 0, 0,
	 NULL},
	{GATE PORT DOMAIN CONNECTOR "BinaryMimeEnabled = yes\nChunkingEnabled = no\n" BACKEND, 'W',
	 12, "BinaryMimeEnabled has no effect without ChunkingEnabled"},
	// Ports and servers
	{GATE "[port p]\nDevice = e\nAddress = 192.0.2.10/24\n" DOMAIN CONNECTOR
	      "[backend b]\nServers = 198.51.100.1\n",
	 'W', 12, "no port has an IPv4 gateway"},
	{GATE PORT DOMAIN CONNECTOR "[backend b]\nServers = 2001:db8::1\n", 'W', 13,
	 "no port has an IPv6 gateway"},
	{GATE PORT DOMAIN CONNECTOR "[backend b]\nServers = 198.51.100.1\n", 0, 0, NULL},
	{GATE PORT DOMAIN "[connector c]\nBindings = [::]:25, 0.0.0.0:25\nRemoteIPRanges = ::1, "
			  "10.0.0.1\nPermissionGroups = AnonymousUsers\n" BACKEND,
	 'W', 9, "[::]:25 serves nobody: no port has an IPv6 address"},
	{GATE PORT
	 "[port q]\nDevice = vdev:net_pcap0,iface=a\nAddress = 10.0.0.1/24\n"
	 "[port r]\nDevice = vdev:net_pcap0,iface=b\nAddress = 10.0.1.1/24\n" DOMAIN CONNECTOR
		 BACKEND,
	 'E', 11, "port \"q\" (line 8) has this device already"},
	{GATE PORT
	 "[port q]\nDevice = vdev:net_pcap0\nAddress = 10.0.0.1/24\n"
	 "[port r]\nDevice = vdev:net_pcap01\nAddress = 10.0.1.1/24\n" DOMAIN CONNECTOR BACKEND,
	 0, 0, NULL},
	{GATE PORT "[port q]\nDevice = f\nAddress = 192.0.2.20/32\n" DOMAIN CONNECTOR BACKEND, 'E',
	 16, "192.0.2.20 is one of our own addresses"},
	// What workers divide
	{GATE "Workers = 2\n" PORT DOMAIN CONNECTOR BACKEND, 0, 0, NULL},
	{GATE "Workers = 3\nMaxSessions = 2\n" PORT DOMAIN CONNECTOR BACKEND, 'E', 3,
	 "3 of them cannot divide MaxSessions of 2"},
	{GATE "Workers = 4\nBufferMemory = 2MB\n" PORT DOMAIN CONNECTOR BACKEND, 'E', 3,
	 "BufferMemory of 2MB is too little for a session in each of 4: 8MB"},
	{GATE "Workers = 2\n" PORT DOMAIN CONNECTOR BACKEND "MaxConnections = 1\n", 'E', 3,
	 "2 of them cannot divide MaxConnections of 1, of backend \"b\""},
	// Limits on connections
	{GATE PORT DOMAIN CONNECTOR "MaxInboundConnection = 10\n" BACKEND, 0, 0, NULL},
	{GATE PORT DOMAIN CONNECTOR
	 "MaxInboundConnection = 10\nMaxInboundConnectionPerSource = 20\n" BACKEND,
	 'W', 13, "MaxInboundConnectionPerSource (20) has no effect: MaxInboundConnection (10) is"},
	{GATE PORT DOMAIN CONNECTOR
	 "MaxInboundConnectionPerPrefix = 5\nMaxInboundConnectionPerSource = 6\n" BACKEND,
	 'W', 13, "MaxInboundConnectionPerSource (6) has no effect: MaxInboundConnectionPerPrefix"},
	{GATE PORT DOMAIN CONNECTOR
	 "MaxInboundConnection = 9\nMaxInboundConnectionPerPrefix = 10\n" BACKEND,
	 'W', 13, "MaxInboundConnectionPerPrefix (10) has no effect: MaxInboundConnection (9)"},
	{GATE PORT DOMAIN CONNECTOR
	 "MaxConnectionRatePerPrefix = 9\nMaxConnectionRatePerSource = 10\n" BACKEND,
	 'W', 13, "MaxConnectionRatePerSource (10) has no effect: MaxConnectionRatePerPrefix (9)"},
	{GATE PORT DOMAIN CONNECTOR
	 "MaxInboundConnectionPerPrefix = unlimited\nMaxInboundConnectionPerSource = 6\n" BACKEND,
	 0, 0, NULL},
	{GATE "MaxSessions = 100\n" PORT DOMAIN CONNECTOR BACKEND, 0, 0, NULL},
	{GATE "MaxSessions = 100\n" PORT DOMAIN CONNECTOR "MaxInboundConnection = 101\n" BACKEND,
	 'W', 13, "MaxInboundConnection (101) has no effect: MaxSessions (100)"},
	{GATE "MaxSessions = 5001\n" PORT DOMAIN CONNECTOR BACKEND NEIGHBOUR, 0, 0, NULL},
	{GATE "MaxSessions = 5000\n" PORT DOMAIN CONNECTOR BACKEND NEIGHBOUR
	      "MaxInboundConnection = 4999\n",
	 'W', 9, "clients of connector \"c\" alone can use up all of MaxSessions (5000)"},
	{GATE "MaxSessions = 5001\n" PORT DOMAIN CONNECTOR BACKEND NEIGHBOUR
	      "MaxInboundConnection = unlimited\n",
	 'W', 19, "clients of connector \"neighbour\" alone can use up all of MaxSessions (5001)"},
	{GATE "MaxSessions = 5000\n" PORT DOMAIN CONNECTOR BACKEND NEIGHBOUR "Enabled = no\n", 'W',
	 19, "is disabled"},
	{GATE "Workers = 2\n" PORT DOMAIN CONNECTOR "MaxSynRate = 1\n" BACKEND, 'W', 13,
	 "MaxSynRate (1) is below Workers (2)"},
	{GATE PORT DOMAIN CONNECTOR
	 "TarpitInterval = 0s\nMaxInboundConnectionPerSourceAction = tarpit\n" BACKEND,
	 'W', 12, "TarpitInterval is 0s"},
	{GATE PORT DOMAIN CONNECTOR
	 "TarpitInterval = 0s\nMaxConnectionRatePerSourceAction = tarpit\n" BACKEND,
	 0, 0, NULL},
	{GATE "SourceEntries = 39999\n" PORT DOMAIN CONNECTOR BACKEND, 'W', 3,
	 "SourceEntries (39999) is below four times MaxSessions (10000)"},
	{GATE PORT DOMAIN CONNECTOR "ConnectionLimitReply = 450 no\n" BACKEND, 'E', 12,
	 "must begin with 421 and a blank"},
	{GATE PORT DOMAIN CONNECTOR "MaxSynRateAction = reply\n" BACKEND, 'E', 12,
	 "write drop or reset"},
	{GATE PORT DOMAIN CONNECTOR "MaxInboundConnectionPerSource = 10001\n" BACKEND, 'E', 12,
	 "out of range: 1 to 10000, or unlimited"},
	{GATE PORT DOMAIN CONNECTOR "MaxInboundConnectionPercentagePerSource = unlimited\n" BACKEND,
	 'E', 12, "a number"},
	// Times and sizes
	{GATE PORT DOMAIN CONNECTOR BACKEND "FinalReplyTimeout = 9m\n", 'W', 14,
	 "FinalReplyTimeout is below 10m"},
	{GATE "BufferMemory = 1MB\nReceiveBuffer = 256KB\nSendBuffer = 256KB\n" PORT DOMAIN
		 CONNECTOR BACKEND,
	 0, 0, NULL},
};

static void test_findings(void **state)
{
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct findings findings;
		struct policy *policy;

		findings_init(&findings);
		policy = policy_load_text(cases[i].text, &findings.diagnostics);
		if (cases[i].severity == 0) {
			if (findings.text[0] != '\0')
				fail_msg("case %zu: %s", i, findings.text);
		} else {
			if (!findings_have(&findings, cases[i].severity, cases[i].line,
					   cases[i].fragment))
				fail_msg("case %zu wants %c line %u %s\n%s", i, cases[i].severity,
					 cases[i].line, cases[i].fragment, findings.text);
			assert_int_equal(
				findings.diagnostics.errors + findings.diagnostics.warnings, 1);
		}
		assert_int_equal(policy != NULL, cases[i].severity != 'E');
		policy_destroy(policy);
		findings_fini(&findings);
	}
}

// What follows only from something unread is not told; what does not, is.
static void test_faulty_sections_silence_their_rules(void **state)
{
	const struct policy policy = {.file = (char *)"f"};
	static const struct {
		unsigned faulty;
		const char *told;
	} all[] = {
		{0, "E f: there is no port: write [port NAME] with Device and Address\n"},
		{1u << SECTION_PORT, NULL},
	};
	struct findings findings;

	for (size_t i = 0; i < COUNT(all); i++) {
		findings_init(&findings);
		assert_int_equal(check_policy(&policy, all[i].faulty, &findings.diagnostics), 0);
		assert_int_equal(strstr(findings.text, "there is no port") != NULL,
				 all[i].told != NULL);
		assert_non_null(strstr(findings.text, "there is no connector"));
		assert_non_null(strstr(findings.text, "there is no backend"));
		findings_fini(&findings);
	}
	findings_init(&findings);
	assert_int_equal(check_policy(&policy, (1u << SECTION_COUNT) - 1, &findings.diagnostics),
			 0);
	assert_string_equal(findings.text, "");
	findings_fini(&findings);
}

static void test_connector_limit(void **state)
{
	unsigned count = POLICY_CONNECTORS_MAX;
	struct policy policy = {.file = (char *)"f"};

	policy.connectors = calloc(count + 1, sizeof(*policy.connectors));
	for (unsigned i = 0; i <= count; i++) {
		policy.connectors[i].name = (char *)"c";
		policy.connectors[i].line = i + 1;
		policy.connectors[i].connection_timeout_ms = 2;
	}
	for (; count <= POLICY_CONNECTORS_MAX + 1; count++) {
		struct findings findings;
		const unsigned others = 1u << SECTION_PORT | 1u << SECTION_BACKEND |
					1u << SECTION_ACCEPTED_DOMAIN | 1u << SECTION_GATE;

		findings_init(&findings);
		policy.connector_count = count;
		check_policy(&policy, others, &findings.diagnostics);
		assert_int_equal(findings.diagnostics.errors, count > POLICY_CONNECTORS_MAX);
		assert_int_equal(findings_have(&findings, 'E', 65535, "the limit is 65534"),
				 count > POLICY_CONNECTORS_MAX);
		findings_fini(&findings);
	}
	free(policy.connectors);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_findings),
		cmocka_unit_test(test_faulty_sections_silence_their_rules),
		cmocka_unit_test(test_connector_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
