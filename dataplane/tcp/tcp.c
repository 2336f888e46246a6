// SPDX-License-Identifier: BSD-3-Clause
//
// The endpoint's life and each flow's: create, open in both roles, queue bytes, close, abort,
// release. Owns the settings and the derived secret of initial sequence numbers. What segments and
// timers do to a flow is in segment_in, segment_out and timers.
#include "dataplane/tcp/flow.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

// RFC 6528's secret from the one key that we are given: another use must not reveal it.
static struct hash_key derive_isn_key(const struct hash_key *key)
{
	static const struct tuple nobody;
	uint64_t halves[2] = {
		hash_tuple_with(key, &nobody, 0x69736e00),
		hash_tuple_with(key, &nobody, 0x69736e01),
	};
	struct hash_key derived;

	memcpy(derived.bytes, halves, sizeof(derived.bytes));
	return derived;
}

static uint8_t scale_for(uint32_t receive_buffer)
{
	uint8_t scale = 0;

	while (scale < 14 && (receive_buffer >> scale) > UINT16_MAX)
		scale++;
	return scale;
}

struct tcp *tcp_create(const struct tcp_settings *settings)
{
	struct tcp *tcp = calloc(1, sizeof(*tcp));

	if (tcp == NULL)
		return NULL;
	tcp->settings = *settings;
	tcp->isn_key = derive_isn_key(&settings->hash_key);
	tcp->window_scale = scale_for(settings->receive_buffer);
	TAILQ_INIT(&tcp->gaps);
	if (flow_table_init(tcp) != 0)
		goto free_tcp;
	tcp->time_wait = time_wait_create(settings->time_wait_entries, &settings->hash_key);
	if (tcp->time_wait == NULL)
		goto fini_table;
	return tcp;

fini_table:
	flow_table_fini(tcp);
free_tcp:
	free(tcp);
	return NULL;
}

void tcp_destroy(struct tcp *tcp)
{
	if (tcp == NULL)
		return;
	time_wait_destroy(tcp->time_wait);
	flow_table_fini(tcp);
	free(tcp);
}

void tcp_advance(struct tcp *tcp, uint64_t now_us)
{
	time_wait_advance(tcp->time_wait, now_us);
}

// ---- Opening ---------------------------------------------------------------------------------

static struct flow *flow_new(struct tcp *tcp, const struct tuple *tuple, uint32_t iss,
			     uint16_t our_mss, uint64_t now_us)
{
	struct flow *flow = pool_get(&tcp->flows);

	if (flow == NULL)
		return NULL;
	pool_prefetch_next(&tcp->flows, sizeof(*flow));
	*flow = (struct flow){
		.tuple = *tuple,
		.our_mss = our_mss,
		.send_limit = tcp->settings.send_buffer,
		.iss = iss,
		.snd_una = iss,
		.snd_nxt = iss,
		.snd_max = iss,
		.timer_at = FLOW_NEVER,
		.delayed_ack_at = FLOW_NEVER,
		.last_send_ms = (uint32_t)(now_us / 1000),
	};
	chunk_queue_init(&flow->send);
	chunk_queue_init(&flow->unread);
	congestion_init(flow); // for the SYN's time-out
	flow_table_insert(tcp, flow);
	return flow;
}

void flow_apply_options(const struct tcp *tcp, struct flow *flow, const struct tcp_options *options,
			uint64_t now_us)
{
	uint32_t mss = options->mss;

	if (mss == 0)
		mss = address_is_ipv4(&flow->tuple.remote) ? FLOW_MSS_DEFAULT4 : FLOW_MSS_DEFAULT6;
	mss = min_u32(max_u32(mss, FLOW_MSS_MIN), flow->our_mss);
	if (options->timestamps) {
		flow->flags |= FLOW_TIMESTAMPS;
		flow->ts_recent = options->timestamp_value;
		flow->ts_recent_s = (uint32_t)(now_us / 1000000);
		mss -= FLOW_TS_BYTES; // MSS does not count options (RFC 6691)
	}
	flow->mss = (uint16_t)mss;
	if (options->sack_permitted)
		flow->flags |= FLOW_SACK;
	if (options->window_scale != TCP_NO_WINDOW_SCALE) {
		flow->flags |= FLOW_SCALED;
		flow->send_scale = options->window_scale;
		flow->receive_scale = tcp->window_scale;
	}
	// What our SYN or SYN-ACK said, unscaled.
	flow->rcv_adv = flow->rcv_nxt + min_u32(tcp->settings.receive_buffer, UINT16_MAX);
	flow->last_ack_sent = flow->rcv_nxt;
}

void flow_establish(struct flow *flow, enum flow_step step)
{
	flow_step(flow, step);
	congestion_init(flow);
	if (flow->flags & FLOW_CLOSE_WANTED)
		flow_step(flow, STEP_CLOSE);
}

struct flow *tcp_accept(struct tcp *tcp, const struct tcp_accept *accept, uint64_t now_us)
{
	struct flow *flow = flow_new(tcp, &accept->tuple, accept->our_isn, accept->our_mss, now_us);

	if (flow == NULL)
		return NULL;
	time_wait_remove(tcp->time_wait, flow);
	flow->irs = accept->peer_isn;
	flow->rcv_nxt = accept->peer_isn + 1;
	flow->ts_offset = accept->timestamp_offset;
	flow_apply_options(tcp, flow, &accept->options, now_us);
	flow->snd_una = flow->snd_nxt = flow->snd_max = accept->our_isn + 1;
	flow->snd_wnd = (uint32_t)accept->peer_window << flow->send_scale;
	flow->snd_wnd_max = flow->snd_wnd;
	flow->snd_wl1 = flow->rcv_nxt;
	flow_establish(flow, STEP_ACCEPT);
	return flow;
}

struct flow *tcp_connect(struct tcp *tcp, const struct tuple *tuple, uint16_t our_mss,
			 uint64_t now_us)
{
	uint64_t secret = hash_tuple(&tcp->isn_key, tuple);
	// RFC 6528: a clock of 4 us steps plus what nobody else can compute for this tuple.
	uint32_t iss = (uint32_t)(now_us / 4) + (uint32_t)secret;
	struct flow *flow = flow_new(tcp, tuple, iss, our_mss, now_us);

	if (flow == NULL)
		return NULL;
	// The same secret offset for each connection of the tuple: their timestamps only grow.
	flow->ts_offset = (uint32_t)(secret >> 32);
	flow_step(flow, STEP_CONNECT);
	flow->flags |= FLOW_SEND_SYN;
	return flow;
}

bool tcp_tuple_free(const struct tcp *tcp, const struct tuple *tuple)
{
	return tcp_find(tcp, tuple) == NULL && !time_wait_holds(tcp->time_wait, tuple);
}

uint8_t tcp_window_scale(const struct tcp *tcp)
{
	return tcp->window_scale;
}

void tcp_syn_ack_options(const struct tcp *tcp, const struct tcp_options *agreed, uint16_t our_mss,
			 uint32_t our_timestamp, struct segment *segment)
{
	struct tcp_options options = {
		.mss = our_mss,
		.window_scale = agreed->window_scale == TCP_NO_WINDOW_SCALE ? TCP_NO_WINDOW_SCALE
									    : tcp->window_scale,
		.sack_permitted = agreed->sack_permitted,
		.timestamps = agreed->timestamps,
		.timestamp_value = our_timestamp,
		.timestamp_echo = agreed->timestamp_value,
	};

	segment->options_length = options_write(&options, segment->options);
	segment->window = (uint16_t)min_u32(tcp->settings.receive_buffer, UINT16_MAX);
}

// ---- Sending and ending ----------------------------------------------------------------------

static bool may_queue(const struct flow *flow)
{
	return flow->state != FLOW_CLOSED && !(flow->flags & FLOW_CLOSE_WANTED);
}

size_t tcp_send_room(const struct flow *flow)
{
	if (!may_queue(flow) || flow->send.length >= flow->send_limit)
		return 0;
	return flow->send_limit - flow->send.length;
}

size_t tcp_send(struct tcp *tcp, struct flow *flow, struct slice bytes)
{
	return chunk_queue_append(&flow->send, tcp->settings.chunks,
				  slice_first(bytes, tcp_send_room(flow)));
}

void tcp_close(struct tcp *tcp, struct flow *flow)
{
	(void)tcp;
	if (!may_queue(flow))
		return;
	flow->flags |= FLOW_CLOSE_WANTED;
	if (flow_synchronized(flow)) // else as soon as it is
		flow_step(flow, STEP_CLOSE);
}

uint32_t flow_bare_sequence(const struct flow *flow)
{
	uint32_t edge = flow->snd_una + flow->snd_wnd;

	return flow_synchronized(flow) && seq_before(edge, flow->snd_max) ? edge : flow->snd_max;
}

bool tcp_abort(struct tcp *tcp, struct flow *flow, struct segment *reset)
{
	bool owed = flow_owes_reset(flow);

	(void)tcp;
	if (owed) {
		*reset = (struct segment){
			.tuple = flow->tuple,
			.sequence = flow_bare_sequence(flow),
			.acknowledgment = flow->rcv_nxt,
			.flags = TCP_RST | TCP_ACK,
		};
	}
	flow_step(flow, STEP_END);
	timer_stop(flow);
	flow->delayed_ack_at = FLOW_NEVER;
	return owed;
}

void tcp_release(struct tcp *tcp, struct flow *flow, uint64_t now_us)
{
	struct pool *pool = tcp->settings.chunks;

	if (flow->state == FLOW_TIME_WAIT)
		time_wait_insert(tcp->time_wait, flow, now_us);
	chunk_queue_clear(&flow->send, pool);
	chunk_queue_clear(&flow->unread, pool);
	out_of_order_clear(tcp, flow);
	scoreboard_clear(flow, pool);
	flow_table_remove(tcp, flow);
	pool_put(&tcp->flows, flow);
}

// ---- Looking on ------------------------------------------------------------------------------

const struct tuple *tcp_tuple(const struct flow *flow)
{
	return &flow->tuple;
}

void *tcp_user(const struct flow *flow)
{
	return flow->user;
}

void tcp_set_user(struct flow *flow, void *user)
{
	flow->user = user;
}

bool tcp_is_established(const struct flow *flow)
{
	return flow_synchronized(flow);
}

bool tcp_all_acknowledged(const struct flow *flow)
{
	bool fin_open = (flow->flags & (FLOW_CLOSE_WANTED | FLOW_FIN_ACKED)) == FLOW_CLOSE_WANTED;

	return flow->send.length == 0 && flow->snd_una == flow->snd_max && !fin_open;
}

bool tcp_all_sent(const struct flow *flow)
{
	bool fin_unsent = (flow->flags & FLOW_CLOSE_WANTED) &&
			  flow->snd_max - flow->snd_una == flow->send.length &&
			  !(flow->flags & FLOW_FIN_ACKED);

	return flow->snd_max - flow->snd_una >= flow->send.length && !fin_unsent;
}

bool tcp_holds_chunks(const struct flow *flow)
{
	return flow->send.length || flow->unread.length || flow->out_of_order || flow->scoreboard;
}

bool tcp_can_receive(const struct flow *flow)
{
	return flow->state != FLOW_CLOSED && !(flow->flags & FLOW_PEER_FIN);
}

uint32_t tcp_flows_used(const struct tcp *tcp)
{
	return pool_used(&tcp->flows);
}
