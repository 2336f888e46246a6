// SPDX-License-Identifier: BSD-3-Clause
//
// `relaygate check`, and the reporting of configuration faults that `run` shares with it. Static:
// needs no root and opens no device.

#include "config/load.h"
#include "config/policy.h"
#include "control/commands.h"

#include <stdio.h>

static void report(void *context, enum diagnostic_severity severity, const char *text)
{
	fprintf(stderr, "%s%s\n", text, severity == DIAGNOSTIC_WARNING ? " (warning)" : "");
}

struct policy *load_and_report(const char *path)
{
	struct diagnostics diagnostics = {.report = report};

	return policy_load(path, &diagnostics);
}

int command_check(const struct command_options *options)
{
	struct policy *policy = load_and_report(options->config);
	unsigned ranges = 0;

	if (!policy)
		return EXIT_WRONG;
	for (unsigned i = 0; i < policy->connector_count; i++)
		ranges += policy->connectors[i].range_count;
	printf("%s: fine: %u connectors with %u ranges, %u accepted domains, %u backends, %u "
	       "ports\n",
	       options->config, policy->connector_count, ranges, policy->domain_count,
	       policy->backend_count, policy->port_count);
	policy_destroy(policy);
	return EXIT_FINE;
}
