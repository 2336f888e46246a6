// SPDX-License-Identifier: BSD-3-Clause
//
// Tests of smtp/reply_parser: what a server may answer, in one piece and byte by byte.
#include "dataplane/smtp/reply_parser.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { MORE = REPLY_PARSER_MORE, DONE = REPLY_PARSER_DONE, MALFORMED = REPLY_PARSER_MALFORMED };

#define BYTES(text) text, sizeof(text) - 1

// text: what comes out of DONE.
static const struct {
	const char *in;
	size_t length;
	int result;
	unsigned code;
	const char *text;
} cases[] = {
	{BYTES("250 ok\r\n"), DONE, 250, "250 ok\r\n"},
	{BYTES("250\r\n"), DONE, 250, "250\r\n"},
	{BYTES("250 \r\n"), DONE, 250, "250 \r\n"},
	{BYTES("250-\r\n250 \r\n"), DONE, 250, "250-\r\n250 \r\n"},
	{BYTES("250-a\r\n250-b\r\n250 c\r\n"), DONE, 250, "250-a\r\n250-b\r\n250 c\r\n"},
	{BYTES("250-a\r\n250\r\n"), DONE, 250, "250-a\r\n250\r\n"},
	{BYTES("354 go\r\nrest"), DONE, 354, "354 go\r\n"},
	{BYTES("599 x\r\n"), DONE, 599, "599 x\r\n"},
	{BYTES("250 caf\xc3\xa9\tx\0y\r\n"), DONE, 250, "250 caf???x?y\r\n"},
	{BYTES("550-5.1.1 no\r\n550 5.1.1 such\r\n"), DONE, 550,
	 "550-5.1.1 no\r\n550 5.1.1 such\r\n"},
	{BYTES(""), MORE, 0, NULL},
	{BYTES("250-a\r\n"), MORE, 0, NULL},
	{BYTES("250 a\r"), MORE, 0, NULL},
	{BYTES("\r\n"), MALFORMED, 0, NULL},
	{BYTES("ok\r\n"), MALFORMED, 0, NULL},
	{BYTES("25 ok\r\n"), MALFORMED, 0, NULL},
	{BYTES("2500 ok\r\n"), MALFORMED, 0, NULL},
	{BYTES("150 ok\r\n"), MALFORMED, 0, NULL},
	{BYTES("650 ok\r\n"), MALFORMED, 0, NULL},
	{BYTES("250_ok\r\n"), MALFORMED, 0, NULL},
	{BYTES("250 ok\n"), MALFORMED, 0, NULL},
	{BYTES("250 ok\rx\n"), MALFORMED, 0, NULL},
	{BYTES("250 ok\r\r\n"), MALFORMED, 0, NULL},
	{BYTES("250\n"), MALFORMED, 0, NULL},
	{BYTES("250-a\r\n550 b\r\n"), MALFORMED, 0, NULL},
	{BYTES("250-a\r\nb\r\n"), MALFORMED, 0, NULL},
	{BYTES("250-a\r\n\r\n"), MALFORMED, 0, NULL},
	{BYTES(" 250 ok\r\n"), MALFORMED, 0, NULL},
	{BYTES("HTTP/1.1 400 Bad Request\r\n"), MALFORMED, 0, NULL},
};

static int feed(struct reply_parser *parser, const char *in, size_t length, size_t piece,
		size_t *total)
{
	*total = 0;
	while (*total < length) {
		const size_t size = length - *total < piece ? length - *total : piece;
		uint8_t *block = malloc(size);
		memcpy(block, in + *total, size);
		size_t used = 0;
		const int result = (int)reply_parser_input(parser, slice_of(block, size), &used);
		free(block);
		assert_true(used <= size);
		*total += used;
		if (result != MORE)
			return result;
		assert_int_equal(used, size);
	}
	return MORE;
}

static void test_cases(void **state)
{
	struct reply_parser parser;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		for (size_t piece = 1; piece <= cases[i].length + 1; piece++) {
			size_t used;
			reply_parser_init(&parser);
			if (feed(&parser, cases[i].in, cases[i].length, piece, &used) !=
			    cases[i].result)
				fail_msg("%s in pieces of %zu", cases[i].in, piece);
			if (cases[i].result != DONE)
				continue;
			assert_int_equal(parser.code, cases[i].code);
			assert_int_equal(parser.length, strlen(cases[i].text));
			assert_memory_equal(parser.text, cases[i].text, parser.length);
			// What follows a reply is not touched.
			assert_int_equal(used, parser.length);
		}
	}
}

static void test_long_line_is_cut(void **state)
{
	struct reply_parser parser;
	char in[3000];
	size_t used;
	memset(in, 'x', sizeof(in));
	memcpy(in, "250 ", 4);
	memcpy(in + sizeof(in) - 2, "\r\n", 2);
	reply_parser_init(&parser);
	assert_int_equal(feed(&parser, in, sizeof(in), 7, &used), DONE);
	assert_int_equal(used, sizeof(in));
	assert_int_equal(parser.length, 512);
	assert_memory_equal(parser.text, in, 510);
	assert_memory_equal(parser.text + 510, "\r\n", 2);
}

// Lines of 20 octets: 102 of them fit into 2048, 103 do not; a flood ends there.
static void test_too_many_lines(void **state)
{
	struct reply_parser parser;
	char in[103 * 20 + 1] = "";
	size_t used;
	for (int i = 0; i < 103; i++)
		snprintf(in + i * 20, 21, "250-%014d\r\n", i);
	reply_parser_init(&parser);
	assert_int_equal(feed(&parser, in, 102 * 20, 100, &used), MORE);
	assert_int_equal(feed(&parser, in + 102 * 20, 20, 100, &used), MALFORMED);
	assert_true(parser.length <= REPLY_PARSER_TEXT_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cases),
		cmocka_unit_test(test_long_line_is_cut),
		cmocka_unit_test(test_too_many_lines),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
