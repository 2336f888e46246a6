// SPDX-License-Identifier: BSD-3-Clause
//
// Bytes of outgoing frames: Ethernet (with the port's VLAN tag), IPv4 or IPv6, TCP; checksums
// filled in. Pure functions over a caller's buffer.
#ifndef RELAYGATE_NET_BUILD_H
#define RELAYGATE_NET_BUILD_H

#include "dataplane/base/segment.h"
#include "dataplane/net/packet.h"

// Writes the frame that carries *segment to link->peer; returns its length. buffer has room for the
// port's MTU and headers (outbox.h); the caller keeps segments within the MTU.
// IPv4 goes out with DF set and identification 0 (RFC 6864), TTL / hop limit 64.
uint16_t build_segment(uint8_t *buffer, const struct packet_port *port, const struct link *link,
		       const struct segment *segment);

// The RST that answers *view when it fits no connection (RFC 9293 3.10.7.1). False when it must not
// be answered: RST, or not unicast.
bool build_reset_for(const struct view *view, struct segment *out);

// The pieces that the rest of net/ builds its frames from. Each writes at the given place.

// Ethernet header from the port's MAC address, with the port's tag; returns where it ends.
uint8_t *build_ethernet(uint8_t *at, const struct packet_port *port,
			const uint8_t destination[LINK_ADDRESS_BYTES], uint16_t ethertype);

struct build_ip {
	const struct address *source; // its family decides the version
	const struct address *destination;
	uint8_t protocol; // IPv6: next header
	uint8_t hop_limit;
	uint16_t payload_length; // bytes behind the IP header
};

// IPv4 header with its checksum, or IPv6 header; returns where it ends.
uint8_t *build_ip(uint8_t *at, const struct build_ip *ip);

// The Ethernet address of an IPv6 group (RFC 2464 7).
void build_group_mac(uint8_t mac[LINK_ADDRESS_BYTES], const struct address *group);

#endif
