// SPDX-License-Identifier: BSD-3-Clause
//
// What goes out when: sizes, flags, windows, probes, and where a bare ACK's sequence number lies.
#include "tests/unit/tcp/lab.h"

static void test_bytes_go_out_in_full_segments_and_a_pushed_tail(void **state)
{
	for (int timestamps = 0; timestamps < 2; timestamps++) {
		struct lab *lab = lab_open(
			(struct lab_config){.our_isn = 0u - 1500, .timestamps = timestamps});
		uint32_t mss = timestamps ? LAB_MSS - 12 : LAB_MSS;

		lab_queue(lab, 0, 2500);
		assert_int_equal(lab_output(lab), 3);
		for (uint32_t i = 0, seq = 0; i < 3; i++) {
			const struct lab_sent *sent = &lab->sent[i];
			assert_int_equal(sent->seq, seq);
			assert_int_equal(sent->segment.payload_length,
					 i < 2 ? mss : 2500 - 2 * mss);
			assert_int_equal(sent->segment.flags, i < 2 ? TCP_ACK : TCP_ACK | TCP_PSH);
			for (uint32_t n = 0; n < sent->segment.payload_length; n++)
				assert_int_equal(sent->bytes[n], lab_byte(seq + n));
			seq += sent->segment.payload_length;
		}
		lab_close(lab);
	}
}

static void test_small_writes_of_a_turn_become_one_segment(void **state)
{
	struct lab *lab = lab_open((struct lab_config){0});

	for (uint32_t i = 0; i < 5; i++)
		lab_queue(lab, 20 * i, 20);
	assert_int_equal(lab_output(lab), 1);
	assert_int_equal(lab->sent[0].segment.payload_length, 100);
	// The next one does not wait for the ACK of the first.
	lab_queue(lab, 100, 7);
	assert_int_equal(lab_output(lab), 1);
	assert_int_equal(lab->sent[0].segment.payload_length, 7);
	lab_close(lab);
}

static void test_fin_rides_on_the_last_bytes(void **state)
{
	struct lab *lab = lab_open((struct lab_config){0});

	lab_queue(lab, 0, 1500);
	tcp_close(lab->tcp, lab->flow);
	tcp_close(lab->tcp, lab->flow);
	assert_int_equal(tcp_send(lab->tcp, lab->flow, slice_of("x", 1)), 0);
	assert_int_equal(lab_output(lab), 2);
	assert_int_equal(lab->sent[1].segment.flags, TCP_FIN | TCP_PSH | TCP_ACK);
	assert_int_equal(lab->sent[1].segment.payload_length, 500);
	assert_false(tcp_all_acknowledged(lab->flow));
	lab_give(lab, (struct lab_in){.ack = 1500});
	assert_false(tcp_all_acknowledged(lab->flow));
	lab_state(lab, "FIN-WAIT-1");
	lab_give(lab, (struct lab_in){.ack = 1501});
	assert_true(tcp_all_acknowledged(lab->flow));
	lab_state(lab, "FIN-WAIT-2");
	lab_close(lab);
}

static void test_the_peers_window_bounds_what_is_sent(void **state)
{
	struct lab *lab = lab_open((struct lab_config){.window = 2500});

	lab_queue(lab, 0, 10000);
	// Two full segments; 500 more would fit, but that is a silly fragment.
	assert_int_equal(lab_output(lab), 2);
	lab_give(lab, (struct lab_in){.ack = 1000, .window = 2500});
	assert_int_equal(lab->sent_count, 1);
	lab_give(lab, (struct lab_in){.ack = 3000, .window = 400});
	assert_int_equal(lab->sent_count, 0);
	// Half of the largest window ever offered is not silly.
	lab_give(lab, (struct lab_in){.seq = 0, .ack = 3000, .window = 1250});
	assert_int_equal(lab->sent_count, 1);
	assert_int_equal(lab->sent[0].segment.payload_length, 1000);
	lab_close(lab);
}

static void test_scaled_windows(void **state)
{
	struct lab *lab = lab_open((struct lab_config){
		.scale = true, .receive_buffer = 1 << 20, .send_buffer = 1 << 20, .chunks = 20000});

	assert_int_equal(tcp_window_scale(lab->tcp), 5); // 65,535 << 5 is the first above 1 MB
	lab_queue(lab, 0, 10);
	lab_output(lab);
	assert_int_equal(lab->sent[0].segment.window, (1 << 20) >> 5);
	lab_close(lab);
	// Nobody scales when the peer did not offer it.
	lab = lab_open((struct lab_config){.receive_buffer = 1 << 20, .chunks = 20000});
	lab_queue(lab, 0, 10);
	lab_output(lab);
	assert_int_equal(lab->sent[0].segment.window, 65535);
	lab_close(lab);
}

static void test_zero_window_is_probed_and_the_probe_sent_again(void **state)
{
	struct lab *lab = lab_open((struct lab_config){.window = 1000});
	uint64_t last = 0, interval = 0;

	lab_queue(lab, 0, 3000);
	assert_int_equal(lab_output(lab), 1);
	lab_give(lab, (struct lab_in){.ack = 1000, .window = LAB_ZERO_WINDOW});
	assert_int_equal(lab->sent_count, 0);
	last = lab->now;
	// Ever rarer, for ever as long as they are answered.
	for (int i = 0; i < 30; i++) {
		assert_int_equal(lab_fire(lab), 1);
		assert_int_equal(lab->events, 0);
		assert_int_equal(lab->sent[0].seq, 1000);
		assert_int_equal(lab->sent[0].segment.payload_length, 1);
		assert_true(lab->now - last >= interval);
		assert_true(lab->now - last <= 60000000);
		interval = lab->now - last;
		last = lab->now;
		lab_give(lab, (struct lab_in){.ack = 1000, .window = LAB_ZERO_WINDOW});
		assert_int_equal(lab->sent_count, 0);
	}
	assert_true(interval == 60000000);
	// A bare ACK meanwhile lies inside the window, or the peer would discard it.
	lab_give(lab, (struct lab_in){.length = 1, .ack = 1000, .window = LAB_ZERO_WINDOW});
	lab_give(lab,
		 (struct lab_in){.seq = 1, .length = 1, .ack = 1000, .window = LAB_ZERO_WINDOW});
	assert_int_equal(lab->sent_count, 1);
	assert_int_equal(lab->sent[0].seq, 1000);
	// The window opens: the byte of the probe goes again with all others.
	lab_give(lab, (struct lab_in){.seq = 2, .ack = 1000, .window = 2000});
	assert_int_equal(lab->sent_count, 2);
	assert_int_equal(lab->sent[0].seq, 1000);
	assert_int_equal(lab->sent[0].segment.payload_length, 1000);
	lab_give(lab, (struct lab_in){.seq = 2, .ack = 3000});
	assert_true(tcp_all_acknowledged(lab->flow));
	lab_close(lab);
}

static void test_a_probe_that_was_taken_counts(void **state)
{
	struct lab *lab = lab_open((struct lab_config){.window = 1000});

	lab_queue(lab, 0, 3000);
	lab_output(lab);
	lab_give(lab, (struct lab_in){.ack = 1000, .window = LAB_ZERO_WINDOW});
	assert_int_equal(lab_fire(lab), 1);
	lab_give(lab, (struct lab_in){.ack = 1001, .window = 5000});
	assert_int_equal(lab->sent_count, 2);
	assert_int_equal(lab->sent[0].seq, 1001);
	assert_int_equal(lab->sent[1].segment.payload_length, 999);
	lab_close(lab);
}

// A window too small for a segment and nothing in flight: the persist timer sends what fits.
static void test_silly_window_is_overridden_in_time(void **state)
{
	struct lab *lab = lab_open((struct lab_config){.window = 1000});

	lab_queue(lab, 0, 3000);
	lab_output(lab);
	lab_give(lab, (struct lab_in){.ack = 1000, .window = 100});
	assert_int_equal(lab->sent_count, 0);
	assert_int_equal(lab_fire(lab), 1);
	assert_int_equal(lab->sent[0].seq, 1000);
	assert_int_equal(lab->sent[0].segment.payload_length, 100);
	lab_give(lab, (struct lab_in){.ack = 1100});
	assert_int_equal(lab->sent_count, 2);
	assert_int_equal(lab->sent[0].seq, 1100);
	lab_close(lab);
}

// What went out because of the persist timer is repeated like anything else.
static void test_small_segment_backs_off_and_the_flow_is_given_up(void **state)
{
	struct lab *lab = lab_open((struct lab_config){.window = 1000});
	uint64_t start, interval = 0;

	lab_queue(lab, 0, 3000);
	lab_output(lab);
	lab_give(lab, (struct lab_in){.ack = 1000, .window = 100});
	assert_int_equal(lab_fire(lab), 1);
	start = lab->now;
	while (lab->now - start < 200000000) {
		uint64_t before = lab->now;

		lab_fire(lab);
		if (lab->events)
			break;
		assert_int_equal(lab->sent_count, 1);
		assert_int_equal(lab->sent[0].seq, 1000);
		assert_int_equal(lab->sent[0].segment.payload_length, 100);
		assert_true(lab->now - before >=
			    (2 * interval < 60000000 ? 2 * interval : 60000000));
		interval = lab->now - before;
	}
	assert_int_equal(lab->events, TCP_EVENT_TIMED_OUT);
	assert_in_range(lab->now - start, 100000000, 160000000);
	lab_close(lab);
}

static void test_tiny_mss_has_a_floor(void **state)
{
	static const struct {
		uint16_t offered;
		uint16_t used;
	} cases[] = {{0, 536}, {1, 88}, {8, 88}, {48, 88}, {88, 88}, {536, 536}, {9000, 1000}};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct lab *lab = lab_open((struct lab_config){.no_handshake = true});
		struct tcp_accept accept = {
			.tuple = lab->tuple,
			.options = {.mss = cases[i].offered, .window_scale = TCP_NO_WINDOW_SCALE},
			.our_mss = LAB_MSS,
			.peer_window = 65535,
		};

		lab->flow = tcp_accept(lab->tcp, &accept, lab->now);
		lab_queue(lab, 0, 2000);
		assert_true(lab_output(lab) >= 2);
		assert_int_equal(lab->sent[0].segment.payload_length, cases[i].used);
		lab_close(lab);
	}
}

// RFC 9293 MUST-15: 536 and 1220 towards a peer that says nothing.
static void test_default_segment_of_each_family(void **state)
{
	for (int ipv6 = 0; ipv6 < 2; ipv6++) {
		struct lab *lab = lab_open((struct lab_config){.no_handshake = true});
		struct tcp_accept accept = {
			.tuple = lab->tuple,
			.options = {.window_scale = TCP_NO_WINDOW_SCALE},
			.our_mss = 1440,
			.peer_window = 65535,
		};

		if (ipv6) {
			accept.tuple.local = (struct address){{0x20, 1, 0xd, 0xb8, [15] = 1}};
			accept.tuple.remote = (struct address){{0x20, 1, 0xd, 0xb8, [15] = 2}};
		}
		lab->flow = tcp_accept(lab->tcp, &accept, lab->now);
		lab_queue(lab, 0, 3000);
		assert_true(lab_output(lab) >= 2);
		assert_int_equal(lab->sent[0].segment.payload_length, ipv6 ? 1220 : 536);
		lab_close(lab);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bytes_go_out_in_full_segments_and_a_pushed_tail),
		cmocka_unit_test(test_small_writes_of_a_turn_become_one_segment),
		cmocka_unit_test(test_fin_rides_on_the_last_bytes),
		cmocka_unit_test(test_the_peers_window_bounds_what_is_sent),
		cmocka_unit_test(test_scaled_windows),
		cmocka_unit_test(test_zero_window_is_probed_and_the_probe_sent_again),
		cmocka_unit_test(test_a_probe_that_was_taken_counts),
		cmocka_unit_test(test_silly_window_is_overridden_in_time),
		cmocka_unit_test(test_small_segment_backs_off_and_the_flow_is_given_up),
		cmocka_unit_test(test_tiny_mss_has_a_floor),
		cmocka_unit_test(test_default_segment_of_each_family),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
