// SPDX-License-Identifier: BSD-3-Clause
//
// Names: an export of a whole organisation has the same ones on each server, and Exchange allows
// characters that a section's header does not.
#include "control/import_connector_name.h"
#include "config/value.h"
#include "control/commands.h"
#include "control/import_read.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

// The text of a property, "" when there is none.
static const char *property(const struct import_value *source, const char *name)
{
	const struct import_value *value = import_member(source, name);
	const char *text = value ? import_read_text(value) : NULL;

	return text ? text : "";
}

// SERVER of Identity = SERVER\NAME, or of Server.
static char *server_of(const struct import_value *source)
{
	const char *identity = property(source, "Identity"), *server = property(source, "Server");
	const char *slash = strchr(identity, '\\');

	if (*server)
		return import_copy(server, strlen(server));
	return import_copy(identity, slash ? (size_t)(slash - identity) : 0);
}

static bool is_wanted(const struct import *import, const struct import_value *source)
{
	char *server = server_of(source);
	bool wanted = !import->options->server || strcasecmp(server, import->options->server) == 0;

	free(server);
	return wanted;
}

// "EX1, EX2": the servers of all connectors; *count is how many.
static char *list_servers(const struct import_value **sources, unsigned source_count,
			  unsigned *count)
{
	char *list = import_copy("", 0);

	*count = 0;
	for (unsigned i = 0; i < source_count; i++) {
		char *server = server_of(sources[i]), *longer;
		bool seen = false;

		for (unsigned j = 0; j < i && !seen; j++) {
			char *other = server_of(sources[j]);

			seen = strcasecmp(other, server) == 0;
			free(other);
		}
		if (!seen && ++*count <= 16) {
			longer = import_format("%s%s%.64s", list, *count > 1 ? ", " : "", server);
			free(list);
			list = longer;
		}
		free(server);
	}
	return list;
}

// What it looks like instead.
static const char *guess(const struct import_value *value)
{
	if (value->kind != IMPORT_OBJECT)
		return "";
	if (import_member(value, "AccessRights") || import_member(value, "ExtendedRights"))
		return "; permissions are named by --permissions";
	if (import_member(value, "DomainType"))
		return "; accepted domains are named by --domains";
	return "";
}

static void gather(struct import *import, const struct import_value *value, unsigned depth,
		   const struct import_value ***sources, unsigned *count)
{
	const char *file = import->options->file;
	const struct import_value *name = import_member(value, "Name");

	if (value->kind == IMPORT_LIST && depth < 3) {
		for (const struct import_value *item = import_first_item(value); item;
		     item = import_next_item(item))
			gather(import, item, depth + 1, sources, count);
		return;
	}
	if (value->kind == IMPORT_NULL)
		return;
	if (value->kind != IMPORT_OBJECT || !name || !import_read_text(name) ||
	    !import_member(value, "Bindings")) {
		// Said once: an export of something else holds many of them.
		if (!import->errors)
			import_error(import, IMPORT_WHOLE, file,
				     "something that is no receive connector (it has no Name or no "
				     "Bindings)%s: export with Get-ReceiveConnector | "
				     "ConvertTo-Json -Depth 4",
				     guess(value));
		return;
	}
	*sources = import_grow(*sources, *count, sizeof(**sources));
	(*sources)[(*count)++] = value;
}

unsigned import_connector_sources(struct import *import, const struct import_value ***sources)
{
	const char *file = import->options->file;
	unsigned count = 0, kept = 0, servers;
	char *list;

	gather(import, import->connectors_tree.root, 0, sources, &count);
	if (import->errors)
		return 0;
	list = list_servers(*sources, count < 1000 ? count : 1000, &servers);
	for (unsigned i = 0; i < count; i++)
		if (is_wanted(import, (*sources)[i]))
			(*sources)[kept++] = (*sources)[i];
	if (count == 0) {
		import_error(import, IMPORT_WHOLE, file, "it has no connector");
	} else if (kept == 0) {
		import_error(import, IMPORT_WHOLE, file, "no connector of server %s; it has: %s",
			     import->options->server, list);
	} else if (servers > 1 && !import->options->server) {
		import_error(import, IMPORT_WHOLE, file,
			     "connectors of several servers; choose one with --server: %s", list);
		kept = 0;
	} else if (kept > POLICY_CONNECTORS_MAX) {
		import_error(import, IMPORT_WHOLE, file, "%u connectors: the limit is %u", kept,
			     POLICY_CONNECTORS_MAX);
		kept = 0;
	}
	free(list);
	return kept;
}

// ---- The name of the section -----------------------------------------------------------------

// How much of a text stays when it is cut to so many bytes, between characters of UTF-8.
static size_t cut_length(const char *text, size_t maximum)
{
	size_t length = strlen(text);

	if (length <= maximum)
		return length;
	for (length = maximum; length && ((unsigned char)text[length] & 0xc0) == 0x80;)
		length--;
	return length;
}

// What a header cannot hold becomes "_"; a long name is cut between characters.
static char *fit_name(const char *text)
{
	size_t length = cut_length(text, POLICY_NAME_MAX);
	char *name = import_copy(text, length);

	for (char *at = name; *at; at++)
		if ((unsigned char)*at < ' ' || *at == 0x7f || strchr("[];", *at))
			*at = '_';
	while (length && name[length - 1] == ' ')
		name[--length] = '\0';
	memmove(name, name + strspn(name, " "), strlen(name + strspn(name, " ")) + 1);
	if (value_name_fault(name)) {
		free(name);
		name = import_format("Connector");
	}
	return name;
}

static bool is_taken(const struct import *import, unsigned before, const char *name)
{
	for (unsigned i = 0; i < before; i++)
		if (strcasecmp(import->connectors[i].name, name) == 0)
			return true;
	return false;
}

static char *unique_name(const struct import *import, unsigned connector, char *name)
{
	char *base = name;

	name = import_copy(base, strlen(base));
	for (unsigned number = 2; is_taken(import, connector, name); number++) {
		free(name);
		name = import_format("%.*s (%u)", (int)cut_length(base, POLICY_NAME_MAX - 8), base,
				     number);
	}
	free(base);
	return name;
}

void import_connector_name(struct import *import, unsigned connector)
{
	struct import_connector *row = &import->connectors[connector];
	const char *original = property(row->source, "Name");

	row->server = server_of(row->source);
	row->origin = row->server[0] ? import_format("%s\\%s", row->server, original)
				     : import_format("%s", original);
	row->name = unique_name(import, connector, fit_name(original));
	if (strcmp(row->name, original) != 0)
		import_note(import, connector, "Name", "the connector is called \"%s\" here",
			    row->name);
	import->policy->connectors[connector].name = import_copy(row->name, strlen(row->name));
}
