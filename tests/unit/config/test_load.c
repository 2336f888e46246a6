// SPDX-License-Identifier: BSD-3-Clause
//
// Whole files: what a good one becomes, the shipped samples, files that are none, and names at
// their limits. Broken files are in test_broken.c.
#include "config/load.h"
#include "config/policy.h"
#include "tests/unit/config/support.h"

#include <sys/stat.h>
#include <unistd.h>

static const char whole[] =
	"\xef\xbb\xbf# a byte order mark, CR LF, comments, continuation, other spellings\r\n"
	"[GATE]\r\n"
	"name: mx.example.com ; comment\r\n"
	"REFUSE = Reset\r\n"
	"ReplyDialect = 2016\r\n"
	"[connector Anonymous Relay]\r\n"
	"Bindings = 192.0.2.10:25, [2001:db8::10]:587\r\n"
	"RemoteIPRanges =\r\n"
	"\t192.168.5.77    ; scanner\r\n"
	"\r\n"
	"# printers\r\n"
	"\t192.168.6.0/28, ::1-::5\r\n"
	"PermissionGroups = AnonymousUsers\r\n"
	"ExtendedRights = anonymous: ms-Exch-SMTP-Accept-Any-Recipient\r\n"
	"Backend = CLUSTER\r\n"
	"Banner = 220 hello\r\n"
	"MaxMessageSize = unlimited\r\n"
	"ConnectionTimeout = 00:20:00\r\n"
	"[backend other]\r\n"
	"Servers = 192.0.2.30\r\n"
	"[backend cluster]\r\n"
	"Servers = 192.0.2.20, [2001:db8::20]:2525\r\n"
	"MaxConnections = 7\r\n"
	"[accepted-domain Contoso.com.]\r\n"
	"[accepted-domain *.Fabrikam.com]\r\n"
	"Type = internalrelay\r\n"
	"[port outside]\r\n"
	"Device = eth1\r\n"
	"Address = 192.0.2.10/24, 2001:db8::10/64\r\n"
	"Gateway = 192.0.2.1, 2001:db8::1\r\n"
	"Vlan = 4094"; // no last line end

static void test_a_whole_file(void **state)
{
	struct findings findings;
	struct policy *policy;
	const struct connector *connector;
	const struct port_settings *port;
	char text[RANGE_TEXT_MAX];

	findings_init(&findings);
	policy = policy_load_text(whole, &findings.diagnostics);
	assert_string_equal(findings.text, "");
	assert_non_null(policy);
	assert_string_equal(policy->gate.name, "mx.example.com");
	assert_int_equal(policy->gate.refuse, REFUSE_RESET);
	assert_int_equal(policy->gate.dialect, REPLY_DIALECT_2016);
	assert_int_equal(policy->gate.line, 2);

	assert_int_equal(policy->connector_count, 1);
	connector = &policy->connectors[0];
	assert_string_equal(connector->name, "Anonymous Relay");
	assert_int_equal(connector->line, 6);
	assert_int_equal(connector->binding_count, 2);
	assert_string_equal(endpoint_format(&connector->bindings[1], text), "[2001:db8::10]:587");
	assert_int_equal(connector->range_count, 3);
	assert_int_equal(connector->ranges[0].line, 9);
	assert_string_equal(range_format(&connector->ranges[1].range, text), "192.168.6.0/28");
	assert_int_equal(connector->ranges[1].line, 12);
	assert_string_equal(range_format(&connector->ranges[2].range, text), "::1-::5");
	assert_int_equal(connector_session_rights(connector),
			 RIGHT_SUBMIT | RIGHT_ACCEPT_ANY_SENDER |
				 RIGHT_ACCEPT_AUTHORITATIVE_SENDER | RIGHT_ACCEPT_ANY_RECIPIENT |
				 RIGHT_ACCEPT_HEADERS_ROUTING);
	assert_string_equal(policy->backends[connector->backend].name, "cluster");
	assert_string_equal(connector->fqdn, "mx.example.com");
	assert_string_equal(connector->banner, "hello");
	assert_true(connector->max_message_size == POLICY_SIZE_UNLIMITED);
	assert_int_equal(connector->connection_timeout_ms, 1200000);
	assert_int_equal(connector->inactivity_timeout_ms, 300000);

	assert_int_equal(policy->backend_count, 2);
	assert_int_equal(policy->backends[1].server_count, 2);
	assert_string_equal(endpoint_format(&policy->backends[1].servers[0], text),
			    "192.0.2.20:25");
	assert_int_equal(policy->backends[1].max_connections, 7);

	assert_int_equal(policy->domain_count, 2);
	assert_string_equal(policy_accepted_domain(policy, "CONTOSO.com", 11)->name, "contoso.com");
	assert_int_equal(policy_accepted_domain(policy, "a.fabrikam.com", 14)->type,
			 DOMAIN_INTERNAL_RELAY);

	assert_int_equal(policy->port_count, 1);
	port = &policy->ports[0];
	assert_string_equal(port->device, "af_xdp:eth1");
	assert_int_equal(port->address_count, 2);
	assert_int_equal(port->addresses[1].prefix_length, 64);
	assert_int_equal(port->gateway_count, 2);
	assert_int_equal(port->vlan, 4094);
	policy_destroy(policy);
	findings_fini(&findings);
}

static void test_samples_load(void **state)
{
	static const char *const names[] = {
		"config/relaygate.ini", "config/examples/anonymous-relay.ini",
		"config/examples/internet-edge.ini",
		"config/examples/externally-secured-partner.ini", "config/examples/campus.ini"};

	for (size_t i = 0; i < COUNT(names); i++) {
		char *path = source_path(__FILE__, names[i]);
		struct findings findings;
		struct policy *policy;

		findings_init(&findings);
		policy = policy_load(path, &findings.diagnostics);
		if (policy == NULL)
			fail_msg("%s", findings.text);
		assert_string_equal(policy->file, path);
		assert_int_equal(findings.diagnostics.warnings, 0);
		policy_destroy(policy);
		findings_fini(&findings);
		free(path);
	}
}

#define TAIL                                                                                       \
	"[gate]\nName = mx.example.com\n[port p]\nDevice = e\nAddress = 192.0.2.10/24\n"           \
	"[accepted-domain contoso.com]\n[backend b]\nServers = 192.0.2.20\n"

static void test_names_that_differ_in_the_last_byte(void **state)
{
	char text[1024], name[65];
	struct findings findings;
	struct policy *policy;

	memset(name, 'n', 64);
	name[64] = '\0';
	snprintf(text, sizeof(text),
		 TAIL "[connector %.63s1]\nBindings = 192.0.2.10:25\nRemoteIPRanges = 10.0.0.1\n"
		      "PermissionGroups = AnonymousUsers\n"
		      "[connector %.63s2]\nBindings = 192.0.2.10:25\nRemoteIPRanges = 10.0.0.2\n"
		      "PermissionGroups = AnonymousUsers\n",
		 name, name);
	findings_init(&findings);
	policy = policy_load_text(text, &findings.diagnostics);
	assert_string_equal(findings.text, "");
	assert_int_equal(policy->connector_count, 2);
	assert_int_equal(strlen(policy->connectors[0].name), 64);
	assert_int_equal(policy->connectors[0].name[63], '1');
	assert_int_equal(policy->connectors[1].name[63], '2');
	policy_destroy(policy);
	findings_fini(&findings);
}

// A list on one line of nearly 64 KiB, and a domain name of 253 bytes: nothing is lost.
static void test_long_lines(void **state)
{
	static const char head[] = TAIL "[connector c]\nBindings = 192.0.2.10:25\n"
					"PermissionGroups = AnonymousUsers\nRemoteIPRanges = ";
	char *text = malloc(1 << 17);
	char *at = text;
	struct findings findings;
	struct policy *policy;
	unsigned count = 0;

	at += sprintf(at, "%s", head);
	for (char *start = at; at - start < 65400; count++)
		at += sprintf(at, "%s10.%u.%u.%u", count > 0 ? ", " : "", count >> 8 & 255,
			      count & 255, 100 + count % 100);
	at += sprintf(at, "\n[accepted-domain ");
	for (unsigned label = 0; label < 3; label++, *at++ = '.')
		at = memset(at, 'a', 63), at += 63;
	memset(at, 'b', 61);
	strcpy(at + 61, "]\n");

	findings_init(&findings);
	policy = policy_load_text(text, &findings.diagnostics);
	assert_string_equal(findings.text, "");
	assert_true(count > 4000);
	assert_int_equal(policy->connectors[0].range_count, count);
	for (unsigned i = 0; i < count; i++) {
		const struct address *first = &policy->connectors[0].ranges[i].range.first;

		assert_int_equal(first->bytes[14], i & 255);
		assert_int_equal(first->bytes[15], 100 + i % 100);
	}
	assert_int_equal(policy->domain_count, 2);
	assert_int_equal(strlen(policy->domains[0].name), 253); // sorts before contoso.com
	policy_destroy(policy);
	findings_fini(&findings);
	free(text);
}

static void test_only_backend_need_not_be_named(void **state)
{
	struct findings findings;
	struct policy *policy;

	findings_init(&findings);
	policy = policy_load_text(TAIL "[connector c]\nBindings = 192.0.2.10:25\n"
				       "RemoteIPRanges = 10.0.0.1\nFqdn = relay.example.com\n"
				       "PermissionGroups = AnonymousUsers\n",
				  &findings.diagnostics);
	assert_string_equal(findings.text, "");
	assert_int_equal(policy->connectors[0].backend, 0);
	assert_null(policy->connectors[0].backend_name);
	assert_string_equal(policy->connectors[0].fqdn, "relay.example.com");
	policy_destroy(policy);
	findings_fini(&findings);
}

// A tool finds the gate by a file with errors, unless they may concern where it is.
static void test_directory_of_a_file_with_errors(void **state)
{
	static const struct {
		const char *text, *directory; // NULL: nobody knows
	} cases[] = {
		{"[gate]\nName = a.b\n[ban]\nBogus = 1\n", "/sys/fs/bpf/relaygate"},
		{"[gate]\nName = a.b\nPinDirectory = /x/y\n[connector c]\n", "/x/y"},
		{"[gate]\nName = a.b\nPinDirectory = /x/y\nBogus = 1\n", "/x/y"},
		{"[gate]\nName = a.b\nPinDirectory = /x/y\n[nonsense]\n", "/x/y"},
		{"[gate]\nName = a.b\nBogus = 1\n", NULL},
		{"[gate]\nName = a.b\nPinDirectry = /x/y\n", NULL},
		{"[gate]\nName = a.b\nPinDirectory = x.y\n", NULL},
		{"[gate]\nName = a.b\nPinDirectory = /x\nPinDirectory = /y\n", NULL},
		{"[nonsense]\n[gate]\nName = a.b\n", NULL},
		{"[ban]\n", NULL},
		{"nonsense\n", NULL},
		{"", NULL},
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct diagnostics diagnostics = {0};
		char *directory = (char *)"";

		assert_null(policy_load_bytes_with_directory(
			"t", cases[i].text, strlen(cases[i].text), &diagnostics, &directory));
		if (cases[i].directory && directory)
			assert_string_equal(directory, cases[i].directory);
		else if (cases[i].directory || directory)
			fail_msg("%s: %s", cases[i].text, directory ? directory : "no directory");
		free(directory);
	}
}

static void check_refused(const char *path, const char *fragment)
{
	struct findings findings;

	findings_init(&findings);
	assert_null(policy_load(path, &findings.diagnostics));
	assert_int_equal(findings.diagnostics.errors, 1);
	if (!findings_have(&findings, 'E', 0, fragment))
		fail_msg("%s", findings.text);
	assert_non_null(strstr(findings.text, path));
	findings_fini(&findings);
}

static void test_files_that_are_none(void **state)
{
	char directory[] = "/tmp/relaygate-test-XXXXXX", path[128], other[128];
	FILE *file;

	assert_non_null(mkdtemp(directory));
	check_refused(directory, "a file is wanted: Is a directory");

	snprintf(path, sizeof(path), "%s/missing.ini", directory);
	check_refused(path, "cannot open the file: No such file or directory");

	assert_int_equal(symlink("loop.ini", strcat(strcpy(other, directory), "/loop.ini")), 0);
	check_refused(other, "cannot open the file: Too many levels of symbolic links");
	unlink(other);

	snprintf(path, sizeof(path), "%s/empty.ini", directory);
	file = fopen(path, "w");
	fclose(file);
	check_refused(path, "the file is empty");
	if (geteuid() != 0) { // root reads everything
		assert_int_equal(chmod(path, 0), 0);
		check_refused(path, "Permission denied");
	}
	unlink(path);

	// A symlink to a good file is as good as the file.
	snprintf(path, sizeof(path), "%s/whole.ini", directory);
	file = fopen(path, "w");
	assert_int_equal(fwrite(whole, 1, sizeof(whole) - 1, file), sizeof(whole) - 1);
	fclose(file);
	snprintf(other, sizeof(other), "%s/link.ini", directory);
	assert_int_equal(symlink("whole.ini", other), 0);
	{
		struct diagnostics diagnostics = {0};
		struct policy *policy = policy_load(other, &diagnostics);

		assert_non_null(policy);
		assert_string_equal(policy->file, other);
		policy_destroy(policy);
	}
	unlink(other);
	unlink(path);
	rmdir(directory);
}

// A file cut off anywhere never crashes, and is never taken for more than it says.
static void test_every_beginning(void **state)
{
	for (size_t length = 0; length < sizeof(whole); length++) {
		struct diagnostics diagnostics = {0};
		char *exact = malloc(length + (length == 0));
		struct policy *policy;

		memcpy(exact, whole, length);
		policy = policy_load_bytes("t", exact, length, &diagnostics);
		assert_int_equal(policy == NULL, diagnostics.errors != 0);
		policy_destroy(policy);
		free(exact);
	}
}

// Every byte of a good file replaced by each of some that mean something.
static void test_every_byte_replaced(void **state)
{
	static const char bytes[] = {'\0', '\n', '\r', ' ', '[', ']', '=',    ':',
				     ';',  ',',  '/',  '-', '9', 'x', '\x7f', '\xff'};
	size_t length = sizeof(whole) - 1;
	char *copy = malloc(length);

	for (size_t i = 0; i < length; i++)
		for (size_t j = 0; j < COUNT(bytes); j++) {
			struct diagnostics diagnostics = {0};
			struct policy *policy;

			memcpy(copy, whole, length);
			copy[i] = bytes[j];
			policy = policy_load_bytes("t", copy, length, &diagnostics);
			assert_int_equal(policy == NULL, diagnostics.errors != 0);
			policy_destroy(policy);
		}
	free(copy);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_whole_file),
		cmocka_unit_test(test_samples_load),
		cmocka_unit_test(test_names_that_differ_in_the_last_byte),
		cmocka_unit_test(test_long_lines),
		cmocka_unit_test(test_only_backend_need_not_be_named),
		cmocka_unit_test(test_directory_of_a_file_with_errors),
		cmocka_unit_test(test_files_that_are_none),
		cmocka_unit_test(test_every_beginning),
		cmocka_unit_test(test_every_byte_replaced),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
