// SPDX-License-Identifier: BSD-3-Clause
//
// Tests of smtp/parameters: what may follow a path.
#include "dataplane/smtp/parameters.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

enum { GOOD = PARAMETERS_GOOD, UNKNOWN = PARAMETERS_UNKNOWN, BAD = PARAMETERS_BAD };

static const struct {
	const char *text;
	int result, result_when_none_known;
	uint64_t size;
	bool body_8bit;
} cases[] = {
	{"", GOOD, GOOD, 0, false},
	{" ", GOOD, GOOD, 0, false},
	{" SIZE=0", GOOD, UNKNOWN, 0, false},
	{" SIZE=12345", GOOD, UNKNOWN, 12345, false},
	{"  size=1   body=8bitmime", GOOD, UNKNOWN, 1, true},
	{" BODY=7BIT", GOOD, UNKNOWN, 0, false},
	{" SIZE=18446744073709551615", GOOD, UNKNOWN, UINT64_MAX, false},
	{" SIZE=00000000000000000001", GOOD, UNKNOWN, 1, false},
	// S6: a size that is none
	{" SIZE=18446744073709551616", BAD, UNKNOWN, 0, false},
	{" SIZE=99999999999999999999", BAD, UNKNOWN, 0, false},
	{" SIZE=000000000000000000001", BAD, UNKNOWN, 0, false},
	{" SIZE=-1", BAD, UNKNOWN, 0, false},
	{" SIZE=+1", BAD, UNKNOWN, 0, false},
	{" SIZE=0x10", BAD, UNKNOWN, 0, false},
	{" SIZE=1e3", BAD, UNKNOWN, 0, false},
	{" SIZE=", BAD, BAD, 0, false},
	{" SIZE", BAD, UNKNOWN, 0, false},
	{" SIZE=1 SIZE=1", BAD, UNKNOWN, 0, false},
	{" SIZE=1 size=2", BAD, UNKNOWN, 0, false},
	{" BODY=7BIT BODY=8BITMIME", BAD, UNKNOWN, 0, false},
	{" BODY=BINARYMIME", BAD, UNKNOWN, 0, false},
	{" BODY", BAD, UNKNOWN, 0, false},
	// S11: what was not offered
	{" AUTH=<>", UNKNOWN, UNKNOWN, 0, false},
	{" SMTPUTF8", UNKNOWN, UNKNOWN, 0, false},
	{" RET=FULL ENVID=x", UNKNOWN, UNKNOWN, 0, false},
	{" NOTIFY=NEVER", UNKNOWN, UNKNOWN, 0, false},
	{" ORCPT=rfc822;a+0D+0Ab@c", UNKNOWN, UNKNOWN, 0, false},
	{" XOORG=a", UNKNOWN, UNKNOWN, 0, false},
	{" SIZE=1 AUTH=<>", UNKNOWN, UNKNOWN, 0, false},
	// malformed, also where it would be unknown
	{"SIZE=1", BAD, BAD, 0, false},
	{"\tSIZE=1", BAD, BAD, 0, false},
	{" SIZE=1\tBODY=7BIT", BAD, BAD, 0, false},
	{" =1", BAD, BAD, 0, false},
	{" SIZE==1", BAD, BAD, 0, false},
	{" X=a=b", BAD, BAD, 0, false},
	{" -X", BAD, BAD, 0, false},
	{" X_Y", BAD, BAD, 0, false},
	{" X=\x80", BAD, BAD, 0, false},
	{" X=\x7f", BAD, BAD, 0, false},
	{" AUTH=<> =", BAD, BAD, 0, false},
	{" <b@c>", BAD, BAD, 0, false},
};

static void test_cases(void **state)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		const size_t length = strlen(cases[i].text);
		char *block = malloc(length ? length : 1);
		memcpy(block, cases[i].text, length);
		struct parameters parameters;
		struct slice culprit;
		if ((int)parameters_parse(slice_of(block, length), true, &parameters, &culprit) !=
			    cases[i].result ||
		    (cases[i].result == GOOD && (parameters.size != cases[i].size ||
						 parameters.body_8bit != cases[i].body_8bit)))
			fail_msg("after MAIL: %s", cases[i].text);
		if ((int)parameters_parse(slice_of(block, length), false, &parameters, &culprit) !=
		    cases[i].result_when_none_known)
			fail_msg("after RCPT: %s", cases[i].text);
		free(block);
	}
}

static void test_culprit_is_named(void **state)
{
	struct parameters parameters;
	struct slice culprit;
	parameters_parse(slice_of_text(" SIZE=1 AUTH=<> SIZE=2"), true, &parameters, &culprit);
	assert_true(slice_equals_text(culprit, "SIZE=2"));
	parameters_parse(slice_of_text(" SIZE=1 AUTH=<> X"), true, &parameters, &culprit);
	assert_true(slice_equals_text(culprit, "AUTH=<>"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cases),
		cmocka_unit_test(test_culprit_is_named),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
