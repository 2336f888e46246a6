// SPDX-License-Identifier: BSD-3-Clause
//
// The command line as the tables of command_table.h say: what it takes is parsed, anything else is
// an error that names the option, the command and what the command takes.
#ifndef RELAYGATE_CONTROL_COMMAND_LINE_H
#define RELAYGATE_CONTROL_COMMAND_LINE_H

#include "control/command_table.h"

// The command to run, with its options in *options: they point into argv, and to memory that
// command_line_free gives back. NULL when help or the version was asked for, and is printed. Says
// what is wrong with the line, if anything is, and ends the process (EXIT_WRONG).
const struct command_row *command_line_parse(int argc, char **argv,
					     struct command_options *options);
void command_line_free(struct command_options *options);

#endif
