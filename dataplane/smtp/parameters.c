// SPDX-License-Identifier: BSD-3-Clause
//
// See parameters.h. One row a keyword.
#include "dataplane/smtp/parameters.h"
#include "dataplane/smtp/extension.h"
#include "dataplane/smtp/path.h"

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
	if (is_text(value, "8BITMIME"))
		out->needed |= SMTP_EXTENSION_8BITMIME;
	else if (is_text(value, "BINARYMIME"))
		out->needed |= SMTP_EXTENSION_BINARYMIME | SMTP_EXTENSION_CHUNKING;
	else
		return is_text(value, "7BIT");
	return true;
}

static bool parse_ret(struct slice value, struct parameters *out)
{
	return is_text(value, "FULL") || is_text(value, "HDRS");
}

static int hexadecimal(uint8_t c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

// xtext (RFC 3461 section 4) of at most `most` octets. What it stands for must be printable: nobody
// gets a line end or a NUL into a server's log or message by it.
static bool is_xtext(struct slice text, size_t most)
{
	if (text.length == 0 || text.length > most)
		return false;
	for (size_t i = 0; i < text.length; i++) {
		int high, low;
		if (text.data[i] != '+')
			continue;
		if (i + 2 >= text.length)
			return false;
		high = hexadecimal(text.data[i + 1]);
		low = hexadecimal(text.data[i + 2]);
		if (high < 0 || low < 0 || high * 16 + low < 32 || high * 16 + low > 126)
			return false;
		i += 2;
	}
	return true;
}

size_t parameters_decode(struct slice xtext, uint8_t *out)
{
	size_t length = 0;

	for (size_t i = 0; i < xtext.length; i++) {
		if (xtext.data[i] != '+') {
			out[length++] = xtext.data[i];
			continue;
		}
		out[length++] = (uint8_t)(hexadecimal(xtext.data[i + 1]) * 16 +
					  hexadecimal(xtext.data[i + 2]));
		i += 2;
	}
	return length;
}

static bool parse_envid(struct slice value, struct parameters *out)
{
	return is_xtext(value, 100); // RFC 3461 section 4.4
}

// RFC 6531 section 3.4: a keyword without a value.
static bool parse_utf8(struct slice value, struct parameters *out)
{
	return value.length == 0;
}

// RFC 4954 section 5: the mailbox in xtext, or "<>" for nobody in particular.
static bool parse_auth(struct slice value, struct parameters *out)
{
	out->trusted = !is_text(value, "<>");
	return !out->trusted || is_xtext(value, 500);
}

// NEVER, or a list of the others, each once.
static bool parse_notify(struct slice value, struct parameters *out)
{
	static const char *const events[] = {"SUCCESS", "FAILURE", "DELAY"};
	unsigned seen = 0;
	if (is_text(value, "NEVER"))
		return true;
	for (bool more = true; more;) {
		const uint8_t *comma = value.length ? memchr(value.data, ',', value.length) : NULL;
		const struct slice event =
			slice_first(value, comma ? (size_t)(comma - value.data) : value.length);
		unsigned i = 0;
		while (i < 3 && !is_text(event, events[i]))
			i++;
		if (i == 3 || seen & 1u << i)
			return false;
		seen |= 1u << i;
		more = comma != NULL;
		value = slice_from(value, event.length + more);
	}
	return true;
}

// addr-type ";" xtext, 500 octets in all (RFC 3461 section 4.2).
static bool parse_orcpt(struct slice value, struct parameters *out)
{
	const uint8_t *semicolon = value.length ? memchr(value.data, ';', value.length) : NULL;
	if (!semicolon || semicolon == value.data || value.length > 500)
		return false;
	return is_xtext(slice_from(value, (size_t)(semicolon - value.data) + 1), 500);
}

// The form of ORCPT, and it is the address of a mailbox: no other kind can be judged.
static bool parse_orar(struct slice value, struct parameters *out)
{
	static const char type[] = "rfc822;";
	const size_t length = sizeof(type) - 1;

	if (!is_text(slice_first(value, length), type))
		return false;
	out->alternate = slice_from(value, length);
	return is_xtext(out->alternate, PATH_LONG_ADDRESS);
}

static const struct row {
	const char *keyword;
	enum parameters_command command;
	bool (*parse)(struct slice value, struct parameters *out);
	unsigned extension; // that must have been offered, and that a server needs; 0 = none
	bool forward;
} rows[] = {
	{"SIZE", PARAMETERS_OF_MAIL, parse_size, 0, false},
	{"BODY", PARAMETERS_OF_MAIL, parse_body, 0, false},
	{"RET", PARAMETERS_OF_MAIL, parse_ret, SMTP_EXTENSION_DSN, true},
	{"ENVID", PARAMETERS_OF_MAIL, parse_envid, SMTP_EXTENSION_DSN, true},
	{"SMTPUTF8", PARAMETERS_OF_MAIL, parse_utf8, SMTP_EXTENSION_SMTPUTF8, true},
	{"AUTH", PARAMETERS_OF_MAIL, parse_auth, 0, false},
	{"NOTIFY", PARAMETERS_OF_RCPT, parse_notify, SMTP_EXTENSION_DSN, true},
	{"ORCPT", PARAMETERS_OF_RCPT, parse_orcpt, SMTP_EXTENSION_DSN, true},
	{"ORAR", PARAMETERS_OF_RCPT, parse_orar, SMTP_EXTENSION_XORAR, true},
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

// What the command line said before the parameter, and where its meaning goes.
struct context {
	enum parameters_command command;
	bool extended;
	unsigned offered;
	struct parameters *out;
};

static enum parameters_result take(const struct context *context, const struct row *row,
				   struct slice text, struct slice value)
{
	struct parameters *out = context->out;
	const unsigned bit = 1u << (row - rows);

	// Given twice, two readers could each believe another one.
	if (out->given & bit || !row->parse(value, out))
		return PARAMETERS_BAD;
	out->given |= bit;
	out->needed |= row->extension;
	// BODY brings an extension of its own.
	if (out->needed & ~context->offered)
		return PARAMETERS_UNKNOWN;
	if (row->forward)
		out->forward[out->forward_count++] = text;
	return PARAMETERS_GOOD;
}

static enum parameters_result parse_one(const struct context *context, struct slice text)
{
	const uint8_t *equals = memchr(text.data, '=', text.length);
	const struct slice keyword =
		slice_first(text, equals ? (size_t)(equals - text.data) : text.length);
	const struct slice value = slice_from(text, keyword.length + 1);

	// "SIZE=" has a sign that promises a value.
	if (!keyword_well_formed(keyword) || !value_well_formed(value) ||
	    (equals && value.length == 0))
		return PARAMETERS_BAD;
	for (unsigned i = 0; context->extended && i < sizeof(rows) / sizeof(*rows); i++) {
		if (rows[i].command == context->command && is_text(keyword, rows[i].keyword) &&
		    !(rows[i].extension & ~context->offered))
			return take(context, &rows[i], text, value);
	}
	return PARAMETERS_UNKNOWN;
}

enum parameters_result parameters_parse(struct slice in, enum parameters_command command,
					bool extended, unsigned offered, struct parameters *out,
					struct slice *culprit)
{
	const struct context context = {command, extended, offered, out};
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
		const enum parameters_result this_one = parse_one(&context, one);
		if (this_one > result) {
			result = this_one;
			*culprit = one;
		}
		in = slice_from(in, one.length);
	}
}
