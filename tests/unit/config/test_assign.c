// SPDX-License-Identifier: BSD-3-Clause
//
// Each type of key: texts into fields of the right width, the words of a refusal, and lists.
#include "config/assign.h"
#include "config/policy.h"
#include "tests/unit/config/support.h"

#include <errno.h>

// Any section's struct.
union object {
	struct gate_settings gate;
	struct port_settings port;
	struct accepted_domain domain;
	struct connector connector;
	struct backend backend;
};

static int assign(struct findings *findings, enum section_kind section, union object *object,
		  const char *name, const char *text)
{
	const struct key *key = keys_find(section, name);
	char *value = strdup(text);
	int status;

	assert_non_null(key);
	status = assign_value(key, object, value, (struct place){"t", 10}, &findings->diagnostics);
	free(value);
	return status;
}

static void fini(enum section_kind section, union object *object)
{
	struct policy *policy = calloc(1, sizeof(*policy));
	union object *heap = malloc(sizeof(*heap));

	*heap = *object;
	switch (section) {
	case SECTION_GATE:
		policy->gate = object->gate;
		free(heap);
		break;
	case SECTION_PORT:
		policy->ports = &heap->port;
		policy->port_count = 1;
		break;
	case SECTION_ACCEPTED_DOMAIN:
		policy->domains = &heap->domain;
		policy->domain_count = 1;
		break;
	case SECTION_CONNECTOR:
		policy->connectors = &heap->connector;
		policy->connector_count = 1;
		break;
	default:
		policy->backends = &heap->backend;
		policy->backend_count = 1;
	}
	policy_destroy(policy);
}

static void test_defaults(void **state)
{
	union object object;

	memset(&object, 0, sizeof(object));
	assert_int_equal(assign_defaults(SECTION_GATE, &object), 0);
	assert_string_equal(object.gate.pin_directory, "/sys/fs/bpf/relaygate");
	assert_null(object.gate.user);
	assert_int_equal(object.gate.refuse, REFUSE_DROP);
	assert_int_equal(object.gate.dialect, REPLY_DIALECT_2007);
	assert_false(object.gate.huge_pages || object.gate.spin);
	assert_int_equal(object.gate.max_sessions, 10000);
	assert_int_equal(object.gate.half_open_entries, 16384);
	assert_int_equal(object.gate.time_wait_entries, 65536);
	assert_int_equal(object.gate.buffer_memory, 64 << 20);
	assert_int_equal(object.gate.receive_buffer, 512 << 10);
	assert_int_equal(object.gate.send_buffer, 512 << 10);
	assert_int_equal(object.gate.log_records, 4096);
	assert_int_equal(object.gate.drain_timeout_ms, 60000);
	assert_int_equal(object.gate.linger_timeout_ms, 30000);
	fini(SECTION_GATE, &object);

	memset(&object, 0, sizeof(object));
	assert_int_equal(assign_defaults(SECTION_PORT, &object), 0);
	assert_int_equal(object.port.mtu, 1500);
	assert_int_equal(object.port.vlan, 0);
	assert_false(object.port.trust_checksums);

	memset(&object, 0, sizeof(object));
	assert_int_equal(assign_defaults(SECTION_CONNECTOR, &object), 0);
	assert_true(object.connector.enabled);
	assert_int_equal(object.connector.permission_groups, 0);
	assert_int_equal(object.connector.max_message_size, 36 << 20);
	assert_int_equal(object.connector.max_recipients, 200);
	assert_int_equal(object.connector.max_protocol_errors, 5);
	assert_int_equal(object.connector.connection_timeout_ms, 600000);
	assert_int_equal(object.connector.inactivity_timeout_ms, 300000);

	memset(&object, 0, sizeof(object));
	assert_int_equal(assign_defaults(SECTION_BACKEND, &object), 0);
	assert_int_equal(object.backend.max_connections, 20);
	assert_int_equal(object.backend.max_waiting, 1000);
	assert_int_equal(object.backend.wait_timeout_ms, 30000);
	assert_int_equal(object.backend.connect_timeout_ms, 10000);
	assert_int_equal(object.backend.reply_timeout_ms, 60000);
	assert_int_equal(object.backend.final_reply_timeout_ms, 600000);
	assert_int_equal(object.backend.idle_timeout_ms, 60000);
	assert_int_equal(object.backend.probe_interval_ms, 30000);
}

// Lowest and highest value of every number are taken, one beyond is not.
static void test_ranges_of_numbers(void **state)
{
	unsigned numbers = 0;

	for (unsigned i = 0; i < keys_count(); i++) {
		const struct key *key = keys_at(i);
		union object object;
		struct findings findings;
		char text[64];
		const char *unit = key->type == KEY_TIME ? "ms" : "";

		if (key->type != KEY_NUMBER && key->type != KEY_SIZE && key->type != KEY_TIME)
			continue;
		numbers++;
		findings_init(&findings);
		memset(&object, 0, sizeof(object));
		for (int step = -1; step <= 1; step++) {
			uint64_t low = key->minimum + (uint64_t)step;
			uint64_t high = key->maximum + (uint64_t)step, stored = 0;

			if (key->minimum > 0 || step >= 0) {
				snprintf(text, sizeof(text), "%llu%s", (unsigned long long)low,
					 unit);
				assert_int_equal(
					assign(&findings, key->section, &object, key->name, text),
					step < 0 ? -EINVAL : 0);
			}
			snprintf(text, sizeof(text), "%llu%s", (unsigned long long)high, unit);
			assert_int_equal(assign(&findings, key->section, &object, key->name, text),
					 step > 0 ? -EINVAL : 0);
			// The field is wide enough for it (little endian).
			memcpy(&stored, (char *)&object + key->offset, key->size);
			if (step <= 0)
				assert_int_equal(stored, high);
		}
		assert_int_equal(assign(&findings, key->section, &object, key->name, "unlimited"),
				 key->unlimited ? 0 : -EINVAL);
		findings_fini(&findings);
	}
	assert_true(numbers > 20);
}

static void test_unlimited(void **state)
{
	struct findings findings;
	union object object;

	findings_init(&findings);
	memset(&object, 0, sizeof(object));
	assert_int_equal(
		assign(&findings, SECTION_CONNECTOR, &object, "MaxMessageSize", "Unlimited"), 0);
	assert_true(object.connector.max_message_size == POLICY_SIZE_UNLIMITED);
	assert_int_equal(
		assign(&findings, SECTION_CONNECTOR, &object, "MaxProtocolErrors", "unlimited"), 0);
	assert_true(object.connector.max_protocol_errors == UINT32_MAX);
	findings_fini(&findings);
}

static void test_devices(void **state)
{
	static const struct {
		const char *text, *canonical;
	} cases[] = {
		{"eth1", "af_xdp:eth1"},
		{"af_xdp:eth1", "af_xdp:eth1"},
		{"af_packet:veth-a.100", "af_packet:veth-a.100"},
		{"pci:0000:03:00.0", "pci:0000:03:00.0"},
		{"pci:03:00.1", "pci:0000:03:00.1"},
		{"pci:0001:AF:1F.7", "pci:0001:af:1f.7"},
		{"vdev:net_pcap0,rx_pcap=in.pcap,infinite_rx=1",
		 "vdev:net_pcap0,rx_pcap=in.pcap,infinite_rx=1"},
		{"vdev:net_null0", "vdev:net_null0"},
		{"pci:0000:03:20.0", NULL},
		{"pci:0000:03:00.8", NULL},
		{"pci:0000:03:00", NULL},
		{"pci:0000:03:00.0x", NULL},
		{"pci:0000:03:00.0.0", NULL},
		{"pci:00000:03:00.0", NULL},
		{"pci:", NULL},
		{"03:00.0", NULL},
		{"vdev:null0", NULL},
		{"vdev:", NULL},
		{"af_xdp:", NULL},
		{"af_xdp:eth 1", NULL},
		{"af_xdp:eth1,start_queue=0", NULL},
		{"eth/1", NULL},
		{"..", NULL},
		{"sixteen-letters0", NULL},
		{"dpdk:eth1", NULL},
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct findings findings;
		union object object;
		int status;

		findings_init(&findings);
		memset(&object, 0, sizeof(object));
		status = assign(&findings, SECTION_PORT, &object, "Device", cases[i].text);
		if ((status == 0) != (cases[i].canonical != NULL))
			fail_msg("%s: %d", cases[i].text, status);
		if (status == 0)
			assert_string_equal(object.port.device, cases[i].canonical);
		else
			assert_true(findings_have(&findings, 'E', 10, "Device: "));
		fini(SECTION_PORT, &object);
		findings_fini(&findings);
	}
}

static void test_banner_holds_the_text_only(void **state)
{
	struct findings findings;
	union object object;

	findings_init(&findings);
	memset(&object, 0, sizeof(object));
	assert_int_equal(assign(&findings, SECTION_CONNECTOR, &object, "Banner",
				"220  mx.contoso.com = ready; go"),
			 0);
	assert_string_equal(object.connector.banner, "mx.contoso.com = ready; go");
	assert_int_equal(assign(&findings, SECTION_CONNECTOR, &object, "Banner", "2200 x"),
			 -EINVAL);
	assert_int_equal(assign(&findings, SECTION_CONNECTOR, &object, "Banner", "220"), -EINVAL);
	assert_int_equal(assign(&findings, SECTION_CONNECTOR, &object, "Banner", "220-a"), -EINVAL);
	fini(SECTION_CONNECTOR, &object);
	findings_fini(&findings);
}

static void test_lists_and_their_lines(void **state)
{
	struct findings findings;
	union object object;

	findings_init(&findings);
	memset(&object, 0, sizeof(object));
	assert_int_equal(
		assign(&findings, SECTION_CONNECTOR, &object, "RemoteIPRanges",
		       "10.0.0.1 ,10.0.0.2\n  10.0.0.3\n\n\t10.0.0.4,\n 10.0.0.5 , 10.0.0.6"),
		0);
	assert_int_equal(object.connector.range_count, 6);
	for (unsigned i = 0; i < 6; i++) {
		static const unsigned lines[] = {10, 10, 11, 13, 14, 14};
		char text[RANGE_TEXT_MAX], wanted[16];

		snprintf(wanted, sizeof(wanted), "10.0.0.%u", i + 1);
		assert_string_equal(range_format(&object.connector.ranges[i].range, text), wanted);
		assert_int_equal(object.connector.ranges[i].line, lines[i]);
	}
	// Bad items are told on their own lines, the good ones are taken.
	assert_int_equal(assign(&findings, SECTION_CONNECTOR, &object, "Bindings",
				"x:1, 192.0.2.1:25\n[::1]\n,[::]:25"),
			 -EINVAL);
	assert_int_equal(object.connector.binding_count, 2);
	assert_int_equal(findings.diagnostics.errors, 3);
	assert_true(findings_have(&findings, 'E', 10, "Bindings: \"x:1\": not an IP address"));
	assert_true(findings_have(&findings, 'E', 11, "Bindings: \"[::1]\": port missing"));
	assert_true(findings_have(&findings, 'E', 12, "comma too many"));
	fini(SECTION_CONNECTOR, &object);
	findings_fini(&findings);
}

static void test_rights(void **state)
{
	struct findings findings;
	union object object;

	findings_init(&findings);
	memset(&object, 0, sizeof(object));
	assert_int_equal(assign(&findings, SECTION_CONNECTOR, &object, "ExtendedRights",
				"Anonymous:ms-Exch-SMTP-Submit, NT AUTHORITY\\Anonymous Logon : "
				"ms-Exch-Bypass-Message-Size-Limit\nS-1-5-7: "
				"Ms-Exch-SMTP-Accept-Any-Recipient"),
			 0);
	assert_int_equal(object.connector.granted[PRINCIPAL_ANONYMOUS],
			 RIGHT_SUBMIT | RIGHT_BYPASS_MESSAGE_SIZE_LIMIT |
				 RIGHT_ACCEPT_ANY_RECIPIENT);
	assert_int_equal(object.connector.denied[PRINCIPAL_ANONYMOUS], 0);
	assert_int_equal(assign(&findings, SECTION_CONNECTOR, &object, "DeniedRights",
				"anonymous: ms-Exch-SMTP-Accept-Any-Sender"),
			 0);
	assert_int_equal(object.connector.denied[PRINCIPAL_ANONYMOUS], RIGHT_ACCEPT_ANY_SENDER);
	assert_int_equal(assign(&findings, SECTION_CONNECTOR, &object, "DeniedRights",
				"anonymous users: ms-Exch-SMTP-Submit"),
			 -EINVAL);
	assert_int_equal(assign(&findings, SECTION_CONNECTOR, &object, "DeniedRights",
				"partner: ms-Exch-SMTP-Submit, MS Exchange\\Externally Secured "
				"Servers: ms-Exch-Bypass-Anti-Spam"),
			 0);
	assert_int_equal(object.connector.denied[PRINCIPAL_PARTNER], RIGHT_SUBMIT);
	assert_int_equal(object.connector.denied[PRINCIPAL_EXTERNALLY_SECURED],
			 RIGHT_BYPASS_ANTI_SPAM);
	assert_int_equal(assign(&findings, SECTION_CONNECTOR, &object, "DeniedRights",
				": ms-Exch-SMTP-Submit"),
			 -EINVAL);
	assert_int_equal(
		assign(&findings, SECTION_CONNECTOR, &object, "DeniedRights", "anonymous:"),
		-EINVAL);
	assert_int_equal(object.connector.denied[PRINCIPAL_ANONYMOUS], RIGHT_ACCEPT_ANY_SENDER);
	findings_fini(&findings);
}

static void test_groups(void **state)
{
	struct findings findings;
	union object object;

	findings_init(&findings);
	memset(&object, 0, sizeof(object));
	assert_int_equal(assign(&findings, SECTION_CONNECTOR, &object, "PermissionGroups",
				"anonymoususers, ExchangeServers\n Legacy Exchange servers"),
			 0);
	assert_int_equal(object.connector.permission_groups,
			 PERMISSION_GROUP_ANONYMOUS_USERS | PERMISSION_GROUP_EXCHANGE_SERVERS |
				 PERMISSION_GROUP_EXCHANGE_LEGACY_SERVERS);
	assert_int_equal(assign(&findings, SECTION_CONNECTOR, &object, "PermissionGroups", "None"),
			 0);
	assert_int_equal(
		assign(&findings, SECTION_CONNECTOR, &object, "PermissionGroups", "None, Partners"),
		-EINVAL);
	findings_fini(&findings);
}

static void test_port_addresses(void **state)
{
	static const char *const good[] = {"192.0.2.10/24",       "192.0.2.0/31",  "192.0.2.1/31",
					   "192.0.2.10/32",       "2001:db8::/64", "fe80::1/64",
					   "::ffff:192.0.2.10/24"};
	static const char *const bad[] = {"192.0.2.0/24", "192.0.2.255/24", "192.0.2.3/30",
					  "0.0.0.0/0",    "::/64",          "224.0.0.1/4",
					  "ff02::1/64",   "127.0.0.1/8",    "::1/128",
					  "240.0.0.1/8",  "0.1.2.3/8",      "255.255.255.255/32"};
	struct findings findings;
	union object object;

	findings_init(&findings);
	memset(&object, 0, sizeof(object));
	for (size_t i = 0; i < COUNT(good); i++)
		assert_int_equal(assign(&findings, SECTION_PORT, &object, "Address", good[i]), 0);
	assert_int_equal(object.port.address_count, COUNT(good));
	for (size_t i = 0; i < COUNT(bad); i++)
		assert_int_equal(assign(&findings, SECTION_PORT, &object, "Address", bad[i]),
				 -EINVAL);
	assert_int_equal(object.port.address_count, COUNT(good));
	fini(SECTION_PORT, &object);
	findings_fini(&findings);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_ranges_of_numbers),
		cmocka_unit_test(test_unlimited),
		cmocka_unit_test(test_devices),
		cmocka_unit_test(test_banner_holds_the_text_only),
		cmocka_unit_test(test_lists_and_their_lines),
		cmocka_unit_test(test_rights),
		cmocka_unit_test(test_groups),
		cmocka_unit_test(test_port_addresses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
