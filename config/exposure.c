// SPDX-License-Identifier: BSD-3-Clause
//
// Warnings about connectors that nobody can use, and about such that anybody can. Judges each
// connector alone, by its rights and by how many public addresses its ranges hold.
// Does not judge who gets a client among several connectors (overlap.c).
#include "config/exposure.h"
#include "config/keys.h"
#include "config/policy.h"

#include <assert.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>

struct exposure {
	const struct policy *policy;
	struct diagnostics *diagnostics;
};

static struct place at(const struct exposure *exposure, unsigned line)
{
	return (struct place){exposure->policy->file, line};
}

static unsigned connector_line(const struct connector *connector, const char *name)
{
	return keys_line(&connector->lines, SECTION_CONNECTOR, name, connector->line);
}

// A group that grants only to principals that no session can be.
static void warn_groups(const struct exposure *exposure, const struct connector *connector)
{
	unsigned line =
		connector->lines.key[key_index(keys_find(SECTION_CONNECTOR, "PermissionGroups"))];
	unsigned identities = connector_identities(connector);

	for (uint32_t group = PERMISSION_GROUP_ANONYMOUS_USERS; group <= PERMISSION_GROUP_PARTNERS;
	     group <<= 1) {
		bool of_use = !(connector->permission_groups & group);

		for (unsigned i = 0; i < PRINCIPAL_COUNT && !of_use; i++)
			of_use = identities & 1u << i &&
				 permission_groups_rights(group, (enum principal)i) != 0;
		if (of_use)
			continue;
		diagnostics_warning(exposure->diagnostics,
				    at(exposure, line != 0 ? line : connector->line),
				    "PermissionGroups: %s grants nothing here: %s",
				    permission_group_name((enum permission_group)group),
				    group == PERMISSION_GROUP_EXCHANGE_SERVERS
					    ? "without AuthMechanism = ExternalAuthoritative, "
					      "nobody is an Exchange server"
					    : "this version has no authentication");
	}
}

bool exposure_shares_family(const struct connector *connector)
{
	for (unsigned i = 0; i < connector->binding_count; i++)
		for (unsigned j = 0; j < connector->range_count; j++)
			if (address_is_ipv4(&connector->bindings[i].address) ==
			    address_is_ipv4(&connector->ranges[j].range.first))
				return true;
	return false;
}

static void warn_unusable(const struct exposure *exposure, const struct connector *connector)
{
	struct place place = at(exposure, connector->line);
	rights_mask rights = connector_session_rights(connector);
	char quote[DIAGNOSTICS_QUOTE_MAX];

	diagnostics_quote(connector->name, quote);
	if (!connector->enabled)
		diagnostics_warning(exposure->diagnostics,
				    at(exposure, connector_line(connector, "Enabled")),
				    "connector %s is disabled", quote);
	else if (rights == 0)
		diagnostics_warning(exposure->diagnostics, place,
				    "connector %s grants no right to anybody: every MAIL will be "
				    "refused; write PermissionGroups = AnonymousUsers",
				    quote);
	else if (!(rights & RIGHT_SUBMIT))
		diagnostics_warning(
			exposure->diagnostics, place,
			"connector %s does not grant ms-Exch-SMTP-Submit, so every MAIL "
			"will be refused whatever else it grants",
			quote);
	if (!exposure_shares_family(connector))
		diagnostics_warning(
			exposure->diagnostics, place,
			"connector %s serves nobody: its Bindings and its RemoteIPRanges "
			"are of different address families",
			quote);
}

// Addresses that no outsider has.
static const char *const private_networks[] = {
	"10.0.0.0/8",     "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "127.0.0.0/8",
	"169.254.0.0/16", "fc00::/7",      "fe80::/10",      "::1",
};
#define PRIVATE_COUNT (sizeof(private_networks) / sizeof(private_networks[0]))

// A range's size: IPv4 addresses, or IPv6 networks of /64.
static uint64_t range_units(const struct range *range)
{
	unsigned start = address_is_ipv4(&range->first) ? 12 : 0;
	unsigned length = start == 12 ? 4 : 8;
	uint64_t first = 0, last = 0;

	for (unsigned i = start; i < start + length; i++) {
		first = first << 8 | range->first.bytes[i];
		last = last << 8 | range->last.bytes[i];
	}
	return last - first == UINT64_MAX ? UINT64_MAX : last - first + 1;
}

// The same without what is private.
static uint64_t public_units(const struct range *range, const struct range privates[PRIVATE_COUNT])
{
	uint64_t units = range_units(range);

	for (unsigned i = 0; i < PRIVATE_COUNT; i++) {
		struct range common = privates[i];

		if (address_is_ipv4(&common.first) != address_is_ipv4(&range->first))
			continue;
		if (address_compare(&common.first, &range->first) < 0)
			common.first = range->first;
		if (address_compare(&common.last, &range->last) > 0)
			common.last = range->last;
		if (address_compare(&common.first, &common.last) <= 0)
			units -= range_units(&common) < units ? range_units(&common) : units;
	}
	return units;
}

// From here on a connector counts as open to the world: more than an IPv4 /16 or an IPv6 /48 may
// relay, and more than an IPv6 /32 may submit.
#define WIDE_IPV4_RELAY  65536ull
#define WIDE_IPV6_RELAY  65536ull
#define WIDE_IPV6_SUBMIT (1ull << 32)

static void warn_wide(const struct exposure *exposure, const struct connector *connector,
		      const struct range privates[PRIVATE_COUNT])
{
	rights_mask rights = connector_session_rights(connector);
	const struct connector_range *widest[2] = {NULL, NULL}; // IPv4, IPv6
	uint64_t units[2] = {0, 0}, most[2] = {0, 0};
	char quote[DIAGNOSTICS_QUOTE_MAX], text[RANGE_TEXT_MAX];

	if (!connector->enabled || !(rights & RIGHT_SUBMIT))
		return;
	for (unsigned i = 0; i < connector->range_count; i++) {
		const struct connector_range *range = &connector->ranges[i];
		unsigned family = address_is_ipv4(&range->range.first) ? 0 : 1;
		uint64_t more = public_units(&range->range, privates);

		if (more > most[family]) {
			most[family] = more;
			widest[family] = range;
		}
		if (__builtin_add_overflow(units[family], more, &units[family]))
			units[family] = UINT64_MAX;
	}
	diagnostics_quote(connector->name, quote);
	for (unsigned family = 0; family < 2; family++) {
		uint64_t limit = family == 0 ? WIDE_IPV4_RELAY : WIDE_IPV6_RELAY;

		if (!(rights & RIGHT_ACCEPT_ANY_RECIPIENT) || units[family] <= limit)
			continue;
		diagnostics_warning(
			exposure->diagnostics, at(exposure, widest[family]->line),
			"connector %s is an open relay: without authentication, %" PRIu64
			" public %s, among them %s, may send to any recipient; narrow "
			"RemoteIPRanges or take ms-Exch-SMTP-Accept-Any-Recipient away",
			quote, units[family], family == 0 ? "IPv4 addresses" : "IPv6 /64 networks",
			range_format(&widest[family]->range, text));
	}
	if (units[1] > WIDE_IPV6_SUBMIT)
		diagnostics_warning(exposure->diagnostics, at(exposure, widest[1]->line),
				    "connector %s takes mail from unknown IPv6 clients (%s): few "
				    "block lists know IPv6",
				    quote, range_format(&widest[1]->range, text));
}

static void parse_privates(struct range privates[PRIVATE_COUNT])
{
	for (unsigned i = 0; i < PRIVATE_COUNT; i++) {
		const char *why;
		int status = range_parse(private_networks[i], &privates[i], &why);

		assert(status == 0);
		(void)status;
	}
}

static void add_units(uint64_t *sum, uint64_t more)
{
	if (__builtin_add_overflow(*sum, more, sum))
		*sum = UINT64_MAX;
}

struct exposure_width exposure_of_range(const struct range *range, unsigned line)
{
	struct range privates[PRIVATE_COUNT];
	struct exposure_width width = {.line = line};

	parse_privates(privates);
	if (address_is_ipv4(&range->first)) {
		width.ipv4 = range_units(range);
		width.public_ipv4 = public_units(range, privates);
	} else {
		width.ipv6 = range_units(range);
		width.public_ipv6 = public_units(range, privates);
	}
	return width;
}

struct exposure_width exposure_of_connector(const struct connector *connector)
{
	struct exposure_width width = {.line = connector->line};
	uint64_t most = 0;

	for (unsigned i = 0; i < connector->range_count; i++) {
		const struct connector_range *range = &connector->ranges[i];
		struct exposure_width one = exposure_of_range(&range->range, range->line);

		add_units(&width.ipv4, one.ipv4);
		add_units(&width.ipv6, one.ipv6);
		add_units(&width.public_ipv4, one.public_ipv4);
		add_units(&width.public_ipv6, one.public_ipv6);
		if (i == 0 || one.public_ipv4 + one.public_ipv6 > most)
			width.line = range->line;
		if (one.public_ipv4 + one.public_ipv6 > most)
			most = one.public_ipv4 + one.public_ipv6;
	}
	return width;
}

bool exposure_is_wide(const struct exposure_width *width)
{
	return width->public_ipv4 > WIDE_IPV4_RELAY || width->public_ipv6 > WIDE_IPV6_RELAY;
}

bool exposure_is_everybody(const struct range *range)
{
	const struct range everybody = range_from_prefix(&range->first, 0);

	return address_compare(&range->first, &everybody.first) == 0 &&
	       address_compare(&range->last, &everybody.last) == 0;
}

void exposure_check(const struct policy *policy, struct diagnostics *diagnostics)
{
	const struct exposure exposure = {policy, diagnostics};
	struct range privates[PRIVATE_COUNT];

	parse_privates(privates);
	for (unsigned i = 0; i < policy->connector_count; i++) {
		const struct connector *connector = &policy->connectors[i];

		warn_groups(&exposure, connector);
		warn_unusable(&exposure, connector);
		warn_wide(&exposure, connector, privates);
	}
}
