// SPDX-License-Identifier: BSD-3-Clause
//
// The state machine of RFC 9293 figure 5 as one table: a row a state, a column what happened.
// flow_step is the only writer of a flow's state; whatever the table does not list cannot happen,
// because segment_in and the calls of tcp.h ask the row's bits first.
#include "dataplane/tcp/flow.h"

#include <assert.h>

#define NEXT(step, state) [STEP_##step] = (FLOW_##state) + 1 // 0 stays "not in this state"
#define END               NEXT(END, CLOSED)

static const struct row {
	const char *name;
	bool synchronized;
	bool takes_data; // segment text is processed (RFC 9293 3.10.7.4, seventh)
	bool sends;      // our data or FIN may be outstanding
	bool owes_reset; // ABORT sends RST
	uint8_t next[STEP_COUNT];
} rows[FLOW_STATES] = {
	[FLOW_CLOSED] = {"CLOSED",
			 .next = {NEXT(CONNECT, SYN_SENT), NEXT(ACCEPT, ESTABLISHED), END}},
	[FLOW_SYN_SENT] = {"SYN-SENT", .next = {NEXT(PEER_SYN, SYN_RECEIVED),
						NEXT(ESTABLISH, ESTABLISHED), END}},
	[FLOW_SYN_RECEIVED] = {"SYN-RECEIVED", .owes_reset = true,
			       .next = {NEXT(ESTABLISH, ESTABLISHED), END}},
	[FLOW_ESTABLISHED] = {"ESTABLISHED", true, true, true, true,
			      .next = {NEXT(CLOSE, FIN_WAIT_1), NEXT(PEER_FIN, CLOSE_WAIT), END}},
	[FLOW_FIN_WAIT_1] = {"FIN-WAIT-1", true, true, true, true,
			     .next = {NEXT(FIN_ACKED, FIN_WAIT_2), NEXT(PEER_FIN, CLOSING), END}},
	// Our FIN is acknowledged, nothing of ours is left to send.
	[FLOW_FIN_WAIT_2] = {"FIN-WAIT-2", true, true, false, true,
			     .next = {NEXT(PEER_FIN, TIME_WAIT), END}},
	[FLOW_CLOSE_WAIT] = {"CLOSE-WAIT", true, false, true, true,
			     .next = {NEXT(CLOSE, LAST_ACK), END}},
	[FLOW_CLOSING] = {"CLOSING", true, false, true, false,
			  .next = {NEXT(FIN_ACKED, TIME_WAIT), END}},
	[FLOW_LAST_ACK] = {"LAST-ACK", true, false, true, false,
			   .next = {NEXT(FIN_ACKED, CLOSED), END}},
	// No step leads out: the flow is released and a record stays (time_wait.c).
	[FLOW_TIME_WAIT] = {"TIME-WAIT", true, false, false, false, .next = {END}},
};

void flow_step(struct flow *flow, enum flow_step step)
{
	uint8_t next = rows[flow->state].next[step];

	assert(next != 0);
	flow->state = next - 1;
}

bool flow_synchronized(const struct flow *flow)
{
	return rows[flow->state].synchronized;
}

bool flow_takes_data(const struct flow *flow)
{
	return rows[flow->state].takes_data;
}

bool flow_sends(const struct flow *flow)
{
	return rows[flow->state].sends;
}

bool flow_owes_reset(const struct flow *flow)
{
	// The table means a FIN that was sent: CLOSING and LAST-ACK are entered when it is queued,
	// and bytes that never left must not vanish without a word.
	if (flow->state == FLOW_CLOSING || flow->state == FLOW_LAST_ACK)
		return flow->snd_max - flow->snd_una <= flow->send.length;
	return rows[flow->state].owes_reset;
}

const char *tcp_state_name(const struct flow *flow)
{
	return rows[flow->state].name;
}
