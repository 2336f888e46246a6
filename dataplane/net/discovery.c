// SPDX-License-Identifier: BSD-3-Clause
//
// Neighbour discovery for IPv6 (RFC 4861): solicitations and advertisements, checked as section 7.1
// tells. A solicitation for an address of ours is answered, also one of a station that wants to use
// the address itself (RFC 4862 5.4.3); an advertisement makes no entry.
// Routers, prefixes and redirects are not learnt: icmp.c ignores those messages.
#include "dataplane/base/cursor.h"
#include "dataplane/net/build.h"
#include "dataplane/net/stack.h"

enum {
	MESSAGE_BYTES = 24, // type, code, checksum, flags, target
	LINK_ADDRESS_OPTION_BYTES = 8,
	OPTION_SOURCE_LINK_ADDRESS = 1,
	OPTION_TARGET_LINK_ADDRESS = 2,
	HOP_LIMIT_ON_LINK = 255, // proves that no router forwarded the packet
	FLAG_SOLICITED = 0x40,
	FLAG_OVERRIDE = 0x20,
};

static const struct address all_nodes = {{0xff, 0x02, [15] = 1}};

// A received message after the checks of RFC 4861 7.1 that both kinds share.
struct message {
	struct address target;
	uint8_t flags;
	const uint8_t *mac; // of the option that was asked for; NULL = not there
};

struct address discovery_group(const struct address *address)
{
	struct address group = {{0xff, 0x02, [11] = 1, [12] = 0xff}};
	memcpy(group.bytes + 13, address->bytes + 13, 3);
	return group;
}

// Walks all options. False when one is broken.
static bool read_options(struct cursor *cursor, uint8_t wanted, const uint8_t **mac)
{
	*mac = NULL;
	while (cursor->rest.length) {
		uint8_t type = cursor_u8(cursor);
		uint8_t units = cursor_u8(cursor);
		// length 0 would loop for ever
		if (units == 0)
			return false;
		struct slice body = cursor_take(cursor, (size_t)units * 8 - 2);
		// an option longer than the packet
		if (cursor->failed)
			return false;
		if (type != wanted)
			continue;
		// not an Ethernet address, or a group's: frames to us would become floods
		if (body.length != LINK_ADDRESS_BYTES || !mac_is_station(body.data))
			return false;
		*mac = body.data;
	}
	return true;
}

static bool read_message(const struct view *view, uint8_t option, struct message *out)
{
	struct cursor cursor = cursor_of(icmp_message(view));
	const uint8_t *header = cursor_take(&cursor, MESSAGE_BYTES).data;

	// routers decrement: any other value came from outside the link
	if (view->hop_limit != HOP_LIMIT_ON_LINK)
		return false;
	// shorter than the target needs; a code of another protocol's
	if (cursor.failed || header[1] != 0)
		return false;
	out->flags = header[4];
	out->target = wire_ipv6(header + 8);
	// a group has no owner; a v4-mapped target would pass for an IPv4 address of ours
	if (wire_is_multicast(&out->target) || wire_is_ipv4(&out->target))
		return false;
	return read_options(&cursor, option, &out->mac);
}

static void send_advertisement(struct net *net, const struct own_address *own, uint8_t flags,
			       const struct link *to, const struct address *destination,
			       struct outbox *outbox)
{
	struct icmp6_plan plan = {
		.port = own->port,
		.destination_mac = to->peer,
		.source = &own->address,
		.destination = destination,
		.length = MESSAGE_BYTES + LINK_ADDRESS_OPTION_BYTES,
		.type = ICMP6_NEIGHBOUR_ADVERTISEMENT,
		.hop_limit = HOP_LIMIT_ON_LINK,
	};
	struct icmp6_frame frame;

	if (!icmp6_begin(net, &plan, outbox, &frame))
		return;
	frame.message[4] = flags;
	memcpy(frame.message + 8, own->address.bytes, 16);
	frame.message[MESSAGE_BYTES] = OPTION_TARGET_LINK_ADDRESS;
	frame.message[MESSAGE_BYTES + 1] = 1;
	memcpy(frame.message + MESSAGE_BYTES + 2, net->ports[own->port].mac, LINK_ADDRESS_BYTES);
	icmp6_end(&plan, outbox, &frame);
}

void discovery_announce(struct net *net, const struct own_address *own, struct outbox *outbox)
{
	struct link everybody = {.port = own->port};

	build_group_mac(everybody.peer, &all_nodes);
	send_advertisement(net, own, FLAG_OVERRIDE, &everybody, &all_nodes, outbox);
}

void discovery_solicit(struct net *net, const struct neighbour *neighbour, bool multicast,
		       struct outbox *outbox)
{
	struct address source;
	struct address group = discovery_group(&neighbour->address);
	uint8_t group_mac[LINK_ADDRESS_BYTES];

	if (!route_source(&net->routes, neighbour->port, &neighbour->address, &source))
		return;
	build_group_mac(group_mac, &group);
	struct icmp6_plan plan = {
		.port = neighbour->port,
		.destination_mac = multicast ? group_mac : neighbour->mac,
		.source = &source,
		.destination = multicast ? &group : &neighbour->address,
		.length = MESSAGE_BYTES + LINK_ADDRESS_OPTION_BYTES,
		.type = ICMP6_NEIGHBOUR_SOLICITATION,
		.hop_limit = HOP_LIMIT_ON_LINK,
	};
	struct icmp6_frame frame;

	if (!icmp6_begin(net, &plan, outbox, &frame))
		return;
	memcpy(frame.message + 8, neighbour->address.bytes, 16);
	frame.message[MESSAGE_BYTES] = OPTION_SOURCE_LINK_ADDRESS;
	frame.message[MESSAGE_BYTES + 1] = 1;
	memcpy(frame.message + MESSAGE_BYTES + 2, net->ports[neighbour->port].mac,
	       LINK_ADDRESS_BYTES);
	icmp6_end(&plan, outbox, &frame);
}

// A station that has no address yet asks whether it may take ours.
static enum reason answer_duplicate_detection(struct net *net, const struct view *view,
					      const struct message *message, struct outbox *outbox)
{
	struct address group = discovery_group(&message->target);

	// RFC 4861 7.1.1: such a question goes to the group and names no link-layer address
	if (!wire_address_equal(&view->destination, &group) || message->mac)
		return REASON_nd_malformed;
	const struct own_address *own = route_own(&net->routes, view->link.port, &message->target);
	if (!own)
		return REASON_nd_not_ours;
	if (!net->silent)
		discovery_announce(net, own, outbox);
	return REASON_NONE;
}

enum reason discovery_solicitation_input(struct net *net, const struct view *view, struct tick now,
					 struct outbox *outbox)
{
	uint16_t port = view->link.port;
	struct message message;

	if (!read_message(view, OPTION_SOURCE_LINK_ADDRESS, &message))
		return REASON_nd_malformed;
	const uint8_t *sender_mac = message.mac ? message.mac : view->link.peer;
	// another port of ours on the same link; or a forger who wants us to send to ourselves
	if (net_is_our_mac(net, sender_mac))
		return REASON_nd_not_ours;
	if (wire_is_unspecified6(&view->source))
		return answer_duplicate_detection(net, view, &message, outbox);
	if (route_is_ours(&net->routes, &view->source)) {
		struct own_address *claimed = route_own(&net->routes, port, &view->source);
		// an address of another link of ours cannot be a neighbour on this one
		if (!claimed)
			return REASON_nd_not_ours;
		return net_conflict(net, claimed, sender_mac, now, outbox);
	}
	const struct own_address *own = route_own(&net->routes, port, &message.target);
	if (!own)
		return REASON_nd_not_ours;
	if (message.mac)
		net_learn(net, port, &view->source, message.mac);
	if (net->silent)
		return REASON_NONE;
	struct link to = {.port = port};
	memcpy(to.peer, sender_mac, LINK_ADDRESS_BYTES);
	send_advertisement(net, own, FLAG_SOLICITED | FLAG_OVERRIDE, &to, &view->source, outbox);
	return REASON_NONE;
}

enum reason discovery_advertisement_input(struct net *net, const struct view *view, struct tick now,
					  struct outbox *outbox)
{
	uint16_t port = view->link.port;
	bool to_group = wire_is_multicast(&view->destination);
	struct message message;

	if (!read_message(view, OPTION_TARGET_LINK_ADDRESS, &message))
		return REASON_nd_malformed;
	bool solicited = message.flags & FLAG_SOLICITED;
	// RFC 4861 7.1.2: nobody answers one question to everybody
	if (solicited && to_group)
		return REASON_nd_malformed;
	const uint8_t *sender_mac = message.mac ? message.mac : view->link.peer;
	// as for solicitations
	if (net_is_our_mac(net, sender_mac))
		return REASON_nd_not_ours;
	struct own_address *claimed = route_own(&net->routes, port, &message.target);
	if (claimed)
		return net_conflict(net, claimed, sender_mac, now, outbox);
	struct neighbour *neighbour = neighbour_find(&net->neighbours, port, &message.target);
	struct neighbour_news news = {
		.mac = message.mac,
		.solicited = solicited,
		.override = message.flags & FLAG_OVERRIDE,
	};
	if (!neighbour || !neighbour_heard(&net->neighbours, neighbour, &news, now.now_us))
		return REASON_nd_not_ours;
	return REASON_NONE;
}
