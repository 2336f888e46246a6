// SPDX-License-Identifier: BSD-3-Clause
//
// Frames that we build, byte for byte against independently built ones; and the reset that answers
// a segment of no connection.
#include "dataplane/net/build.h"

#include "dataplane/base/outbox.h"
#include "tests/unit/net/fixture.h"

static const struct packet_port our_port = {.mac = {2, 0, 0, 0, 0, 1}};
static const struct packet_port vlan_port = {.mac = {2, 0, 0, 0, 0, 1}, .vlan = 42};

static void expect_frame(const struct packet_port *port, const struct segment *segment,
			 const uint8_t *expected, size_t length)
{
	struct link link = {.peer = {2, 0, 0, 0, 0, 0xaa}};
	uint8_t *buffer = malloc(length); // exact: not a byte more is written
	memset(buffer, 0xa5, length);
	assert_int_equal(build_segment(buffer, port, &link, segment), length);
	assert_memory_equal(buffer, expected, length);
	free(buffer);
}

static struct tuple tuple_of(const char *local, const char *remote)
{
	return (struct tuple){address_of(local), address_of(remote), 25, 40000};
}

static void segments(void **state)
{
	struct pool pool;
	struct chunk_queue queue;
	assert_int_equal(chunk_pool_init(&pool, 65536), 0);
	chunk_queue_init(&queue);
	const char *text = "already sent250 mx.test\r\nnot yet";
	chunk_queue_append(&queue, &pool, slice_of_text(text));

	struct segment synack = {
		.tuple = tuple_of("192.0.2.10", "192.0.2.55"),
		.sequence = 0xa1b2c3d4,
		.acknowledgment = 0x01020305,
		.window = 65535,
		.flags = TCP_SYN | TCP_ACK,
		.options = {2, 4, 0x05, 0xb4, 1, 3, 3, 2},
		.options_length = 8,
	};
	expect_frame(&our_port, &synack, out4_synack, sizeof(out4_synack));

	struct segment data = {
		.tuple = tuple_of("192.0.2.10", "192.0.2.55"),
		.sequence = 0xa1b2c3d5,
		.acknowledgment = 0x01020312,
		.window = 1000,
		.flags = TCP_PSH | TCP_ACK,
		.payload = &queue,
		.payload_offset = 12,
		.payload_length = 13,
	};
	expect_frame(&our_port, &data, out4_data, sizeof(out4_data));
	data.tuple = tuple_of("2001:db8::10", "2001:db8::55");
	expect_frame(&our_port, &data, out6_data, sizeof(out6_data));

	// an acknowledgment that is not flagged does not leak
	struct segment reset = {
		.tuple = tuple_of("192.0.2.10", "192.0.2.55"),
		.sequence = 5,
		.acknowledgment = 0xdeadbeef,
		.flags = TCP_RST,
	};
	expect_frame(&vlan_port, &reset, out4_vlan, sizeof(out4_vlan));
	chunk_queue_clear(&queue, &pool);
	pool_fini(&pool);
}

static void payload_across_chunks(void **state)
{
	struct pool pool;
	struct chunk_queue queue;
	assert_int_equal(chunk_pool_init(&pool, 65536), 0);
	chunk_queue_init(&queue);
	uint8_t bytes[1400], filler[CHUNK_BYTES - 701];
	memset(filler, 'x', sizeof(filler));
	for (unsigned i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * 7 + (i >> 8));
	chunk_queue_append(&queue, &pool, slice_of(filler, sizeof(filler)));
	chunk_queue_append(&queue, &pool, slice_of(bytes, sizeof(bytes)));

	struct segment segment = {
		.tuple = tuple_of("2001:db8::10", "2001:db8::55"),
		.sequence = 1,
		.acknowledgment = 2,
		.window = 3,
		.flags = TCP_ACK,
		.payload = &queue,
		.payload_offset = sizeof(filler),
		.payload_length = sizeof(bytes),
	};
	expect_frame(&our_port, &segment, out6_long, sizeof(out6_long));
	chunk_queue_clear(&queue, &pool);
	pool_fini(&pool);
}

// The largest frame of the largest MTU, tagged: as long as outbox.h says, and its own parser finds
// it good.
static void largest_frames(void **state)
{
	struct pool pool;
	struct chunk_queue queue;
	assert_int_equal(chunk_pool_init(&pool, 65536), 0);
	chunk_queue_init(&queue);
	uint8_t bytes[OUTBOX_FRAME_MAX] = {1, 2, 3};
	chunk_queue_append(&queue, &pool, slice_of(bytes, sizeof(bytes)));
	for (unsigned family = 0; family < 2; family++) {
		struct segment segment = {
			.tuple = family ? tuple_of("2001:db8::10", "2001:db8::55")
					: tuple_of("192.0.2.10", "192.0.2.55"),
			.flags = TCP_ACK,
			.options_length = 40,
			.payload = &queue,
			.payload_length = (uint16_t)(9216 - (family ? 40 : 20) - 60),
		};
		struct link link = {.peer = {2, 0, 0, 0, 0, 1}};
		struct packet_port sender = {.mac = {2, 0, 0, 0, 0, 0xaa}, .vlan = 42};
		uint8_t *buffer = malloc(OUTBOX_FRAME_MAX);
		struct view view;
		assert_int_equal(build_segment(buffer, &sender, &link, &segment), OUTBOX_FRAME_MAX);
		assert_int_equal(
			packet_parse(&vlan_port, slice_of(buffer, OUTBOX_FRAME_MAX), &view),
			REASON_NONE);
		assert_int_equal(packet_verify(&vlan_port, &view), REASON_NONE);
		assert_int_equal(view.payload.length, segment.payload_length);
		free(buffer);
	}
	chunk_queue_clear(&queue, &pool);
	pool_fini(&pool);
}

static void resets(void **state)
{
	static const struct {
		const char *what;
		uint8_t flags;
		unsigned payload;
		bool answered;
		uint8_t reset_flags;
		uint32_t sequence, acknowledgment;
	} cases[] = {
		{"SYN", TCP_SYN, 0, true, TCP_RST | TCP_ACK, 0, 1001},
		{"SYN with data", TCP_SYN, 7, true, TCP_RST | TCP_ACK, 0, 1008},
		{"SYN-ACK", TCP_SYN | TCP_ACK, 0, true, TCP_RST, 5000, 0},
		{"data", TCP_ACK | TCP_PSH, 7, true, TCP_RST, 5000, 0},
		{"FIN", TCP_ACK | TCP_FIN, 0, true, TCP_RST, 5000, 0},
		{"FIN alone", TCP_FIN, 7, true, TCP_RST | TCP_ACK, 0, 1008},
		{"RST", TCP_RST, 0, false, 0, 0, 0},
		{"RST-ACK", TCP_RST | TCP_ACK, 0, false, 0, 0, 0},
	};
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct view view = {
			.kind = VIEW_TCP,
			.source = address_of("192.0.2.55"),
			.destination = address_of("192.0.2.10"),
			.source_port = 40000,
			.destination_port = 25,
			.sequence = 1000,
			.acknowledgment = 5000,
			.flags = cases[i].flags,
			.payload = {(const uint8_t *)"payload", cases[i].payload},
		};
		struct segment reset;
		assert_int_equal(build_reset_for(&view, &reset), cases[i].answered);
		if (!cases[i].answered)
			continue;
		struct tuple expected = tuple_of("192.0.2.10", "192.0.2.55");
		assert_true(tuple_equal(&reset.tuple, &expected));
		assert_int_equal(reset.flags, cases[i].reset_flags);
		assert_int_equal(reset.sequence, cases[i].sequence);
		assert_int_equal(reset.acknowledgment, cases[i].acknowledgment);
		assert_int_equal(reset.payload_length, 0);
		assert_int_equal(reset.options_length, 0);
	}
}

static void no_reset_for_groups(void **state)
{
	struct view view = {.kind = VIEW_TCP,
			    .source = address_of("192.0.2.55"),
			    .destination = address_of("192.0.2.10"),
			    .flags = TCP_SYN};
	struct segment reset;

	assert_true(build_reset_for(&view, &reset));
	view.link_broadcast = true;
	assert_false(build_reset_for(&view, &reset));
	view.link_broadcast = false;
	view.destination = address_of("224.0.0.1");
	assert_false(build_reset_for(&view, &reset));
	view.destination = address_of("ff02::1");
	assert_false(build_reset_for(&view, &reset));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(segments),
		cmocka_unit_test(payload_across_chunks),
		cmocka_unit_test(largest_frames),
		cmocka_unit_test(resets),
		cmocka_unit_test(no_reset_for_groups),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
