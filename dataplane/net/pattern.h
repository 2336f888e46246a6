// SPDX-License-Identifier: BSD-3-Clause
//
// A TCP frame that packet_parse accepted, as a pattern for others: a frame that agrees with it in
// every bit that packet_parse judges is accepted, too, as a segment to the same endpoint with the
// same SYN, ACK, RST and FIN, and needs no view for that. Source address and port may differ, and
// are judged by the same functions as there. So a flood is told apart from all else by a few wide
// compares, and no rule of parsing is said twice. Keeps no state; borrows nothing.
#ifndef RELAYGATE_NET_PATTERN_H
#define RELAYGATE_NET_PATTERN_H

#include "dataplane/base/view.h"

#define PATTERN_BLOCKS 5  // of 16 bytes: up to the TCP flags behind a VLAN tag and an IPv6 header
#define PATTERN_BURST  64 // frames at a time, at most

struct pattern {
	struct address destination;
	uint16_t destination_port;
	uint8_t flags;          // of TCP, those that are judged: SYN, ACK, RST, FIN
	uint8_t network_offset; // in the frame
	uint32_t length;        // of the frame, padding cut off
	uint8_t blocks;
	uint8_t last; // where in the frame the last block begins; it may overlap the one before
	bool ipv4;
	uint64_t expected[PATTERN_BLOCKS][2]; // in the bits that are judged; the others are 0
	uint64_t judged[PATTERN_BLOCKS][2];
};

// Those frames of a burst that match, in their order.
struct pattern_matches {
	unsigned count;
	uint8_t frames[PATTERN_BURST]; // their places in the burst
	union {
		uint32_t ipv4[PATTERN_BURST]; // their sources, host byte order
		struct address ipv6[PATTERN_BURST];
	} sources;
};

// The pattern of a view of TCP.
void pattern_of(const struct view *view, struct pattern *pattern);
// Which of the frames whose bits are set in `among` match, of the same port as the pattern's.
void pattern_match(const struct pattern *pattern, const struct slice frames[], uint64_t among,
		   struct pattern_matches *matches);

#endif
