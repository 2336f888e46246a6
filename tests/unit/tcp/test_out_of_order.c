// SPDX-License-Identifier: BSD-3-Clause
//
// Gaps and overlaps: the first byte received for a place is the one delivered, whatever comes
// later; duplicate ACKs; bounds on runs and memory. A slow twin (one array of bytes) judges random
// orders.
#include "tests/unit/tcp/lab.h"

// Segments {seq, length, fill}; then what must be read.
static const struct {
	const char *name;
	struct {
		uint32_t seq, length;
		uint8_t fill;
	} in[6];
	const char *text;
} overlaps[] = {
	{"gap filled", {{5, 5, 'b'}, {0, 5, 'a'}}, "aaaaabbbbb"},
	{"filler overlaps the run", {{5, 5, 'b'}, {0, 8, 'a'}}, "aaaaabbbbb"},
	{"filler covers the run", {{5, 2, 'b'}, {0, 10, 'a'}}, "aaaaabbaaa"},
	{"the same again", {{5, 5, 'b'}, {5, 5, 'c'}, {0, 5, 'a'}}, "aaaaabbbbb"},
	{"left overlap", {{5, 5, 'b'}, {3, 4, 'c'}, {0, 3, 'a'}}, "aaaccbbbbb"},
	{"right overlap", {{5, 5, 'b'}, {8, 4, 'c'}, {0, 5, 'a'}}, "aaaaabbbbbcc"},
	{"covering two runs",
	 {{4, 2, 'b'}, {8, 2, 'c'}, {2, 10, 'd'}, {0, 2, 'a'}},
	 "aaddbbddccdd"},
	{"between two runs", {{2, 2, 'b'}, {6, 2, 'c'}, {4, 2, 'd'}, {0, 2, 'a'}}, "aabbddcc"},
	{"backwards",
	 {{8, 2, 'e'}, {6, 2, 'd'}, {4, 2, 'c'}, {2, 2, 'b'}, {0, 2, 'a'}},
	 "aabbccddee"},
	{"old bytes in front", {{0, 4, 'a'}, {2, 6, 'b'}}, "aaaabbbb"},
	{"a hole stays", {{0, 2, 'a'}, {4, 2, 'c'}}, "aa"},
};

static void test_overlaps(void **state)
{
	static const uint32_t isns[] = {100, 0u - 1, 0u - 4, 0u - 7, 0x7ffffffa};

	for (size_t n = 0; n < sizeof(isns) / sizeof(isns[0]); n++) {
		for (size_t i = 0; i < sizeof(overlaps) / sizeof(overlaps[0]); i++) {
			struct lab *lab = lab_open((struct lab_config){.peer_isn = isns[n]});
			char text[64] = "";
			size_t length = 0;

			for (int k = 0; k < 6 && overlaps[i].in[k].length; k++)
				lab_give(lab, (struct lab_in){.seq = overlaps[i].in[k].seq,
							      .length = overlaps[i].in[k].length,
							      .fill = overlaps[i].in[k].fill});
			while (tcp_received(lab->flow).length > 0) {
				struct slice run = tcp_received(lab->flow);
				memcpy(text + length, run.data, run.length);
				length += run.length;
				tcp_consume(lab->tcp, lab->flow, run.length);
			}
			if (strcmp(text, overlaps[i].text) != 0)
				fail_msg("%s: %s", overlaps[i].name, text);
			lab_close(lab);
		}
	}
}

// When the gap closes everything behind it is readable in the same turn.
static void test_a_filled_gap_is_readable_at_once(void **state)
{
	struct lab *lab = lab_open((struct lab_config){0});

	for (uint32_t i = 1; i < 20; i++)
		assert_int_equal(lab_give(lab, (struct lab_in){.seq = 1000 * i, .length = 1000}),
				 REASON_NONE);
	lab_input(lab, (struct lab_in){.length = 1000});
	assert_int_equal(lab->events, TCP_EVENT_READABLE);
	assert_int_equal(lab_read(lab, 0, 100000), 20000);
	lab_settle(lab);
	assert_int_equal(lab->sent_count, 1); // immediately
	assert_int_equal(lab->sent[0].ack, 20000);
	lab_close(lab);
}

// A sender counts duplicates: one for each segment, all with the same window, none with bytes.
static void test_each_segment_beyond_a_gap_is_a_duplicate_ack(void **state)
{
	struct lab *lab = lab_open((struct lab_config){.receive_buffer = 30000});

	lab_give(lab, (struct lab_in){.length = 1000});
	lab_give(lab, (struct lab_in){.seq = 1000, .length = 1000});
	uint16_t window = lab->sent[0].segment.window;
	for (uint32_t i = 3; i < 8; i++) {
		lab_input(lab, (struct lab_in){.seq = 1000 * i, .length = 1000});
		lab_read(lab, 1000 * (i - 3), 400); // the application goes on reading
		lab_queue(lab, i, 1);
		lab_settle(lab);
		assert_int_equal(lab->sent_count, 2);
		assert_int_equal(lab->sent[0].segment.payload_length, 0);
		assert_int_equal(lab->sent[0].ack, 2000);
		assert_int_equal(lab->sent[0].segment.window, window);
		assert_int_equal(lab->sent[1].segment.payload_length, 1);
		if (i < 5)
			lab_read(lab, 1000 * (i - 3) + 400, 600);
		else
			break;
		window = lab->sent[1].segment.window;
	}
	lab_close(lab);
}

static void test_runs_are_bounded(void **state)
{
	struct lab *lab = lab_open((struct lab_config){.chunks = 1000});
	unsigned full = 0;

	for (uint32_t i = 0; i < 1000; i++) {
		enum reason reason = lab_give(lab, (struct lab_in){.seq = 2 * i + 1, .length = 1});
		assert_true(reason == REASON_NONE || reason == REASON_tcp_out_of_order_full);
		full += reason == REASON_tcp_out_of_order_full;
	}
	assert_in_range(full, 900, 970);
	assert_in_range(pool_used(&lab->chunks), 32, 65);
	// What is held may still grow and is delivered.
	lab_give(lab, (struct lab_in){.seq = 2, .length = 1});
	assert_int_equal(lab->sent[0].ack, 0);
	lab_give(lab, (struct lab_in){.seq = 0, .length = 1});
	assert_int_equal(lab->sent[0].ack, 4);
	lab_close(lab);
}

static void test_the_last_quarter_of_the_pool_is_not_for_gaps(void **state)
{
	struct lab *lab = lab_open((struct lab_config){.chunks = 16});
	unsigned refused = 0;

	for (uint32_t i = 1; i < 20; i++)
		refused += lab_give(lab, (struct lab_in){.seq = 3000 * i, .length = 10}) ==
			   REASON_tcp_no_buffer;
	assert_true(refused > 0);
	assert_int_equal(lab->chunks.free_count, 4);
	lab_close(lab);
}

// ---- What the peer is told (RFC 2018) ----------------------------------------------------------

static void sack_is(const struct lab *lab, uint32_t count, const struct sack_block *want)
{
	const struct sack_blocks *got = &lab->sent[lab->sent_count - 1].sack;

	assert_int_equal(got->count, count);
	for (uint32_t i = 0; i < count; i++) {
		assert_int_equal(got->block[i].start, want[i].start);
		assert_int_equal(got->block[i].end, want[i].end);
	}
}

// What lies beyond a gap lies inside the window that was offered: together with what is unread it
// never takes more than receive_buffer.
static void test_bytes_are_bounded_by_the_window(void **state)
{
	struct lab *lab = lab_open((struct lab_config){.receive_buffer = 10000});

	lab_give(lab, (struct lab_in){.length = 4000}); // unread
	for (uint32_t at = 5000; at < 30000; at += 1000) {
		enum reason reason = lab_give(lab, (struct lab_in){.seq = at, .length = 1000});
		assert_int_equal(reason, at < 10000 ? REASON_NONE : REASON_tcp_unacceptable);
	}
	lab_give(lab, (struct lab_in){.seq = 4000, .length = 1000});
	assert_int_equal(lab_read(lab, 0, 100000), 10000);
	lab_close(lab);
}

static void test_blocks_name_what_is_held_newest_first(void **state)
{
	static const struct {
		uint32_t start, end; // the segment
		uint32_t ack;
		struct sack_block want[4];
	} steps[] = {
		{1000, 2000, 0, {{1000, 2000}}},
		{3000, 4000, 0, {{3000, 4000}, {1000, 2000}}},
		{5000, 6000, 0, {{5000, 6000}, {3000, 4000}, {1000, 2000}}},
		{7000, 8000, 0, {{7000, 8000}, {5000, 6000}, {3000, 4000}, {1000, 2000}}},
		// five blocks, room for four: the oldest is left out
		{9000, 9500, 0, {{9000, 9500}, {7000, 8000}, {5000, 6000}, {3000, 4000}}},
		// an old one grows, or comes again: it is the newest
		{2000, 2500, 0, {{1000, 2500}, {9000, 9500}, {7000, 8000}, {5000, 6000}}},
		{5100, 5200, 0, {{5000, 6000}, {1000, 2500}, {9000, 9500}, {7000, 8000}}},
		// two become one
		{6000, 7000, 0, {{5000, 8000}, {1000, 2500}, {9000, 9500}, {3000, 4000}}},
		// the first gap is filled: the rest stays, in its order
		{0, 1000, 2500, {{5000, 8000}, {9000, 9500}, {3000, 4000}}},
		{2500, 5000, 8000, {{9000, 9500}}},
		// the last: nothing to tell; then bytes that came before are told once (RFC 2883)
		{8000, 9000, 9500, {{0}}},
		{7000, 8000, 9500, {{7000, 8000}}},
		{9600, 9700, 9500, {{9600, 9700}}},
		{9400, 9500, 9500, {{9400, 9500}, {9600, 9700}}},
		{9650, 9800, 9500, {{9600, 9800}}},
		// further back than any window reaches: that never came, whoever says so
		{9500 - (1u << 30) - 1000, 9500 - (1u << 30) - 500, 9500, {{9600, 9800}}},
	};

	for (int wrap = 0; wrap < 2; wrap++) {
		struct lab *lab = lab_open((struct lab_config){
			.sack = true, .peer_isn = wrap ? 0u - 5500 : 77, .window = 1});

		for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
			uint32_t count = 0;

			lab_input(lab, (struct lab_in){.seq = steps[i].start,
						       .length = steps[i].end - steps[i].start});
			lab_read(lab, 0, 0);
			lab_settle(lab);
			while (count < 4 && steps[i].want[count].end != 0)
				count++;
			assert_true(lab->sent_count > 0);
			assert_int_equal(lab->sent[lab->sent_count - 1].ack, steps[i].ack);
			sack_is(lab, count, steps[i].want);
		}
		lab_close(lab);
	}
}

static void test_blocks_leave_room_for_timestamps_and_shorten_payload(void **state)
{
	for (int timestamps = 0; timestamps < 2; timestamps++) {
		struct lab *lab =
			lab_open((struct lab_config){.sack = true, .timestamps = timestamps});
		uint32_t blocks = timestamps ? 3 : 4;

		for (uint32_t i = 1; i < 8; i++)
			lab_give(lab, (struct lab_in){.seq = 2000 * i, .length = 100});
		assert_int_equal(lab->sent[0].sack.count, blocks);
		lab_queue(lab, 0, 3000);
		assert_int_equal(lab_output(lab), 4);
		for (uint32_t i = 0; i < 3; i++) {
			assert_int_equal(lab->sent[i].sack.count, blocks);
			assert_int_equal(lab->sent[i].segment.payload_length +
						 lab->sent[i].segment.options_length,
					 LAB_MSS);
		}
		lab_close(lab);
	}
}

static void test_no_blocks_unless_agreed(void **state)
{
	struct lab *lab = lab_open((struct lab_config){0});

	lab_give(lab, (struct lab_in){.seq = 2000, .length = 100});
	assert_int_equal(lab->sent[0].segment.options_length, 0);
	lab_close(lab);
}

// ---- Against a slow twin ---------------------------------------------------------------------

#define STREAM 5000

// Each block beyond the ACK is exactly one run of known bytes between two unknown ones.
static void check_blocks(const struct lab_sent *sent, const bool *known, uint32_t seed)
{
	for (uint32_t n = 0; n < sent->sack.count; n++) {
		struct sack_block block = sent->sack.block[n];

		if (block.start < sent->ack) { // bytes that came twice
			assert_true(n == 0 && block.end <= sent->ack);
			continue;
		}
		bool good = block.start > sent->ack && block.end <= STREAM &&
			    block.start < block.end && !known[block.start - 1] &&
			    (block.end == STREAM || !known[block.end]);
		for (uint32_t i = block.start; good && i < block.end; i++)
			good = known[i];
		if (!good)
			fail_msg("seed %u: block %u-%u", seed, block.start, block.end);
	}
}

// What lies beyond the first gap is given up.
static void forget(bool known[STREAM], uint32_t from)
{
	while (from < STREAM && known[from])
		from++;
	memset(known + from, 0, (STREAM - from) * sizeof(known[0]));
}

static void random_order(uint32_t seed)
{
	struct random random;
	uint8_t key[16] = {1};
	uint8_t twin[STREAM];
	bool known[STREAM] = {false};
	uint32_t read = 0;
	bool whole = true;

	memcpy(key + 8, &seed, 4);
	random_init(&random, key);
	struct lab *lab = lab_open((struct lab_config){
		.peer_isn = 0u - random_below(&random, 6000), .chunks = 400, .sack = true});
	for (int steps = 0; read < STREAM; steps++) {
		uint32_t start = random_below(&random, STREAM);
		if (random_below(&random, 4) == 0) // some progress
			start = read + random_below(&random, 20);
		uint32_t length = 1 + random_below(&random, 300);
		if (start >= STREAM)
			continue;
		length = length < STREAM - start ? length : STREAM - start;
		uint8_t fill = (uint8_t)(1 + random_below(&random, 255));
		if (lab_input(lab, (struct lab_in){.seq = start, .length = length, .fill = fill}) ==
		    REASON_NONE) {
			for (uint32_t i = start; i < start + length; i++) {
				twin[i] = known[i] ? twin[i] : fill;
				known[i] = true;
			}
		} else {
			whole = false; // a part of it may have been kept
		}
		uint32_t budget = random_below(&random, 2) * random_below(&random, 2000);
		while (budget > 0) {
			struct slice run = slice_first(tcp_received(lab->flow), budget);
			if (run.length == 0)
				break;
			for (size_t i = 0; i < run.length; i++, read++) {
				if (!known[read] || run.data[i] != twin[read])
					fail_msg("seed %u: byte %u", seed, read);
			}
			tcp_consume(lab->tcp, lab->flow, run.length);
			budget -= (uint32_t)run.length;
		}
		lab_settle(lab);
		for (unsigned i = 0; whole && i < lab->sent_count; i++)
			check_blocks(&lab->sent[i], known, seed);
		if (random_below(&random, 50) == 0) {
			bool any = tcp_drop_out_of_order(lab->tcp);

			assert_false(tcp_drop_out_of_order(lab->tcp));
			if (any)
				forget(known, read);
		}
		assert_true(steps < 100000);
	}
	lab_close(lab);
}

static void test_random_orders(void **state)
{
	for (uint32_t seed = 1; seed <= 300; seed++)
		random_order(seed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_overlaps),
		cmocka_unit_test(test_a_filled_gap_is_readable_at_once),
		cmocka_unit_test(test_each_segment_beyond_a_gap_is_a_duplicate_ack),
		cmocka_unit_test(test_runs_are_bounded),
		cmocka_unit_test(test_the_last_quarter_of_the_pool_is_not_for_gaps),
		cmocka_unit_test(test_bytes_are_bounded_by_the_window),
		cmocka_unit_test(test_blocks_name_what_is_held_newest_first),
		cmocka_unit_test(test_blocks_leave_room_for_timestamps_and_shorten_payload),
		cmocka_unit_test(test_no_blocks_unless_agreed),
		cmocka_unit_test(test_random_orders),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
