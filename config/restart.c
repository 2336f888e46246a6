// SPDX-License-Identifier: BSD-3-Clause
//
// See restart.h. Compares field by field, by the rows of keys.h.
#include "config/restart.h"

#include "config/check.h"
#include "config/key_value.h"
#include "config/policy.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

struct comparison {
	struct policy *next;
	struct diagnostics *diagnostics;
	char *kept; // RESTART_KEPT_MAX
	bool failed;
};

// Whole entries only: what finds no room is "...".
static void add_kept(char *kept, const char *entry)
{
	size_t used = strlen(kept);
	const char *between = used ? ", " : "";

	if (used + strlen(between) + strlen(entry) + sizeof(", ...") <= RESTART_KEPT_MAX)
		sprintf(kept + used, "%s%s", between, entry);
	else if (used < 3 || strcmp(kept + used - 3, "...") != 0)
		sprintf(kept + used, "%s...", between);
}

static void keep(struct comparison *comparison, const struct key *key, const char *name, void *next,
		 const void *running, unsigned line)
{
	struct place place = {comparison->next->file, line};
	char old_value[KEY_VALUE_MAX], new_value[KEY_VALUE_MAX];
	char entry[2 * KEY_VALUE_MAX + 256];

	key_value_format(key, running, old_value);
	key_value_format(key, next, new_value);
	diagnostics_warning(comparison->diagnostics, place,
			    "%s changed from %s to %s: that needs a restart, until then %s is in "
			    "force",
			    key->name, old_value, new_value, old_value);
	snprintf(entry, sizeof(entry), "%s%s%s%s%s%s (%s -> %s)", name ? "[" : "",
		 name ? section_row(key->section)->name : "", name ? " " : "", name ? name : "",
		 name ? "] " : "", key->name, old_value, new_value);
	add_kept(comparison->kept, entry);
	if (key_value_copy(key, next, running))
		comparison->failed = true;
}

// name: of the section, NULL where there is one of its kind only.
static void compare_section(struct comparison *comparison, enum section_kind kind, const char *name,
			    void *next, const void *running, const struct policy_lines *lines,
			    unsigned line)
{
	for (unsigned i = 0; i < keys_count(); i++) {
		const struct key *key = keys_at(i);

		if (key->section == kind && key->restart && !key_value_same(key, running, next))
			keep(comparison, key, name, next, running,
			     keys_line(lines, kind, key->name, line));
	}
}

static bool same_ports(const struct policy *a, const struct policy *b)
{
	if (a->port_count != b->port_count)
		return false;
	for (unsigned i = 0; i < a->port_count; i++)
		if (strcmp(a->ports[i].name, b->ports[i].name) != 0)
			return false;
	return true;
}

// What is remembered of clients is bits of the lists, in their order.
static bool same_dnsbls(const struct policy *a, const struct policy *b)
{
	if (a->dnsbl_count != b->dnsbl_count)
		return false;
	for (unsigned i = 0; i < a->dnsbl_count; i++)
		if (strcmp(a->dnsbls[i].name, b->dnsbls[i].name) != 0)
			return false;
	return true;
}

static void report_error(void *context, enum diagnostic_severity severity, const char *text)
{
	struct diagnostics *diagnostics = context;

	if (severity == DIAGNOSTIC_ERROR && diagnostics->report)
		diagnostics->report(diagnostics->context, severity, text);
}

// With the values that stay the file may have faults that it has not as it stands.
static bool is_whole(struct comparison *comparison)
{
	struct diagnostics errors = {.report = report_error, .context = comparison->diagnostics};

	if (comparison->failed || check_policy(comparison->next, 0, &errors)) {
		diagnostics_error(comparison->diagnostics,
				  (struct place){comparison->next->file, 0}, "out of memory");
		return false;
	}
	if (!errors.errors)
		return true;
	diagnostics_error(comparison->diagnostics, (struct place){comparison->next->file, 0},
			  "the rest of the file does not go with what stays until a restart: %s",
			  comparison->kept);
	return false;
}

static void compare_sections(struct comparison *comparison, const struct policy *running)
{
	struct policy *next = comparison->next;

	compare_section(comparison, SECTION_GATE, NULL, &next->gate, &running->gate,
			&next->gate.lines, next->gate.line);
	compare_section(comparison, SECTION_BAN, NULL, &next->ban, &running->ban, &next->ban.lines,
			next->ban.line);
	for (unsigned i = 0; i < next->port_count; i++)
		compare_section(comparison, SECTION_PORT, next->ports[i].name, &next->ports[i],
				&running->ports[i], &next->ports[i].lines, next->ports[i].line);
	for (unsigned i = 0; i < next->dnsbl_count; i++)
		compare_section(comparison, SECTION_DNSBL, next->dnsbls[i].name, &next->dnsbls[i],
				&running->dnsbls[i], &next->dnsbls[i].lines, next->dnsbls[i].line);
}

bool restart_keep(const struct policy *running, struct policy *next,
		  struct diagnostics *diagnostics, char kept[RESTART_KEPT_MAX])
{
	struct comparison comparison = {next, diagnostics, kept, false};
	const char *other = !same_ports(running, next)    ? "ports"
			    : !same_dnsbls(running, next) ? "DNS lists"
							  : NULL;

	kept[0] = '\0';
	if (other) {
		diagnostics_error(diagnostics, (struct place){next->file, 0},
				  "the %s, or their order, changed: that needs a restart", other);
		return false;
	}
	compare_sections(&comparison, running);
	return !kept[0] || is_whole(&comparison);
}
