// SPDX-License-Identifier: BSD-3-Clause
//
// See header.h. One state a byte, with the rest of a line passed or dropped as a whole.
#include "dataplane/smtp/header.h"

#include <assert.h>
#include <strings.h>

enum header_state {
	STATE_LINE_START,
	STATE_NAME,     // collecting what may be the name of a field to be removed
	STATE_LINE,     // the rest of a line whose field is known
	STATE_AFTER_CR, // a line ended with CR; LF may follow
	STATE_EMPTY_CR, // an empty line's CR
	STATE_ENDED,
};

enum {
	KEEP_ROUTING = 1 << 0,
	KEEP_ORGANIZATION = 1 << 1,
	KEEP_FOREST = 1 << 2,
};

// The fields of the header firewall. A name that ends with '-' is the beginning of a name.
static const struct field {
	const char *name;
	uint8_t group;
} fields[] = {
	{"Received", KEEP_ROUTING},
	{"Resent-Date", KEEP_ROUTING},
	{"Resent-From", KEEP_ROUTING},
	{"Resent-Sender", KEEP_ROUTING},
	{"Resent-To", KEEP_ROUTING},
	{"Resent-Cc", KEEP_ROUTING},
	{"Resent-Bcc", KEEP_ROUTING},
	{"Resent-Message-ID", KEEP_ROUTING},
	{"X-MS-Exchange-Organization-", KEEP_ORGANIZATION},
	{"X-MS-Exchange-Forest-", KEEP_FOREST},
};
#define FIELD_COUNT (sizeof(fields) / sizeof(fields[0]))

void header_init(struct header *header, rights_mask rights)
{
	// Until a field begins there is none that a folded line could belong to.
	*header = (struct header){.state = STATE_LINE_START, .removing = true};
	if (rights & RIGHT_ACCEPT_HEADERS_ROUTING)
		header->keep |= KEEP_ROUTING;
	if (rights & RIGHT_ACCEPT_HEADERS_ORGANIZATION)
		header->keep |= KEEP_ORGANIZATION;
	if (rights & RIGHT_ACCEPT_HEADERS_FOREST)
		header->keep |= KEEP_FOREST;
}

bool header_ended(const struct header *header)
{
	return header->state == STATE_ENDED;
}

bool header_keeps_back(const struct header *header)
{
	return header->length > 0;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static const struct field *find_field(const char *name, size_t length)
{
	for (size_t i = 0; i < FIELD_COUNT; i++) {
		const size_t wanted = strlen(fields[i].name);
		const bool beginning = fields[i].name[wanted - 1] == '-';
		if ((beginning ? length >= wanted : length == wanted) &&
		    strncasecmp(fields[i].name, name, wanted) == 0)
			return &fields[i];
	}
	return NULL;
}

// What was collected, without a stuffed dot and blanks at the end. *blanks: there were some.
static struct slice collected_name(const struct header *header, bool *blanks)
{
	struct slice name = slice_of(header->name, header->length);
	const size_t whole = name.length;
	while (name.length > 0 && is_blank((char)name.data[name.length - 1]))
		name.length--;
	*blanks = name.length < whole;
	return name.length > 0 && name.data[0] == '.' ? slice_from(name, 1) : name;
}

// What was collected is as much of the name as is needed: the field begins, and so does its fate.
static void begin_field(struct header *header)
{
	bool blanks;
	const struct slice name = collected_name(header, &blanks);
	const struct field *field = find_field((const char *)name.data, name.length);
	header->removing = field && !(header->keep & field->group);
	header->received = field == &fields[0];
	header->by = 0;
	if (header->removing)
		header->removed++;
	if (header->received && header->hops < UINT16_MAX)
		header->hops++;
}

// Does the collected text decide already? A colon ends the name; so does a byte that no name that
// is looked for has in that place.
static bool name_decided(const struct header *header)
{
	bool blanks;
	const struct slice name = collected_name(header, &blanks);
	if (header->name[header->length - 1] == ':' || header->length == HEADER_HELD_MAX)
		return true;
	for (size_t i = 0; i < FIELD_COUNT; i++) {
		const size_t wanted = strlen(fields[i].name);
		if (name.length > wanted ||
		    strncasecmp(fields[i].name, (const char *)name.data, name.length) != 0)
			continue;
		if (name.length == wanted) // with '-' at its end more of it changes nothing
			return fields[i].name[wanted - 1] == '-';
		// With blanks behind it only a whole name can still be one.
		if (!blanks)
			return false;
	}
	return true;
}

// "by FQDN" in a Received field (RFC 5321 section 4.4): 0 = in a word, 1 = a blank was seen, 2 = b,
// 3 = by, 4 = by and a blank, 5 and up = so many bytes of the name less 5.
static void search_by(struct header *header, char c, const char *fqdn)
{
	const bool blank = is_blank(c) || c == '\r' || c == '\n';
	const size_t length = strlen(fqdn);

	if (header->by >= 5 && (size_t)(header->by - 5) == length) {
		// The whole name: it must end here.
		if ((blank || c == ';' || c == '(') && header->local_hops < UINT16_MAX)
			header->local_hops++;
		header->by = blank;
	} else if (header->by >= 4 && !blank) {
		const size_t at = header->by == 4 ? 0 : header->by - 5u;
		const bool same = strncasecmp(&fqdn[at], &c, 1) == 0;
		header->by = same && at + 1 + 5 <= UINT8_MAX ? (uint8_t)(at + 1 + 5) : 0;
	} else if (blank) {
		header->by = header->by == 3 || header->by == 4 ? 4 : 1;
	} else if (header->by == 1 && (c == 'b' || c == 'B')) {
		header->by = 2;
	} else if (header->by == 2 && (c == 'y' || c == 'Y')) {
		header->by = 3;
	} else {
		header->by = 0;
	}
}

static void at_line_start(struct header *header, char c)
{
	if (c == '\r') {
		header->state = STATE_EMPTY_CR;
		header->removing = false;
	} else if (c == '\n') {
		header->state = STATE_ENDED;
		header->removing = false;
	} else if (is_blank(c)) {
		header->state = STATE_LINE; // a folded line: its field's fate is its own
	} else {
		header->state = STATE_NAME;
		header->length = 0;
	}
}

static void step(struct header *header, char c, const char *fqdn)
{
	// A CR alone ended the line as well.
	if ((header->state == STATE_AFTER_CR || header->state == STATE_EMPTY_CR) && c != '\n')
		header->state = STATE_LINE_START;
	switch ((enum header_state)header->state) {
	case STATE_AFTER_CR:
		header->state = STATE_LINE_START;
		break;
	case STATE_EMPTY_CR:
		header->state = STATE_ENDED;
		break;
	case STATE_LINE_START:
		at_line_start(header, c);
		break;
	case STATE_NAME:
	case STATE_LINE:
	case STATE_ENDED:
		break;
	}
	if (header->state == STATE_NAME && header->length == 1 && header->name[0] == '.' &&
	    is_blank(c)) {
		// A folded line behind a stuffed dot: the field's fate is its own.
		header->name[header->length++] = c;
		header->state = STATE_LINE;
	} else if (header->state == STATE_NAME) {
		const bool end = c == '\r' || c == '\n';
		header->name[header->length++] = c;
		if (end || name_decided(header)) {
			header->length -= c == ':' || end;
			begin_field(header);
			header->length += c == ':' || end;
			header->state = STATE_LINE;
		}
	}
	if (header->state == STATE_LINE) {
		if (header->received)
			search_by(header, c, fqdn);
		if (c == '\r')
			header->state = STATE_AFTER_CR;
		else if (c == '\n')
			header->state = STATE_LINE_START;
	}
}

void header_input(struct header *header, struct slice in, const char *fqdn, struct slice *before,
		  struct slice *passed)
{
	size_t at = 0;

	*before = slice_first(in, 0);
	*passed = slice_first(in, 0);
	assert(!header_ended(header));
	if (__builtin_add_overflow(header->octets, (uint32_t)in.length, &header->octets))
		header->octets = UINT32_MAX;
	// Up to the decision; at least the first byte, which tells what kind of line it is.
	do {
		if (at == in.length)
			return; // the whole piece is kept back
		step(header, (char)in.data[at++], fqdn);
	} while (header->state == STATE_NAME);
	// What was collected is in name[], with the bytes of this piece among it.
	const size_t rest = header->length > 0 ? at : 0;
	if (!header->removing)
		*before = slice_of(header->name, header->length);
	header->length = 0;
	while (at < in.length)
		step(header, (char)in.data[at++], fqdn);
	if (!header->removing)
		*passed = slice_from(in, rest);
}
