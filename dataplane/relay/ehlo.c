// SPDX-License-Identifier: BSD-3-Clause
//
// EHLO keywords, one row each. Owns nothing; the reply's form (codes, line ends, printable bytes)
// was checked by the reply parser and is not looked at again, only its lengths.
#include "dataplane/relay/ehlo.h"
#include "dataplane/smtp/extension.h"

#define CODE_LENGTH 4 // "250-"

static const struct {
	const char *keyword; // upper case
	unsigned extension;
} keywords[] = {
	{"8BITMIME", SMTP_EXTENSION_8BITMIME},
	{"DSN", SMTP_EXTENSION_DSN},
	{"SMTPUTF8", SMTP_EXTENSION_SMTPUTF8},
	{"PIPELINING", SMTP_EXTENSION_PIPELINING},
	{"SIZE", SMTP_EXTENSION_SIZE},
	{"CHUNKING", SMTP_EXTENSION_CHUNKING},
	{"BINARYMIME", SMTP_EXTENSION_BINARYMIME},
	{"XLONGADDR", SMTP_EXTENSION_XLONGADDR},
	{"XORAR", SMTP_EXTENSION_XORAR},
};

static uint8_t upper(uint8_t byte)
{
	return byte >= 'a' && byte <= 'z' ? (uint8_t)(byte - 'a' + 'A') : byte;
}

static bool equals_keyword(struct slice word, const char *keyword)
{
	size_t i;

	for (i = 0; i < word.length && keyword[i] != '\0'; i++)
		if (upper(word.data[i]) != (uint8_t)keyword[i])
			return false;
	return i == word.length && keyword[i] == '\0';
}

static size_t length_until(struct slice slice, uint8_t byte)
{
	const uint8_t *found = slice.length ? memchr(slice.data, byte, slice.length) : NULL;

	return found ? (size_t)(found - slice.data) : slice.length;
}

// Decimal digits only; 0 (no limit) for anything else or for more than 64 bits.
static uint64_t number(struct slice text)
{
	uint64_t value = 0;

	for (size_t i = 0; i < text.length; i++) {
		unsigned digit = text.data[i] - (unsigned)'0';

		if (digit > 9) // stops a sign, a blank, a word
			return 0;
		// stops a wrap to a small limit
		if (value > (UINT64_MAX - digit) / 10)
			return 0;
		value = value * 10 + digit;
	}
	return value;
}

static void parse_line(struct slice line, struct ehlo *ehlo)
{
	struct slice word = slice_first(line, length_until(line, ' '));
	struct slice argument = slice_from(line, word.length + 1);

	for (size_t i = 0; i < sizeof(keywords) / sizeof(keywords[0]); i++) {
		if (!equals_keyword(word, keywords[i].keyword))
			continue;
		ehlo->extensions |= keywords[i].extension;
		if (keywords[i].extension == SMTP_EXTENSION_SIZE)
			ehlo->size = number(slice_first(argument, length_until(argument, ' ')));
		return;
	}
}

struct ehlo ehlo_parse(struct slice reply)
{
	struct ehlo ehlo = {0, 0};
	bool first = true; // the first line is the server's name and greeting, not a keyword

	while (reply.length > 0) {
		struct slice line = slice_first(reply, length_until(reply, '\r'));

		if (!first)
			parse_line(slice_from(line, CODE_LENGTH), &ehlo);
		first = false;
		reply = slice_from(reply, line.length + 2); // CR LF
	}
	return ehlo;
}
