// SPDX-License-Identifier: BSD-3-Clause
//
// After the end: what a TIME-WAIT record answers, whom it lets in again, how long it stays.
#include "tests/unit/tcp/lab.h"

// A connection of the lab's tuple that ended: peer sent 1 byte of sequence (its FIN), so did we.
static void end_flow(struct lab *lab)
{
	tcp_close(lab->tcp, lab->flow);
	lab_output(lab);
	lab_give(lab, (struct lab_in){.ack = 1, .flags = TCP_FIN | TCP_ACK});
	lab_state(lab, "TIME-WAIT");
	tcp_release(lab->tcp, lab->flow, lab->now);
	lab->flow = NULL;
	assert_int_equal(tcp_time_wait_used(lab->tcp), 1);
}

static const struct {
	const char *name;
	struct lab_in in;
	bool timestamps;
	enum tcp_time_wait verdict;
} cases[] = {
	{"the FIN again",
	 {.seq = 0, .ack = 1, .flags = TCP_FIN | TCP_ACK},
	 false,
	 TCP_TIME_WAIT_ANSWER},
	{"bytes", {.seq = 0, .ack = 1, .length = 5}, false, TCP_TIME_WAIT_ANSWER},
	{"bare ACK", {.seq = 1, .ack = 1}, false, TCP_TIME_WAIT_DROP},
	{"RST", {.seq = 1, .flags = TCP_RST}, false, TCP_TIME_WAIT_DROP},
	{"RST with bytes", {.seq = 1, .flags = TCP_RST, .length = 3}, false, TCP_TIME_WAIT_DROP},
	{"SYN beyond", {.seq = 2, .flags = TCP_SYN}, false, TCP_TIME_WAIT_REOPEN},
	{"SYN at RCV.NXT", {.seq = 1, .flags = TCP_SYN}, false, TCP_TIME_WAIT_ANSWER},
	{"SYN before", {.seq = 0u - 5, .flags = TCP_SYN}, false, TCP_TIME_WAIT_ANSWER},
	{"SYN-ACK", {.seq = 2, .flags = TCP_SYN | TCP_ACK}, false, TCP_TIME_WAIT_ANSWER},
	// RFC 6191
	{"newer timestamp, older number",
	 {.seq = 0u - 5, .flags = TCP_SYN, .time = 1001},
	 true,
	 TCP_TIME_WAIT_REOPEN},
	{"same timestamp, newer number",
	 {.seq = 2, .flags = TCP_SYN, .time = 1000},
	 true,
	 TCP_TIME_WAIT_REOPEN},
	{"same timestamp, older number",
	 {.seq = 1, .flags = TCP_SYN, .time = 1000},
	 true,
	 TCP_TIME_WAIT_ANSWER},
	{"older timestamp, newer number",
	 {.seq = 2, .flags = TCP_SYN, .time = 999},
	 true,
	 TCP_TIME_WAIT_ANSWER},
	{"timestamp given up, newer number",
	 {.seq = 2, .flags = TCP_SYN, .no_timestamp = true},
	 true,
	 TCP_TIME_WAIT_REOPEN},
	{"timestamp given up, older number",
	 {.seq = 1, .flags = TCP_SYN, .no_timestamp = true},
	 true,
	 TCP_TIME_WAIT_ANSWER},
};

static void test_verdicts(void **state)
{
	static const uint32_t isns[] = {500, 0u - 1, 0u - 2, 0u - 3};

	for (size_t n = 0; n < sizeof(isns) / sizeof(isns[0]); n++) {
		for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
			struct lab *lab =
				lab_open((struct lab_config){.our_isn = isns[n],
							     .peer_isn = isns[n],
							     .timestamps = cases[i].timestamps});
			struct segment answer;

			end_flow(lab);
			lab->now += 3000000;
			struct view view = lab_view(lab, &cases[i].in);
			enum tcp_time_wait verdict =
				tcp_time_wait_input(lab->tcp, &view, lab->now, &answer);
			if (verdict != cases[i].verdict)
				fail_msg("%s: verdict %d", cases[i].name, verdict);
			if (verdict == TCP_TIME_WAIT_ANSWER) {
				assert_int_equal(answer.flags, TCP_ACK);
				assert_int_equal(answer.sequence - lab->our_base, 1);
				assert_int_equal(answer.acknowledgment - lab->peer_base, 1);
				assert_true(tuple_equal(&answer.tuple, &lab->tuple));
				assert_int_equal(answer.options_length,
						 cases[i].timestamps ? 12 : 0);
			}
			// Whatever it was, the record stays.
			assert_int_equal(tcp_time_wait_used(lab->tcp), 1);
			lab_close(lab);
		}
	}
}

static void test_a_new_connection_takes_the_record_away(void **state)
{
	struct lab *lab = lab_open((struct lab_config){0});
	struct tcp_accept accept = {.tuple = lab->tuple,
				    .options = {.window_scale = TCP_NO_WINDOW_SCALE},
				    .our_mss = LAB_MSS};

	end_flow(lab);
	assert_false(tcp_tuple_free(lab->tcp, &lab->tuple));
	lab->flow = tcp_accept(lab->tcp, &accept, lab->now);
	assert_int_equal(tcp_time_wait_used(lab->tcp), 0);
	assert_false(tcp_tuple_free(lab->tcp, &lab->tuple));
	lab_close(lab);
}

static void test_records_last_a_minute(void **state)
{
	struct lab *lab = lab_open((struct lab_config){0});
	struct view view;
	struct segment answer;

	lab->now = ((uint64_t)UINT32_MAX - 5000) * 1000; // milliseconds wrap meanwhile
	end_flow(lab);
	view = lab_view(lab, &(struct lab_in){.seq = 1});
	lab->now += 59900000;
	assert_int_equal(tcp_time_wait_input(lab->tcp, &view, lab->now, &answer),
			 TCP_TIME_WAIT_DROP);
	lab->now += 200000;
	assert_int_equal(tcp_time_wait_used(lab->tcp), 1);
	assert_true(tcp_time_wait_likely(lab->tcp, tcp_hash(lab->tcp, &lab->tuple)));
	tcp_advance(lab->tcp, lab->now);
	assert_int_equal(tcp_time_wait_used(lab->tcp), 0);
	assert_false(tcp_time_wait_likely(lab->tcp, tcp_hash(lab->tcp, &lab->tuple)));
	assert_true(tcp_tuple_free(lab->tcp, &lab->tuple));
	assert_int_equal(tcp_time_wait_input(lab->tcp, &view, lab->now, &answer),
			 TCP_TIME_WAIT_NONE);
	assert_int_equal(tcp_take_evictions(lab->tcp), 0);
	lab_close(lab);
}

// Ends a connection from the given port, by shortest way.
static void end_from_port(struct lab *lab, uint16_t port)
{
	struct tcp_accept accept = {.tuple = lab->tuple,
				    .options = {.window_scale = TCP_NO_WINDOW_SCALE},
				    .our_mss = LAB_MSS,
				    .peer_window = 1000};

	lab->tuple.remote_port = accept.tuple.remote_port = port;
	lab->our_base = lab->peer_base = 1;
	lab->flow = tcp_accept(lab->tcp, &accept, lab->now);
	tcp_close(lab->tcp, lab->flow);
	lab_output(lab);
	lab_give(lab, (struct lab_in){.ack = 1, .flags = TCP_FIN | TCP_ACK});
	tcp_release(lab->tcp, lab->flow, lab->now);
	lab->flow = NULL;
}

static bool held(struct lab *lab, uint16_t port)
{
	lab->tuple.remote_port = port;
	return !tcp_tuple_free(lab->tcp, &lab->tuple);
}

static void test_the_oldest_goes_when_full(void **state)
{
	struct lab *lab = lab_open((struct lab_config){.no_handshake = true, .time_wait = 4});

	for (uint16_t port = 1; port <= 6; port++) {
		end_from_port(lab, port);
		lab->now += 1000;
	}
	assert_int_equal(tcp_time_wait_used(lab->tcp), 4);
	assert_int_equal(tcp_take_evictions(lab->tcp), 2);
	assert_int_equal(tcp_take_evictions(lab->tcp), 0);
	for (uint16_t port = 1; port <= 6; port++)
		assert_int_equal(held(lab, port), port > 2);
	// The same tuple again and again: one record, and a place in the ring for each ending.
	for (int i = 0; i < 20; i++)
		end_from_port(lab, 6);
	assert_true(held(lab, 6));
	assert_int_equal(tcp_time_wait_used(lab->tcp), 1);
	assert_int_equal(tcp_take_evictions(lab->tcp), 3);
	lab_close(lab);
}

static void test_no_records_configured(void **state)
{
	struct lab *lab = lab_open((struct lab_config){.no_handshake = true});
	struct tcp_settings settings = {.flows = 1,
					.time_wait_entries = 0,
					.receive_buffer = 1000,
					.send_buffer = 1000,
					.chunks = &lab->chunks,
					.random = &lab->random};

	tcp_destroy(lab->tcp);
	lab->tcp = tcp_create(&settings);
	end_from_port(lab, 1);
	assert_false(held(lab, 1));
	assert_int_equal(tcp_take_evictions(lab->tcp), 1);
	lab_close(lab);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_verdicts),
		cmocka_unit_test(test_a_new_connection_takes_the_record_away),
		cmocka_unit_test(test_records_last_a_minute),
		cmocka_unit_test(test_the_oldest_goes_when_full),
		cmocka_unit_test(test_no_records_configured),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
