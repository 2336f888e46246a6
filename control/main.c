// SPDX-License-Identifier: BSD-3-Clause
//
// The program: what the command line asks for, and its exit status. What could not be written to
// stdout is a failure, too. A stream that the caller closed stays one that nothing can be written
// to: no file that is opened later gets its number, and with it what was meant for a person.

#include "control/command_line.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void occupy_closed_streams(void)
{
	int number = 0;

	while (number >= 0 && number <= STDERR_FILENO)
		number = open("/dev/null", O_RDONLY);
	if (number >= 0)
		close(number);
}

int main(int argc, char **argv)
{
	struct command_options options;
	const struct command_row *command;
	int result;

	occupy_closed_streams();
	command = command_line_parse(argc, argv, &options);
	result = command ? command->run(&options) : EXIT_FINE;
	command_line_free(&options);
	if (fflush(stdout) == 0 && !ferror(stdout))
		return result;
	fprintf(stderr, "relaygate: stdout: %s\n", strerror(errno));
	return result == EXIT_FINE ? EXIT_WRONG : result;
}
