// SPDX-License-Identifier: BSD-3-Clause
//
// The audit's rules about one connector by itself: what its sessions may do, and how many addresses
// may open one. One kind of finding a row, one function a subject.
#include "config/audit_internal.h"
#include "config/keys.h"

#include <inttypes.h>
#include <stdio.h>

static unsigned line_of(const struct connector *connector, const char *key)
{
	return keys_line(&connector->lines, SECTION_CONNECTOR, key, connector->line);
}

static bool for_everybody(const struct connector *connector)
{
	for (unsigned i = 0; i < connector->range_count; i++)
		if (exposure_is_everybody(&connector->ranges[i].range))
			return true;
	return false;
}

// "4294967296 IPv4 addresses and 3 IPv6 /64 networks"
#define WIDTH_TEXT_MAX 96
static const char *width_text(const struct exposure_width *width, char buffer[WIDTH_TEXT_MAX])
{
	if (width->ipv4 && width->ipv6)
		snprintf(buffer, WIDTH_TEXT_MAX,
			 "%" PRIu64 " IPv4 addresses and %" PRIu64 " IPv6 /64 networks",
			 width->ipv4, width->ipv6);
	else if (width->ipv6)
		snprintf(buffer, WIDTH_TEXT_MAX, "%" PRIu64 " IPv6 /64 networks", width->ipv6);
	else
		snprintf(buffer, WIDTH_TEXT_MAX, "%" PRIu64 " IPv4 addresses", width->ipv4);
	return buffer;
}

static void judge_relay(struct auditor *auditor, const struct connector *connector,
			const struct exposure_width *width, rights_mask rights)
{
	static const struct audit_kind open = {
		AUDIT_CRITICAL, "open-relay",
		"narrow RemoteIPRanges, or deny ms-Exch-SMTP-Accept-Any-Recipient"};
	static const struct audit_kind everybody = {
		AUDIT_CRITICAL, "relay-on-default-connector",
		"give the right to a connector of its own with the few hosts that need it"};
	static const struct audit_kind inside = {
		AUDIT_WARNING, "wide-internal-relay",
		"list the hosts that need it: one infected machine inside is enough"};
	char text[WIDTH_TEXT_MAX];

	if (!(rights & RIGHT_SUBMIT) || !(rights & RIGHT_ACCEPT_ANY_RECIPIENT))
		return;
	width_text(width, text);
	if (for_everybody(connector))
		audit_tell(auditor, &everybody, width->line,
			   "connector %s takes everybody, and lets everybody send to any recipient",
			   connector->name);
	else if (exposure_is_wide(width))
		audit_tell(auditor, &open, width->line,
			   "connector %s lets %s send to any recipient without a password",
			   connector->name, text);
	else if (width->ipv4 > 65536)
		audit_tell(auditor, &inside, width->line,
			   "connector %s lets %s send to any recipient", connector->name, text);
}

static void judge_limits(struct auditor *auditor, const struct connector *connector)
{
	static const struct audit_kind unlimited = {
		AUDIT_WARNING, "unlimited-source",
		"set MaxInboundConnectionPerSource, or the percentage"};

	if (for_everybody(connector) && !limit_is_set(connector, LIMIT_PER_SOURCE) &&
	    !limit_is_set(connector, LIMIT_PERCENTAGE) &&
	    !limit_is_set(connector, LIMIT_PER_PREFIX))
		audit_tell(auditor, &unlimited, line_of(connector, "MaxInboundConnectionPerSource"),
			   "connector %s takes everybody, and one source may take all connections",
			   connector->name);
}

static void judge_externally_secured(struct auditor *auditor, const struct connector *connector,
				     const struct exposure_width *width)
{
	static const struct audit_kind wide = {AUDIT_CRITICAL, "wide-externally-secured",
					       "name the partner's few hosts in RemoteIPRanges"};
	static const struct audit_kind both = {
		AUDIT_WARNING, "two-relay-methods",
		"choose one: ExternalAuthoritative, or Accept-Any-Recipient for anonymous"};
	char text[WIDTH_TEXT_MAX];

	if (!(connector->mechanisms & MECHANISM_EXTERNAL_AUTHORITATIVE))
		return;
	if (width->public_ipv4 > 256 || width->public_ipv6 > 1)
		audit_tell(auditor, &wide, width->line,
			   "connector %s takes %s for authenticated servers of ours",
			   connector->name, width_text(width, text));
	if (connector->granted[PRINCIPAL_ANONYMOUS] & RIGHT_ACCEPT_ANY_RECIPIENT)
		audit_tell(auditor, &both, line_of(connector, "ExtendedRights"),
			   "connector %s lets relay by both methods, with different stamps",
			   connector->name);
}

// Rights that make the mail of strangers look like ours.
static void judge_trust(struct auditor *auditor, const struct connector *connector,
			const struct exposure_width *width, rights_mask rights)
{
	static const struct {
		enum right right;
		const char *effect;
	} rows[] = {
		{RIGHT_ACCEPT_HEADERS_ORGANIZATION, "bring their own AuthAs and SCL stamps"},
		{RIGHT_ACCEPT_HEADERS_FOREST, "bring their own forest headers"},
		{RIGHT_ACCEPT_AUTHENTICATION_FLAG, "call their mail internal by AUTH="},
		{RIGHT_BYPASS_ANTI_SPAM, "pass spam filters unseen"},
		{RIGHT_BYPASS_MESSAGE_SIZE_LIMIT, "send messages of any size"},
	};
	static const struct audit_kind wide = {AUDIT_CRITICAL, "trusts-strangers",
					       "deny the right, or narrow RemoteIPRanges"};

	if (!exposure_is_wide(width) || !(rights & RIGHT_SUBMIT) ||
	    connector->mechanisms & MECHANISM_EXTERNAL_AUTHORITATIVE)
		return;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (rights & rows[i].right)
			audit_tell(auditor, &wide, line_of(connector, "ExtendedRights"),
				   "connector %s lets strangers %s (%s)", connector->name,
				   rows[i].effect, right_name(rows[i].right));
}

static void judge_use(struct auditor *auditor, const struct connector *connector,
		      rights_mask rights)
{
	static const struct audit_kind useless = {
		AUDIT_WARNING, "useless-connector",
		"grant ms-Exch-SMTP-Submit (PermissionGroups = AnonymousUsers), or remove it"};
	static const struct audit_kind families = {
		AUDIT_WARNING, "useless-connector",
		"give Bindings and RemoteIPRanges of one address family"};
	static const struct audit_kind disabled = {AUDIT_NOTICE, "disabled-connector",
						   "enable or remove it"};

	if (!connector->enabled)
		audit_tell(auditor, &disabled, line_of(connector, "Enabled"),
			   "connector %s is disabled", connector->name);
	else if (!(rights & RIGHT_SUBMIT))
		audit_tell(auditor, &useless, line_of(connector, "PermissionGroups"),
			   "connector %s lets nobody send mail", connector->name);
	if (!exposure_shares_family(connector))
		audit_tell(auditor, &families, line_of(connector, "Bindings"),
			   "connector %s serves nobody: its Bindings and its RemoteIPRanges are of "
			   "different address families",
			   connector->name);
}

static void judge_protocol(struct auditor *auditor, const struct connector *connector,
			   const struct exposure_width *width, rights_mask rights)
{
	static const struct audit_kind ipv6 = {
		AUDIT_WARNING, "anonymous-ipv6",
		"list known networks: most block lists do not know IPv6"};
	static const struct audit_kind line_feeds = {
		AUDIT_WARNING, "bare-line-feeds",
		"leave BareLinefeedRejectionEnabled at yes unless a sender needs it"};
	static const struct audit_kind tarpit = {
		AUDIT_WARNING, "no-tarpit",
		"leave TarpitInterval at 5s where strangers may connect"};

	if (!(rights & RIGHT_SUBMIT))
		return;
	if (width->public_ipv6 > 1ull << 32)
		audit_tell(auditor, &ipv6, width->line,
			   "connector %s takes mail from unknown IPv6 clients", connector->name);
	if (!connector->bare_linefeed_rejection)
		audit_tell(auditor, &line_feeds, line_of(connector, "BareLinefeedRejectionEnabled"),
			   "connector %s repairs bare line feeds instead of refusing them",
			   connector->name);
	if (connector->tarpit_interval_ms == 0 && exposure_is_wide(width))
		audit_tell(auditor, &tarpit, line_of(connector, "TarpitInterval"),
			   "connector %s answers strangers' guesses at once", connector->name);
}

static void judge_pointless(struct auditor *auditor, const struct connector *connector)
{
	static const struct audit_kind denial = {AUDIT_NOTICE, "pointless-denial", "remove it"};
	static const struct audit_kind grant = {AUDIT_NOTICE, "unreachable-grant",
						"remove it: this version has no authentication"};
	static const struct audit_kind undone = {AUDIT_NOTICE, "denied-grant",
						 "remove the grant or the denial"};

	for (unsigned i = 0; i < PRINCIPAL_COUNT; i++) {
		const char *who = principal_name((enum principal)i);
		bool reachable = connector_identities(connector) & 1u << i;

		for (uint32_t right = RIGHT_FIRST; right <= RIGHT_LAST; right <<= 1) {
			const char *name = right_name((enum right)right);
			bool granted = connector->granted[i] & right;
			bool by_group = permission_groups_rights(connector->permission_groups,
								 (enum principal)i) &
					right;

			if (granted && !reachable)
				audit_tell(auditor, &grant, line_of(connector, "ExtendedRights"),
					   "connector %s grants %s to %s, whom nobody can be",
					   connector->name, name, who);
			if (!(connector->denied[i] & right))
				continue;
			if (granted)
				audit_tell(auditor, &undone, line_of(connector, "DeniedRights"),
					   "connector %s grants and denies %s to %s",
					   connector->name, name, who);
			else if (!by_group)
				audit_tell(
					auditor, &denial, line_of(connector, "DeniedRights"),
					"connector %s denies %s to %s, to whom nothing grants it",
					connector->name, name, who);
		}
	}
}

void audit_connector(struct auditor *auditor, const struct connector *connector)
{
	const struct exposure_width width = exposure_of_connector(connector);
	const rights_mask rights = connector_session_rights(connector);

	judge_use(auditor, connector, rights);
	if (!connector->enabled)
		return;
	judge_relay(auditor, connector, &width, rights);
	judge_limits(auditor, connector);
	judge_externally_secured(auditor, connector, &width);
	judge_trust(auditor, connector, &width, rights);
	judge_protocol(auditor, connector, &width, rights);
	judge_pointless(auditor, connector);
}
