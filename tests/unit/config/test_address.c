// SPDX-License-Identifier: BSD-3-Clause
//
// One documented reading of every address, range and endpoint, both families; and printing that
// reads back.
#include "config/address.h"
#include "tests/unit/config/support.h"

#include <errno.h>

struct reading {
	const char *text;
	const char *printed; // NULL = refused
	const char *why;     // a part of it
};

static void test_addresses(void **state)
{
	static const struct reading cases[] = {
		{"192.0.2.1", "192.0.2.1", NULL},
		{"0.0.0.0", "0.0.0.0", NULL},
		{"255.255.255.255", "255.255.255.255", NULL},
		{"::", "::", NULL},
		{"::1", "::1", NULL},
		{"2001:0DB8:0000:0000:0000:0000:0000:00AB", "2001:db8::ab", NULL},
		{"2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1", NULL},
		{"2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1", NULL},
		{"::ffff:192.0.2.1", "192.0.2.1", NULL},
		{"::ffff:c000:201", "192.0.2.1", NULL},
		{"64:ff9b::192.0.2.33", "64:ff9b::c000:221", NULL},
		{"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
		 "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", NULL},
		{"", NULL, "missing"},
		{"010.0.0.1", NULL, "leading zero"},
		{"1.2.3.00", NULL, "leading zero"},
		{"1.2.3", NULL, "four octets"},
		{"1.2.3.4.5", NULL, "four octets"},
		{"1.2.3.", NULL, "empty octet"},
		{".1.2.3", NULL, "empty octet"},
		{"1..2.3", NULL, "empty octet"},
		{"256.1.1.1", NULL, "above 255"},
		{"1.1.1.1000", NULL, "above 255"},
		{"0x7f.1", NULL, "hexadecimal"},
		{"2130706433", NULL, "above 255"},
		{"1.2.3.4 ", NULL, "blank"},
		{" 1.2.3.4", NULL, "blank"},
		{"1.2.3.4/32", NULL, "without a prefix length"},
		{"1.2.3.4-1.2.3.5", NULL, "not a range"},
		{"+1.2.3.4", NULL, "not an IP address"},
		{"{1.2.3.4", NULL, "braces and quotes"},
		{"\"1.2.3.4\"", NULL, "braces and quotes"},
		{"1.2.3.4 1.2.3.5", NULL, "a comma separates two"},
		{"1.2.3.*", NULL, "no wildcards"},
		{"1.2.3.0(255.255.255.0)", NULL, "netmasks"},
		{"1.2.3.4x", NULL, "host names"},
		{"mail.example.com", NULL, "host names"},
		{"fe80::1%eth0", NULL, "zone ids"},
		{"1.2.3.4%1", NULL, "zone ids"},
		{"[::1]", NULL, "brackets"},
		{"::1::", NULL, "at most one"},
		{":::", NULL, "at most one"},
		{"1:2:3:4:5:6:7", NULL, "eight groups"},
		{"1:2:3:4:5:6:7:8:9", NULL, "eight groups"},
		{"12345::", NULL, "eight groups"},
		{"::g", NULL, "not an IP address"},
		{"::1.2.3.256", NULL, "eight groups"},
		{"::1/64", NULL, "without a prefix length"},
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		const char *why = NULL;
		struct address address;
		char text[ADDRESS_TEXT_MAX];
		int status = address_parse(cases[i].text, &address, &why);

		if (cases[i].printed != NULL) {
			if (status != 0)
				fail_msg("%s refused: %s", cases[i].text, why);
			assert_string_equal(address_format(&address, text), cases[i].printed);
		} else {
			if (status != -EINVAL || strstr(why, cases[i].why) == NULL)
				fail_msg("%s: status %d, %s", cases[i].text, status, why);
		}
	}
}

static void test_ranges(void **state)
{
	static const struct reading cases[] = {
		{"10.1.2.3", "10.1.2.3", NULL},
		{"10.1.2.3/32", "10.1.2.3", NULL},
		{"10.1.2.3/24", "10.1.2.0/24", NULL}, // host bits are ignored
		{"10.1.2.3/0", "0.0.0.0/0", NULL},
		{"10.0.0.0-10.0.0.255", "10.0.0.0/24", NULL},
		{"10.0.0.1-10.0.0.255", "10.0.0.1-10.0.0.255", NULL},
		{"0.0.0.0-255.255.255.255", "0.0.0.0/0", NULL},
		{"10.0.0.1-10.0.0.1", "10.0.0.1", NULL},
		{"2001:0DB8::CD3/60", "2001:db8::/60", NULL},
		{"::/0", "::/0", NULL},
		{"::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "::/0", NULL},
		{"::1/128", "::1", NULL},
		{"::ffff:10.0.0.0/8", "10.0.0.0/8", NULL},
		{"::ffff:10.0.0.1-::ffff:10.0.0.2", "10.0.0.1-10.0.0.2", NULL},
		{"10.0.0.1-::ffff:10.0.0.2", "10.0.0.1-10.0.0.2", NULL},
		// What stands for IPv4 is no part of an IPv6 prefix that would end in it.
		{"::/80", "::/80", NULL},
		{"::fffe:0:0/95", "::fffe:0:0/95", NULL},
		{"10.0.0.0/33", NULL, "0 to 32"},
		{"10.0.0.0/-1", NULL, "0 to 32"},
		{"10.0.0.0/", NULL, "0 to 32"},
		{"10.0.0.0/8/8", NULL, "0 to 32"},
		{"10.0.0.0/+8", NULL, "0 to 32"},
		{"10.0.0.0/99999999999999999999", NULL, "0 to 32"},
		{"10.0.0.0/08", NULL, "leading zero"},
		{"10.0.0.0/255.0.0.0", NULL, "netmasks"},
		{"::/129", NULL, "0 to 128"},
		{"::/-1", NULL, "0 to 128"},
		{"::ffff:0:0/96", NULL, "counts as IPv4"},
		{"10.0.0.2-10.0.0.1", NULL, "above the last"},
		{"::2-::1", NULL, "above the last"},
		{"10.0.0.1-::2", NULL, "one end is IPv4"},
		{"::-::ffff:1.2.3.4", NULL, "one end is IPv4"},
		{"10.0.0.1-", NULL, "missing"},
		{"-10.0.0.1", NULL, "not a range"},
		{"10.0.0.1-10.0.0.2-10.0.0.3", NULL, "not a range"},
		{"10.0.0.1 - 10.0.0.2", NULL, "blank"},
		{"10.0.0.0/24-10.0.1.0", NULL, "mixture"},
		{"10.0.0.0-10.0.1.0/24", NULL, "mixture"},
		{"fe80::1%1-fe80::2", NULL, "zone ids"},
		{"", NULL, "missing"},
		{"/8", NULL, "missing"},
	};
	char huge[1000];

	for (size_t i = 0; i < COUNT(cases); i++) {
		const char *why = NULL;
		struct range range;
		char text[RANGE_TEXT_MAX];
		int status = range_parse(cases[i].text, &range, &why);

		if (cases[i].printed != NULL) {
			if (status != 0)
				fail_msg("%s refused: %s", cases[i].text, why);
			assert_string_equal(range_format(&range, text), cases[i].printed);
		} else {
			if (status != -EINVAL || strstr(why, cases[i].why) == NULL)
				fail_msg("%s: status %d, %s", cases[i].text, status, why);
		}
	}
	memset(huge, '1', sizeof(huge));
	huge[sizeof(huge) - 1] = '\0';
	for (const char *mark = "-/:"; *mark != '\0'; mark++) {
		struct range range;
		const char *why = NULL;

		huge[500] = *mark;
		assert_int_equal(range_parse(huge, &range, &why), -EINVAL);
		assert_non_null(why);
	}
}

static void test_endpoints(void **state)
{
	static const struct {
		const char *text;
		uint16_t fallback;
		const char *printed, *why;
	} cases[] = {
		{"192.0.2.1:25", 0, "192.0.2.1:25", NULL},
		{"192.0.2.1:65535", 0, "192.0.2.1:65535", NULL},
		{"192.0.2.1", 25, "192.0.2.1:25", NULL},
		{"2001:db8::1", 25, "[2001:db8::1]:25", NULL},
		{"[2001:db8::1]", 25, "[2001:db8::1]:25", NULL},
		{"[2001:db8::1]:587", 25, "[2001:db8::1]:587", NULL},
		{"[::]:25", 0, "[::]:25", NULL},
		{"2001:db8::1:25", 26, "[2001:db8::1:25]:26", NULL},
		{"[::ffff:192.0.2.1]:25", 0, "192.0.2.1:25", NULL},
		{"192.0.2.1", 0, NULL, "port missing"},
		{"[::1]", 0, NULL, "port missing"},
		{"::1:25", 0, NULL, "port missing"},
		{"192.0.2.1:", 25, NULL, "1 to 65535"},
		{"192.0.2.1:0", 25, NULL, "1 to 65535"},
		{"192.0.2.1:025", 25, NULL, "1 to 65535"},
		{"192.0.2.1:65536", 25, NULL, "1 to 65535"},
		{"192.0.2.1:-1", 25, NULL, "1 to 65535"},
		{"192.0.2.1:25x", 25, NULL, "1 to 65535"},
		{"[::1", 25, NULL, "[IPV6]:PORT"},
		{"[::1]25", 25, NULL, "[IPV6]:PORT"},
		{"[192.0.2.1]:25", 25, NULL, "brackets"},
		{"[]:25", 25, NULL, "brackets"},
		{":25", 25, NULL, "missing"},
		{"mail:25", 25, NULL, "host names"},
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		const char *why = NULL;
		struct endpoint endpoint;
		char text[ENDPOINT_TEXT_MAX];
		int status = endpoint_parse(cases[i].text, cases[i].fallback, &endpoint, &why);

		if (cases[i].printed != NULL) {
			if (status != 0)
				fail_msg("%s refused: %s", cases[i].text, why);
			assert_string_equal(endpoint_format(&endpoint, text), cases[i].printed);
		} else {
			if (status != -EINVAL || strstr(why, cases[i].why) == NULL)
				fail_msg("%s: status %d, %s", cases[i].text, status, why);
		}
	}
}

static void test_interface_addresses(void **state)
{
	struct interface_address interface;
	struct address address;
	const char *why;

	assert_int_equal(interface_address_parse("192.0.2.10/24", &interface, &why), 0);
	assert_int_equal(interface.prefix_length, 24);
	assert_int_equal(address_parse("192.0.2.255", &address, &why), 0);
	assert_true(interface_address_covers(&interface, &address));
	assert_int_equal(address_parse("192.0.3.0", &address, &why), 0);
	assert_false(interface_address_covers(&interface, &address));

	assert_int_equal(interface_address_parse("2001:db8::10/64", &interface, &why), 0);
	assert_int_equal(interface.prefix_length, 64);
	assert_int_equal(address_parse("2001:db8::ffff:0:0:1", &address, &why), 0);
	assert_true(interface_address_covers(&interface, &address));
	assert_int_equal(address_parse("2001:db8:0:1::", &address, &why), 0);
	assert_false(interface_address_covers(&interface, &address));

	assert_int_equal(interface_address_parse("192.0.2.10", &interface, &why), -EINVAL);
	assert_non_null(strstr(why, "prefix length missing"));
	assert_int_equal(interface_address_parse("192.0.2.10/33", &interface, &why), -EINVAL);
}

static void test_families_never_mix(void **state)
{
	struct range range;
	struct address ipv4, ipv6;
	const char *why;

	assert_int_equal(address_parse("192.0.2.1", &ipv4, &why), 0);
	assert_int_equal(address_parse("2001:db8::1", &ipv6, &why), 0);
	assert_int_equal(range_parse("::/0", &range, &why), 0);
	assert_false(range_contains(&range, &ipv4));
	assert_true(range_contains(&range, &ipv6));
	assert_int_equal(range_parse("0.0.0.0/0", &range, &why), 0);
	assert_true(range_contains(&range, &ipv4));
	assert_false(range_contains(&range, &ipv6));
}

static void test_kinds(void **state)
{
	static const struct {
		const char *text;
		bool ipv4, any, multicast, loopback;
	} cases[] = {
		{"0.0.0.0", true, true, false, false},
		{"::", false, true, false, false},
		{"0.0.0.1", true, false, false, false},
		{"::1", false, false, false, true},
		{"127.255.0.1", true, false, false, true},
		{"224.0.0.1", true, false, true, false},
		{"239.255.255.255", true, false, true, false},
		{"240.0.0.0", true, false, false, false},
		{"ff02::1", false, false, true, false},
		{"fe80::1", false, false, false, false},
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct address address;
		const char *why;

		assert_int_equal(address_parse(cases[i].text, &address, &why), 0);
		assert_int_equal(address_is_ipv4(&address), cases[i].ipv4);
		assert_int_equal(address_is_any(&address), cases[i].any);
		assert_int_equal(address_is_multicast(&address), cases[i].multicast);
		assert_int_equal(address_is_loopback(&address), cases[i].loopback);
	}
}

// Every prefix length, against arithmetic that is obviously right.
static void test_prefixes(void **state)
{
	struct address address;
	const char *why;

	assert_int_equal(address_parse("203.0.113.171", &address, &why), 0);
	for (unsigned length = 0; length <= 32; length++) {
		struct range range = range_from_prefix(&address, length);
		uint32_t value = 203u << 24 | 0 << 16 | 113 << 8 | 171;
		uint32_t mask = length == 0 ? 0 : UINT32_MAX << (32 - length);
		uint32_t first = value & mask, last = value | ~mask;
		const uint8_t first_bytes[4] = {first >> 24, first >> 16, first >> 8, first};
		const uint8_t last_bytes[4] = {last >> 24, last >> 16, last >> 8, last};

		assert_memory_equal(address_ipv4_bytes(&range.first), first_bytes, 4);
		assert_memory_equal(address_ipv4_bytes(&range.last), last_bytes, 4);
		assert_true(address_is_ipv4(&range.first) && address_is_ipv4(&range.last));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_ranges),
		cmocka_unit_test(test_endpoints),
		cmocka_unit_test(test_interface_addresses),
		cmocka_unit_test(test_families_never_mix),
		cmocka_unit_test(test_kinds),
		cmocka_unit_test(test_prefixes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
