// SPDX-License-Identifier: BSD-3-Clause
//
// Silence, in virtual time: when what is sent again, how the interval grows, when a flow is given
// up.
#include "tests/unit/tcp/lab.h"

static void test_backoff_doubles_until_the_flow_is_given_up(void **state)
{
	struct lab *lab = lab_open((struct lab_config){0});
	uint64_t start = lab->now, expected = 1000000;

	lab_queue(lab, 0, 1500);
	tcp_close(lab->tcp, lab->flow);
	assert_int_equal(lab_output(lab), 2);
	for (;;) {
		uint64_t before = lab->now;
		unsigned sent = lab_fire(lab);
		assert_int_equal(lab->now - before, expected);
		if (lab->events)
			break;
		assert_int_equal(sent, 1); // one segment a time-out
		assert_int_equal(lab->sent[0].seq, 0);
		expected = expected * 2 < 60000000 ? expected * 2 : 60000000;
	}
	assert_int_equal(lab->events, TCP_EVENT_TIMED_OUT);
	assert_in_range(lab->now - start, 100000000, 130000000);
	lab_state(lab, "CLOSED");
	assert_int_equal(lab_output(lab), 0);
	assert_true(tcp_deadline(lab->flow) == UINT64_MAX);
	lab_close(lab);
}

static void test_syn_is_repeated_for_a_minute(void **state)
{
	struct lab *lab = lab_open((struct lab_config){.no_handshake = true});
	uint64_t start = lab->now;
	unsigned syns = 0;

	lab->flow = tcp_connect(lab->tcp, &lab->tuple, LAB_MSS, lab->now);
	syns += lab_output(lab);
	while (lab->events == 0) {
		syns += lab_fire(lab);
		for (unsigned i = 0; i < lab->sent_count; i++)
			assert_int_equal(lab->sent[i].segment.flags, TCP_SYN);
	}
	assert_int_equal(lab->events, TCP_EVENT_TIMED_OUT);
	assert_in_range(lab->now - start, 60000000, 65000000);
	assert_int_equal(syns, 6);
	lab_close(lab);
}

// RFC 5681: who lost a SYN begins with one segment.
static void test_lost_syn_begins_with_one_segment(void **state)
{
	for (int lost = 0; lost < 2; lost++) {
		struct lab *lab = lab_open((struct lab_config){.no_handshake = true});

		lab->flow = tcp_connect(lab->tcp, &lab->tuple, LAB_MSS, lab->now);
		lab_output(lab);
		if (lost)
			assert_int_equal(lab_fire(lab), 1);
		lab->our_base = lab->sent[0].segment.sequence + 1;
		lab->now += 100000;
		lab_queue(lab, 0, 30000); // before the handshake ends: waits for it
		assert_int_equal(lab_output(lab), 0);
		lab_give(lab, (struct lab_in){.seq = -1u, .flags = TCP_SYN | TCP_ACK});
		assert_int_equal(lab->sent[0].segment.payload_length, 536);
		assert_in_range(lab->sent_count, lost ? 1 : 10, lost ? 1 : 30);
		// RFC 6298 5.7, and the answer to a repeated SYN is no sample.
		assert_int_equal(tcp_deadline(lab->flow) - lab->now, lost ? 3000000 : 300000);
		lab_close(lab);
	}
}

// Karn: an ACK of a repeated segment says nothing about the round trip; the doubled timer stays
// until a segment that was sent once is acknowledged.
static void test_karn(void **state)
{
	struct lab *lab = lab_open((struct lab_config){0});

	lab_queue(lab, 0, 100);
	lab_output(lab);
	lab_fire(lab); // 1 s
	lab_fire(lab); // 2 s
	lab->now += 1000;
	lab_give(lab, (struct lab_in){.ack = 100});
	lab_queue(lab, 100, 100);
	lab_output(lab);
	assert_int_equal(tcp_deadline(lab->flow) - lab->now, 4000000);
	lab->now += 10000;
	lab_give(lab, (struct lab_in){.ack = 200});
	lab_queue(lab, 200, 100);
	lab_output(lab);
	assert_int_equal(tcp_deadline(lab->flow) - lab->now, 210000);
	lab_close(lab);
}

// Peers without timestamps that lose much: as long as something is acknowledged the timer stays
// within eight times its value.
static void test_backoff_is_bounded_by_progress(void **state)
{
	struct lab *lab = lab_open((struct lab_config){0});

	lab_queue(lab, 0, 2000);
	lab_output(lab);
	for (int i = 0; i < 5; i++)
		lab_fire(lab);
	assert_int_equal(tcp_deadline(lab->flow) - lab->now, 32000000);
	lab_give(lab, (struct lab_in){.ack = 1000});
	assert_int_equal(tcp_deadline(lab->flow) - lab->now, 8000000);
	lab_close(lab);
}

static void test_timestamps_measure_repeated_segments(void **state)
{
	struct lab *lab = lab_open((struct lab_config){.timestamps = true});

	lab_queue(lab, 0, 100);
	lab_output(lab);
	lab_fire(lab);
	lab->their_time_echo = lab->sent[0].options.timestamp_value;
	lab->now += 20000;
	lab_give(lab, (struct lab_in){.ack = 100});
	lab_queue(lab, 100, 100);
	lab_output(lab);
	assert_int_equal(tcp_deadline(lab->flow) - lab->now, 220000);
	lab_close(lab);
}

static void test_timer_restarts_with_each_advance(void **state)
{
	struct lab *lab = lab_open((struct lab_config){0});

	lab_queue(lab, 0, 3000);
	lab_output(lab);
	lab->now += 900000;
	lab_give(lab, (struct lab_in){.ack = 1000});
	assert_true(tcp_deadline(lab->flow) > lab->now + 900000);
	// Called too early nothing happens.
	tcp_timeout(lab->tcp, lab->flow, lab->now, &lab->events);
	assert_int_equal(lab_output(lab), 0);
	lab_close(lab);
}

static void test_unanswered_probes_end_the_flow(void **state)
{
	struct lab *lab = lab_open((struct lab_config){.window = 100});
	uint64_t start;

	lab_queue(lab, 0, 200);
	lab_output(lab);
	lab_give(lab, (struct lab_in){.ack = 100, .window = LAB_ZERO_WINDOW});
	start = lab->now;
	while (lab->events == 0 || lab->events == TCP_EVENT_WRITABLE)
		lab_fire(lab);
	assert_int_equal(lab->events, TCP_EVENT_TIMED_OUT);
	assert_in_range(lab->now - start, 100000000, 170000000);
	lab_close(lab);
}

// Of so small a window only the probes make use: they and their repetitions take turns.
static void test_silence_behind_a_tiny_window_ends_the_flow(void **state)
{
	struct lab *lab = lab_open((struct lab_config){.window = 1000});
	uint64_t start;

	lab_queue(lab, 0, 2000);
	lab_output(lab);
	lab_give(lab, (struct lab_in){.ack = 1000, .window = 2});
	start = lab->now;
	for (int i = 0; i < 40 && !(lab->events & TCP_EVENT_TIMED_OUT); i++)
		lab_fire(lab);
	assert_int_equal(lab->events, TCP_EVENT_TIMED_OUT);
	assert_in_range(lab->now - start, 100000000, 170000000);
	lab_close(lab);
}

static void test_fin_wait_2_ends_without_a_fin(void **state)
{
	struct lab *lab = lab_open((struct lab_config){0});

	tcp_close(lab->tcp, lab->flow);
	lab_output(lab);
	lab_give(lab, (struct lab_in){.ack = 1});
	lab_state(lab, "FIN-WAIT-2");
	lab->now += 50000000;
	lab_input(lab, (struct lab_in){.ack = 1, .length = 10}); // the peer is still there
	lab_read(lab, 0, 10);
	lab_settle(lab);
	lab_fire(lab); // delayed ACK
	lab->events = 0;
	assert_in_range(tcp_deadline(lab->flow) - lab->now, 179000000, 180000000);
	lab_fire(lab);
	assert_int_equal(lab->events, TCP_EVENT_TIMED_OUT);
	assert_int_equal(tcp_time_wait_used(lab->tcp), 0);
	lab_close(lab);
}

// The peer cannot send while the application reads nothing: its silence is not its fault.
static void test_fin_wait_2_stays_while_bytes_are_unread(void **state)
{
	struct lab *lab = lab_open((struct lab_config){.receive_buffer = 1000});

	tcp_close(lab->tcp, lab->flow);
	lab_output(lab);
	lab_give(lab, (struct lab_in){.ack = 1, .length = 1000});
	lab_fire(lab); // delayed ACK
	for (int i = 0; i < 5; i++) {
		lab_fire(lab);
		assert_int_equal(lab->events, 0);
	}
	assert_int_equal(lab_read(lab, 0, 1000), 1000);
	tcp_settle(lab->tcp, lab->flow, lab->now);
	lab_output(lab);
	lab_fire(lab);
	assert_int_equal(lab->events, TCP_EVENT_TIMED_OUT);
	lab_close(lab);
}

// ---- Keep-alive ------------------------------------------------------------------------------

static void test_keepalive_waits_for_silence_and_gives_up(void **state)
{
	struct lab *lab = lab_open((struct lab_config){.our_isn = 0u - 5, .timestamps = true});

	lab_queue(lab, 0, 100);
	lab_output(lab);
	tcp_set_keepalive(lab->flow, 5000);
	lab_output(lab);
	assert_true(tcp_deadline(lab->flow) - lab->now <= 1000000); // bytes in flight come first
	lab_give(lab, (struct lab_in){.ack = 100});
	assert_int_equal(tcp_deadline(lab->flow) - lab->now, 5000000);
	// Each sign of life begins the silence anew, an answer to a probe too.
	lab->now += 3000000;
	lab_give(lab, (struct lab_in){.ack = 100});
	for (int i = 0; i < 20; i++) {
		assert_int_equal(tcp_deadline(lab->flow) - lab->now, 5000000);
		assert_int_equal(lab_fire(lab), 1);
		assert_int_equal(lab->events, 0);
		assert_int_equal(lab->sent[0].seq, 99); // before the window: it must be answered
		assert_int_equal(lab->sent[0].segment.flags, TCP_ACK);
		assert_int_equal(lab->sent[0].segment.payload_length, 0);
		lab_give(lab, (struct lab_in){.ack = 100});
		assert_int_equal(lab->sent_count, 0);
	}
	for (int i = 0; i < 3; i++) {
		assert_int_equal(lab_fire(lab), 1);
		assert_int_equal(lab->events, 0);
	}
	lab_fire(lab);
	assert_int_equal(lab->events, TCP_EVENT_TIMED_OUT);
	lab_close(lab);
}

static void test_keepalive_goes_off_and_yields_to_bytes(void **state)
{
	struct lab *lab = lab_open((struct lab_config){0});

	tcp_set_keepalive(lab->flow, 5000);
	lab_output(lab);
	tcp_set_keepalive(lab->flow, 0);
	lab_output(lab);
	assert_true(tcp_deadline(lab->flow) == UINT64_MAX);
	tcp_set_keepalive(lab->flow, 5000);
	lab_output(lab);
	lab_fire(lab);
	lab_fire(lab);
	// What is sent now has its own 100 seconds, whatever the silence before it.
	uint64_t start = lab->now;
	lab_queue(lab, 0, 10);
	assert_int_equal(lab_output(lab), 1);
	while (lab->events == 0)
		lab_fire(lab);
	assert_int_equal(lab->events, TCP_EVENT_TIMED_OUT);
	assert_true(lab->now - start >= 100000000);
	lab_close(lab);
}

static void test_lost_fin_is_repeated(void **state)
{
	struct lab *lab = lab_open((struct lab_config){.our_isn = 0u - 1});

	tcp_close(lab->tcp, lab->flow);
	lab_output(lab);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(lab_fire(lab), 1);
		assert_int_equal(lab->sent[0].segment.flags, TCP_FIN | TCP_ACK);
		assert_int_equal(lab->sent[0].seq, 0);
	}
	lab_give(lab, (struct lab_in){.ack = 1});
	lab_state(lab, "FIN-WAIT-2");
	lab_close(lab);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_backoff_doubles_until_the_flow_is_given_up),
		cmocka_unit_test(test_syn_is_repeated_for_a_minute),
		cmocka_unit_test(test_lost_syn_begins_with_one_segment),
		cmocka_unit_test(test_karn),
		cmocka_unit_test(test_backoff_is_bounded_by_progress),
		cmocka_unit_test(test_timestamps_measure_repeated_segments),
		cmocka_unit_test(test_timer_restarts_with_each_advance),
		cmocka_unit_test(test_unanswered_probes_end_the_flow),
		cmocka_unit_test(test_silence_behind_a_tiny_window_ends_the_flow),
		cmocka_unit_test(test_fin_wait_2_ends_without_a_fin),
		cmocka_unit_test(test_fin_wait_2_stays_while_bytes_are_unread),
		cmocka_unit_test(test_keepalive_waits_for_silence_and_gives_up),
		cmocka_unit_test(test_keepalive_goes_off_and_yields_to_bytes),
		cmocka_unit_test(test_lost_fin_is_repeated),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
