// SPDX-License-Identifier: BSD-3-Clause
//
// See reply_parser.h. A table of states and byte classes; a line above RFC 5321's 512 octets is
// cut, since its beginning says what matters. Does not judge whether a code fits its command.
#include "dataplane/smtp/reply_parser.h"

enum state {
	STATE_BAD, // unlisted transitions end here
	STATE_CODE_1,
	STATE_CODE_2,
	STATE_CODE_3,
	STATE_AFTER_CODE,
	STATE_TEXT_MORE, // text of a line that another one follows
	STATE_TEXT_LAST,
	STATE_CR_MORE, // CR seen
	STATE_CR_LAST,
	STATE_DONE,
	STATE_COUNT,
};

enum class {
	CLASS_OTHER,
	CLASS_DIGIT, // none that may begin a code
	CLASS_FIRST, // 2-5
	CLASS_HYPHEN,
	CLASS_SPACE,
	CLASS_CR,
	CLASS_LF,
	CLASS_COUNT,
};

static const uint8_t class_of[256] = {
	['0'] = CLASS_DIGIT, ['1'] = CLASS_DIGIT, ['2'] = CLASS_FIRST,  ['3'] = CLASS_FIRST,
	['4'] = CLASS_FIRST, ['5'] = CLASS_FIRST, ['6'] = CLASS_DIGIT,  ['7'] = CLASS_DIGIT,
	['8'] = CLASS_DIGIT, ['9'] = CLASS_DIGIT, ['-'] = CLASS_HYPHEN, [' '] = CLASS_SPACE,
	['\r'] = CLASS_CR,   ['\n'] = CLASS_LF,
};

#define TEXT(self, cr)                                                                             \
	{                                                                                          \
		[CLASS_OTHER] = self, [CLASS_DIGIT] = self, [CLASS_FIRST] = self,                  \
		[CLASS_HYPHEN] = self, [CLASS_SPACE] = self, [CLASS_CR] = cr                       \
	}

static const uint8_t next_state[STATE_COUNT][CLASS_COUNT] = {
	[STATE_CODE_1] = {[CLASS_FIRST] = STATE_CODE_2},
	[STATE_CODE_2] = {[CLASS_DIGIT] = STATE_CODE_3, [CLASS_FIRST] = STATE_CODE_3},
	[STATE_CODE_3] = {[CLASS_DIGIT] = STATE_AFTER_CODE, [CLASS_FIRST] = STATE_AFTER_CODE},
	[STATE_AFTER_CODE] = {[CLASS_HYPHEN] = STATE_TEXT_MORE,
			      [CLASS_SPACE] = STATE_TEXT_LAST,
			      [CLASS_CR] = STATE_CR_LAST},
	[STATE_TEXT_MORE] = TEXT(STATE_TEXT_MORE, STATE_CR_MORE),
	[STATE_TEXT_LAST] = TEXT(STATE_TEXT_LAST, STATE_CR_LAST),
	[STATE_CR_MORE] = {[CLASS_LF] = STATE_CODE_1},
	[STATE_CR_LAST] = {[CLASS_LF] = STATE_DONE},
};

#define REPLY_LINE_OCTETS 512

void reply_parser_init(struct reply_parser *parser)
{
	parser->code = 0;
	parser->line_code = 0;
	parser->length = 0;
	parser->column = 0;
	parser->state = STATE_CODE_1;
}

// Appends a byte to the text; CR and LF find room even in a line that is cut. False when full.
static bool put(struct reply_parser *parser, uint8_t c)
{
	const bool end = c == '\r' || c == '\n';
	if (!end && parser->column == REPLY_LINE_OCTETS - 2)
		return true;
	if (parser->length == REPLY_PARSER_TEXT_MAX)
		return false;
	const bool printable = c >= 32 && c < 127;
	parser->text[parser->length++] = end || printable ? (char)c : '?';
	parser->column++;
	return true;
}

// One code throughout: a reply that says both yes and no says nothing.
static bool note_code(struct reply_parser *parser, uint8_t state, uint8_t c)
{
	if (state < STATE_CODE_1 || state > STATE_CODE_3)
		return true;
	parser->line_code = (uint16_t)(parser->line_code * 10 + (c - '0'));
	if (state != STATE_CODE_3)
		return true;
	if (parser->code == 0)
		parser->code = parser->line_code;
	return parser->line_code == parser->code;
}

enum reply_parser_result reply_parser_input(struct reply_parser *parser, struct slice in,
					    size_t *used)
{
	for (size_t i = 0; i < in.length; i++) {
		const uint8_t c = in.data[i];
		const uint8_t state = parser->state;
		parser->state = next_state[state][class_of[c]];
		if (parser->state == STATE_BAD || !note_code(parser, state, c) || !put(parser, c)) {
			parser->state = STATE_BAD;
			*used = i + 1;
			return REPLY_PARSER_MALFORMED;
		}
		if (parser->state == STATE_DONE) {
			*used = i + 1;
			return REPLY_PARSER_DONE;
		}
		if (parser->state == STATE_CODE_1) {
			parser->column = 0;
			parser->line_code = 0;
		}
	}
	*used = in.length;
	return REPLY_PARSER_MORE;
}
