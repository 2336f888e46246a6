// SPDX-License-Identifier: BSD-3-Clause
//
// How much goes out, seen on the wire: initial window, slow start, fast retransmit, NewReno,
// limited transmit, restart after idle.
#include "tests/unit/tcp/lab.h"

static struct lab *open_sending(uint32_t queued)
{
	struct lab *lab = lab_open((struct lab_config){
		.our_isn = 0u - 5500, .send_buffer = 200000, .chunks = 200, .mss = LAB_MSS});

	assert_int_equal(lab_queue(lab, 0, queued), queued);
	return lab;
}

static unsigned ack(struct lab *lab, uint32_t number)
{
	lab_give(lab, (struct lab_in){.ack = number});
	return lab->sent_count;
}

static void test_initial_window_and_slow_start(void **state)
{
	struct lab *lab = open_sending(100000);

	assert_int_equal(lab_output(lab), 10); // RFC 6928
	// Two segments acknowledged let two more grow the window: four go out.
	assert_int_equal(ack(lab, 2000), 4);
	assert_int_equal(ack(lab, 4000), 4);
	// An ACK in pieces is worth no more than its bytes.
	unsigned sent = 0;
	for (uint32_t number = 4100; number <= 6000; number += 100)
		sent += ack(lab, number);
	assert_in_range(sent, 3, 4);
	lab_close(lab);
}

static void test_fast_retransmit_and_full_recovery(void **state)
{
	struct lab *lab = open_sending(100000);

	lab_output(lab); // 0..9 sent, 0 is lost
	// Limited transmit: one new segment for each of the first two.
	assert_int_equal(ack(lab, 0), 1);
	assert_int_equal(lab->sent[0].seq, 10000);
	assert_int_equal(ack(lab, 0), 1);
	assert_int_equal(lab->sent[0].seq, 11000);
	assert_int_equal(ack(lab, 0), 1);
	assert_int_equal(lab->sent[0].seq, 0); // the lost one
	assert_int_equal(lab->sent[0].segment.payload_length, 1000);
	// Half of 12 in flight; each further duplicate opens one segment, the fourth is the first
	// to pass what is in flight (6 + 3 + 4 = 13).
	unsigned sent = 0;
	for (int i = 0; i < 8; i++)
		sent += ack(lab, 0);
	assert_int_equal(sent, 5);
	// All acknowledged: on with what half the window and the flight allow, no burst.
	assert_in_range(ack(lab, 12000), 0, 2);
	lab_close(lab);
}

static void test_newreno_repairs_a_hole_each_round_trip(void **state)
{
	struct lab *lab = open_sending(10000);

	lab_output(lab); // 0, 3 and 6 are lost
	for (int i = 0; i < 3; i++)
		ack(lab, 0);
	assert_int_equal(lab->sent_count, 1);
	assert_int_equal(lab->sent[0].seq, 0);
	assert_int_equal(ack(lab, 3000), 1); // partial
	assert_int_equal(lab->sent[0].seq, 3000);
	assert_int_equal(ack(lab, 3000), 0); // duplicates inside recovery repair nothing twice
	assert_int_equal(ack(lab, 6000), 1);
	assert_int_equal(lab->sent[0].seq, 6000);
	assert_int_equal(ack(lab, 10000), 0);
	assert_true(tcp_all_acknowledged(lab->flow));
	lab_close(lab);
}

static void test_what_is_no_duplicate(void **state)
{
	static const struct lab_in others[] = {
		{.ack = 0, .length = 10},                           // bytes
		{.ack = 0, .window = 60000},                        // another window
		{.ack = 0, .flags = TCP_FIN | TCP_ACK, .seq = 500}, // a FIN
	};

	for (size_t i = 0; i < 3; i++) {
		struct lab *lab = open_sending(5000);

		lab_output(lab);
		for (uint32_t n = 0; n < 6; n++) {
			struct lab_in in = others[i];
			in.seq += 10 * n * (in.length > 0);
			in.window = in.window ? (uint16_t)(in.window + n) : 0;
			lab_give(lab, in);
			for (unsigned k = 0; k < lab->sent_count; k++)
				assert_int_equal(lab->sent[k].segment.payload_length, 0);
		}
		lab_close(lab);
	}
}

// After a time-out everything is repeated by slow start; duplicates that the repetition itself
// causes must not start a recovery.
static void test_timeout_begins_again_with_one_segment(void **state)
{
	struct lab *lab = open_sending(10000);

	assert_int_equal(lab_output(lab), 10);
	assert_int_equal(lab_fire(lab), 1);
	assert_int_equal(lab->sent[0].seq, 0);
	assert_int_equal(ack(lab, 1000), 2);
	assert_int_equal(lab->sent[0].seq, 1000);
	// The rest had arrived: nothing more to repeat.
	assert_int_equal(ack(lab, 10000), 0);
	for (uint32_t i = 0; i < 10; i++)
		lab_queue(lab, 10000 + 1000 * i, 1000);
	unsigned sent = lab_output(lab);
	assert_in_range(sent, 2, 8);
	for (int i = 0; i < 3; i++)
		ack(lab, 10000);
	for (unsigned n = 0; n < lab->sent_count; n++)
		assert_int_not_equal(lab->sent[n].seq, 10000);
	lab_close(lab);
}

static void test_window_shrinks_back_after_idle(void **state)
{
	struct lab *lab = open_sending(100000);
	uint32_t acked = 0;

	lab_output(lab);
	while (acked < 100000) {
		acked += 2000;
		ack(lab, acked);
	}
	lab->now += 60000000;
	lab_queue(lab, 100000, 50000);
	assert_int_equal(lab_output(lab), 10);
	lab_close(lab);
}

// Invented duplicates must not save up a burst for later.
static void test_duplicates_inflate_no_further_than_the_flight(void **state)
{
	struct lab *lab = open_sending(12000);

	lab_output(lab);
	for (int i = 0; i < 200; i++)
		ack(lab, 0);
	lab_queue(lab, 12000, 100000);
	assert_in_range(lab_output(lab), 1, 6);
	lab_close(lab);
}

// Karn once more: the ACK after a fast retransmission is no sample.
static void test_fast_retransmission_is_not_timed(void **state)
{
	struct lab *lab = open_sending(10000);

	lab_output(lab);
	lab->now += 500000;
	for (int i = 0; i < 3; i++)
		ack(lab, 0);
	lab->now += 10000;
	ack(lab, 10000);
	lab_queue(lab, 10000, 100);
	lab_output(lab);
	assert_int_equal(tcp_deadline(lab->flow) - lab->now, 1000000);
	lab_close(lab);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_initial_window_and_slow_start),
		cmocka_unit_test(test_fast_retransmit_and_full_recovery),
		cmocka_unit_test(test_newreno_repairs_a_hole_each_round_trip),
		cmocka_unit_test(test_what_is_no_duplicate),
		cmocka_unit_test(test_timeout_begins_again_with_one_segment),
		cmocka_unit_test(test_window_shrinks_back_after_idle),
		cmocka_unit_test(test_duplicates_inflate_no_further_than_the_flight),
		cmocka_unit_test(test_fast_retransmission_is_not_timed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
