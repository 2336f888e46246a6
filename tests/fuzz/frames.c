// SPDX-License-Identifier: BSD-3-Clause
//
// Frames of the stations around the gate, with good checksums unless told otherwise.
#include "tests/fuzz/peers.h"

#include "dataplane/net/build.h"
#include "dataplane/net/checksum.h"
#include "dataplane/net/wire.h"

#include <assert.h>
#include <stdlib.h>

#define FRAME_MAX 9300

const uint8_t frame_gate_mac[2][LINK_ADDRESS_BYTES] = {{2, 0, 0, 0, 0, 1}, {2, 0, 0, 0, 0, 2}};
static const uint8_t peer_mac[2][LINK_ADDRESS_BYTES] = {{2, 0, 0, 0, 0, 0xaa},
							{2, 0, 0, 0, 0, 0xbb}};
static const uint8_t gateway_mac[LINK_ADDRESS_BYTES] = {2, 0, 0, 0, 0, 0xfe};

void frames_add(struct frames *frames, uint16_t port, struct slice bytes)
{
	if (frames->count == FRAMES_MAX)
		return;
	struct frame *frame = &frames->frame[frames->count++];

	frame->bytes = malloc(bytes.length);
	memcpy(frame->bytes, bytes.data, bytes.length);
	frame->length = (uint16_t)bytes.length;
	frame->port = port;
}

void frames_clear(struct frames *frames)
{
	for (unsigned i = 0; i < frames->count; i++)
		free(frames->frame[i].bytes);
	frames->count = 0;
}

// The Ethernet header of a station on the port; the one of an address beyond the gateway.
static uint8_t *begin(struct peers *peers, uint8_t *buffer, uint16_t port,
		      const struct address *source, uint16_t ethertype)
{
	struct packet_port station = peers->ports[port];
	bool near = (wire_is_ipv4(source) && source->bytes[12] == 192 && source->bytes[15] != 1) ||
		    (source->bytes[0] == 0x20 && source->bytes[5] == 0 && source->bytes[15] != 1);

	memcpy(station.mac, near || port == 1 ? peer_mac[port] : gateway_mac, sizeof(station.mac));
	return build_ethernet(buffer, &station, frame_gate_mac[port], ethertype);
}

static uint8_t *ip_header(uint8_t *at, const struct address *source,
			  const struct address *destination, uint8_t protocol, size_t length)
{
	return build_ip(at, &(struct build_ip){.source = source,
					       .destination = destination,
					       .protocol = protocol,
					       .hop_limit = protocol == PROTOCOL_TCP ? 64 : 255,
					       .payload_length = (uint16_t)length});
}

static void sum_up(const uint8_t *ip, uint8_t protocol, uint8_t *transport, size_t length,
		   uint8_t *field)
{
	uint64_t sum = checksum_add(0, transport, length);

	if (protocol != PROTOCOL_ICMP)
		sum = checksum_add_pseudo(sum, ip, protocol, (uint32_t)length);
	checksum_store(field, sum);
}

void frame_tcp(struct peers *peers, const struct peer *peer, const struct frame_segment *segment)
{
	uint8_t buffer[FRAME_MAX];
	bool ipv4 = address_is_ipv4(&peer->address);
	size_t header = TCP_HEADER_BYTES + segment->options.length;
	size_t length = header + segment->payload.length;
	uint8_t *ip = begin(peers, buffer, peer->port, &peer->address,
			    ipv4 ? ETHERTYPE_IPV4 : ETHERTYPE_IPV6);
	uint8_t *tcp = ip_header(ip, &peer->address, &peer->gate, PROTOCOL_TCP, length);

	assert(length <= 9000);
	memset(tcp, 0, header);
	put_u16(tcp, peer->port_number);
	put_u16(tcp + 2, peer->gate_port);
	put_u32(tcp + 4, segment->sequence);
	put_u32(tcp + 8, segment->acknowledgment);
	tcp[12] = (uint8_t)(header / 4 << 4);
	tcp[13] = segment->flags;
	put_u16(tcp + 14, segment->window);
	memcpy(tcp + TCP_HEADER_BYTES, segment->options.data, segment->options.length);
	for (size_t i = 0; i < segment->payload.length; i++)
		tcp[header + i] = segment->payload.data ? segment->payload.data[i]
							: "text of a line\r\n"[i % 16];
	sum_up(ip, PROTOCOL_TCP, tcp, length, tcp + 16);
	if (segment->bad_checksum)
		tcp[17] ^= 1;
	frames_add(&peers->out, peer->port, slice_of(buffer, (size_t)(tcp + length - buffer)));
}

void frame_too_big(struct peers *peers, const struct peer *peer, uint32_t sequence, uint16_t mtu)
{
	uint8_t buffer[200];
	bool ipv4 = address_is_ipv4(&peer->address);
	uint8_t protocol = ipv4 ? PROTOCOL_ICMP : PROTOCOL_ICMP6;
	size_t quoted = (ipv4 ? IPV4_HEADER_BYTES : IPV6_HEADER_BYTES) + 8u;
	size_t length = ICMP_HEADER_BYTES + quoted;
	uint8_t *ip = begin(peers, buffer, peer->port, &peer->address,
			    ipv4 ? ETHERTYPE_IPV4 : ETHERTYPE_IPV6);
	uint8_t *icmp = ip_header(ip, &peer->address, &peer->gate, protocol, length);
	uint8_t *tcp;

	memset(icmp, 0, ICMP_HEADER_BYTES);
	icmp[0] = ipv4 ? ICMP_UNREACHABLE : ICMP6_PACKET_TOO_BIG;
	icmp[1] = ipv4 ? ICMP_FRAGMENTATION_NEEDED : 0;
	put_u16(icmp + 6, mtu);
	tcp = ip_header(icmp + ICMP_HEADER_BYTES, &peer->gate, &peer->address, PROTOCOL_TCP, 1460);
	put_u16(tcp, peer->gate_port);
	put_u16(tcp + 2, peer->port_number);
	put_u32(tcp + 4, sequence);
	sum_up(ip, protocol, icmp, length, icmp + 2);
	frames_add(&peers->out, peer->port, slice_of(buffer, (size_t)(icmp + length - buffer)));
}

static void arp_reply(struct peers *peers, const struct view *view)
{
	uint8_t buffer[64];
	const uint8_t *request = view->frame.data + view->network_offset;
	uint8_t *arp = begin(peers, buffer, view->link.port, &view->destination, ETHERTYPE_ARP);

	memcpy(arp, request, 6); // hardware, protocol, their lengths
	put_u16(arp + 6, ARP_REPLY);
	memcpy(arp + 8, buffer + 6, LINK_ADDRESS_BYTES);
	memcpy(arp + 14, request + 24, 4);
	memcpy(arp + 18, request + 8, 10);
	frames_add(&peers->out, view->link.port,
		   slice_of(buffer, (size_t)(arp + ARP_BYTES - buffer)));
}

static void advertisement(struct peers *peers, const struct view *view)
{
	uint8_t buffer[128];
	const uint8_t *solicitation = view->frame.data + view->transport_offset;
	struct address target = wire_ipv6(solicitation + 8);
	uint8_t *ip = begin(peers, buffer, view->link.port, &target, ETHERTYPE_IPV6);
	uint8_t *icmp = ip_header(ip, &target, &view->source, PROTOCOL_ICMP6, 32);

	memset(icmp, 0, 32);
	icmp[0] = ICMP6_NEIGHBOUR_ADVERTISEMENT;
	icmp[4] = 0x60; // solicited, override
	memcpy(icmp + 8, target.bytes, 16);
	icmp[24] = 2; // target's link-layer address
	icmp[25] = 1;
	memcpy(icmp + 26, buffer + 6, LINK_ADDRESS_BYTES);
	sum_up(ip, PROTOCOL_ICMP6, icmp, 32, icmp + 2);
	frames_add(&peers->out, view->link.port, slice_of(buffer, (size_t)(icmp + 32 - buffer)));
}

void frame_neighbour(struct peers *peers, const struct view *view)
{
	const uint8_t *network = view->frame.data + view->network_offset;
	const uint8_t *transport = view->frame.data + view->transport_offset;

	// Announcements and probes ask for nobody else.
	if (view->kind == VIEW_ARP && get_u16(network + 6) == ARP_REQUEST &&
	    !wire_address_equal(&view->source, &view->destination) && network[14] != 0)
		arp_reply(peers, view);
	if (view->kind == VIEW_ICMP6 && transport[0] == ICMP6_NEIGHBOUR_SOLICITATION &&
	    !wire_is_unspecified6(&view->source))
		advertisement(peers, view);
}
