// SPDX-License-Identifier: BSD-3-Clause
//
// A recursive-descent reading of RFC 5321's grammar, one function a production. Beyond the grammar
// it refuses encoded words in a local part: some mail software decodes them after the decision.
#include "dataplane/smtp/path.h"
#include "config/address.h"

#include <strings.h>

// Where the parser stands. Every production returns false at the first byte that does not fit.
struct reader {
	struct slice in;
	size_t at;
	size_t local_max; // octets of a local part
};

static int peek(const struct reader *reader)
{
	return reader->at < reader->in.length ? reader->in.data[reader->at] : -1;
}

static bool accept(struct reader *reader, int c)
{
	if (peek(reader) != c)
		return false;
	reader->at++;
	return true;
}

static bool alphanumeric(int c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

static bool name_byte(int c)
{
	return alphanumeric(c) || c == '-' || c == '_';
}

// atext of RFC 5322 section 3.2.3 and RFC 6531 section 3.3. That bytes above 127 are UTF-8 is seen
// for the whole path.
static bool atom_byte(int c)
{
	return alphanumeric(c) || c > 127 || (c > 0 && c < 127 && strchr("!#$%&'*+-/=?^_`{|}~", c));
}

static bool domain_text(struct slice text, bool utf8)
{
	size_t label = 0;
	if (text.length == 0 || text.length > PATH_DOMAIN_MAX)
		return false;
	for (size_t i = 0; i < text.length; i++) {
		const bool at_end = i + 1 == text.length || text.data[i + 1] == '.';
		if (text.data[i] == '.') {
			// Stops empty labels: a leading, doubled or final dot.
			if (label == 0 || i + 1 == text.length)
				return false;
			label = 0;
			continue;
		}
		// A leading - would be an option to whatever command line it ends up in.
		if (!name_byte(text.data[i]) && !(utf8 && text.data[i] > 127))
			return false;
		if (text.data[i] == '-' && (label == 0 || at_end))
			return false;
		if (++label > 63)
			return false;
	}
	return true;
}

bool path_domain_name(struct slice text)
{
	return domain_text(text, false);
}

bool path_hello_name(struct slice text)
{
	if (text.length > PATH_DOMAIN_MAX)
		return false;
	if (text.length < 3 || text.data[0] != '[') {
		if (text.length > 1 && text.data[text.length - 1] == '.')
			text.length--;
		return path_domain_name(text);
	}
	if (text.data[text.length - 1] != ']')
		return false;
	for (size_t i = 1; i + 1 < text.length; i++) {
		const int c = text.data[i];
		if (!name_byte(c) && c != ':' && c != '.' && c != '%')
			return false;
	}
	return true;
}

// [192.0.2.1] or [IPv6:2001:db8::1]: section 4.1.3. Standardized-tag literals have no user.
static bool address_literal(struct reader *reader)
{
	static const char tag[] = "IPv6:";
	char text[ADDRESS_TEXT_MAX];
	size_t length = 0;
	struct address address;
	const char *why;

	if (!accept(reader, '['))
		return false;
	while (peek(reader) > 0 && peek(reader) != ']' && length + 1 < sizeof(text))
		text[length++] = (char)reader->in.data[reader->at++];
	text[length] = '\0';
	if (!accept(reader, ']'))
		return false;
	if (strncasecmp(text, tag, sizeof(tag) - 1) == 0)
		return strchr(text + sizeof(tag) - 1, ':') &&
		       address_parse(text + sizeof(tag) - 1, &address, &why) == 0;
	return !strchr(text, ':') && address_parse(text, &address, &why) == 0;
}

static bool add_domain(struct path *path, struct slice domain)
{
	if (path->domain_count == PATH_DOMAINS_MAX)
		return false;
	path->domains[path->domain_count++] = domain;
	return true;
}

static bool domain(struct reader *reader, struct path *path)
{
	const size_t start = reader->at;
	if (peek(reader) == '[') {
		if (!address_literal(reader))
			return false;
	} else {
		while (name_byte(peek(reader)) || peek(reader) == '.' || peek(reader) > 127)
			reader->at++;
		if (!domain_text(slice_first(slice_from(reader->in, start), reader->at - start),
				 true))
			return false;
	}
	return add_domain(path, slice_of(reader->in.data + start, reader->at - start));
}

// @a,@b: in front of the mailbox.
static bool source_route(struct reader *reader, struct path *path)
{
	do {
		if (!accept(reader, '@') || !domain(reader, path))
			return false;
	} while (accept(reader, ','));
	return accept(reader, ':');
}

static bool add_local(struct path *path, int c)
{
	if (path->local_length == sizeof(path->local))
		return false;
	path->local[path->local_length++] = (uint8_t)c;
	return true;
}

static bool quoted_string(struct reader *reader, struct path *path)
{
	if (!accept(reader, '"'))
		return false;
	while (!accept(reader, '"')) {
		accept(reader, '\\');
		// qtextSMTP and what a backslash may quote: printable ASCII, the space, UTF-8.
		if (peek(reader) < 32 || peek(reader) == 127 || !add_local(path, peek(reader)))
			return false;
		reader->at++;
	}
	return true;
}

static bool dot_string(struct reader *reader, struct path *path)
{
	do {
		if (path->local_length && !add_local(path, '.'))
			return false;
		if (!atom_byte(peek(reader)))
			return false; // Stops empty parts: a leading, doubled or final dot.
		while (atom_byte(peek(reader))) {
			if (!add_local(path, peek(reader)))
				return false;
			reader->at++;
		}
	} while (accept(reader, '.'));
	return true;
}

static bool local_part(struct reader *reader, struct path *path)
{
	const size_t start = reader->at;
	const bool good =
		peek(reader) == '"' ? quoted_string(reader, path) : dot_string(reader, path);
	if (!good || reader->at - start > reader->local_max)
		return false;
	// =?charset?encoding?text?= may become another address after decoding.
	const void *word = memmem(path->local, path->local_length, "=?", 2);
	return !word || !memmem(path->local, path->local_length, "?=", 2);
}

// The domains that servers of old, or lenient ones, see inside a local part: what follows % or @,
// and what precedes !.
static bool add_inner_domains(struct path *path)
{
	const struct slice local = slice_of(path->local, path->local_length);
	int before = 0;
	for (size_t at = 0;;) {
		size_t end = at;
		while (end < local.length && !strchr("%@!", local.data[end]))
			end++;
		const int after = end < local.length ? local.data[end] : 0;
		if ((before == '%' || before == '@' || after == '!') &&
		    !add_domain(path, slice_first(slice_from(local, at), end - at)))
			return false;
		if (end == local.length)
			return true;
		before = after;
		at = end + 1;
	}
}

static bool mailbox(struct reader *reader, struct path *path)
{
	const bool quoted = peek(reader) == '"';
	const unsigned routed = path->domain_count;
	if (!local_part(reader, path))
		return false;
	if (peek(reader) == '>') {
		static const char name[] = "postmaster";
		path->postmaster =
			!quoted && routed == 0 && path->local_length == sizeof(name) - 1 &&
			strncasecmp((const char *)path->local, name, sizeof(name) - 1) == 0;
		return path->postmaster;
	}
	if (!accept(reader, '@') || !domain(reader, path))
		return false;
	// The real domain goes first, the route behind it.
	const struct slice real = path->domains[path->domain_count - 1];
	memmove(path->domains + 1, path->domains, routed * sizeof(*path->domains));
	path->domains[0] = real;
	return add_inner_domains(path);
}

// Well-formed UTF-8 (RFC 3629 section 4: shortest form, no surrogates, up to U+10FFFF) without the
// control characters U+0080 to U+009F. *any: there is any byte above 127.
static bool is_utf8(struct slice text, bool *any)
{
	static const struct {
		uint8_t first, last, second_first, second_last, more;
	} forms[] = {
		{0xc2, 0xc2, 0xa0, 0xbf, 0}, {0xc3, 0xdf, 0x80, 0xbf, 0},
		{0xe0, 0xe0, 0xa0, 0xbf, 1}, {0xe1, 0xec, 0x80, 0xbf, 1},
		{0xed, 0xed, 0x80, 0x9f, 1}, {0xee, 0xef, 0x80, 0xbf, 1},
		{0xf0, 0xf0, 0x90, 0xbf, 2}, {0xf1, 0xf3, 0x80, 0xbf, 2},
		{0xf4, 0xf4, 0x80, 0x8f, 2},
	};
	*any = false;
	for (size_t i = 0; i < text.length; i++) {
		const uint8_t c = text.data[i];
		unsigned form = 0, count = sizeof(forms) / sizeof(*forms);
		if (c < 128)
			continue;
		*any = true;
		while (form < count && (c < forms[form].first || c > forms[form].last))
			form++;
		if (form == count || i + 1 + forms[form].more >= text.length ||
		    text.data[i + 1] < forms[form].second_first ||
		    text.data[i + 1] > forms[form].second_last)
			return false;
		for (unsigned more = 0; more < forms[form].more; more++)
			if ((text.data[i + 2 + more] & 0xc0) != 0x80)
				return false;
		i += 1u + forms[form].more;
	}
	return true;
}

static bool parse(struct reader reader, struct path *path, size_t *used)
{
	const struct slice in = reader.in;

	path->null = path->postmaster = false;
	path->domain_count = 0;
	path->local_length = 0;
	if (!accept(&reader, '<'))
		return false;
	if (peek(&reader) == '>')
		path->null = true;
	else if ((peek(&reader) == '@' && !source_route(&reader, path)) || !mailbox(&reader, path))
		return false;
	if (!accept(&reader, '>'))
		return false;
	path->text = slice_first(in, reader.at);
	*used = reader.at;
	return is_utf8(path->text, &path->utf8);
}

bool path_parse(struct slice in, struct path *path, size_t *used)
{
	return parse((struct reader){slice_first(in, PATH_MAX_OCTETS), 0, PATH_LOCAL_MAX}, path,
		     used);
}

bool path_parse_long(struct slice in, struct path *path, size_t *used)
{
	return parse((struct reader){slice_first(in, PATH_LONG_ADDRESS + sizeof("<>") - 1), 0,
				     PATH_LONG_ADDRESS},
		     path, used);
}
