// SPDX-License-Identifier: BSD-3-Clause
//
// A received segment against its flow: RFC 9293 3.10.7 in its order, hardened after RFC 5961 (blind
// RST, SYN and ACK) and RFC 7323 section 5 (PAWS). Decides whether the segment counts and hands its
// parts on: acknowledge.c (number, window), receive.c (payload, FIN). Segments without a flow are
// the gate's and time_wait.c's. Sends nothing: answers are flags that segment_out reads.
#include "dataplane/tcp/flow.h"

#include <assert.h>

#define CHALLENGES_PER_SECOND 5
#define TS_RECENT_VALID_S     (24u * 24 * 3600) // RFC 7323 5.5: then the clock may have wrapped
#define SYN_HURRIES_MAX       3

// The largest window that there is (RFC 7323 section 2.3).
#define REPEATED_REACH (1u << 30)

// One segment being judged; cut to the window on the way.
struct arrival {
	const struct view *view;
	struct tcp_options options;
	uint32_t sequence;
	struct slice payload;
	bool fin;
};

// Counted for each flow alone: a budget that flows share would tell an outsider, who sees how many
// of his own answers are missing, that another flow exists (the flaw of RFC 5961 section 7).
static bool may_challenge(struct flow *flow, uint64_t now_us)
{
	uint16_t second = (uint16_t)(now_us >> 20);

	if (flow->challenge_second != second) {
		flow->challenge_second = second;
		flow->challenge_count = 0;
	}
	if (flow->challenge_count == CHALLENGES_PER_SECOND)
		return false;
	flow->challenge_count++;
	return true;
}

static void challenge(struct flow *flow, uint64_t now_us)
{
	if (may_challenge(flow, now_us))
		flow->flags |= FLOW_ACK_NOW;
}

// An unacceptable segment is answered with an ACK. One that occupies sequence numbers is answered
// always: our ACK of it may have been lost. Others are bounded, or two confused ends would
// acknowledge each other for ever.
static void answer_unacceptable(struct flow *flow, const struct arrival *arrival, uint64_t now_us)
{
	if (arrival->payload.length > 0 || arrival->fin)
		flow->flags |= FLOW_ACK_NOW;
	else
		challenge(flow, now_us);
}

// SYN-SENT got an ACK of something else: the peer still holds a connection from before a restart of
// ours. RST ends that one, and the SYN follows at once instead of after its timer.
static void refuse_old_connection(struct flow *flow, uint32_t acknowledgment, uint64_t now_us)
{
	if (!may_challenge(flow, now_us))
		return;
	flow->flags |= FLOW_SEND_RESET;
	flow->reset_sequence = acknowledgment;
	if (flow->state != FLOW_SYN_SENT || flow->hurries == SYN_HURRIES_MAX)
		return;
	flow->hurries++;
	flow->flags |= FLOW_SEND_SYN;
	flow->flags &= ~FLOW_TIMING; // Karn: the answer may be to either SYN
}

static void reset_by_peer(struct flow *flow, unsigned *events)
{
	flow_step(flow, STEP_END);
	timer_stop(flow);
	flow->delayed_ack_at = FLOW_NEVER;
	*events |= TCP_EVENT_RESET;
}

static uint32_t scaled_window(const struct flow *flow, const struct view *view)
{
	// The window of a SYN is never scaled (RFC 7323 2.2).
	return view->flags & TCP_SYN ? view->window : (uint32_t)view->window << flow->send_scale;
}

// Our SYN is acknowledged, theirs is known.
static void establish(struct flow *flow, const struct arrival *arrival, uint64_t now_us,
		      unsigned *events)
{
	const struct view *view = arrival->view;

	if (flow->flags & FLOW_TIMING)
		congestion_rtt_sample(flow, (uint32_t)now_us - flow->timed_start_us);
	flow->flags &= ~(FLOW_TIMING | FLOW_SEND_SYN);
	flow->snd_una = flow->iss + 1;
	flow->snd_nxt = flow->snd_una;
	flow->snd_wnd = scaled_window(flow, view);
	flow->snd_wnd_max = flow->snd_wnd;
	flow->snd_wl1 = view->sequence;
	flow->backoff = 0;
	timer_stop(flow);
	flow_establish(flow, STEP_ESTABLISH);
	*events |= TCP_EVENT_ESTABLISHED;
}

static enum reason in_syn_sent(struct tcp *tcp, struct flow *flow, const struct arrival *arrival,
			       uint64_t now_us, unsigned *events)
{
	const struct view *view = arrival->view;
	bool acknowledges = view->flags & TCP_ACK;

	if (acknowledges && (!seq_after(view->acknowledgment, flow->iss) ||
			     seq_after(view->acknowledgment, flow->snd_max))) {
		if (!(view->flags & TCP_RST))
			refuse_old_connection(flow, view->acknowledgment, now_us);
		return REASON_tcp_ack_unacceptable;
	}
	if (view->flags & TCP_RST) {
		// Only who saw our SYN can refuse it.
		if (!acknowledges)
			return REASON_tcp_state;
		reset_by_peer(flow, events);
		return REASON_NONE;
	}
	if (!(view->flags & TCP_SYN))
		return REASON_tcp_state;

	flow->irs = view->sequence;
	flow->rcv_nxt = flow->irs + 1;
	flow_apply_options(tcp, flow, &arrival->options, now_us);
	if (acknowledges) {
		establish(flow, arrival, now_us, events);
		flow->flags |= FLOW_ACK_NOW;
	} else { // simultaneous open; our SYN becomes a SYN-ACK
		flow_step(flow, STEP_PEER_SYN);
		flow->flags |= FLOW_SEND_SYN;
	}
	return REASON_NONE;
}

static enum reason judge_reset(struct flow *flow, const struct arrival *arrival, uint64_t now_us,
			       unsigned *events)
{
	if (flow->state == FLOW_TIME_WAIT)
		return REASON_time_wait; // RFC 1337
	if (arrival->sequence == flow->rcv_nxt) {
		reset_by_peer(flow, events);
		return REASON_NONE;
	}
	if (seq_before(arrival->sequence, flow->rcv_nxt) ||
	    !seq_before(arrival->sequence, flow->rcv_adv))
		return REASON_tcp_unacceptable;
	// Somewhere in the window: a guess, or a genuine RST after a lost segment. The peer's
	// answer to a challenge will be exact (RFC 5961 3.2).
	challenge(flow, now_us);
	return REASON_tcp_reset_challenged;
}

// Old duplicates from before the sequence numbers wrapped carry old timestamps.
static bool timestamps_acceptable(const struct flow *flow, const struct arrival *arrival,
				  uint64_t now_us)
{
	uint32_t age_s = (uint32_t)(now_us / 1000000) - flow->ts_recent_s;

	return !seq_before(arrival->options.timestamp_value, flow->ts_recent) ||
	       age_s > TS_RECENT_VALID_S;
}

// Bytes below rcv_nxt came before: the next segment says so, and the peer learns that it repeated
// them for nothing (RFC 2883). Bytes that came twice beyond a gap are not told apart. What lies
// further back than any window reaches is nothing that came lately: reported, it would soon look as
// if it were still to come.
static void note_repeated(struct flow *flow, const struct arrival *arrival)
{
	uint32_t end = arrival->sequence + (uint32_t)arrival->payload.length;

	if (seq_after(end, flow->rcv_nxt))
		end = flow->rcv_nxt;
	if (flow->rcv_nxt - arrival->sequence > REPEATED_REACH)
		return;
	if ((flow->flags & FLOW_SACK) && seq_before(arrival->sequence, end))
		flow->repeated = (struct sack_block){arrival->sequence, end};
}

// RFC 9293 3.4's test; cuts the segment to the window. False when nothing of it is acceptable.
static bool fit_window(struct flow *flow, struct arrival *arrival)
{
	uint32_t length = (uint32_t)arrival->payload.length + arrival->fin;

	// At the right edge too: a peer that filled our window sends its ACKs from there.
	if (length == 0)
		return !seq_before(arrival->sequence, flow->rcv_nxt) &&
		       !seq_after(arrival->sequence, flow->rcv_adv);
	note_repeated(flow, arrival);
	if (!seq_after(arrival->sequence + length, flow->rcv_nxt))
		return false; // received before
	if (seq_before(arrival->sequence, flow->rcv_nxt)) {
		uint32_t old = flow->rcv_nxt - arrival->sequence;
		arrival->payload = slice_from(arrival->payload, old);
		arrival->sequence = flow->rcv_nxt;
	}
	if (seq_after(arrival->sequence, flow->rcv_adv))
		return false;
	uint32_t room = flow->rcv_adv - arrival->sequence;
	if (arrival->payload.length > room) {
		// Of a window probe only the ACK is taken, and it is answered.
		if (room == 0 && arrival->sequence != flow->rcv_nxt)
			return false;
		arrival->payload = slice_first(arrival->payload, room);
		arrival->fin = false;
		flow->flags |= FLOW_ACK_NOW;
	}
	return true;
}

// Everything that can speak against a segment of a connection whose peer's SYN we know.
static enum reason judge(struct flow *flow, struct arrival *arrival, uint64_t now_us,
			 unsigned *events)
{
	const struct view *view = arrival->view;

	if (flow->state == FLOW_SYN_RECEIVED && (view->flags & TCP_SYN) &&
	    (view->flags & TCP_ACK) && view->sequence == flow->irs)
		arrival->sequence++; // the SYN again, with the ACK of ours: simultaneous open
	else if (view->flags & TCP_SYN) {
		challenge(flow, now_us); // a restarted peer answers with an exact RST
		return REASON_tcp_syn_challenged;
	}
	if (view->flags & TCP_RST)
		return judge_reset(flow, arrival, now_us, events);
	if (flow->flags & FLOW_TIMESTAMPS) {
		if (!arrival->options.timestamps)
			return REASON_tcp_paws; // RFC 7323 3.2: silently
		if (!timestamps_acceptable(flow, arrival, now_us)) {
			answer_unacceptable(flow, arrival, now_us);
			return REASON_tcp_paws;
		}
	}
	if (!(view->flags & TCP_ACK))
		return REASON_tcp_state;
	if (!fit_window(flow, arrival)) {
		answer_unacceptable(flow, arrival, now_us);
		return REASON_tcp_unacceptable;
	}
	return REASON_NONE;
}

// Only what begins at or before the last ACK is the value to echo (RFC 7323 4.3). Of a segment
// whose ACK is plausible, or a blind one that hits the window would set PAWS's clock ahead, and
// everything that the peer says afterwards would be old.
static void take_timestamp(struct flow *flow, const struct arrival *arrival, uint64_t now_us)
{
	if (!(flow->flags & FLOW_TIMESTAMPS) ||
	    seq_after(arrival->view->sequence, flow->last_ack_sent))
		return;
	flow->ts_recent = arrival->options.timestamp_value;
	flow->ts_recent_s = (uint32_t)(now_us / 1000000);
}

static enum reason in_synchronized(struct tcp *tcp, struct flow *flow, struct arrival *arrival,
				   uint64_t now_us, unsigned *events)
{
	const struct view *view = arrival->view;
	enum reason reason = judge(flow, arrival, now_us, events);

	if (reason != REASON_NONE || flow->state == FLOW_CLOSED)
		return reason;
	if (flow->state == FLOW_SYN_RECEIVED) {
		if (!seq_after(view->acknowledgment, flow->iss) ||
		    seq_after(view->acknowledgment, flow->snd_max)) {
			refuse_old_connection(flow, view->acknowledgment, now_us);
			return REASON_tcp_ack_unacceptable;
		}
		establish(flow, arrival, now_us, events);
	}
	if (!acknowledge_plausible(flow, view->acknowledgment)) {
		challenge(flow, now_us);
		return REASON_tcp_ack_unacceptable;
	}
	take_timestamp(flow, arrival, now_us);
	struct acknowledgment ack = {
		.sequence = arrival->sequence,
		.number = view->acknowledgment,
		.window = scaled_window(flow, view),
		.occupies = view->payload.length > 0 || (view->flags & TCP_FIN),
		.has_echo = arrival->options.timestamps,
		.echo = arrival->options.timestamp_echo,
	};
	if (flow->flags & FLOW_SACK)
		options_parse_sack(view->options, &ack.sack);
	acknowledge(tcp, flow, &ack, now_us, events);
	timer_heard(flow, now_us);
	if (!flow_takes_data(flow) || (arrival->payload.length == 0 && !arrival->fin))
		return REASON_NONE;
	return receive_segment(tcp, flow, arrival->sequence, arrival->payload, arrival->fin,
			       events);
}

enum reason tcp_input(struct tcp *tcp, struct flow *flow, const struct view *view, uint64_t now_us,
		      unsigned *events)
{
	struct arrival arrival = {
		.view = view,
		.sequence = view->sequence,
		.payload = view->payload,
		.fin = view->flags & TCP_FIN,
	};

	assert(flow->front.length == 0); // the last segment was settled
	*events = 0;
	if (flow->state == FLOW_CLOSED)
		return REASON_tcp_state;
	if (!options_parse(view->options, view->flags & TCP_SYN, &arrival.options))
		return REASON_tcp_options;
	if (flow->state == FLOW_SYN_SENT)
		return in_syn_sent(tcp, flow, &arrival, now_us, events);
	return in_synchronized(tcp, flow, &arrival, now_us, events);
}
