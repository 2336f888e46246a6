// SPDX-License-Identifier: BSD-3-Clause
//
// See received.h. Words are put one after the other; one that would pass the line's end goes to a
// new line that begins with a tab. Does not check its words: callers hand in checked ones only.
#include "dataplane/smtp/received.h"

#include <assert.h>

#define LINE_WIDTH 78
#define TAB_WIDTH  8

struct writer {
	char *buffer;
	size_t size;
	size_t length;
	size_t column;
};

static void put(struct writer *writer, const char *text, size_t length)
{
	assert(length <= writer->size - writer->length);
	memcpy(writer->buffer + writer->length, text, length);
	writer->length += length;
	writer->column += length;
}

// A word of several parts that stay together.
static void word(struct writer *writer, const struct slice *parts, size_t count)
{
	size_t length = 0;
	for (size_t i = 0; i < count; i++)
		length += parts[i].length;
	if (writer->column + 1 + length > LINE_WIDTH) {
		put(writer, "\r\n\t", 3);
		writer->column = TAB_WIDTH;
	} else if (writer->column > 0) {
		put(writer, " ", 1);
	}
	for (size_t i = 0; i < count; i++)
		put(writer, (const char *)parts[i].data, parts[i].length);
}

static void words(struct writer *writer, const char *keyword, struct slice value, const char *end)
{
	word(writer, (struct slice[]){slice_of_text(keyword)}, 1);
	word(writer, (struct slice[]){value, slice_of_text(end)}, 2);
}

size_t received_format(const struct received *received, char *buffer, size_t size)
{
	struct writer writer = {buffer, size, 0, 0};
	word(&writer, (struct slice[]){slice_of_text("Received:")}, 1);
	words(&writer, "from", received->hello, "");
	word(&writer,
	     (struct slice[]){slice_of_text("(["), slice_of_text(received->literal),
			      slice_of_text("])")},
	     3);
	words(&writer, "by", slice_of_text(received->by), "");
	words(&writer, "with", slice_of_text(received->protocol), "");
	words(&writer, "id", slice_of_text(received->id), ";");
	word(&writer, (struct slice[]){slice_of_text(received->date)}, 1);
	put(&writer, "\r\n", 2);
	return writer.length;
}
