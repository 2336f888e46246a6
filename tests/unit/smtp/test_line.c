// SPDX-License-Identifier: BSD-3-Clause
//
// Tests of smtp/line: lines of every critical length and ending, whole, cut in two at every place,
// and byte by byte; bounded memory.
#include "dataplane/smtp/line.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct fixture {
	struct pool chunks;
	struct line line;
	uint8_t text[LINE_LONG_OCTETS];
	size_t length;
};

static void fixture_init(struct fixture *fixture, uint32_t chunks)
{
	assert_int_equal(chunk_pool_init(&fixture->chunks, chunks * 2048), 0);
	line_init(&fixture->line);
	fixture->length = 0;
}

static void fixture_fini(struct fixture *fixture)
{
	line_clear(&fixture->line, &fixture->chunks);
	assert_int_equal(pool_used(&fixture->chunks), 0);
	pool_fini(&fixture->chunks);
}

static enum line_result feed(struct fixture *fixture, const char *bytes, size_t length,
			     size_t *consumed)
{
	uint8_t *block = malloc(length ? length : 1);
	memcpy(block, bytes, length);
	struct line_scan scan;
	const enum line_result result =
		line_input(&fixture->line, &fixture->chunks, slice_of(block, length), &scan);
	*consumed = scan.consumed;
	if (result == LINE_PARTIAL)
		assert_int_equal(scan.consumed, length);
	assert_true(scan.consumed <= length);
	fixture->length = scan.text.length;
	memcpy(fixture->text, scan.text.data, scan.text.length);
	free(block);
	return result;
}

// in two pieces; cut 0 = byte by byte. Feeds up to the first result.
static enum line_result run(struct fixture *fixture, const char *bytes, size_t length, size_t cut,
			    size_t *consumed)
{
	size_t used, total = 0;
	enum line_result result = LINE_PARTIAL;
	while (result == LINE_PARTIAL && total < length) {
		const size_t piece = cut == 0 ? 1 : total == 0 ? cut : length - total;
		result = feed(fixture, bytes + total, piece, &used);
		total += used;
	}
	*consumed = total;
	return result;
}

#define BYTES(text) text, sizeof(text) - 1

static const struct {
	const char *in;
	size_t length;
	enum line_result result;
	size_t consumed; // of a line that is whole
	const char *text;
} cases[] = {
	{BYTES("NOOP\r\n"), LINE_WHOLE, 6, "NOOP"},
	{BYTES("\r\n"), LINE_WHOLE, 2, ""},
	{BYTES("NOOP\r\nQUIT\r\n"), LINE_WHOLE, 6, "NOOP"},
	{BYTES("a \x80\x01\r\n"), LINE_WHOLE, 5 + 1, "a \x80\x01"},
	{BYTES("NOOP"), LINE_PARTIAL, 0, NULL},
	{BYTES("NOOP\r"), LINE_PARTIAL, 0, NULL},
	{BYTES("NOOP\n"), LINE_BAD_ENDING, 0, NULL},
	{BYTES("\n"), LINE_BAD_ENDING, 0, NULL},
	{BYTES("NOOP\rQUIT\r\n"), LINE_BAD_ENDING, 0, NULL},
	{BYTES("NOOP\r\r\n"), LINE_BAD_ENDING, 0, NULL},
	{BYTES("NO\0OP\r\n"), LINE_BAD_ENDING, 0, NULL},
	{BYTES("NOOP\r\0\n"), LINE_BAD_ENDING, 0, NULL},
	{BYTES("\0"), LINE_BAD_ENDING, 0, NULL},
	{BYTES("GET / HTTP/1.1\r\n"), LINE_FOREIGN, 0, NULL},
	{BYTES("GET / HTTP/1.1\n"), LINE_FOREIGN, 0, NULL},
	{BYTES("\x16\x03\x01\x00\xee\x01\x00"), LINE_FOREIGN, 0, NULL},
	{BYTES("\x16\x03\x01\n"), LINE_FOREIGN, 0, NULL},
	{BYTES("SSH-2.0-x\r\n"), LINE_FOREIGN, 0, NULL},
};

static void test_cases(void **state)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		for (size_t cut = 0; cut <= cases[i].length; cut++) {
			struct fixture fixture;
			size_t consumed;
			fixture_init(&fixture, 1);
			const enum line_result result =
				run(&fixture, cases[i].in, cases[i].length, cut, &consumed);
			if (result != cases[i].result)
				fail_msg("case %zu cut at %zu: %d", i, cut, result);
			if (result == LINE_WHOLE) {
				assert_int_equal(consumed, cases[i].consumed);
				assert_int_equal(fixture.length, strlen(cases[i].text));
				assert_memory_equal(fixture.text, cases[i].text, fixture.length);
			}
			fixture_fini(&fixture);
		}
	}
}

// S8: octets with CR LF. At most one chunk (four of a long line), none once the line is being
// discarded.
static void test_lengths(void **state)
{
	static const struct {
		size_t octets;
		enum line_result result;
		bool long_lines;
	} lengths[] = {
		{511, LINE_WHOLE, false},     {512, LINE_WHOLE, false},
		{513, LINE_WHOLE, false},     {1023, LINE_WHOLE, false},
		{1024, LINE_WHOLE, false},    {1025, LINE_TOO_LONG, false},
		{9000, LINE_TOO_LONG, false}, {1 << 20, LINE_TOO_LONG, false},
		{1025, LINE_WHOLE, true},     {8000, LINE_WHOLE, true},
		{8001, LINE_TOO_LONG, true},
	};
	for (size_t i = 0; i < sizeof(lengths) / sizeof(*lengths); i++) {
		const size_t octets = lengths[i].octets;
		char *bytes = malloc(octets + 6);
		memset(bytes, 'x', octets);
		memcpy(bytes + octets - 2, "\r\nQUIT\r\n", 8);
		const size_t cuts[] = {0, 1, 512, octets - 2, octets - 1, octets, octets + 6};
		for (size_t k = 0; k < sizeof(cuts) / sizeof(*cuts); k++) {
			struct fixture fixture;
			size_t consumed;
			fixture_init(&fixture, lengths[i].long_lines ? 4 : 1);
			fixture.line.long_lines = lengths[i].long_lines;
			assert_int_equal(run(&fixture, bytes, octets + 6, cuts[k], &consumed),
					 lengths[i].result);
			assert_int_equal(consumed, octets);
			if (lengths[i].result == LINE_WHOLE)
				assert_int_equal(fixture.length, octets - 2);
			// The next line is not harmed.
			assert_int_equal(feed(&fixture, "QUIT\r\n", 6, &consumed), LINE_WHOLE);
			assert_memory_equal(fixture.text, "QUIT", 4);
			fixture_fini(&fixture);
		}
		free(bytes);
	}
}

static void test_discarding_holds_no_memory(void **state)
{
	struct fixture fixture;
	size_t consumed;
	char block[600];
	memset(block, 'x', sizeof(block));
	fixture_init(&fixture, 4);
	feed(&fixture, block, sizeof(block), &consumed);
	assert_int_equal(pool_used(&fixture.chunks), 1);
	for (int i = 0; i < 100; i++)
		feed(&fixture, block, sizeof(block), &consumed);
	assert_int_equal(pool_used(&fixture.chunks), 0);
	assert_int_equal(feed(&fixture, "\n", 1, &consumed), LINE_BAD_ENDING);
	fixture_fini(&fixture);
}

static void test_foreign_line_above_the_limit(void **state)
{
	char bytes[3000];
	memset(bytes, 'x', sizeof(bytes));
	memcpy(bytes, "POST /", 6);
	memcpy(bytes + sizeof(bytes) - 2, "\r\n", 2);
	const size_t cuts[] = {0, 1, 5, 6, 1023, 1024, sizeof(bytes) - 1, sizeof(bytes)};
	for (size_t k = 0; k < sizeof(cuts) / sizeof(*cuts); k++) {
		struct fixture fixture;
		size_t consumed;
		fixture_init(&fixture, 1);
		assert_int_equal(run(&fixture, bytes, sizeof(bytes), cuts[k], &consumed),
				 LINE_FOREIGN);
		fixture_fini(&fixture);
	}
}

static void test_without_a_chunk(void **state)
{
	struct fixture fixture;
	struct chunk_queue other;
	size_t consumed;
	fixture_init(&fixture, 1);
	chunk_queue_init(&other);
	assert_int_equal(chunk_queue_append(&other, &fixture.chunks, slice_of_text("x")), 1);
	// A whole line needs none; a partial one is given up, and the next one is whole again.
	assert_int_equal(feed(&fixture, "NOOP\r\n", 6, &consumed), LINE_WHOLE);
	assert_int_equal(feed(&fixture, "NO", 2, &consumed), LINE_PARTIAL);
	assert_int_equal(feed(&fixture, "OP\r\nQUIT\r\n", 10, &consumed), LINE_NO_BUFFER);
	assert_int_equal(consumed, 4);
	assert_int_equal(feed(&fixture, "QUIT\r\n", 6, &consumed), LINE_WHOLE);
	chunk_queue_clear(&other, &fixture.chunks);
	fixture_fini(&fixture);
}

static void test_secrets(void **state)
{
	static const char *const shown_of[][2] = {
		{"AUTH PLAIN AGEAYg==", "AUTH PLAIN"},
		{"auth  login\tYQ==", "auth  login"},
		{"AUTH\tPLAIN AGEAYg==", "AUTH\tPLAIN"},
		{"AUTH", "AUTH"},
		{"AUTH ", "AUTH "},
		{"AUTHOR is x", "AUTHOR is x"},
		{"MAIL FROM:<a@b.c> AUTH=<>", "MAIL FROM:<a@b.c> AUTH=<>"},
		{"", ""},
	};

	for (size_t i = 0; i < sizeof(shown_of) / sizeof(shown_of[0]); i++) {
		const struct slice line = {(const uint8_t *)shown_of[i][0], strlen(shown_of[i][0])};
		const struct slice shown = line_without_secrets(line);

		assert_int_equal(shown.length, strlen(shown_of[i][1]));
		assert_memory_equal(shown.data, shown_of[i][1], shown.length);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cases),
		cmocka_unit_test(test_lengths),
		cmocka_unit_test(test_discarding_holds_no_memory),
		cmocka_unit_test(test_foreign_line_above_the_limit),
		cmocka_unit_test(test_without_a_chunk),
		cmocka_unit_test(test_secrets),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
