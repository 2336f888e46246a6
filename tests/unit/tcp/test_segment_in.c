// SPDX-License-Identifier: BSD-3-Clause
//
// Which segments count, and what answers the others: windows, RFC 5961, PAWS, SYN-SENT.
#include "tests/unit/tcp/lab.h"

#define WINDOW 65535u

// One segment at an idle connection that received 100 bytes, sent 50, none of them acknowledged,
// and offers WINDOW - 100 more (unread bytes count).
static const struct {
	const char *name;
	struct lab_in in;
	enum reason reason;
	unsigned answers; // segments sent at once
	const char *state;
} cases[] = {
	{"next bytes", {.seq = 100, .length = 10}, REASON_NONE, 0, "ESTABLISHED"},
	{"bare ACK", {.seq = 100, .ack = 50}, REASON_NONE, 0, "ESTABLISHED"},
	{"old bytes", {.seq = 0, .length = 100}, REASON_tcp_unacceptable, 1, "ESTABLISHED"},
	{"half old bytes", {.seq = 50, .length = 100}, REASON_NONE, 0, "ESTABLISHED"},
	{"keep-alive", {.seq = 99}, REASON_tcp_unacceptable, 1, "ESTABLISHED"},
	{"last byte of the window",
	 {.seq = WINDOW - 1, .length = 1},
	 REASON_NONE,
	 1,
	 "ESTABLISHED"},
	{"first byte beyond",
	 {.seq = WINDOW, .length = 1},
	 REASON_tcp_unacceptable,
	 1,
	 "ESTABLISHED"},
	{"bare ACK at the edge", {.seq = WINDOW}, REASON_NONE, 0, "ESTABLISHED"},
	{"bare ACK beyond", {.seq = WINDOW + 1}, REASON_tcp_unacceptable, 1, "ESTABLISHED"},
	{"exact RST", {.seq = 100, .flags = TCP_RST}, REASON_NONE, 0, "CLOSED"},
	{"exact RST with ACK", {.seq = 100, .flags = TCP_RST | TCP_ACK}, REASON_NONE, 0, "CLOSED"},
	{"RST one further",
	 {.seq = 101, .flags = TCP_RST},
	 REASON_tcp_reset_challenged,
	 1,
	 "ESTABLISHED"},
	{"RST at the end",
	 {.seq = WINDOW - 1, .flags = TCP_RST},
	 REASON_tcp_reset_challenged,
	 1,
	 "ESTABLISHED"},
	{"RST beyond",
	 {.seq = WINDOW, .flags = TCP_RST},
	 REASON_tcp_unacceptable,
	 0,
	 "ESTABLISHED"},
	{"RST before", {.seq = 99, .flags = TCP_RST}, REASON_tcp_unacceptable, 0, "ESTABLISHED"},
	{"SYN in the window",
	 {.seq = 100, .flags = TCP_SYN},
	 REASON_tcp_syn_challenged,
	 1,
	 "ESTABLISHED"},
	{"SYN anywhere",
	 {.seq = 3000000000, .flags = TCP_SYN},
	 REASON_tcp_syn_challenged,
	 1,
	 "ESTABLISHED"},
	{"SYN-ACK",
	 {.seq = 100, .flags = TCP_SYN | TCP_ACK},
	 REASON_tcp_syn_challenged,
	 1,
	 "ESTABLISHED"},
	{"no ACK bit",
	 {.seq = 100, .flags = TCP_PSH, .length = 5},
	 REASON_tcp_state,
	 0,
	 "ESTABLISHED"},
	{"ACK of all sent", {.seq = 100, .ack = 50, .length = 1}, REASON_NONE, 0, "ESTABLISHED"},
	{"ACK of more",
	 {.seq = 100, .ack = 51, .length = 1},
	 REASON_tcp_ack_unacceptable,
	 1,
	 "ESTABLISHED"},
	{"ACK a window ago",
	 {.seq = 100, .ack = 0u - 65535u, .length = 1},
	 REASON_NONE,
	 0,
	 "ESTABLISHED"},
	{"ACK older than that",
	 {.seq = 100, .ack = 0u - 65536u, .length = 1},
	 REASON_tcp_ack_unacceptable,
	 1,
	 "ESTABLISHED"},
	{"urgent is data",
	 {.seq = 100, .length = 4, .flags = TCP_ACK | TCP_URG},
	 REASON_NONE,
	 0,
	 "ESTABLISHED"},
	{"out of order", {.seq = 200, .length = 4}, REASON_NONE, 1, "ESTABLISHED"},
};

static void test_acceptability(void **state)
{
	static const uint32_t isns[] = {1, 0u - 1, 0u - 60, 0u - 150, 0u - 40000, 0x7fffff00};

	for (size_t n = 0; n < sizeof(isns) / sizeof(isns[0]); n++) {
		for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
			struct lab *lab = lab_open(
				(struct lab_config){.our_isn = isns[n], .peer_isn = isns[n]});

			lab_give(lab, (struct lab_in){.length = 100});
			lab_queue(lab, 0, 50);
			assert_int_equal(lab_output(lab), 1);
			enum reason reason = lab_give(lab, cases[i].in);
			if (reason != cases[i].reason || lab->sent_count != cases[i].answers ||
			    strcmp(tcp_state_name(lab->flow), cases[i].state) != 0)
				fail_msg("%s: reason %d, %u answers, %s", cases[i].name, reason,
					 lab->sent_count, tcp_state_name(lab->flow));
			if (lab->sent_count == 1) { // each answer says where we are
				assert_int_equal(lab->sent[0].segment.flags, TCP_ACK);
				assert_int_equal(lab->sent[0].seq, 50);
				assert_int_equal(lab->sent[0].ack, 100);
			}
			lab_close(lab);
		}
	}
}

static void test_challenges_are_limited_per_second(void **state)
{
	struct lab *lab = lab_open((struct lab_config){.our_isn = 9});
	unsigned answers = 0;

	for (int i = 0; i < 1000; i++) {
		lab_give(lab, (struct lab_in){.seq = 5, .flags = TCP_RST});
		answers += lab->sent_count;
	}
	assert_in_range(answers, 1, 10);
	lab->now += 2000000;
	lab_give(lab, (struct lab_in){.seq = 5, .flags = TCP_RST});
	assert_int_equal(lab->sent_count, 1);
	lab_close(lab);
}

static void test_zero_window_takes_the_ack_of_a_probe(void **state)
{
	struct lab *lab = lab_open((struct lab_config){.receive_buffer = 1000});

	lab_give(lab, (struct lab_in){.length = 1000});
	assert_int_equal(lab_fire(lab), 1); // the delayed ACK
	assert_int_equal(lab->sent[0].segment.window, 0);
	lab_queue(lab, 0, 10);
	lab_output(lab);
	// The probe's byte finds no room, but its ACK counts and it is answered.
	lab_give(lab, (struct lab_in){.seq = 1000, .length = 1, .ack = 10});
	assert_true(tcp_all_acknowledged(lab->flow));
	assert_int_equal(lab->sent_count, 1);
	assert_int_equal(lab->sent[0].ack, 1000);
	assert_int_equal(lab->sent[0].segment.window, 0);
	// An exact RST is still heard, and a FIN that needs no room.
	lab_give(lab, (struct lab_in){.seq = 1000, .ack = 10, .flags = TCP_FIN | TCP_ACK});
	lab_state(lab, "CLOSE-WAIT");
	assert_int_equal(lab->sent[0].ack, 1001);
	lab_give(lab, (struct lab_in){.seq = 1001, .flags = TCP_RST});
	lab_state(lab, "CLOSED");
	assert_int_equal(lab_read(lab, 0, 5000), 1000);
	lab_close(lab);
}

static void test_paws(void **state)
{
	struct lab *lab = lab_open((struct lab_config){.timestamps = true});

	lab->peer_time = 1000; // as in the handshake
	assert_int_equal(lab_give(lab, (struct lab_in){.length = 10, .time = 2000}), REASON_NONE);
	assert_int_equal(lab_give(lab, (struct lab_in){.seq = 10, .length = 10, .time = 1999}),
			 REASON_tcp_paws);
	assert_int_equal(lab->sent_count, 1); // answered
	assert_int_equal(lab->sent[0].ack, 10);
	assert_int_equal(lab->sent[0].options.timestamp_echo, 2000);
	// Without the option that was agreed on: silence.
	assert_int_equal(
		lab_give(lab, (struct lab_in){.seq = 10, .length = 10, .no_timestamp = true}),
		REASON_tcp_paws);
	assert_int_equal(lab->sent_count, 0);
	// The clock may wrap.
	static const uint32_t clock[] = {0x70000000, 0xe0000000, 5};
	for (uint32_t i = 0; i < 3; i++) {
		assert_int_equal(
			lab_give(lab,
				 (struct lab_in){.seq = 10 + i, .length = 1, .time = clock[i]}),
			REASON_NONE);
		assert_int_equal(lab_fire(lab), 1); // the delayed ACK
		assert_int_equal(lab->sent[0].options.timestamp_echo, clock[i]);
	}
	// A RST needs no timestamp at all.
	lab_give(lab, (struct lab_in){.seq = 13, .flags = TCP_RST, .no_timestamp = true});
	lab_state(lab, "CLOSED");
	lab_close(lab);
}

// A blind segment that hits the window, but not what we sent, must not set the clock ahead: the
// peer's own segments would all be old then.
static void test_timestamp_of_an_impossible_ack_is_not_believed(void **state)
{
	static const uint32_t acks[] = {1, 0u - 70000};
	struct lab *lab = lab_open((struct lab_config){.timestamps = true});

	for (unsigned i = 0; i < 2; i++) {
		struct lab_in forged = {.ack = acks[i], .length = 10, .time = 0x70000000};
		assert_int_equal(lab_give(lab, forged), REASON_tcp_ack_unacceptable);
	}
	assert_int_equal(lab_give(lab, (struct lab_in){.length = 10, .time = 1001}), REASON_NONE);
	lab_close(lab);
}

static void test_paws_forgets_after_24_days(void **state)
{
	struct lab *lab = lab_open((struct lab_config){.timestamps = true});

	lab->now += 25ull * 24 * 3600 * 1000000;
	assert_int_equal(lab_give(lab, (struct lab_in){.length = 1, .time = 1}), REASON_NONE);
	lab_close(lab);
}

// Only what begins at or before the last ACK sets the echo, or a later segment would hide the
// delay of an earlier one.
static void test_echo_is_of_the_segment_that_moved_the_window(void **state)
{
	struct lab *lab = lab_open((struct lab_config){.timestamps = true});

	lab_give(lab, (struct lab_in){.seq = 10, .length = 10, .time = 3000}); // beyond a gap
	assert_int_equal(lab->sent[0].options.timestamp_echo, 1000);
	lab_give(lab, (struct lab_in){.seq = 0, .length = 10, .time = 3001});
	assert_int_equal(lab->sent[0].options.timestamp_echo, 3001);
	assert_int_equal(lab->sent[0].ack, 20);
	lab_close(lab);
}

static void test_broken_options_drop_the_segment(void **state)
{
	struct lab *lab = lab_open((struct lab_config){0});
	struct lab_in in = {.length = 5};
	struct view view = lab_view(lab, &in);
	static const uint8_t broken[] = {8, 1, 1, 1};

	view.options = slice_of(broken, sizeof(broken));
	assert_int_equal(tcp_input(lab->tcp, lab->flow, &view, lab->now, &lab->events),
			 REASON_tcp_options);
	lab_settle(lab);
	assert_int_equal(tcp_received(lab->flow).length, 0);
	lab_close(lab);
}

// ---- SYN-SENT --------------------------------------------------------------------------------

static struct lab *open_active(bool timestamps)
{
	struct lab *lab =
		lab_open((struct lab_config){.no_handshake = true, .timestamps = timestamps});

	lab->flow = tcp_connect(lab->tcp, &lab->tuple, LAB_MSS, lab->now);
	assert_non_null(lab->flow);
	assert_int_equal(lab_output(lab), 1);
	assert_int_equal(lab->sent[0].segment.flags, TCP_SYN);
	lab->our_base = lab->sent[0].segment.sequence + 1;
	lab->peer_base = 0x80000001;
	return lab;
}

static const struct {
	const char *name;
	struct lab_in in;
	enum reason reason;
	const char *state;
	uint8_t answer; // flags of the first segment sent, 0 = none
} syn_sent_cases[] = {
	{"SYN-ACK", {.seq = -1u, .flags = TCP_SYN | TCP_ACK}, REASON_NONE, "ESTABLISHED", TCP_ACK},
	{"RST-ACK", {.seq = -1u, .flags = TCP_RST | TCP_ACK}, REASON_NONE, "CLOSED", 0},
	{"RST without ACK", {.seq = -1u, .flags = TCP_RST}, REASON_tcp_state, "SYN-SENT", 0},
	{"RST with a wrong ACK",
	 {.seq = -1u, .ack = 1, .flags = TCP_RST | TCP_ACK},
	 REASON_tcp_ack_unacceptable,
	 "SYN-SENT",
	 0},
	{"ACK of our SYN alone", {.seq = -1u, .flags = TCP_ACK}, REASON_tcp_state, "SYN-SENT", 0},
	{"stale ACK", {.seq = 9, .ack = 77777}, REASON_tcp_ack_unacceptable, "SYN-SENT", TCP_RST},
	{"stale SYN-ACK",
	 {.seq = -1u, .ack = 1, .flags = TCP_SYN | TCP_ACK},
	 REASON_tcp_ack_unacceptable,
	 "SYN-SENT",
	 TCP_RST},
	{"SYN", {.seq = -1u, .flags = TCP_SYN}, REASON_NONE, "SYN-RECEIVED", TCP_SYN | TCP_ACK},
};

static void test_syn_sent(void **state)
{
	for (size_t i = 0; i < sizeof(syn_sent_cases) / sizeof(syn_sent_cases[0]); i++) {
		struct lab *lab = open_active(i & 1);
		enum reason reason = lab_give(lab, syn_sent_cases[i].in);
		uint8_t answer = lab->sent_count ? lab->sent[0].segment.flags : 0;

		if (reason != syn_sent_cases[i].reason || answer != syn_sent_cases[i].answer ||
		    strcmp(tcp_state_name(lab->flow), syn_sent_cases[i].state) != 0)
			fail_msg("%s: reason %d, answer %x, %s", syn_sent_cases[i].name, reason,
				 answer, tcp_state_name(lab->flow));
		lab_close(lab);
	}
}

// After a crash of ours the backend still holds the tuple: its ACK is refused with an exact RST and
// the SYN follows at once, but not for ever.
static void test_stale_ack_is_reset_and_the_syn_repeated(void **state)
{
	struct lab *lab = open_active(false);
	unsigned syns = 0;

	lab_give(lab, (struct lab_in){.seq = 5, .ack = 1234});
	assert_int_equal(lab->sent_count, 2);
	assert_int_equal(lab->sent[0].segment.flags, TCP_RST);
	assert_int_equal(lab->sent[0].seq, 1234);
	assert_int_equal(lab->sent[1].segment.flags, TCP_SYN);
	assert_int_equal(lab->sent[1].seq, -1u);
	for (int i = 0; i < 100; i++) {
		lab->now += 2000000;
		lab_give(lab, (struct lab_in){.seq = 5, .ack = 1234});
		assert_int_equal(lab->sent[0].segment.flags, TCP_RST);
		for (unsigned n = 0; n < lab->sent_count; n++)
			syns += lab->sent[n].segment.flags == TCP_SYN;
	}
	assert_int_equal(syns, 2);
	lab_give(lab, (struct lab_in){.seq = -1u, .flags = TCP_SYN | TCP_ACK});
	lab_state(lab, "ESTABLISHED");
	assert_int_equal(lab->events, TCP_EVENT_ESTABLISHED);
	lab_close(lab);
}

static void test_simultaneous_open(void **state)
{
	for (int strict = 0; strict < 2; strict++) {
		struct lab *lab = open_active(true);

		lab_give(lab, (struct lab_in){.seq = -1u, .flags = TCP_SYN});
		assert_int_equal(lab->sent[0].segment.flags, TCP_SYN | TCP_ACK);
		assert_int_equal(lab->sent[0].seq, -1u);
		assert_int_equal(lab->sent[0].ack, 0);
		// The peer's SYN-ACK, or only its ACK.
		if (strict)
			lab_give(lab, (struct lab_in){.flags = TCP_ACK});
		else
			lab_give(lab, (struct lab_in){.seq = -1u, .flags = TCP_SYN | TCP_ACK});
		lab_state(lab, "ESTABLISHED");
		assert_int_equal(lab->events, TCP_EVENT_ESTABLISHED);
		lab_queue(lab, 0, 10);
		assert_int_equal(lab_output(lab), 1);
		assert_int_equal(lab->sent[0].seq, 0);
		lab_close(lab);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_acceptability),
		cmocka_unit_test(test_challenges_are_limited_per_second),
		cmocka_unit_test(test_zero_window_takes_the_ack_of_a_probe),
		cmocka_unit_test(test_paws),
		cmocka_unit_test(test_timestamp_of_an_impossible_ack_is_not_believed),
		cmocka_unit_test(test_paws_forgets_after_24_days),
		cmocka_unit_test(test_echo_is_of_the_segment_that_moved_the_window),
		cmocka_unit_test(test_broken_options_drop_the_segment),
		cmocka_unit_test(test_syn_sent),
		cmocka_unit_test(test_stale_ack_is_reset_and_the_syn_repeated),
		cmocka_unit_test(test_simultaneous_open),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
