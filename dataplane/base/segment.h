// SPDX-License-Identifier: BSD-3-Clause
//
// A TCP segment to be sent: what tcp/ and gate/ decide and net/ builds a frame from. Host byte
// order. The payload stays in the flow's send queue and is copied straight into the frame.
#ifndef RELAYGATE_BASE_SEGMENT_H
#define RELAYGATE_BASE_SEGMENT_H

#include "dataplane/base/chunk.h"
#include "dataplane/base/hash.h"

#define TCP_OPTIONS_MAX 40

struct segment {
	struct tuple tuple; // local = source of the segment
	uint32_t sequence;
	uint32_t acknowledgment; // meaningful with TCP_ACK
	uint16_t window;         // as on the wire, unscaled
	uint8_t flags;           // bits of enum tcp_flag
	uint8_t options_length;  // a multiple of 4
	uint8_t options[TCP_OPTIONS_MAX];
	const struct chunk_queue *payload; // NULL = none
	uint32_t payload_offset;
	uint16_t payload_length;
};

#endif
