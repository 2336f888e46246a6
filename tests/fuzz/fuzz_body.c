// SPDX-License-Identifier: BSD-3-Clause
//
// Fuzz target: the end-of-data scanner. Input: one byte that seeds the pieces and rooms, then a
// stream. The stream is scanned whole and in pieces; both must agree, and what is passed on must be
// a message in DATA form that no receiver could end early; unstuffed it is the same message.
//
// runs: 60000
#include "dataplane/smtp/body.h"

#include <assert.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct outcome {
	enum body_verdict verdict;
	size_t consumed, octets, length;
	uint8_t *passed;
};

static unsigned next(unsigned *seed)
{
	*seed = *seed * 1103515245u + 12345u;
	return *seed >> 16;
}

// pieces false: all at once.
static void scan(struct slice in, bool pieces, unsigned seed, unsigned how, struct outcome *out)
{
	uint8_t state;
	size_t at = 0;
	*out = (struct outcome){.verdict = BODY_MORE, .passed = malloc(in.length + 1)};
	body_init(&state);
	while (at < in.length && out->verdict == BODY_MORE) {
		const size_t left = in.length - at;
		const size_t size = pieces ? 1 + next(&seed) % left : left;
		const size_t room = pieces ? 2 + next(&seed) % 40 : SIZE_MAX;
		uint8_t *block = malloc(size); // exact, so that a read past it is found
		memcpy(block, in.data + at, size);
		struct body_scan result;
		body_input(&state, slice_of(block, size), room, how, &result);
		assert(result.consumed > 0 && result.consumed <= size);
		assert(result.held.length + result.run.length <= room);
		assert(out->length + result.held.length + result.run.length <= in.length);
		memcpy(out->passed + out->length, result.held.data, result.held.length);
		out->length += result.held.length;
		memcpy(out->passed + out->length, result.run.data, result.run.length);
		out->length += result.run.length;
		out->octets += result.octets;
		out->verdict = result.verdict;
		at += result.consumed;
		free(block);
	}
	out->consumed = at;
}

// Every CR is followed by LF, every LF follows a CR, no NUL, no line of one dot.
static void check_form(const uint8_t *text, size_t length)
{
	for (size_t i = 0; i < length; i++) {
		assert(text[i] != 0);
		assert(text[i] != '\r' || (i + 1 < length && text[i + 1] == '\n'));
		assert(text[i] != '\n' || (i > 0 && text[i - 1] == '\r'));
		const bool line_start = i == 0 || text[i - 1] == '\n';
		assert(!(line_start && text[i] == '.' && i + 1 < length && text[i + 1] == '\r'));
	}
}

// The dots that begin lines are the difference.
static void check_unstuffed(const struct outcome *stuffed, const struct outcome *unstuffed)
{
	size_t at = 0;

	for (size_t i = 0; i < stuffed->length; i++) {
		const bool line_start = i == 0 || stuffed->passed[i - 1] == '\n';
		if (line_start && stuffed->passed[i] == '.')
			continue;
		assert(at < unstuffed->length && unstuffed->passed[at++] == stuffed->passed[i]);
	}
	assert(at == unstuffed->length);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct outcome whole, pieces, unstuffed;
	if (size < 1)
		return 0;
	scan(slice_of(data + 1, size - 1), false, 0, 0, &whole);
	scan(slice_of(data + 1, size - 1), true, data[0], 0, &pieces);
	scan(slice_of(data + 1, size - 1), true, data[0], BODY_UNSTUFFED, &unstuffed);
	assert(whole.verdict == pieces.verdict && whole.verdict == unstuffed.verdict);
	check_form(whole.passed, whole.length);
	check_form(pieces.passed, pieces.length);
	if (whole.verdict != BODY_BAD_LINE_ENDING) {
		assert(whole.length == pieces.length && whole.octets == pieces.octets);
		assert(memcmp(whole.passed, pieces.passed, whole.length) == 0);
		assert(whole.octets == unstuffed.octets && unstuffed.length == unstuffed.octets);
		check_unstuffed(&whole, &unstuffed);
	}
	if (whole.verdict == BODY_END) {
		assert(whole.consumed == pieces.consumed);
		// The message is a run of whole lines.
		assert(whole.length == 0 || whole.passed[whole.length - 1] == '\n');
		assert(whole.length + 3 == whole.consumed);
	}
	free(whole.passed);
	free(pieces.passed);
	free(unstuffed.passed);
	return 0;
}
