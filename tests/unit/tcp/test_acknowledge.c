// SPDX-License-Identifier: BSD-3-Clause
//
// What the peer's ACK numbers and windows do: room, events, which window counts, round-trip
// samples.
#include "tests/unit/tcp/lab.h"

static void test_acknowledged_bytes_make_room(void **state)
{
	struct lab *lab = lab_open((struct lab_config){.our_isn = 0u - 700, .send_buffer = 2000});

	assert_int_equal(lab_queue(lab, 0, 5000), 2000);
	assert_int_equal(tcp_send_room(lab->flow), 0);
	lab_output(lab);
	lab_give(lab, (struct lab_in){.ack = 700}); // inside of a segment, past the wrap
	assert_int_equal(lab->events, TCP_EVENT_WRITABLE);
	assert_int_equal(tcp_send_room(lab->flow), 700);
	lab_give(lab, (struct lab_in){.ack = 700});
	assert_int_equal(lab->events, 0);
	lab_give(lab, (struct lab_in){.ack = 600}); // older: nothing
	assert_int_equal(tcp_send_room(lab->flow), 700);
	lab_give(lab, (struct lab_in){.ack = 2000});
	assert_true(tcp_all_acknowledged(lab->flow));
	assert_int_equal(pool_used(&lab->chunks), 0);
	assert_true(tcp_deadline(lab->flow) == UINT64_MAX);
	lab_close(lab);
}

// Windows of reordered segments. 3,000 bytes are sent and wait; then the two segments come, and as
// many full segments go out as the right window allows.
static const struct {
	const char *name;
	struct lab_in first, second;
	unsigned sent;
} orders[] = {
	{"larger later", {.ack = 1000, .window = 2000}, {.ack = 1000, .window = 4000}, 2},
	{"the smaller was overtaken",
	 {.ack = 1000, .window = 4000},
	 {.ack = 1000, .window = 2000},
	 2},
	{"old ACK", {.ack = 2000, .window = 2000}, {.ack = 1000, .window = 60000}, 1},
	{"newer sequence number closes",
	 {.ack = 1000, .window = 2000},
	 {.seq = 0, .length = 1, .ack = 1000, .window = 2000},
	 0},
	{"an ACK that advances brings its window, whatever its sequence number",
	 {.seq = 5, .ack = 1000, .window = 2000},
	 {.seq = 0, .length = 1, .ack = 2000, .window = 1000},
	 0},
};

static void test_newest_window_counts(void **state)
{
	for (size_t i = 0; i < sizeof(orders) / sizeof(orders[0]); i++) {
		struct lab *lab = lab_open((struct lab_config){.window = 3000});
		unsigned sent = 0;

		lab_queue(lab, 0, 20000);
		assert_int_equal(lab_output(lab), 3);
		lab_give(lab, orders[i].first);
		for (unsigned n = 0; n < lab->sent_count; n++)
			sent += lab->sent[n].segment.payload_length > 0;
		lab_give(lab, orders[i].second);
		for (unsigned n = 0; n < lab->sent_count; n++)
			sent += lab->sent[n].segment.payload_length > 0;
		if (sent != orders[i].sent)
			fail_msg("%s: %u segments", orders[i].name, sent);
		lab_close(lab);
	}
}

// A peer that takes its window back without a new sequence number. At first that looks like an old
// ACK that was overtaken; once the timer has fired nothing old is under way. The closed window is
// probed for as long as the probes are answered.
static void test_a_window_that_shrank_is_probed(void **state)
{
	struct lab *lab = lab_open((struct lab_config){.window = 3000});
	uint64_t start = lab->now;

	lab_queue(lab, 0, 20000);
	assert_int_equal(lab_output(lab), 3);
	while (lab->now - start < 1000000000) {
		if (lab_fire(lab) == 0) // a time-out that finds the window closed only waits on
			continue;
		assert_int_equal(lab->sent_count, 1);
		assert_int_equal(lab->sent[0].seq, 0);
		lab_give(lab, (struct lab_in){.window = LAB_ZERO_WINDOW});
		assert_int_equal(lab->sent_count, 0);
		lab_state(lab, "ESTABLISHED");
	}
	assert_int_equal(lab_fire(lab), 1);
	assert_int_equal(lab->sent[0].segment.payload_length, 1);
	lab_give(lab, (struct lab_in){.window = 3000});
	assert_int_equal(lab->sent_count, 1); // slow start
	assert_int_equal(lab->sent[0].segment.payload_length, 1000);
	lab_close(lab);
}

// The retransmission timer shows the round trip that was measured.
static uint64_t timer_after_round_trip(bool timestamps, uint64_t rtt_us, uint32_t wrong_echo)
{
	struct lab *lab = lab_open((struct lab_config){.timestamps = timestamps});

	lab_queue(lab, 0, 100);
	lab_output(lab);
	if (wrong_echo != 0) // of a repeated segment: there is nothing else to measure by
		lab_fire(lab);
	lab->their_time_echo = lab->sent[0].options.timestamp_value + wrong_echo;
	lab->now += rtt_us;
	lab_give(lab, (struct lab_in){.ack = 100});
	lab_queue(lab, 100, 100);
	lab_output(lab);
	uint64_t timer_us = tcp_deadline(lab->flow) - lab->now;
	lab_close(lab);
	return timer_us;
}

static void test_round_trip_sets_the_timer(void **state)
{
	for (int timestamps = 0; timestamps < 2; timestamps++) {
		// SRTT + max(200 ms, 4 RTTVAR), RTTVAR = SRTT / 2 after the first sample.
		assert_int_equal(timer_after_round_trip(timestamps, 10000, 0), 210000);
		assert_int_equal(timer_after_round_trip(timestamps, 500000, 0), 1500000);
	}
	// An echo from the future, or from before anything was sent, is no sample.
	assert_int_equal(timer_after_round_trip(true, 10000, 100000), 2000000);
	assert_int_equal(timer_after_round_trip(true, 10000, 0u - 200000), 2000000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_acknowledged_bytes_make_room),
		cmocka_unit_test(test_newest_window_counts),
		cmocka_unit_test(test_a_window_that_shrank_is_probed),
		cmocka_unit_test(test_round_trip_sets_the_timer),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
