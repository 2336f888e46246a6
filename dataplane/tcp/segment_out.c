// SPDX-License-Identifier: BSD-3-Clause
//
// What may be sent now, one segment a call: repairs before new bytes, bytes before bare ACKs.
// Keeps SND.NXT, the silly window rules of the sender (RFC 9293 3.8.6.2.1) and the choice between
// retransmission and persist timer. Bytes stay in the send queue until acknowledged; a segment only
// names them. There is no Nagle delay: the caller queues all of a loop turn before it asks.
#include "dataplane/tcp/flow.h"

static void fill_options(const struct flow *flow, uint64_t now_us, struct segment *segment)
{
	struct tcp_options options = {
		.window_scale = TCP_NO_WINDOW_SCALE,
		.timestamps = true,
		.timestamp_value = flow_ts_now(flow, now_us),
		.timestamp_echo = flow->ts_recent,
	};
	struct sack_blocks blocks;

	if (flow->flags & FLOW_TIMESTAMPS)
		segment->options_length = options_write(&options, segment->options);
	receive_sack(flow, &blocks);
	segment->options_length =
		options_write_sack(&blocks, segment->options, segment->options_length);
}

// Payload bytes of a full segment now: SACK blocks take their place from it (RFC 6691).
static uint32_t full_segment(const struct flow *flow)
{
	struct sack_blocks blocks;

	receive_sack(flow, &blocks);
	return flow->mss - options_sack_bytes(blocks.count);
}

// Any segment but a SYN or RST. Each carries the newest ACK and window, so none is owed afterwards.
static void fill(const struct tcp *tcp, struct flow *flow, uint64_t now_us, bool keep_edge,
		 struct segment *segment)
{
	*segment = (struct segment){
		.tuple = flow->tuple,
		.sequence = flow_bare_sequence(flow),
		.acknowledgment = flow->rcv_nxt,
		.window = receive_window(tcp, flow, keep_edge),
		.flags = TCP_ACK,
	};
	fill_options(flow, now_us, segment);
	flow->repeated = (struct sack_block){0}; // told once (RFC 2883 section 4)
	flow->last_ack_sent = flow->rcv_nxt;
	flow->ack_pending = 0;
	flow->delayed_ack_at = FLOW_NEVER;
	flow->flags &= ~FLOW_ACK_NOW;
}

static void fill_bytes(struct flow *flow, uint32_t offset, uint32_t length, uint64_t now_us,
		       struct segment *segment)
{
	segment->sequence = flow->snd_una + offset;
	if (length > 0) {
		segment->payload = &flow->send;
		segment->payload_offset = offset;
		segment->payload_length = (uint16_t)length;
		// Everything that there is: let the peer hand it to its application.
		if (offset + length == flow->send.length)
			segment->flags |= TCP_PSH;
	}
	flow->last_send_ms = (uint32_t)(now_us / 1000);
}

static bool output_reset(struct flow *flow, struct segment *segment)
{
	flow->flags &= ~FLOW_SEND_RESET;
	*segment = (struct segment){
		.tuple = flow->tuple,
		.sequence = flow->reset_sequence,
		.flags = TCP_RST,
	};
	return true;
}

// SYN, or SYN-ACK after a simultaneous open: then only what the peer's SYN offered too.
static bool output_syn(struct tcp *tcp, struct flow *flow, uint64_t now_us, struct segment *segment)
{
	bool answers = flow->state == FLOW_SYN_RECEIVED;
	bool first = flow->snd_max == flow->iss;

	if (!(flow->flags & FLOW_SEND_SYN))
		return false;
	flow->flags &= ~FLOW_SEND_SYN;
	*segment = (struct segment){
		.tuple = flow->tuple,
		.sequence = flow->iss,
		.acknowledgment = answers ? flow->rcv_nxt : 0,
		.window = (uint16_t)min_u32(tcp->settings.receive_buffer, UINT16_MAX),
		.flags = answers ? TCP_SYN | TCP_ACK : TCP_SYN,
	};
	struct tcp_options options = {
		.mss = flow->our_mss,
		.window_scale = !answers || (flow->flags & FLOW_SCALED) ? tcp->window_scale
									: TCP_NO_WINDOW_SCALE,
		.sack_permitted = !answers || (flow->flags & FLOW_SACK),
		.timestamps = !answers || (flow->flags & FLOW_TIMESTAMPS),
		.timestamp_value = flow_ts_now(flow, now_us),
		.timestamp_echo = answers ? flow->ts_recent : 0,
	};
	segment->options_length = options_write(&options, segment->options);
	if (first) {
		flow->snd_max = flow->snd_nxt = flow->iss + 1;
		flow->flags |= FLOW_TIMING;
		flow->timed_start_us = (uint32_t)now_us;
	}
	if (answers) {
		flow->last_ack_sent = flow->rcv_nxt;
		flow->flags &= ~FLOW_ACK_NOW;
	}
	if (flow->timer == TIMER_NONE)
		timer_start(flow, TIMER_RETRANSMIT, now_us);
	return true;
}

// Queued bytes and FIN beyond snd_nxt.
struct unsent {
	uint32_t offset; // of the first one in the queue
	uint32_t bytes;
	bool fin;
};

static struct unsent unsent_of(const struct flow *flow)
{
	uint32_t offset = flow->snd_nxt - flow->snd_una;
	bool fin = (flow->flags & (FLOW_CLOSE_WANTED | FLOW_FIN_ACKED)) == FLOW_CLOSE_WANTED;

	if (!flow_sends(flow) || offset > flow->send.length)
		return (struct unsent){offset, 0, false};
	return (struct unsent){offset, flow->send.length - offset, fin};
}

// Bytes of one segment that the windows and the silly window rules let go; 0 = none yet.
static uint32_t sendable(const struct flow *flow, const struct unsent *unsent)
{
	uint32_t window = flow->snd_wnd > unsent->offset ? flow->snd_wnd - unsent->offset : 0;
	uint32_t usable = min_u32(congestion_room(flow), window);
	uint32_t full = full_segment(flow);
	uint32_t length = min_u32(min_u32(unsent->bytes, usable), full);

	// What was sent before goes out again as small as it was: it must not wait for the persist
	// timer, which neither backs off nor gives up while the window is open.
	if (seq_before(flow->snd_nxt, flow->snd_max) || length == full || length == unsent->bytes ||
	    length >= flow->snd_wnd_max / 2)
		return length;
	return 0; // a fragment: wait for more room; the persist timer ends a wait with no ACK due
}

// Counts bytes (and FIN) at snd_nxt as sent.
static void count_sent(const struct tcp *tcp, struct flow *flow, uint32_t length, uint64_t now_us)
{
	bool is_new = flow->snd_nxt == flow->snd_max;

	scoreboard_sent(flow, tcp->settings.chunks, flow->snd_nxt + length, now_us);
	flow->snd_nxt += length;
	if (seq_after(flow->snd_nxt, flow->snd_max))
		flow->snd_max = flow->snd_nxt;
	// One segment at a time is timed, never a repeated one (Karn): timestamps have a coarser
	// grain.
	if (is_new && !(flow->flags & FLOW_TIMING)) {
		flow->flags |= FLOW_TIMING;
		flow->timed_end = flow->snd_nxt;
		flow->timed_start_us = (uint32_t)now_us;
	}
	flow->flags &= ~FLOW_PROBE;
	// From the persist timer on the peer's silence and the back-off go on: the segment may be a
	// probe.
	if (!timer_waits(flow) || rack_probe_us(flow) > 0)
		timer_start_flight(flow, now_us);
}

static bool output_new(struct tcp *tcp, struct flow *flow, uint64_t now_us, struct segment *segment)
{
	struct unsent unsent = unsent_of(flow);

	if (unsent.bytes == 0 && !unsent.fin)
		return false;
	uint32_t idle_ms = (uint32_t)(now_us / 1000) - flow->last_send_ms;
	if (flow->snd_una == flow->snd_max && idle_ms > flow->rto_ms)
		congestion_restart(flow, idle_ms);

	uint32_t length = sendable(flow, &unsent);
	if (length == 0 && unsent.bytes > 0)
		return false;
	bool fin = unsent.fin && length == unsent.bytes;
	fill(tcp, flow, now_us, false, segment);
	fill_bytes(flow, unsent.offset, length, now_us, segment);
	if (fin)
		segment->flags |= TCP_FIN;
	if (flow->timer == TIMER_PERSIST)
		flow->backoff = 0; // that of the probes: the window opened
	count_sent(tcp, flow, length + fin, now_us);
	return true;
}

// What was sent before, once more: the first segment of a run that is not empty; snd_nxt stays.
// Returns where it ends.
static uint32_t repeat(struct tcp *tcp, struct flow *flow, const struct sack_block *run,
		       uint64_t now_us, struct segment *segment)
{
	uint32_t offset = run->start - flow->snd_una;
	uint32_t queued = flow->send.length - min_u32(offset, flow->send.length);
	uint32_t length = min_u32(min_u32(run->end - run->start, queued), full_segment(flow));
	// Beyond the bytes there is only the FIN.
	bool fin = run->end - run->start > queued && length == queued;

	flow->flags &= ~FLOW_TIMING;
	fill(tcp, flow, now_us, false, segment);
	fill_bytes(flow, offset, length, now_us, segment);
	if (fin)
		segment->flags |= TCP_FIN;
	return run->start + length + fin;
}

// The segment at snd_una, of a flow without a scoreboard.
static bool output_again(struct tcp *tcp, struct flow *flow, uint64_t now_us,
			 struct segment *segment)
{
	struct sack_block run = {flow->snd_una, flow->snd_max};

	flow->flags &= ~FLOW_RETRANSMIT;
	if (run.start == run.end)
		return false;
	repeat(tcp, flow, &run, now_us, segment);
	return true;
}

// Bytes that the scoreboard says are lost.
static bool output_lost(struct tcp *tcp, struct flow *flow, uint64_t now_us,
			struct segment *segment)
{
	struct sack_block lost = scoreboard_lost(flow);

	if (lost.start == lost.end)
		return false;
	if (!(flow->flags & FLOW_RETRANSMIT) && congestion_room(flow) < flow->mss)
		return false;
	flow->flags &= ~FLOW_RETRANSMIT;
	uint32_t end = repeat(tcp, flow, &lost, now_us, segment);
	scoreboard_repeated(flow, lost.start, end, now_us);
	if (lost.start == flow->snd_una) // its answer takes a round trip from now
		timer_start(flow, TIMER_RETRANSMIT, now_us);
	return true;
}

// The tail loss probe (RFC 8985 7.3): a new segment if there is one and the peer has room for it,
// else the last one again.
static bool output_tail(struct tcp *tcp, struct flow *flow, uint64_t now_us,
			struct segment *segment)
{
	if (!rack_probe_due(flow))
		return false;
	struct unsent unsent = unsent_of(flow);
	uint32_t full = full_segment(flow);
	uint32_t length = min_u32(unsent.bytes, full);
	if (length > 0 && unsent.offset + length <= flow->snd_wnd) {
		fill(tcp, flow, now_us, false, segment);
		fill_bytes(flow, unsent.offset, length, now_us, segment);
		count_sent(tcp, flow, length, now_us);
		rack_probed(flow, false);
	} else {
		struct sack_block last = scoreboard_last(flow);
		if (last.start == last.end)
			return false;
		if (last.end - last.start > full)
			last.start = last.end - full;
		repeat(tcp, flow, &last, now_us, segment);
		scoreboard_repeated(flow, last.start, last.end, now_us);
		rack_probed(flow, true);
	}
	timer_start(flow, TIMER_RETRANSMIT, now_us);
	return true;
}

// Despite the window: what fits into it, or one byte beyond a closed one (RFC 9293 3.8.6.1). That
// byte is not counted in snd_nxt: it is sent again as soon as the window opens. A keep-alive is the
// ACK alone (RFC 9293 3.8.4).
static bool output_probe(struct tcp *tcp, struct flow *flow, uint64_t now_us,
			 struct segment *segment)
{
	struct unsent unsent = unsent_of(flow);

	flow->flags &= ~FLOW_PROBE;
	if (flow->timer == TIMER_KEEPALIVE) { // left of the peer's window: it must be answered
		fill(tcp, flow, now_us, false, segment);
		segment->sequence = flow->snd_una - 1;
		return true;
	}
	if (unsent.bytes == 0 || unsent.offset != 0)
		return false;
	uint32_t length = min_u32(min_u32(unsent.bytes, flow->snd_wnd), full_segment(flow));
	fill(tcp, flow, now_us, false, segment);
	fill_bytes(flow, 0, max_u32(length, 1), now_us, segment);
	if (length > 0)
		count_sent(tcp, flow, length, now_us);
	else if (flow->snd_max == flow->snd_una)
		flow->snd_max++;
	return true;
}

// Nothing more goes out now. Bytes that wait for the window while nothing is in flight would wait
// for ever if the update got lost; without such bytes only the keep-alive is left to run.
static void watch_window(struct flow *flow, uint64_t now_us)
{
	struct unsent unsent = unsent_of(flow);

	if (flow->timer == TIMER_NONE && flow->keepalive_ms > 0)
		timer_start(flow, TIMER_KEEPALIVE, now_us);
	if (unsent.bytes == 0 || unsent.offset != 0 || flow->timer == TIMER_PERSIST)
		return;
	if (flow->timer == TIMER_NONE || flow->timer == TIMER_KEEPALIVE)
		flow->backoff = 0;
	timer_start(flow, TIMER_PERSIST, now_us);
}

bool tcp_output(struct tcp *tcp, struct flow *flow, uint64_t now_us, struct segment *segment)
{
	if (flow->state == FLOW_CLOSED)
		return false;
	if (flow->flags & FLOW_SEND_RESET)
		return output_reset(flow, segment);
	if (flow->state == FLOW_SYN_SENT)
		return output_syn(tcp, flow, now_us, segment);
	if (flow->state == FLOW_SYN_RECEIVED && output_syn(tcp, flow, now_us, segment))
		return true;
	if (flow->duplicates_owed > 0) { // looks like the last ACK, or it counts for nothing
		flow->duplicates_owed--;
		fill(tcp, flow, now_us, true, segment);
		return true;
	}
	if (flow->scoreboard == NULL && (flow->flags & FLOW_RETRANSMIT) &&
	    output_again(tcp, flow, now_us, segment))
		return true;
	if (output_lost(tcp, flow, now_us, segment) || output_new(tcp, flow, now_us, segment) ||
	    output_tail(tcp, flow, now_us, segment))
		return true;
	if ((flow->flags & FLOW_PROBE) && output_probe(tcp, flow, now_us, segment))
		return true;
	if (flow->flags & FLOW_ACK_NOW) {
		fill(tcp, flow, now_us, false, segment);
		return true;
	}
	watch_window(flow, now_us);
	return false;
}
