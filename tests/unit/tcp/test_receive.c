// SPDX-License-Identifier: BSD-3-Clause
//
// Bytes in order: lent from the frame, kept when left, acknowledged when safe; the window and when
// ACKs go out; and what happens when the pool has no chunk.
#include "tests/unit/tcp/lab.h"

static void test_bytes_are_lent_from_the_frame(void **state)
{
	struct lab *lab = lab_open((struct lab_config){0});

	assert_int_equal(lab_input(lab, (struct lab_in){.length = 500}), REASON_NONE);
	assert_int_equal(lab->events, TCP_EVENT_READABLE);
	assert_true(tcp_received(lab->flow).data == lab->frame);
	assert_int_equal(lab_read(lab, 0, 1000), 500);
	lab_settle(lab);
	assert_int_equal(pool_used(&lab->chunks), 0); // never copied
	// What is left is kept, and comes before newer bytes.
	lab_input(lab, (struct lab_in){.seq = 500, .length = 500});
	assert_int_equal(lab_read(lab, 500, 100), 100);
	lab_settle(lab);
	assert_int_equal(pool_used(&lab->chunks), 1);
	lab_input(lab, (struct lab_in){.seq = 1000, .length = 500});
	assert_int_equal(lab_read(lab, 600, 5000), 900);
	lab_settle(lab);
	assert_int_equal(pool_used(&lab->chunks), 0);
	lab_close(lab);
}

// Nothing that could get lost is acknowledged; the peer repeats it.
static void test_empty_pool_acknowledges_only_what_was_kept(void **state)
{
	struct lab *lab = lab_open((struct lab_config){.chunks = 4});
	void *taken[4];

	lab_input(lab, (struct lab_in){.length = 500});
	assert_int_equal(lab_read(lab, 0, 100), 100);
	for (int i = 0; i < 4; i++)
		taken[i] = pool_get(&lab->chunks);
	lab_settle(lab);
	lab_fire(lab); // delayed ACK
	assert_int_equal(lab->sent[0].ack, 100);
	// The repetition is lent as ever, FIN or not.
	lab_input(lab, (struct lab_in){.length = 500, .flags = TCP_FIN | TCP_ACK});
	assert_int_equal(lab->events, TCP_EVENT_READABLE);
	lab_state(lab, "ESTABLISHED");
	assert_int_equal(lab_read(lab, 100, 1000), 400);
	lab_settle(lab);
	lab_output(lab);
	for (int i = 0; i < 4; i++)
		pool_put(&lab->chunks, taken[i]);
	lab_give(lab, (struct lab_in){.length = 500, .flags = TCP_FIN | TCP_ACK});
	assert_int_equal(lab->events, TCP_EVENT_PEER_CLOSED);
	assert_int_equal(lab->sent[0].ack, 501);
	assert_int_equal(tcp_received(lab->flow).length, 0);
	lab_close(lab);
}

static void test_unread_bytes_leave_chunks_for_sending(void **state)
{
	struct lab *lab = lab_open((struct lab_config){.chunks = 16});

	for (uint32_t i = 0; i < 40; i++)
		lab_give(lab, (struct lab_in){.seq = 1000 * i, .length = 1000});
	assert_int_equal(lab->chunks.free_count, 2);
	assert_int_equal(lab_queue(lab, 0, 4000), 4000);
	assert_int_equal(lab_read(lab, 0, 100000), 14 * CHUNK_BYTES);
	lab_close(lab);
}

static void test_every_second_segment_is_acknowledged(void **state)
{
	struct lab *lab = lab_open((struct lab_config){0});

	for (uint32_t i = 0; i < 10; i++) {
		lab_input(lab, (struct lab_in){.seq = 1000 * i, .length = 1000});
		lab_read(lab, 1000 * i, 1000);
		lab_settle(lab);
		assert_int_equal(lab->sent_count, i & 1);
		if (i & 1)
			assert_int_equal(lab->sent[0].ack, 1000 * (i + 1));
	}
	assert_true(tcp_deadline(lab->flow) == UINT64_MAX);
	lab_give(lab, (struct lab_in){.seq = 10000, .length = 1});
	assert_int_equal(lab->sent_count, 0);
	assert_true(tcp_deadline(lab->flow) == lab->now + 40000);
	assert_int_equal(lab_fire(lab), 1);
	assert_int_equal(lab->sent[0].ack, 10001);
	assert_true(tcp_deadline(lab->flow) == UINT64_MAX);
	// Bytes of ours carry the ACK.
	lab_give(lab, (struct lab_in){.seq = 10001, .length = 1});
	lab_queue(lab, 0, 5);
	assert_int_equal(lab_output(lab), 1);
	assert_int_equal(lab->sent[0].ack, 10002);
	lab_give(lab, (struct lab_in){.seq = 10002, .ack = 5});
	assert_true(tcp_deadline(lab->flow) == UINT64_MAX);
	lab_close(lab);
}

static void test_window_closes_and_opens_by_worthwhile_steps(void **state)
{
	struct lab *lab = lab_open((struct lab_config){.receive_buffer = 4000});

	for (uint32_t i = 0; i < 4; i++)
		lab_give(lab, (struct lab_in){.seq = 1000 * i, .length = 1000});
	assert_int_equal(lab->sent[0].segment.window, 0);
	// 999 bytes are less than a segment: no update for that.
	assert_int_equal(lab_read(lab, 0, 999), 999);
	tcp_settle(lab->tcp, lab->flow, lab->now);
	assert_int_equal(lab_output(lab), 0);
	assert_int_equal(lab_read(lab, 999, 1), 1);
	tcp_settle(lab->tcp, lab->flow, lab->now);
	assert_int_equal(lab_output(lab), 1);
	assert_int_equal(lab->sent[0].segment.window, 1000);
	assert_int_equal(lab->sent[0].ack, 4000);
	assert_int_equal(lab_read(lab, 1000, 500), 500); // and none while a segment still fits
	tcp_settle(lab->tcp, lab->flow, lab->now);
	assert_int_equal(lab_output(lab), 0);
	lab_close(lab);
}

// The right edge never moves left, whatever is received, read or left.
static void test_right_edge_never_moves_back(void **state)
{
	struct lab *lab = lab_open((struct lab_config){.receive_buffer = 10000});
	uint32_t edge = 10000, received = 0, read = 0, seed = 1;

	for (int i = 0; i < 3000; i++) {
		seed = seed * 1664525 + 1013904223;
		uint32_t length = 1 + (seed >> 8) % 700;
		lab_input(lab, (struct lab_in){.seq = received, .length = length});
		received += length < edge - received ? length : edge - received;
		read += lab_read(lab, read, (seed >> 20) % 800);
		lab_settle(lab);
		for (unsigned n = 0; n < lab->sent_count; n++) {
			uint32_t now = lab->sent[n].ack + lab->sent[n].segment.window;
			assert_true((int32_t)(now - edge) >= 0);
			edge = now;
		}
	}
	lab_close(lab);
}

static void test_fin_waits_for_the_bytes_before_it(void **state)
{
	struct lab *lab = lab_open((struct lab_config){.peer_isn = 0u - 150});

	lab_give(lab, (struct lab_in){.seq = 100, .length = 100, .flags = TCP_FIN | TCP_ACK});
	assert_int_equal(lab->events, 0);
	assert_true(tcp_can_receive(lab->flow));
	lab_input(lab, (struct lab_in){.seq = 0, .length = 100});
	assert_int_equal(lab->events, TCP_EVENT_READABLE | TCP_EVENT_PEER_CLOSED);
	assert_false(tcp_can_receive(lab->flow));
	assert_int_equal(lab_read(lab, 0, 1000), 200);
	lab_settle(lab);
	assert_int_equal(lab->sent[0].ack, 201);
	lab_state(lab, "CLOSE-WAIT");
	// Nothing counts after a FIN.
	lab_give(lab, (struct lab_in){.seq = 201, .length = 10});
	assert_int_equal(tcp_received(lab->flow).length, 0);
	lab_close(lab);
}

static void test_bytes_beyond_a_fin_are_ignored(void **state)
{
	struct lab *lab = lab_open((struct lab_config){0});

	lab_give(lab, (struct lab_in){.seq = 151, .length = 50}); // a liar's bytes
	lab_give(lab, (struct lab_in){.seq = 100, .length = 50, .flags = TCP_FIN | TCP_ACK});
	lab_give(lab, (struct lab_in){.seq = 0, .length = 300});
	assert_true(lab->events & TCP_EVENT_PEER_CLOSED);
	assert_int_equal(lab_read(lab, 0, 1000), 150);
	assert_int_equal(lab->sent[0].ack, 151);
	lab_close(lab);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bytes_are_lent_from_the_frame),
		cmocka_unit_test(test_empty_pool_acknowledges_only_what_was_kept),
		cmocka_unit_test(test_unread_bytes_leave_chunks_for_sending),
		cmocka_unit_test(test_every_second_segment_is_acknowledged),
		cmocka_unit_test(test_window_closes_and_opens_by_worthwhile_steps),
		cmocka_unit_test(test_right_edge_never_moves_back),
		cmocka_unit_test(test_fin_waits_for_the_bytes_before_it),
		cmocka_unit_test(test_bytes_beyond_a_fin_are_ignored),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
