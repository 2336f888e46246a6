// SPDX-License-Identifier: BSD-3-Clause
//
// Bytes of outgoing frames: Ethernet (with the port's VLAN tag), IPv4 or IPv6, TCP; checksums
// filled in. Pure functions over a caller's buffer.
#ifndef RELAYGATE_NET_BUILD_H
#define RELAYGATE_NET_BUILD_H

#include "dataplane/base/segment.h"
#include "dataplane/net/packet.h"

// Writes the frame that carries *segment to link->peer; returns its length. buffer has room for the
// port's MTU and headers (outbox.h); the caller keeps segments within the MTU.
// IPv4 goes out with DF set and identification 0 (RFC 6864), TTL / hop limit 64.
uint16_t build_segment(uint8_t *buffer, const struct packet_port *port, const struct link *link,
		       const struct segment *segment);

// The RST that answers *view when it fits no connection (RFC 9293 3.10.7.1). False when it must not
// be answered: RST, or not unicast.
bool build_reset_for(const struct view *view, struct segment *out);

#endif
