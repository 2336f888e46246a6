// SPDX-License-Identifier: BSD-3-Clause
//
// Where the instance that a command asks about has its pins: as --pin-directory says, or the
// configuration, or where they are unless told otherwise. Also the file itself for commands whose
// business its warnings are not; its errors are.

#include "config/load.h"
#include "config/policy.h"
#include "control/commands.h"

#include <stdio.h>
#include <string.h>

#define DEFAULT_PIN_DIRECTORY "/sys/fs/bpf/relaygate"

static void report_error(void *context, enum diagnostic_severity severity, const char *text)
{
	if (severity == DIAGNOSTIC_ERROR)
		fprintf(stderr, "%s\n", text);
}

struct policy *load_without_warnings(const char *path)
{
	struct diagnostics diagnostics = {.report = report_error};

	return policy_load(path, &diagnostics);
}

char *instance_directory(const struct command_options *options)
{
	struct policy *policy;
	char *directory;

	if (options->directory)
		return strdup(options->directory);
	if (!options->config)
		return strdup(DEFAULT_PIN_DIRECTORY);
	policy = load_without_warnings(options->config);
	if (!policy)
		return NULL;
	directory = strdup(policy->gate.pin_directory);
	policy_destroy(policy);
	return directory;
}
