// SPDX-License-Identifier: BSD-3-Clause
//
// What a reload may change, and what becomes of a file that changes more: each key is told by its
// name and line, with both values, and keeps the one that is in force. Every key of the table is
// tried that has a second value which is easy to write.
#include "config/keys.h"
#include "config/load.h"
#include "config/policy.h"
#include "config/restart.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define BASE_GATE "[gate]\nName = mx.example.com\n"
#define BASE_PORTS                                                                                 \
	"[port outside]\nDevice = eth1\nAddress = 192.0.2.10/24\nGateway = 192.0.2.1\n"            \
	"[port inside]\nDevice = eth2\nAddress = 10.0.0.1/24\n"
#define BASE_REST                                                                                  \
	"[accepted-domain contoso.com]\n[connector one]\nBindings = 192.0.2.10:25\n"               \
	"RemoteIPRanges = 0.0.0.0/0\nPermissionGroups = AnonymousUsers\n"                          \
	"[backend cluster]\nServers = 10.0.0.11\n"

static char said[4096], kept[RESTART_KEPT_MAX];

static void note(void *context, enum diagnostic_severity severity, const char *text)
{
	if (severity == DIAGNOSTIC_ERROR || strstr(text, "needs a restart"))
		snprintf(said + strlen(said), sizeof(said) - strlen(said), "%s\n", text);
}

// A second look finds nothing that differs.
static bool waits(const struct policy *running, struct policy *next)
{
	struct diagnostics diagnostics = {0};
	char more[RESTART_KEPT_MAX];

	return !restart_keep(running, next, &diagnostics, more) || more[0];
}

// True when nothing waits; else it is in said, and what is kept in kept.
static bool allowed_after(const char *running_text, const char *next_text)
{
	struct diagnostics diagnostics = {.report = note};
	struct policy *running = policy_load_text(running_text, &diagnostics);
	struct policy *next = policy_load_text(next_text, &diagnostics);
	bool fine;

	if (!running || !next)
		fail_msg("%s", said);
	said[0] = '\0';
	fine = restart_keep(running, next, &diagnostics, kept);
	assert_int_equal(fine, diagnostics.errors == 0);
	if (fine)
		assert_int_equal(kept[0] == '\0', said[0] == '\0');
	assert_true(!fine || !waits(running, next));
	fine = fine && !kept[0];
	policy_destroy(running);
	policy_destroy(next);
	return fine;
}

static bool allowed(const char *next_text)
{
	return allowed_after(BASE_GATE BASE_PORTS BASE_REST, next_text);
}

static void test_what_may_change(void **state)
{
	assert_true(allowed(BASE_GATE BASE_PORTS BASE_REST));
	assert_true(allowed("[gate]\nName = other.example.com\nRefuse = reset\nDrainTimeout = 1s\n"
			    "LingerTimeout = 3s\nReplyDialect = 2016\nAutoReload = yes\n" BASE_PORTS
			    "[accepted-domain other.test]\n[connector two]\n"
			    "Bindings = 192.0.2.10:587\nRemoteIPRanges = 10.0.0.0/8\n"
			    "PermissionGroups = None\n[backend other]\nServers = 10.0.0.12\n"));
	// Said instead of left to the default: the same.
	assert_true(allowed(BASE_GATE "Workers = 1\nMaxSessions = 10000\n" BASE_PORTS BASE_REST));
}

static void test_keys_of_the_gate(void **state)
{
	static const char changes[][64] = {
		"User = nobody",
		"PinDirectory = /sys/fs/bpf/other",
		"HugePages = yes",
		"Spin = yes",
		"Realtime = yes",
		"Workers = 2",
		"MaxSessions = 7",
		"HalfOpenEntries = 17",
		"TimeWaitEntries = 17",
		"SourceEntries = 17",
		"SourcePrefixIPv4 = 20",
		"SourcePrefixIPv6 = 48",
		"BufferMemory = 2MB",
		"ReceiveBuffer = 8KB",
		"SendBuffer = 17KB",
		"LogRecords = 17",
		"ReceiveProtocolLogPath = /tmp/x",
		"ReceiveProtocolLogMaxFileSize = 8KB",
		"ReceiveProtocolLogMaxDirectorySize = 100MB",
		"ReceiveProtocolLogMaxAge = 1d",
		"DnsServers = 192.0.2.53:53",
		"DnsTimeout = 3s",
	};
	unsigned rows = 0;

	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		char text[2048], wanted[256];
		int name = (int)strcspn(changes[i], " ");

		snprintf(text, sizeof(text), "%s%s\n%s%s", BASE_GATE, changes[i], BASE_PORTS,
			 BASE_REST);
		const struct key *key = keys_find(SECTION_GATE, strndupa(changes[i], (size_t)name));
		const char *before = key->fallback ? key->fallback : "none";

		snprintf(wanted, sizeof(wanted),
			 "(text):3: %s changed from %s to %s: that needs a restart, until then %s "
			 "is in force\n",
			 key->name, before, changes[i] + name + 3, before);
		assert_false(allowed(text));
		assert_string_equal(said, wanted);
		snprintf(wanted, sizeof(wanted), "%s (%s -> %s)", key->name, before,
			 changes[i] + name + 3);
		assert_string_equal(kept, wanted);
	}
	// None was forgotten here.
	for (unsigned i = 0; i < keys_count(); i++)
		rows += keys_at(i)->section == SECTION_GATE && keys_at(i)->restart;
	assert_int_equal(rows, sizeof(changes) / sizeof(changes[0]));
}

// What was heard of DNS lists is remembered by their place. A weight is not.
static void test_dns_lists(void **state)
{
#define LISTS(first, second)                                                                       \
	BASE_GATE BASE_PORTS BASE_REST "[dnsbl " first "]\nZone = a.test\n" second
	static const struct {
		const char *text;
		bool allowed;
	} changes[] = {
		{LISTS("one", ""), true},
		{LISTS("one", "Weight = 3\n"), true},
		{LISTS("two", ""), false},
		{LISTS("one", "Replies = 127.0.0.4\n"), false},
		{LISTS("one", "[dnsbl two]\nZone = b.test\n"), false},
		{BASE_GATE BASE_PORTS BASE_REST "[dnsbl one]\nZone = b.test\n", false},
		{BASE_GATE BASE_PORTS BASE_REST, false},
	};

	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++)
		assert_int_equal(allowed_after(LISTS("one", ""), changes[i].text),
				 changes[i].allowed);
}

static void test_ports(void **state)
{
	static const char *const outside[] = {
		"Device = eth7\nAddress = 192.0.2.10/24\nGateway = 192.0.2.1\n",
		"Device = eth1\nAddress = 192.0.2.10/25\nGateway = 192.0.2.1\n",
		"Device = eth1\nAddress = 192.0.2.10/24, 192.0.2.11/24\nGateway = 192.0.2.1\n",
		"Device = eth1\nAddress = 192.0.2.10/24\nGateway = 192.0.2.2\n",
		"Device = eth1\nAddress = 192.0.2.10/24\nGateway = 192.0.2.1\nVlan = 7\n",
		"Device = eth1\nAddress = 192.0.2.10/24\nGateway = 192.0.2.1\nMtu = 1400\n",
		("Device = eth1\nAddress = 192.0.2.10/24\nGateway = 192.0.2.1\n"
		 "TrustChecksums = yes\n"),
	};

	for (size_t i = 0; i < sizeof(outside) / sizeof(outside[0]); i++) {
		char text[2048];

		snprintf(text, sizeof(text),
			 "%s[port outside]\n%s[port inside]\nDevice = eth2\nAddress = "
			 "10.0.0.1/24\n%s",
			 BASE_GATE, outside[i], BASE_REST);
		assert_false(allowed(text));
		assert_non_null(strstr(said, "needs a restart"));
	}
	assert_false(allowed(BASE_GATE "[port inside]\nDevice = eth2\nAddress = 10.0.0.1/24\n"
				       "[port outside]\nDevice = eth1\nAddress = 192.0.2.10/24\n"
				       "Gateway = 192.0.2.1\n" BASE_REST));
	assert_non_null(strstr(said, "order"));
}

// The rest of a file may need what stays otherwise.
static void test_rest_that_does_not_go(void **state)
{
	assert_false(
		allowed(BASE_GATE
			"[port outside]\nDevice = eth1\nAddress = 192.0.2.11/24\nGateway = "
			"192.0.2.1\n[port inside]\nDevice = eth2\nAddress = 10.0.0.1/24\n"
			"[accepted-domain contoso.com]\n[connector one]\nBindings = 192.0.2.11:25\n"
			"RemoteIPRanges = 0.0.0.0/0\nPermissionGroups = AnonymousUsers\n"
			"[backend cluster]\nServers = 10.0.0.11\n"));
	assert_non_null(strstr(said, ":5: Address changed from 192.0.2.10/24 to 192.0.2.11/24"));
	assert_non_null(strstr(said, "Bindings"));
	assert_non_null(strstr(said, "does not go with what stays until a restart: [port outside] "
				     "Address (192.0.2.10/24 -> 192.0.2.11/24)"));
}

// Every fault of a file is told, not just the first.
static void test_all_are_told(void **state)
{
	assert_false(allowed(BASE_GATE "Workers = 2\nSpin = yes\n[port outside]\nDevice = eth1\n"
				       "Address = 192.0.2.10/24\nGateway = 192.0.2.1\nMtu = 1400\n"
				       "[port inside]\nDevice = eth2\nAddress = "
				       "10.0.0.1/24\n" BASE_REST));
	assert_non_null(strstr(said, ":3: Workers"));
	assert_non_null(strstr(said, ":4: Spin"));
	assert_non_null(strstr(said, ":9: Mtu"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_may_change),
		cmocka_unit_test(test_keys_of_the_gate),
		cmocka_unit_test(test_dns_lists),
		cmocka_unit_test(test_ports),
		cmocka_unit_test(test_all_are_told),
		cmocka_unit_test(test_rest_that_does_not_go),
	};

	return cmocka_run_group_tests_name("restart", tests, NULL, NULL);
}
