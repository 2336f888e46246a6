// SPDX-License-Identifier: BSD-3-Clause
//
// The laboratory of fuzz_flow: operations on a flow, and its end.
#include "tests/fuzz/flow_lab.h"

#include <assert.h>
#include <stdlib.h>

#define FINAL (TCP_EVENT_CLOSED | TCP_EVENT_RESET | TCP_EVENT_TIMED_OUT)

enum configuration {
	CONNECTS = 1, // else it was accepted
	IPV6 = 2,
	TIMESTAMPS = 4,
	SACK = 8,
	SCALE = 16,
	SILENT_END = 32, // the peer says nothing more
	SMALL_BUFFERS = 64,
};

static const uint32_t isns[] = {1000, 0xfffffff0, 0x7fffff00, 0xffffffff};
static const uint16_t msses[] = {1460, 536, 0, 88, 1, 65535, 216, 9000};
static const uint16_t windows[] = {65535, 0, 1, 1460};
static const uint32_t chunk_counts[] = {64, 8, 16, 400};

struct lab *lab_new(const uint8_t configuration[OPERATION_CONFIGURATION])
{
	struct lab *lab = calloc(1, sizeof(*lab));
	bool small = configuration[0] & SMALL_BUFFERS;
	struct tcp_settings settings = {
		.flows = 2,
		.time_wait_entries = 2,
		.receive_buffer = small ? 4096 : 131072,
		.send_buffer = small ? 4096 : 65536,
		.hash_key = {{1}},
		.chunks = &lab->chunks,
		.random = &lab->random,
	};

	memcpy(lab->configuration, configuration, sizeof(lab->configuration));
	assert(chunk_pool_init(&lab->chunks, chunk_counts[configuration[2] % 4] * 2048ull) == 0);
	random_init(&lab->random, (const uint8_t[16]){3});
	lab->tcp = tcp_create(&settings);
	assert(lab->tcp);
	lab->tuple = (struct tuple){.local_port = 25, .remote_port = 4000};
	if (configuration[0] & IPV6) {
		lab->tuple.local.bytes[0] = lab->tuple.remote.bytes[0] = 0x20;
		lab->tuple.remote.bytes[15] = 1;
	} else {
		lab->tuple.local = address_from_ipv4((const uint8_t[]){192, 0, 2, 10});
		lab->tuple.remote = address_from_ipv4((const uint8_t[]){192, 0, 2, 55});
	}
	lab->our_mss = configuration[0] & IPV6 ? 1440 : 1460;
	lab->now = 5000000;
	lab_open_flow(lab);
	return lab;
}

void lab_free(struct lab *lab)
{
	assert(!lab->flow && tcp_flows_used(lab->tcp) == 0);
	assert(tcp_time_wait_used(lab->tcp) <= 2);
	lab->now += 61000000;
	tcp_advance(lab->tcp, lab->now);
	assert(tcp_time_wait_used(lab->tcp) == 0);
	assert(pool_used(&lab->chunks) == 0);
	tcp_destroy(lab->tcp);
	pool_fini(&lab->chunks);
	free(lab);
}

static uint32_t floor_mss(uint32_t mss, const struct lab *lab)
{
	if (mss == 0)
		mss = lab->configuration[0] & IPV6 ? FLOW_MSS_DEFAULT6 : FLOW_MSS_DEFAULT4;
	return max_u32(mss, FLOW_MSS_MIN);
}

static void accept_flow(struct lab *lab)
{
	const uint8_t *bytes = lab->configuration;
	struct tcp_accept accept = {
		.tuple = lab->tuple,
		.our_isn = isns[bytes[1] % 4],
		.peer_isn = isns[bytes[1] / 4 % 4],
		.options = {.mss = msses[bytes[3] % 8],
			    .window_scale =
				    bytes[0] & SCALE ? bytes[3] / 16 % 15 : TCP_NO_WINDOW_SCALE,
			    .sack_permitted = bytes[0] & SACK,
			    .timestamps = bytes[0] & TIMESTAMPS,
			    .timestamp_value = 7},
		.our_mss = lab->our_mss,
		.peer_window = windows[bytes[1] / 16 % 4],
	};
	uint8_t scale = bytes[0] & SCALE ? accept.options.window_scale : 0;

	lab->flow = tcp_accept(lab->tcp, &accept, lab->now);
	assert(lab->flow);
	lab->known = true;
	lab->peer_mss = floor_mss(accept.options.mss, lab);
	lab->sent_any = true;
	lab->first_sent = accept.our_isn;
	lab->sent_end = accept.our_isn + 1;
	lab->peer_edge = lab->sent_end + ((uint32_t)accept.peer_window << scale);
}

void lab_open_flow(struct lab *lab)
{
	lab->events = 0;
	lab->liar = lab->known = lab->closed = lab->sent_any = lab->told_any = false;
	lab->delivered = lab->written = 0;
	if (lab->configuration[0] & CONNECTS) {
		if (!tcp_tuple_free(lab->tcp, &lab->tuple))
			return;
		lab->flow = tcp_connect(lab->tcp, &lab->tuple, lab->our_mss, lab->now);
		assert(lab->flow);
		lab->peer_mss = UINT32_MAX;
	} else {
		accept_flow(lab);
	}
	lab_output(lab);
}

// ---- The application -------------------------------------------------------------------------

// Inside of a turn or between two.
static void take(struct lab *lab, uint32_t limit)
{
	while (limit > 0) {
		struct slice bytes = slice_first(tcp_received(lab->flow), limit);

		if (bytes.length == 0)
			return;
		for (size_t i = 0; i < bytes.length && !lab->liar; i++)
			assert(bytes.data[i] ==
			       peer_byte(lab->flow->irs + 1 + lab->delivered + (uint32_t)i));
		tcp_consume(lab->tcp, lab->flow, bytes.length);
		lab->delivered += (uint32_t)bytes.length;
		limit -= (uint32_t)bytes.length;
	}
}

void lab_read(struct lab *lab, uint32_t limit)
{
	if (!lab->flow)
		return;
	take(lab, limit);
	tcp_settle(lab->tcp, lab->flow, lab->now);
	lab_output(lab);
}

void lab_write(struct lab *lab, uint32_t length)
{
	uint8_t *bytes;
	size_t room, taken;

	if (!lab->flow)
		return;
	bytes = malloc(length); // exact
	for (uint32_t i = 0; i < length; i++)
		bytes[i] = our_byte(lab->written + i);
	room = tcp_send_room(lab->flow);
	taken = tcp_send(lab->tcp, lab->flow, slice_of(bytes, length));
	free(bytes);
	assert(taken <= length && taken <= room);
	assert(!lab->closed || taken == 0);
	lab->written += (uint32_t)taken;
	lab_output(lab);
}

void lab_shut(struct lab *lab)
{
	if (!lab->flow)
		return;
	tcp_close(lab->tcp, lab->flow);
	lab->closed = true;
	lab_output(lab);
}

// ---- Time and memory -------------------------------------------------------------------------

void lab_fire(struct lab *lab)
{
	unsigned events = 0;

	tcp_advance(lab->tcp, lab->now);
	if (!lab->flow || tcp_deadline(lab->flow) > lab->now)
		return;
	tcp_timeout(lab->tcp, lab->flow, lab->now, &events);
	lab->events |= events;
	lab_output(lab);
	assert(tcp_deadline(lab->flow) > lab->now); // or its worker would spin
}

void lab_next_deadline(struct lab *lab)
{
	if (!lab->flow || tcp_deadline(lab->flow) == UINT64_MAX)
		return;
	if (tcp_deadline(lab->flow) > lab->now)
		lab->now = tcp_deadline(lab->flow);
	lab_fire(lab);
}

void lab_exhaust(struct lab *lab, uint32_t left)
{
	while (lab->chunks.free_count > left)
		lab->taken[lab->taken_count++] = pool_get(&lab->chunks);
}

void lab_replenish(struct lab *lab)
{
	while (lab->taken_count > 0)
		pool_put(&lab->chunks, lab->taken[--lab->taken_count]);
}

// ---- The peer --------------------------------------------------------------------------------

static void time_wait(struct lab *lab, const struct view *view)
{
	struct segment answer;
	bool newer = tcp_time_wait_newer(lab->tcp, view);
	enum tcp_time_wait verdict = tcp_time_wait_input(lab->tcp, view, lab->now, &answer);

	assert(!newer || verdict != TCP_TIME_WAIT_NONE);
	if (verdict == TCP_TIME_WAIT_REOPEN)
		lab_open_flow(lab);
}

static void hear(struct lab *lab, const struct view *view, uint32_t reads)
{
	bool was_known = lab->known;
	unsigned events = 0;

	if (!lab->flow) {
		time_wait(lab, view);
		return;
	}
	lab_note_offer(lab, view);
	assert(tcp_find(lab->tcp, &lab->tuple) == lab->flow);
	tcp_input(lab->tcp, lab->flow, view, lab->now, &events);
	lab->events |= events;
	lab->known |= lab->flow->state > FLOW_SYN_SENT;
	if (lab->known && !was_known) {
		struct tcp_options options;

		options_parse(view->options, true, &options);
		lab->peer_mss = floor_mss(options.mss, lab);
		lab_note_offer(lab, view); // the scale was not known before
	}
	if (events & TCP_EVENT_READABLE)
		assert(tcp_received(lab->flow).length > 0);
	take(lab, reads);
	tcp_settle(lab->tcp, lab->flow, lab->now);
}

// A segment whose options and payload lie in heap blocks of exactly their size; they are gone
// before the flow sends.
static void say(struct lab *lab, struct view *view, struct slice options, struct slice payload,
		uint32_t reads)
{
	uint8_t *block = malloc(options.length);
	uint8_t *bytes = malloc(payload.length);

	memcpy(block, options.data, options.length);
	for (size_t i = 0; i < payload.length; i++)
		bytes[i] = payload.data ? payload.data[i]
					: peer_byte(view->sequence + !!(view->flags & TCP_SYN) +
						    (uint32_t)i);
	view->kind = VIEW_TCP;
	view->source = lab->tuple.remote;
	view->destination = lab->tuple.local;
	view->source_port = lab->tuple.remote_port;
	view->destination_port = lab->tuple.local_port;
	view->options = slice_of(block, options.length);
	view->payload = slice_of(bytes, payload.length);
	hear(lab, view, reads);
	free(block);
	free(bytes);
	if (lab->flow)
		lab_output(lab);
}

// Where a sequence number of the peer's stream is counted from.
static uint32_t place(const struct lab *lab, const struct operation *operation)
{
	const struct flow *flow = lab->flow;
	uint32_t isn = isns[lab->configuration[1] / 4 % 4];

	if (!flow || !lab->known)
		return operation->place % 8 ? isn : isn + 1;
	switch (operation->place % 8) {
	case 0:
		return flow->rcv_nxt;
	case 1:
		return flow->rcv_adv;
	case 2:
		return flow->irs;
	case 3:
		return flow->rcv_nxt + 0x80000000u;
	case 4:
		return flow->last_ack_sent;
	case 5:
		return flow->peer_fin;
	case 6:
		return flow->rcv_nxt + 3000;
	default:
		return flow->irs + 1;
	}
}

static uint32_t ack_place(const struct lab *lab, const struct operation *operation)
{
	const struct flow *flow = lab->flow;

	if (!flow)
		return lab->sent_end;
	switch (operation->ack_place % 8) {
	case 0:
		return flow->snd_max;
	case 1:
		return flow->snd_una;
	case 2:
		return flow->snd_nxt;
	case 3:
		return flow->iss;
	case 4:
		return flow->snd_una + flow->snd_wnd;
	case 5:
		return flow->snd_una + flow->mss;
	case 6:
		return flow->snd_max + 0x80000000u;
	default:
		return flow->recover;
	}
}

// What a TSval must not be below, and an echo that can be.
static struct operation_time time_of(const struct lab *lab, const struct operation *operation)
{
	bool syn = operation->flags & TCP_SYN;

	if (!lab->flow || !lab->known)
		return (struct operation_time){lab->configuration[0] & TIMESTAMPS, 9, 0};
	return (struct operation_time){
		.timestamps = syn || (lab->flow->flags & FLOW_TIMESTAMPS),
		.value = lab->flow->ts_recent + operation->choice / 64,
		.echo = flow_ts_now(lab->flow, lab->now) - operation->choice % 64,
	};
}

void lab_segment(struct lab *lab, const struct operation *operation)
{
	static const uint32_t reads[] = {UINT32_MAX, 0, 1, 1000};
	uint8_t options[40];
	struct view view = {
		.sequence = place(lab, operation) + (uint32_t)(int32_t)operation->delta,
		.acknowledgment =
			ack_place(lab, operation) + (uint32_t)(int32_t)operation->ack_delta,
		.window = operation->window,
		.flags = operation->flags,
	};
	uint32_t base = lab->flow ? lab->flow->snd_una : lab->sent_end;
	bool syn = view.flags & TCP_SYN;
	uint8_t length =
		operation_write_options(operation, syn, time_of(lab, operation), base, options);
	struct slice payload = {NULL, syn ? operation->choice : operation->size % 9000};

	if (operation->length && !(operation->options & (OPERATION_SACK | OPERATION_RAW_OPTIONS))) {
		payload = operation->bytes;
		lab->liar = true;
	}
	say(lab, &view, slice_of(options, length), payload, reads[operation->who % 4]);
}

void lab_path_mtu(struct lab *lab, const struct operation *operation)
{
	if (!lab->flow)
		return;
	tcp_path_mtu(lab->tcp, lab->flow,
		     ack_place(lab, operation) + (uint32_t)(int32_t)operation->ack_delta,
		     operation->size);
	lab_output(lab);
}

void lab_abort(struct lab *lab)
{
	struct segment reset;

	if (!lab->flow)
		return;
	if (tcp_abort(lab->tcp, lab->flow, &reset))
		assert(reset.flags & TCP_RST);
	lab->events |= TCP_EVENT_RESET;
}

// ---- The good peer ---------------------------------------------------------------------------

// A segment without fault: `length` bytes at what the flow expects next.
static void good_segment(struct lab *lab, uint32_t length)
{
	struct flow *flow = lab->flow;
	struct operation operation = {.flags = TCP_ACK};
	uint8_t options[40];
	struct view view = {
		.sequence = flow->rcv_nxt,
		.acknowledgment = flow->snd_max,
		.window = 65535,
		.flags = TCP_ACK,
	};
	uint8_t used =
		operation_write_options(&operation, false, time_of(lab, &operation), 0, options);

	say(lab, &view, slice_of(options, used), (struct slice){NULL, length}, UINT32_MAX);
}

void lab_acknowledge(struct lab *lab)
{
	if (lab->flow && tcp_is_established(lab->flow))
		good_segment(lab, 0);
}

// All that was acknowledged can be read; what was read was received.
static void check_stream(struct lab *lab)
{
	take(lab, UINT32_MAX);
	tcp_settle(lab->tcp, lab->flow, lab->now);
	if (!lab->known)
		return;
	uint32_t end = lab->flow->irs + 1 + lab->delivered + !!(lab->flow->flags & FLOW_PEER_FIN);
	assert(end == lab->flow->rcv_nxt);
	assert(!lab->told_any || !seq_after(lab->told_ack, end));
}

void lab_check(struct lab *lab)
{
	if (!lab->flow)
		return;
	assert(tcp_flows_used(lab->tcp) == 1);
	assert(lab->flow->send.length <= lab->written);
	if (!(lab->events & FINAL))
		return;
	check_stream(lab);
	tcp_release(lab->tcp, lab->flow, lab->now);
	lab->flow = NULL;
}

// The application reads all, the peer acknowledges all and sends some: everything gets through.
static void end_well(struct lab *lab)
{
	unsigned rounds = 0;

	lab_read(lab, UINT32_MAX);
	while (!(lab->events & FINAL) && !tcp_all_acknowledged(lab->flow)) {
		assert(rounds++ < 3000);
		if (lab->flow->snd_una == lab->flow->snd_max && rounds > 1)
			lab_next_deadline(lab);
		else
			good_segment(lab, 0);
	}
	if (lab->events & FINAL || (lab->flow->flags & FLOW_PEER_FIN_KNOWN))
		return;
	uint32_t before = lab->delivered;
	good_segment(lab, 1000);
	if (flow_takes_data(lab->flow))
		assert(lab->delivered - before >= 1000);
}

void lab_finish(struct lab *lab)
{
	lab_replenish(lab);
	lab_check(lab);
	if (!lab->flow)
		return;
	if (tcp_is_established(lab->flow) && !(lab->configuration[0] & SILENT_END))
		end_well(lab);
	lab_shut(lab);
	lab_read(lab, UINT32_MAX);
	// Nobody answers any more. 100 s of trying are at most so many deadlines.
	for (unsigned count = 0; !(lab->events & FINAL); count++) {
		assert(count < 300 && tcp_deadline(lab->flow) != UINT64_MAX);
		lab_next_deadline(lab);
	}
	lab_check(lab);
}
