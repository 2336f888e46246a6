// SPDX-License-Identifier: BSD-3-Clause
//
// What net/ saw in one received frame; what gate/ and tcp/ judge. Numbers in host byte order,
// addresses in network byte order. Slices point into the frame and live as long as it does: until
// the pipeline is done with the burst.
#ifndef RELAYGATE_BASE_VIEW_H
#define RELAYGATE_BASE_VIEW_H

#include "config/address.h"
#include "dataplane/base/slice.h"

#define LINK_ADDRESS_BYTES 6

enum view_kind {
	VIEW_TCP,
	VIEW_ARP,
	VIEW_ICMP4,
	VIEW_ICMP6, // echo, errors, neighbour discovery, MLD
};

enum tcp_flag {
	TCP_FIN = 0x01,
	TCP_SYN = 0x02,
	TCP_RST = 0x04,
	TCP_PSH = 0x08,
	TCP_ACK = 0x10,
	TCP_URG = 0x20,
	TCP_ECE = 0x40,
	TCP_CWR = 0x80,
};

// Where a frame came from or goes to on the wire.
struct link {
	uint8_t peer[LINK_ADDRESS_BYTES]; // the other station's MAC address
	uint16_t port;                    // index into policy.ports
};

struct view {
	enum view_kind kind;
	struct link link;   // peer = source MAC
	struct slice frame; // from the Ethernet header to the end of the IP packet, padding cut off
	uint16_t network_offset;   // of the ARP, IPv4 or IPv6 header in frame
	uint16_t transport_offset; // of the TCP, ICMP or ICMPv6 header in frame
	uint8_t hop_limit;         // IPv4 TTL or IPv6 hop limit
	bool link_broadcast;       // destination MAC is broadcast or multicast

	struct address source;
	struct address destination;
	// TCP only:
	uint16_t source_port;
	uint16_t destination_port;
	uint32_t sequence;
	uint32_t acknowledgment;
	uint16_t window; // as on the wire, unscaled
	uint8_t flags;   // bits of enum tcp_flag
	struct slice options;
	struct slice payload;
};

#endif
