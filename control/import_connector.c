// SPDX-License-Identifier: BSD-3-Clause
//
// Get-ReceiveConnector -> connectors, by the rows of import_parameter.c. What the loader accepts is
// asked of its own setters; a parameter without a key of ours is told by name. The names and
// servers of connectors are in import_connector_name.c.
#include "config/array.h"
#include "config/assign.h"
#include "config/value.h"
#include "control/commands.h"
#include "control/import.h"
#include "control/import_connector_name.h"
#include "control/import_parameter.h"
#include "control/import_read.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct connector *meaning_of(struct import *import, unsigned index)
{
	return &import->policy->connectors[index];
}

// ---- Taking ----------------------------------------------------------------------------------

static void keep_text(void *context, enum diagnostic_severity severity, const char *text)
{
	char **kept = context;

	if (!*kept)
		*kept = import_copy(text, strlen(text));
}

bool import_take(struct import *import, unsigned connector, const char *name, const char *text)
{
	const struct key *key = keys_find(SECTION_CONNECTOR, name);
	char *why = NULL, *copy = import_copy(text, strlen(text));
	struct diagnostics diagnostics = {.report = keep_text, .context = &why};
	int status = assign_value(key, meaning_of(import, connector), copy, (struct place){"", 0},
				  &diagnostics);

	free(copy);
	if (!status) {
		char **slot = &import->connectors[connector].texts[key_index(key)];

		free(*slot);
		*slot = import_copy(text, strlen(text));
	} else if (why) { // ": NAME: reason"
		import_note(import, connector, name, "left out: %s", why + 4 + strlen(name));
	}
	free(why);
	return !status;
}

// Whether the key has a default and it means the same.
static bool is_default(const struct key *key, const char *text)
{
	struct connector scratch = {0}, defaults = {0};
	struct diagnostics silent = {0};
	char *copy = import_copy(text, strlen(text));
	bool same = false;

	if (key->fallback && !assign_defaults(SECTION_CONNECTOR, &defaults) &&
	    !assign_value(key, &scratch, copy, (struct place){"", 0}, &silent))
		same = memcmp((char *)&scratch + key->offset, (char *)&defaults + key->offset,
			      key->size) == 0;
	free(copy);
	return same;
}

// ---- Scalars ---------------------------------------------------------------------------------

static char *format_number(const struct import_parameter *parameter, uint64_t number)
{
	char text[VALUE_TEXT_MAX];

	if (number == UINT64_MAX)
		return import_format("unlimited");
	if (parameter->type == TYPE_SIZE)
		return import_format("%s", value_format_size(number, text));
	if (parameter->type == TYPE_TIME)
		return import_format("%s", value_format_time(number, text));
	return import_format("%" PRIu64, number);
}

// The value as our file has it; NULL when it is not of its type.
static char *read_scalar(const struct import_parameter *parameter, const struct import_value *value)
{
	uint64_t number;
	bool boolean;
	char *names;
	const char *text;
	int status = -1;

	switch (parameter->type) {
	case TYPE_BOOLEAN:
		status = import_read_boolean(value, &boolean);
		return status ? NULL : import_format("%s", boolean ? "yes" : "no");
	case TYPE_NUMBER:
		status = import_read_number(value, &number);
		break;
	case TYPE_SIZE:
		status = import_read_size(value, &number);
		break;
	case TYPE_TIME:
		status = import_read_time(value, &number);
		break;
	case TYPE_TEXT:
		text = import_read_text(value);
		return text ? import_copy(text, strlen(text)) : NULL;
	case TYPE_PRESENCE:
		text = import_read_text(value);
		return import_format("%s", text ? text : "set");
	default:
		return import_read_names(value, parameter->names, parameter->type != TYPE_NAME,
					 &names)
			       ? NULL
			       : names;
	}
	return status ? NULL : format_number(parameter, number);
}

// Into the range of our key, which may be narrower than Exchange's.
static char *fit(struct import *import, unsigned connector,
		 const struct import_parameter *parameter, const struct key *key, char *text)
{
	uint64_t number = UINT64_MAX, fitting;
	const char *why;
	char *fitted;

	if (key->type != KEY_NUMBER && key->type != KEY_SIZE && key->type != KEY_TIME)
		return text;
	if (strcmp(text, "unlimited") == 0) {
		if (key->unlimited)
			return text;
	} else if (key->type == KEY_NUMBER ? value_number(text, &number, &why)
		   : key->type == KEY_SIZE ? value_size(text, &number, &why)
					   : value_time(text, &number, &why)) {
		return text;
	}
	fitting = number < key->minimum   ? key->minimum
		  : number > key->maximum ? key->maximum
					  : number;
	if (fitting == number)
		return text;
	fitted = format_number(parameter, fitting);
	import_note(import, connector, parameter->name,
		    "%s there is out of range here: %s is taken", text, fitted);
	free(text);
	return fitted;
}

// A line of the file is bounded, and more than this is no comment.
#define COMMENT_MAX 1000

static void cut_comment(struct import *import, unsigned connector, char *text)
{
	size_t length = COMMENT_MAX;

	if (strlen(text) <= length)
		return;
	while (length && ((unsigned char)text[length] & 0xc0) == 0x80)
		length--;
	text[length] = '\0';
	import_note(import, connector, "Comment", "cut behind %d bytes", COMMENT_MAX);
}

// A text of an administrator on one line, without what would begin a comment.
static void tidy_text(char *text)
{
	for (char *at = text; *at; at++) {
		if ((unsigned char)*at < ' ' || *at == 0x7f)
			*at = ' ';
		if (*at == ';')
			*at = ',';
	}
}

static void take_scalar(struct import *import, unsigned connector,
			const struct import_parameter *parameter, char *text)
{
	const struct key *key = keys_find(SECTION_CONNECTOR, parameter->name);
	char quote[DIAGNOSTICS_QUOTE_MAX];

	if (parameter->quiet && strcasecmp(text, parameter->quiet) == 0) {
		free(text);
		return;
	}
	if (!key || (parameter->refused && strcmp(text, parameter->refused) == 0)) {
		import_note(import, connector, parameter->name, "%s: %s",
			    diagnostics_quote(text, quote),
			    parameter->meaning ? parameter->meaning
					       : "this version does not have it");
		free(text);
		return;
	}
	if (key->type == KEY_COMMENT)
		cut_comment(import, connector, text);
	if (parameter->type == TYPE_TEXT)
		tidy_text(text);
	text = fit(import, connector, parameter, key, text);
	if (!is_default(key, text) && text[strspn(text, " ")])
		import_take(import, connector, parameter->name, text);
	free(text);
}

// ---- Names: groups, mechanisms, role ---------------------------------------------------------

// Walks "A, B"; the name of this step, NUL-terminated, or NULL at the end.
static char *next_name(char **rest)
{
	char *name = *rest;

	if (!name)
		return NULL;
	*rest = strstr(name, ", ");
	if (*rest) {
		**rest = '\0';
		*rest += 2;
	}
	return name;
}

static char *join(char *list, const char *name)
{
	char *longer = list ? import_format("%s, %s", list, name) : import_format("%s", name);

	free(list);
	return longer;
}

static void take_groups(struct import *import, unsigned connector, char *text)
{
	struct import_connector *row = &import->connectors[connector];
	char quote[DIAGNOSTICS_QUOTE_MAX];
	char *rest = text, *name, *kept = NULL;
	uint32_t group;

	while ((name = next_name(&rest))) {
		if (strcmp(name, "Custom") == 0)
			row->custom = true;
		else if (permission_group_parse(name, &group))
			import_error(import, connector, "PermissionGroups",
				     "%s is no permission group", diagnostics_quote(name, quote));
		else if (group)
			kept = join(kept, permission_group_name((enum permission_group)group));
	}
	if (kept)
		import_take(import, connector, "PermissionGroups", kept);
	free(kept);
}

static const struct {
	uint32_t mechanism;
	const char *meaning;
} lost_mechanisms[] = {
	{MECHANISM_INTEGRATED, "Integrated is never offered: it needs a domain controller; "
			       "nobody logs in"},
	{MECHANISM_BASIC_AUTH, "BasicAuth is not offered: this version has no AUTH; nobody logs "
			       "in"},
	{MECHANISM_BASIC_AUTH_REQUIRE_TLS, "BasicAuthRequireTLS is not offered: this version has "
					   "no AUTH; nobody logs in"},
	{MECHANISM_EXCHANGE_SERVER, "ExchangeServer is never offered: it needs a domain "
				    "controller; Exchange servers are as anonymous as anybody"},
};

// False when the mechanism is told and left out.
static bool keeps_mechanism(struct import *import, unsigned connector, uint32_t mechanism)
{
	for (size_t i = 0; i < COUNT(lost_mechanisms); i++)
		if (lost_mechanisms[i].mechanism == mechanism) {
			import_note(import, connector, "AuthMechanism", "%s",
				    lost_mechanisms[i].meaning);
			return false;
		}
	if (mechanism == MECHANISM_TLS)
		import_note(import, connector, "AuthMechanism",
			    "Tls: STARTTLS is not offered in this version");
	return mechanism != 0;
}

static void take_mechanisms(struct import *import, unsigned connector, char *text)
{
	char quote[DIAGNOSTICS_QUOTE_MAX];
	char *rest = text, *name, *kept = NULL;
	uint32_t mechanism;

	while ((name = next_name(&rest))) {
		if (mechanism_parse(name, &mechanism))
			import_error(import, connector, "AuthMechanism", "%s is no mechanism",
				     diagnostics_quote(name, quote));
		else if (keeps_mechanism(import, connector, mechanism))
			kept = join(kept, mechanism_name((enum mechanism)mechanism));
	}
	// Tls alone is what a connector has without the key.
	if (!kept || strcmp(kept, "Tls") != 0)
		import_take(import, connector, "AuthMechanism", kept ? kept : "None");
	free(kept);
}

// ---- Lists of addresses ----------------------------------------------------------------------

typedef int (*address_reader)(const struct import_value *value, char out[IMPORT_ITEM_MAX],
			      bool *zone, const char **why);

// Whether "A, B" has an item already.
static bool has_item(const char *list, const char *item)
{
	size_t length = strlen(item);

	for (const char *at = list; (at = strstr(at, item)); at += length)
		if ((at == list || at[-1] == ' ') && (at[length] == '\0' || at[length] == ','))
			return true;
	return false;
}

// Ten times what Exchange can hold.
#define LIST_MAX 15000

// Growing at the end, so that a list of thousands takes no square of time.
struct list {
	char *text;
	size_t length;
	unsigned count;
};

static void list_add(struct list *list, const char *item)
{
	size_t length = strlen(item) + (list->count ? 2 : 0);
	char *grown = realloc(list->text, list->length + length + 1);

	if (!grown) {
		fprintf(stderr, "relaygate: out of memory\n");
		exit(EXIT_WRONG);
	}
	list->text = grown;
	sprintf(grown + list->length, "%s%s", list->count ? ", " : "", item);
	list->length += length;
	list->count++;
}

static void take_addresses(struct import *import, unsigned connector,
			   const struct import_parameter *parameter,
			   const struct import_value *value)
{
	address_reader reader =
		parameter->type == TYPE_RANGES ? import_read_range : import_read_binding;
	struct list list = {0};

	for (const struct import_value *item = import_first_item(value); item;
	     item = import_next_item(item)) {
		char text[IMPORT_ITEM_MAX], quote[DIAGNOSTICS_QUOTE_MAX];
		const char *why = "", *written = import_read_text(item);
		bool zone = false;

		if (list.count == LIST_MAX) {
			import_error(import, connector, parameter->name, "more than %d items",
				     LIST_MAX);
			break;
		}
		if (reader(item, text, &zone, &why)) {
			import_error(import, connector, parameter->name, "%s: %s",
				     diagnostics_quote(written ? written : "(object)", quote), why);
			continue;
		}
		if (zone)
			import_note(import, connector, parameter->name,
				    "%s: the zone id is left out: the address counts on every port",
				    diagnostics_quote(written ? written : text, quote));
		if (list.text && has_item(list.text, text))
			import_note(import, connector, parameter->name,
				    "%s stands twice there: once is enough", text);
		else
			list_add(&list, text);
	}
	if (list.text)
		import_take(import, connector, parameter->name, list.text);
	free(list.text);
}

// ---- A connector -----------------------------------------------------------------------------

static bool is_empty(const struct import_value *value)
{
	return !value || (value->kind == IMPORT_TEXT && value->text[0] == '\0') ||
	       (value->kind == IMPORT_LIST && !import_first_item(value));
}

// ConvertTo-Json writes {} for a type without public properties, such as ByteQuantifiedSize.
static bool is_hollow(const struct import_value *value)
{
	return value->kind == IMPORT_OBJECT && !value->first && !value->text;
}

static void take(struct import *import, unsigned connector,
		 const struct import_parameter *parameter)
{
	const struct import_value *value =
		import_member(import->connectors[connector].source, parameter->name);
	char *text;

	if (is_empty(value))
		return;
	if (parameter->type == TYPE_BINDINGS || parameter->type == TYPE_RANGES) {
		take_addresses(import, connector, parameter, value);
		return;
	}
	if (is_hollow(value) && parameter->type != TYPE_PRESENCE) {
		import_note(import, connector, parameter->name,
			    "the export has no value of it ({}): our default is taken; export with "
			    "Export-Clixml to have it");
		return;
	}
	text = read_scalar(parameter, value);
	if (!text) {
		char quote[DIAGNOSTICS_QUOTE_MAX];
		const char *written = import_read_text(value);

		import_error(import, connector, parameter->name,
			     "%s: not a value of this parameter",
			     diagnostics_quote(written ? written : "(object)", quote));
	} else if (parameter->type == TYPE_GROUPS) {
		take_groups(import, connector, text);
		free(text);
	} else if (parameter->type == TYPE_MECHANISMS) {
		take_mechanisms(import, connector, text);
		free(text);
	} else if (parameter->type == TYPE_ROLE) {
		free(text); // read by import_judge()
	} else {
		take_scalar(import, connector, parameter, text);
	}
}

static void tell_unknown(struct import *import, unsigned connector)
{
	const struct import_value *source = import->connectors[connector].source;
	char quote[DIAGNOSTICS_QUOTE_MAX];

	for (const struct import_value *value = source->first; value; value = value->next) {
		bool boolean;

		if (!value->name || import_parameter_is_known(value->name) ||
		    value->kind == IMPORT_NULL || is_empty(value) ||
		    (!import_read_boolean(value, &boolean) && !boolean))
			continue;
		import_note(import, connector, diagnostics_quote(value->name, quote),
			    "not a parameter that this version knows: left out");
	}
}

static void require(struct import *import, unsigned connector, const char *name)
{
	if (!import->connectors[connector].texts[key_index(keys_find(SECTION_CONNECTOR, name))])
		import_error(import, connector, name,
			     "the export has none, and nothing can take its place");
}

static void import_one(struct import *import, const struct import_value *source)
{
	struct connector *meaning = array_append(&import->policy->connectors,
						 import->policy->connector_count, sizeof(*meaning));
	unsigned index = import->policy->connector_count;
	unsigned errors = import->errors;

	import->connectors = import_grow(import->connectors, index, sizeof(*import->connectors));
	if (!meaning || assign_defaults(SECTION_CONNECTOR, meaning)) {
		fprintf(stderr, "relaygate: out of memory\n");
		exit(EXIT_WRONG);
	}
	import->policy->connector_count++;
	import->connectors[index] = (struct import_connector){.source = source};
	import_connector_name(import, index);
	meaning->mechanisms = MECHANISM_TLS;
	for (const struct import_parameter *row = import_parameters; row->name; row++)
		take(import, index, row);
	tell_unknown(import, index);
	if (import->errors == errors) {
		require(import, index, "Bindings");
		require(import, index, "RemoteIPRanges");
	}
}

void import_connectors(struct import *import)
{
	const struct import_value **sources = NULL;
	unsigned count = import_connector_sources(import, &sources);

	for (unsigned i = 0; i < count; i++)
		import_one(import, sources[i]);
	free(sources);
}
