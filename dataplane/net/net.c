// SPDX-License-Identifier: BSD-3-Clause
//
// Our presence on the links: joins addresses and routes (route.c), the neighbour table
// (neighbour.c) and the protocols (arp.c, icmp.c, discovery.c, mld.c) to input, time and next hops.
// Carries out what the neighbour table decides, and keeps the faults until the pipeline takes them.
#include "dataplane/net/net.h"

#include <stdlib.h>

#include "config/policy.h"
#include "dataplane/net/stack.h"

// Gateways and on-link servers: next hops that traffic of strangers must never displace.
static void pin_next_hops(struct net *net)
{
	for (unsigned i = 0; i < FAMILIES; i++) {
		struct gateway *gateway = &net->routes.gateways[i];
		if (gateway->present)
			gateway->neighbour =
				neighbour_pin(&net->neighbours, gateway->port, &gateway->address);
	}
	for (unsigned i = 0; i < net->policy->backend_count; i++) {
		const struct backend *backend = &net->policy->backends[i];
		for (unsigned j = 0; j < backend->server_count; j++) {
			const struct address *server = &backend->servers[j].address;
			struct route route;
			if (route_find(&net->routes, server, &route) && !route.gateway &&
			    !route_is_ours(&net->routes, server))
				neighbour_pin(&net->neighbours, route.port, server);
		}
	}
}

struct net *net_create(const struct policy *policy, const struct packet_port *ports,
		       struct random *random)
{
	unsigned pinned_max = FAMILIES;
	for (unsigned i = 0; i < policy->backend_count; i++)
		pinned_max += policy->backends[i].server_count;

	struct net *net = calloc(1, sizeof(*net));
	if (!net)
		return NULL;
	net->policy = policy;
	net->ports = ports;
	net->port_count = policy->port_count;
	net->random = random;
	if (route_table_init(&net->routes, policy, ports) < 0)
		goto free_net;
	if (neighbour_table_init(&net->neighbours, pinned_max, random) < 0)
		goto fini_routes;
	if (mld_init(net) < 0)
		goto fini_mld;
	pin_next_hops(net);
	return net;

fini_mld:
	mld_fini(net);
	neighbour_table_fini(&net->neighbours);
fini_routes:
	route_table_fini(&net->routes);
free_net:
	free(net);
	return NULL;
}

void net_destroy(struct net *net)
{
	if (!net)
		return;
	mld_fini(net);
	neighbour_table_fini(&net->neighbours);
	route_table_fini(&net->routes);
	free(net);
}

void net_adopt(struct net *net, const struct policy *policy)
{
	net->policy = policy;
}

void net_report(struct net *net, enum reason reason, const struct address *address,
		const uint8_t *mac)
{
	if (net->event_count == EVENTS_MAX)
		return;
	unsigned at = (net->event_first + net->event_count++) % EVENTS_MAX;
	net->events[at] = (struct net_event){.reason = reason, .address = *address};
	if (mac)
		memcpy(net->events[at].mac, mac, LINK_ADDRESS_BYTES);
}

struct net_event net_take_event(struct net *net)
{
	if (net->event_count == 0)
		return (struct net_event){.reason = REASON_NONE};
	struct net_event event = net->events[net->event_first];
	net->event_first = (net->event_first + 1) % EVENTS_MAX;
	net->event_count--;
	return event;
}

static void report_lost(struct net *net)
{
	struct address address;
	if (neighbour_take_lost(&net->neighbours, &address))
		net_report(net, REASON_neighbour_full, &address, NULL);
}

static void announce(struct net *net, const struct own_address *own, struct outbox *outbox)
{
	if (wire_is_ipv4(&own->address))
		arp_announce(net, own, outbox);
	else
		discovery_announce(net, own, outbox);
}

static void announce_all(struct net *net, struct tick now, struct outbox *outbox)
{
	for (unsigned i = 0; i < net->routes.own_count; i++)
		announce(net, &net->routes.own[i], outbox);
	net->announcements_left--;
	net->announce_due_us = now.now_us + ANNOUNCE_INTERVAL_US;
}

void net_silence(struct net *net)
{
	net->silent = true;
}

void net_start(struct net *net, struct tick now, struct outbox *outbox)
{
	if (net->silent)
		return;
	net->announcements_left = ANNOUNCE_COUNT;
	announce_all(net, now, outbox);
	mld_start(net, now, outbox);
}

enum reason net_conflict(struct net *net, struct own_address *own, const uint8_t *mac,
			 struct tick now, struct outbox *outbox)
{
	// two stations that defend at once would go on for ever without a limit
	if (!net->silent && now.now_us >= own->defend_after_us) {
		own->defend_after_us = now.now_us + DEFEND_INTERVAL_US;
		net_report(net, REASON_address_conflict, &own->address, mac);
		announce(net, own, outbox);
	}
	return REASON_address_claimed;
}

bool net_is_our_mac(const struct net *net, const uint8_t *mac)
{
	for (unsigned i = 0; i < net->port_count; i++) {
		if (mac_equal(net->ports[i].mac, mac))
			return true;
	}
	return false;
}

void net_learn(struct net *net, uint16_t port, const struct address *address, const uint8_t *mac)
{
	// a gateway outside our prefixes has an entry from the start
	if (!route_on_link(&net->routes, port, address) &&
	    !neighbour_find(&net->neighbours, port, address))
		return;
	neighbour_learn(&net->neighbours, port, address, mac);
	report_lost(net);
}

bool net_teaches(const struct view *view)
{
	if (view->kind != VIEW_ICMP6)
		return view->kind == VIEW_ARP;
	switch (icmp_message(view).data[0]) {
	case ICMP6_NEIGHBOUR_SOLICITATION:
	case ICMP6_NEIGHBOUR_ADVERTISEMENT:
	case ICMP6_MLD_QUERY:
		return true;
	default:
		return false;
	}
}

enum reason net_input(struct net *net, const struct view *view, struct tick now,
		      struct outbox *outbox)
{
	switch (view->kind) {
	case VIEW_ARP:
		return arp_input(net, view, now, outbox);
	case VIEW_ICMP4:
		return icmp4_input(net, view, now, outbox);
	case VIEW_ICMP6:
		return icmp6_input(net, view, now, outbox);
	case VIEW_TCP:
		break;
	}
	return REASON_ip_protocol; // TCP is not for us
}

// Carries out what the neighbour table decided.
static void act(struct net *net, const struct neighbour *neighbour, enum neighbour_action action,
		struct outbox *outbox)
{
	bool all = action == NEIGHBOUR_SOLICIT_ALL;

	switch (action) {
	case NEIGHBOUR_NOTHING:
		break;
	case NEIGHBOUR_SOLICIT_ALL:
	case NEIGHBOUR_SOLICIT_ONE:
		if (wire_is_ipv4(&neighbour->address))
			arp_solicit(net, neighbour, all, outbox);
		else
			discovery_solicit(net, neighbour, all, outbox);
		break;
	case NEIGHBOUR_UNRESOLVED:
		net_report(net, REASON_neighbour_unresolved, &neighbour->address, NULL);
		break;
	}
}

uint64_t net_timeout(struct net *net, struct tick now, struct outbox *outbox)
{
	enum neighbour_action action;
	const struct neighbour *neighbour;

	while ((neighbour = neighbour_expire(&net->neighbours, now.now_us, &action)))
		act(net, neighbour, action, outbox);
	if (net->announcements_left && net->announce_due_us <= now.now_us)
		announce_all(net, now, outbox);
	mld_timeout(net, now, outbox);

	uint64_t next_us = neighbour_next_us(&net->neighbours);
	if (net->mld.next_us < next_us)
		next_us = net->mld.next_us;
	if (net->announcements_left && net->announce_due_us < next_us)
		next_us = net->announce_due_us;
	return next_us;
}

// Every port has the link-local prefix: the one that knows the station is meant.
static void prefer_known_port(const struct net *net, struct route *route)
{
	for (unsigned i = 0; i < net->port_count; i++) {
		struct address source;
		if (neighbour_find(&net->neighbours, (uint16_t)i, &route->next_hop) &&
		    route_source(&net->routes, (uint16_t)i, &route->next_hop, &source)) {
			route->port = (uint16_t)i;
			route->source = source;
			return;
		}
	}
}

// The entry of the next hop; NULL when there is none yet or no way.
static struct neighbour *find_next_hop(const struct net *net, const struct address *destination,
				       struct route *route, bool *reachable)
{
	*reachable = route_find(&net->routes, destination, route);
	if (!*reachable)
		return NULL;
	if (route->gateway)
		return route->gateway;
	if (net->port_count > 1 && wire_is_link_local(destination))
		prefer_known_port(net, route);
	return neighbour_find(&net->neighbours, route->port, &route->next_hop);
}

enum next_hop net_next_hop(struct net *net, const struct address *destination, struct tick now,
			   struct outbox *outbox, struct link *link, struct address *source)
{
	struct route route;
	bool reachable;
	struct neighbour *neighbour = find_next_hop(net, destination, &route, &reachable);

	if (!reachable)
		return NEXT_HOP_UNREACHABLE;
	if (source)
		*source = route.source;
	if (!neighbour) {
		// ourselves, or a prefix's network or broadcast address: nobody would answer
		if (route_is_ours(&net->routes, destination) ||
		    !route_on_link(&net->routes, route.port, destination))
			return NEXT_HOP_UNREACHABLE;
		neighbour = neighbour_want(&net->neighbours, route.port, destination, now.now_us);
		report_lost(net);
	}
	act(net, neighbour, neighbour_use(&net->neighbours, neighbour, now.now_us), outbox);
	if (neighbour->state == NEIGHBOUR_FAILED)
		return NEXT_HOP_UNREACHABLE;
	if (!neighbour_has_mac(neighbour))
		return NEXT_HOP_PENDING;
	memcpy(link->peer, neighbour->mac, LINK_ADDRESS_BYTES);
	link->port = neighbour->port;
	return NEXT_HOP_RESOLVED;
}

void net_confirm(struct net *net, const struct address *destination, const struct link *link,
		 struct tick now)
{
	struct route route;
	bool reachable;
	struct neighbour *neighbour = find_next_hop(net, destination, &route, &reachable);

	if (neighbour && neighbour->port == link->port && mac_equal(neighbour->mac, link->peer))
		neighbour_confirm(&net->neighbours, neighbour, now.now_us);
}

unsigned net_groups(const struct net *net, unsigned port, struct address *groups, unsigned max)
{
	static const struct address all_nodes = {{0xff, 0x02, [15] = 1}};
	unsigned count = 0;

	if (port >= net->port_count || !net->mld.ports[port].active)
		return 0;
	if (count < max)
		groups[count++] = all_nodes;
	for (unsigned i = 0; i < net->mld.group_count && count < max; i++) {
		if (net->mld.groups[i].port == port)
			groups[count++] = net->mld.groups[i].group;
	}
	return count;
}

unsigned net_addresses(const struct net *net, unsigned port, struct address *addresses,
		       unsigned max)
{
	unsigned count = 0;

	for (unsigned i = 0; i < net->routes.own_count && count < max; i++) {
		if (net->routes.own[i].port == port)
			addresses[count++] = net->routes.own[i].address;
	}
	return count;
}

bool net_is_ours(const struct net *net, const struct address *address)
{
	return route_is_ours(&net->routes, address);
}

bool net_can_be_peer(const struct net *net, const struct address *address)
{
	struct route route;

	// Each address of ours is in a prefix, and what is in none is beyond a gateway or nowhere.
	if (!route_covered(&net->routes, address))
		return true;
	if (route_is_ours(&net->routes, address))
		return false;
	return !route_find(&net->routes, address, &route) || route.gateway ||
	       route_on_link(&net->routes, route.port, address);
}
