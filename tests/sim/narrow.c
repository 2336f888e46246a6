// SPDX-License-Identifier: BSD-3-Clause
//
// The router before a narrow link; quotes what RFC 792 promises and no byte more.

#include "tests/sim/narrow.h"

#include "dataplane/net/build.h"
#include "dataplane/net/checksum.h"
#include "dataplane/net/wire.h"

#define QUOTED_BYTES 8

bool narrow_refuses(struct slice frame, uint16_t mtu, uint8_t answer[OUTBOX_FRAME_MAX],
		    size_t *length)
{
	const uint8_t *packet = frame.data + ETHERNET_HEADER_BYTES;
	bool ipv4 = get_u16(frame.data + 12) == ETHERTYPE_IPV4;
	uint16_t header = ipv4 ? IPV4_HEADER_BYTES : IPV6_HEADER_BYTES;
	struct packet_port router = {0};

	*length = 0;
	if (frame.length <= (size_t)ETHERNET_HEADER_BYTES + mtu)
		return false;
	if ((ipv4 ? packet[9] : packet[6]) != PROTOCOL_TCP)
		return true;
	memcpy(router.mac, frame.data, sizeof(router.mac));
	struct address source = ipv4 ? wire_ipv4(packet + 16) : wire_ipv6(packet + 24);
	struct address destination = ipv4 ? wire_ipv4(packet + 12) : wire_ipv6(packet + 8);
	uint16_t message_length = ICMP_HEADER_BYTES + header + QUOTED_BYTES;
	uint8_t *ip = build_ethernet(answer, &router, frame.data + 6,
				     ipv4 ? ETHERTYPE_IPV4 : ETHERTYPE_IPV6);
	uint8_t *icmp = build_ip(ip, &(struct build_ip){
					     .source = &source,
					     .destination = &destination,
					     .protocol = ipv4 ? PROTOCOL_ICMP : PROTOCOL_ICMP6,
					     .hop_limit = 64,
					     .payload_length = message_length,
				     });
	memset(icmp, 0, ICMP_HEADER_BYTES);
	icmp[0] = ipv4 ? ICMP_UNREACHABLE : ICMP6_PACKET_TOO_BIG;
	icmp[1] = ipv4 ? ICMP_FRAGMENTATION_NEEDED : 0;
	put_u16(icmp + 6, mtu);
	memcpy(icmp + ICMP_HEADER_BYTES, packet, header + QUOTED_BYTES);
	uint64_t sum = checksum_add(0, icmp, message_length);
	if (!ipv4)
		sum = checksum_add_pseudo(sum, ip, PROTOCOL_ICMP6, message_length);
	checksum_store(icmp + 2, sum);
	*length = (size_t)(icmp + message_length - answer);
	return true;
}
