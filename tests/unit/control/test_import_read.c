// SPDX-License-Identifier: BSD-3-Clause
//
// Values of Exchange's types, in every shape in which PowerShell writes them, and what is none.
#include "control/import_read.h"
#include "tests/unit/control/import_tree.h"

#include <inttypes.h>

#define NONE (UINT64_MAX - 1) // not of the type

typedef int (*number_reader)(const struct import_value *value, uint64_t *out);

struct number_row {
	const char *json;
	uint64_t want;
};

static void tree_of(const char *json, struct import_tree *tree)
{
	struct import_fault fault;

	if (tree_read(import_json, json, strlen(json), tree, &fault))
		fail_msg("%s: %s", json, fault.text);
}

static void check_numbers(number_reader reader, const struct number_row *rows, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct import_tree tree;
		uint64_t number = NONE;

		tree_of(rows[i].json, &tree);
		if (reader(tree.root, &number))
			number = NONE;
		if (number != rows[i].want)
			fail_msg("%s: %" PRIu64 ", not %" PRIu64, rows[i].json, number,
				 rows[i].want);
		import_tree_fini(&tree);
	}
}

static void test_numbers(void **state)
{
	static const struct number_row rows[] = {
		{"0", 0},
		{"60", 60},
		{"\"60\"", 60},
		{"2147483647", 2147483647},
		{"\"unlimited\"", UINT64_MAX},
		{"\"Unlimited\"", UINT64_MAX},
		{"{\"IsUnlimited\": true, \"Value\": 0}", UINT64_MAX},
		{"{\"IsUnlimited\": true}", UINT64_MAX},
		{"{\"IsUnlimited\": false, \"Value\": 20}", 20},
		{"{\"IsUnlimited\": \"False\", \"Value\": \"20\"}", 20},
		{"{\"IsUnlimited\": true, \"Value\": null}", UINT64_MAX},
		{"-1", NONE},
		{"1.5", NONE},
		{"1e3", NONE},
		{"\"\"", NONE},
		{"\" 60\"", NONE},
		{"\"0x10\"", NONE},
		{"\"60 \"", NONE},
		{"18446744073709551615", NONE},
		{"18446744073709551616", NONE},
		{"\"18446744073709551615\"", NONE},
		{"\"99999999999999999999999\"", NONE},
		{"null", NONE},
		{"{}", NONE},
		{"[]", NONE},
		{"true", NONE},
	};

	check_numbers(import_read_number, rows, COUNT(rows));
}

static void test_sizes(void **state)
{
	static const struct number_row rows[] = {
		{"37748736", 37748736},
		{"\"37748736\"", 37748736},
		{"\"36 MB (37,748,736 bytes)\"", 37748736},
		{"\"36 MB (37.748.736 bytes)\"", 37748736},
		{"\"36 MB (37 748 736 bytes)\"", 37748736},
		{"\"36 MB (37\xc2\xa0"
		 "748\xc2\xa0"
		 "736 octets)\"",
		 37748736},
		{"\"36 MB (37'748'736 Bytes)\"", 37748736},
		{"\"1.5 GB (1,610,612,736 bytes)\"", 1610612736},
		{"\"0 B (0 bytes)\"", 0},
		{"\"1 B\"", 1},
		{"\"1B\"", 1},
		{"\"256 KB\"", 256 << 10},
		{"\"256kb\"", 256 << 10},
		{"\"36MB\"", 36 << 20},
		{"\"1 GB\"", 1 << 30},
		{"\"1TB\"", 1ull << 40},
		{"\"Unlimited\"", UINT64_MAX},
		{"{\"IsUnlimited\": true}", UINT64_MAX},
		{"{\"IsUnlimited\": false, \"Value\": \"10 MB (10,485,760 bytes)\"}", 10485760},
		{"{\"IsUnlimited\": false, \"Value\": 10485760}", 10485760},
		{"\"36 MB (37,748,736 bytes\"", NONE},
		{"\"36 MB (37,748,736)\"", NONE},
		{"\"36 MB ()\"", NONE},
		{"\"36 MB (bytes)\"", NONE},
		{"\"36 MB (\"", NONE},
		{"\"(1234567890123456789012345678901234567890 bytes)\"", NONE},
		{"\"(18446744073709551615 bytes)\"", NONE},
		{"\"36 XB\"", NONE},
		{"\"1.5 GB\"", NONE},
		{"\"-1 MB\"", NONE},
		{"\"99999999999999 TB\"", NONE},
		{"\"MB\"", NONE},
		{"\"\"", NONE},
		{"{\"IsUnlimited\": false}", NONE},
	};

	check_numbers(import_read_size, rows, COUNT(rows));
}

static void test_times(void **state)
{
	static const struct number_row rows[] = {
		{"\"00:00:00\"", 0},
		{"\"00:00:05\"", 5000},
		{"\"00:10:00\"", 600000},
		{"\"1.00:10:00\"", 87000000},
		{"\"00:00:05.5000000\"", 5000},
		{"\"1.00:00:00.0000001\"", 86400000},
		{"\"PT10M\"", 600000},
		{"\"PT0S\"", 0},
		{"\"PT1H30M5.5S\"", 5405000},
		{"\"P1D\"", 86400000},
		{"\"P1DT1S\"", 86401000},
		{"{\"Ticks\": 6000000000, \"Days\": 0}", 600000},
		{"{\"Ticks\": \"50000000\"}", 5000},
		{"{\"Ticks\": 9999}", 0},
		{"\"-00:00:05\"", NONE},
		{"\"00:10\"", NONE},
		{"\"10\"", NONE},
		{"600", NONE},
		{"\"10m\"", NONE}, // ours, not Exchange's
		{"\"00:60:00\"", NONE},
		{"\"00:00:60\"", NONE},
		{"\"P\"", NONE},
		{"\"PT\"", NONE},
		{"\"PT5\"", NONE},
		{"\"P5M\"", NONE}, // months
		{"\"PT1D\"", NONE},
		{"\"PTT1S\"", NONE},
		{"\"-PT5M\"", NONE},
		{"\"PT-5M\"", NONE},
		{"\"PT99999999999999999999S\"", NONE},
		{"\"P999999999999D\"", NONE},
		{"\"99999999999999999999.00:00:00\"", NONE},
		{"\"00:00:00:00:00:00:00:00:00:00:00:00\"", NONE},
		{"{\"Ticks\": -1}", NONE},
		{"{\"Ticks\": {}}", NONE},
		{"{}", NONE},
		{"null", NONE},
	};

	check_numbers(import_read_time, rows, COUNT(rows));
}

static int read_boolean(const struct import_value *value, uint64_t *out)
{
	bool boolean = false;
	int status = import_read_boolean(value, &boolean);

	*out = boolean;
	return status;
}

static void test_booleans(void **state)
{
	static const struct number_row rows[] = {
		{"true", 1},
		{"false", 0},
		{"\"True\"", 1},
		{"\"FALSE\"", 0},
		{"{\"IsPresent\": true}", 1},
		{"{\"IsPresent\": false}", 0},
		{"1", NONE},
		{"0", NONE},
		{"\"\"", NONE},
		{"\"ja\"", NONE},
		{"null", NONE},
		{"{}", NONE},
		{"[true]", NONE},
	};

	check_numbers(read_boolean, rows, COUNT(rows));
}

static void test_names(void **state)
{
	static const struct import_name names[] = {{0, "None"},
						   {1, "Tls"},
						   {2, "Integrated"},
						   {32, "ExternalAuthoritative"},
						   {0, NULL}};
	static const struct {
		const char *json;
		bool flags;
		const char *want; // NULL = not of the type
	} rows[] = {
		{"\"Tls\"", true, "Tls"},
		{"\"TLS,integrated\"", true, "Tls, Integrated"},
		{"\" Tls ,  Integrated \"", true, "Tls, Integrated"},
		{"\"Tls, , Integrated,\"", true, "Tls, Integrated"},
		{"[\"Tls\", \"Integrated\"]", true, "Tls, Integrated"},
		{"[1, 2]", true, "Tls, Integrated"},
		{"35", true, "Tls, Integrated, ExternalAuthoritative"},
		{"\"3\"", true, "Tls, Integrated"},
		{"0", true, "None"},
		{"\"None\"", true, "None"},
		{"2", false, "Integrated"},
		{"3", false, NULL},
		{"64", true, NULL},
		{"65", true, NULL},
		{"18446744073709551615", true, NULL},
		{"\"Kerberos\"", true, "Kerberos"}, // kept: the caller tells it
		{"\"Tl\"", true, "Tl"},
		{"\"\"", true, NULL},
		{"\",, ,\"", true, NULL},
		{"[]", true, NULL},
		{"null", true, NULL},
		{"{}", true, NULL},
		{"[\"Tls\", {}]", true, NULL},
		{"\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"", true,
		 NULL}, // 65
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct import_tree tree;
		char *list = (char *)"";
		int status;

		tree_of(rows[i].json, &tree);
		status = import_read_names(tree.root, names, rows[i].flags, &list);
		if (status != (rows[i].want ? 0 : -1) || !list != !rows[i].want ||
		    (list && strcmp(list, rows[i].want) != 0))
			fail_msg("%s: %d %s", rows[i].json, status, list ? list : "(null)");
		free(list);
		import_tree_fini(&tree);
	}
}

typedef int (*item_reader)(const struct import_value *value, char out[IMPORT_ITEM_MAX], bool *zone,
			   const char **why);

struct item_row {
	const char *json, *want; // NULL = refused, with a reason
	bool zone;
};

static void check_items(item_reader reader, const struct item_row *rows, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct import_tree tree;
		char *out = malloc(IMPORT_ITEM_MAX);
		bool zone = false;
		const char *why = NULL;
		int status;

		assert_non_null(out);
		tree_of(rows[i].json, &tree);
		status = reader(tree.root, out, &zone, &why);
		if (status != (rows[i].want ? 0 : -1) ||
		    (rows[i].want && (strcmp(out, rows[i].want) != 0 || zone != rows[i].zone)))
			fail_msg("%s: %d %s %s", rows[i].json, status, status ? "" : out,
				 why ? why : "");
		assert_true(!status || (why && *why));
		free(out);
		import_tree_fini(&tree);
	}
}

static void test_ranges(void **state)
{
	static const struct item_row rows[] = {
		{"\"192.168.5.77\"", "192.168.5.77", false},
		{"\"192.168.1.1-192.168.1.254\"", "192.168.1.1-192.168.1.254", false},
		{"\"192.168.1.1 - 192.168.1.254\"", "192.168.1.1-192.168.1.254", false},
		{"\"192.168.1.1/24\"", "192.168.1.0/24", false},
		{"\"192.168.1.1(255.255.255.0)\"", "192.168.1.0/24", false},
		{"\"192.168.1.1 (255.255.255.255)\"", "192.168.1.1", false},
		{"\"192.168.1.1/255.255.0.0\"", "192.168.0.0/16", false},
		{"\"1.2.3.4(0.0.0.0)\"", "0.0.0.0/0", false},
		{"\"0.0.0.0-255.255.255.255\"", "0.0.0.0/0", false},
		{"\"::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff\"", "::/0", false},
		{"\"fe80::5%11\"", "fe80::5", true},
		{"\"fe80::1%11-fe80::5%11\"", "fe80::1-fe80::5", true},
		{"\"fe80::%eth0/64\"", "fe80::/64", true},
		{"\"2001:0DB8::CD3/60\"", "2001:db8::/60", false},
		{"{\"Expression\": \"10.0.0.1\"}", "10.0.0.1", false},
		{"{\"LowerBound\": \"10.0.0.1\", \"UpperBound\": \"10.0.0.9\"}",
		 "10.0.0.1-10.0.0.9", false},
		{"{\"LowerBound\": {\"Address\": \"10.0.0.0\"}, \"UpperBound\": \"10.0.0.255\"}",
		 "10.0.0.0/24", false},
		{"{\"LowerBound\": \"10.0.0.1\"}", NULL, false},
		{"\"192.168.1.254-192.168.1.1\"", NULL, false},
		{"\"192.168.1.1(255.0.255.0)\"", NULL, false},
		{"\"192.168.1.1(255.255.255.0\"", NULL, false},
		{"\"192.168.1.1(255.255.255.00\"", NULL, false},
		{"\"192.168.1.1(\"", NULL, false},
		{"\"192.168.1.1()\"", NULL, false},
		{"\"192.168.1.1(24)\"", NULL, false},
		{"\"192.168.1.1/33\"", NULL, false},
		{"\"192.168.1.1/\"", NULL, false},
		{"\"192.168.1\"", NULL, false},
		{"\"1.2.3.4-::5\"", NULL, false},
		{"\"%\"", NULL, false},
		{"\"\"", NULL, false},
		{"\"-\"", NULL, false},
		{"null", NULL, false},
		{"{}", NULL, false},
		{"\"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff-ffff:ffff:ffff:ffff:ffff:ffff:ffff:"
		 "ffff-"
		 "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff-ffff:ffff:ffff:ffff:ffff\"",
		 NULL, false},
	};

	check_items(import_read_range, rows, COUNT(rows));
}

static void test_bindings(void **state)
{
	static const struct item_row rows[] = {
		{"\"0.0.0.0:25\"", "0.0.0.0:25", false},
		{"\"[::]:25\"", "[::]:25", false},
		{"\"[fe80::5%11]:25\"", "[fe80::5]:25", true},
		{"\"192.0.2.10:2525\"", "192.0.2.10:2525", false},
		{"{\"Address\": \"0.0.0.0\", \"Port\": 25}", "0.0.0.0:25", false},
		{"{\"Address\": {\"IPAddressToString\": \"::\"}, \"Port\": \"587\"}", "[::]:587",
		 false},
		{"\"0.0.0.0\"", NULL, false},
		{"\"0.0.0.0:0\"", NULL, false},
		{"\"0.0.0.0:65536\"", NULL, false},
		{"\"::25\"", NULL, false},
		{"\"[::]\"", NULL, false},
		{"\"[::]:\"", NULL, false},
		{"\"[::\"", NULL, false},
		{"\":25\"", NULL, false},
		{"{\"Address\": \"0.0.0.0\"}", NULL, false},
		{"{\"Port\": 25}", NULL, false},
		{"{\"Address\": \"0.0.0.0\", \"Port\": -25}", NULL, false},
		{"{}", NULL, false},
		{"null", NULL, false},
	};

	check_items(import_read_binding, rows, COUNT(rows));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_numbers),  cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_times),    cmocka_unit_test(test_booleans),
		cmocka_unit_test(test_names),    cmocka_unit_test(test_ranges),
		cmocka_unit_test(test_bindings),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
