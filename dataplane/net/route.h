// SPDX-License-Identifier: BSD-3-Clause
//
// Our own addresses and what they imply: which prefixes are on which link, which gateway serves the
// rest, which source address goes with a destination. Built once from the policy; immutable but for
// the marks that others keep in it. Link-local addresses are derived where none is configured
// (RFC 4291 2.5.6, appendix A).
#ifndef RELAYGATE_NET_ROUTE_H
#define RELAYGATE_NET_ROUTE_H

#include "dataplane/net/packet.h"
#include "dataplane/net/wire.h"

struct policy;
struct neighbour;

struct own_address {
	struct address address;
	uint16_t port;
	uint64_t defend_after_us; // next time that a conflict is answered
};

struct on_link_prefix {
	uint64_t value[2]; // as in memory
	uint64_t mask[2];
	unsigned length; // of 128; IPv4 prefixes count from 96
	uint16_t port;
	struct address source; // the first address that has it
};

enum family {
	FAMILY_IPV4,
	FAMILY_IPV6,
	FAMILIES,
};

struct gateway {
	bool present;
	uint16_t port;
	struct address address;
	struct neighbour *neighbour; // set by whoever resolves it
};

struct route_port {
	bool has[FAMILIES];
	struct address first[FAMILIES]; // global before link-local
	struct address link_local;      // with has[FAMILY_IPV6]
};

struct route_table {
	struct own_address *own; // sorted by address, then port
	unsigned own_count;
	struct on_link_prefix *prefixes; // longest first
	unsigned prefix_count;
	struct route_port *ports;
	unsigned port_count;
	struct gateway gateways[FAMILIES];
};

// A way to a destination.
struct route {
	struct address next_hop;
	struct address source; // of packets to the destination
	uint16_t port;
	struct neighbour *gateway; // NULL: the destination is on the link
};

static inline enum family family_of(const struct address *address)
{
	return wire_is_ipv4(address) ? FAMILY_IPV4 : FAMILY_IPV6;
}

// 0 or -ENOMEM.
int route_table_init(struct route_table *routes, const struct policy *policy,
		     const struct packet_port *ports);
void route_table_fini(struct route_table *routes);

// Is it inside a prefix of any port? Each of our own addresses is.
bool route_covered(const struct route_table *routes, const struct address *address);
// False when nothing leads there.
bool route_find(const struct route_table *routes, const struct address *destination,
		struct route *route);
// Our address to ask for a neighbour from (ARP sender, source of a solicitation): the one whose
// prefix covers it, else the family's first of the port. False when the port has none.
bool route_source(const struct route_table *routes, uint16_t port, const struct address *neighbour,
		  struct address *source);
// True when the address can be a station's on the port's link: inside a prefix of the port, and not
// the prefix's network or broadcast address.
bool route_on_link(const struct route_table *routes, uint16_t port, const struct address *address);

// Ours on this port; NULL when it is not.
struct own_address *route_own(const struct route_table *routes, uint16_t port,
			      const struct address *address);
// Ours on any port.
bool route_is_ours(const struct route_table *routes, const struct address *address);

#endif
