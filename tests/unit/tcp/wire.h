// SPDX-License-Identifier: BSD-3-Clause
//
// Two endpoints and an imaginary wire between them in virtual time: it loses, delays, reorders and
// duplicates segments by a seeded generator. Each side has its own chunk pool and an application
// that writes a known stream in random pieces, reads in random pieces, pauses, and closes when it
// has written all. The passive side answers SYNs as the gate would. What goes over the wire is
// checked against the promises that a peer relies on.
#ifndef RELAYGATE_TESTS_TCP_WIRE_H
#define RELAYGATE_TESTS_TCP_WIRE_H

// cmocka.h needs these four first.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/tcp/options.h"
#include "dataplane/tcp/tcp.h"

struct wire_packet {
	uint64_t at;
	struct wire_packet *next;
	int to; // side
	uint8_t *payload;
	uint8_t *options;
	struct view view;
};

struct wire_side {
	struct pool chunks;
	struct random random;
	struct tcp *tcp;
	struct flow *flow;
	struct tuple tuple;
	uint16_t mss;
	// The application.
	uint32_t to_write, written, to_read, read;
	uint32_t write_max, read_max; // bytes a turn
	uint64_t pause_us;            // longest pause between two turns
	uint64_t next_turn;
	bool closed, saw_end, established, released, ended;
	// What it told the other side.
	bool acked_once;
	uint32_t edge;     // right edge of its window, as the other side may see it
	uint32_t edge_max; // furthest
	uint8_t scale;     // of its window
	uint64_t segments, payload_bytes;
};

struct wire_config {
	uint64_t seed;
	unsigned loss_per_mille, duplicate_per_mille, reorder_per_mille;
	uint64_t delay_us, jitter_us; // jitter only for reordered ones
	bool timestamps, scale, sack;
	uint32_t isn_near_wrap; // our streams pass 2^32 after about so many bytes; 0 = random
};

struct wire {
	struct wire_config config;
	struct random random;
	struct wire_side sides[2]; // 0 active, 1 passive
	struct wire_packet *packets;
	uint64_t now, started;
	uint32_t passive_isn;
	struct tcp_options agreed;
	uint32_t client_isn;
	unsigned lost;
	bool trace; // print every segment
};

#define WIRE_CHECK(wire, condition)                                                                \
	do {                                                                                       \
		if (!(condition))                                                                  \
			wire_fail(wire, #condition, __LINE__);                                     \
	} while (0)

static inline void wire_fail(const struct wire *wire, const char *what, int line)
{
	print_error("loss %u, duplicates %u, reordering %u per mille, delay %llu, jitter %llu\n",
		    wire->config.loss_per_mille, wire->config.duplicate_per_mille,
		    wire->config.reorder_per_mille, (unsigned long long)wire->config.delay_us,
		    (unsigned long long)wire->config.jitter_us);
	for (int i = 0; i < 2; i++) {
		const struct wire_side *side = &wire->sides[i];
		print_error("side %d: %s, written %u/%u, read %u/%u, chunks free %u of %u\n", i,
			    side->flow ? tcp_state_name(side->flow) : "no flow", side->written,
			    side->to_write, side->read, side->to_read, side->chunks.free_count,
			    side->chunks.count);
	}
	fail_msg("seed %llu, line %d, after %.3f s: %s", (unsigned long long)wire->config.seed,
		 line, (double)(wire->now - wire->started) / 1e6, what);
}

static inline uint8_t wire_byte(int side, uint32_t offset)
{
	return (uint8_t)(((offset + 77u * (uint32_t)side) * 2654435761u) >> 17);
}

static inline bool wire_chance(struct wire *wire, unsigned per_mille)
{
	return per_mille > 0 && random_below(&wire->random, 1000) < per_mille;
}

static inline uint8_t *wire_block(size_t length)
{
	uint8_t *block = malloc(length ? length : 1);

	assert_non_null(block);
	return block;
}

static inline void wire_post(struct wire *wire, int to, const struct segment *segment, uint64_t at)
{
	struct wire_packet *packet = calloc(1, sizeof(*packet));
	struct wire_packet **link = &wire->packets;

	assert_non_null(packet);
	packet->at = at;
	packet->to = to;
	packet->payload = wire_block(segment->payload_length);
	packet->options = wire_block(segment->options_length);
	memcpy(packet->options, segment->options, segment->options_length);
	if (segment->payload_length)
		chunk_queue_copy(segment->payload, segment->payload_offset, packet->payload,
				 segment->payload_length);
	packet->view = (struct view){
		.kind = VIEW_TCP,
		.source = segment->tuple.local,
		.destination = segment->tuple.remote,
		.source_port = segment->tuple.local_port,
		.destination_port = segment->tuple.remote_port,
		.sequence = segment->sequence,
		.acknowledgment = segment->acknowledgment,
		.window = segment->window,
		.flags = segment->flags,
		.options = slice_of(packet->options, segment->options_length),
		.payload = slice_of(packet->payload, segment->payload_length),
	};
	while (*link && (*link)->at <= at)
		link = &(*link)->next;
	packet->next = *link;
	*link = packet;
}

// What the peer relies on: the right edge never moves back (but for the rounding of the scale), and
// nothing beyond the peer's edge is sent (but for one byte of a probe and a FIN).
static inline void wire_check_promises(struct wire *wire, int from, const struct segment *segment)
{
	struct wire_side *side = &wire->sides[from], *peer = &wire->sides[!from];
	uint32_t end = segment->sequence + segment->payload_length;
	uint8_t scale = segment->flags & TCP_SYN ? 0 : side->scale;
	struct sack_blocks sack;

	if (segment->payload_length > 0)
		WIRE_CHECK(wire, segment->payload_length + segment->options_length <= side->mss);
	options_parse_sack(slice_of(segment->options, segment->options_length), &sack);
	WIRE_CHECK(wire, wire->config.sack || sack.count == 0);
	if ((segment->flags & TCP_ACK) && !(segment->flags & TCP_RST)) {
		uint32_t edge = segment->acknowledgment + ((uint32_t)segment->window << scale);
		if (side->acked_once)
			WIRE_CHECK(wire, (int32_t)(edge - side->edge_max) > -(1 << scale));
		if (!side->acked_once || (int32_t)(edge - side->edge_max) > 0)
			side->edge_max = edge;
		side->acked_once = true;
	}
	if (segment->payload_length > 0 && peer->acked_once)
		WIRE_CHECK(wire, (int32_t)(end - peer->edge_max) <= 1);
}

static inline void wire_trace(const struct wire *wire, int from, const struct segment *segment)
{
	const struct wire_side *side = &wire->sides[from];

	print_message("%12.6f %d %-12s flags %02x seq %u length %u ack %u window %u, free %u\n",
		      (double)(wire->now - wire->started) / 1e6, from,
		      side->flow ? tcp_state_name(side->flow) : "no flow", segment->flags,
		      segment->sequence, segment->payload_length, segment->acknowledgment,
		      segment->window, side->chunks.free_count);
}

static inline void wire_send(struct wire *wire, int from, const struct segment *segment)
{
	unsigned copies = wire_chance(wire, wire->config.duplicate_per_mille) ? 2 : 1;

	if (wire->trace)
		wire_trace(wire, from, segment);
	wire_check_promises(wire, from, segment);
	wire->sides[from].segments++;
	wire->sides[from].payload_bytes += segment->payload_length;
	while (copies--) {
		uint64_t at = wire->now + wire->config.delay_us;
		if (wire_chance(wire, wire->config.loss_per_mille)) {
			wire->lost++;
			if (wire->trace)
				print_message("%12.6f %d lost\n",
					      (double)(wire->now - wire->started) / 1e6, from);
			continue;
		}
		if (wire->config.jitter_us && wire_chance(wire, wire->config.reorder_per_mille))
			at += random_below(&wire->random, (uint32_t)wire->config.jitter_us);
		wire_post(wire, !from, segment, at);
	}
}

static inline void wire_output(struct wire *wire, int index)
{
	struct wire_side *side = &wire->sides[index];
	struct segment segment;
	unsigned count = 0;

	while (tcp_output(side->tcp, side->flow, wire->now, &segment)) {
		WIRE_CHECK(wire, ++count < 10000);
		wire_send(wire, index, &segment);
	}
}

// The application writes up to write_max bytes in pieces, and closes after the last one.
static inline void wire_write(struct wire *wire, struct wire_side *side, int index)
{
	uint8_t piece[4096];
	uint32_t budget = 1 + random_below(&wire->random, side->write_max);

	while (budget > 0 && side->written < side->to_write) {
		uint32_t length = side->to_write - side->written;
		length = length < budget ? length : budget;
		length = length < sizeof(piece) ? length : sizeof(piece);
		for (uint32_t i = 0; i < length; i++)
			piece[i] = wire_byte(index, side->written + i);
		uint32_t taken = (uint32_t)tcp_send(side->tcp, side->flow, slice_of(piece, length));
		side->written += taken;
		budget -= taken;
		if (taken < length)
			break;
	}
	if (side->written == side->to_write && !side->closed) {
		tcp_close(side->tcp, side->flow);
		side->closed = true;
	}
}

static inline void wire_read(struct wire *wire, struct wire_side *side, int index)
{
	uint32_t budget = 1 + random_below(&wire->random, side->read_max);

	while (budget > 0) {
		struct slice bytes = slice_first(tcp_received(side->flow), budget);
		if (bytes.length == 0)
			break;
		WIRE_CHECK(wire, bytes.length <= side->to_read - side->read);
		for (size_t i = 0; i < bytes.length; i++)
			WIRE_CHECK(wire,
				   bytes.data[i] == wire_byte(!index, side->read + (uint32_t)i));
		tcp_consume(side->tcp, side->flow, bytes.length);
		side->read += (uint32_t)bytes.length;
		budget -= (uint32_t)bytes.length;
	}
}

static inline void wire_events(struct wire *wire, struct wire_side *side, unsigned events)
{
	WIRE_CHECK(wire, !(events & (TCP_EVENT_RESET | TCP_EVENT_TIMED_OUT)));
	if (events & TCP_EVENT_ESTABLISHED) {
		WIRE_CHECK(wire, !side->established);
		side->established = true;
	}
	if (events & TCP_EVENT_PEER_CLOSED) {
		WIRE_CHECK(wire, !side->saw_end);
		side->saw_end = true;
	}
	if (events & TCP_EVENT_CLOSED)
		side->ended = true;
}

// A flow that is over goes once its bytes were read; what was to be read must be complete.
static inline void wire_release_if_over(struct wire *wire, struct wire_side *side)
{
	if (!side->ended || tcp_received(side->flow).length > 0)
		return;
	WIRE_CHECK(wire, side->saw_end && side->read == side->to_read);
	WIRE_CHECK(wire, side->written == side->to_write && tcp_all_acknowledged(side->flow));
	tcp_release(side->tcp, side->flow, wire->now);
	side->flow = NULL;
	side->released = true;
}

static inline void wire_app_turn(struct wire *wire, int index)
{
	struct wire_side *side = &wire->sides[index];

	if (tcp_is_established(side->flow) || side->closed) {
		wire_read(wire, side, index);
		wire_write(wire, side, index);
		tcp_settle(side->tcp, side->flow, wire->now);
		wire_output(wire, index);
		wire_release_if_over(wire, side);
	}
	side->next_turn = wire->now + 1 + random_below(&wire->random, (uint32_t)side->pause_us);
}

static inline void wire_answer_syn(struct wire *wire, const struct view *view)
{
	struct wire_side *side = &wire->sides[1];
	struct segment answer = {
		.tuple = side->tuple,
		.sequence = wire->passive_isn,
		.acknowledgment = view->sequence + 1,
		.flags = TCP_SYN | TCP_ACK,
	};

	assert_true(options_parse(view->options, true, &wire->agreed));
	wire->client_isn = view->sequence;
	wire->agreed.timestamps &= wire->config.timestamps;
	wire->agreed.sack_permitted &= wire->config.sack;
	if (!wire->config.scale)
		wire->agreed.window_scale = TCP_NO_WINDOW_SCALE;
	wire->sides[0].scale = wire->config.scale ? tcp_window_scale(wire->sides[0].tcp) : 0;
	side->scale = wire->config.scale ? tcp_window_scale(side->tcp) : 0;
	tcp_syn_ack_options(side->tcp, &wire->agreed, side->mss, (uint32_t)(wire->now / 1000),
			    &answer);
	wire_send(wire, 1, &answer);
}

static inline void wire_accept(struct wire *wire, const struct view *view)
{
	struct wire_side *side = &wire->sides[1];
	struct tcp_accept accept = {
		.tuple = side->tuple,
		.our_isn = wire->passive_isn,
		.peer_isn = wire->client_isn,
		.options = wire->agreed,
		.our_mss = side->mss,
		.peer_window = view->window,
	};

	side->flow = tcp_accept(side->tcp, &accept, wire->now);
	assert_non_null(side->flow);
	WIRE_CHECK(wire, strcmp(tcp_state_name(side->flow), "ESTABLISHED") == 0);
}

// A segment for which there is no flow: the handshake, TIME-WAIT, or leftovers.
static inline void wire_no_flow(struct wire *wire, int index, const struct view *view)
{
	struct wire_side *side = &wire->sides[index];
	struct segment answer;

	enum tcp_time_wait verdict = tcp_time_wait_input(side->tcp, view, wire->now, &answer);
	WIRE_CHECK(wire, verdict != TCP_TIME_WAIT_REOPEN);
	if (verdict == TCP_TIME_WAIT_ANSWER)
		wire_send(wire, index, &answer);
	if (index == 1 && !side->released && (view->flags & TCP_SYN))
		wire_answer_syn(wire, view);
	else if (index == 1 && !side->released && view->acknowledgment == wire->passive_isn + 1)
		wire_accept(wire, view);
}

static inline void wire_deliver(struct wire *wire, struct wire_packet *packet)
{
	int index = packet->to;
	struct wire_side *side = &wire->sides[index];
	unsigned events = 0;

	if (side->flow == NULL)
		wire_no_flow(wire, index, &packet->view);
	if (side->flow != NULL) {
		WIRE_CHECK(wire, tcp_find(side->tcp, &side->tuple) == side->flow);
		tcp_input(side->tcp, side->flow, &packet->view, wire->now, &events);
		wire_events(wire, side, events);
		if (random_below(&wire->random, 4) > 0)
			wire_read(wire, side, index);
		if (tcp_is_established(side->flow) && random_below(&wire->random, 2))
			wire_write(wire, side, index);
		tcp_settle(side->tcp, side->flow, wire->now);
	}
	// The frame is gone before anything is sent.
	free(packet->payload);
	free(packet->options);
	free(packet);
	if (side->flow != NULL) {
		wire_output(wire, index);
		wire_release_if_over(wire, side);
	}
}

static inline uint64_t wire_next(const struct wire *wire)
{
	uint64_t next = wire->packets ? wire->packets->at : UINT64_MAX;

	for (int i = 0; i < 2; i++) {
		const struct wire_side *side = &wire->sides[i];
		if (side->flow == NULL)
			continue;
		uint64_t deadline = tcp_deadline(side->flow);
		next = deadline < next ? deadline : next;
		next = side->next_turn < next ? side->next_turn : next;
	}
	return next;
}

// Runs until both flows are over; at most limit_us of virtual time and a bounded number of steps.
static inline void wire_run(struct wire *wire, uint64_t limit_us)
{
	uint64_t steps = 0;

	while (!(wire->sides[0].released && wire->sides[1].released)) {
		uint64_t next = wire_next(wire);
		WIRE_CHECK(wire, next != UINT64_MAX);
		WIRE_CHECK(wire, next - wire->started < limit_us || next < wire->now);
		WIRE_CHECK(wire, ++steps < 30000000);
		if (next > wire->now)
			wire->now = next;
		if (wire->packets && wire->packets->at <= wire->now) {
			struct wire_packet *packet = wire->packets;
			wire->packets = packet->next;
			wire_deliver(wire, packet);
		}
		for (int i = 0; i < 2; i++) {
			struct wire_side *side = &wire->sides[i];
			unsigned events = 0;
			if (side->flow && tcp_deadline(side->flow) <= wire->now) {
				tcp_timeout(side->tcp, side->flow, wire->now, &events);
				wire_events(wire, side, events);
				wire_output(wire, i);
			}
			if (side->flow && side->next_turn <= wire->now)
				wire_app_turn(wire, i);
		}
	}
}

struct wire_side_config {
	uint32_t receive_buffer, send_buffer, chunks;
	uint16_t mss;
	uint32_t bytes; // that its application writes
	uint32_t write_max, read_max;
	uint64_t pause_us;
};

static inline void wire_side_init(struct wire *wire, int index, const struct wire_side_config *from)
{
	struct wire_side *side = &wire->sides[index];
	uint8_t key[16] = {(uint8_t)index};

	memcpy(key + 8, &wire->config.seed, 8);
	assert_int_equal(chunk_pool_init(&side->chunks, from->chunks * 2048ull), 0);
	random_init(&side->random, key);
	struct tcp_settings settings = {
		.flows = 4,
		.time_wait_entries = 4,
		.receive_buffer = from->receive_buffer,
		.send_buffer = from->send_buffer,
		.chunks = &side->chunks,
		.random = &side->random,
	};
	memcpy(settings.hash_key.bytes, key, 16);
	side->tcp = tcp_create(&settings);
	assert_non_null(side->tcp);
	side->mss = from->mss;
	side->to_write = from->bytes;
	side->write_max = from->write_max;
	side->read_max = from->read_max;
	side->pause_us = from->pause_us;
	side->tuple.local = address_from_ipv4((const uint8_t[]){10, 0, 0, (uint8_t)(1 + index)});
	side->tuple.remote = address_from_ipv4((const uint8_t[]){10, 0, 0, (uint8_t)(2 - index)});
	side->tuple.local_port = index ? 25 : 31000;
	side->tuple.remote_port = index ? 31000 : 25;
}

// Starts the clock so that the active side's sequence numbers wrap during the transfer.
static inline void wire_aim_isn(struct wire *wire)
{
	struct wire_side *side = &wire->sides[0];
	struct segment syn;
	struct flow *probe = tcp_connect(side->tcp, &side->tuple, side->mss, wire->now);

	assert_non_null(probe);
	assert_true(tcp_output(side->tcp, probe, wire->now, &syn));
	tcp_release(side->tcp, probe, wire->now);
	wire->now += 4ull * (0u - wire->config.isn_near_wrap - syn.sequence);
	wire->passive_isn = 0u - wire->config.isn_near_wrap / 2;
}

static inline struct wire *wire_open(const struct wire_config *config,
				     const struct wire_side_config sides[2])
{
	struct wire *wire = calloc(1, sizeof(*wire));
	uint8_t key[16] = {0};

	assert_non_null(wire);
	wire->config = *config;
	memcpy(key, &config->seed, 8);
	random_init(&wire->random, key);
	wire->now = 1 + random_below(&wire->random, UINT32_MAX);
	wire->passive_isn = (uint32_t)random_u64(&wire->random);
	for (int i = 0; i < 2; i++) {
		wire_side_init(wire, i, &sides[i]);
		wire->sides[i].to_read = sides[!i].bytes;
	}
	if (config->isn_near_wrap)
		wire_aim_isn(wire);
	wire->started = wire->now;
	struct wire_side *active = &wire->sides[0];
	active->flow = tcp_connect(active->tcp, &active->tuple, active->mss, wire->now);
	assert_non_null(active->flow);
	wire_output(wire, 0);
	return wire;
}

// Nothing may be left anywhere.
static inline void wire_close(struct wire *wire)
{
	while (wire->packets) {
		struct wire_packet *packet = wire->packets;
		wire->packets = packet->next;
		free(packet->payload);
		free(packet->options);
		free(packet);
	}
	for (int i = 0; i < 2; i++) {
		struct wire_side *side = &wire->sides[i];
		WIRE_CHECK(wire, tcp_flows_used(side->tcp) == 0);
		WIRE_CHECK(wire, side->chunks.free_count == side->chunks.count);
		tcp_destroy(side->tcp);
		pool_fini(&side->chunks);
	}
	free(wire);
}

#endif
