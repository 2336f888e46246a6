// SPDX-License-Identifier: BSD-3-Clause
//
// The form of a finding's line, the counting, and an operator's text inside a message.
#include "tests/unit/config/support.h"

static void test_lines(void **state)
{
	struct findings findings;

	findings_init(&findings);
	diagnostics_error(&findings.diagnostics, (struct place){"a.ini", 12}, "no %s", "way");
	diagnostics_warning(&findings.diagnostics, (struct place){"a.ini", 0}, "empty");
	assert_string_equal(findings.text, "E a.ini:12: no way\nW a.ini: empty\n");
	assert_int_equal(findings.diagnostics.errors, 1);
	assert_int_equal(findings.diagnostics.warnings, 1);
	findings_fini(&findings);
}

static void test_nobody_listens(void **state)
{
	struct diagnostics diagnostics = {0};

	diagnostics_error(&diagnostics, (struct place){"a.ini", 1}, "x");
	assert_int_equal(diagnostics.errors, 1);
}

static void test_long_text_is_cut_not_spilled(void **state)
{
	struct findings findings;
	char *text = malloc(100001);

	memset(text, 'x', 100000);
	text[100000] = '\0';
	findings_init(&findings);
	diagnostics_error(&findings.diagnostics, (struct place){"a.ini", 1}, "%s", text);
	assert_true(findings.length < 5000);
	findings_fini(&findings);
	free(text);
}

static void test_quotes(void **state)
{
	char quote[DIAGNOSTICS_QUOTE_MAX];
	char text[400];

	assert_string_equal(diagnostics_quote("", quote), "\"\"");
	assert_string_equal(diagnostics_quote("a b", quote), "\"a b\"");
	assert_string_equal(diagnostics_quote("a\x1b[0m\t\x7f", quote), "\"a\\x1b[0m\\x09\\x7f\"");
	// Every length around the buffer's.
	for (size_t length = 0; length < sizeof(text); length++) {
		memset(text, length % 2 == 0 ? 'x' : '\x01', length);
		text[length] = '\0';
		diagnostics_quote(text, quote);
		assert_true(strlen(quote) < sizeof(quote));
		assert_int_equal(quote[strlen(quote) - 1], '"');
	}
	assert_non_null(strstr(quote, "...\""));
	// A cut leaves whole characters, wherever it falls.
	for (unsigned shift = 0; shift < 3; shift++) {
		char *at = text + shift;

		memset(text, 'a', shift);
		for (unsigned i = 0; i < 80; i++, at += 3)
			memcpy(at, "\xe2\x82\xac", 4);
		diagnostics_quote(text, quote);
		assert_string_equal(quote + strlen(quote) - 7, "\xe2\x82\xac...\"");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_nobody_listens),
		cmocka_unit_test(test_long_text_is_cut_not_spilled),
		cmocka_unit_test(test_quotes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
