// SPDX-License-Identifier: BSD-3-Clause
//
// See restart.h. Compares field by field, by the rows of keys.h: which field, of which type.
#include "config/restart.h"

#include "config/keys.h"
#include "config/policy.h"

#include <string.h>

struct comparison {
	const struct policy *next;
	struct diagnostics *diagnostics;
	bool same;
};

static bool same_text(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

static bool same_addresses(const struct port_settings *a, const struct port_settings *b)
{
	if (a->address_count != b->address_count)
		return false;
	for (unsigned i = 0; i < a->address_count; i++)
		if (memcmp(&a->addresses[i].address, &b->addresses[i].address,
			   sizeof(struct address)) != 0 ||
		    a->addresses[i].prefix_length != b->addresses[i].prefix_length)
			return false;
	return true;
}

static bool same_gateways(const struct port_settings *a, const struct port_settings *b)
{
	return a->gateway_count == b->gateway_count &&
	       (a->gateway_count == 0 ||
		memcmp(a->gateways, b->gateways, a->gateway_count * sizeof(a->gateways[0])) == 0);
}

static bool same_dns_servers(const struct gate_settings *a, const struct gate_settings *b)
{
	if (a->dns_server_count != b->dns_server_count)
		return false;
	for (unsigned i = 0; i < a->dns_server_count; i++)
		if (a->dns_servers[i].port != b->dns_servers[i].port ||
		    address_compare(&a->dns_servers[i].address, &b->dns_servers[i].address) != 0)
			return false;
	return true;
}

static bool same_replies(const struct dnsbl_list *a, const struct dnsbl_list *b)
{
	return a->reply_count == b->reply_count &&
	       (a->reply_count == 0 ||
		memcmp(a->replies, b->replies, a->reply_count * sizeof(a->replies[0])) == 0);
}

// a and b: the sections' structs.
static bool same_value(const struct key *key, const void *a, const void *b)
{
	const char *a_field = (const char *)a + key->offset,
		   *b_field = (const char *)b + key->offset;

	switch (key->type) {
	case KEY_FQDN:
	case KEY_USER:
	case KEY_PIN_DIRECTORY:
	case KEY_DIRECTORY:
	case KEY_DEVICE:
	case KEY_ZONE:
		return same_text(*(const char *const *)a_field, *(const char *const *)b_field);
	case KEY_INTERFACE_ADDRESSES:
		return same_addresses(a, b);
	case KEY_GATEWAYS:
		return same_gateways(a, b);
	case KEY_DNS_SERVERS:
		return same_dns_servers(a, b);
	case KEY_REPLIES:
		return same_replies(a, b);
	default:
		return memcmp(a_field, b_field, key->size) == 0;
	}
}

static void compare_section(struct comparison *comparison, enum section_kind kind, const void *a,
			    const void *b, const struct policy_lines *lines, unsigned line)
{
	for (unsigned i = 0; i < keys_count(); i++) {
		const struct key *key = keys_at(i);
		struct place place = {comparison->next->file, 0};

		if (key->section != kind || !key->restart || same_value(key, a, b))
			continue;
		place.line = keys_line(lines, kind, key->name, line);
		diagnostics_error(comparison->diagnostics, place,
				  "%s changed: that needs a restart", key->name);
		comparison->same = false;
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

bool restart_not_needed(const struct policy *running, const struct policy *next,
			struct diagnostics *diagnostics)
{
	struct comparison comparison = {next, diagnostics, true};

	compare_section(&comparison, SECTION_GATE, &running->gate, &next->gate, &next->gate.lines,
			next->gate.line);
	if (!same_ports(running, next)) {
		diagnostics_error(diagnostics, (struct place){next->file, 0},
				  "the ports, or their order, changed: that needs a restart");
		return false;
	}
	if (!same_dnsbls(running, next)) {
		diagnostics_error(diagnostics, (struct place){next->file, 0},
				  "the DNS lists, or their order, changed: that needs a restart");
		return false;
	}
	compare_section(&comparison, SECTION_BAN, &running->ban, &next->ban, &next->ban.lines,
			next->ban.line);
	for (unsigned i = 0; i < next->port_count; i++)
		compare_section(&comparison, SECTION_PORT, &running->ports[i], &next->ports[i],
				&next->ports[i].lines, next->ports[i].line);
	for (unsigned i = 0; i < next->dnsbl_count; i++)
		compare_section(&comparison, SECTION_DNSBL, &running->dnsbls[i], &next->dnsbls[i],
				&next->dnsbls[i].lines, next->dnsbls[i].line);
	return comparison.same;
}
