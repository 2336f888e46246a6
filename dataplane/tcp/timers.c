// SPDX-License-Identifier: BSD-3-Clause
//
// What happens when nothing happens. Retransmission, persist, FIN-WAIT-2 and keep-alive exclude one
// another and share one deadline; the delayed ACK has its own. Setting a deadline is free: the
// caller arms one real timer a flow from tcp_deadline.
#include "dataplane/tcp/flow.h"

#define RTO_MAX_US     60000000ull
#define GIVE_UP_US     100000000ull // R2 of RFC 9293 3.8.3: at least 100 s
#define GIVE_UP_SYN_US 60000000ull
#define FIN_WAIT_2_US  180000000ull // longer than a peer waits between two window probes
#define KEEPALIVES     3            // unanswered ones until the flow is given up
#define BACKOFF_KEPT   3            // eight times the time-out
#define BACKOFF_MAX    10

uint64_t timer_interval_us(const struct flow *flow)
{
	uint64_t interval_us = ((uint64_t)flow->rto_ms * 1000) << flow->backoff;

	return interval_us < RTO_MAX_US ? interval_us : RTO_MAX_US;
}

static uint64_t keepalive_us(const struct flow *flow)
{
	return flow->keepalive_ms * 1000ull;
}

void timer_start_at(struct flow *flow, enum flow_timer timer, uint64_t now_us, uint64_t at_us)
{
	// A keep-alive waits for nothing that was sent: the silence before counts only for itself.
	if (flow->timer == TIMER_NONE ||
	    (flow->timer == TIMER_KEEPALIVE && timer != TIMER_KEEPALIVE))
		flow->progress_at = now_us;
	flow->timer = timer;
	flow->timer_at = at_us;
}

void timer_start(struct flow *flow, enum flow_timer timer, uint64_t now_us)
{
	uint64_t wait_us = timer == TIMER_FIN_WAIT_2  ? FIN_WAIT_2_US
			   : timer == TIMER_KEEPALIVE ? keepalive_us(flow)
						      : timer_interval_us(flow);

	timer_start_at(flow, timer, now_us, now_us + wait_us);
}

bool timer_waits(const struct flow *flow)
{
	return flow->timer == TIMER_RETRANSMIT || flow->timer == TIMER_REORDERING ||
	       flow->timer == TIMER_TAIL;
}

void timer_start_flight(struct flow *flow, uint64_t now_us)
{
	uint64_t probe_us = rack_probe_us(flow);

	if (probe_us == 0) {
		timer_start(flow, TIMER_RETRANSMIT, now_us);
		return;
	}
	// New segments put the probe off, but not beyond the time-out of what was sent before.
	uint64_t since_us = timer_waits(flow) ? flow->progress_at : now_us;
	uint64_t timeout_at = since_us + timer_interval_us(flow);
	uint64_t probe_at = now_us + probe_us;
	timer_start_at(flow, TIMER_TAIL, now_us, probe_at < timeout_at ? probe_at : timeout_at);
}

void timer_stop(struct flow *flow)
{
	flow->timer = TIMER_NONE;
	flow->timer_at = FLOW_NEVER;
}

void timer_heard(struct flow *flow, uint64_t now_us)
{
	if (flow->timer != TIMER_FIN_WAIT_2 && flow->timer != TIMER_KEEPALIVE)
		return;
	flow->progress_at = now_us;
	timer_start(flow, flow->timer, now_us);
}

void tcp_set_keepalive(struct flow *flow, uint32_t interval_ms)
{
	flow->keepalive_ms = interval_ms;
	if (flow->timer == TIMER_KEEPALIVE) // segment_out starts it anew when it is on
		timer_stop(flow);
}

uint64_t tcp_deadline(const struct flow *flow)
{
	return flow->timer_at < flow->delayed_ack_at ? flow->timer_at : flow->delayed_ack_at;
}

void timer_progress(struct flow *flow, uint64_t now_us)
{
	flow->progress_at = now_us;
	if (flow->backoff > BACKOFF_KEPT)
		flow->backoff = BACKOFF_KEPT;
	if (flow->snd_una == flow->snd_max)
		timer_stop(flow);
	else
		timer_start_flight(flow, now_us);
}

static void give_up(struct flow *flow, unsigned *events)
{
	flow_step(flow, STEP_END);
	timer_stop(flow);
	flow->delayed_ack_at = FLOW_NEVER;
	*events |= TCP_EVENT_TIMED_OUT;
}

static void back_off(struct flow *flow, enum flow_timer timer, uint64_t now_us)
{
	if (flow->backoff < BACKOFF_MAX)
		flow->backoff++;
	timer_start(flow, timer, now_us);
}

static void retransmit(struct flow *flow, uint64_t now_us)
{
	if (flow_synchronized(flow)) {
		congestion_timeout(flow);
		// Everything unacknowledged counts as lost. When repeating the first segment did
		// not help, the peer may have discarded what it reported (RFC 2018 section 8).
		if (flow->scoreboard != NULL)
			scoreboard_lose_all(flow, flow->backoff > 0);
		// Without reports: begin again at snd_una; ACKs for what did arrive move snd_nxt
		// on.
		else
			flow->snd_nxt = flow->snd_una;
	} else {
		flow->flags |= FLOW_SEND_SYN | FLOW_SYN_LOST;
		flow->flags &= ~FLOW_TIMING; // Karn: the answer may be to either SYN
	}
	back_off(flow, TIMER_RETRANSMIT, now_us);
}

void tcp_timeout(struct tcp *tcp, struct flow *flow, uint64_t now_us, unsigned *events)
{
	(void)tcp;
	*events = 0;
	if (now_us >= flow->delayed_ack_at) {
		flow->delayed_ack_at = FLOW_NEVER;
		flow->flags |= FLOW_ACK_NOW;
	}
	if (now_us < flow->timer_at)
		return;

	uint64_t limit_us = flow_synchronized(flow) ? GIVE_UP_US : GIVE_UP_SYN_US;
	if (flow->timer == TIMER_KEEPALIVE)
		limit_us = (KEEPALIVES + 1) * keepalive_us(flow);
	if (flow->timer == TIMER_FIN_WAIT_2 && flow->unread.length > 0) {
		// The peer may wait for a window: the silence is the application's.
		timer_start(flow, TIMER_FIN_WAIT_2, now_us);
	} else if (flow->timer == TIMER_FIN_WAIT_2 || now_us - flow->progress_at >= limit_us) {
		give_up(flow, events);
	} else if (flow->timer == TIMER_RETRANSMIT) {
		retransmit(flow, now_us);
	} else if (flow->timer == TIMER_REORDERING) {
		timer_start(flow, TIMER_RETRANSMIT, now_us);
		if (rack_detect(flow, now_us))
			congestion_lost(flow);
	} else if (flow->timer == TIMER_TAIL) {
		rack_probe(flow);
		timer_start(flow, TIMER_RETRANSMIT, now_us);
	} else if (flow->timer == TIMER_KEEPALIVE) {
		flow->flags |= FLOW_PROBE;
		timer_start(flow, TIMER_KEEPALIVE, now_us);
	} else {
		flow->flags |= FLOW_PROBE;
		back_off(flow, TIMER_PERSIST, now_us);
	}
}
