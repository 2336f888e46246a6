// SPDX-License-Identifier: BSD-3-Clause
//
// Where finished frames go: one linear buffer a frame, reserved, filled, committed. io/ backs it
// with mbufs and the device's transmit queue, a test with plain memory. One frame may be reserved
// at a time. A short answer may go into the buffer that the question came in.
#ifndef RELAYGATE_BASE_OUTBOX_H
#define RELAYGATE_BASE_OUTBOX_H

#include <stdint.h>

#define OUTBOX_FRAME_MAX 9234 // Ethernet header, one VLAN tag and the largest MTU that is allowed
// An Ethernet header with one VLAN tag, an IPv6 header, a TCP header full of options.
#define OUTBOX_ANSWER_MAX 118

struct outbox {
	// A buffer for one frame of the port: room for its MTU and an Ethernet header with one
	// VLAN tag. NULL when nothing can be sent now.
	uint8_t *(*reserve)(struct outbox *outbox, uint16_t port);
	// Sends the reserved frame of length bytes; length 0 gives it back unsent.
	void (*commit)(struct outbox *outbox, uint16_t length);
	// Like reserve, of the port that the burst came by which is being worked on, but the buffer
	// is frame `index` of it, and OUTBOX_ANSWER_MAX long: of the frame nothing may be read any
	// more. NULL: not that one, or not now. The function may be missing.
	uint8_t *(*answer)(struct outbox *outbox, unsigned index);
};

#endif
