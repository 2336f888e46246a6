// SPDX-License-Identifier: BSD-3-Clause
//
// See line.h. The limits are those of RFC 5321 section 4.5.3.1; strictness about CR and LF is what
// keeps two servers from seeing different command boundaries in one stream.
#include "dataplane/smtp/line.h"
#include "dataplane/smtp/foreign.h"
#include "dataplane/smtp/scan.h"

#include <strings.h>

// Without CR LF.
static size_t text_max(const struct line *line)
{
	return (line->long_lines ? LINE_LONG_OCTETS : LINE_MAX_OCTETS) - 2;
}

static bool is_blank(uint8_t byte)
{
	return byte == ' ' || byte == '\t';
}

void line_init(struct line *line)
{
	*line = (struct line){0};
	chunk_queue_init(&line->text);
}

void line_clear(struct line *line, struct pool *chunks)
{
	chunk_queue_clear(&line->text, chunks);
	line->discarding = 0;
	line->carriage_return = false;
}

// The stored beginning and `more` of the input as one run, text_max bytes at most.
static struct slice gather(const struct line *line, struct slice more, struct line_scan *scan)
{
	const size_t stored = line->text.length;
	if (stored == 0)
		return slice_first(more, text_max(line));
	more = slice_first(more, text_max(line) - stored);
	chunk_queue_copy(&line->text, 0, scan->scratch, stored);
	memcpy(scan->scratch + stored, more.data, more.length);
	return slice_of(scan->scratch, stored + more.length);
}

static void discard(struct line *line, struct pool *chunks, enum line_result why)
{
	chunk_queue_clear(&line->text, chunks);
	line->discarding = (uint8_t)why;
}

// Stops a peer that never ends its line from filling our memory.
static bool above_limit(struct line *line, struct pool *chunks, struct slice more,
			struct line_scan *scan)
{
	if (line->text.length + more.length <= text_max(line))
		return false;
	const bool foreign = foreign_protocol(gather(line, more, scan));
	discard(line, chunks, foreign ? LINE_FOREIGN : LINE_TOO_LONG);
	return true;
}

static void store(struct line *line, struct pool *chunks, struct slice bytes,
		  struct line_scan *scan)
{
	if (line->discarding || above_limit(line, chunks, bytes, scan))
		return;
	if (chunk_queue_append(&line->text, chunks, bytes) < bytes.length)
		discard(line, chunks, LINE_NO_BUFFER);
}

// The line's last bytes are `more`; CR LF followed.
static enum line_result finish(struct line *line, struct pool *chunks, struct slice more,
			       struct line_scan *scan)
{
	enum line_result result = LINE_WHOLE;
	if (line->discarding || above_limit(line, chunks, more, scan)) {
		result = line->discarding;
	} else {
		scan->text = gather(line, more, scan);
		if (foreign_protocol(scan->text))
			result = LINE_FOREIGN;
	}
	line_clear(line, chunks);
	return result;
}

// A bare CR, a bare LF or NUL came after `more`.
static enum line_result refuse(struct line *line, struct pool *chunks, struct slice more,
			       struct line_scan *scan)
{
	scan->text = gather(line, more, scan);
	const bool foreign = line->discarding == LINE_FOREIGN || foreign_protocol(scan->text);
	line_clear(line, chunks);
	return foreign ? LINE_FOREIGN : LINE_BAD_ENDING;
}

enum line_result line_input(struct line *line, struct pool *chunks, struct slice in,
			    struct line_scan *scan)
{
	const struct slice nothing = slice_first(in, 0);
	scan->consumed = in.length;
	scan->text = nothing;
	if (in.length == 0)
		return LINE_PARTIAL;
	if (line->carriage_return) {
		// A CR alone ends a line for some servers and not for others.
		if (in.data[0] != '\n')
			return refuse(line, chunks, nothing, scan);
		scan->consumed = 1;
		return finish(line, chunks, nothing, scan);
	}
	const size_t end = scan_control(in);
	const struct slice before = slice_first(in, end);
	if (end == in.length) {
		store(line, chunks, in, scan);
		return LINE_PARTIAL;
	}
	if (in.data[end] != '\r') // LF without CR, or NUL
		return refuse(line, chunks, before, scan);
	if (end + 1 == in.length) {
		store(line, chunks, before, scan);
		line->carriage_return = true;
		return LINE_PARTIAL;
	}
	if (in.data[end + 1] != '\n') // CR without LF
		return refuse(line, chunks, before, scan);
	scan->consumed = end + 2;
	return finish(line, chunks, before, scan);
}

struct slice line_without_secrets(struct slice line)
{
	size_t length = 4;

	if (line.length <= length || strncasecmp((const char *)line.data, "AUTH", length) != 0 ||
	    !is_blank(line.data[length]))
		return line;
	while (length < line.length && is_blank(line.data[length]))
		length++;
	while (length < line.length && !is_blank(line.data[length]))
		length++;
	return slice_first(line, length);
}
