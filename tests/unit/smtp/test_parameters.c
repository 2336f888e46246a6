// SPDX-License-Identifier: BSD-3-Clause
//
// Tests of smtp/parameters: what may follow a path.
#include "dataplane/smtp/extension.h"
#include "dataplane/smtp/parameters.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

enum { GOOD = PARAMETERS_GOOD, UNKNOWN = PARAMETERS_UNKNOWN, BAD = PARAMETERS_BAD };
enum {
	EIGHT = SMTP_EXTENSION_8BITMIME,
	DSN = SMTP_EXTENSION_DSN,
	UTF8 = SMTP_EXTENSION_SMTPUTF8,
	BINARY = SMTP_EXTENSION_BINARYMIME | SMTP_EXTENSION_CHUNKING,
	ORAR = SMTP_EXTENSION_XORAR,
	ALL = EIGHT | DSN | UTF8 | BINARY | ORAR,
};

static const struct {
	const char *text;
	int mail, mail_nothing_offered, mail_after_helo, rcpt;
	uint64_t size;
	unsigned needed;
} cases[] = {
	{"", GOOD, GOOD, GOOD, GOOD, 0, 0},
	{" ", GOOD, GOOD, GOOD, GOOD, 0, 0},
	{" SIZE=0", GOOD, GOOD, UNKNOWN, UNKNOWN, 0, 0},
	{" SIZE=12345", GOOD, GOOD, UNKNOWN, UNKNOWN, 12345, 0},
	{"  size=1   body=8bitmime", GOOD, UNKNOWN, UNKNOWN, UNKNOWN, 1, EIGHT},
	{" BODY=7BIT", GOOD, GOOD, UNKNOWN, UNKNOWN, 0, 0},
	{" SIZE=18446744073709551615", GOOD, GOOD, UNKNOWN, UNKNOWN, UINT64_MAX, 0},
	{" SIZE=00000000000000000001", GOOD, GOOD, UNKNOWN, UNKNOWN, 1, 0},
	// S6: a size that is none
	{" SIZE=18446744073709551616", BAD, BAD, UNKNOWN, UNKNOWN, 0, 0},
	{" SIZE=99999999999999999999", BAD, BAD, UNKNOWN, UNKNOWN, 0, 0},
	{" SIZE=000000000000000000001", BAD, BAD, UNKNOWN, UNKNOWN, 0, 0},
	{" SIZE=-1", BAD, BAD, UNKNOWN, UNKNOWN, 0, 0},
	{" SIZE=+1", BAD, BAD, UNKNOWN, UNKNOWN, 0, 0},
	{" SIZE=0x10", BAD, BAD, UNKNOWN, UNKNOWN, 0, 0},
	{" SIZE=1e3", BAD, BAD, UNKNOWN, UNKNOWN, 0, 0},
	{" SIZE=", BAD, BAD, BAD, BAD, 0, 0},
	{" SIZE", BAD, BAD, UNKNOWN, UNKNOWN, 0, 0},
	{" SIZE=1 SIZE=1", BAD, BAD, UNKNOWN, UNKNOWN, 0, 0},
	{" SIZE=1 size=2", BAD, BAD, UNKNOWN, UNKNOWN, 0, 0},
	{" BODY=7BIT BODY=8BITMIME", BAD, BAD, UNKNOWN, UNKNOWN, 0, 0},
	{" BODY=BINARYMIME", GOOD, UNKNOWN, UNKNOWN, UNKNOWN, 0, BINARY},
	{" BODY=BINARY", BAD, BAD, UNKNOWN, UNKNOWN, 0, 0},
	{" BODY=8BITMIME BODY=BINARYMIME", BAD, BAD, UNKNOWN, UNKNOWN, 0, 0},
	{" BODY", BAD, BAD, UNKNOWN, UNKNOWN, 0, 0},
	// RFC 3461
	{" RET=FULL ENVID=x", GOOD, UNKNOWN, UNKNOWN, UNKNOWN, 0, DSN},
	{" ret=hdrs", GOOD, UNKNOWN, UNKNOWN, UNKNOWN, 0, DSN},
	{" RET=BODY", BAD, UNKNOWN, UNKNOWN, UNKNOWN, 0, 0},
	{" RET", BAD, UNKNOWN, UNKNOWN, UNKNOWN, 0, 0},
	{" ENVID=QQ314+2B159", GOOD, UNKNOWN, UNKNOWN, UNKNOWN, 0, DSN},
	{" ENVID=a+2", BAD, UNKNOWN, UNKNOWN, UNKNOWN, 0, 0},
	{" ENVID=a+", BAD, UNKNOWN, UNKNOWN, UNKNOWN, 0, 0},
	{" ENVID=a+2b", BAD, UNKNOWN, UNKNOWN, UNKNOWN, 0, 0}, // upper case only
	{" NOTIFY=NEVER", UNKNOWN, UNKNOWN, UNKNOWN, GOOD, 0, DSN},
	{" NOTIFY=success,FAILURE,Delay", UNKNOWN, UNKNOWN, UNKNOWN, GOOD, 0, DSN},
	{" NOTIFY=SUCCESS,NEVER", UNKNOWN, UNKNOWN, UNKNOWN, BAD, 0, 0},
	{" NOTIFY=SUCCESS,SUCCESS", UNKNOWN, UNKNOWN, UNKNOWN, BAD, 0, 0},
	{" NOTIFY=SUCCESS,", UNKNOWN, UNKNOWN, UNKNOWN, BAD, 0, 0},
	{" NOTIFY=,SUCCESS", UNKNOWN, UNKNOWN, UNKNOWN, BAD, 0, 0},
	{" ORCPT=rfc822;b+2Bc@d", UNKNOWN, UNKNOWN, UNKNOWN, GOOD, 0, DSN},
	{" ORCPT=rfc822", UNKNOWN, UNKNOWN, UNKNOWN, BAD, 0, 0},
	{" ORCPT=;b@c", UNKNOWN, UNKNOWN, UNKNOWN, BAD, 0, 0},
	{" ORCPT=rfc822;", UNKNOWN, UNKNOWN, UNKNOWN, BAD, 0, 0},
	// S11: a line end by way of xtext
	{" ORCPT=rfc822;a+0D+0Ab@c", UNKNOWN, UNKNOWN, UNKNOWN, BAD, 0, 0},
	{" ENVID=+00", BAD, UNKNOWN, UNKNOWN, UNKNOWN, 0, 0},
	{" ENVID=+7F", BAD, UNKNOWN, UNKNOWN, UNKNOWN, 0, 0},
	// RFC 6531, RFC 4954
	{" SMTPUTF8", GOOD, UNKNOWN, UNKNOWN, UNKNOWN, 0, UTF8},
	{" SMTPUTF8=yes", BAD, UNKNOWN, UNKNOWN, UNKNOWN, 0, 0},
	{" AUTH=<>", GOOD, GOOD, UNKNOWN, UNKNOWN, 0, 0},
	{" AUTH=b+3Dc@d", GOOD, GOOD, UNKNOWN, UNKNOWN, 0, 0},
	{" AUTH=+0A", BAD, BAD, UNKNOWN, UNKNOWN, 0, 0},
	{" AUTH", BAD, BAD, UNKNOWN, UNKNOWN, 0, 0},
	// of Exchange
	{" ORAR=rfc822;b+2Bc@d", UNKNOWN, UNKNOWN, UNKNOWN, GOOD, 0, ORAR},
	{" orar=RFC822;b@c", UNKNOWN, UNKNOWN, UNKNOWN, GOOD, 0, ORAR},
	{" ORAR=b@c", UNKNOWN, UNKNOWN, UNKNOWN, BAD, 0, 0},
	{" ORAR=x400;b@c", UNKNOWN, UNKNOWN, UNKNOWN, BAD, 0, 0},
	{" ORAR=rfc822;", UNKNOWN, UNKNOWN, UNKNOWN, BAD, 0, 0},
	{" ORAR=rfc822", UNKNOWN, UNKNOWN, UNKNOWN, BAD, 0, 0},
	{" ORAR=;b@c", UNKNOWN, UNKNOWN, UNKNOWN, BAD, 0, 0},
	{" ORAR", UNKNOWN, UNKNOWN, UNKNOWN, BAD, 0, 0},
	{" ORAR=", BAD, BAD, BAD, BAD, 0, 0},
	{" ORAR=rfc822;b@c ORAR=rfc822;b@c", UNKNOWN, UNKNOWN, UNKNOWN, BAD, 0, 0},
	{" ORAR=rfc822;b+0D+0A@c", UNKNOWN, UNKNOWN, UNKNOWN, BAD, 0, 0},
	// what nobody offers
	{" XOORG=a", UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, 0, 0},
	{" SIZE=1 XOORG=a", UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, 0, 0},
	// malformed, also where it would be unknown
	{"SIZE=1", BAD, BAD, BAD, BAD, 0, 0},
	{"\tSIZE=1", BAD, BAD, BAD, BAD, 0, 0},
	{" SIZE=1\tBODY=7BIT", BAD, BAD, BAD, BAD, 0, 0},
	{" =1", BAD, BAD, BAD, BAD, 0, 0},
	{" SIZE==1", BAD, BAD, BAD, BAD, 0, 0},
	{" X=a=b", BAD, BAD, BAD, BAD, 0, 0},
	{" -X", BAD, BAD, BAD, BAD, 0, 0},
	{" X_Y", BAD, BAD, BAD, BAD, 0, 0},
	{" X=\x80", BAD, BAD, BAD, BAD, 0, 0},
	{" X=\x7f", BAD, BAD, BAD, BAD, 0, 0},
	{" AUTH=<> =", BAD, BAD, BAD, BAD, 0, 0},
	{" <b@c>", BAD, BAD, BAD, BAD, 0, 0},
};

static void test_cases(void **state)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		const struct {
			const char *name;
			enum parameters_command command;
			bool extended;
			unsigned offered;
			int result;
		} runs[] = {
			{"MAIL", PARAMETERS_OF_MAIL, true, ALL, cases[i].mail},
			{"MAIL, nothing offered", PARAMETERS_OF_MAIL, true, 0,
			 cases[i].mail_nothing_offered},
			{"MAIL after HELO", PARAMETERS_OF_MAIL, false, 0, cases[i].mail_after_helo},
			{"RCPT", PARAMETERS_OF_RCPT, true, ALL, cases[i].rcpt},
		};
		const size_t length = strlen(cases[i].text);
		char *block = malloc(length ? length : 1);
		memcpy(block, cases[i].text, length);
		for (size_t run = 0; run < sizeof(runs) / sizeof(*runs); run++) {
			struct parameters parameters;
			struct slice culprit;
			const int result = parameters_parse(
				slice_of(block, length), runs[run].command, runs[run].extended,
				runs[run].offered, &parameters, &culprit);
			if (result != runs[run].result)
				fail_msg("%s:%s: %d", runs[run].name, cases[i].text, result);
			// Only one of the two commands knows what needs something.
			if (runs[run].offered && result == GOOD &&
			    (parameters.needed != cases[i].needed ||
			     parameters.size != cases[i].size))
				fail_msg("%s:%s: %#x", runs[run].name, cases[i].text,
					 parameters.needed);
		}
		free(block);
	}
}

static void test_what_goes_on(void **state)
{
	struct parameters parameters;
	struct slice culprit;
	assert_int_equal(
		parameters_parse(
			slice_of_text(" SIZE=1 RET=FULL SMTPUTF8 BODY=8BITMIME AUTH=<> ENVID=a"),
			PARAMETERS_OF_MAIL, true, ALL, &parameters, &culprit),
		GOOD);
	assert_int_equal(parameters.forward_count, 3);
	assert_true(slice_equals_text(parameters.forward[0], "RET=FULL"));
	assert_true(slice_equals_text(parameters.forward[1], "SMTPUTF8"));
	assert_true(slice_equals_text(parameters.forward[2], "ENVID=a"));
	assert_int_equal(parameters.needed, EIGHT | DSN | UTF8);
	assert_false(parameters.trusted);
	parameters_parse(slice_of_text(" AUTH=b@c"), PARAMETERS_OF_MAIL, true, 0, &parameters,
			 &culprit);
	assert_true(parameters.trusted);
}

static void test_xtext_is_decoded(void **state)
{
	static const struct {
		const char *xtext, *text;
	} pairs[] = {{"b@c", "b@c"}, {"+2B", "+"}, {"a+3Db+40c", "a=b@c"}, {"a+20+7E", "a ~"}};

	for (size_t i = 0; i < sizeof(pairs) / sizeof(*pairs); i++) {
		uint8_t text[8];
		const size_t length = parameters_decode(slice_of_text(pairs[i].xtext), text);

		assert_true(slice_equals_text(slice_of(text, length), pairs[i].text));
	}
}

static void test_culprit_is_named(void **state)
{
	struct parameters parameters;
	struct slice culprit;
	parameters_parse(slice_of_text(" SIZE=1 XY=<> SIZE=2"), PARAMETERS_OF_MAIL, true, 0,
			 &parameters, &culprit);
	assert_true(slice_equals_text(culprit, "SIZE=2"));
	parameters_parse(slice_of_text(" SIZE=1 XY=<> X"), PARAMETERS_OF_MAIL, true, 0, &parameters,
			 &culprit);
	assert_true(slice_equals_text(culprit, "XY=<>"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cases),
		cmocka_unit_test(test_what_goes_on),
		cmocka_unit_test(test_xtext_is_decoded),
		cmocka_unit_test(test_culprit_is_named),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
