// SPDX-License-Identifier: BSD-3-Clause
//
// See parameters.h. One row a keyword.
#include "dataplane/smtp/parameters.h"

#include <strings.h>

static bool is_text(struct slice slice, const char *text)
{
	return slice.length == strlen(text) &&
	       strncasecmp((const char *)slice.data, text, slice.length) == 0;
}

// 1-20 digits (RFC 1870 section 3); no sign, and nothing that overflows into a small number.
static bool parse_size(struct slice value, struct parameters *out)
{
	uint64_t size = 0;
	if (value.length < 1 || value.length > 20)
		return false;
	for (size_t i = 0; i < value.length; i++) {
		const uint8_t c = value.data[i];
		if (c < '0' || c > '9' || __builtin_mul_overflow(size, 10, &size) ||
		    __builtin_add_overflow(size, (uint64_t)(c - '0'), &size))
			return false;
	}
	out->size = size;
	return true;
}

static bool parse_body(struct slice value, struct parameters *out)
{
	out->body_8bit = is_text(value, "8BITMIME");
	return out->body_8bit || is_text(value, "7BIT");
}

static const struct {
	const char *keyword;
	bool (*parse)(struct slice value, struct parameters *out);
} rows[] = {
	{"SIZE", parse_size},
	{"BODY", parse_body},
};

// esmtp-keyword = (ALPHA / DIGIT) *(ALPHA / DIGIT / "-")
static bool keyword_well_formed(struct slice keyword)
{
	for (size_t i = 0; i < keyword.length; i++) {
		const uint8_t c = keyword.data[i];
		const bool letter = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
		if (!letter && !(c >= '0' && c <= '9') && !(c == '-' && i > 0))
			return false;
	}
	return keyword.length > 0;
}

// esmtp-value: printable ASCII but "=" and the space, which ended it already.
static bool value_well_formed(struct slice value)
{
	for (size_t i = 0; i < value.length; i++) {
		if (value.data[i] < 33 || value.data[i] > 126 || value.data[i] == '=')
			return false;
	}
	return true;
}

static enum parameters_result parse_one(struct slice text, bool known, struct parameters *out)
{
	const uint8_t *equals = memchr(text.data, '=', text.length);
	const struct slice keyword =
		slice_first(text, equals ? (size_t)(equals - text.data) : text.length);
	const struct slice value = slice_from(text, keyword.length + 1);

	// "SIZE=" has a sign that promises a value.
	if (!keyword_well_formed(keyword) || !value_well_formed(value) ||
	    (equals && value.length == 0))
		return PARAMETERS_BAD;
	for (unsigned i = 0; known && i < sizeof(rows) / sizeof(*rows); i++) {
		if (!is_text(keyword, rows[i].keyword))
			continue;
		// Given twice, two readers could each believe another one.
		if (out->given & 1u << i || !rows[i].parse(value, out))
			return PARAMETERS_BAD;
		out->given |= 1u << i;
		return PARAMETERS_GOOD;
	}
	return PARAMETERS_UNKNOWN;
}

enum parameters_result parameters_parse(struct slice in, bool known, struct parameters *out,
					struct slice *culprit)
{
	enum parameters_result result = PARAMETERS_GOOD;
	*out = (struct parameters){0};
	*culprit = in;
	// "<a@b>SIZE=1": no space between.
	if (in.length && in.data[0] != ' ')
		return PARAMETERS_BAD;
	for (;;) {
		while (in.length && in.data[0] == ' ')
			in = slice_from(in, 1);
		if (in.length == 0)
			return result;
		const uint8_t *space = memchr(in.data, ' ', in.length);
		const struct slice one =
			slice_first(in, space ? (size_t)(space - in.data) : in.length);
		const enum parameters_result this_one = parse_one(one, known, out);
		if (this_one > result) {
			result = this_one;
			*culprit = one;
		}
		in = slice_from(in, one.length);
	}
}
