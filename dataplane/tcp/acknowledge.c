// SPDX-License-Identifier: BSD-3-Clause
//
// What the peer says about our bytes: acknowledgment number, SACK blocks and window of a segment
// that was found acceptable (RFC 9293 3.10.7.4, fifth). Frees what is acknowledged, samples the
// round trip, tells congestion control, keeps the retransmission timer (RFC 6298 section 5).
// Receiving is elsewhere.
#include "dataplane/tcp/flow.h"

#define ECHO_MAX_MS 120000u // an older echo is nonsense: we gave up before

bool acknowledge_plausible(const struct flow *flow, uint32_t number)
{
	return !seq_after(number, flow->snd_max) &&
	       !seq_before(number, flow->snd_una - flow->snd_wnd_max);
}

static void sample_round_trip(struct flow *flow, const struct acknowledgment *ack,
			      const struct scoreboard_news *news, uint64_t now_us)
{
	if (news->rtt_us > 0) {
		flow->flags &= ~FLOW_TIMING;
		congestion_rtt_sample(flow, news->rtt_us);
	} else if ((flow->flags & FLOW_TIMING) && !seq_before(ack->number, flow->timed_end)) {
		flow->flags &= ~FLOW_TIMING;
		congestion_rtt_sample(flow, (uint32_t)now_us - flow->timed_start_us);
	} else if (flow->flags & FLOW_TIMESTAMPS) {
		uint32_t rtt_ms = flow_ts_now(flow, now_us) - ack->echo;
		// An echo of what we never sent: a time in the future or long ago.
		if (ack->has_echo && rtt_ms <= ECHO_MAX_MS)
			congestion_rtt_sample(flow, rtt_ms * 1000);
	}
}

static void fin_acknowledged(struct flow *flow, uint64_t now_us, unsigned *events)
{
	flow->flags |= FLOW_FIN_ACKED;
	flow_step(flow, STEP_FIN_ACKED);
	if (flow->state == FLOW_FIN_WAIT_2)
		timer_start(flow, TIMER_FIN_WAIT_2, now_us);
	else
		*events |= TCP_EVENT_CLOSED;
}

// The ACK number moves snd_una.
static void advance(struct tcp *tcp, struct flow *flow, const struct acknowledgment *ack,
		    struct scoreboard_news *news, uint64_t now_us)
{
	uint32_t acked = ack->number - flow->snd_una;
	uint32_t in_flight = flow->snd_nxt - flow->snd_una;
	uint32_t bytes = min_u32(acked, flow->send.length);

	chunk_queue_drop(&flow->send, tcp->settings.chunks, bytes);
	flow->previous_una = flow->snd_una;
	flow->snd_una = ack->number;
	if (seq_before(flow->snd_nxt, flow->snd_una))
		flow->snd_nxt = flow->snd_una; // it had gone back, but this much had arrived
	flow->flags &= ~FLOW_RETRANSMIT;
	congestion_acknowledged(flow, acked, in_flight);
	if (flow->scoreboard != NULL)
		scoreboard_acknowledged(flow, now_us, news);
	sample_round_trip(flow, ack, news, now_us);
	timer_progress(flow, now_us);
}

// What the news mean to the rest of the flight. They were taken, the scoreboard is as new.
static void conclude(struct tcp *tcp, struct flow *flow, const struct scoreboard_news *news,
		     uint64_t now_us)
{
	congestion_delivered(flow, news, now_us);
	if (rack_heard(flow, news))
		congestion_repaired(flow);
	if (rack_detect(flow, now_us))
		congestion_lost(flow);
	if (flow->timer == TIMER_TAIL && rack_probe_us(flow) == 0)
		timer_start(flow, TIMER_RETRANSMIT, now_us);
	scoreboard_settle(flow, tcp->settings.chunks);
}

// RFC 5681 section 2. Answers to window probes look the same but speak of the window.
static bool is_duplicate(const struct flow *flow, const struct acknowledgment *ack)
{
	return ack->number == flow->snd_una && !ack->occupies && ack->window == flow->snd_wnd &&
	       flow->snd_nxt != flow->snd_una && flow->timer == TIMER_RETRANSMIT;
}

// Is this window newer than the one we know? RFC 9293 asks for the newest sequence number, then the
// newest ACK. But an ACK that advances must bring its window along whatever its sequence number, or
// the known one would reach further than the peer ever offered. Of two that are equal in both the
// larger is newer, for a right edge does not move back: but after a time-out nothing old is under
// way, and a smaller one means that it did (RFC 9293 MUST-34).
static bool window_is_newer(const struct flow *flow, const struct acknowledgment *ack)
{
	if (ack->number != flow->snd_una)
		return seq_after(ack->number, flow->snd_una);
	return seq_after(ack->sequence, flow->snd_wl1) ||
	       (ack->sequence == flow->snd_wl1 &&
		(ack->window > flow->snd_wnd || flow->backoff > 0));
}

void acknowledge(struct tcp *tcp, struct flow *flow, const struct acknowledgment *ack,
		 uint64_t now_us, unsigned *events)
{
	bool new_window = window_is_newer(flow, ack);

	bool duplicate = is_duplicate(flow, ack);
	bool advances = seq_after(ack->number, flow->snd_una);

	uint32_t queued = flow->send.length, old_una = flow->snd_una;
	struct scoreboard_news news = {0};

	if (advances)
		advance(tcp, flow, ack, &news, now_us);
	if (flow->scoreboard != NULL) {
		scoreboard_report(flow, &ack->sack, now_us, &news);
		conclude(tcp, flow, &news, now_us);
		// A peer with SACK that has nothing to report received something twice, no more.
	} else if (duplicate && (!(flow->flags & FLOW_SACK) || ack->sack.count > 0)) {
		congestion_duplicate(flow);
	}
	if (advances && queued > 0)
		*events |= TCP_EVENT_WRITABLE;
	if (flow->snd_una - old_una > queued) // beyond the bytes there is only the FIN
		fin_acknowledged(flow, now_us, events);
	// A closed window may stay closed as long as probes are answered (RFC 9293 3.8.6.1).
	if (flow->timer == TIMER_PERSIST)
		flow->progress_at = now_us;
	if (new_window) {
		flow->snd_wnd = ack->window;
		flow->snd_wnd_max = max_u32(flow->snd_wnd_max, ack->window);
		flow->snd_wl1 = ack->sequence;
	}
}
