// SPDX-License-Identifier: BSD-3-Clause
//
// What an ICMP error says about a TCP segment of ours: which one, and how large it might have been
// (RFC 1191, RFC 8201). The quotation is untrusted like everything else, and a forged one needs no
// more than our addresses and ports: who acts on it compares it with what he sent (RFC 5927).
#ifndef RELAYGATE_NET_QUOTE_H
#define RELAYGATE_NET_QUOTE_H

#include "dataplane/base/hash.h"
#include "dataplane/base/view.h"

struct quote {
	struct tuple tuple; // of the quoted segment, as its sender has it: local = us
	uint32_t sequence;
	uint32_t mtu; // of the next link, IP header included; 0 from IPv4 routers before RFC 1191
};

// True for an ICMP "fragmentation needed" or ICMPv6 "packet too big" that packet_parse passed and
// that quotes a TCP segment from the very address that it was sent to; *quote is filled then.
bool quote_too_big(const struct view *view, struct quote *quote);

#endif
