// SPDX-License-Identifier: BSD-3-Clause
//
// The commands and their options as data: one row each. The parser, the errors and the pages of
// --help (command_line.c) are all made from it. Knows no meaning of an option.
#ifndef RELAYGATE_CONTROL_COMMAND_TABLE_H
#define RELAYGATE_CONTROL_COMMAND_TABLE_H

#include "control/commands.h"

#include <stddef.h>

// Their order is that of --help.
enum command_id {
	COMMAND_RUN,
	COMMAND_CHECK,
	COMMAND_AUDIT,
	COMMAND_EXPLAIN,
	COMMAND_REPLAY,
	COMMAND_RELOAD,
	COMMAND_DRAIN,
	COMMAND_BAN,
	COMMAND_LOG,
	COMMAND_STATUS,
	COMMAND_TOP,
	COMMAND_CAPTURE,
	COMMAND_IMPORT,
	COMMAND_COUNT
};

struct command_row {
	const char *name;
	const char *help; // on the line of --help
	int (*run)(const struct command_options *options);
	bool by_pins;      // needs -c or --pin-directory
	const char *words; // what it takes beside options, as in its usage; NULL = none
	const char *file;  // what its one word is; NULL = it takes none, or its words are special
	const char *exits; // its exit status
	const char *example;
};

enum option_kind {
	OPTION_TEXT,        // kept as it is, once, never empty
	OPTION_MAYBE_EMPTY, // kept as it is, once
	OPTION_TEXTS,       // may be repeated: a NULL-ended array
	OPTION_FLAG,
	OPTION_BIT, // sets `bit` in an unsigned
};

// An option of some commands. Other rows of the same name tell what it means to others; letter and
// argument, or its absence, are the same in all of them.
struct option_row {
	const char *name;
	const char *argument; // what it takes, NULL = nothing
	const char *help;     // with the default and the unit
	unsigned commands;    // bits (1 << enum command_id)
	unsigned required;    // likewise: those that do not work without it
	size_t offset;        // in struct command_options
	enum option_kind kind;
	unsigned bit;
	char letter;      // 0 = none
	const char *verb; // only with this first word; NULL = any
};

extern const struct command_row command_rows[COMMAND_COUNT];
extern const struct option_row option_rows[];
extern const unsigned option_row_count;

#endif
