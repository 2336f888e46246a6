// SPDX-License-Identifier: BSD-3-Clause
//
// See audit.h. Collects and orders what the rules tell, and holds the rules about the policy as a
// whole: accepted domains, lists, backends. Rules about one connector are in audit_connector.c,
// about what connectors hide from one another in audit_reach.c.
#include "config/audit_internal.h"
#include "config/keys.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void audit_tell(struct auditor *auditor, const struct audit_kind *kind, unsigned line,
		const char *format, ...)
{
	struct audit *audit = auditor->audit;
	struct audit_finding *grown =
		realloc(audit->findings, (audit->finding_count + 1) * sizeof(*grown));
	struct audit_finding finding = {
		.severity = kind->severity,
		.code = kind->code,
		.line = line,
		.advice = kind->advice,
	};
	va_list arguments;

	if (grown)
		audit->findings = grown;
	va_start(arguments, format);
	if (!grown || vasprintf(&finding.text, format, arguments) < 0)
		auditor->failed = true;
	else
		audit->findings[audit->finding_count++] = finding;
	va_end(arguments);
}

// ---- Accepted domains ------------------------------------------------------------------------

static bool anybody_submits(const struct auditor *auditor, bool strangers)
{
	for (unsigned i = 0; i < auditor->policy->connector_count; i++) {
		const struct connector *connector = &auditor->policy->connectors[i];
		struct exposure_width width = exposure_of_connector(connector);

		if (connector->enabled && connector_session_rights(connector) & RIGHT_SUBMIT &&
		    (!strangers || exposure_is_wide(&width)))
			return true;
	}
	return false;
}

static void audit_domains(struct auditor *auditor)
{
	static const struct audit_kind all_public = {
		AUDIT_CRITICAL, "accepts-all-domains",
		"name your domains, or keep strangers from submitting"};
	static const struct audit_kind all_private = {
		AUDIT_WARNING, "accepts-all-domains",
		"name your domains: relaying is a right of connectors, not of domains"};
	static const struct audit_kind top = {AUDIT_CRITICAL, "accepts-top-level-domain",
					      "name your own domains below it"};

	for (unsigned i = 0; i < auditor->policy->domain_count; i++) {
		const struct accepted_domain *domain = &auditor->policy->domains[i];
		bool wildcard = strncmp(domain->name, "*.", 2) == 0;
		const char *base = wildcard ? domain->name + 2 : domain->name;

		if (strcmp(domain->name, "*") == 0)
			audit_tell(auditor,
				   anybody_submits(auditor, true) ? &all_public : &all_private,
				   domain->line,
				   "the accepted domain * makes everybody who may submit a relay");
		else if ((wildcard || domain->match_subdomains) && !strchr(base, '.'))
			audit_tell(auditor, &top, domain->line,
				   "the accepted domain %s holds everybody's domains in .%s",
				   domain->name, base);
	}
}

// ---- Lists -----------------------------------------------------------------------------------

static void audit_lists(struct auditor *auditor)
{
	static const struct audit_kind wide = {
		AUDIT_WARNING, "wide-ip-allow",
		"list the few hosts whose mail needs no spam filter"};
	static const struct audit_kind expired = {AUDIT_NOTICE, "expired-entry", "remove it"};
	const struct ip_list *lists[] = {&auditor->policy->ip_allow, &auditor->policy->ip_block};

	for (unsigned i = 0; i < 2; i++)
		for (unsigned j = 0; j < lists[i]->count; j++) {
			const struct ip_entry *entry = &lists[i]->entries[j];
			struct exposure_width width = exposure_of_range(&entry->range, 0);
			char text[RANGE_TEXT_MAX];

			range_format(&entry->range, text);
			if (entry->expires_s && entry->expires_s <= auditor->wall_us / 1000000)
				audit_tell(auditor, &expired, entry->line,
					   "the entry %s of the IP %s list counts no more", text,
					   i == 0 ? "Allow" : "Block");
			else if (i == 0 && exposure_is_wide(&width))
				audit_tell(auditor, &wide, entry->line,
					   "mail from all of %s passes spam filters unseen", text);
		}
}

static void audit_backends(struct auditor *auditor)
{
	static const struct audit_kind unused = {AUDIT_NOTICE, "unused-backend",
						 "remove it, or name it in a connector"};

	for (unsigned i = 0; i < auditor->policy->backend_count; i++) {
		bool used = false;

		for (unsigned j = 0; j < auditor->policy->connector_count; j++)
			used = used || auditor->policy->connectors[j].backend == i;
		if (!used)
			audit_tell(auditor, &unused, auditor->policy->backends[i].line,
				   "no connector sends mail to the backend %s",
				   auditor->policy->backends[i].name);
	}
}

static void audit_policy(struct auditor *auditor)
{
	static const struct audit_kind nowhere = {AUDIT_WARNING, "no-accepted-domain",
						  "write [accepted-domain DOMAIN]"};

	if (auditor->policy->domain_count == 0 && anybody_submits(auditor, false) &&
	    auditor->audit->relay_count == 0)
		audit_tell(auditor, &nowhere, 0,
			   "there is no accepted domain and no right to relay: every recipient is "
			   "refused");
}

// ---- The audit -------------------------------------------------------------------------------

static int order_of_findings(const void *a, const void *b)
{
	const struct audit_finding *left = a, *right = b;

	if (left->severity != right->severity)
		return left->severity < right->severity ? -1 : 1;
	if (left->line != right->line)
		return left->line < right->line ? -1 : 1;
	return strcmp(left->code, right->code);
}

static int find_relays(struct auditor *auditor)
{
	const struct policy *policy = auditor->policy;
	struct audit *audit = auditor->audit;

	audit->relays = calloc(policy->connector_count + 1, sizeof(*audit->relays));
	if (!audit->relays)
		return -1;
	for (unsigned i = 0; i < policy->connector_count; i++) {
		const struct connector *connector = &policy->connectors[i];
		const rights_mask both = RIGHT_SUBMIT | RIGHT_ACCEPT_ANY_RECIPIENT;

		if (!connector->enabled || (connector_session_rights(connector) & both) != both)
			continue;
		audit->relays[audit->relay_count++] = (struct audit_relay){
			.connector = connector,
			.width = exposure_of_connector(connector),
			.grant = grant_find(connector, connector_identities(connector),
					    RIGHT_ACCEPT_ANY_RECIPIENT),
		};
	}
	return 0;
}

struct audit *audit_make(const struct policy *policy, uint64_t wall_us)
{
	struct auditor auditor = {policy, wall_us, calloc(1, sizeof(struct audit)), false};

	if (!auditor.audit || find_relays(&auditor)) {
		audit_destroy(auditor.audit);
		return NULL;
	}
	for (unsigned i = 0; i < policy->connector_count; i++)
		audit_connector(&auditor, &policy->connectors[i]);
	audit_reach(&auditor);
	audit_domains(&auditor);
	audit_lists(&auditor);
	audit_backends(&auditor);
	audit_policy(&auditor);
	if (auditor.failed) {
		audit_destroy(auditor.audit);
		return NULL;
	}
	if (auditor.audit->finding_count)
		qsort(auditor.audit->findings, auditor.audit->finding_count,
		      sizeof(*auditor.audit->findings), order_of_findings);
	return auditor.audit;
}

void audit_destroy(struct audit *audit)
{
	if (!audit)
		return;
	for (unsigned i = 0; i < audit->finding_count; i++)
		free(audit->findings[i].text);
	free(audit->findings);
	free(audit->relays);
	free(audit);
}

const char *audit_severity_name(enum audit_severity severity)
{
	static const char *const names[] = {[AUDIT_CRITICAL] = "critical",
					    [AUDIT_WARNING] = "warning",
					    [AUDIT_NOTICE] = "notice"};

	return names[severity];
}
