// SPDX-License-Identifier: BSD-3-Clause
//
// libFuzzer: frames through packet_parse, packet_verify, net_input and quote_too_big, with time
// passing and next hops being asked for between them. The input is a list of records; a record
// either is a whole frame or changes some bytes of a good one, so that deep code is reached without
// a corpus. Every frame is parsed in a heap block of exactly its length.
//
// runs: 4000
#include <stdlib.h>

#include "config/policy.h"
#include "dataplane/base/cursor.h"
#include "dataplane/net/checksum.h"
#include "dataplane/net/net.h"
#include "dataplane/net/quote.h"
#include "tests/unit/net/vectors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MTU 1500

static const struct slice good_frames[] = {
#define FRAME(vector) {vector, sizeof(vector)},
	VECTORS_TO_US(FRAME)
#undef FRAME
};
#define GOOD_FRAMES (sizeof(good_frames) / sizeof(good_frames[0]))

struct gate {
	struct outbox outbox; // first
	uint8_t *reserved;
	struct net *net;
	struct packet_port port;
	struct tick now;
};

// What a caller relies on; a violation is a finding.
static void require(bool condition)
{
	if (!condition)
		abort();
}

static uint8_t *reserve(struct outbox *outbox, uint16_t port)
{
	struct gate *gate = (struct gate *)outbox;
	require(port == 0 && !gate->reserved);
	gate->reserved = malloc(MTU + 18);
	return gate->reserved;
}

static void commit(struct outbox *outbox, uint16_t length)
{
	struct gate *gate = (struct gate *)outbox;
	require(gate->reserved && length <= MTU + 18);
	// nothing uninitialised goes out: sum all of it under MemorySanitizer, too
	require(checksum_add(0, gate->reserved, length) != UINT64_MAX);
	free(gate->reserved);
	gate->reserved = NULL;
}

static bool inside(struct slice part, struct slice whole)
{
	return part.data >= whole.data && part.length <= whole.length &&
	       (size_t)(part.data - whole.data) <= whole.length - part.length;
}

static void receive(struct gate *gate, struct slice bytes)
{
	uint8_t *frame = malloc(bytes.length ? bytes.length : 1);
	if (bytes.length)
		memcpy(frame, bytes.data, bytes.length);
	frame = realloc(frame, bytes.length); // 0 bytes: any read is a finding
	struct slice whole = {frame, bytes.length};
	struct view view;
	if (packet_parse(&gate->port, whole, &view) == REASON_NONE) {
		require(inside(view.frame, whole));
		require(view.network_offset <= view.transport_offset &&
			view.transport_offset <= view.frame.length);
		if (view.kind == VIEW_TCP) {
			require(inside(view.options, view.frame) &&
				inside(view.payload, view.frame));
			require(view.options.length <= 40 && view.options.length % 4 == 0);
		}
		uint8_t *ip = frame + view.network_offset;
		if (gate->port.trust_checksums && ip[0] >> 4 == 4) {
			ip[10] = ip[11] = 0;
			checksum_store(ip + 10, checksum_add(0, ip, 20));
		}
		if (packet_verify(&gate->port, &view) == REASON_NONE)
			net_input(gate->net, &view, gate->now, &gate->outbox);
		struct quote quote;
		if (quote_too_big(&view, &quote))
			require(view.kind == VIEW_ICMP4 || view.kind == VIEW_ICMP6);
	}
	free(frame);
}

static void receive_changed(struct gate *gate, struct cursor *cursor)
{
	struct slice base = good_frames[cursor_u8(cursor) % GOOD_FRAMES];
	uint8_t changes = cursor_u8(cursor) % 16;
	size_t length = base.length - cursor_u8(cursor) % 8;
	uint8_t *frame = malloc(base.length);
	memcpy(frame, base.data, base.length);
	while (changes--) {
		uint8_t offset = cursor_u8(cursor);
		frame[offset % base.length] = cursor_u8(cursor);
	}
	receive(gate, slice_of(frame, length));
	free(frame);
}

static void send_somewhere(struct gate *gate, struct cursor *cursor)
{
	struct link link = {.port = 0};
	struct address source, destination;
	uint8_t ipv4[4] = {192, 0, 2, cursor_u8(cursor)};
	destination = address_from_ipv4(ipv4);
	net_next_hop(gate->net, &destination, gate->now, &gate->outbox, &link, &source);
	struct slice any = cursor_take(cursor, 16);
	if (any.length != 16)
		return;
	destination = address_from_ipv6(any.data);
	net_next_hop(gate->net, &destination, gate->now, &gate->outbox, &link, &source);
	net_confirm(gate->net, &destination, &link, gate->now);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cursor cursor = cursor_of(slice_of(data, size));
	uint8_t mode = cursor_u8(&cursor);
	struct interface_address addresses[2] = {
		{address_from_ipv4((const uint8_t[4]){192, 0, 2, 10}), 24},
		{{{0x20, 1, 0x0d, 0xb8, [15] = 0x10}}, 64},
	};
	struct address gateways[2] = {
		address_from_ipv4((const uint8_t[4]){192, 0, 2, 1}),
		{{0x20, 1, 0x0d, 0xb8, [15] = 1}},
	};
	struct port_settings settings = {.addresses = addresses,
					 .address_count = 2,
					 .gateways = gateways,
					 .gateway_count = 2,
					 .mtu = MTU};
	struct policy policy = {.ports = &settings, .port_count = 1};
	struct random random;
	random_init(&random, (const uint8_t[16]){0});
	struct gate gate = {
		.outbox = {.reserve = reserve, .commit = commit},
		.port = {.mac = {2, 0, 0, 0, 0, 1},
			 .vlan = mode & 1 ? 42 : 0,
			 .trust_checksums = !(mode & 2)},
		.now = {.now_us = 1},
	};
	gate.net = net_create(&policy, &gate.port, &random);
	require(gate.net);
	net_start(gate.net, gate.now, &gate.outbox);

	while (cursor.rest.length && !cursor.failed) {
		uint8_t kind = cursor_u8(&cursor);
		switch (kind % 4) {
		case 0:
			receive(&gate, cursor_take(&cursor, cursor_u16(&cursor) % 2048));
			break;
		case 1:
			receive_changed(&gate, &cursor);
			break;
		case 2:
			gate.now.now_us += (uint64_t)cursor_u16(&cursor) * 1000;
			require(net_timeout(gate.net, gate.now, &gate.outbox) > gate.now.now_us);
			break;
		default:
			send_somewhere(&gate, &cursor);
			break;
		}
	}
	while (net_take_event(gate.net).reason != REASON_NONE)
		;
	net_destroy(gate.net);
	return 0;
}
