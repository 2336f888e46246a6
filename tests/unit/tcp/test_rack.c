// SPDX-License-Identifier: BSD-3-Clause
//
// Loss detection by time and the tail loss probe (RFC 8985), seen on the wire in virtual time: when
// something counts as lost, what reordering changes, what a probe sends and what its answer means.
#include "tests/unit/tcp/lab.h"

#include "dataplane/tcp/scoreboard.h"

#define RTT_US 20000

// A flow with a measured round trip of 20 ms and `queued` bytes of its stream waiting.
static struct lab *open_measured(uint32_t queued)
{
	struct lab *lab =
		lab_open((struct lab_config){.send_buffer = 200000, .chunks = 400, .sack = true});

	lab_queue(lab, 0, 1000 + queued);
	lab->flow->cwnd = 1000;
	assert_int_equal(lab_output(lab), 1);
	lab->now += RTT_US;
	lab->flow->cwnd = 20000;
	lab_give(lab, (struct lab_in){.ack = 1000});
	return lab;
}

static unsigned answered(struct lab *lab, struct lab_in in)
{
	lab_give(lab, in);
	return lab->sent_count;
}
#define ACK(lab, number, ...) answered(lab, (struct lab_in){.ack = (number), .sack = {__VA_ARGS__}})

// One segment behind a gap proves nothing yet: a quarter of the round trip later it does.
static void test_a_gap_has_a_quarter_round_trip(void **state)
{
	struct lab *lab = open_measured(5000);

	lab->now += RTT_US;
	assert_int_equal(ACK(lab, 1000, {2000, 3000}), 0);
	assert_int_equal(tcp_deadline(lab->flow), lab->now + RTT_US / 4);
	assert_int_equal(lab_fire(lab), 1);
	assert_int_equal(lab->sent[0].seq, 1000);
	lab_close(lab);
}

static void test_a_gap_that_fills_costs_nothing(void **state)
{
	struct lab *lab = open_measured(5000);
	uint32_t window = lab->flow->cwnd;

	lab->now += RTT_US;
	assert_int_equal(ACK(lab, 1000, {2000, 3000}), 0);
	lab->now += RTT_US / 8;
	assert_int_equal(ACK(lab, 3000), 0);
	lab->now += RTT_US / 4;
	assert_int_equal(ACK(lab, 6000), 0);
	assert_true(tcp_all_acknowledged(lab->flow));
	assert_true(lab->flow->cwnd >= window);
	lab_close(lab);
}

// Where segments overtook one another, three of them behind a gap are no proof either.
static void test_after_reordering_three_segments_wait_too(void **state)
{
	struct lab *lab = open_measured(15000);

	lab->now += RTT_US;
	ACK(lab, 1000, {2000, 3000});
	ACK(lab, 3000); // it was only late
	assert_int_equal(ACK(lab, 3000, {4000, 8000}), 0);
	assert_int_equal(lab_fire(lab), 1);
	assert_int_equal(lab->sent[0].seq, 3000);
	lab_close(lab);
}

// Each round trip in which something came twice makes the gate more patient.
static void test_repetitions_widen_the_reordering_window(void **state)
{
	struct lab *lab = open_measured(15000);

	lab->now += RTT_US;
	ACK(lab, 1000, {2000, 3000});
	lab_fire(lab);
	ACK(lab, 3000);
	ACK(lab, 3000, {1000, 2000}); // needless
	ACK(lab, 3000, {1000, 2000}); // counts once a round trip
	ACK(lab, 3000, {4000, 8000});
	uint64_t sent_at = lab->now - RTT_US - RTT_US / 4;
	assert_true(tcp_deadline(lab->flow) > sent_at + RTT_US + RTT_US / 4);
	assert_true(tcp_deadline(lab->flow) <= sent_at + 2 * RTT_US);
	lab_close(lab);
}

// A repetition is lost as well: what was sent after it and arrived tells, not a time-out.
static void test_a_lost_repetition_is_repeated(void **state)
{
	struct lab *lab = open_measured(60000);

	lab->now += RTT_US;
	ACK(lab, 1000, {2000, 8000});
	assert_int_equal(lab->sent[0].seq, 1000);
	uint32_t next = lab->sent[lab->sent_count - 1].seq; // new bytes went out behind it
	assert_true(next > 8000);
	lab->now += RTT_US;
	ACK(lab, 1000, {next, next + 1000}, {2000, 8000});
	if (lab->sent_count == 0 || lab->sent[0].seq != 1000)
		lab_fire(lab);
	assert_int_equal(lab->sent[0].seq, 1000);
	assert_in_range(lab->now, 0, 5000000 + 4 * RTT_US);
	lab_close(lab);
}

// The last segments of a flight are lost: two round trips later the last one goes out again.
static void test_the_tail_is_probed(void **state)
{
	struct lab *lab = open_measured(5000);
	uint64_t sent_at = lab->now;

	assert_int_equal(lab_fire(lab), 1);
	assert_int_equal(lab->sent[0].seq, 5000);
	assert_in_range(lab->now - sent_at, 2 * RTT_US, 3 * RTT_US);
	lab->now += RTT_US;
	ACK(lab, 1000, {5000, 6000}); // now the rest counts as lost
	if (lab->sent_count == 0)
		lab_fire(lab);
	assert_int_equal(lab->sent[0].seq, 1000);
	lab_close(lab);
}

static void test_a_probe_is_new_bytes_where_there_are_some(void **state)
{
	struct lab *lab = open_measured(30000);
	uint32_t end = lab->sent[lab->sent_count - 1].seq + 1000;

	assert_int_equal(lab_fire(lab), 1);
	assert_int_equal(lab->sent[0].seq, end);
	lab_close(lab);
}

// One probe, then the time-out.
static void test_a_probe_is_followed_by_the_timeout(void **state)
{
	struct lab *lab = open_measured(5000);

	lab_fire(lab);
	uint64_t probed_at = lab->now;
	assert_int_equal(lab_fire(lab), 1);
	assert_int_equal(lab->sent[0].seq, 1000);
	assert_in_range(lab->now - probed_at, 200000, 300000);
	lab_close(lab);
}

// A segment now and then puts the probe off, but not beyond the time-out of the first one.
static void test_new_segments_put_the_probe_off_for_a_while(void **state)
{
	struct lab *lab = open_measured(1000);
	uint64_t sent_at = lab->now;

	for (uint32_t queued = 2000; queued < 20000; queued += 1000) {
		lab->now += RTT_US;
		if (lab->now >= tcp_deadline(lab->flow))
			break;
		lab_queue(lab, queued, 1000);
		assert_int_equal(lab_output(lab), 1);
	}
	assert_in_range(tcp_deadline(lab->flow) - sent_at, 200000, 300000);
	lab_close(lab);
}

// One segment alone: its ACK may be delayed by 40 ms.
static void test_one_segment_has_time_for_a_delayed_ack(void **state)
{
	struct lab *lab = open_measured(1000);
	uint64_t sent_at = lab->now;

	assert_int_equal(lab_fire(lab), 1);
	assert_in_range(lab->now - sent_at, 2 * RTT_US + 40000, 200000);
	lab_close(lab);
}

// Of a peer without SACK nothing is known by time.
static void test_without_sack_there_is_no_probe(void **state)
{
	struct lab *lab = lab_open((struct lab_config){0});

	lab_queue(lab, 0, 1000);
	lab_output(lab);
	lab->now += RTT_US;
	lab_give(lab, (struct lab_in){.ack = 1000});
	lab_queue(lab, 1000, 5000);
	lab_output(lab);
	assert_true(tcp_deadline(lab->flow) - lab->now >= 200000);
	lab_close(lab);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_gap_has_a_quarter_round_trip),
		cmocka_unit_test(test_a_gap_that_fills_costs_nothing),
		cmocka_unit_test(test_after_reordering_three_segments_wait_too),
		cmocka_unit_test(test_repetitions_widen_the_reordering_window),
		cmocka_unit_test(test_a_lost_repetition_is_repeated),
		cmocka_unit_test(test_the_tail_is_probed),
		cmocka_unit_test(test_a_probe_is_new_bytes_where_there_are_some),
		cmocka_unit_test(test_a_probe_is_followed_by_the_timeout),
		cmocka_unit_test(test_new_segments_put_the_probe_off_for_a_while),
		cmocka_unit_test(test_one_segment_has_time_for_a_delayed_ack),
		cmocka_unit_test(test_without_sack_there_is_no_probe),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
