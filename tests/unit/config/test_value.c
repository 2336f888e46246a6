// SPDX-License-Identifier: BSD-3-Clause
//
// Scalars: what is read, what is refused, and that printing reads back.
#include "config/value.h"
#include "tests/unit/config/support.h"

#include <errno.h>

#define REFUSED UINT64_MAX

struct scalar {
	const char *text;
	uint64_t value; // REFUSED
	const char *why;
};

static void check_scalars(const struct scalar *cases, size_t count,
			  int (*parse)(const char *, uint64_t *, const char **))
{
	for (size_t i = 0; i < count; i++) {
		uint64_t value = 0;
		const char *why = "";
		int status = parse(cases[i].text, &value, &why);

		if (cases[i].value == REFUSED) {
			if (status != -EINVAL || strstr(why, cases[i].why) == NULL)
				fail_msg("%s: %d, %s", cases[i].text, status, why);
		} else if (status != 0 || value != cases[i].value) {
			fail_msg("%s: %d, %llu", cases[i].text, status, (unsigned long long)value);
		}
	}
}

static void test_numbers(void **state)
{
	static const struct scalar cases[] = {
		{"0", 0, NULL},
		{"007", 7, NULL},
		{"18446744073709551614", UINT64_MAX - 1, NULL},
		{"18446744073709551616", REFUSED, "too large"},
		{"99999999999999999999999", REFUSED, "too large"},
		{"-1", REFUSED, "negative"},
		{"+1", REFUSED, "number is wanted"},
		{"", REFUSED, "number is wanted"},
		{"1.5", REFUSED, "digits only"},
		{"0x10", REFUSED, "digits only"},
		{"1,000", REFUSED, "digits only"},
		{"ten", REFUSED, "number is wanted"},
	};

	check_scalars(cases, COUNT(cases), value_number);
}

static void test_sizes(void **state)
{
	static const struct scalar cases[] = {
		{"0", 0, NULL},
		{"65536", 65536, NULL},
		{"1B", 1, NULL},
		{"64KB", 65536, NULL},
		{"36mb", 37748736, NULL},
		{"36 MB", 37748736, NULL},
		{"2GB", 1ull << 31, NULL},
		{"1TB", 1ull << 40, NULL},
		{"16777215TB", 16777215ull << 40, NULL},
		{"16777216TB", REFUSED, "too large"},
		{"10 megs", REFUSED, "KB, MB"},
		{"1.5MB", REFUSED, "whole number"},
		{"MB", REFUSED, "number is wanted"},
		{"-1KB", REFUSED, "negative"},
		{"1 MB (1,048,576 bytes)", REFUSED, "KB, MB"},
		{"36M", REFUSED, "KB, MB"},
	};

	check_scalars(cases, COUNT(cases), value_size);
}

static void test_times(void **state)
{
	static const struct scalar cases[] = {
		{"500ms", 500, NULL},
		{"30s", 30000, NULL},
		{"5m", 300000, NULL},
		{"5 M", 300000, NULL},
		{"1h", 3600000, NULL},
		{"1d", 86400000, NULL},
		{"0s", 0, NULL},
		{"00:05:00", 300000, NULL},
		{"23:59:59", 86399000, NULL},
		{"1.00:00:00", 86400000, NULL},
		{"0.00:00:01", 1000, NULL},
		{"10.01:02:03", (((10 * 24 + 1) * 60ull + 2) * 60 + 3) * 1000, NULL},
		{"30", REFUSED, "unit missing"},
		{"0", REFUSED, "unit missing"},
		{"5min", REFUSED, "unit ms, s, m, h or d"},
		{"1h30m", REFUSED, "unit ms, s, m, h or d"},
		{"24:00:00", REFUSED, "hours to 23"},
		{"00:60:00", REFUSED, "minutes and seconds to 59"},
		{"00:00:60", REFUSED, "minutes and seconds to 59"},
		{"5:00", REFUSED, "hh:mm:ss"},
		{"00:05", REFUSED, "hh:mm:ss"},
		{"00:05:00.5", REFUSED, "hh:mm:ss"},
		{"0:05:00", REFUSED, "hh:mm:ss"},
		{"1.2.00:00:00", REFUSED, "hh:mm:ss"},
		{"-00:05:00", REFUSED, "hh:mm:ss"},
		{"999999999.00:00:00", REFUSED, "too large"},
		{"99999999999999999999d", REFUSED, "too large"},
		{"18446744073709551d", REFUSED, "too large"},
		{":", REFUSED, "hh:mm:ss"},
		{"", REFUSED, "number is wanted"},
	};

	check_scalars(cases, COUNT(cases), value_time);
}

static void test_booleans(void **state)
{
	static const char *const yes[] = {"yes", "YES", "true", "$true", "$True", "on"};
	static const char *const no[] = {"no", "No", "false", "$false", "off"};
	static const char *const neither[] = {"", "1", "0", "y", "yess", "$yes", "enabled"};
	const char *why;
	bool value;

	for (size_t i = 0; i < COUNT(yes); i++) {
		value = false;
		assert_int_equal(value_boolean(yes[i], &value, &why), 0);
		assert_true(value);
	}
	for (size_t i = 0; i < COUNT(no); i++) {
		value = true;
		assert_int_equal(value_boolean(no[i], &value, &why), 0);
		assert_false(value);
	}
	for (size_t i = 0; i < COUNT(neither); i++)
		assert_int_equal(value_boolean(neither[i], &value, &why), -EINVAL);
}

#define A63 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define A61 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static void test_domains(void **state)
{
	static const char *const good[] = {
		"contoso.com",
		"a.b",
		"localhost",
		"3com.example",
		"xn--mller-kva.example",
		"a-b.example",
		"MX.Example.COM",
		"1.2.3.4a",
		A63 ".example",
		A63 "." A63 "." A63 "." A61, // 253 bytes
	};
	static const struct {
		const char *text, *why;
	} bad[] = {
		{"", "missing"},
		{".", "empty label"},
		{"contoso.com.", "empty label"},
		{".contoso.com", "empty label"},
		{"a..b", "empty label"},
		{"-a.example", "hyphen"},
		{"a-.example", "hyphen"},
		{"a.-", "hyphen"},
		{"a b.example", "only letters"},
		{"a_b.example", "only letters"},
		{"m\xc3\xbcller.example", "xn--"},
		{"a.*.example", "wildcard"},
		{"192.0.2.1", "must not be a number"},
		{"example.123", "must not be a number"},
		{A63 "a.example", "at most 63"},
		{A63 "." A63 "." A63 "." A61 "a", "at most 253"},
	};

	for (size_t i = 0; i < COUNT(good); i++)
		if (value_domain_fault(good[i]) != NULL)
			fail_msg("%s: %s", good[i], value_domain_fault(good[i]));
	for (size_t i = 0; i < COUNT(bad); i++) {
		const char *why = value_domain_fault(bad[i].text);

		if (why == NULL || strstr(why, bad[i].why) == NULL)
			fail_msg("%s: %s", bad[i].text, why);
	}
	assert_null(value_fqdn_fault("mx.example.com"));
	assert_non_null(value_fqdn_fault("localhost"));
}

static void test_names(void **state)
{
	static const char *const good[] = {
		"a",
		"Anonymous Relay",
		"M\xc3\xbcnchen",
		"\xe2\x82\xac",
		"\xf0\x9f\x93\xa7",
		"0123456789012345678901234567890123456789012345678901234567890123",
	};
	static const char *const bad[] = {
		"",
		"01234567890123456789012345678901234567890123456789012345678901234", // 65
		"caf\xe9",
		"\xc3",
		"\xc0\xaf",         // overlong
		"\xe0\x80\xaf",     // overlong
		"\xed\xa0\x80",     // surrogate
		"\xf4\x90\x80\x80", // above U+10FFFF
		"\xf8\x88\x80\x80\x80",
		"\x80",
		"a\xe2\x82",
	};

	for (size_t i = 0; i < COUNT(good); i++)
		assert_null(value_name_fault(good[i]));
	for (size_t i = 0; i < COUNT(bad); i++)
		assert_non_null(value_name_fault(bad[i]));
}

static void test_printing_reads_back(void **state)
{
	static const uint64_t values[] = {0,        1,         500,     999,        1000,
					  1024,     60000,     65536,   90000,      3600000,
					  86400000, 100000000, 1048576, 2147483647, 1ull << 40};
	char text[VALUE_TEXT_MAX];

	for (size_t i = 0; i < COUNT(values); i++) {
		uint64_t value;
		const char *why;

		assert_int_equal(value_time(value_format_time(values[i], text), &value, &why), 0);
		assert_int_equal(value, values[i]);
		assert_int_equal(value_size(value_format_size(values[i], text), &value, &why), 0);
		assert_int_equal(value, values[i]);
	}
	assert_string_equal(value_format_time(90000, text), "90s");
	assert_string_equal(value_format_time(0, text), "0s");
	assert_string_equal(value_format_size(131072, text), "128KB");
}

static void test_instants(void **state)
{
	static const struct {
		const char *text;
		int status;
		uint64_t seconds;
	} cases[] = {
		{"1970-01-01", 0, 0},
		{"2030-12-31", 0, 1924905600},
		{"2030-12-31T18:30Z", 0, 1924972200},
		{"2028-02-29", 0, 1835395200},
		{"2030-02-29", -EINVAL, 0},
		{"2030-13-01", -EINVAL, 0},
		{"2030-1-01", -EINVAL, 0},
		{"2030-12-31T18:30", -EINVAL, 0},
		{"2030-12-31 18:30Z", -EINVAL, 0},
		{"2030-12-31T25:00Z", -EINVAL, 0},
		{"1969-12-31", -EINVAL, 0},
		{"+030-12-31", -EINVAL, 0},
		{"", -EINVAL, 0},
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		const char *why = NULL;
		uint64_t seconds = 1;
		int status = value_instant(cases[i].text, &seconds, &why);

		if (status != cases[i].status || (status == 0 && seconds != cases[i].seconds))
			fail_msg("%s: %d, %llu", cases[i].text, status,
				 (unsigned long long)seconds);
		if (status != 0)
			assert_non_null(why);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_times),
		cmocka_unit_test(test_booleans),
		cmocka_unit_test(test_domains),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_printing_reads_back),
		cmocka_unit_test(test_instants),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
