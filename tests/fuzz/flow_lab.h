// SPDX-License-Identifier: BSD-3-Clause
//
// The surroundings of one flow under attack: its endpoint, an application on the one side, a peer
// that says what an operation says on the other, and what each may rely on. Byte s of the peer's
// stream is a function of the sequence number s, byte n of the application's one of n.
#ifndef RELAYGATE_TESTS_FUZZ_FLOW_LAB_H
#define RELAYGATE_TESTS_FUZZ_FLOW_LAB_H

#include "dataplane/tcp/flow.h"
#include "tests/fuzz/operations.h"

struct lab {
	uint8_t configuration[OPERATION_CONFIGURATION];
	struct pool chunks;
	struct random random;
	struct tcp *tcp;
	struct tuple tuple;
	uint64_t now;
	uint16_t our_mss;
	void *taken[512]; // chunks that lab_exhaust holds
	unsigned taken_count;

	struct flow *flow;  // NULL = released
	unsigned events;    // all of this flow's
	bool liar;          // the peer sent bytes that are not its stream's
	bool known;         // the peer's SYN
	uint32_t peer_mss;  // that it asked for
	uint32_t delivered; // bytes that the application read
	uint32_t written;   // bytes that the application wrote
	bool closed;
	// What was said on the wire.
	uint32_t first_sent, sent_end; // of the flow's bytes: its ISN, and one past the last
	bool sent_any;
	bool told_any;
	uint32_t told_ack, told_edge; // furthest that the flow acknowledged and offered
	uint32_t peer_edge;           // furthest that the peer offered
};

struct lab *lab_new(const uint8_t configuration[OPERATION_CONFIGURATION]);
void lab_free(struct lab *lab);
void lab_open_flow(struct lab *lab);

// The operations.
void lab_segment(struct lab *lab, const struct operation *operation);
void lab_read(struct lab *lab, uint32_t limit);
void lab_write(struct lab *lab, uint32_t length);
void lab_shut(struct lab *lab);
void lab_fire(struct lab *lab); // runs the timers that are due
void lab_next_deadline(struct lab *lab);
void lab_path_mtu(struct lab *lab, const struct operation *operation);
void lab_exhaust(struct lab *lab, uint32_t left);
void lab_replenish(struct lab *lab);
void lab_abort(struct lab *lab);
void lab_acknowledge(struct lab *lab);

// What holds between operations; a flow that is over is released.
void lab_check(struct lab *lab);
// The good or silent end.
void lab_finish(struct lab *lab);

// flow_output.c: takes all segments that the flow has, and judges each.
void lab_output(struct lab *lab);
// What the peer's segment tells about its window, before the flow sees it.
void lab_note_offer(struct lab *lab, const struct view *view);

static inline uint8_t peer_byte(uint32_t sequence)
{
	return (uint8_t)((sequence * 2654435761u) >> 19);
}
static inline uint8_t our_byte(uint32_t offset)
{
	return (uint8_t)((offset * 2246822519u) >> 21);
}

#endif
