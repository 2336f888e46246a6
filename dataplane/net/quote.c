// SPDX-License-Identifier: BSD-3-Clause
//
// The packet inside an ICMP error: its IP header and the first eight bytes behind it, which is all
// that RFC 792 promises and what TCP needs: ports and sequence number. Checksums and lengths of the
// quotation are not looked at: routers change some of them before they quote.
#include "dataplane/net/quote.h"

#include "dataplane/base/cursor.h"
#include "dataplane/net/wire.h"

enum {
	QUOTED_BYTES = 8,
	IPV4_FRAGMENT_OFFSET = 0x1fff,
};

static bool quoted_ipv4(struct cursor *cursor, struct quote *quote)
{
	const uint8_t *ip = cursor_take(cursor, IPV4_HEADER_BYTES).data;

	// a message that ends inside the quoted header
	if (cursor->failed)
		return false;
	// another version's bytes; a header with options, which we never send
	if (ip[0] != 0x45)
		return false;
	// no segment, or a later piece of one, whose bytes are no TCP header
	if (ip[9] != PROTOCOL_TCP || (get_u16(ip + 6) & IPV4_FRAGMENT_OFFSET))
		return false;
	quote->tuple.local = wire_ipv4(ip + 12);
	quote->tuple.remote = wire_ipv4(ip + 16);
	return true;
}

static bool quoted_ipv6(struct cursor *cursor, struct quote *quote)
{
	const uint8_t *ip = cursor_take(cursor, IPV6_HEADER_BYTES).data;

	// a message that ends inside the quoted header
	if (cursor->failed)
		return false;
	// another version's bytes; no segment, or one behind extension headers, which we never send
	if (ip[0] >> 4 != 6 || ip[6] != PROTOCOL_TCP)
		return false;
	quote->tuple.local = wire_ipv6(ip + 8);
	quote->tuple.remote = wire_ipv6(ip + 24);
	return true;
}

bool quote_too_big(const struct view *view, struct quote *quote)
{
	bool ipv4 = view->kind == VIEW_ICMP4;

	if (!ipv4 && view->kind != VIEW_ICMP6)
		return false;
	struct cursor cursor = cursor_of(slice_from(view->frame, view->transport_offset));
	const uint8_t *icmp = cursor_take(&cursor, ICMP_HEADER_BYTES).data;
	// a message shorter than its header
	if (cursor.failed)
		return false;
	if (ipv4 ? icmp[0] != ICMP_UNREACHABLE || icmp[1] != ICMP_FRAGMENTATION_NEEDED
		 : icmp[0] != ICMP6_PACKET_TOO_BIG)
		return false;

	*quote = (struct quote){.mtu = ipv4 ? get_u16(icmp + 6) : get_u32(icmp + 4)};
	if (!(ipv4 ? quoted_ipv4(&cursor, quote) : quoted_ipv6(&cursor, quote)))
		return false;
	const uint8_t *tcp = cursor_take(&cursor, QUOTED_BYTES).data;
	// a quotation without ports and sequence number
	if (cursor.failed)
		return false;
	// an error goes to who sent the packet: another's packet says nothing about ours
	if (!wire_address_equal(&quote->tuple.local, &view->destination))
		return false;
	quote->tuple.local_port = get_u16(tcp);
	quote->tuple.remote_port = get_u16(tcp + 2);
	quote->sequence = get_u32(tcp + 4);
	return true;
}
