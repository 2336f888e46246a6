// SPDX-License-Identifier: BSD-3-Clause
//
// ARP (RFC 826) with address conflict detection's announcements and defence (RFC 5227). Answers
// requests for our addresses on the port that has them, and refreshes what the table knows; an
// unasked packet makes no entry. packet_parse has checked form and sender.
#include "dataplane/net/build.h"
#include "dataplane/net/stack.h"

struct arp_fields {
	uint16_t operation;
	const struct address *sender;
	const uint8_t *target_mac; // NULL = zero
	const struct address *target;
};

static void arp_send(struct net *net, uint16_t port, const uint8_t *destination_mac,
		     const struct arp_fields *fields, struct outbox *outbox)
{
	const struct packet_port *packet_port = &net->ports[port];
	uint8_t *buffer = outbox->reserve(outbox, port);
	if (!buffer)
		return; // asked for again, by us or by the peer

	uint8_t *arp = build_ethernet(buffer, packet_port, destination_mac, ETHERTYPE_ARP);
	put_u16(arp, 1); // Ethernet
	put_u16(arp + 2, ETHERTYPE_IPV4);
	arp[4] = LINK_ADDRESS_BYTES;
	arp[5] = 4;
	put_u16(arp + 6, fields->operation);
	memcpy(arp + 8, packet_port->mac, LINK_ADDRESS_BYTES);
	memcpy(arp + 14, fields->sender->bytes + 12, 4);
	if (fields->target_mac)
		memcpy(arp + 18, fields->target_mac, LINK_ADDRESS_BYTES);
	else
		memset(arp + 18, 0, LINK_ADDRESS_BYTES);
	memcpy(arp + 24, fields->target->bytes + 12, 4);
	outbox->commit(outbox, (uint16_t)(arp + ARP_BYTES - buffer));
}

static const uint8_t broadcast_mac[LINK_ADDRESS_BYTES] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

void arp_solicit(struct net *net, const struct neighbour *neighbour, bool broadcast,
		 struct outbox *outbox)
{
	struct address source;

	if (!route_source(&net->routes, neighbour->port, &neighbour->address, &source))
		return;
	arp_send(net, neighbour->port, broadcast ? broadcast_mac : neighbour->mac,
		 &(struct arp_fields){.operation = ARP_REQUEST,
				      .sender = &source,
				      .target = &neighbour->address},
		 outbox);
}

void arp_announce(struct net *net, const struct own_address *own, struct outbox *outbox)
{
	arp_send(net, own->port, broadcast_mac,
		 &(struct arp_fields){.operation = ARP_REQUEST,
				      .sender = &own->address,
				      .target = &own->address},
		 outbox);
}

enum reason arp_input(struct net *net, const struct view *view, struct tick now,
		      struct outbox *outbox)
{
	const uint8_t *arp = view->frame.data + view->network_offset;
	const uint8_t *sender_mac = arp + 8;
	uint16_t port = view->link.port;
	bool request = get_u16(arp + 6) == ARP_REQUEST;
	bool probe = get_u32(arp + 14) == 0; // RFC 5227 2.1.1: the sender has no address yet
	struct own_address *target = route_own(&net->routes, port, &view->destination);

	// another port of ours on the same link; or a forger who wants us to send to ourselves
	if (net_is_our_mac(net, sender_mac))
		return REASON_arp_not_ours;
	if (!probe && route_is_ours(&net->routes, &view->source)) {
		struct own_address *claimed = route_own(&net->routes, port, &view->source);
		// an address of another link of ours cannot be a neighbour on this one
		if (!claimed)
			return REASON_arp_not_ours;
		return net_conflict(net, claimed, sender_mac, now, outbox);
	}

	bool known = false;
	struct neighbour *neighbour =
		probe ? NULL : neighbour_find(&net->neighbours, port, &view->source);
	if (neighbour) {
		// an answer comes by unicast, to the address that asked
		struct neighbour_news news = {
			.mac = sender_mac,
			.solicited = !request && target && !view->link_broadcast,
			.override = true,
		};
		known = neighbour_heard(&net->neighbours, neighbour, &news, now.now_us);
	}
	if (!request || !target)
		return known ? REASON_NONE : REASON_arp_not_ours;
	if (!probe && !known)
		net_learn(net, port, &view->source, sender_mac);
	if (net->silent)
		return REASON_NONE;
	arp_send(net, port, sender_mac,
		 &(struct arp_fields){.operation = ARP_REPLY,
				      .sender = &target->address,
				      .target_mac = sender_mac,
				      .target = &view->source},
		 outbox);
	return REASON_NONE;
}
