// SPDX-License-Identifier: BSD-3-Clause
//
// Where the instance that a command asks about has its pins: as --pin-directory says, or the
// configuration, or where they are unless told otherwise. A gate goes on with what it has when its
// file gets errors, and so do the commands that look at it or ask it something.

#include "config/load.h"
#include "config/policy.h"
#include "control/commands.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_PIN_DIRECTORY "/sys/fs/bpf/relaygate"

static void report_error(void *context, enum diagnostic_severity severity, const char *text)
{
	if (severity == DIAGNOSTIC_ERROR)
		fprintf(stderr, "%s\n", text);
}

char *instance_place(const struct command_options *options, struct policy **policy)
{
	struct diagnostics diagnostics = {0};
	char *directory;

	*policy = NULL;
	if (options->config)
		*policy = policy_load_with_directory(options->config, &diagnostics, &directory);
	if (!options->config || options->directory) {
		if (options->config)
			free(directory);
		return strdup(options->directory ? options->directory : DEFAULT_PIN_DIRECTORY);
	}
	if (*policy)
		return directory;
	diagnostics.report = report_error;
	if (!directory) {
		policy_destroy(policy_load(options->config, &diagnostics));
		fprintf(stderr, "relaygate: a gate that runs goes on without that file: name its "
				"PinDirectory by --pin-directory (" DEFAULT_PIN_DIRECTORY
				" unless the file said otherwise)\n");
		return NULL;
	}
	fprintf(stderr,
		"relaygate: %s has errors (`relaygate check` tells them); a gate that runs goes on "
		"without it\n",
		options->config);
	return directory;
}

char *instance_directory(const struct command_options *options)
{
	struct policy *policy;
	char *directory = instance_place(options, &policy);

	policy_destroy(policy);
	return directory;
}
