// SPDX-License-Identifier: BSD-3-Clause
//
// See check_dnsbl.h. Asks no name server: `check` runs on other machines, too.
#include "config/check_dnsbl.h"

#include "config/keys.h"
#include "config/policy.h"

static void check_connector(const struct policy *policy, const struct connector *connector,
			    uint32_t most, struct diagnostics *diagnostics)
{
	unsigned action =
		keys_line(&connector->lines, SECTION_CONNECTOR, "DnsblAction", connector->line);
	unsigned threshold =
		keys_line(&connector->lines, SECTION_CONNECTOR, "DnsblThreshold", connector->line);

	if (policy->dnsbl_count == 0)
		diagnostics_error(diagnostics, (struct place){policy->file, action},
				  "DnsblAction: there is no list to ask: write [dnsbl NAME] with "
				  "Zone");
	else if (connector->dnsbl_threshold > most)
		diagnostics_error(diagnostics, (struct place){policy->file, threshold},
				  "DnsblThreshold: all lists together weigh %u: no client can "
				  "reach %u",
				  most, connector->dnsbl_threshold);
}

// It becomes part of a reply line.
static void check_name(const struct policy *policy, const struct dnsbl_list *list,
		       struct diagnostics *diagnostics)
{
	char quote[DIAGNOSTICS_QUOTE_MAX];

	for (const char *at = list->name; *at != '\0'; at++)
		if (*at < ' ' || *at > '~') {
			diagnostics_error(diagnostics, (struct place){policy->file, list->line},
					  "[dnsbl] %s: only printable ASCII may stand in a reply",
					  diagnostics_quote(list->name, quote));
			return;
		}
}

void check_dnsbl(const struct policy *policy, struct diagnostics *diagnostics)
{
	uint32_t most = 0;
	bool asked = false;

	for (unsigned i = 0; i < policy->dnsbl_count; i++) {
		const struct dnsbl_list *list = &policy->dnsbls[i];

		check_name(policy, list, diagnostics);
		most += list->weight > 0 ? (uint32_t)list->weight : 0;
	}
	if (policy->dnsbl_count > POLICY_DNSBLS_MAX)
		diagnostics_error(
			diagnostics,
			(struct place){policy->file, policy->dnsbls[POLICY_DNSBLS_MAX].line},
			"the file has %u DNS lists, the limit is %u", policy->dnsbl_count,
			POLICY_DNSBLS_MAX);
	for (unsigned i = 0; i < policy->connector_count; i++) {
		const struct connector *connector = &policy->connectors[i];

		if (!connector->enabled || connector->dnsbl_action == DNSBL_NONE)
			continue;
		asked = true;
		check_connector(policy, connector, most, diagnostics);
	}
	if (policy->dnsbl_count > 0 && !asked)
		diagnostics_warning(diagnostics,
				    (struct place){policy->file, policy->dnsbls[0].line},
				    "[dnsbl %s] is asked by no connector: write DnsblAction there",
				    policy->dnsbls[0].name);
}
