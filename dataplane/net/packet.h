// SPDX-License-Identifier: BSD-3-Clause
//
// Frame -> view, or the reason for dropping it. Two steps, because the verdict of the gate comes
// between them: packet_parse reads headers only (lengths, offsets, addresses, ports: everything
// that classification needs, all bounds checked); packet_verify checks the checksums of what the
// gate kept. Ethernet, one 802.1Q tag, ARP, IPv4 without options or fragments, IPv6 without
// extension headers, ICMP, ICMPv6, TCP. Keeps no state; the view borrows the frame.
#ifndef RELAYGATE_NET_PACKET_H
#define RELAYGATE_NET_PACKET_H

#include "bpf/counters.h"
#include "dataplane/base/view.h"

// What a port accepts at the link layer.
struct packet_port {
	uint8_t mac[LINK_ADDRESS_BYTES];
	uint16_t index; // into policy.ports
	uint16_t vlan;  // 0 = untagged
	bool trust_checksums;
};

// Parses one linear frame (no FCS). REASON_NONE and *view filled, or a drop reason and *view
// undefined but for its source: the packet's if its header could be read, else all zero. TCP
// payload ends where the IP length says, whatever padding follows. The link layer: unicast to
// port->mac, broadcast or multicast, from a station that can exist; the port's VLAN tag and no
// other (an untagged port also takes priority tags, VLAN id 0). Multicast and broadcast
// destinations at the IP layer are ip_not_ours but for neighbour discovery and MLD; a unicast
// destination inside a broadcast or multicast frame is frame_broadcast. Whether a unicast
// destination is ours is not asked here (net_is_ours). Sources that cannot be peers (RFC
// 1122 3.2.1.3, RFC 6890: 0/8, 127/8, 224/3, ::/96, multicast, v4-mapped) are ip_martian_source,
// likewise source == destination (LAND); :: passes where RFC 4861 and 3810 use it. An MLD query is
// the one packet whose hop-by-hop header is accepted, holding a router alert only. For ARP, source
// and destination are the sender's and the target's protocol addresses.
enum reason packet_parse(const struct packet_port *port, struct slice frame, struct view *view);

// IPv4 header checksum, then TCP, ICMP or ICMPv6 checksum; with trust_checksums the transport one
// is taken as good.
enum reason packet_verify(const struct packet_port *port, const struct view *view);

#endif
