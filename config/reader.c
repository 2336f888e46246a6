// SPDX-License-Identifier: BSD-3-Clause
//
// INI text -> events, by inih behind a line reader of ours.
// inih decides what is a header and what is a key, splits key from value and trims blanks. But as
// Debian builds it (release 55), it cuts lines at 200 bytes and section names at 49 without a word,
// ignores what follows a ']', never reports a section without keys, takes every indented line for a
// continuation, strips no comment there, tells its handler no line number and only the first error.
// So we see each raw line first: end of line, NUL and control bytes, length, comment, indentation
// are judged here, and inih gets short lines made from it:
//   [KIND NAME]     as "[KIND]", then "@ = " and NAME as a value: it also reports an empty section
//   Key = value     as its first bytes unchanged, the rest in pieces
//   pieces          as inih's own continuation lines, " <bytes>"; the guards keep blanks from
//   trimming
// A line for which inih did not call its handler is one that it refused; we know its number.
// Nothing is cut: a line holds READER_LINE_MAX bytes, a list any number of lines.
#include "config/reader.h"

#include <assert.h>
#include <errno.h>
#include <ini.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME_KEY "@" // the key under which inih hands a section's name back

// The last line given to inih.
enum handed { HANDED_NOTHING, HANDED_HEADER, HANDED_NAME, HANDED_KEY, HANDED_PIECE };

// Whose value is being gathered.
enum gathering { GATHER_NOTHING, GATHER_SKIPPED, GATHER_NAME, GATHER_SCALAR, GATHER_LIST };

struct reader {
	const struct reader_listener *listener;
	const char *next, *end; // bytes not read yet
	unsigned line;          // number of the line read last

	const char *rest; // what inih still has to get of it
	size_t rest_length;
	enum handed handed;
	bool answered; // inih called its handler for the line handed last

	enum gathering gathering;
	unsigned value_line;
	char kind[48]; // of the section whose name is gathered
	char *value;
	size_t value_length, value_room;
	int error;
};

static void fault(struct reader *reader, const char *text)
{
	reader->listener->fault(reader->listener->context, reader->line, text);
}

static bool is_blank(char byte)
{
	return byte == ' ' || byte == '\t';
}

// ---- Values ----------------------------------------------------------------------------------

static void value_append(struct reader *reader, const char *bytes, size_t length)
{
	// One byte stays free for the NUL.
	if (reader->value_room - reader->value_length <= length) {
		size_t room = 2 * reader->value_room + length + 256;
		char *value = realloc(reader->value, room);

		if (value == NULL) {
			reader->error = -ENOMEM;
			return;
		}
		reader->value = value;
		reader->value_room = room;
	}
	memcpy(reader->value + reader->value_length, bytes, length);
	reader->value_length += length;
}

static void value_finish(struct reader *reader)
{
	const struct reader_listener *listener = reader->listener;
	enum gathering gathered = reader->gathering;
	char *start, *end;

	reader->gathering = GATHER_NOTHING;
	if (gathered == GATHER_NOTHING || gathered == GATHER_SKIPPED || reader->error != 0)
		return;
	value_append(reader, "", 0); // room for the NUL even of an empty value
	if (reader->error != 0)
		return;
	start = reader->value;
	end = start + reader->value_length;
	while (start < end && is_blank(*start))
		start++;
	while (end > start && (is_blank(end[-1]) || end[-1] == '\n'))
		end--;
	*end = '\0';
	if (gathered == GATHER_NAME)
		listener->section(listener->context, reader->kind, start, reader->value_line);
	else
		listener->value(listener->context, start, reader->value_line);
}

static void value_begin(struct reader *reader, enum gathering gathering)
{
	reader->gathering = gathering;
	reader->value_line = reader->line;
	reader->value_length = 0;
}

// The rest of this line and the indented ones below it belong to nobody.
static void skip_value(struct reader *reader)
{
	reader->gathering = GATHER_SKIPPED;
	reader->rest_length = 0;
}

static void take_key(struct reader *reader, const char *name)
{
	const struct reader_listener *listener = reader->listener;

	if (name[0] == '\0') {
		fault(reader, "the key before the '=' is missing");
		skip_value(reader);
		return;
	}
	switch (listener->key(listener->context, name, reader->line)) {
	case READER_SCALAR:
		value_begin(reader, GATHER_SCALAR);
		break;
	case READER_LIST:
		value_begin(reader, GATHER_LIST);
		break;
	default:
		skip_value(reader);
	}
}

// What inih made of the line handed last.
static int on_pair(void *user, const char *section, const char *name, const char *value)
{
	struct reader *reader = user;
	size_t length = strlen(value);

	reader->answered = true;
	if (reader->handed == HANDED_NAME) {
		assert(strlen(section) < sizeof(reader->kind));
		strcpy(reader->kind, section);
		value_begin(reader, GATHER_NAME);
	} else if (reader->handed == HANDED_KEY) {
		take_key(reader, name);
	} else {
		assert(reader->handed == HANDED_PIECE && length >= 2);
		value++; // the guards
		length -= 2;
	}
	if (reader->gathering != GATHER_SKIPPED)
		value_append(reader, value, length);
	return 1;
}

// ---- Raw lines -------------------------------------------------------------------------------

struct raw {
	const char *text;
	size_t length;
	bool bad; // told already; must not be used
};

static bool has_byte_order_mark(const char *text, size_t length)
{
	return length >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0;
}

static const char *raw_fault(const char *text, size_t length)
{
	if (has_byte_order_mark(text, length))
		return "a byte order mark inside the file: were two files joined?";
	if (length > READER_LINE_MAX)
		return "the line is longer than 64 KiB: continue a list on indented lines";
	for (size_t i = 0; i < length; i++) {
		unsigned char byte = (unsigned char)text[i];

		if (byte == '\0')
			return "the line holds a NUL byte: save the file as plain text (UTF-8)";
		if (byte == '\r')
			return "a carriage return inside the line: end lines with LF or CR LF";
		if ((byte < 0x20 && byte != '\t') || byte == 0x7f)
			return "the line holds a control character";
	}
	return NULL;
}

// The length of a line without its comment: from the start, or ';' behind a blank. This is inih's
// rule, applied to every line instead of only to the first of a value.
static size_t without_comment(const char *text, size_t length)
{
	size_t start = 0;

	while (start < length && is_blank(text[start]))
		start++;
	if (start < length && (text[start] == ';' || text[start] == '#'))
		return 0;
	for (size_t i = start + 1; i < length; i++)
		if (text[i] == ';' && is_blank(text[i - 1])) {
			length = i;
			break;
		}
	while (length > 0 && is_blank(text[length - 1]))
		length--;
	return length;
}

static bool raw_next(struct reader *reader, struct raw *raw)
{
	const char *newline, *why;

	if (reader->next == reader->end)
		return false;
	newline = memchr(reader->next, '\n', (size_t)(reader->end - reader->next));
	raw->text = reader->next;
	raw->length = (size_t)((newline != NULL ? newline : reader->end) - reader->next);
	reader->next = newline != NULL ? newline + 1 : reader->end;
	reader->line++;
	if (raw->length > 0 && raw->text[raw->length - 1] == '\r')
		raw->length--;
	why = raw_fault(raw->text, raw->length);
	raw->bad = why != NULL;
	if (raw->bad)
		fault(reader, why);
	else
		raw->length = without_comment(raw->text, raw->length);
	return true;
}

// ---- One raw line -> lines for inih ----------------------------------------------------------

// Puts "[KIND]" into the buffer; the name follows as the rest. False when the header is no good.
static bool hand_header(struct reader *reader, const struct raw *raw, char *buffer, size_t room)
{
	const char *inside = raw->text + 1;
	const char *close = memchr(raw->text, ']', raw->length);
	const char *kind_end, *name;
	size_t kind_length;

	if (close == NULL) {
		fault(reader, "the section header has no closing ]");
		return false;
	}
	if (close != raw->text + raw->length - 1) {
		fault(reader, "nothing but a comment (a blank and ;) may follow the closing ]");
		return false;
	}
	while (inside < close && is_blank(*inside))
		inside++;
	kind_end = inside;
	while (kind_end < close && !is_blank(*kind_end))
		kind_end++;
	kind_length = (size_t)(kind_end - inside);
	if (kind_length == 0) {
		fault(reader, "the section header is empty: write [gate], [port NAME], [connector "
			      "NAME], [backend NAME] or [accepted-domain DOMAIN]");
		return false;
	}
	// inih would cut it.
	if (kind_length >= sizeof(reader->kind) || kind_length + 3 > room) {
		fault(reader, "unknown section: the first word of the header is too long");
		return false;
	}
	name = kind_end;
	while (name < close && is_blank(*name))
		name++;
	snprintf(buffer, room, "[%.*s]", (int)kind_length, inside);
	reader->rest = name;
	reader->rest_length = (size_t)(close - name);
	reader->handed = HANDED_HEADER;
	return true;
}

static void hand_name(struct reader *reader, char *buffer, size_t room)
{
	snprintf(buffer, room, "%s =", NAME_KEY);
	reader->handed = HANDED_NAME;
	reader->answered = false;
}

static void hand_key(struct reader *reader, const struct raw *raw, char *buffer, size_t room)
{
	size_t length = raw->length;

	if (length >= room) {
		length = room - 1;
		// inih trims what it gets: the blanks at the cut must go with the rest.
		while (is_blank(raw->text[length - 1]))
			length--;
	}
	memcpy(buffer, raw->text, length);
	buffer[length] = '\0';
	reader->rest = raw->text + length;
	reader->rest_length = raw->length - length;
	reader->handed = HANDED_KEY;
	reader->answered = false;
}

static void hand_piece(struct reader *reader, char *buffer, size_t room)
{
	size_t length = reader->rest_length < room - 4 ? reader->rest_length : room - 4;

	snprintf(buffer, room, " <%.*s>", (int)length, reader->rest);
	reader->rest += length;
	reader->rest_length -= length;
	reader->handed = HANDED_PIECE;
	reader->answered = false;
}

static bool is_header(const struct raw *raw)
{
	size_t start = 0;

	while (start < raw->length && is_blank(raw->text[start]))
		start++;
	// [::1] may be an item of a list.
	return start < raw->length && raw->text[start] == '[' &&
	       raw->text[raw->length - 1] == ']' && memchr(raw->text, ':', raw->length) == NULL;
}

static void break_section(struct reader *reader)
{
	value_finish(reader);
	reader->listener->broken_section(reader->listener->context);
	skip_value(reader);
}

// An indented line: more of the list above, or a mistake.
static bool hand_continuation(struct reader *reader, const struct raw *raw, char *buffer,
			      size_t room)
{
	if (is_header(raw)) {
		fault(reader, "a section header must begin in the first column");
		break_section(reader);
		return false;
	}
	switch (reader->gathering) {
	case GATHER_SKIPPED:
		return false;
	case GATHER_LIST:
		break;
	case GATHER_SCALAR:
		fault(reader, "an indented line continues the key above, which takes one value "
			      "only: begin a key or a section in the first column");
		return false;
	default:
		fault(reader, "an indented line continues nothing here: begin a key or a section "
			      "in the first column");
		return false;
	}
	if (memchr(raw->text, '=', raw->length) != NULL) {
		fault(reader,
		      "an indented line continues the list above and may hold no '=': begin "
		      "a key in the first column");
		return false;
	}
	reader->rest = raw->text;
	reader->rest_length = raw->length;
	hand_piece(reader, buffer, room);
	return true;
}

// Did inih take the line handed last? If not, the rest of it is dropped.
static void judge_answer(struct reader *reader)
{
	if (reader->handed == HANDED_KEY && !reader->answered) {
		skip_value(reader); // and what continues it
		fault(reader, "neither [section], Key = value nor a comment");
	}
	// An inih built without multi-line values would lose pieces.
	assert(reader->handed != HANDED_PIECE || reader->answered);
	assert(reader->handed != HANDED_NAME || reader->answered);
}

// A new raw line; false when nothing of it goes to inih.
static bool hand_raw(struct reader *reader, const struct raw *raw, char *buffer, size_t room)
{
	bool indented = raw->length > 0 && is_blank(raw->text[0]);
	// Behind a stray mark there may be a header.
	bool header = raw->length > 0 &&
		      (raw->text[0] == '[' || has_byte_order_mark(raw->text, raw->length));

	if (raw->length == 0 || indented) {
		// Comments and blank lines inside a list count for the line numbers of its items.
		if (reader->gathering == GATHER_LIST)
			value_append(reader, "\n", 1);
		return indented && !raw->bad && hand_continuation(reader, raw, buffer, room);
	}
	value_finish(reader);
	if (!header && !raw->bad) {
		hand_key(reader, raw, buffer, room);
		return true;
	}
	if (header && !raw->bad && hand_header(reader, raw, buffer, room))
		return true;
	if (header)
		break_section(reader);
	else
		skip_value(reader);
	return false;
}

// inih's fgets(): the next line for it.
static char *next_line(char *buffer, int size, void *stream)
{
	struct reader *reader = stream;
	size_t room = size < 0 ? 0 : (size_t)size;
	struct raw raw;

	assert(room >= 64);
	judge_answer(reader);
	if (reader->error != 0)
		return NULL;
	if (reader->handed == HANDED_HEADER) {
		hand_name(reader, buffer, room);
		return buffer;
	}
	if (reader->rest_length > 0) {
		hand_piece(reader, buffer, room);
		return buffer;
	}
	reader->handed = HANDED_NOTHING;
	if (reader->gathering == GATHER_NAME)
		value_finish(reader); // faults of the next line belong to this section
	while (raw_next(reader, &raw))
		if (hand_raw(reader, &raw, buffer, room))
			return buffer;
	value_finish(reader);
	return NULL;
}

int reader_run(const char *bytes, size_t length, const struct reader_listener *listener)
{
	struct reader reader = {.listener = listener, .next = bytes, .end = bytes + length};
	int status;

	if (has_byte_order_mark(bytes, length))
		reader.next += 3;
	if (length >= 2 &&
	    (memcmp(bytes, "\xff\xfe", 2) == 0 || memcmp(bytes, "\xfe\xff", 2) == 0)) {
		listener->fault(listener->context, 1, "the file is UTF-16: save it as UTF-8");
		return 0;
	}
	// Its result is the first line that it refused, which was told already.
	status = ini_parse_stream(next_line, &reader, on_pair, &reader);
	free(reader.value);
	return status == -2 ? -ENOMEM : reader.error;
}
