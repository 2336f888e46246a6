// SPDX-License-Identifier: BSD-3-Clause
//
// A flow's life from outside: initial sequence numbers, SYN and SYN-ACK options, what is agreed,
// early calls, release with everything still queued.
#include "tests/unit/tcp/lab.h"

static uint32_t isn_at(struct lab *lab, const struct tuple *tuple, uint64_t now)
{
	struct flow *flow = tcp_connect(lab->tcp, tuple, LAB_MSS, now);
	struct segment syn;

	assert_non_null(flow);
	assert_true(tcp_output(lab->tcp, flow, now, &syn));
	tcp_release(lab->tcp, flow, now);
	return syn.sequence;
}

// RFC 6528: for one tuple a clock of 4 us, between tuples nothing to see.
static void test_initial_sequence_numbers(void **state)
{
	struct lab *lab = lab_open((struct lab_config){.no_handshake = true});
	uint32_t first = isn_at(lab, &lab->tuple, lab->now);
	uint32_t previous = first;
	unsigned close = 0;

	assert_int_equal(isn_at(lab, &lab->tuple, lab->now + 4000) - first, 1000);
	for (uint16_t port = 1; port < 1000; port++) {
		struct tuple other = lab->tuple;
		other.local_port = port;
		uint32_t isn = isn_at(lab, &other, lab->now);
		close += isn - previous < 0x10000000;
		previous = isn;
	}
	assert_in_range(close, 30, 100); // a sixteenth, by chance
	lab_close(lab);
}

static void test_syn_offers_and_takes_what_is_agreed(void **state)
{
	for (int agreed = 0; agreed < 8; agreed++) {
		struct lab *lab = lab_open((struct lab_config){.no_handshake = true,
							       .receive_buffer = 200000,
							       .chunks = 4000,
							       .timestamps = agreed & 1});

		lab->flow = tcp_connect(lab->tcp, &lab->tuple, 1460, lab->now);
		assert_int_equal(lab_output(lab), 1);
		const struct lab_sent *syn = &lab->sent[0];
		assert_int_equal(syn->options.mss, 1460);
		assert_int_equal(syn->options.window_scale, 2);
		assert_true(syn->options.timestamps);
		assert_true(syn->options.sack_permitted);
		assert_int_equal(syn->segment.window, 65535);
		lab->our_base = syn->segment.sequence + 1;

		struct lab_in in = {.seq = -1u, .flags = TCP_SYN | TCP_ACK, .window = 1000};
		struct view view = lab_view(lab, &in);
		struct tcp_options options = {.mss = 700,
					      .window_scale = agreed & 2 ? 3 : TCP_NO_WINDOW_SCALE,
					      .sack_permitted = agreed & 4,
					      .timestamps = agreed & 1,
					      .timestamp_value = 55};
		uint8_t bytes[40];
		view.options = slice_of(bytes, options_write(&options, bytes));
		tcp_input(lab->tcp, lab->flow, &view, lab->now, &lab->events);
		assert_int_equal(lab->events, TCP_EVENT_ESTABLISHED);
		assert_true(tcp_is_established(lab->flow));
		lab_queue(lab, 0, 5000);
		lab_settle(lab);
		// A SYN's window is not scaled; ours is from now on.
		assert_int_equal(lab->sent_count, 1);
		assert_int_equal(lab->sent[0].segment.payload_length, agreed & 1 ? 688 : 700);
		assert_int_equal(lab->sent[0].options.timestamps, agreed & 1);
		if (agreed & 1)
			assert_int_equal(lab->sent[0].options.timestamp_echo, 55);
		assert_int_equal(lab->sent[0].segment.window, agreed & 2 ? 50000 : 65535);
		lab_give(lab,
			 (struct lab_in){.ack = agreed & 1 ? 688 : 700, .window = 500, .time = 56});
		assert_int_equal(lab->sent_count, agreed & 2 ? 5 : 1);
		lab_give(lab, (struct lab_in){.seq = 10, .length = 10, .time = 57});
		assert_int_equal(lab->sent[0].sack.count, agreed & 4 ? 1 : 0);
		lab_close(lab);
	}
}

static void test_syn_ack_options(void **state)
{
	struct lab *lab = lab_open((struct lab_config){
		.no_handshake = true, .receive_buffer = 200000, .chunks = 4000});
	static const struct tcp_options cases[] = {
		{.mss = 536, .window_scale = TCP_NO_WINDOW_SCALE, .sack_permitted = true},
		{.mss = 536, .window_scale = 0},
		{.mss = 536, .window_scale = 9, .timestamps = true, .timestamp_value = 77},
	};

	for (size_t i = 0; i < 3; i++) {
		struct segment answer = {0};
		struct tcp_options got;

		tcp_syn_ack_options(lab->tcp, &cases[i], 1460, 4242, &answer);
		assert_true(
			options_parse(slice_of(answer.options, answer.options_length), true, &got));
		assert_int_equal(got.mss, 1460);
		assert_int_equal(got.sack_permitted, i == 0);
		assert_int_equal(got.window_scale, i == 0 ? TCP_NO_WINDOW_SCALE : 2);
		assert_int_equal(got.timestamps, i == 2);
		assert_int_equal(got.timestamp_value, i == 2 ? 4242 : 0);
		assert_int_equal(got.timestamp_echo, i == 2 ? 77 : 0);
		assert_int_equal(answer.window, 65535);
	}
	lab_close(lab);
}

// The client's first bytes come with the ACK that completes the handshake.
static void test_accept_then_the_ack_with_bytes(void **state)
{
	struct lab *lab = lab_open((struct lab_config){.our_isn = 0u - 1, .peer_isn = 0u - 1});

	lab_input(lab, (struct lab_in){.length = 20});
	assert_int_equal(lab->events, TCP_EVENT_READABLE);
	assert_int_equal(lab_read(lab, 0, 100), 20);
	lab_queue(lab, 0, 40); // the banner
	lab_settle(lab);
	assert_int_equal(lab->sent_count, 1);
	assert_int_equal(lab->sent[0].ack, 20);
	assert_int_equal(lab->sent[0].seq, 0);
	lab_close(lab);
}

static void test_close_before_the_handshake_ends(void **state)
{
	struct lab *lab = lab_open((struct lab_config){.no_handshake = true});

	lab->flow = tcp_connect(lab->tcp, &lab->tuple, LAB_MSS, lab->now);
	lab_queue(lab, 0, 10);
	tcp_close(lab->tcp, lab->flow);
	lab_output(lab);
	lab->our_base = lab->sent[0].segment.sequence + 1;
	lab_give(lab, (struct lab_in){.seq = -1u, .flags = TCP_SYN | TCP_ACK});
	assert_int_equal(lab->sent_count, 1);
	assert_int_equal(lab->sent[0].segment.flags, TCP_FIN | TCP_PSH | TCP_ACK);
	lab_state(lab, "FIN-WAIT-1");
	lab_close(lab);
}

static void test_abort_in_syn_sent_is_silent(void **state)
{
	struct lab *lab = lab_open((struct lab_config){.no_handshake = true});
	struct segment reset;

	lab->flow = tcp_connect(lab->tcp, &lab->tuple, LAB_MSS, lab->now);
	lab_output(lab);
	assert_false(tcp_abort(lab->tcp, lab->flow, &reset));
	assert_true(tcp_deadline(lab->flow) == UINT64_MAX);
	lab_close(lab);
}

static void test_send_takes_what_room_and_pool_allow(void **state)
{
	struct lab *lab = lab_open((struct lab_config){.chunks = 2, .send_buffer = 100000});

	assert_int_equal(lab_queue(lab, 0, 50000), 2 * CHUNK_BYTES);
	assert_int_equal(tcp_send_room(lab->flow), 100000 - 2 * CHUNK_BYTES);
	lab_close(lab); // gives all of it back
	lab = lab_open((struct lab_config){.send_buffer = 300});
	assert_int_equal(tcp_send_room(lab->flow), 300);
	assert_int_equal(lab_queue(lab, 0, 50000), 300);
	lab_close(lab);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_initial_sequence_numbers),
		cmocka_unit_test(test_syn_offers_and_takes_what_is_agreed),
		cmocka_unit_test(test_syn_ack_options),
		cmocka_unit_test(test_accept_then_the_ack_with_bytes),
		cmocka_unit_test(test_close_before_the_handshake_ends),
		cmocka_unit_test(test_abort_in_syn_sent_is_silent),
		cmocka_unit_test(test_send_takes_what_room_and_pool_allow),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
