// SPDX-License-Identifier: BSD-3-Clause
//
// The program: what the command line asks for, and its exit status. What could not be written to
// stdout is a failure, too.

#include "control/command_line.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
	struct command_options options;
	const struct command_row *command = command_line_parse(argc, argv, &options);
	int result = command ? command->run(&options) : EXIT_FINE;

	command_line_free(&options);
	if (fflush(stdout) == 0 && !ferror(stdout))
		return result;
	fprintf(stderr, "relaygate: stdout: %s\n", strerror(errno));
	return result == EXIT_FINE ? EXIT_WRONG : result;
}
