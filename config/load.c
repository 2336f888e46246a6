// SPDX-License-Identifier: BSD-3-Clause
//
// The loader: the reader's sections, keys and values become a policy, with defaults filled in,
// names resolved and the rules of check.c applied. Goes on after an error, so that one run tells
// all faults of a file.
// The form of the file, and how inih is used for it and why not alone, is in reader.c; what a key
// may hold is in keys.c and assign.c.
#include "config/load.h"
#include "config/array.h"
#include "config/assign.h"
#include "config/check.h"
#include "config/keys.h"
#include "config/policy.h"
#include "config/reader.h"
#include "config/usage.h"
#include "config/value.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <search.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define ALL_SECTIONS ((1u << SECTION_COUNT) - 1)

// A section by its name: finds duplicates, and backends for connectors.
struct named {
	enum section_kind kind;
	char *name;
	unsigned index, line;
};

struct loader {
	struct policy *policy;
	struct diagnostics *diagnostics;
	void *names;            // tsearch() tree of struct named
	unsigned faulty;        // bits of enum section_kind
	unsigned bad_directory; // the line of a PinDirectory that is none, or one of two
	int error;

	bool inside; // a known section is open; else its keys are skipped
	bool before; // no header was seen yet
	enum section_kind kind;
	void *object;
	struct policy_lines *lines;
	unsigned line;
	const struct key *key;
};

static struct place at_line(const struct loader *loader, unsigned line)
{
	return (struct place){loader->policy->file, line};
}

static int compare_named(const void *a, const void *b)
{
	const struct named *left = a, *right = b;

	if (left->kind != right->kind)
		return left->kind < right->kind ? -1 : 1;
	return strcasecmp(left->name, right->name);
}

static void destroy_named(void *named)
{
	free(((struct named *)named)->name);
	free(named);
}

static const struct named *find_named(const struct loader *loader, enum section_kind kind,
				      char *name)
{
	struct named wanted = {.kind = kind, .name = name};
	struct named **found = tfind(&wanted, &loader->names, compare_named);

	return found != NULL ? *found : NULL;
}

static int add_named(struct loader *loader, const char *name, unsigned index)
{
	struct named *named = calloc(1, sizeof(*named));

	if (named == NULL)
		return -ENOMEM;
	*named = (struct named){loader->kind, strdup(name), index, loader->line};
	if (named->name == NULL || tsearch(named, &loader->names, compare_named) == NULL) {
		destroy_named(named);
		return -ENOMEM;
	}
	return 0;
}

// ---- Sections --------------------------------------------------------------------------------

// Where a named section's structs are in the policy, and the fields that all of them have.
static const struct shape {
	size_t array, count, size, name, line, lines;
} shapes[SECTION_COUNT] = {
#define SHAPE(plural, singular, type)                                                              \
	{                                                                                          \
		offsetof(struct policy, plural), offsetof(struct policy, singular##_count),        \
			sizeof(struct type), offsetof(struct type, name),                          \
			offsetof(struct type, line), offsetof(struct type, lines),                 \
	}
	[SECTION_PORT] = SHAPE(ports, port, port_settings),
	[SECTION_ACCEPTED_DOMAIN] = SHAPE(domains, domain, accepted_domain),
	[SECTION_CONNECTOR] = SHAPE(connectors, connector, connector),
	[SECTION_BACKEND] = SHAPE(backends, backend, backend),
	[SECTION_DNSBL] = SHAPE(dnsbls, dnsbl, dnsbl_list),
#undef SHAPE
};

// A new element of the policy's array for the open section.
static int new_object(struct loader *loader, const char *name, unsigned *index)
{
	const struct shape *shape = &shapes[loader->kind];
	char *policy = (char *)loader->policy, *copy, *object;
	unsigned *count = (unsigned *)(policy + shape->count);

	assert(shape->size != 0);
	object = array_append(policy + shape->array, *count, shape->size);
	copy = strdup(name);
	if (object == NULL || copy == NULL) {
		free(copy);
		return -ENOMEM;
	}
	*index = (*count)++;
	*(char **)(object + shape->name) = copy;
	*(unsigned *)(object + shape->line) = loader->line;
	loader->lines = (struct policy_lines *)(object + shape->lines);
	loader->object = object;
	return 0;
}

static void section_fault(struct loader *loader, const char *name, const char *why)
{
	char quote[DIAGNOSTICS_QUOTE_MAX];

	diagnostics_error(loader->diagnostics, at_line(loader, loader->line), "[%s] %s: %s",
			  section_row(loader->kind)->name, diagnostics_quote(name, quote), why);
	loader->faulty |= 1u << loader->kind;
}

// Accepted domains are compared in lower case and without the dot at the end.
static const char *domain_fault(char *name)
{
	size_t length = strlen(name);

	for (char *at = name; *at != '\0'; at++)
		*at = (char)tolower((unsigned char)*at);
	if (length > 1 && name[length - 1] == '.')
		name[--length] = '\0';
	if (strcmp(name, "*") == 0) // judged by AllDomains
		return NULL;
	if (strncmp(name, "*.", 2) == 0)
		name += 2;
	return value_domain_fault(name);
}

static bool header_ok(struct loader *loader, char *name)
{
	const struct section *row = section_row(loader->kind);
	const char *fault;

	if (!row->named) {
		if (name[0] == '\0')
			return true;
		section_fault(loader, name, "this kind of section has no name");
		return false;
	}
	if (name[0] == '\0') {
		diagnostics_error(loader->diagnostics, at_line(loader, loader->line),
				  "the section needs a name: write %s", row->title);
		loader->faulty |= 1u << loader->kind;
		return false;
	}
	fault = loader->kind == SECTION_ACCEPTED_DOMAIN ? domain_fault(name)
							: value_name_fault(name);
	if (fault != NULL)
		section_fault(loader, name, fault);
	return fault == NULL;
}

static bool is_duplicate(struct loader *loader, char *name)
{
	const struct named *first = find_named(loader, loader->kind, name);
	char quote[DIAGNOSTICS_QUOTE_MAX];

	if (first == NULL)
		return false;
	diagnostics_error(loader->diagnostics, at_line(loader, loader->line),
			  "[%s%s%s] stands twice, first on line %u: join the two or rename one",
			  section_row(loader->kind)->name, name[0] != '\0' ? " " : "",
			  name[0] != '\0' ? diagnostics_quote(name, quote) : "", first->line);
	loader->faulty |= 1u << loader->kind;
	return true;
}

static void open_ip_list(struct loader *loader, struct ip_list *list)
{
	loader->object = list;
	loader->lines = &list->lines;
	list->line = loader->line;
}

static void open_ban(struct loader *loader)
{
	struct ban_settings *ban = &loader->policy->ban;

	loader->object = ban;
	loader->lines = &ban->lines;
	ban->line = loader->line;
}

static int open_object(struct loader *loader, const char *name)
{
	struct policy *policy = loader->policy;
	unsigned index = 0;

	switch (loader->kind) {
	case SECTION_GATE:
		loader->object = &policy->gate;
		loader->lines = &policy->gate.lines;
		policy->gate.line = loader->line;
		break;
	case SECTION_IP_ALLOW:
		open_ip_list(loader, &policy->ip_allow);
		break;
	case SECTION_IP_BLOCK:
		open_ip_list(loader, &policy->ip_block);
		break;
	case SECTION_BAN:
		open_ban(loader);
		break;
	default:
		if (new_object(loader, name, &index) != 0)
			return -ENOMEM;
	}
	if (add_named(loader, name, index) != 0)
		return -ENOMEM;
	return assign_defaults(loader->kind, loader->object);
}

// What a connector's Usage says where its section does not.
static void apply_usage(struct loader *loader, const struct key *key)
{
	struct connector *connector = loader->object;
	const char *preset = usage_preset(connector->usage, key->name);
	char text[64];

	if (preset == NULL || loader->lines->key[key_index(key)] != 0)
		return;
	snprintf(text, sizeof(text), "%s", preset);
	if (assign_value(key, connector, text, at_line(loader, loader->line),
			 loader->diagnostics) == -ENOMEM)
		loader->error = -ENOMEM;
}

static bool is_preset(const struct loader *loader, const struct key *key)
{
	return loader->kind == SECTION_CONNECTOR &&
	       usage_preset(((const struct connector *)loader->object)->usage, key->name) != NULL;
}

// What the open section lacks.
static void close_section(struct loader *loader)
{
	char form[KEY_FORM_MAX];

	if (!loader->inside)
		return;
	loader->inside = false;
	for (unsigned i = 0; i < keys_count(); i++) {
		const struct key *key = keys_at(i);

		if (key->section != loader->kind)
			continue;
		if (loader->kind == SECTION_CONNECTOR)
			apply_usage(loader, key);
		if (!key->required || loader->lines->key[key_index(key)] != 0 ||
		    is_preset(loader, key))
			continue;
		diagnostics_error(loader->diagnostics, at_line(loader, loader->line),
				  "the section lacks %s: write \"%s = ...\", %s", key->name,
				  key->name, key_format_form(key, form));
		loader->faulty |= 1u << loader->kind;
	}
}

static void on_section(void *context, const char *kind, const char *name, unsigned line)
{
	struct loader *loader = context;
	char quote[DIAGNOSTICS_QUOTE_MAX];
	char *own_name;

	close_section(loader);
	loader->before = false;
	loader->line = line;
	if (!section_find(kind, &loader->kind)) {
		diagnostics_error(
			loader->diagnostics, at_line(loader, line),
			"unknown section %s: write [gate], [port NAME], [connector NAME], "
			"[backend NAME], [accepted-domain DOMAIN], [ip-allow], [ip-block], [ban] "
			"or "
			"[dnsbl NAME]",
			diagnostics_quote(kind, quote));
		loader->faulty = ALL_SECTIONS;
		return;
	}
	own_name = strdup(name);
	if (own_name == NULL) {
		loader->error = -ENOMEM;
		return;
	}
	if (header_ok(loader, own_name) && !is_duplicate(loader, own_name)) {
		loader->inside = true;
		if (open_object(loader, own_name) != 0) {
			loader->inside = false;
			loader->error = -ENOMEM;
		}
	}
	free(own_name);
}

static void on_broken_section(void *context)
{
	struct loader *loader = context;

	close_section(loader);
	loader->before = false;
	loader->faulty = ALL_SECTIONS;
}

// ---- Keys ------------------------------------------------------------------------------------

static bool is_directory(const struct key *key)
{
	return strcmp(key->name, "PinDirectory") == 0;
}

static enum reader_take on_key(void *context, const char *name, unsigned line)
{
	struct loader *loader = context;
	char quote[DIAGNOSTICS_QUOTE_MAX], hint[KEY_HINT_MAX];
	unsigned *first;

	if (loader->before) {
		diagnostics_error(loader->diagnostics, at_line(loader, line),
				  "%s stands before the first section: begin with [gate]",
				  diagnostics_quote(name, quote));
		loader->faulty = ALL_SECTIONS;
		return READER_SKIP;
	}
	if (!loader->inside)
		return READER_SKIP;
	loader->key = keys_find(loader->kind, name);
	if (loader->key == NULL) {
		diagnostics_error(loader->diagnostics, at_line(loader, line),
				  "unknown key %s in %s%s", diagnostics_quote(name, quote),
				  section_row(loader->kind)->title,
				  keys_hint(loader->kind, name, hint));
		loader->faulty |= 1u << loader->kind;
		return READER_SKIP;
	}
	first = &loader->lines->key[key_index(loader->key)];
	if (*first != 0) {
		diagnostics_error(loader->diagnostics, at_line(loader, line),
				  "%s stands twice in this section, first on line %u: remove one%s",
				  loader->key->name, *first,
				  key_is_list(loader->key) ? "; a list continues on indented lines"
							   : "");
		loader->faulty |= 1u << loader->kind;
		if (is_directory(loader->key))
			loader->bad_directory = *first;
		return READER_SKIP;
	}
	*first = line;
	return key_is_list(loader->key) ? READER_LIST : READER_SCALAR;
}

static void on_value(void *context, char *value, unsigned line)
{
	struct loader *loader = context;
	int status;

	assert(loader->inside && loader->key != NULL);
	status = assign_value(loader->key, loader->object, value, at_line(loader, line),
			      loader->diagnostics);
	if (status == -ENOMEM)
		loader->error = status;
	else if (status != 0) {
		loader->faulty |= 1u << loader->kind;
		if (is_directory(loader->key))
			loader->bad_directory = line;
	}
}

static void on_fault(void *context, unsigned line, const char *text)
{
	struct loader *loader = context;

	diagnostics_error(loader->diagnostics, at_line(loader, line), "%s", text);
	loader->faulty |= loader->inside ? 1u << loader->kind : ALL_SECTIONS;
}

// ---- After the last line ---------------------------------------------------------------------

// The names of all backends, for a message; long lists are cut and marked.
static const char *list_backends(const struct policy *policy, char buffer[512])
{
	size_t used = 0;

	buffer[0] = '\0';
	for (unsigned i = 0; i < policy->backend_count; i++) {
		int written = snprintf(buffer + used, 512 - used, "%s%s", i > 0 ? ", " : "",
				       policy->backends[i].name);

		if (written < 0 || used + (size_t)written > 500) {
			strcpy(buffer + used, "...");
			break;
		}
		used += (size_t)written;
	}
	return buffer;
}

static void resolve_backend(struct loader *loader, struct connector *connector)
{
	const struct policy *policy = loader->policy;
	unsigned line = keys_line(&connector->lines, SECTION_CONNECTOR, "Backend", 0);
	const struct named *found;
	char quote[DIAGNOSTICS_QUOTE_MAX], list[512];

	// A file without any backend is told by check.
	if (policy->backend_count == 0)
		return;
	if (connector->backend_name == NULL) {
		if (policy->backend_count > 1 && line == 0) {
			diagnostics_error(loader->diagnostics, at_line(loader, connector->line),
					  "connector %s lacks Backend: with more than one backend "
					  "each connector must name its own: %s",
					  diagnostics_quote(connector->name, quote),
					  list_backends(policy, list));
			loader->faulty |= 1u << SECTION_CONNECTOR;
		}
		return;
	}
	found = find_named(loader, SECTION_BACKEND, connector->backend_name);
	if (found != NULL) {
		connector->backend = found->index;
	} else if (!(loader->faulty & (1u << SECTION_BACKEND))) {
		diagnostics_error(loader->diagnostics, at_line(loader, line),
				  "Backend: there is no backend %s; the file has: %s",
				  diagnostics_quote(connector->backend_name, quote),
				  list_backends(policy, list));
		loader->faulty |= 1u << SECTION_CONNECTOR;
	}
}

static int finish(struct loader *loader)
{
	struct policy *policy = loader->policy;

	close_section(loader);
	if (policy->gate.line == 0 && loader->faulty == 0) {
		diagnostics_error(loader->diagnostics, at_line(loader, 0),
				  "the section [gate] is missing: write [gate] and below it Name = "
				  "your host name");
		loader->faulty |= 1u << SECTION_GATE;
	}
	for (unsigned i = 0; i < policy->connector_count; i++) {
		struct connector *connector = &policy->connectors[i];

		resolve_backend(loader, connector);
		if (connector->fqdn == NULL && policy->gate.name != NULL) {
			connector->fqdn = strdup(policy->gate.name);
			if (connector->fqdn == NULL)
				return -ENOMEM;
		}
	}
	policy_sort_domains(policy);
	ip_list_sort(&policy->ip_allow);
	ip_list_sort(&policy->ip_block);
	return check_policy(policy, loader->faulty, loader->diagnostics);
}

// The PinDirectory that stands in the file, or would by default; one that may have been meant
// otherwise is nobody's to guess.
static char *directory_of(const struct loader *loader)
{
	const struct gate_settings *gate = &loader->policy->gate;
	unsigned line = keys_line(&gate->lines, SECTION_GATE, "PinDirectory", 0);

	if (gate->pin_directory == NULL || gate->line == 0)
		return NULL;
	if (loader->faulty & (1u << SECTION_GATE) && (line == 0 || line == loader->bad_directory))
		return NULL;
	return strdup(gate->pin_directory);
}

struct policy *policy_load_bytes_with_directory(const char *file, const char *bytes, size_t length,
						struct diagnostics *diagnostics, char **directory)
{
	struct loader loader = {.diagnostics = diagnostics, .before = true};
	const struct reader_listener listener = {
		.section = on_section,
		.broken_section = on_broken_section,
		.key = on_key,
		.value = on_value,
		.fault = on_fault,
		.context = &loader,
	};
	struct place place = {file, 0};
	unsigned errors = diagnostics->errors;

	*directory = NULL;
	if (length == 0) {
		diagnostics_error(diagnostics, place, "the file is empty");
		return NULL;
	}
	loader.policy = calloc(1, sizeof(*loader.policy));
	if (loader.policy != NULL)
		loader.policy->file = strdup(file);
	if (loader.policy == NULL || loader.policy->file == NULL ||
	    assign_defaults(SECTION_BAN, &loader.policy->ban) != 0) { // sources are banned by hand,
								      // too
		loader.error = -ENOMEM;
	} else {
		int status = reader_run(bytes, length, &listener);

		if (status != 0)
			loader.error = status;
		if (loader.error == 0)
			loader.error = finish(&loader);
	}
	if (loader.error != 0)
		diagnostics_error(diagnostics, place, "out of memory while reading the file");
	else
		*directory = directory_of(&loader);
	tdestroy(loader.names, destroy_named);
	if (diagnostics->errors != errors) {
		policy_destroy(loader.policy);
		return NULL;
	}
	return loader.policy;
}

struct policy *policy_load_bytes(const char *file, const char *bytes, size_t length,
				 struct diagnostics *diagnostics)
{
	char *directory = NULL;
	struct policy *policy =
		policy_load_bytes_with_directory(file, bytes, length, diagnostics, &directory);

	free(directory);
	return policy;
}

struct policy *policy_load_text(const char *text, struct diagnostics *diagnostics)
{
	return policy_load_bytes("(text)", text, strlen(text), diagnostics);
}
