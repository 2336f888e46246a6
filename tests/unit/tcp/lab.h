// SPDX-License-Identifier: BSD-3-Clause
//
// A laboratory for one flow: an endpoint with its pools, a scripted peer that speaks in relative
// sequence numbers (0 = first byte after each SYN), and everything the flow sent. Received frames
// lie in exact-size heap blocks, so that a sanitizer sees a read past their end or after their
// turn.
#ifndef RELAYGATE_TESTS_TCP_LAB_H
#define RELAYGATE_TESTS_TCP_LAB_H

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

#define LAB_SENT_MAX 512
#define LAB_MSS      1000u // the peer's and ours: round numbers

struct lab_config {
	uint32_t our_isn, peer_isn;
	uint32_t receive_buffer, send_buffer; // 0 = 65,535
	uint32_t chunks;                      // 0 = 256
	uint32_t time_wait;                   // 0 = 16
	uint32_t window;                      // of the peer's handshake ACK, 0 = 65,535
	uint16_t mss;                         // that the peer offers, 0 = LAB_MSS
	bool timestamps;
	bool scale;        // the peer offers scale 0
	bool sack;         // both sides speak SACK
	bool no_handshake; // create the endpoint only
};

struct lab_sent {
	struct segment segment;
	struct tcp_options options;
	uint32_t seq, ack;       // relative
	struct sack_blocks sack; // relative
	uint8_t bytes[10000];
};

struct lab {
	struct lab_config config;
	struct pool chunks;
	struct random random;
	struct tcp *tcp;
	struct flow *flow;
	struct tuple tuple;
	uint64_t now;
	unsigned events; // of the last call
	uint32_t our_base, peer_base;
	uint32_t peer_time; // TSval of the next segment given
	uint32_t their_time_echo;
	struct lab_sent sent[LAB_SENT_MAX];
	unsigned sent_count;
	uint8_t *frame; // of the segment in its turn
};

// One segment of the peer. ack and window default to "everything acknowledged so far by hand" 0.
struct lab_in {
	uint32_t seq, ack;
	uint8_t flags; // 0 = ACK
	uint32_t length;
	uint8_t fill;    // payload bytes: fill, or their offset in the stream when 0
	uint16_t window; // 0 = 65,535; LAB_ZERO_WINDOW = 0
	uint32_t time;   // TSval when not 0
	bool no_timestamp;
	struct sack_block sack[SACK_BLOCKS_MAX]; // until the first 0, 0
};
#define LAB_ZERO_WINDOW 1 // nobody offers one byte

static inline uint8_t lab_byte(uint32_t offset)
{
	return (uint8_t)((offset * 2654435761u) >> 19);
}

static inline struct tcp *lab_endpoint(struct lab *lab)
{
	struct tcp_settings settings = {
		.flows = 64,
		.time_wait_entries = lab->config.time_wait ? lab->config.time_wait : 16,
		.receive_buffer = lab->config.receive_buffer ? lab->config.receive_buffer : 65535,
		.send_buffer = lab->config.send_buffer ? lab->config.send_buffer : 65535,
		.hash_key = {{1, 2, 3, 4}},
		.chunks = &lab->chunks,
		.random = &lab->random,
	};
	return tcp_create(&settings);
}

static inline struct lab *lab_open(struct lab_config config)
{
	struct lab *lab = calloc(1, sizeof(*lab));

	assert_non_null(lab);
	lab->config = config;
	assert_int_equal(
		chunk_pool_init(&lab->chunks, (config.chunks ? config.chunks : 256) * 2048ull), 0);
	random_init(&lab->random, (const uint8_t[16]){7});
	lab->tcp = lab_endpoint(lab);
	assert_non_null(lab->tcp);
	lab->tuple.local = address_from_ipv4((const uint8_t[]){192, 0, 2, 10});
	lab->tuple.remote = address_from_ipv4((const uint8_t[]){198, 51, 100, 7});
	lab->tuple.local_port = 25;
	lab->tuple.remote_port = 40000;
	lab->now = 5000000;
	lab->peer_time = 1000;
	lab->our_base = config.our_isn + 1;
	lab->peer_base = config.peer_isn + 1;
	if (config.no_handshake)
		return lab;
	struct tcp_accept accept = {
		.tuple = lab->tuple,
		.our_isn = config.our_isn,
		.peer_isn = config.peer_isn,
		.options = {.mss = config.mss ? config.mss : LAB_MSS,
			    .window_scale = config.scale ? 0 : TCP_NO_WINDOW_SCALE,
			    .sack_permitted = config.sack,
			    .timestamps = config.timestamps,
			    .timestamp_value = lab->peer_time},
		.our_mss = LAB_MSS,
		.peer_window = config.window ? (uint16_t)config.window : 65535,
	};
	lab->flow = tcp_accept(lab->tcp, &accept, lab->now);
	assert_non_null(lab->flow);
	return lab;
}

// Everything must have come back.
static inline void lab_close(struct lab *lab)
{
	if (lab->flow)
		tcp_release(lab->tcp, lab->flow, lab->now);
	assert_int_equal(tcp_flows_used(lab->tcp), 0);
	assert_int_equal(pool_used(&lab->chunks), 0);
	tcp_destroy(lab->tcp);
	pool_fini(&lab->chunks);
	free(lab->frame);
	free(lab);
}

// All that the flow wants to send now; returns how many segments, numbered from 0.
static inline unsigned lab_output(struct lab *lab)
{
	struct segment segment;

	lab->sent_count = 0;
	while (tcp_output(lab->tcp, lab->flow, lab->now, &segment)) {
		assert_true(lab->sent_count < LAB_SENT_MAX);
		struct lab_sent *sent = &lab->sent[lab->sent_count++];
		sent->segment = segment;
		assert_true(options_parse(slice_of(segment.options, segment.options_length),
					  segment.flags & TCP_SYN, &sent->options));
		options_parse_sack(slice_of(segment.options, segment.options_length), &sent->sack);
		for (uint32_t i = 0; i < sent->sack.count; i++) {
			sent->sack.block[i].start -= lab->peer_base;
			sent->sack.block[i].end -= lab->peer_base;
		}
		sent->seq = segment.sequence - lab->our_base;
		sent->ack = segment.acknowledgment - lab->peer_base;
		assert_true(segment.payload_length <= sizeof(sent->bytes));
		if (segment.payload_length)
			chunk_queue_copy(segment.payload, segment.payload_offset, sent->bytes,
					 segment.payload_length);
	}
	return lab->sent_count;
}

// A view of the peer's segment in lab->frame: options, then payload.
static inline struct view lab_view(struct lab *lab, const struct lab_in *in)
{
	struct tcp_options options = {
		.window_scale = TCP_NO_WINDOW_SCALE,
		.timestamps = lab->config.timestamps && !in->no_timestamp,
		.timestamp_value = in->time ? in->time : lab->peer_time,
		.timestamp_echo = lab->their_time_echo,
	};
	uint8_t buffer[40];
	uint8_t written = options_write(&options, buffer);
	struct sack_blocks sack = {0};

	while (sack.count < SACK_BLOCKS_MAX &&
	       (in->sack[sack.count].start != 0 || in->sack[sack.count].end != 0)) {
		sack.block[sack.count].start = in->sack[sack.count].start + lab->our_base;
		sack.block[sack.count].end = in->sack[sack.count].end + lab->our_base;
		sack.count++;
	}
	written = options_write_sack(&sack, buffer, written);
	free(lab->frame);
	lab->frame = malloc(written + in->length ? written + in->length : 1);
	assert_non_null(lab->frame);
	memcpy(lab->frame, buffer, written);
	for (uint32_t i = 0; i < in->length; i++)
		lab->frame[written + i] = in->fill ? in->fill : lab_byte(in->seq + i);
	return (struct view){
		.kind = VIEW_TCP,
		.source = lab->tuple.remote,
		.destination = lab->tuple.local,
		.source_port = lab->tuple.remote_port,
		.destination_port = lab->tuple.local_port,
		.sequence = in->seq + lab->peer_base,
		.acknowledgment = in->ack + lab->our_base,
		.window = in->window == LAB_ZERO_WINDOW ? 0
			  : in->window                  ? in->window
							: 65535,
		.flags = in->flags ? in->flags : TCP_ACK,
		.options = slice_of(lab->frame, written),
		.payload = slice_of(lab->frame + written, in->length),
	};
}

// The peer's segment up to (not including) tcp_settle.
static inline enum reason lab_input(struct lab *lab, struct lab_in in)
{
	struct view view = lab_view(lab, &in);

	return tcp_input(lab->tcp, lab->flow, &view, lab->now, &lab->events);
}

// Ends the turn: the frame is gone afterwards.
static inline unsigned lab_settle(struct lab *lab)
{
	tcp_settle(lab->tcp, lab->flow, lab->now);
	free(lab->frame);
	lab->frame = NULL;
	return lab_output(lab);
}

// A whole turn in which the application reads nothing. Returns the reason.
static inline enum reason lab_give(struct lab *lab, struct lab_in in)
{
	enum reason reason = lab_input(lab, in);

	lab_settle(lab);
	return reason;
}

// Reads up to limit bytes and checks that they are the stream from offset on; returns how many.
static inline uint32_t lab_read(struct lab *lab, uint32_t offset, uint32_t limit)
{
	uint32_t done = 0;

	while (done < limit) {
		struct slice bytes = slice_first(tcp_received(lab->flow), limit - done);
		if (bytes.length == 0)
			break;
		for (size_t i = 0; i < bytes.length; i++)
			assert_int_equal(bytes.data[i], lab_byte(offset + done + (uint32_t)i));
		tcp_consume(lab->tcp, lab->flow, bytes.length);
		done += (uint32_t)bytes.length;
	}
	return done;
}

// Queues length bytes of the stream that begins at offset; returns how many were taken.
static inline uint32_t lab_queue(struct lab *lab, uint32_t offset, uint32_t length)
{
	uint32_t taken = 0;

	for (; taken < length; taken++) {
		uint8_t byte = lab_byte(offset + taken);
		if (tcp_send(lab->tcp, lab->flow, slice_of(&byte, 1)) != 1)
			break;
	}
	return taken;
}

// Moves the clock to the flow's next deadline, runs it and lets the flow send.
static inline unsigned lab_fire(struct lab *lab)
{
	uint64_t deadline = tcp_deadline(lab->flow);

	assert_true(deadline != UINT64_MAX);
	if (deadline > lab->now)
		lab->now = deadline;
	tcp_timeout(lab->tcp, lab->flow, lab->now, &lab->events);
	return lab_output(lab);
}

static inline void lab_state(const struct lab *lab, const char *name)
{
	assert_string_equal(tcp_state_name(lab->flow), name);
}

#endif
