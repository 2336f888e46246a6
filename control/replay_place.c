// SPDX-License-Identifier: BSD-3-Clause
//
// Addresses of a frame by their offsets, and what follows from them. Owns the ports' link layer.
// Neither lengths nor checksums are judged: a broken frame to one of our addresses must reach the
// gate, which counts it.
#include "control/replay_place.h"

#include "control/replay_backend.h"
#include "dataplane/net/wire.h"

#include <stdlib.h>

// What the headers say, as far as they are there.
struct ends {
	bool has_addresses, is_arp, is_tcp;
	struct address source, destination;
	uint16_t source_port;
};

int replay_places_init(struct replay_places *places, const struct policy *policy)
{
	*places = (struct replay_places){.policy = policy};
	places->ports = calloc(policy->port_count, sizeof(*places->ports));
	places->learned = calloc(policy->port_count, sizeof(*places->learned));
	if (!places->ports || !places->learned) {
		replay_places_fini(places);
		return -1;
	}
	for (unsigned i = 0; i < policy->port_count; i++)
		places->ports[i] =
			(struct packet_port){.mac = {2, 0, 0, 0, 0, (uint8_t)i},
					     .index = (uint16_t)i,
					     .vlan = policy->ports[i].vlan,
					     .trust_checksums = policy->ports[i].trust_checksums};
	return 0;
}

void replay_places_fini(struct replay_places *places)
{
	free(places->ports);
	free(places->learned);
}

static uint16_t get16(const uint8_t *at)
{
	return (uint16_t)(at[0] << 8 | at[1]);
}

static void ends_of_arp(struct slice arp, struct ends *ends)
{
	if (arp.length < ARP_BYTES)
		return;
	ends->has_addresses = ends->is_arp = true;
	ends->source = address_from_ipv4(arp.data + 14);
	ends->destination = address_from_ipv4(arp.data + 24);
}

static void ends_of_ipv4(struct slice packet, struct ends *ends)
{
	size_t header;

	if (packet.length < IPV4_HEADER_BYTES)
		return;
	header = (packet.data[0] & 15) * 4u;
	ends->has_addresses = true;
	ends->source = address_from_ipv4(packet.data + 12);
	ends->destination = address_from_ipv4(packet.data + 16);
	ends->is_tcp = packet.data[9] == PROTOCOL_TCP && packet.length >= header + 2;
	if (ends->is_tcp)
		ends->source_port = get16(packet.data + header);
}

static void ends_of_ipv6(struct slice packet, struct ends *ends)
{
	struct slice payload = slice_from(packet, IPV6_HEADER_BYTES);

	if (packet.length < IPV6_HEADER_BYTES)
		return;
	ends->has_addresses = true;
	ends->source = address_from_ipv6(packet.data + 8);
	ends->destination = address_from_ipv6(packet.data + 24);
	ends->is_tcp = packet.data[6] == PROTOCOL_TCP && payload.length >= 2;
	if (ends->is_tcp)
		ends->source_port = get16(payload.data);
	// Who is asked for in a question to a group.
	if (packet.data[6] == PROTOCOL_ICMP6 && payload.length >= 24 &&
	    payload.data[0] == ICMP6_NEIGHBOUR_SOLICITATION)
		ends->destination = address_from_ipv6(payload.data + 8);
}

static struct ends ends_of(struct slice frame)
{
	struct ends ends = {0};
	uint16_t ethertype;
	size_t header = ETHERNET_HEADER_BYTES;

	if (frame.length < ETHERNET_HEADER_BYTES + VLAN_TAG_BYTES) // stops reads past the type
		return ends;
	ethertype = get16(frame.data + 12);
	if (ethertype == ETHERTYPE_VLAN) {
		ethertype = get16(frame.data + 16);
		header += VLAN_TAG_BYTES;
	}
	frame = slice_from(frame, header);
	if (ethertype == ETHERTYPE_ARP)
		ends_of_arp(frame, &ends);
	else if (ethertype == ETHERTYPE_IPV4)
		ends_of_ipv4(frame, &ends);
	else if (ethertype == ETHERTYPE_IPV6)
		ends_of_ipv6(frame, &ends);
	return ends;
}

static bool find_address(const struct policy *policy, const struct address *address, uint16_t *port)
{
	for (unsigned i = 0; i < policy->port_count; i++)
		for (unsigned j = 0; j < policy->ports[i].address_count; j++) {
			const struct interface_address *own = &policy->ports[i].addresses[j];

			if (address_compare(&own->address, address) != 0)
				continue;
			*port = (uint16_t)i;
			return true;
		}
	return false;
}

// The port whose MAC address, learned from the capture, is at this place of the frame.
static bool find_mac(const struct replay_places *places, const uint8_t *mac, uint16_t *port)
{
	for (unsigned i = 0; i < places->policy->port_count; i++) {
		if (!places->learned[i] ||
		    memcmp(places->ports[i].mac, mac, LINK_ADDRESS_BYTES) != 0)
			continue;
		*port = (uint16_t)i;
		return true;
	}
	return false;
}

static void remember(struct replay_places *places, const struct address *address)
{
	for (unsigned i = 0; i < places->seen_count; i++)
		if (address_compare(&places->seen[i], address) == 0)
			return;
	if (places->seen_count == REPLAY_SEEN_MAX)
		places->seen_more = true;
	else
		places->seen[places->seen_count++] = *address;
}

void replay_places_learn(struct replay_places *places, struct slice frame)
{
	struct ends ends = ends_of(frame);
	uint16_t port, source_port;

	if (!ends.has_addresses)
		return;
	if (!find_address(places->policy, &ends.destination, &port)) {
		if (!ends.is_arp && !address_is_multicast(&ends.destination))
			remember(places, &ends.destination);
		return;
	}
	// An announcement of our own is no question to us.
	if (ends.is_arp && find_address(places->policy, &ends.source, &source_port))
		return;
	places->ours++;
	if (places->learned[port] || frame.data[0] & 1)
		return;
	memcpy(places->ports[port].mac, frame.data, LINK_ADDRESS_BYTES);
	if (get16(frame.data + 12) != ETHERTYPE_VLAN)
		places->ports[port].vlan = 0;
	places->learned[port] = true;
}

enum replay_place replay_places_find(const struct replay_places *places, struct slice frame,
				     uint16_t *port)
{
	struct ends ends = ends_of(frame);
	bool to_us = ends.has_addresses && find_address(places->policy, &ends.destination, port);
	uint16_t from;

	if (ends.is_tcp &&
	    replay_backend_plays(places->policy, &(struct endpoint){ends.source, ends.source_port}))
		return REPLAY_PLACE_BACKEND;
	// A packet from us to us is forged, and the gate is to see it.
	if (ends.has_addresses && (!to_us || ends.is_arp) &&
	    find_address(places->policy, &ends.source, &from))
		return REPLAY_PLACE_SERVER;
	if (to_us)
		return REPLAY_PLACE_GATE;
	if (frame.length < 2 * LINK_ADDRESS_BYTES) // stops reads of addresses that are not there
		return REPLAY_PLACE_FOREIGN;
	if (find_mac(places, frame.data + LINK_ADDRESS_BYTES, &from))
		return REPLAY_PLACE_SERVER;
	return find_mac(places, frame.data, port) ? REPLAY_PLACE_GATE : REPLAY_PLACE_FOREIGN;
}
