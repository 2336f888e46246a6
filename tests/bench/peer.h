// SPDX-License-Identifier: BSD-3-Clause
//
// One end of a TCP connection over IPv4 as simple as a wire allows that loses nothing and keeps the
// order: frames as bytes, with good checksums, MSS, window scale, SACK-permitted and, if wanted,
// timestamps. Beside it the answer to ARP. No retransmission, no window, no state of its own: the
// loads (sessions.c, relay.c) know where a connection stands.
#ifndef RELAYGATE_BENCH_PEER_H
#define RELAYGATE_BENCH_PEER_H

#include "dataplane/base/slice.h"
#include "dataplane/base/view.h"

#define PEER_FRAME_MAX 1518

struct peer {
	uint8_t local_mac[6], remote_mac[6];
	uint32_t local, remote; // IPv4 addresses, host byte order
	uint16_t local_port, remote_port;
	uint32_t sequence;       // of the next byte that we send
	uint32_t acknowledgment; // next byte that we expect; 0 = none yet
	uint32_t echo;           // the other side's newest TSval
	bool timestamps;
};

// A segment of the gate's, as the peers need it.
struct peer_segment {
	uint32_t source, destination;
	uint16_t source_port, destination_port;
	uint32_t sequence;
	uint8_t flags;
	uint32_t timestamp; // 0 = none
	struct slice payload;
};

// False for anything that is no TCP over IPv4.
bool peer_parse(struct slice frame, struct peer_segment *out);
// IPv4 header and TCP checksum are those of the frame's bytes.
bool peer_checksums_good(struct slice frame);
// Cuts off what came before: the gate repeats itself, more in one segment, when we were late to
// answer. False when nothing is left, or something is missing before it.
bool peer_trim(const struct peer *peer, struct peer_segment *segment);
// Counts what the segment brought (flags and payload); the caller knows that it is in order.
void peer_take(struct peer *peer, const struct peer_segment *segment);
// Writes the next segment and counts it as sent; returns its length. flags: TCP_SYN, TCP_FIN,
// TCP_RST; TCP_ACK is set unless it is the first SYN.
uint16_t peer_build(uint8_t frame[PEER_FRAME_MAX], struct peer *peer, uint8_t flags,
		    struct slice payload, uint32_t now_ms);
// Payload bytes of a full segment.
size_t peer_segment_bytes(const struct peer *peer);
// A reply to an ARP request for whatever address, as if it were at `mac`; 0 when it is none.
uint16_t peer_answer_arp(struct slice frame, const uint8_t mac[6], uint8_t out[PEER_FRAME_MAX]);

#endif
