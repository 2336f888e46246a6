// SPDX-License-Identifier: BSD-3-Clause
//
// Packets too big on the way (RFC 1191, RFC 8201, RFC 5927): what is believed, and that the bytes
// go out once more in segments of the new size.
#include "tests/unit/tcp/lab.h"

static struct lab *open_path(bool timestamps, bool sack)
{
	struct lab *lab = lab_open(
		(struct lab_config){.our_isn = 0u - 3500, .timestamps = timestamps, .sack = sack});

	assert_int_equal(lab_queue(lab, 0, 20000), 20000);
	return lab;
}

static enum reason too_big(struct lab *lab, uint32_t seq, uint32_t mtu)
{
	return tcp_path_mtu(lab->tcp, lab->flow, seq + lab->our_base, mtu);
}

// All that the flow sends, cut at length and without a gap from first on; returns how many bytes.
static uint32_t goes_out(struct lab *lab, uint32_t first, uint32_t length)
{
	uint32_t seq = first;

	lab_output(lab);
	for (unsigned i = 0; i < lab->sent_count; i++) {
		const struct lab_sent *sent = &lab->sent[i];

		assert_int_equal(sent->seq, seq);
		assert_in_range(sent->segment.payload_length, 1, length);
		for (uint32_t n = 0; n < sent->segment.payload_length; n++)
			assert_int_equal(sent->bytes[n], lab_byte(seq + n));
		seq += sent->segment.payload_length;
	}
	if (lab->sent_count > 0)
		assert_int_equal(lab->sent[0].segment.payload_length, length);
	return seq - first;
}

static void test_what_is_in_flight_is_cut_anew(void **state)
{
	for (int timestamps = 0; timestamps < 2; timestamps++) {
		struct lab *lab = open_path(timestamps, false);
		uint32_t options = timestamps ? 12 : 0;
		uint32_t in_flight = 10 * (LAB_MSS - options);

		assert_int_equal(goes_out(lab, 0, LAB_MSS - options), in_flight);
		assert_int_equal(too_big(lab, 0, 640), REASON_NONE);
		// the window is what it was, and nothing is a loss
		assert_in_range(goes_out(lab, 0, 600 - options), in_flight - 600, in_flight);
		lab_give(lab, (struct lab_in){.ack = 600 - options});
		assert_true(lab->sent_count >= 1);
		for (int n = 0; n < 5; n++) { // some of the first ones did arrive
			lab_give(lab, (struct lab_in){.ack = 600 - options});
			assert_int_equal(lab->sent_count, n < 2 ? lab->sent_count : 0);
		}
		lab_give(lab, (struct lab_in){.ack = in_flight});
		assert_true(lab->sent_count > 0);
		for (unsigned i = 0; i < lab->sent_count; i++)
			assert_in_range(lab->sent[i].segment.payload_length, 1, 600 - options);
		lab_close(lab);
	}
}

static void test_what_is_believed(void **state)
{
	static const struct {
		const char *name;
		uint32_t seq, mtu;
		uint32_t payload; // of segments afterwards
	} cases[] = {
		{"first in flight", 1000, 900, 860},
		{"last in flight", 10999, 900, 860},
		{"acknowledged", 999, 900, 1000},
		{"never sent", 12000, 900, 1000},
		{"half the sequence space away", 1000 + (1u << 31), 900, 1000},
		{"no smaller than now", 1000, 1040, 1000},
		{"larger than now", 1000, 1500, 1000},
		{"just smaller", 1000, 1039, 999},
		{"a router that tells no size", 1000, 0, 512},
		{"below what is believed", 1000, 68, 512},
		{"the least", 1000, 552, 512},
		{"more than 16 bits", 1000, 0x10000 + 600, 1000},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct lab *lab = open_path(false, false);
		bool taken = cases[i].payload != 1000;

		lab_output(lab);
		lab_give(lab, (struct lab_in){.ack = 1000}); // 1000 to 12000 are in flight
		if (too_big(lab, cases[i].seq, cases[i].mtu) !=
		    (taken ? REASON_NONE : REASON_icmp_too_big_unacceptable))
			fail_msg("%s: wrong verdict", cases[i].name);
		if ((goes_out(lab, 1000, cases[i].payload) > 0) != taken)
			fail_msg("%s: wrong effect", cases[i].name);
		// the next segment's complaint is no news
		if (taken)
			assert_int_equal(too_big(lab, 2000, cases[i].mtu),
					 REASON_icmp_too_big_unacceptable);
		assert_int_equal(lab_output(lab), 0);
		lab_close(lab);
	}
}

static void test_ipv6_guarantees_1280(void **state)
{
	static const struct {
		uint32_t mtu, payload;
	} cases[] = {{1279, 1440}, {0, 1440}, {1280, 1220}, {1400, 1340}, {1500, 1440}};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct lab *lab = lab_open((struct lab_config){.no_handshake = true});
		struct tcp_accept accept = {
			.options = {.mss = 1440, .window_scale = TCP_NO_WINDOW_SCALE},
			.our_mss = 1440,
			.our_isn = 7,
			.peer_isn = 7,
			.peer_window = 65535,
		};

		for (int n = 0; n < 16; n++) {
			accept.tuple.local.bytes[n] = 0x20;
			accept.tuple.remote.bytes[n] = 0x21;
		}
		lab->our_base = 8;
		lab->flow = tcp_accept(lab->tcp, &accept, lab->now);
		lab_queue(lab, 0, 5000);
		lab_output(lab);
		assert_int_equal(too_big(lab, 0, cases[i].mtu),
				 cases[i].payload == 1440 ? REASON_icmp_too_big_unacceptable
							  : REASON_NONE);
		goes_out(lab, 0, cases[i].payload);
		lab_close(lab);
	}
}

static void test_nothing_in_flight_or_no_connection(void **state)
{
	struct lab *lab = open_path(false, false);

	assert_int_equal(too_big(lab, 0, 600), REASON_icmp_too_big_unacceptable);
	lab_close(lab);
	lab = lab_open((struct lab_config){.no_handshake = true});
	lab->flow = tcp_connect(lab->tcp, &lab->tuple, 1460, lab->now);
	lab_output(lab);
	lab->our_base = lab->sent[0].segment.sequence;
	assert_int_equal(too_big(lab, 0, 600), REASON_icmp_too_big_unacceptable);
	lab_close(lab);
}

// What the peer reported to hold needs no smaller segments.
static void test_reported_bytes_are_not_sent_again(void **state)
{
	struct lab *lab = open_path(false, true);

	lab_output(lab);
	lab_give(lab, (struct lab_in){.sack = {{2000, 4000}, {5000, 10000}}}); // a recovery began
	assert_int_equal(too_big(lab, 0, 740), REASON_NONE);
	lab_output(lab);
	uint32_t seq = 0;
	for (unsigned i = 0; i < lab->sent_count; i++) {
		assert_int_equal(lab->sent[i].seq, seq);
		seq += lab->sent[i].segment.payload_length;
		assert_in_range(lab->sent[i].segment.payload_length, 1, 700);
		seq = seq == 2000 ? 4000 : seq == 5000 ? 10000 : seq;
	}
	assert_true(seq >= 10000);
	lab_close(lab);
}

// The FIN was in flight too.
static void test_a_fin_comes_again(void **state)
{
	struct lab *lab = lab_open((struct lab_config){0});

	lab_queue(lab, 0, 1000);
	tcp_close(lab->tcp, lab->flow);
	assert_int_equal(lab_output(lab), 1);
	assert_int_equal(too_big(lab, 0, 640), REASON_NONE);
	assert_int_equal(lab_output(lab), 2);
	assert_false(lab->sent[0].segment.flags & TCP_FIN);
	assert_true(lab->sent[1].segment.flags & TCP_FIN);
	assert_int_equal(lab->sent[1].segment.payload_length, 400);
	lab_give(lab, (struct lab_in){.ack = 1001});
	assert_true(tcp_all_acknowledged(lab->flow));
	lab_close(lab);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_in_flight_is_cut_anew),
		cmocka_unit_test(test_what_is_believed),
		cmocka_unit_test(test_ipv6_guarantees_1280),
		cmocka_unit_test(test_nothing_in_flight_or_no_connection),
		cmocka_unit_test(test_reported_bytes_are_not_sent_again),
		cmocka_unit_test(test_a_fin_comes_again),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
