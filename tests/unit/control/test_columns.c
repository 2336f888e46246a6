// SPDX-License-Identifier: BSD-3-Clause
//
// Names of any script in a table keep its columns straight, and no character is cut in two.
#include "control/columns.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const struct {
	const char *text;
	unsigned columns;
	const char *put;
	size_t cut;
} rows[] = {
	{"", 3, "   ", 0},
	{"abc", 3, "abc", 3},
	{"abcd", 3, "abc", 3},
	{"ab", 3, "ab ", 2},
	{"abc", 0, "", 0},
	{"Büro", 4, "Büro", 5},
	{"Büro", 2, "Bü", 3},
	{"Büro", 6, "Büro  ", 5},
	{"Почта", 3, "Поч", 6},
	{"日本語", 6, "日本語", 9},
	{"日本語", 5, "日本 ", 6},          // a character of two columns does not fit into one
	{"e\xcc\x81!", 2, "e\xcc\x81!", 4}, // an accent takes none
	{"a\nb", 3, "a?b", 3},
	{"a\x1b[2J", 5, "a?[2J", 5},
	{"a\xff\xfe", 3, "a??", 3},
	{"a\xc3", 3, "a? ", 2}, // cut in two before it came here
};

static void test_rows(void **state)
{
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char out[64];
		unsigned used;

		assert_int_equal(columns_put(out, sizeof(out), rows[i].text, rows[i].columns),
				 strlen(rows[i].put));
		assert_string_equal(out, rows[i].put);
		assert_int_equal(columns_cut(rows[i].text, rows[i].columns, &used), rows[i].cut);
		assert_true(used <= rows[i].columns);
	}
}

// Accents without end take no room that there is not.
static void test_no_more_than_fits(void **state)
{
	char text[200] = "a", out[9];

	for (unsigned i = 1; i + 2 < sizeof(text); i += 2)
		memcpy(text + i, "\xcc\x81", 3);
	assert_true(columns_put(out, sizeof(out), text, 2) < sizeof(out));
	assert_int_equal(out[0], 'a');
	assert_int_equal(out[strlen(out) - 1], ' ');
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_no_more_than_fits),
	};

	return cmocka_run_group_tests_name("columns", tests, NULL, NULL);
}
