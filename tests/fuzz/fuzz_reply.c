// SPDX-License-Identifier: BSD-3-Clause
//
// libFuzzer: a server's bytes into the reply parser, whole and in pieces, each in a heap block of
// exactly its length. Both ways must end alike, and what a finished reply passes on must be SMTP
// that any client reads the same way.
//
// runs: 60000
#include "dataplane/smtp/reply_parser.h"

#include <assert.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct outcome {
	enum reply_parser_result result;
	size_t used;
	struct reply_parser parser;
};

static void parse(struct slice in, const uint8_t *cuts, size_t cut_count, struct outcome *out)
{
	size_t turn = 0;

	reply_parser_init(&out->parser);
	out->used = 0;
	do {
		size_t length = cut_count ? 1u + cuts[turn++ % cut_count] % 32 : in.length;
		struct slice piece = slice_first(slice_from(in, out->used), length);
		uint8_t *block = malloc(piece.length);
		size_t used = 0;

		memcpy(block, piece.data, piece.length);
		out->result =
			reply_parser_input(&out->parser, slice_of(block, piece.length), &used);
		free(block);
		assert(used <= piece.length);
		if (out->result == REPLY_PARSER_MORE)
			used = piece.length;
		out->used += used;
	} while (out->result == REPLY_PARSER_MORE && out->used < in.length);
}

// "250-text\r\n" lines, the last with a space or nothing behind the code, all with the same code.
static void check_form(const struct reply_parser *parser)
{
	struct slice rest = slice_of(parser->text, parser->length);
	bool last = false;

	assert(parser->code >= 200 && parser->code <= 599 && rest.length > 0);
	while (rest.length > 0) {
		const uint8_t *end = memchr(rest.data, '\n', rest.length);

		assert(!last && end);
		size_t length = (size_t)(end - rest.data) + 1;
		assert(length >= 5 && length <= 512 && end[-1] == '\r');
		assert((rest.data[0] - '0') * 100 + (rest.data[1] - '0') * 10 +
			       (rest.data[2] - '0') ==
		       parser->code);
		last = rest.data[3] != '-';
		assert(rest.data[3] == '-' || rest.data[3] == ' ' || rest.data[3] == '\r');
		for (size_t i = 0; i < length - 2; i++)
			assert((rest.data[i] >= ' ' && rest.data[i] < 127) || rest.data[i] == '\t');
		rest = slice_from(rest, length);
	}
	assert(last);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct outcome whole, pieces;

	if (size < 5)
		return 0;
	parse(slice_of(data + 4, size - 4), NULL, 0, &whole);
	parse(slice_of(data + 4, size - 4), data, 4, &pieces);
	assert(whole.result == pieces.result);
	if (whole.result != REPLY_PARSER_DONE)
		return 0;
	assert(whole.used == pieces.used && whole.parser.code == pieces.parser.code);
	assert(whole.parser.length == pieces.parser.length);
	assert(memcmp(whole.parser.text, pieces.parser.text, whole.parser.length) == 0);
	check_form(&whole.parser);
	return 0;
}
