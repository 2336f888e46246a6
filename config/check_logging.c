// SPDX-License-Identifier: BSD-3-Clause
//
// See check_logging.h. Does not look at the directory: `check` runs on other machines, too.
#include "config/check_logging.h"

#include "config/keys.h"
#include "config/policy.h"
#include "config/value.h"

static void tell_without_path(const struct policy *policy, const struct connector *connector,
			      struct diagnostics *diagnostics)
{
	unsigned line = keys_line(&connector->lines, SECTION_CONNECTOR, "ProtocolLoggingLevel",
				  connector->line);
	char quote[DIAGNOSTICS_QUOTE_MAX];

	diagnostics_error(diagnostics, (struct place){policy->file, line},
			  "ProtocolLoggingLevel: connector %s is to be logged, but [gate] has no "
			  "ReceiveProtocolLogPath",
			  diagnostics_quote(connector->name, quote));
}

void check_logging(const struct policy *policy, struct diagnostics *diagnostics)
{
	const struct gate_settings *gate = &policy->gate;
	char file_text[VALUE_TEXT_MAX], directory_text[VALUE_TEXT_MAX];
	unsigned line =
		keys_line(&gate->lines, SECTION_GATE, "ReceiveProtocolLogMaxFileSize", gate->line);

	if (line == gate->line)
		line = keys_line(&gate->lines, SECTION_GATE, "ReceiveProtocolLogMaxDirectorySize",
				 gate->line);
	if (gate->protocol_log_file_size > gate->protocol_log_directory_size)
		diagnostics_error(
			diagnostics, (struct place){policy->file, line},
			"ReceiveProtocolLogMaxFileSize (%s) must not be above "
			"ReceiveProtocolLogMaxDirectorySize (%s)",
			value_format_size(gate->protocol_log_file_size, file_text),
			value_format_size(gate->protocol_log_directory_size, directory_text));
	for (unsigned i = 0; i < policy->connector_count && !gate->protocol_log_path; i++)
		if (policy->connectors[i].enabled &&
		    policy->connectors[i].protocol_logging == PROTOCOL_LOGGING_VERBOSE)
			tell_without_path(policy, &policy->connectors[i], diagnostics);
}
