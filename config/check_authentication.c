// SPDX-License-Identifier: BSD-3-Clause
//
// See check_authentication.h. One row a rule: the mechanisms that it is about and what they need.
// Without TLS and AUTH, whatever relies on them is an error rather than a connector that is more
// open, or more closed, than its words say.
#include "config/check_authentication.h"
#include "config/keys.h"
#include "config/policy.h"

#include <stdbool.h>

struct judged {
	const struct policy *policy;
	const struct connector *connector;
	struct diagnostics *diagnostics;
};

static struct place line_of(const struct judged *judged, const char *key)
{
	return (struct place){judged->policy->file,
			      keys_line(&judged->connector->lines, SECTION_CONNECTOR, key,
					judged->connector->line)};
}

static bool is_written(const struct judged *judged, const char *key)
{
	return judged->connector->lines.key[key_index(keys_find(SECTION_CONNECTOR, key))] != 0;
}

// What a mechanism goes with: all of `needs`, nothing outside of `only`.
static const struct rule {
	uint32_t mechanism, needs, only;
	const char *text;
} rules[] = {
	{MECHANISM_BASIC_AUTH_REQUIRE_TLS, MECHANISM_BASIC_AUTH | MECHANISM_TLS, UINT32_MAX,
	 "BasicAuthRequireTLS needs BasicAuth and Tls"},
	{MECHANISM_EXTERNAL_AUTHORITATIVE, 0, MECHANISM_TLS | MECHANISM_EXTERNAL_AUTHORITATIVE,
	 "ExternalAuthoritative goes with Tls only"},
};

static const struct {
	uint32_t mechanism;
	const char *text;
} not_offered[] = {
	{MECHANISM_TLS, "Tls: STARTTLS is not offered in this version"},
	{MECHANISM_INTEGRATED, "Integrated is never offered: it needs a domain controller"},
	{MECHANISM_EXCHANGE_SERVER, "ExchangeServer is never offered: it needs a domain "
				    "controller"},
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void judge_mechanisms(const struct judged *judged)
{
	uint32_t mechanisms = judged->connector->mechanisms;
	struct place place = line_of(judged, "AuthMechanism");

	for (size_t i = 0; i < COUNT(rules); i++)
		if (mechanisms & rules[i].mechanism &&
		    ((rules[i].needs & ~mechanisms) || (mechanisms & ~rules[i].only)))
			diagnostics_error(judged->diagnostics, place, "AuthMechanism: %s",
					  rules[i].text);
	if (mechanisms & (MECHANISM_BASIC_AUTH | MECHANISM_BASIC_AUTH_REQUIRE_TLS))
		diagnostics_error(judged->diagnostics, place,
				  "AuthMechanism: this version has no AUTH: take BasicAuth and "
				  "BasicAuthRequireTLS away");
	if (mechanisms & MECHANISM_EXTERNAL_AUTHORITATIVE &&
	    !(judged->connector->permission_groups & PERMISSION_GROUP_EXCHANGE_SERVERS))
		diagnostics_error(judged->diagnostics, place,
				  "AuthMechanism: ExternalAuthoritative needs ExchangeServers in "
				  "PermissionGroups");
	if (!is_written(judged, "AuthMechanism"))
		return;
	for (size_t i = 0; i < COUNT(not_offered); i++)
		if (mechanisms & not_offered[i].mechanism)
			diagnostics_warning(judged->diagnostics, place, "AuthMechanism: %s",
					    not_offered[i].text);
}

static void judge_tls(const struct judged *judged)
{
	const struct connector *connector = judged->connector;

	if (!connector->require_tls)
		return;
	diagnostics_error(judged->diagnostics, line_of(judged, "RequireTLS"),
			  connector->mechanisms & MECHANISM_TLS
				  ? "RequireTLS: this version has no TLS, so nobody could send mail"
				  : "RequireTLS needs Tls in AuthMechanism, and this version has "
				    "no TLS");
}

// Usages whose point is what this version does not have.
static void judge_usage(const struct judged *judged)
{
	enum connector_usage usage = judged->connector->usage;

	if (usage != USAGE_CLIENT && usage != USAGE_PARTNER)
		return;
	diagnostics_error(judged->diagnostics, line_of(judged, "Usage"),
			  usage == USAGE_CLIENT
				  ? "Usage: Client needs AUTH, which this version does not have"
				  : "Usage: Partner needs mutual TLS, which this version does not "
				    "have");
}

void check_authentication(const struct policy *policy, struct diagnostics *diagnostics)
{
	for (unsigned i = 0; i < policy->connector_count; i++) {
		const struct judged judged = {policy, &policy->connectors[i], diagnostics};

		judge_usage(&judged);
		if (judged.connector->usage != USAGE_CLIENT || is_written(&judged, "AuthMechanism"))
			judge_mechanisms(&judged);
		judge_tls(&judged);
	}
}
