// SPDX-License-Identifier: BSD-3-Clause
//
// Get-AcceptedDomain -> accepted domains of the policy.
#include "config/array.h"
#include "config/diagnostics.h"
#include "config/value.h"
#include "control/commands.h"
#include "control/import.h"
#include "control/import_read.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static const struct import_name type_names[] = {
	{0, "Authoritative"}, {1, "ExternalRelay"}, {2, "InternalRelay"}, {0, NULL}};

// "*.contoso.com" of text or object, in lower case; NULL when there is none.
static char *name_of(const struct import_value *source)
{
	const struct import_value *name = import_member(source, "DomainName");
	const struct import_value *domain = name ? import_member(name, "Domain") : NULL;
	const struct import_value *below = name ? import_member(name, "IncludeSubDomains") : NULL;
	const char *text = name ? import_read_text(name) : NULL;
	bool subdomains = false;
	char *copy;

	if (domain && domain->text && !name->text && !import_member(name, "Address")) {
		text = domain->text;
		if (below && import_read_boolean(below, &subdomains))
			return NULL;
	}
	if (!text)
		return NULL;
	copy = import_format("%s%s", subdomains ? "*." : "", text);
	for (char *at = copy; *at; at++)
		*at = (char)tolower((unsigned char)*at);
	return copy;
}

static const char *fault_of(const struct import *import, const char *name)
{
	for (unsigned i = 0; i < import->policy->domain_count; i++)
		if (strcmp(import->policy->domains[i].name, name) == 0)
			return "it stands twice";
	if (strcmp(name, "*") == 0)
		return NULL;
	return value_domain_fault(strncmp(name, "*.", 2) == 0 ? name + 2 : name);
}

static int type_of(const struct import_value *source, enum domain_type *out)
{
	const struct import_value *value = import_member(source, "DomainType");
	char *name;

	*out = DOMAIN_AUTHORITATIVE;
	if (!value)
		return 0;
	if (import_read_names(value, type_names, false, &name))
		return -1;
	if (strcmp(name, "ExternalRelay") == 0)
		*out = DOMAIN_EXTERNAL_RELAY;
	else if (strcmp(name, "InternalRelay") == 0)
		*out = DOMAIN_INTERNAL_RELAY;
	else if (strcmp(name, "Authoritative") != 0)
		*out = (enum domain_type) - 1;
	free(name);
	return *out == (enum domain_type) - 1 ? -1 : 0;
}

static void import_one(struct import *import, const struct import_value *source)
{
	const char *file = import->options->domains;
	const struct import_value *match = import_member(source, "MatchSubDomains");
	struct accepted_domain domain = {.name = name_of(source)}, *slot;
	char quote[DIAGNOSTICS_QUOTE_MAX];
	const char *fault;

	if (!domain.name) {
		import_error(import, IMPORT_WHOLE, file,
			     "something that is no accepted domain (it has no DomainName): export "
			     "with Get-AcceptedDomain | ConvertTo-Json");
		return;
	}
	diagnostics_quote(domain.name, quote);
	if (type_of(source, &domain.type))
		import_error(import, IMPORT_WHOLE, file, "domain %s: its DomainType is none",
			     quote);
	if (match && import_read_boolean(match, &domain.match_subdomains))
		import_error(import, IMPORT_WHOLE, file,
			     "domain %s: its MatchSubDomains is neither true nor false", quote);
	fault = fault_of(import, domain.name);
	if (fault) {
		import_note(import, IMPORT_WHOLE, "DomainName", "%s: left out: %s", quote, fault);
		free(domain.name);
		return;
	}
	if (strcmp(domain.name, "*") == 0) {
		domain.all_domains = true;
		import_note(import, IMPORT_WHOLE, "DomainName",
			    "*: every domain is accepted there, so whoever may submit may relay; "
			    "here as well, by AllDomains = yes");
	}
	slot = array_append(&import->policy->domains, import->policy->domain_count, sizeof(*slot));
	if (!slot) {
		free(domain.name);
		import_error(import, IMPORT_WHOLE, file, "out of memory");
		return;
	}
	*slot = domain;
	import->policy->domain_count++;
}

static void gather(struct import *import, const struct import_value *value, unsigned depth)
{
	if (value->kind == IMPORT_LIST && depth < 3)
		for (const struct import_value *item = import_first_item(value); item;
		     item = import_next_item(item))
			gather(import, item, depth + 1);
	else if (value->kind != IMPORT_NULL)
		import_one(import, value);
}

void import_domains(struct import *import)
{
	gather(import, import->domains_tree.root, 0);
}
