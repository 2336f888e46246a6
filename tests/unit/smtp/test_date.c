// SPDX-License-Identifier: BSD-3-Clause
//
// Tests of smtp/date: known moments, and every day of two centuries against the C library.
#include "dataplane/smtp/date.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <time.h>

#include <cmocka.h>

static void test_known_moments(void **state)
{
	static const struct {
		uint64_t seconds;
		const char *text;
	} moments[] = {
		{0, "Thu, 1 Jan 1970 00:00:00 +0000"},
		{951782399, "Mon, 28 Feb 2000 23:59:59 +0000"},
		{951782400, "Tue, 29 Feb 2000 00:00:00 +0000"},
		{1704164645, "Tue, 2 Jan 2024 03:04:05 +0000"},
		{4107542399, "Sun, 28 Feb 2100 23:59:59 +0000"},
		{4107542400, "Mon, 1 Mar 2100 00:00:00 +0000"},
		{253402300799, "Fri, 31 Dec 9999 23:59:59 +0000"},
	};
	char text[DATE_TEXT_MAX];
	for (size_t i = 0; i < sizeof(moments) / sizeof(*moments); i++) {
		assert_string_equal(date_format(moments[i].seconds * 1000000, text),
				    moments[i].text);
		assert_string_equal(date_format(moments[i].seconds * 1000000 + 999999, text),
				    moments[i].text);
	}
}

static void test_every_day(void **state)
{
	char text[DATE_TEXT_MAX], expected[64];
	for (time_t day = 0; day < 200 * 366; day++) {
		const time_t seconds = day * 86400 + day % 86400;
		struct tm broken_down;
		gmtime_r(&seconds, &broken_down);
		strftime(expected, sizeof(expected), "%a, %-d %b %Y %H:%M:%S +0000", &broken_down);
		assert_string_equal(date_format((uint64_t)seconds * 1000000, text), expected);
	}
}

static void test_largest_number(void **state)
{
	char text[DATE_TEXT_MAX];
	date_format(UINT64_MAX, text); // does not leave the buffer
	assert_memory_equal(text + 3, ", ", 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_known_moments),
		cmocka_unit_test(test_every_day),
		cmocka_unit_test(test_largest_number),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
