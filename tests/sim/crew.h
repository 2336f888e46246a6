// SPDX-License-Identifier: BSD-3-Clause
//
// What lies between the wire and the workers of a simulated gate: the NIC that gives each frame to
// one of them, rightly or not, and queues of frames that wait for their worker (the NIC's own, and
// the rings by which workers hand frames over). Knows nothing of what a worker does with them.
#ifndef RELAYGATE_SIM_CREW_H
#define RELAYGATE_SIM_CREW_H

#include "dataplane/base/spread.h"
#include "dataplane/net/packet.h"
#include "tests/sim/plan.h"

struct waiting_frame {
	struct waiting_frame *next;
	unsigned port;
	size_t length;
	uint8_t bytes[];
};

struct frame_queue {
	struct waiting_frame *first, *last;
	unsigned count;
	uint64_t due_us; // when its worker will look; while there are frames
};

// False when there are `most` already. due_us counts when it is the first.
bool frame_queue_put(struct frame_queue *queue, unsigned port, struct slice frame, unsigned most);
// The caller frees it; NULL when there is none.
struct waiting_frame *frame_queue_take(struct frame_queue *queue);
void frame_queue_fini(struct frame_queue *queue);

// Is it a segment, and whose flow is it? Else false.
bool crew_owner(const struct spread *spread, const struct packet_port *port, struct slice frame,
		unsigned *owner);
// The worker at whose queue the NIC puts a received frame.
unsigned crew_receiver(const struct spread *spread, enum nic nic, struct dice *dice,
		       const struct packet_port *port, struct slice frame);
// Draws a key, and so who owns what.
void crew_spread(struct spread *spread, unsigned workers, struct dice *dice);

#endif
