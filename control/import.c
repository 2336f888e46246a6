// SPDX-License-Identifier: BSD-3-Clause
//
// `relaygate import`: exports of an Exchange server -> an INI file. Reads the files, lets the parts
// of import.h do their work in order, and writes only what the loader accepts.
#include "control/import.h"
#include "config/load.h"
#include "control/commands.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

// Of the generated file only its faults: its warnings are for `check`, when it is finished.
struct verdict {
	const char *file;
	unsigned warnings;
};

static void report(void *context, enum diagnostic_severity severity, const char *text)
{
	struct verdict *verdict = context;

	if (severity == DIAGNOSTIC_ERROR)
		fprintf(stderr, "relaygate: %s\n", text);
	else
		verdict->warnings++;
}

// Why a generated file can be wrong: a fault of the export, or of an option.
static int judge(const char *text, struct verdict *verdict)
{
	struct diagnostics diagnostics = {.report = report, .context = verdict};
	struct policy *policy = policy_load_bytes(verdict->file, text, strlen(text), &diagnostics);

	if (policy) {
		policy_destroy(policy);
		return 0;
	}
	fprintf(stderr, "relaygate: nothing is written: the lines above are about the file that "
			"would have been\n");
	return -1;
}

static int put_out(const char *path, const char *text)
{
	FILE *out = path ? fopen(path, "we") : stdout;
	size_t length = strlen(text);
	int error = 0;

	if (!out || fwrite(text, 1, length, out) != length || fflush(out))
		error = errno;
	if (out && path && fclose(out) && !error)
		error = errno;
	if (error)
		fprintf(stderr, "relaygate: %s: %s\n", path ? path : "(stdout)", strerror(error));
	return error ? -1 : 0;
}

static int read_files(struct import *import)
{
	const struct command_options *options = import->options;

	if (import_file_read(options->file, &import->connectors_tree))
		return -1;
	if (options->permissions &&
	    import_file_read(options->permissions, &import->permissions_tree))
		return -1;
	if (options->domains && import_file_read(options->domains, &import->domains_tree))
		return -1;
	return 0;
}

static void import_fini(struct import *import)
{
	for (unsigned i = 0; i < import->policy->connector_count; i++) {
		struct import_connector *connector = &import->connectors[i];

		for (unsigned j = 0; j < POLICY_KEYS_MAX; j++)
			free(connector->texts[j]);
		free(connector->origin);
		free(connector->name);
		free(connector->server);
	}
	free(import->connectors);
	import_notes_fini(import);
	policy_destroy(import->policy);
	import_tree_fini(&import->connectors_tree);
	import_tree_fini(&import->permissions_tree);
	import_tree_fini(&import->domains_tree);
}

// The text of the file, or NULL after errors.
static char *convert(struct import *import)
{
	const struct command_options *options = import->options;

	import_connectors(import);
	if (!import->errors && options->permissions)
		import_permissions(import);
	if (!import->errors)
		import_judge(import);
	if (options->domains)
		import_domains(import);
	if (import->errors)
		return NULL;
	if (!options->permissions)
		import_note(
			import, IMPORT_WHOLE, "--permissions",
			"not given: rights granted or denied by Add-ADPermission are not known");
	if (!options->domains)
		import_note(import, IMPORT_WHOLE, "--domains",
			    "not given: there is no accepted domain, so only those who may relay "
			    "can send");
	return import_write(import);
}

int command_import(const struct command_options *options)
{
	struct import import = {.options = options};
	struct verdict verdict = {options->output ? options->output : "(stdout)", 0};
	int result = EXIT_WRONG;
	char *text = NULL;

	import.policy = import_allocate(sizeof(*import.policy));
	if (!read_files(&import))
		text = convert(&import);
	if (text) {
		import_notes_print(&import, stderr);
		if (!judge(text, &verdict) && !put_out(options->output, text))
			result = EXIT_FINE;
	}
	if (result == EXIT_FINE)
		fprintf(stderr,
			"relaygate: %u connectors, %u accepted domains; %u warnings above, "
			"and `relaygate check` has %u\n",
			import.policy->connector_count, import.policy->domain_count,
			import.note_count, verdict.warnings);
	free(text);
	import_fini(&import);
	return result;
}
