// SPDX-License-Identifier: BSD-3-Clause
//
// The form of the INI file: bytes -> sections, keys and values, each with its line number. Knows no
// section and no key by name; the listener says what it takes. See reader.c for what inih does and
// what is done around it.
#ifndef RELAYGATE_CONFIG_READER_H
#define RELAYGATE_CONFIG_READER_H

#include <stdbool.h>
#include <stddef.h>

#define READER_LINE_MAX 65536 // bytes of one line, without its end

// What the listener makes of a key.
enum reader_take {
	READER_SCALAR, // wants the value; one line
	READER_LIST,   // wants the value; may continue on indented lines
	READER_SKIP,   // unknown or in a section that is skipped: the value is dropped unread
};

struct reader_listener {
	// [KIND] or [KIND NAME]; name is "" when there is none. Both are valid during the call.
	void (*section)(void *context, const char *kind, const char *name, unsigned line);
	// A header that could not be read: the keys below it belong nowhere.
	void (*broken_section)(void *context);
	enum reader_take (*key)(void *context, const char *key, unsigned line);
	// The value of the key just taken, blanks at both ends gone; the listener may write into
	// it. A list's lines are separated by '\n': byte 0 stands on `line`, and every '\n' is one
	// line further.
	void (*value)(void *context, char *value, unsigned line);
	void (*fault)(void *context, unsigned line, const char *text);
	void *context;
};

// Reads it all; every fault is told, none stops it. 0 or -ENOMEM.
int reader_run(const char *bytes, size_t length, const struct reader_listener *listener);

#endif
