// SPDX-License-Identifier: BSD-3-Clause
//
// A router on the way cannot pass on our segments: the flow's segments become smaller (RFC 1191,
// RFC 8201 in IPv6). Anybody can write such a message, so it counts only for bytes in flight (RFC
// 5927 section 4.1), never makes segments larger, and never smaller than what every host and link
// must take. Knows one flow at a time: nothing is remembered for the next one, and a path that
// drops large segments in silence is not found out (RFC 4821 is not implemented).
#include "dataplane/tcp/flow.h"

#define MTU_MIN4 552u  // below it a forged message would make us send headers; Linux has the same
#define MTU_MIN6 1280u // RFC 8200 section 5: every link

enum reason tcp_path_mtu(struct tcp *tcp, struct flow *flow, uint32_t quoted_sequence, uint32_t mtu)
{
	bool ipv4 = address_is_ipv4(&flow->tuple.remote);
	uint32_t headers = ipv4 ? 40 : 60;

	(void)tcp;
	if (flow->flags & FLOW_TIMESTAMPS)
		headers += FLOW_TS_BYTES;
	// Only who saw a segment, or guessed one of those in flight, can quote it.
	if (!flow_synchronized(flow) || seq_before(quoted_sequence, flow->snd_una) ||
	    !seq_before(quoted_sequence, flow->snd_max))
		return REASON_icmp_too_big_unacceptable;
	// RFC 8201 section 4: to be discarded. In IPv4 such links exist, and old routers say 0.
	if (!ipv4 && mtu < MTU_MIN6)
		return REASON_icmp_too_big_unacceptable;
	mtu = max_u32(mtu, MTU_MIN4);
	// Not what made the router complain, or the second complaint of the same flight.
	if (mtu >= headers + flow->mss)
		return REASON_icmp_too_big_unacceptable;
	flow->mss = (uint16_t)(mtu - headers);
	congestion_resize(flow);
	return REASON_NONE;
}
