// SPDX-License-Identifier: BSD-3-Clause
//
// The NIC in front of the workers and the queues of frames that wait for them. Frames are copies.

#include "tests/sim/crew.h"

#include "dataplane/tcp/tcp.h"

#include <stdlib.h>
#include <string.h>

// ---- Queues ----------------------------------------------------------------------------------

bool frame_queue_put(struct frame_queue *queue, unsigned port, struct slice frame, unsigned most)
{
	struct waiting_frame *waiting;

	if (queue->count >= most)
		return false;
	waiting = malloc(sizeof(*waiting) + frame.length);
	waiting->next = NULL;
	waiting->port = port;
	waiting->length = frame.length;
	memcpy(waiting->bytes, frame.data, frame.length);
	if (queue->first)
		queue->last->next = waiting;
	else
		queue->first = waiting;
	queue->last = waiting;
	queue->count++;
	return true;
}

struct waiting_frame *frame_queue_take(struct frame_queue *queue)
{
	struct waiting_frame *first = queue->first;

	if (first) {
		queue->first = first->next;
		queue->count--;
	}
	return first;
}

void frame_queue_fini(struct frame_queue *queue)
{
	while (queue->count)
		free(frame_queue_take(queue));
}

// ---- The NIC ---------------------------------------------------------------------------------

static bool tuple_of(const struct packet_port *port, struct slice frame, struct tuple *tuple)
{
	struct view view;

	if (packet_parse(port, frame, &view) != REASON_NONE || view.kind != VIEW_TCP)
		return false;
	*tuple = tcp_tuple_of(&view);
	return true;
}

bool crew_owner(const struct spread *spread, const struct packet_port *port, struct slice frame,
		unsigned *owner)
{
	struct tuple tuple;

	if (!tuple_of(port, frame, &tuple))
		return false;
	*owner = spread_owner(spread, &tuple);
	return true;
}

// Spreads as evenly, with no regard to who owns what.
static unsigned another_hash(const struct spread *spread, const struct tuple *tuple)
{
	return (spread_hash(spread, tuple) * 0x9e3779b1u >> 16) % spread->workers;
}

unsigned crew_receiver(const struct spread *spread, enum nic nic, struct dice *dice,
		       const struct packet_port *port, struct slice frame)
{
	struct tuple tuple;

	switch (nic) {
	case NIC_RIGHT:
		return tuple_of(port, frame, &tuple) ? spread_owner(spread, &tuple) : 0;
	case NIC_WRONG:
		return tuple_of(port, frame, &tuple) ? another_hash(spread, &tuple)
						     : spread->workers - 1;
	case NIC_FICKLE:
		return dice_below(dice, spread->workers);
	case NIC_FIRST:
		break;
	}
	return 0;
}

void crew_spread(struct spread *spread, unsigned workers, struct dice *dice)
{
	uint8_t key[SPREAD_KEY_BYTES];

	do {
		for (unsigned i = 0; i < sizeof(key); i++)
			key[i] = (uint8_t)dice_u64(dice);
	} while (!spread_init(spread, key, workers));
}
