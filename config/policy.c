// SPDX-License-Identifier: BSD-3-Clause
//
// What can be asked of a policy, and its end. Owns no decision about values: those are in load.c
// and check.c.
#include "config/policy.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static void connector_fini(struct connector *connector)
{
	free(connector->name);
	free(connector->bindings);
	free(connector->ranges);
	free(connector->backend_name);
	free(connector->fqdn);
	free(connector->banner);
	free(connector->limit_reply);
}

void policy_forget_ranges(struct policy *policy)
{
	for (unsigned i = 0; i < policy->connector_count; i++) {
		struct connector *connector = &policy->connectors[i];

		free(connector->ranges);
		connector->ranges = NULL;
		connector->range_count = 0;
	}
}

void policy_forget_ip_lists(struct policy *policy)
{
	struct ip_list *lists[] = {&policy->ip_allow, &policy->ip_block};

	for (unsigned i = 0; i < 2; i++) {
		free(lists[i]->entries);
		lists[i]->entries = NULL;
		lists[i]->count = 0;
	}
}

void policy_destroy(struct policy *policy)
{
	if (policy == NULL)
		return;
	for (unsigned i = 0; i < policy->port_count; i++) {
		free(policy->ports[i].name);
		free(policy->ports[i].device);
		free(policy->ports[i].addresses);
		free(policy->ports[i].gateways);
	}
	for (unsigned i = 0; i < policy->domain_count; i++)
		free(policy->domains[i].name);
	for (unsigned i = 0; i < policy->connector_count; i++)
		connector_fini(&policy->connectors[i]);
	for (unsigned i = 0; i < policy->backend_count; i++) {
		free(policy->backends[i].name);
		free(policy->backends[i].servers);
	}
	for (unsigned i = 0; i < policy->dnsbl_count; i++) {
		free(policy->dnsbls[i].name);
		free(policy->dnsbls[i].zone);
		free(policy->dnsbls[i].replies);
	}
	free(policy->dnsbls);
	free(policy->gate.dns_servers);
	free(policy->ip_allow.entries);
	free(policy->ip_block.entries);
	free(policy->ip_block.reply);
	free(policy->ban.reply);
	free(policy->ports);
	free(policy->domains);
	free(policy->connectors);
	free(policy->backends);
	free(policy->gate.name);
	free(policy->gate.user);
	free(policy->gate.pin_directory);
	free(policy->gate.protocol_log_path);
	free(policy->file);
	free(policy);
}

bool limit_is_set(const struct connector *connector, enum connection_limit_kind kind)
{
	const uint32_t most = connector->limits[kind].most;

	return most != 0 && most != UINT32_MAX && (kind != LIMIT_PERCENTAGE || most < 100);
}

unsigned connector_identities(const struct connector *connector)
{
	unsigned identities = 1u << PRINCIPAL_ANONYMOUS;

	if (connector->mechanisms & MECHANISM_EXTERNAL_AUTHORITATIVE)
		identities |= 1u << PRINCIPAL_EXTERNALLY_SECURED;
	return identities;
}

rights_mask connector_rights(const struct connector *connector, unsigned identities)
{
	rights_mask granted = 0, denied = 0;

	for (unsigned i = 0; i < PRINCIPAL_COUNT; i++) {
		if (!(identities & 1u << i))
			continue;
		granted |=
			connector->granted[i] |
			permission_groups_rights(connector->permission_groups, (enum principal)i);
		denied |= connector->denied[i];
	}
	return granted & ~denied;
}

rights_mask connector_session_rights(const struct connector *connector)
{
	return connector_rights(connector, connector_identities(connector));
}

static int order_of_entries(const void *a, const void *b)
{
	const struct ip_entry *left = a, *right = b;

	return address_compare(&left->range.first, &right->range.first);
}

void ip_list_sort(struct ip_list *list)
{
	if (list->count > 1)
		qsort(list->entries, list->count, sizeof(*list->entries), order_of_entries);
	for (unsigned i = 0; i < list->count; i++) {
		struct ip_entry *entry = &list->entries[i];

		entry->reach = entry->range.last;
		if (i > 0 && address_compare(&entry[-1].reach, &entry->reach) > 0)
			entry->reach = entry[-1].reach;
	}
}

const struct ip_entry *ip_list_find(const struct ip_list *list, const struct address *address,
				    uint64_t wall_us)
{
	unsigned low = 0, high = list->count;

	while (low < high) { // the first entry that begins behind the address
		unsigned middle = low + (high - low) / 2;

		if (address_compare(&list->entries[middle].range.first, address) <= 0)
			low = middle + 1;
		else
			high = middle;
	}
	while (low > 0 && address_compare(&list->entries[low - 1].reach, address) >= 0) {
		const struct ip_entry *entry = &list->entries[--low];

		if (range_contains(&entry->range, address) &&
		    (entry->expires_s == 0 || wall_us / 1000000 < entry->expires_s))
			return entry;
	}
	return NULL;
}

bool ip_list_touches(const struct ip_list *list, const struct range *range, uint64_t wall_us)
{
	for (unsigned i = list->count; i > 0; i--) {
		const struct ip_entry *entry = &list->entries[i - 1];

		if (address_compare(&entry->reach, &range->first) < 0)
			break;
		if (address_compare(&entry->range.first, &range->last) <= 0 &&
		    address_compare(&entry->range.last, &range->first) >= 0 &&
		    address_is_ipv4(&entry->range.first) == address_is_ipv4(&range->first) &&
		    (entry->expires_s == 0 || wall_us / 1000000 < entry->expires_s))
			return true;
	}
	return false;
}

bool policy_never_banned(const struct policy *policy, const struct range *source, uint64_t wall_us)
{
	for (unsigned i = 0; i < policy->backend_count; i++)
		for (unsigned j = 0; j < policy->backends[i].server_count; j++)
			if (range_contains(source, &policy->backends[i].servers[j].address))
				return true;
	return ip_list_touches(&policy->ip_allow, source, wall_us);
}

bool dnsbl_list_matches(const struct dnsbl_list *list, const struct address *reply)
{
	static const uint8_t first[4] = {127, 0, 0, 2}, last[4] = {127, 0, 255, 255};
	const struct range usual = {address_from_ipv4(first), address_from_ipv4(last)};

	if (list->reply_count == 0)
		return range_contains(&usual, reply);
	for (unsigned i = 0; i < list->reply_count; i++)
		if (range_contains(&list->replies[i], reply))
			return true;
	return false;
}

// ---- Accepted domains ------------------------------------------------------------------------

static int order_of_domains(const void *a, const void *b)
{
	const struct accepted_domain *left = a, *right = b;

	return strcmp(left->name, right->name);
}

void policy_sort_domains(struct policy *policy)
{
	if (policy->domain_count > 1)
		qsort(policy->domains, policy->domain_count, sizeof(*policy->domains),
		      order_of_domains);
	policy->domains_sorted = true;
}

// A name in two parts, so that "*." can stand before a suffix of the text that is looked for.
struct wanted {
	bool wildcard;
	const char *suffix;
	size_t length;
};

static int compare_wanted(const struct wanted *wanted, const char *name)
{
	if (wanted->wildcard) {
		int order = strncmp("*.", name, 2);

		if (order != 0)
			return order;
		name += 2;
	}
	for (size_t i = 0; i < wanted->length; i++) {
		int order = tolower((unsigned char)wanted->suffix[i]) - (unsigned char)name[i];

		if (order != 0) // also where name ends first
			return order;
	}
	return name[wanted->length] == '\0' ? 0 : -1;
}

static const struct accepted_domain *find_domain(const struct policy *policy, bool wildcard,
						 const char *suffix, size_t length)
{
	const struct wanted wanted = {wildcard, suffix, length};
	unsigned low = 0, high = policy->domain_count;

	if (!policy->domains_sorted) {
		for (unsigned i = 0; i < policy->domain_count; i++)
			if (compare_wanted(&wanted, policy->domains[i].name) == 0)
				return &policy->domains[i];
		return NULL;
	}
	while (low < high) {
		unsigned middle = low + (high - low) / 2;
		int order = compare_wanted(&wanted, policy->domains[middle].name);

		if (order == 0)
			return &policy->domains[middle];
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return NULL;
}

const struct accepted_domain *policy_covering_domain(const struct policy *policy, const char *name,
						     size_t length)
{
	const char *end = name + length;
	const struct accepted_domain *found;
	const char *dot;

	while ((dot = memchr(name, '.', (size_t)(end - name))) != NULL) {
		name = dot + 1;
		found = find_domain(policy, true, name, (size_t)(end - name));
		if (found != NULL)
			return found;
		found = find_domain(policy, false, name, (size_t)(end - name));
		if (found != NULL && found->match_subdomains)
			return found;
	}
	return NULL;
}

const struct accepted_domain *policy_accepted_domain(const struct policy *policy, const char *name,
						     size_t length)
{
	const struct accepted_domain *found;

	// '*' is no letter of a domain: it must not find a wildcard's own entry.
	if (length == 0 || memchr(name, '*', length) != NULL)
		return NULL;
	found = find_domain(policy, false, name, length);
	if (found == NULL)
		found = policy_covering_domain(policy, name, length);
	return found != NULL ? found : find_domain(policy, false, "*", 1);
}
