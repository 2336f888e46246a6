// SPDX-License-Identifier: BSD-3-Clause
//
// Own addresses, on-link prefixes, gateways. Prefixes are few (equal ones of a port are merged), so
// a route is a walk over them; own addresses may be many and are searched by halves.
#include "dataplane/net/route.h"

#include <errno.h>
#include <stdlib.h>

#include "config/policy.h"

#define LINK_LOCAL_PREFIX_LENGTH 64

static int compare_own(const void *left, const void *right)
{
	const struct own_address *a = left, *b = right;
	int order = address_compare(&a->address, &b->address);
	return order ? order : (int)a->port - (int)b->port;
}

static int compare_prefix(const void *left, const void *right)
{
	const struct on_link_prefix *a = left, *b = right;
	if (a->length != b->length)
		return a->length > b->length ? -1 : 1;
	return (int)a->port - (int)b->port;
}

static bool prefix_covers(const struct on_link_prefix *prefix, const struct address *address)
{
	uint64_t value[2];
	memcpy(value, address->bytes, sizeof(value));
	return ((value[0] ^ prefix->value[0]) & prefix->mask[0]) == 0 &&
	       ((value[1] ^ prefix->value[1]) & prefix->mask[1]) == 0;
}

// RFC 4291 appendix A: fe80:: and the modified EUI-64 of the MAC address.
static struct address derive_link_local(const uint8_t *mac)
{
	return (struct address){{0xfe, 0x80, 0, 0, 0, 0, 0, 0, mac[0] ^ 2, mac[1], mac[2], 0xff,
				 0xfe, mac[3], mac[4], mac[5]}};
}

static void add_prefix(struct route_table *routes, const struct interface_address *interface,
		       uint16_t port)
{
	unsigned length = interface->prefix_length;
	if (wire_is_ipv4(&interface->address))
		length += 96;
	for (unsigned i = 0; i < routes->prefix_count; i++) {
		const struct on_link_prefix *known = &routes->prefixes[i];
		if (known->port == port && known->length == length &&
		    prefix_covers(known, &interface->address))
			return;
	}
	struct on_link_prefix *prefix = &routes->prefixes[routes->prefix_count++];
	uint8_t mask[16] = {0};
	for (unsigned bit = 0; bit < length; bit++)
		mask[bit / 8] |= (uint8_t)(0x80 >> bit % 8);
	*prefix = (struct on_link_prefix){
		.length = length, .port = port, .source = interface->address};
	memcpy(prefix->mask, mask, sizeof(prefix->mask));
	memcpy(prefix->value, interface->address.bytes, sizeof(prefix->value));
}

static void add_address(struct route_table *routes, const struct interface_address *interface,
			uint16_t port)
{
	routes->own[routes->own_count++] =
		(struct own_address){.address = interface->address, .port = port};
	add_prefix(routes, interface, port);

	struct route_port *summary = &routes->ports[port];
	enum family family = family_of(&interface->address);
	bool better = wire_is_link_local(&summary->first[family]) &&
		      !wire_is_link_local(&interface->address);
	if (!summary->has[family] || better)
		summary->first[family] = interface->address;
	summary->has[family] = true;
}

static void add_port(struct route_table *routes, const struct port_settings *settings,
		     const struct packet_port *packet_port)
{
	uint16_t port = packet_port->index;
	struct route_port *summary = &routes->ports[port];
	bool needs_link_local = false, has_link_local = false;

	for (unsigned i = 0; i < settings->address_count; i++) {
		const struct interface_address *interface = &settings->addresses[i];
		add_address(routes, interface, port);
		needs_link_local |= !wire_is_ipv4(&interface->address);
		if (!has_link_local && wire_is_link_local(&interface->address)) {
			has_link_local = true;
			summary->link_local = interface->address;
		}
	}
	for (unsigned i = 0; i < settings->gateway_count; i++) {
		const struct address *address = &settings->gateways[i];
		struct gateway *gateway = &routes->gateways[family_of(address)];
		needs_link_local |= !wire_is_ipv4(address);
		if (!gateway->present)
			*gateway = (struct gateway){
				.present = true, .port = port, .address = *address};
	}
	if (needs_link_local && !has_link_local) {
		summary->link_local = derive_link_local(packet_port->mac);
		add_address(
			routes,
			&(struct interface_address){summary->link_local, LINK_LOCAL_PREFIX_LENGTH},
			port);
	}
}

int route_table_init(struct route_table *routes, const struct policy *policy,
		     const struct packet_port *ports)
{
	size_t addresses = policy->port_count; // the link-local ones
	for (unsigned i = 0; i < policy->port_count; i++)
		addresses += policy->ports[i].address_count;

	*routes = (struct route_table){.port_count = policy->port_count};
	routes->own = calloc(addresses + 1, sizeof(*routes->own));
	routes->prefixes = calloc(addresses + 1, sizeof(*routes->prefixes));
	routes->ports = calloc((size_t)policy->port_count + 1, sizeof(*routes->ports));
	if (!routes->own || !routes->prefixes || !routes->ports) {
		route_table_fini(routes);
		return -ENOMEM;
	}
	for (unsigned i = 0; i < policy->port_count; i++)
		add_port(routes, &policy->ports[i], &ports[i]);
	qsort(routes->own, routes->own_count, sizeof(*routes->own), compare_own);
	qsort(routes->prefixes, routes->prefix_count, sizeof(*routes->prefixes), compare_prefix);
	return 0;
}

void route_table_fini(struct route_table *routes)
{
	free(routes->own);
	free(routes->prefixes);
	free(routes->ports);
	*routes = (struct route_table){0};
}

static const struct on_link_prefix *find_prefix(const struct route_table *routes,
						const struct address *address, int port)
{
	for (unsigned i = 0; i < routes->prefix_count; i++) {
		const struct on_link_prefix *prefix = &routes->prefixes[i];
		if ((port < 0 || prefix->port == port) && prefix_covers(prefix, address))
			return prefix;
	}
	return NULL;
}

bool route_covered(const struct route_table *routes, const struct address *address)
{
	return find_prefix(routes, address, -1);
}

bool route_find(const struct route_table *routes, const struct address *destination,
		struct route *route)
{
	// never a peer of TCP; without this they would go to the gateway
	if (wire_is_multicast(destination))
		return false;
	const struct on_link_prefix *prefix = find_prefix(routes, destination, -1);
	if (prefix) {
		*route = (struct route){
			.next_hop = *destination, .source = prefix->source, .port = prefix->port};
		return true;
	}
	// a link-local address that no prefix covers is behind no gateway either
	if (wire_is_link_local(destination))
		return false;
	const struct gateway *gateway = &routes->gateways[family_of(destination)];
	if (!gateway->present)
		return false;
	*route = (struct route){
		.next_hop = gateway->address, .port = gateway->port, .gateway = gateway->neighbour};
	// a link-local gateway must not make our source link-local: it is not valid beyond the link
	if (wire_is_link_local(&gateway->address)) {
		enum family family = family_of(destination);
		route->source = routes->ports[gateway->port].first[family];
		return routes->ports[gateway->port].has[family];
	}
	return route_source(routes, gateway->port, &gateway->address, &route->source);
}

bool route_source(const struct route_table *routes, uint16_t port, const struct address *neighbour,
		  struct address *source)
{
	const struct on_link_prefix *prefix = find_prefix(routes, neighbour, port);
	enum family family = family_of(neighbour);

	*source = prefix ? prefix->source : routes->ports[port].first[family];
	return prefix || routes->ports[port].has[family];
}

bool route_on_link(const struct route_table *routes, uint16_t port, const struct address *address)
{
	const struct on_link_prefix *prefix = find_prefix(routes, address, port);
	if (!prefix)
		return false;
	// RFC 3021: a /31 has neither
	if (!wire_is_ipv4(address) || prefix->length > 126)
		return true;
	uint64_t value[2];
	memcpy(value, address->bytes, sizeof(value));
	uint64_t host = value[1] & ~prefix->mask[1];
	return host != 0 && host != ~prefix->mask[1];
}

// The first of our addresses that is not below the key.
static unsigned lower_bound(const struct route_table *routes, const struct own_address *key)
{
	unsigned low = 0, high = routes->own_count;

	while (low < high) {
		unsigned middle = low + (high - low) / 2;
		if (compare_own(&routes->own[middle], key) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

struct own_address *route_own(const struct route_table *routes, uint16_t port,
			      const struct address *address)
{
	struct own_address key = {.address = *address, .port = port};
	unsigned at = lower_bound(routes, &key);

	if (at < routes->own_count && compare_own(&routes->own[at], &key) == 0)
		return &routes->own[at];
	return NULL;
}

bool route_is_ours(const struct route_table *routes, const struct address *address)
{
	struct own_address key = {.address = *address, .port = 0};
	unsigned at = lower_bound(routes, &key);

	return at < routes->own_count && wire_address_equal(&routes->own[at].address, address);
}
