// SPDX-License-Identifier: BSD-3-Clause
//
// Tests of smtp/body: every short string over the bytes that matter, cut at every place and with
// every small room, against a twin that looks at the whole string at once; and long runs.
#include "dataplane/smtp/body.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define BYTES_MAX 64

struct outcome {
	enum body_verdict verdict; // MORE: the string ended before the message
	size_t consumed;           // with END: bytes of the string that belong to the message
	size_t octets;
	size_t length; // bytes passed on
	uint8_t passed[BYTES_MAX];
};

// The rule in the words of the RFC: lines end in CR LF, a line of one dot ends the message, and
// nothing else may contain CR, LF or NUL. Only what a later byte cannot take back is passed on.
static void twin(const uint8_t *text, size_t length, struct outcome *out)
{
	size_t line = 0; // start of the line being looked at
	*out = (struct outcome){.verdict = BODY_MORE};
	for (;;) {
		size_t end = line;
		while (end < length && text[end] != '\r' && text[end] != '\n' && text[end] != 0)
			end++;
		const size_t visible = end - line;
		const bool lone_dot = visible == 1 && text[line] == '.';
		const bool stuffed = visible >= 2 && text[line] == '.';
		if (end < length &&
		    (text[end] != '\r' || (end + 1 < length && text[end + 1] != '\n'))) {
			out->verdict = BODY_BAD_LINE_ENDING;
			return;
		}
		const bool whole = end + 1 < length;
		if (whole && lone_dot) {
			out->verdict = BODY_END;
			out->consumed = end + 2;
			return;
		}
		const size_t pass = whole ? visible + 2 : lone_dot ? 0 : visible;
		memcpy(out->passed + out->length, text + line, pass);
		out->length += pass;
		out->octets += pass - (stuffed ? 1 : 0);
		if (!whole)
			return;
		line = end + 2;
	}
}

// Feeds a piece from a block of its exact size, then checks each call's promises.
static bool feed(uint8_t *state, const uint8_t *text, size_t length, size_t room,
		 struct outcome *out)
{
	uint8_t *block = malloc(length ? length : 1);
	memcpy(block, text, length);
	struct slice rest = slice_of(block, length);
	while (out->verdict == BODY_MORE && rest.length > 0) {
		struct body_scan scan;
		body_input(state, rest, room, 0, &scan);
		assert_true(scan.consumed <= rest.length);
		assert_true(scan.held.length + scan.run.length <= room);
		if (scan.run.length == 0)
			assert_int_equal(scan.held.length, 0);
		if (scan.verdict != BODY_MORE)
			assert_int_equal(scan.run.length, 0);
		memcpy(out->passed + out->length, scan.held.data, scan.held.length);
		out->length += scan.held.length;
		memcpy(out->passed + out->length, scan.run.data, scan.run.length);
		out->length += scan.run.length;
		out->octets += scan.octets;
		out->consumed += scan.consumed;
		out->verdict = scan.verdict;
		if (scan.verdict == BODY_MORE && scan.consumed == 0) {
			assert_true(room <= 1); // only then may it wait
			break;
		}
		rest = slice_from(rest, scan.consumed);
	}
	const bool stuck = out->verdict == BODY_MORE && rest.length > 0;
	free(block);
	return !stuck;
}

static void compare(const uint8_t *text, size_t length, size_t cut, size_t room)
{
	struct outcome want, got = {.verdict = BODY_MORE};
	uint8_t state;
	twin(text, length, &want);
	body_init(&state);
	if (!feed(&state, text, cut, room, &got))
		return;
	if (got.verdict == BODY_MORE && !feed(&state, text + cut, length - cut, room, &got))
		return;
	assert_int_equal(got.verdict, want.verdict);
	if (want.verdict == BODY_BAD_LINE_ENDING) {
		// What was passed on before is a beginning of the message; nothing of the bad end.
		assert_memory_equal(got.passed, text, got.length);
		return;
	}
	assert_int_equal(got.length, want.length);
	assert_memory_equal(got.passed, want.passed, want.length);
	assert_int_equal(got.octets, want.octets);
	if (want.verdict == BODY_END)
		assert_int_equal(got.consumed, want.consumed);
}

static void test_every_short_string(void **state)
{
	static const uint8_t alphabet[] = {'\r', '\n', '.', 'a', 0, ' '};
	enum { LENGTH = 8, LETTERS = sizeof(alphabet) };
	for (size_t length = 0; length <= LENGTH; length++) {
		size_t count = 1;
		for (size_t i = 0; i < length; i++)
			count *= LETTERS;
		for (size_t number = 0; number < count; number++) {
			uint8_t text[LENGTH];
			size_t digits = number;
			for (size_t i = 0; i < length; i++, digits /= LETTERS)
				text[i] = alphabet[digits % LETTERS];
			for (size_t cut = 0; cut <= length; cut++)
				compare(text, length, cut, SIZE_MAX);
			compare(text, length, length, 2);
		}
	}
}

// Around a block of the fast scan, and with every room.
static void test_every_room_and_cut(void **state)
{
	static const char text[] =
		"..one\r\n\r\n.two\r\n...\r\nthree is longer than 16 bytes\r\n.\r\nX";
	const size_t length = sizeof(text) - 1;
	for (size_t room = 1; room <= length + 2; room++)
		for (size_t cut = 0; cut <= length; cut++)
			compare((const uint8_t *)text, length, cut, room);
}

static void test_room_of_nothing_waits(void **state)
{
	uint8_t machine;
	struct body_scan scan;
	body_init(&machine);
	body_input(&machine, slice_of_text("a"), 0, 0, &scan);
	assert_int_equal(scan.verdict, BODY_MORE);
	assert_int_equal(scan.consumed, 0);
	// One byte is kept back: room for it alone would not let the next one pass.
	body_input(&machine, slice_of_text("\r"), 10, 0, &scan);
	assert_int_equal(scan.consumed, 1);
	body_input(&machine, slice_of_text("\na"), 1, 0, &scan);
	assert_int_equal(scan.consumed, 0);
	body_input(&machine, slice_of_text("\na"), 2, 0, &scan);
	assert_int_equal(scan.consumed, 1);
	assert_int_equal(scan.held.length + scan.run.length, 2);
}

// A bad byte at each place of a long line is found, whatever its place in a block.
static void test_long_lines(void **state)
{
	static const char bad[] = {'\r', '\n', '\0'};
	enum { LENGTH = 100 };
	for (size_t start = 0; start < 17; start++) {
		for (size_t at = 1; at < LENGTH - 1; at++) {
			for (size_t kind = 0; kind < sizeof(bad); kind++) {
				uint8_t machine;
				struct body_scan scan;
				uint8_t *line = malloc(start + LENGTH);
				memset(line, 'x', start + LENGTH);
				line[start + at] = (uint8_t)bad[kind];
				body_init(&machine);
				body_input(&machine, slice_of(line + start, LENGTH), SIZE_MAX,
					   false, &scan);
				assert_int_equal(scan.verdict, BODY_BAD_LINE_ENDING);
				free(line);
			}
		}
	}
	uint8_t machine;
	struct body_scan scan;
	const size_t size = 1 << 20;
	uint8_t *line = malloc(size);
	memset(line, 0x80, size);
	body_init(&machine);
	body_input(&machine, slice_of(line, size), SIZE_MAX, 0, &scan);
	assert_int_equal(scan.run.length, size);
	assert_ptr_equal(scan.run.data, line);
	assert_int_equal(scan.octets, size);
	free(line);
}

// What a server makes of DATA form: lines end with CR LF, a line of one dot is the end, another
// line's first dot goes. A stream that is not in this form is nothing.
static bool read_as_server(const uint8_t *text, size_t length, char *out, bool *ended)
{
	size_t at = 0, used = 0;
	*ended = false;
	while (at < length && !*ended) {
		const uint8_t *end = memmem(text + at, length - at, "\r\n", 2);
		const size_t line = end ? (size_t)(end - text) - at : length - at;
		for (size_t i = at; i < at + line; i++)
			if (text[i] == '\n' || text[i] == '\0')
				return false;
		const size_t dot = line > 0 && text[at] == '.';
		*ended = end && line == 1 && dot;
		memcpy(out + used, text + at + dot, line - dot);
		used += line - dot;
		if (end && !*ended)
			out[used++] = '|';
		at += line + (end ? 2 : 0);
	}
	out[used] = '\0';
	return true;
}

// With bare LF accepted: the message is what a reader of CR LF and LF alike sees, but only CR LF .
// CR LF behind CR LF ends it; and no server sees an end before.
static void test_bare_lf_accepted(void **state)
{
	static const struct {
		const char *text, *message; // '|' for each line end
		bool ended;
	} cases[] = {
		{"a\nb\r\n.\r\n", "a|b|", true},
		{"\n\n.\r\nx\r\n.\r\n", "||.|x|", true},
		{"a\n.\r\nb\r\n.\r\n", "a|.|b|", true}, // smuggling
		{"a\n.\nb\r\n.\r\n", "a|.|b|", true},
		{"a\r\n.\nb\r\n.\r\n", "a||b|", true},
		{"a\n..b\n.c\r\n.\r\n", "a|..b|.c|", true},
		{"a\n\r\n.\r\n", "a||", true},
		{"a\r\n..\n.\r\n", "a|.|.|", false},
		{"a\n", "a|", false},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		const size_t length = strlen(cases[i].text);
		for (size_t piece = 1; piece <= length; piece++) {
			uint8_t machine, wire[128];
			size_t used = 0, octets = 0;
			bool ended = false, seen;
			char message[128];
			struct slice rest = slice_of(cases[i].text, length);
			body_init(&machine);
			while (rest.length > 0 && !ended) {
				struct body_scan scan;
				body_input(&machine, slice_first(rest, piece), SIZE_MAX, true,
					   &scan);
				assert_int_not_equal(scan.verdict, BODY_BAD_LINE_ENDING);
				memcpy(wire + used, scan.held.data, scan.held.length);
				used += scan.held.length;
				memcpy(wire + used, scan.run.data, scan.run.length);
				used += scan.run.length;
				octets += scan.octets;
				ended = scan.verdict == BODY_END;
				rest = slice_from(rest, scan.consumed);
			}
			assert_int_equal(ended, cases[i].ended);
			assert_true(read_as_server(wire, used, message, &seen));
			assert_false(seen);
			assert_string_equal(message, cases[i].message);
			// Every '|' is two octets of the message.
			size_t lines = 0;
			for (const char *at = message; *at; at++)
				lines += *at == '|';
			assert_int_equal(octets, strlen(message) + lines);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_short_string),
		cmocka_unit_test(test_every_room_and_cut),
		cmocka_unit_test(test_room_of_nothing_waits),
		cmocka_unit_test(test_long_lines),
		cmocka_unit_test(test_bare_lf_accepted),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
