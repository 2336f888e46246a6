// SPDX-License-Identifier: BSD-3-Clause
//
// Frames of the benchmarks' peers.
#include "tests/bench/peer.h"

#include "dataplane/net/checksum.h"
#include "dataplane/net/wire.h"

#include <assert.h>

#define IP_AT  ETHERNET_HEADER_BYTES
#define TCP_AT (ETHERNET_HEADER_BYTES + IPV4_HEADER_BYTES)

bool peer_parse(struct slice frame, struct peer_segment *out)
{
	const uint8_t *ip = frame.data + IP_AT;
	const uint8_t *tcp = frame.data + TCP_AT;
	size_t header;

	if (frame.length < TCP_AT + TCP_HEADER_BYTES ||
	    get_u16(frame.data + 12) != ETHERTYPE_IPV4 || ip[9] != PROTOCOL_TCP)
		return false;
	header = (size_t)(tcp[12] >> 4) * 4;
	*out = (struct peer_segment){
		.source = get_u32(ip + 12),
		.destination = get_u32(ip + 16),
		.source_port = get_u16(tcp),
		.destination_port = get_u16(tcp + 2),
		.sequence = get_u32(tcp + 4),
		.flags = tcp[13],
		.payload = slice_from(slice_first(frame, (size_t)IP_AT + get_u16(ip + 2)),
				      TCP_AT + header),
	};
	// The gate writes timestamps first, behind two NOPs, or behind MSS and window scale.
	for (size_t at = TCP_HEADER_BYTES; at + 10 <= header && tcp[at];) {
		if (tcp[at] == 8)
			out->timestamp = get_u32(tcp + at + 2);
		at += tcp[at] == 1 || tcp[at + 1] == 0 ? 1 : tcp[at + 1];
	}
	return true;
}

bool peer_checksums_good(struct slice frame)
{
	const uint8_t *ip = frame.data + IP_AT;
	uint16_t length = (uint16_t)(get_u16(ip + 2) - IPV4_HEADER_BYTES);
	uint64_t sum = checksum_add_pseudo(0, ip, PROTOCOL_TCP, length);

	return checksum_good(checksum_add(0, ip, IPV4_HEADER_BYTES)) &&
	       checksum_good(checksum_add(sum, frame.data + TCP_AT, length));
}

bool peer_trim(const struct peer *peer, struct peer_segment *segment)
{
	uint32_t old = peer->acknowledgment - segment->sequence;

	if (peer->acknowledgment == 0 || old == 0)
		return true;
	if (old > segment->payload.length ||
	    (old == segment->payload.length && !(segment->flags & TCP_FIN)))
		return false;
	segment->payload = slice_from(segment->payload, old);
	segment->sequence += old;
	return true;
}

void peer_take(struct peer *peer, const struct peer_segment *segment)
{
	uint32_t syn = (segment->flags & TCP_SYN) != 0, fin = (segment->flags & TCP_FIN) != 0;

	peer->acknowledgment = segment->sequence + syn + fin + (uint32_t)segment->payload.length;
	peer->echo = segment->timestamp;
}

static size_t write_options(uint8_t *at, const struct peer *peer, bool syn, uint32_t now_ms)
{
	static const uint8_t of_syn[12] = {2, 4, 1460 >> 8, 1460 & 0xff, 1, 3, 3, 7, 1, 1, 4, 2};
	size_t length = 0;

	if (syn) {
		memcpy(at, of_syn, sizeof(of_syn));
		length = sizeof(of_syn);
	}
	if (peer->timestamps) {
		memcpy(at + length, (uint8_t[]){1, 1, 8, 10}, 4);
		put_u32(at + length + 4, now_ms);
		put_u32(at + length + 8, peer->echo);
		length += 12;
	}
	return length;
}

size_t peer_segment_bytes(const struct peer *peer)
{
	return peer->timestamps ? 1448 : 1460;
}

uint16_t peer_build(uint8_t frame[PEER_FRAME_MAX], struct peer *peer, uint8_t flags,
		    struct slice payload, uint32_t now_ms)
{
	uint8_t *ip = frame + IP_AT, *tcp = frame + TCP_AT;
	bool first = peer->acknowledgment == 0; // the SYN of who opens
	size_t header = TCP_HEADER_BYTES +
			write_options(tcp + TCP_HEADER_BYTES, peer, flags & TCP_SYN, now_ms);
	uint16_t length = (uint16_t)(header + payload.length);

	assert(TCP_AT + length <= PEER_FRAME_MAX);
	memcpy(frame, peer->remote_mac, 6);
	memcpy(frame + 6, peer->local_mac, 6);
	put_u16(frame + 12, ETHERTYPE_IPV4);
	memset(ip, 0, IPV4_HEADER_BYTES);
	ip[0] = 0x45;
	put_u16(ip + 2, (uint16_t)(IPV4_HEADER_BYTES + length));
	put_u16(ip + 6, 0x4000);
	ip[8] = 57;
	ip[9] = PROTOCOL_TCP;
	put_u32(ip + 12, peer->local);
	put_u32(ip + 16, peer->remote);
	checksum_store(ip + 10, checksum_add(0, ip, IPV4_HEADER_BYTES));

	put_u16(tcp, peer->local_port);
	put_u16(tcp + 2, peer->remote_port);
	put_u32(tcp + 4, peer->sequence);
	put_u32(tcp + 8, first ? 0 : peer->acknowledgment);
	tcp[12] = (uint8_t)(header / 4 << 4);
	tcp[13] = (uint8_t)(flags | (first ? 0 : TCP_ACK) | (payload.length ? TCP_PSH : 0));
	put_u16(tcp + 14, flags & TCP_SYN ? 64240 : 502); // scaled by 7: the same
	put_u32(tcp + 16, 0);
	if (payload.length)
		memcpy(tcp + header, payload.data, payload.length);
	checksum_store(tcp + 16,
		       checksum_add(checksum_add_pseudo(0, ip, PROTOCOL_TCP, length), tcp, length));
	peer->sequence += (uint32_t)payload.length + ((flags & (TCP_SYN | TCP_FIN)) != 0);
	return (uint16_t)(TCP_AT + length);
}

uint16_t peer_answer_arp(struct slice frame, const uint8_t mac[6], uint8_t out[PEER_FRAME_MAX])
{
	const uint8_t *asked = frame.data + ETHERNET_HEADER_BYTES;
	uint8_t *arp = out + ETHERNET_HEADER_BYTES;

	if (frame.length < ETHERNET_HEADER_BYTES + ARP_BYTES ||
	    get_u16(frame.data + 12) != ETHERTYPE_ARP || get_u16(asked + 6) != ARP_REQUEST ||
	    memcmp(asked + 14, asked + 24, 4) == 0) // an announcement
		return 0;
	memset(out, 0, 60);
	memcpy(out, frame.data + 6, 6);
	memcpy(out + 6, mac, 6);
	put_u16(out + 12, ETHERTYPE_ARP);
	memcpy(arp, asked, 6);
	put_u16(arp + 6, ARP_REPLY);
	memcpy(arp + 8, mac, 6);
	memcpy(arp + 14, asked + 24, 4);
	memcpy(arp + 18, asked + 8, 10);
	return 60;
}
