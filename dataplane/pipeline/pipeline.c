// SPDX-License-Identifier: BSD-3-Clause
//
// The story of a frame, in order: parse (net) -> verdict (gate) -> checksums -> known flow, new
// handshake or refusal (tcp) -> session (smtp) -> transaction (relay) -> frames out. A burst goes
// through the first stages together. Here every received frame gets its one disposition: accepted,
// or a reason. Does not know how frames come and go (io/), nor what a session says (client.c,
// exchange.c).

#include "dataplane/base/prefetch.h"
#include "dataplane/net/quote.h"
#include "dataplane/pipeline/worker.h"

#include <stdio.h>

#define DRAINING_LOOK_US 100000u

// How many frames ahead of its turn a frame's flow is fetched, and then what the flow belongs to.
#define FLOW_AHEAD 8
#define LEG_AHEAD  4
// How long room at a server that another worker gave back may go unnoticed.
#define OTHERS_INTERVAL_US 10000

// One burst between the stages: the TCP frames among it; after drop_all those that the gate kept.
struct burst {
	struct view views[PIPELINE_BURST];
	const struct view *tcp[PIPELINE_BURST];
	struct verdict verdicts[PIPELINE_BURST];
	struct arrival arrivals[PIPELINE_BURST]; // of those
	unsigned tcp_count;
	uint16_t port;
	struct sample sample;
	const struct view *unlisted;           // one that was dropped as no_connector, or NULL
	uint16_t dispositions[PIPELINE_BURST]; // enum reason, or CAPTURE_NOT_OURS
};

// A frame is dropped, and counted by the caller.
static inline void note_drop(struct pipeline *pipeline, struct burst *burst, unsigned index,
			     enum reason reason)
{
	burst->dispositions[index] = (uint16_t)reason;
	if (burst->sample.frames >> index & 1)
		count_offender(pipeline, &burst->views[index].source, reason, &burst->sample);
}

static void dispose(struct pipeline *pipeline, struct burst *burst, unsigned index,
		    enum reason reason)
{
	if (reason != REASON_NONE) {
		count_reason(pipeline, reason);
		note_drop(pipeline, burst, index, reason);
		return;
	}
	burst->dispositions[index] = REASON_NONE;
	pipeline->counters.ports[burst->port]->frames_accepted++;
}

static unsigned index_of(const struct burst *burst, const struct view *view)
{
	return (unsigned)(view - burst->views);
}

static void flow_input(struct pipeline *pipeline, struct flow *flow, const struct view *view,
		       enum reason *reason)
{
	struct leg *leg = tcp_user(flow);
	unsigned events = 0;

	*reason = tcp_input(pipeline->tcp, flow, view, pipeline->now.now_us, &events);
	if (*reason == REASON_NONE) {
		leg->link = view->link;
		if (view->payload.length || leg->kind == LEG_SERVER)
			net_confirm(pipeline->net, &view->source, &view->link, pipeline->now);
	}
	if (leg->kind == LEG_CLIENT)
		client_events(pipeline, (struct client *)leg, events);
	else
		server_leg_events(pipeline, (struct server_leg *)leg, events);
}

// A segment that the gate kept: checksums, then its flow, or a handshake.
static enum reason segment_input(struct pipeline *pipeline, struct burst *burst, unsigned at)
{
	struct arrival *arrival = &burst->arrivals[at];
	const struct view *view = burst->tcp[at];
	const struct verdict *verdict = &burst->verdicts[at];
	enum reason reason = packet_verify(&pipeline->ports[view->link.port], view);
	struct flow *flow;

	if (reason != REASON_NONE)
		return reason;
	flow = tcp_find_hashed(pipeline->tcp, &arrival->tuple, arrival->hash);
	if (flow && ((struct leg *)tcp_user(flow))->doomed) {
		// An earlier frame of the burst ended it: this one is the next connection's, or
		// nobody's.
		send_flush(pipeline);
		flow = tcp_find_hashed(pipeline->tcp, &arrival->tuple, arrival->hash);
	}
	if (flow)
		flow_input(pipeline, flow, view, &reason);
	else if (verdict->kind == VERDICT_CLIENT)
		reason = handshake_input(pipeline, arrival);
	else
		reason = REASON_no_flow;
	if (!flow && verdict->kind == VERDICT_SERVER)
		send_reset_for(pipeline, view);
	return reason;
}

// Refuse = reset: who may not talk is told so, unless the address is none of ours.
static void refuse(struct pipeline *pipeline, const struct view *view, enum reason reason)
{
	if (reason != REASON_ip_not_ours &&
	    packet_verify(&pipeline->ports[view->link.port], view) == REASON_NONE)
		send_reset_for(pipeline, view);
}

// What the gate drops goes first, and what it keeps moves together. Of a flood each frame is here:
// the drops of one reason are counted at once, and after the first that the log has no room for it
// is asked no more.
static void drop_all(struct pipeline *pipeline, struct burst *burst)
{
	bool reset = pipeline->policy->gate.refuse == REFUSE_RESET, log = true;
	enum reason reason = REASON_NONE;
	unsigned kept = 0, dropped = 0;

	for (unsigned i = 0; i < burst->tcp_count; i++) {
		const struct view *view = burst->tcp[i];

		if (burst->verdicts[i].kind != VERDICT_DROP) {
			burst->tcp[kept] = view;
			burst->verdicts[kept++] = burst->verdicts[i];
			continue;
		}
		if (burst->verdicts[i].reason != reason) {
			count_drops(pipeline, reason, dropped);
			reason = burst->verdicts[i].reason;
			dropped = 0;
		}
		dropped++;
		if (reason == REASON_no_connector)
			burst->unlisted = view;
		note_drop(pipeline, burst, index_of(burst, view), reason);
		log = log && log_drop(pipeline, view, reason);
		if (reset)
			refuse(pipeline, view, reason);
	}
	count_drops(pipeline, reason, dropped);
	burst->tcp_count = kept;
}

// A segment that the gate kept, of another worker's flow: it is that worker's to count.
static bool hand_over(struct pipeline *pipeline, struct burst *burst, unsigned at)
{
	const struct view *view = burst->tcp[at];
	const struct tuple *tuple = &burst->arrivals[at].tuple;
	unsigned index = index_of(burst, view);
	enum reason reason;

	if (!pipeline->spread || pipeline->handed || !others_own(pipeline, tuple))
		return false;
	reason = others_take(pipeline, tuple, view->link.port, index);
	if (reason != REASON_NONE)
		dispose(pipeline, burst, index, reason);
	else
		burst->dispositions[index] = CAPTURE_NOT_OURS;
	return true;
}

static void judge(struct pipeline *pipeline, struct burst *burst, unsigned at)
{
	const struct verdict *verdict = &burst->verdicts[at];
	enum reason reason;

	if (hand_over(pipeline, burst, at))
		return;
	if (verdict->kind == VERDICT_CLIENT) {
		pipeline->counters.connectors[verdict->connector]->frames++;
		pipeline->capture.connector = pipeline->counters.connectors[verdict->connector];
	}
	reason = segment_input(pipeline, burst, at);
	pipeline->capture.connector = NULL;
	dispose(pipeline, burst, index_of(burst, burst->tcp[at]), reason);
}

static void hash_all(struct pipeline *pipeline, struct burst *burst)
{
	const struct tuple *tuples[PIPELINE_BURST];
	uint64_t hashes[PIPELINE_BURST];

	for (unsigned i = 0; i < burst->tcp_count; i++) {
		struct arrival *arrival = &burst->arrivals[i];

		arrival->view = burst->tcp[i];
		arrival->index = index_of(burst, burst->tcp[i]);
		arrival->tuple = tcp_tuple_of(burst->tcp[i]);
		arrival->connector = burst->verdicts[i].connector;
		tuples[i] = &arrival->tuple;
	}
	tcp_hash_all(pipeline->tcp, tuples, burst->tcp_count, hashes);
	for (unsigned i = 0; i < burst->tcp_count; i++) {
		burst->arrivals[i].hash = (uint32_t)hashes[i];
		tcp_prefetch_bucket(pipeline->tcp, (uint32_t)hashes[i]);
		ban_look_ahead(pipeline, burst->tcp[i]);
	}
	handshake_draft(pipeline, burst->arrivals, burst->tcp_count);
}

// Both kinds of legs; of a client all but what it said in its EHLO.
static inline __attribute__((always_inline)) void prefetch_leg(const void *leg)
{
	size_t rest = offsetof(struct client, in_rank);

	prefetch(leg, offsetof(struct client, session.hello));
	prefetch((const uint8_t *)leg + rest, sizeof(struct client) - rest);
}

// With many sessions open nothing of the next frame's is in the cache: fetch it meanwhile.
static void look_ahead(struct pipeline *pipeline, const struct burst *burst, unsigned at)
{
	if (at + FLOW_AHEAD < burst->tcp_count)
		tcp_prefetch_flow(pipeline->tcp, burst->arrivals[at + FLOW_AHEAD].hash);
	if (at + LEG_AHEAD < burst->tcp_count) {
		const void *leg =
			tcp_likely_user(pipeline->tcp, burst->arrivals[at + LEG_AHEAD].hash);

		// Without a flow it may complete a handshake.
		if (leg)
			prefetch_leg(leg);
		else if (burst->tcp[at + LEG_AHEAD]->flags & TCP_SYN)
			half_open_prefetch_entry(pipeline->half_open,
						 burst->arrivals[at + LEG_AHEAD].hash);
		else
			half_open_prefetch_bucket(pipeline->half_open,
						  burst->arrivals[at + LEG_AHEAD].hash);
	}
}

static void judge_all(struct pipeline *pipeline, struct burst *burst)
{
	hash_all(pipeline, burst);
	for (unsigned i = 0; i < FLOW_AHEAD && i < burst->tcp_count; i++)
		tcp_prefetch_flow(pipeline->tcp, burst->arrivals[i].hash);
	for (unsigned i = 0; i < burst->tcp_count; i++) {
		look_ahead(pipeline, burst, i);
		judge(pipeline, burst, i);
	}
}

// A segment of ours was too large for a link on its way.
static enum reason path_mtu_input(struct pipeline *pipeline, const struct quote *quote)
{
	struct flow *flow = tcp_find(pipeline->tcp, &quote->tuple);
	struct leg *leg = flow ? tcp_user(flow) : NULL;
	enum reason reason = REASON_icmp_too_big_unacceptable;

	if (leg && !leg->doomed)
		reason = tcp_path_mtu(pipeline->tcp, flow, quote->sequence, quote->mtu);
	if (reason == REASON_NONE)
		send_mark_dirty(pipeline, leg);
	return reason;
}

static void link_input(struct pipeline *pipeline, struct burst *burst, unsigned index)
{
	const struct view *view = &burst->views[index];
	struct quote quote;
	uint16_t port = view->link.port;
	enum reason reason = packet_verify(&pipeline->ports[port], view);

	if (reason == REASON_NONE)
		reason = net_input(pipeline->net, view, pipeline->now, &pipeline->outbox);
	burst->dispositions[index] = CAPTURE_NOT_OURS;
	if (reason == REASON_icmp_ignored && quote_too_big(view, &quote)) {
		if (!others_own(pipeline, &quote.tuple))
			reason = path_mtu_input(pipeline, &quote);
		else if ((reason = others_take(pipeline, &quote.tuple, port, index)) == REASON_NONE)
			return;
	} else if (pipeline->handed) {
		return;
	}
	dispose(pipeline, burst, index, others_learn(pipeline, view, index, reason));
}

// Each frame with what became of it. TCP frames have their verdicts in the order of the frames.
static void capture_all(struct pipeline *pipeline, const struct burst *burst,
			const struct slice frames[], unsigned count)
{
	unsigned at = 0;

	for (unsigned i = 0; i < count; i++) {
		const struct connector_counters *connector = NULL;

		if (at < burst->tcp_count && burst->tcp[at] == &burst->views[i]) {
			if (burst->verdicts[at].kind == VERDICT_CLIENT)
				connector = pipeline->counters
						    .connectors[burst->verdicts[at].connector];
			at++;
		}
		if (burst->dispositions[i] != CAPTURE_NOT_OURS)
			capture_received(pipeline, burst->port, frames[i],
					 (enum reason)burst->dispositions[i], connector);
	}
}

// The newest policy does not list their source or their server, but they may be of a flow that an
// older one permitted: what there is of it goes on until its next MAIL, or its transaction's end.
static void spare_former(struct pipeline *pipeline, struct burst *burst)
{
	for (unsigned i = 0; i < burst->tcp_count; i++) {
		struct verdict *verdict = &burst->verdicts[i];
		struct tuple tuple = tcp_tuple_of(burst->tcp[i]);
		struct flow *flow;

		if (verdict->kind != VERDICT_DROP || verdict->reason == REASON_ip_not_ours)
			continue;
		if (others_own(pipeline, &tuple)) {
			// Its owner looks; whoever forges such segments costs it a look-up.
			if (!pipeline->handed)
				verdict->kind = VERDICT_FORMER;
			continue;
		}
		flow = tcp_find(pipeline->tcp, &tuple);
		if (flow && !((struct leg *)tcp_user(flow))->doomed)
			verdict->kind = VERDICT_FORMER;
	}
}

static void count_received(struct pipeline *pipeline, uint16_t port, const struct slice frames[],
			   unsigned count)
{
	struct port_counters *counters = pipeline->counters.ports[port];
	uint64_t bytes = 0;

	for (unsigned i = 0; i < count; i++)
		bytes += frames[i].length;
	counters->frames_in += count;
	counters->bytes_in += bytes;
}

// Views of the frames whose bits are set; what is not TCP comes to its end.
static void parse_all(struct pipeline *pipeline, struct burst *burst, const struct slice frames[],
		      uint64_t left)
{
	burst->tcp_count = 0;
	for (; left; left &= left - 1) {
		unsigned i = (unsigned)__builtin_ctzll(left);
		struct view *view = &burst->views[i];
		enum reason reason = packet_parse(&pipeline->ports[burst->port], frames[i], view);

		if (reason == REASON_NONE && view->kind == VIEW_TCP)
			burst->tcp[burst->tcp_count++] = view;
		else if (reason == REASON_NONE)
			link_input(pipeline, burst, i);
		else
			dispose(pipeline, burst, i, reason);
	}
}

// The frames whose bits are set come to their end, one after the other. sieve: it may learn.
static void judge_burst(struct pipeline *pipeline, struct burst *burst, const struct slice frames[],
			uint64_t left, bool sieve)
{
	parse_all(pipeline, burst, frames, left);
	ruleset_classify(pipeline->ruleset, burst->tcp, burst->tcp_count, burst->verdicts);
	if (generation_former_anywhere(pipeline))
		spare_former(pipeline, burst);
	drop_all(pipeline, burst);
	if (sieve && burst->unlisted)
		sieve_learn(pipeline, burst->port, burst->unlisted);
	judge_all(pipeline, burst);
}

static void burst_input(struct pipeline *pipeline, uint16_t port, const struct slice frames[],
			unsigned count)
{
	bool sieve = sieve_applies(pipeline);
	uint64_t left = count ? UINT64_MAX >> (PIPELINE_BURST - count) : 0;
	struct burst burst;

	burst.port = port;
	burst.unlisted = NULL;
	burst.sample = count_sample(pipeline, count);
	if (!pipeline->handed)
		count_received(pipeline, port, frames, count);
	if (sieve)
		left = sieve_drop(pipeline, port, frames, left, &burst.sample);
	if (left)
		judge_burst(pipeline, &burst, frames, left, sieve);
	if (pipeline->capture.on)
		capture_all(pipeline, &burst, frames, count);
	send_flush(pipeline);
}

void pipeline_input(struct pipeline *pipeline, uint16_t port, const struct slice frames[],
		    unsigned count, struct tick now, struct outbox *outbox)
{
	pipeline->now = now;
	pipeline->device = outbox;
	burst_input(pipeline, port, frames, count);
}

void pipeline_input_handed(struct pipeline *pipeline, uint16_t port, const struct slice frames[],
			   unsigned count, struct tick now, struct outbox *outbox)
{
	pipeline->now = now;
	pipeline->device = outbox;
	pipeline->handed = true;
	burst_input(pipeline, port, frames, count);
	pipeline->handed = false;
}

static void net_events(struct pipeline *pipeline)
{
	struct net_event event;
	char text[32];

	while ((event = net_take_event(pipeline->net)).reason != REASON_NONE) {
		count_reason(pipeline, event.reason);
		snprintf(text, sizeof(text), "%02x:%02x:%02x:%02x:%02x:%02x", event.mac[0],
			 event.mac[1], event.mac[2], event.mac[3], event.mac[4], event.mac[5]);
		log_write(pipeline, &(struct log_entry){.reason = event.reason,
							.source = {event.address, 0},
							.detail = slice_of_text(text)});
	}
}

static void run_timers(struct pipeline *pipeline)
{
	struct wheel_timer *timer;

	while ((timer = wheel_expire(pipeline->wheel, pipeline->now.now_us))) {
		struct leg *leg = (struct leg *)((char *)timer - offsetof(struct leg, timer));

		if (leg->doomed)
			continue;
		if (leg->kind == LEG_CLIENT)
			client_timeout(pipeline, (struct client *)leg);
		else
			server_leg_timeout(pipeline, (struct server_leg *)leg);
		send_mark_dirty(pipeline, leg);
	}
}

static void quit_idle(struct pipeline *pipeline)
{
	struct servers_connection *connection;
	uint64_t when = pipeline->draining ? UINT64_MAX : pipeline->now.now_us;

	while ((connection = servers_next_idle(pipeline->servers, when)))
		server_leg_quit(pipeline,
				(struct server_leg *)((char *)connection -
						      offsetof(struct server_leg, connection)));
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

// A gate that stops makes no probes any more, and theirs may be the next time: look again later
// instead of at once, or the worker would never rest.
static uint64_t servers_due(const struct pipeline *pipeline)
{
	uint64_t due = servers_next_us(pipeline->servers);

	if (pipeline->draining && due <= pipeline->now.now_us)
		return pipeline->now.now_us + DRAINING_LOOK_US;
	return due;
}

uint64_t pipeline_turn(struct pipeline *pipeline, struct tick now, struct outbox *outbox)
{
	uint64_t next, bans, holders;
	uint64_t evicted;

	pipeline->now = now;
	pipeline->device = outbox;
	cookie_keys_advance(&pipeline->cookie_keys, now.now_us);
	tcp_advance(pipeline->tcp, now.now_us);
	capture_look(pipeline);
	next = net_timeout(pipeline->net, now, &pipeline->outbox);
	net_events(pipeline);
	run_timers(pipeline);
	handshake_timeout(pipeline);
	quit_idle(pipeline);
	server_leg_probes(pipeline);
	exchange_waiters(pipeline);
	evict_for_bounds(pipeline);
	holders = holder_relieve(pipeline);
	bans = ban_turn(pipeline);
	send_flush(pipeline);
	for (evicted = tcp_take_evictions(pipeline->tcp); evicted; evicted--)
		count_reason(pipeline, REASON_time_wait_evicted);

	next = earlier(next, wheel_next_us(pipeline->wheel));
	next = earlier(next, half_open_next_us(pipeline->half_open));
	next = earlier(next, servers_due(pipeline));
	next = earlier(next, bans);
	next = earlier(next, holders);
	// Legs that could not send are tried again soon: a resolved next hop or a free queue is
	// noticed then.
	if (!TAILQ_EMPTY(&pipeline->dirty))
		next = earlier(next, now.now_us + 1000);
	// What the other workers do to the servers' limits and health nobody tells.
	return pipeline->spread ? earlier(next, now.now_us + OTHERS_INTERVAL_US) : next;
}

void pipeline_start(struct pipeline *pipeline, struct tick now, struct outbox *outbox)
{
	pipeline->now = now;
	pipeline->device = outbox;
	if (pipeline->worker != 0)
		return;
	count_reason(pipeline, REASON_gate_started);
	log_write(pipeline, &(struct log_entry){.reason = REASON_gate_started});
	net_start(pipeline->net, now, &pipeline->outbox);
}

void pipeline_stop(struct pipeline *pipeline, struct tick now)
{
	pipeline->now = now;
	if (pipeline->worker != 0)
		return;
	count_reason(pipeline, REASON_gate_stopped);
	log_write(pipeline, &(struct log_entry){.reason = REASON_gate_stopped});
}

// Those that linger first: the others come to linger by it.
static void drain_clients(struct pipeline *pipeline, bool force)
{
	static const enum client_rank order[] = {
		CLIENT_LINGERING,      CLIENT_REFUSED,     CLIENT_PROTECTED, CLIENT_AT_SERVER,
		CLIENT_IN_TRANSACTION, CLIENT_BEFORE_MAIL, CLIENT_TARPITTED};
	struct client *client;

	for (unsigned i = 0; i < 2 * CLIENT_RANKS; i++) {
		client = TAILQ_FIRST(&pipeline->ranks[order[i / 2]][i % 2]);
		while (client) {
			struct client *next = TAILQ_NEXT(client, in_rank);

			client_drain(pipeline, client, force);
			client = next;
		}
	}
}

void pipeline_drain(struct pipeline *pipeline, bool force, struct tick now, struct outbox *outbox)
{
	pipeline->now = now;
	pipeline->device = outbox;
	pipeline->draining = true;
	// A probe in progress is nobody's mail: it does not hold the stop up.
	server_leg_abort_probes(pipeline);
	drain_clients(pipeline, force);
}

void pipeline_close_door(struct pipeline *pipeline, bool closed)
{
	pipeline->closed = closed;
}

bool pipeline_without_clients(const struct pipeline *pipeline)
{
	return evict_no_clients(pipeline);
}

bool pipeline_drained(const struct pipeline *pipeline)
{
	return evict_no_clients(pipeline) && pipeline->server_count == 0;
}

struct pipeline_levels pipeline_levels(const struct pipeline *pipeline)
{
	return (struct pipeline_levels){
		.clients = pool_used(&pipeline->clients),
		.servers = pool_used(&pipeline->servers_pool),
		.flows = tcp_flows_used(pipeline->tcp),
		.time_wait = tcp_time_wait_used(pipeline->tcp),
		.half_open = half_open_count(pipeline->half_open),
		.chunks_used = pool_used(&pipeline->chunks),
		.chunks = pipeline->chunks.count,
		.timers = wheel_count(pipeline->wheel),
		.log_sequence = pipeline->log_sequence,
	};
}
