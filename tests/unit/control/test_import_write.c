// SPDX-License-Identifier: BSD-3-Clause
//
// The INI file of `relaygate import`, through the whole command: what is not in an export is marked
// PLACEHOLDER, one line above it, and nothing else is; each option takes its mark away; whatever
// the options, the file is one that the loader accepts.
#include "config/load.h"
#include "config/policy.h"
#include "control/commands.h"
#include "tests/unit/control/import_tree.h"

#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#define CONNECTOR(fqdn, bindings)                                                                  \
	"{\"Name\": \"C\", \"Identity\": \"EX\\\\C\", \"Bindings\": " bindings                     \
	", \"RemoteIPRanges\": \"192.0.2.0/24\", \"PermissionGroups\": \"AnonymousUsers\", "       \
	"\"Fqdn\": " fqdn "}"
#define PLAIN CONNECTOR("\"mx.contoso.com\"", "\"0.0.0.0:25\"")

static int file_of(const char *text, char path[32])
{
	int descriptor = memfd_create("import", 0);

	assert_true(descriptor >= 0);
	if (text)
		assert_int_equal(write(descriptor, text, strlen(text)), strlen(text));
	snprintf(path, 32, "/proc/self/fd/%d", descriptor);
	return descriptor;
}

// The file that the command makes of it; the caller's.
static char *import(const char *json, struct command_options options)
{
	char in[32], out[32];
	int from = file_of(json, in), to = file_of(NULL, out);
	off_t length;
	char *text;

	options.file = in;
	options.output = out;
	assert_int_equal(command_import(&options), EXIT_FINE);
	length = lseek(to, 0, SEEK_END);
	assert_true(length > 0);
	text = calloc(1, (size_t)length + 1);
	assert_non_null(text);
	assert_int_equal(pread(to, text, (size_t)length, 0), length);
	close(from);
	close(to);
	return text;
}

static unsigned count(const char *text, const char *part)
{
	unsigned found = 0;

	for (const char *at = text; (at = strstr(at, part)); at += strlen(part))
		found++;
	return found;
}

static void loads(const char *text)
{
	struct diagnostics silent = {0};
	struct policy *policy = policy_load_bytes("file.ini", text, strlen(text), &silent);

	if (!policy)
		fail_msg("not accepted: %s", text);
	policy_destroy(policy);
}

#define NAME    "# PLACEHOLDER: no connector has a fully qualified Fqdn.\nName = mx.example.com\n"
#define DEVICE  "# PLACEHOLDER: the interface; give --device.\nDevice = eth1\n"
#define SERVERS "# PLACEHOLDER: the mail servers; give --backend.\nServers = 192.0.2.25\n"
#define ADDRESS                                                                                    \
	"# PLACEHOLDER: the gate's addresses, which are those that Bindings name; give "           \
	"--address.\nAddress = "
#define GATEWAY "# PLACEHOLDER: clients outside of these networks need a Gateway; give --gateway.\n"

static void test_placeholders(void **state)
{
	static const struct {
		const char *json;
		struct command_options options;
		unsigned count;
		const char *wanted[6];
	} rows[] = {
		{PLAIN,
		 {0},
		 4,
		 {"Name = mx.contoso.com\n", DEVICE, ADDRESS "192.0.2.10/24\n", GATEWAY "\n",
		  SERVERS}},
		{PLAIN,
		 {.device = "af_packet:eth7"},
		 3,
		 {"\nDevice = af_packet:eth7\n", ADDRESS, GATEWAY, SERVERS}},
		{PLAIN,
		 {.address = "198.51.100.1/28"},
		 3,
		 {DEVICE, "\nAddress = 198.51.100.1/28\n", GATEWAY, SERVERS}},
		{PLAIN,
		 {.address = "192.0.2.10/24", .gateway = "192.0.2.1"},
		 2,
		 {DEVICE, "\nGateway = 192.0.2.1\n", SERVERS}},
		{PLAIN,
		 {.backend = "192.0.2.77, 192.0.2.78:26"},
		 3,
		 {DEVICE, ADDRESS, GATEWAY, "\nServers = 192.0.2.77, 192.0.2.78:26\n"}},
		{PLAIN,
		 {.device = "eth0",
		  .address = "192.0.2.10/24",
		  .gateway = "192.0.2.1",
		  .backend = "192.0.2.77"},
		 0,
		 {"\nName = mx.contoso.com\n"}},
		// The name: of a connector that has one
		{CONNECTOR("\"EX\"", "\"0.0.0.0:25\""), {0}, 5, {NAME}},
		{CONNECTOR("null", "\"0.0.0.0:25\""), {0}, 5, {NAME}},
		{CONNECTOR("\"mx_1.contoso.com\"", "\"0.0.0.0:25\""), {0}, 5, {NAME}},
		// The addresses: those that bindings name, of both families
		{CONNECTOR("null", "[\"198.51.100.7:25\", \"198.51.100.7:26\"]"),
		 {0},
		 5,
		 {ADDRESS "198.51.100.7/24\n"}},
		{CONNECTOR("null", "[\"0.0.0.0:25\", \"[::]:25\"]"),
		 {0},
		 5,
		 {ADDRESS "192.0.2.10/24, 2001:db8::10/64\n"}},
		{CONNECTOR("null", "[\"[2001:db8:5::7]:25\"]"),
		 {0},
		 5,
		 {ADDRESS "2001:db8:5::7/64\n"}},
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		char *text = import(rows[i].json, rows[i].options);

		// One is in the words at the top.
		if (count(text, "# PLACEHOLDER: ") != rows[i].count)
			fail_msg("row %zu: not %u marks: %s", i, rows[i].count, text);
		for (size_t j = 0; j < COUNT(rows[i].wanted) && rows[i].wanted[j]; j++)
			if (!strstr(text, rows[i].wanted[j]))
				fail_msg("row %zu: no %s in %s", i, rows[i].wanted[j], text);
		loads(text);
		free(text);
	}
}

// What an administrator wrote stays text: it begins no line, no comment and no mark of its own.
static void test_texts_of_others(void **state)
{
	char *text = import("{\"Name\": \"a]\\n[gate]; # b\", \"Identity\": \"EX\\\\a\", "
			    "\"Bindings\": \"0.0.0.0:25\", \"RemoteIPRanges\": \"192.0.2.0/24\", "
			    "\"Comment\": \"x\\n[port y]\\n# PLACEHOLDER: z; w\", "
			    "\"Odd\\n[gate]\": \"1\", \"Fqdn\": \"mx.contoso.com\"}",
			    (struct command_options){0});

	assert_int_equal(count(text, "\n[gate]"), 1);
	assert_int_equal(count(text, "\n[port "), 1);
	assert_int_equal(count(text, "\n[connector "), 1);
	assert_int_equal(count(text, "\n# PLACEHOLDER: "), 4);
	assert_non_null(strstr(text, "\nComment = x [port y] # PLACEHOLDER: z, w\n"));
	assert_non_null(strstr(text, "\n[connector a___gate__ # b]\n"));
	loads(text);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_placeholders),
		cmocka_unit_test(test_texts_of_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
