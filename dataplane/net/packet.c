// SPDX-License-Identifier: BSD-3-Clause
//
// Frame -> view. Every length is checked before the bytes behind it are touched, outer header
// first: the frame holds the IP packet, the packet holds its transport header, the transport header
// holds its options. What is not understood whole is dropped whole.
#include "dataplane/net/packet.h"

#include "dataplane/base/cursor.h"
#include "dataplane/net/checksum.h"
#include "dataplane/net/wire.h"

enum {
	IPV4_FRAGMENT_RESERVED = 0x8000,
	IPV4_MORE_FRAGMENTS = 0x2000,
	IPV4_FRAGMENT_OFFSET = 0x1fff,
};

// The Ethernet header and at most one VLAN tag. Leaves the cursor at the network header.
static enum reason parse_link(const struct packet_port *port, struct cursor *cursor,
			      struct view *view, uint16_t *ethertype)
{
	const uint8_t *ethernet = cursor_take(cursor, ETHERNET_HEADER_BYTES).data;
	// a frame cut inside its Ethernet header
	if (cursor->failed)
		return REASON_frame_runt;
	view->link_broadcast = ethernet[0] & 1;
	// promiscuous ports see their neighbours' frames
	if (!view->link_broadcast && !mac_equal(ethernet, port->mac))
		return REASON_frame_foreign_mac;
	// answers go to the source MAC: a group there would turn each into a flood, ours into a
	// loop
	if (!mac_is_station(ethernet + 6) || mac_equal(ethernet + 6, port->mac))
		return REASON_frame_source_mac;
	memcpy(view->link.peer, ethernet + 6, LINK_ADDRESS_BYTES);
	view->link.port = port->index;
	view->network_offset = ETHERNET_HEADER_BYTES;
	*ethertype = get_u16(ethernet + 12);

	uint16_t vlan = 0;
	if (*ethertype == ETHERTYPE_VLAN) {
		vlan = cursor_u16(cursor) & 0xfff;
		*ethertype = cursor_u16(cursor);
		// a frame cut inside its tag
		if (cursor->failed)
			return REASON_frame_runt;
		view->network_offset += VLAN_TAG_BYTES;
	}
	// another VLAN's frames; VLAN id 0 is a priority tag, which means untagged
	if (vlan != port->vlan)
		return REASON_frame_vlan;
	// a second tag would hide another VLAN behind ours
	if (*ethertype == ETHERTYPE_VLAN || *ethertype == ETHERTYPE_QINQ ||
	    *ethertype == ETHERTYPE_QINQ_OLD)
		return REASON_frame_vlan;
	return REASON_NONE;
}

static enum reason parse_arp(struct slice packet, struct view *view)
{
	static const uint8_t ethernet_ipv4[6] = {0, 1, 0x08, 0, LINK_ADDRESS_BYTES, 4};
	struct cursor cursor = cursor_of(packet);
	const uint8_t *arp = cursor_take(&cursor, ARP_BYTES).data;
	// a frame cut inside the ARP packet
	if (cursor.failed)
		return REASON_frame_runt;
	// other link or network types have their addresses elsewhere
	if (memcmp(arp, ethernet_ipv4, sizeof(ethernet_ipv4)) != 0)
		return REASON_arp_malformed;
	uint16_t operation = get_u16(arp + 6);
	// RARP and inverse ARP mean something else by the same fields
	if (operation != ARP_REQUEST && operation != ARP_REPLY)
		return REASON_arp_malformed;
	// a group as sender would enter the neighbour table
	if (!mac_is_station(arp + 8))
		return REASON_arp_malformed;
	view->source = wire_ipv4(arp + 14);
	view->destination = wire_ipv4(arp + 24);
	// only a probe (RFC 5227 2.1.1) has no sender address, and no probe is a reply
	bool probe = get_u32(arp + 14) == 0 && operation == ARP_REQUEST;
	if (!probe && !wire_ipv4_possible(arp + 14))
		return REASON_arp_malformed;
	view->kind = VIEW_ARP;
	view->hop_limit = 0;
	view->transport_offset = view->network_offset;
	view->frame.length = (size_t)view->network_offset + ARP_BYTES;
	return REASON_NONE;
}

static enum reason parse_tcp(struct slice segment, struct view *view)
{
	struct cursor cursor = cursor_of(segment);
	const uint8_t *tcp = cursor_take(&cursor, TCP_HEADER_BYTES).data;
	// an IP packet that ends inside the TCP header
	if (cursor.failed)
		return REASON_tcp_malformed;
	size_t header_length = (size_t)(tcp[12] >> 4) * 4;
	// a data offset inside the fixed header would make header bytes payload
	if (header_length < TCP_HEADER_BYTES)
		return REASON_tcp_malformed;
	view->options = cursor_take(&cursor, header_length - TCP_HEADER_BYTES);
	// a data offset past the end would read another packet's bytes as options
	if (cursor.failed)
		return REASON_tcp_malformed;
	view->payload = cursor.rest;
	view->kind = VIEW_TCP;
	view->source_port = get_u16(tcp);
	view->destination_port = get_u16(tcp + 2);
	view->sequence = get_u32(tcp + 4);
	view->acknowledgment = get_u32(tcp + 8);
	view->flags = tcp[13];
	view->window = get_u16(tcp + 14);
	// no socket has port 0; answering would feed reflection
	if (view->source_port == 0 || view->destination_port == 0)
		return REASON_tcp_port_zero;
	// scans: null, FIN and XMAS lack all of SYN, RST and ACK, and no state accepts that
	if (!(view->flags & (TCP_SYN | TCP_RST | TCP_ACK)))
		return REASON_tcp_flags;
	// contradictions that slip through stateless filters
	if ((view->flags & TCP_SYN) && (view->flags & (TCP_FIN | TCP_RST)))
		return REASON_tcp_flags;
	if ((view->flags & TCP_FIN) && !(view->flags & TCP_ACK))
		return REASON_tcp_flags;
	return REASON_NONE;
}

static enum reason parse_icmp(struct slice message, enum view_kind kind, struct view *view)
{
	// every type that is looked at has eight bytes of header
	if (message.length < ICMP_HEADER_BYTES)
		return REASON_icmp_malformed;
	view->kind = kind;
	return REASON_NONE;
}

static enum reason parse_ipv4(struct slice packet, struct view *view)
{
	struct cursor cursor = cursor_of(packet);
	const uint8_t *ip = cursor_take(&cursor, IPV4_HEADER_BYTES).data;
	// a frame cut inside the IPv4 header
	if (cursor.failed)
		return REASON_frame_runt;
	size_t header_length = (size_t)(ip[0] & 0xf) * 4;
	size_t total_length = get_u16(ip + 2);
	// another version's bytes, a header inside itself, a packet inside its header
	if (ip[0] >> 4 != 4 || header_length < IPV4_HEADER_BYTES || total_length < header_length)
		return REASON_ipv4_malformed;
	// a packet longer than its frame
	if (total_length > packet.length)
		return REASON_frame_runt;
	view->source = wire_ipv4(ip + 12); // who is told of it when it is dropped
	// source routes and record route; no mail client sends options
	if (header_length > IPV4_HEADER_BYTES)
		return REASON_ipv4_options;
	uint16_t fragment = get_u16(ip + 6);
	// RFC 791: must be zero
	if (fragment & IPV4_FRAGMENT_RESERVED)
		return REASON_ipv4_malformed;
	// pieces hide ports and flags; peers honour our MSS, so honest ones send none
	if (fragment & (IPV4_MORE_FRAGMENTS | IPV4_FRAGMENT_OFFSET))
		return REASON_ipv4_fragment;
	// multicast, broadcast, class E, loopback and 0/8 are nobody's address
	if (!wire_ipv4_possible(ip + 16))
		return REASON_ip_not_ours;
	// one packet for many stations must not make each of them answer
	if (view->link_broadcast)
		return REASON_frame_broadcast;
	// nobody can have sent these, and an answer would go astray or back to us (LAND)
	if (!wire_ipv4_sender_possible(ip))
		return REASON_ip_martian_source;

	view->destination = wire_ipv4(ip + 16);
	view->hop_limit = ip[8];
	view->transport_offset = view->network_offset + IPV4_HEADER_BYTES;
	view->frame.length = view->network_offset + total_length; // padding ends here
	struct slice payload = slice_first(cursor.rest, total_length - IPV4_HEADER_BYTES);
	if (ip[9] == PROTOCOL_TCP)
		return parse_tcp(payload, view);
	if (ip[9] == PROTOCOL_ICMP)
		return parse_icmp(payload, VIEW_ICMP4, view);
	return REASON_ip_protocol;
}

// The extension header numbers of IANA's list; HIP, shim6 and the experiments among them.
static bool is_extension(uint8_t next_header)
{
	switch (next_header) {
	case PROTOCOL_HOP_BY_HOP:
	case 43:  // routing
	case 44:  // fragment, atomic ones included (RFC 6946)
	case 50:  // ESP
	case 51:  // AH
	case 60:  // destination options
	case 135: // mobility
	case 139: // HIP
	case 140: // shim6
	case 253:
	case 254:
		return true;
	default:
		return false;
	}
}

// An ICMPv6 MLD query behind a hop-by-hop header with a router alert and nothing else.
static bool is_mld_query(struct slice payload)
{
	static const uint8_t header[ROUTER_ALERT_BYTES - 6] = {PROTOCOL_ICMP6, 0};
	static const uint8_t options[6] = ROUTER_ALERT_OPTIONS;
	static const uint8_t options_padded_first[6] = {1, 0, 5, 2, 0, 0};

	// the type byte follows the hop-by-hop header
	if (payload.length <= ROUTER_ALERT_BYTES)
		return false;
	const uint8_t *at = payload.data;
	return memcmp(at, header, sizeof(header)) == 0 &&
	       (memcmp(at + 2, options, sizeof(options)) == 0 ||
		memcmp(at + 2, options_padded_first, sizeof(options_padded_first)) == 0) &&
	       at[ROUTER_ALERT_BYTES] == ICMP6_MLD_QUERY;
}

// Types that are sent to groups: neighbour discovery and MLD.
static bool icmp6_for_groups(uint8_t type)
{
	return (type >= ICMP6_MLD_QUERY && type <= ICMP6_REDIRECT) || type == ICMP6_MLD2_REPORT;
}

// Types that RFC 4861 and RFC 3590 send from :: while the sender has no address.
static bool icmp6_from_unspecified(uint8_t type)
{
	return type == ICMP6_NEIGHBOUR_SOLICITATION || type == ICMP6_ROUTER_SOLICITATION ||
	       type == ICMP6_MLD_REPORT || type == ICMP6_MLD_DONE || type == ICMP6_MLD2_REPORT;
}

static enum reason check_ipv6_addresses(const uint8_t *ip, const struct view *view, bool for_groups,
					bool from_unspecified)
{
	static const uint8_t unspecified[16];
	const uint8_t *source = ip + 8;
	const uint8_t *destination = ip + 24;

	// groups are for those who ask about neighbours and members; never TCP or echo
	if (destination[0] == 0xff && !for_groups)
		return REASON_ip_not_ours;
	if (wire_ipv6_holds_ipv4(destination))
		return REASON_ip_not_ours;
	// one packet for many stations must not make each of them answer
	if (destination[0] != 0xff && view->link_broadcast)
		return REASON_frame_broadcast;
	if (from_unspecified && memcmp(source, unspecified, 16) == 0)
		return REASON_NONE;
	// nobody can have sent these, and an answer would go astray or back to us (LAND)
	if (!wire_ipv6_sender_possible(ip))
		return REASON_ip_martian_source;
	return REASON_NONE;
}

static enum reason parse_ipv6(struct slice packet, struct view *view)
{
	struct cursor cursor = cursor_of(packet);
	const uint8_t *ip = cursor_take(&cursor, IPV6_HEADER_BYTES).data;
	// a frame cut inside the IPv6 header
	if (cursor.failed)
		return REASON_frame_runt;
	size_t length = get_u16(ip + 4);
	// another version's bytes; length 0 is a jumbogram (RFC 2675) or holds nothing
	if (ip[0] >> 4 != 6 || length == 0)
		return REASON_ipv6_malformed;
	// a packet longer than its frame
	if (length > cursor.rest.length)
		return REASON_frame_runt;
	view->source = wire_ipv6(ip + 8);
	struct slice payload = slice_first(cursor.rest, length);
	uint8_t next_header = ip[6];
	view->transport_offset = view->network_offset + IPV6_HEADER_BYTES;
	if (next_header == PROTOCOL_HOP_BY_HOP && is_mld_query(payload)) {
		next_header = PROTOCOL_ICMP6;
		view->transport_offset += ROUTER_ALERT_BYTES;
		payload = slice_from(payload, ROUTER_ALERT_BYTES);
	}
	// fragments, routing headers and chains hide what follows them
	if (is_extension(next_header))
		return REASON_ipv6_extension;

	bool icmp = next_header == PROTOCOL_ICMP6;
	uint8_t type = icmp ? payload.data[0] : 0; // length is not 0
	enum reason reason = check_ipv6_addresses(ip, view, icmp && icmp6_for_groups(type),
						  icmp && icmp6_from_unspecified(type));
	if (reason)
		return reason;
	view->destination = wire_ipv6(ip + 24);
	view->hop_limit = ip[7];
	view->frame.length = view->network_offset + IPV6_HEADER_BYTES + length; // padding ends here
	if (next_header == PROTOCOL_TCP)
		return parse_tcp(payload, view);
	if (icmp)
		return parse_icmp(payload, VIEW_ICMP6, view);
	return REASON_ip_protocol;
}

enum reason packet_parse(const struct packet_port *port, struct slice frame, struct view *view)
{
	struct cursor cursor = cursor_of(frame);
	uint16_t ethertype;
	memset(&view->source, 0, sizeof(view->source));
	enum reason reason = parse_link(port, &cursor, view, &ethertype);
	if (reason)
		return reason;
	view->frame = frame;
	switch (ethertype) {
	case ETHERTYPE_IPV4:
		return parse_ipv4(cursor.rest, view);
	case ETHERTYPE_IPV6:
		return parse_ipv6(cursor.rest, view);
	case ETHERTYPE_ARP:
		return parse_arp(cursor.rest, view);
	default:
		// 802.3 lengths and every protocol that is not spoken here
		return REASON_frame_ethertype;
	}
}

enum reason packet_verify(const struct packet_port *port, const struct view *view)
{
	if (view->kind == VIEW_ARP)
		return REASON_NONE; // has no checksum
	const uint8_t *ip = view->frame.data + view->network_offset;
	// damage on the way: IPv4 has its own sum, IPv6 relies on the pseudo header
	if (ip[0] >> 4 == 4 && !checksum_good(checksum_add(0, ip, IPV4_HEADER_BYTES)))
		return REASON_ipv4_checksum;
	if (port->trust_checksums)
		return REASON_NONE;

	struct slice transport = slice_from(view->frame, view->transport_offset);
	uint64_t sum = checksum_add(0, transport.data, transport.length);
	if (view->kind == VIEW_TCP)
		sum = checksum_add_pseudo(sum, ip, PROTOCOL_TCP, (uint32_t)transport.length);
	else if (view->kind == VIEW_ICMP6)
		sum = checksum_add_pseudo(sum, ip, PROTOCOL_ICMP6, (uint32_t)transport.length);
	if (checksum_good(sum))
		return REASON_NONE;
	return view->kind == VIEW_TCP ? REASON_tcp_checksum : REASON_icmp_checksum;
}
