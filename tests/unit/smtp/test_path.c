// SPDX-License-Identifier: BSD-3-Clause
//
// Tests of smtp/path: what is a path, and every domain that it may lead to.
#include "dataplane/smtp/path.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define A16 "aaaaaaaaaaaaaaaa"
#define A63 A16 A16 A16 "aaaaaaaaaaaaaaa"
#define A64 A16 A16 A16 A16
// 255 octets: three labels of 63 and one of 61, and dots.
#define D255 A63 "." A63 "." A63 "." A16 A16 A16 "aaaaaaaaaaaaa.b"

// Domains in the parser's order, joined by spaces; NULL: refused. "-" is a path without a domain.
static const struct {
	const char *text;
	const char *domains;
} cases[] = {
	{"<>", "-"},
	{"<postmaster>", "-"},
	{"<PostMaster>", "-"},
	{"<a@b>", "b"},
	{"<a@b.example>", "b.example"},
	{"<A.b-c+d=e_f@B.Example>", "B.Example"},
	{"<a@b_c.example>", "b_c.example"},
	{"<a@xn--bcher-kva.example>", "xn--bcher-kva.example"},
	{"<!#$&'*+-/=?^_`{|}~@b>", "b "}, // an empty domain before the bang
	{"<a@[192.0.2.1]>", "[192.0.2.1]"},
	{"<a@[IPv6:2001:db8::1]>", "[IPv6:2001:db8::1]"},
	{"<a@[ipv6:::1]>", "[ipv6:::1]"},
	{"<\"a b\"@c>", "c"},
	{"<\"a\\\"b\"@c>", "c"},
	{"<\"a>b\"@c>", "c"},
	{"<\"\"@c>", "c"},
	{"<" A64 "@c>", "c"},
	// RFC 6531: well-formed UTF-8
	{"<\xc3\xa9@b>", "b"},
	{"<a@\xc3\xa9.example>", "\xc3\xa9.example"},
	{"<\"\xe2\x82\xac\xf0\x9f\x93\xa7\"@b>", "b"},
	{"<\x80@b>", NULL},
	{"<\xc3@b>", NULL},
	{"<\xc0\xaf@b>", NULL},         // not the shortest form
	{"<\xc2\x85@b>", NULL},         // a control character
	{"<\xed\xa0\x80@b>", NULL},     // a surrogate
	{"<\xf4\x90\x80\x80@b>", NULL}, // above U+10FFFF
	{"<\xe2\x82@b>", NULL},
	{"<a@\xff>", NULL},
	// every reading of a domain
	{"<@r:a@b>", "b r"},
	{"<@r,@s:a@b>", "b r s"},
	{"<a%c@b>", "b c"},
	{"<a%d%c@b>", "b d c"},
	{"<c!a@b>", "b c"},
	{"<d!c!a@b>", "b d c"},
	{"<c!a%d@b>", "b c d"},
	{"<\"a@c\"@b>", "b c"},
	{"<\"a\\@c\"@b>", "b c"},
	{"<\"a%c\"@b>", "b c"},
	{"<\"c!a\"@b>", "b c"},
	{"<\"@c:a\"@b>", "b c:a"},
	{"<@r:\"a@c\"@b>", "b r c"},
	{"<a%@b>", "b "},
	{"<a@b>trailing", "b"},
	// refused: form
	{"", NULL},
	{"a@b", NULL},
	{"<a@b", NULL},
	{"a@b>", NULL},
	{" <a@b>", NULL},
	{"<a>", NULL},
	{"<\"postmaster\">", NULL},
	{"<@r:postmaster>", NULL},
	{"<@b>", NULL},
	{"<a@>", NULL},
	{"<a@@b>", NULL},
	{"<a@b@c>", NULL},
	{"<<a@b>>", NULL},
	{"< a@b>", NULL},
	{"<a@b >", NULL},
	{"<a b@c>", NULL},
	{"<a@b c>", NULL},
	{"<a\t@b>", NULL},
	{"<a@b.>", NULL},
	{"<a@.b>", NULL},
	{"<a@b..c>", NULL},
	{"<.a@b>", NULL},
	{"<a.@b>", NULL},
	{"<a..b@c>", NULL},
	{"<a@-b>", NULL},
	{"<a@b->", NULL},
	{"<a@b-.c>", NULL},
	{"<a@b.-c>", NULL},
	{"<a(comment)@b>", NULL},
	{"<a@b(comment)>", NULL},
	{"<a\\@c@b>", NULL},
	{"<\"a@b>", NULL},
	{"<\"a\"b@c>", NULL},
	{"<a\"b\"@c>", NULL},
	{"<\"a\\", NULL},
	{"<@r a@b>", NULL},
	{"<@r:>", NULL},
	{"<@r,:a@b>", NULL},
	{"<@r,s:a@b>", NULL},
	{"<@:a@b>", NULL},
	{"<a@b,c@d>", NULL},
	{"<a@[192.0.2.1>", NULL},
	{"<a@192.0.2.1]>", NULL},
	{"<a@[192.0.2.256]>", NULL},
	{"<a@[192.0.2]>", NULL},
	{"<a@[2001:db8::1]>", NULL},
	{"<a@[IPv6:192.0.2.1]>", NULL},
	{"<a@[IPv6:2001:db8::g]>", NULL},
	{"<a@[]>", NULL},
	{"<a@[tag:x]>", NULL},
	{"<=?utf-8?q?a=40c?=@b>", NULL},
	{"<\"=?utf-8?q?a=40c?=\"@b>", NULL},
	// refused: bytes
	{"<\"a\x01\"@b>", NULL},
	{"<\"a\x7f\"@b>", NULL},
	{"<\"a\\\x7f\"@b>", NULL},
	// refused: size
	{"<a" A64 "@c>", NULL},
	{"<\"" A64 "\"@c>", NULL},
	{"<a@" A63 "a>", NULL},
	{"<a@" D255 ">", NULL}, // the path is above 256 then
	{"<a@" A63 "." A63 "." A63 "." A16 A16 A16 ">", A63 "." A63 "." A63 "." A16 A16 A16},
	{"<a!b!c!d!e!f!g!u@h>", "h a b c d e f g"},
	{"<a!b!c!d!e!f!g!i!u@h>", NULL},
	{"<@a,@b,@c,@d,@e,@f,@g,@h:u@i>", NULL},
};

static void test_cases(void **state)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		const size_t length = strlen(cases[i].text);
		uint8_t *block = malloc(length ? length : 1);
		memcpy(block, cases[i].text, length);
		struct path path;
		size_t used = 0;
		char domains[1024] = "";
		const bool parsed = path_parse(slice_of(block, length), &path, &used);
		for (unsigned k = 0; parsed && k < path.domain_count; k++)
			snprintf(domains + strlen(domains), sizeof(domains) - strlen(domains),
				 "%s%.*s", k ? " " : "", (int)path.domains[k].length,
				 path.domains[k].data);
		if (parsed && path.domain_count == 0)
			snprintf(domains, sizeof(domains), "-");
		if (!parsed != !cases[i].domains)
			fail_msg("%s: %s", cases[i].text, parsed ? "parsed" : "refused");
		if (parsed && strcmp(domains, cases[i].domains) != 0)
			fail_msg("%s: domains %s", cases[i].text, domains);
		if (parsed) {
			assert_int_equal(path.text.length, used);
			assert_ptr_equal(path.text.data, block);
			assert_int_equal(block[used - 1], '>');
		}
		free(block);
	}
}

static void test_kinds(void **state)
{
	struct path path;
	size_t used;
	assert_true(path_parse(slice_of_text("<>"), &path, &used));
	assert_true(path.null && !path.postmaster);
	assert_true(path_parse(slice_of_text("<POSTMASTER>"), &path, &used));
	assert_true(path.postmaster && !path.null);
	assert_true(path_parse(slice_of_text("<postmaster@b>"), &path, &used));
	assert_true(!path.postmaster && !path.null);
}

// The local part may be all of a long address, whose every domain is found nevertheless.
static void test_long_addresses(void **state)
{
	static const struct {
		size_t local;
		bool good, good_when_long;
	} lengths[] = {
		{64, true, true}, {65, false, true}, {1852, false, true}, {1853, false, false}};
	struct path path;
	size_t used;

	for (size_t i = 0; i < sizeof(lengths) / sizeof(*lengths); i++) {
		const size_t length = lengths[i].local + sizeof("<@own.test>") - 1 - 1;
		char *text = malloc(length + 2);

		memset(text, 'x', length);
		text[0] = '<';
		memcpy(text + 10, "%deep.test", 10);
		memcpy(text + 1 + lengths[i].local, "@own.tst>", 9);
		assert_int_equal(path_parse(slice_of(text, length), &path, &used), lengths[i].good);
		assert_int_equal(path_parse_long(slice_of(text, length), &path, &used),
				 lengths[i].good_when_long);
		if (lengths[i].good_when_long) {
			assert_int_equal(used, length);
			assert_int_equal(path.domain_count, 2);
			assert_int_equal(path.domains[1].length, lengths[i].local - 10);
		}
		free(text);
	}
}

// Each beginning of a good path is no path, whatever follows it is not read.
static void test_every_cut(void **state)
{
	static const char text[] = "<@r,@s:\"a\\\"@c\"@[IPv6:2001:db8::1]>";
	for (size_t length = 0; length < sizeof(text) - 1; length++) {
		uint8_t *block = malloc(length ? length : 1);
		memcpy(block, text, length);
		struct path path;
		size_t used;
		assert_false(path_parse(slice_of(block, length), &path, &used));
		free(block);
	}
}

static void test_hello_names(void **state)
{
	static const struct {
		const char *text;
		bool good;
	} names[] = {
		{"client", true},
		{"client.example", true},
		{"client.example.", true},
		{"DESKTOP_1", true},
		{"192.0.2.1", true},
		{"[192.0.2.1]", true},
		{"[IPv6:2001:db8::1]", true},
		{"[::1]", true},
		{"[fe80::1%eth0]", true},
		{"", false},
		{".", false},
		{"[]", false},
		{"[", false},
		{"[a", false},
		{"[a b]", false},
		{"[a]b]", false},
		{"[a\r\n]", false},
		{"a b", false},
		{"a..b", false},
		{".a", false},
		{"-a", false},
		{"a/b", false},
		{"<a>", false},
		{"a@b", false},
		{"\xc3\xa9", false},
		{D255, true},
		{D255 "b", false},
		{A64, false},
	};
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (path_hello_name(slice_of_text(names[i].text)) != names[i].good)
			fail_msg("%s", names[i].text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cases),          cmocka_unit_test(test_kinds),
		cmocka_unit_test(test_long_addresses), cmocka_unit_test(test_every_cut),
		cmocka_unit_test(test_hello_names),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
