// SPDX-License-Identifier: BSD-3-Clause
//
// Outgoing frames, front to back into one linear buffer. Payload is copied straight out of the
// flow's queue behind its header and summed there, while it is in the cache; headers are summed as
// they are written.
// Does not know neighbours or routes: the caller brings the destination's MAC address.
#include "dataplane/net/build.h"

#include <assert.h>

#include "dataplane/base/outbox.h"
#include "dataplane/net/checksum.h"
#include "dataplane/net/wire.h"

enum {
	HOP_LIMIT = 64,
	IPV4_DONT_FRAGMENT = 0x4000,
	TCP_CHECKSUM_OFFSET = 16,
};

uint8_t *build_ethernet(uint8_t *at, const struct packet_port *port,
			const uint8_t destination[LINK_ADDRESS_BYTES], uint16_t ethertype)
{
	memcpy(at, destination, LINK_ADDRESS_BYTES);
	memcpy(at + 6, port->mac, LINK_ADDRESS_BYTES);
	at += 12;
	if (port->vlan) {
		put_u16(at, ETHERTYPE_VLAN);
		put_u16(at + 2, port->vlan);
		at += VLAN_TAG_BYTES;
	}
	put_u16(at, ethertype);
	return at + 2;
}

// Four bytes of a header, in network byte order, and their sum. To read them again at once would be
// to wait: a load of eight bytes is not served by two stores of four that are still on their way.
static inline uint64_t put_summed(uint8_t *at, uint32_t bytes, uint64_t sum)
{
	memcpy(at, &bytes, sizeof(bytes));
	return sum + bytes;
}

static uint8_t *build_ipv4(uint8_t *at, const struct build_ip *ip)
{
	const uint32_t length = IPV4_HEADER_BYTES + (uint32_t)ip->payload_length;
	uint64_t sum = put_summed(at, htonl(0x45u << 24 | length), 0);

	// an atomic datagram needs no identification (RFC 6864 4.1)
	sum = put_summed(at + 4, htonl(IPV4_DONT_FRAGMENT), sum);
	sum = put_summed(at + 8, htonl((uint32_t)ip->hop_limit << 24 | ip->protocol << 16), sum);
	sum = put_summed(at + 12, checksum_load_u32(ip->source->bytes + 12), sum);
	sum = put_summed(at + 16, checksum_load_u32(ip->destination->bytes + 12), sum);
	checksum_store(at + 10, sum);
	return at + IPV4_HEADER_BYTES;
}

static uint8_t *build_ipv6(uint8_t *at, const struct build_ip *ip)
{
	put_u32(at, 0x60000000);
	put_u16(at + 4, ip->payload_length);
	at[6] = ip->protocol;
	at[7] = ip->hop_limit;
	memcpy(at + 8, ip->source->bytes, 16);
	memcpy(at + 24, ip->destination->bytes, 16);
	return at + IPV6_HEADER_BYTES;
}

uint8_t *build_ip(uint8_t *at, const struct build_ip *ip)
{
	if (wire_is_ipv4(ip->source))
		return build_ipv4(at, ip);
	return build_ipv6(at, ip);
}

void build_group_mac(uint8_t mac[LINK_ADDRESS_BYTES], const struct address *group)
{
	mac[0] = 0x33;
	mac[1] = 0x33;
	memcpy(mac + 2, group->bytes + 12, 4);
}

// Returns the sum of it; its checksum is left 0.
static uint64_t build_tcp_header(uint8_t *at, const struct segment *segment)
{
	const uint8_t *options = segment->options;
	uint32_t ack = segment->flags & TCP_ACK ? segment->acknowledgment : 0;
	uint32_t length = TCP_HEADER_BYTES + (uint32_t)segment->options_length;
	uint64_t sum;

	sum = put_summed(
		at, htonl((uint32_t)segment->tuple.local_port << 16 | segment->tuple.remote_port),
		0);
	sum = put_summed(at + 4, htonl(segment->sequence), sum);
	sum = put_summed(at + 8, htonl(ack), sum);
	sum = put_summed(at + 12,
			 htonl(length / 4 << 28 | (uint32_t)segment->flags << 16 | segment->window),
			 sum);
	sum = put_summed(at + 16, 0, sum); // urgent data is never sent
	for (uint32_t i = TCP_HEADER_BYTES; i < length; i += 4, options += 4)
		sum = put_summed(at + i, checksum_load_u32(options), sum);
	return sum;
}

static uint64_t sum_addresses(const struct tuple *tuple, bool ipv4)
{
	if (ipv4)
		return (uint64_t)checksum_load_u32(tuple->local.bytes + 12) +
		       checksum_load_u32(tuple->remote.bytes + 12);
	return checksum_add(checksum_add(0, tuple->local.bytes, 16), tuple->remote.bytes, 16);
}

uint16_t build_segment(uint8_t *buffer, const struct packet_port *port, const struct link *link,
		       const struct segment *segment)
{
	assert(segment->options_length <= TCP_OPTIONS_MAX && segment->options_length % 4 == 0);
	assert(segment->payload || segment->payload_length == 0);
	size_t header_length = (size_t)TCP_HEADER_BYTES + segment->options_length;
	size_t length = header_length + segment->payload_length;
	bool ipv4 = wire_is_ipv4(&segment->tuple.local);
	assert(ipv4 == wire_is_ipv4(&segment->tuple.remote));
	assert(ETHERNET_HEADER_BYTES + VLAN_TAG_BYTES +
		       (ipv4 ? IPV4_HEADER_BYTES : IPV6_HEADER_BYTES) + length <=
	       OUTBOX_FRAME_MAX);

	uint8_t *ip =
		build_ethernet(buffer, port, link->peer, ipv4 ? ETHERTYPE_IPV4 : ETHERTYPE_IPV6);
	uint8_t *tcp = build_ip(ip, &(struct build_ip){
					    .source = &segment->tuple.local,
					    .destination = &segment->tuple.remote,
					    .protocol = PROTOCOL_TCP,
					    .hop_limit = HOP_LIMIT,
					    .payload_length = (uint16_t)length,
				    });
	uint64_t sum = checksum_add_word(sum_addresses(&segment->tuple, ipv4),
					 build_tcp_header(tcp, segment) + htonl((uint32_t)length) +
						 htons(PROTOCOL_TCP));
	if (segment->payload_length) {
		chunk_queue_copy(segment->payload, segment->payload_offset, tcp + header_length,
				 segment->payload_length);
		sum = checksum_add_long(sum, tcp + header_length, segment->payload_length);
	}
	checksum_store(tcp + TCP_CHECKSUM_OFFSET, sum);
	return (uint16_t)(tcp + length - buffer);
}

bool build_reset_for(const struct view *view, struct segment *out)
{
	// a reset for a reset would never end; a group's reset would come from everybody
	if (view->kind != VIEW_TCP || (view->flags & TCP_RST) || view->link_broadcast ||
	    wire_is_multicast(&view->destination))
		return false;
	*out = (struct segment){
		.tuple = {.local = view->destination,
			  .remote = view->source,
			  .local_port = view->destination_port,
			  .remote_port = view->source_port},
		.flags = TCP_RST,
	};
	if (view->flags & TCP_ACK) {
		out->sequence = view->acknowledgment;
		return true;
	}
	out->flags |= TCP_ACK;
	out->acknowledgment = view->sequence + (uint32_t)view->payload.length +
			      !!(view->flags & TCP_SYN) + !!(view->flags & TCP_FIN);
	return true;
}
