// SPDX-License-Identifier: BSD-3-Clause
//
// Loss recovery by what the peer reports (RFC 6675), seen on the wire: what is repeated, when and
// how much at once; reports that are lies, that are taken back, or that come in crumbs. Then the
// scoreboard alone against a slow twin that marks each byte.
#include "tests/unit/tcp/lab.h"

#include "dataplane/tcp/flow.h"

static struct lab *open_sending(uint32_t queued)
{
	struct lab *lab = lab_open((struct lab_config){
		.our_isn = 0u - 5500, .send_buffer = 200000, .chunks = 200, .sack = true});

	assert_int_equal(lab_queue(lab, 0, queued), queued);
	return lab;
}

static unsigned answered(struct lab *lab, struct lab_in in)
{
	lab_give(lab, in);
	return lab->sent_count;
}
// What goes out when the peer acknowledges number and reports these blocks.
#define ACK(lab, number, ...) answered(lab, (struct lab_in){.ack = (number), .sack = {__VA_ARGS__}})

static void sent_is(const struct lab *lab, unsigned index, uint32_t seq, uint32_t length)
{
	assert_true(index < lab->sent_count);
	assert_int_equal(lab->sent[index].seq, seq);
	assert_int_equal(lab->sent[index].segment.payload_length, length);
	for (uint32_t i = 0; i < length; i++)
		assert_int_equal(lab->sent[index].bytes[i], lab_byte(seq + i));
}

static void test_three_holes_are_filled_in_one_round_trip(void **state)
{
	struct lab *lab = open_sending(100000);

	assert_int_equal(lab_output(lab), 10);          // 0, 3 and 6 are lost
	assert_int_equal(ACK(lab, 0, {1000, 2000}), 1); // limited transmit
	sent_is(lab, 0, 10000, 1000);
	assert_int_equal(ACK(lab, 0, {1000, 3000}), 1);
	sent_is(lab, 0, 11000, 1000);
	// more than two segments' bytes held above it: 0 is lost. Half of 12 may be in flight; 8
	// may still be on their way, and the repeated one.
	assert_int_equal(ACK(lab, 0, {4000, 5000}, {1000, 3000}), 1);
	sent_is(lab, 0, 0, 1000);
	assert_int_equal(ACK(lab, 0, {4000, 6000}, {1000, 3000}), 0);
	assert_int_equal(ACK(lab, 0, {7000, 8000}, {4000, 6000}, {1000, 3000}), 0); // 3 is lost too
	assert_int_equal(ACK(lab, 0, {7000, 9000}, {4000, 6000}, {1000, 3000}), 1);
	sent_is(lab, 0, 3000, 1000);
	assert_int_equal(ACK(lab, 0, {7000, 10000}, {4000, 6000}, {1000, 3000}), 2); // and 6
	sent_is(lab, 0, 6000, 1000);
	sent_is(lab, 1, 12000, 1000);
	assert_int_equal(ACK(lab, 0, {7000, 11000}, {4000, 6000}, {1000, 3000}), 1);
	sent_is(lab, 0, 13000, 1000);
	// the repairs arrive: nothing is sent twice, and each ACK lets new bytes out
	assert_int_equal(ACK(lab, 3000, {7000, 12000}, {4000, 6000}), 2);
	sent_is(lab, 0, 14000, 1000);
	sent_is(lab, 1, 15000, 1000);
	assert_int_equal(ACK(lab, 6000, {7000, 12000}), 1);
	sent_is(lab, 0, 16000, 1000);
	assert_int_equal(ACK(lab, 12000), 1);
	sent_is(lab, 0, 17000, 1000);
	lab_close(lab);
}

// Bytes, another window or a FIN make no difference: the report itself is the duplicate.
static void test_reports_count_on_any_segment(void **state)
{
	struct lab *lab = open_sending(10000);

	lab_output(lab);
	lab_give(lab, (struct lab_in){.length = 10, .sack = {{1000, 1500}}});
	lab_give(lab, (struct lab_in){.seq = 10, .window = 60000, .sack = {{1000, 1600}}});
	assert_int_equal(lab->sent_count, 0);
	lab_give(lab, (struct lab_in){.seq = 10, .length = 1, .sack = {{1000, 1700}}});
	sent_is(lab, 0, 0, 1000); // the third duplicate, though little is held
	lab_close(lab);
}

static void test_what_reports_nothing(void **state)
{
	static const struct {
		const char *name;
		struct sack_block block;
	} cases[] = {
		{"never sent", {9500, 10001}},
		{"never sent at all", {20000, 21000}},
		{"came twice (RFC 2883)", {500, 900}},
		{"came twice, at the start of the stream", {0, 1000}},
		{"across the ACK number", {500, 3000}},
		{"no gap before it", {1000, 3000}},
		{"end before start", {4000, 3000}},
		{"empty", {3000, 3000}},
		{"half the sequence space", {3000, 3000 + (1u << 31) + 5}},
		{"everything but one", {3001, 3000}},
		{"far behind", {0x80000000, 0x80001000}},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct lab *lab = open_sending(10000);

		lab_output(lab);
		ACK(lab, 1000);
		for (uint32_t n = 0; n < 6; n++) {
			if (ACK(lab, 1000, {cases[i].block.start, cases[i].block.end}) != 0)
				fail_msg("%s: took effect", cases[i].name);
		}
		// and harms nothing: a true report still counts
		ACK(lab, 1000, {2000, 5000});
		sent_is(lab, 0, 1000, 1000);
		assert_int_equal(ACK(lab, 10000), 0);
		assert_true(tcp_all_acknowledged(lab->flow));
		lab_close(lab);
	}
}

static void test_the_same_report_again_is_no_news(void **state)
{
	struct lab *lab = open_sending(100000);

	lab_output(lab);
	assert_int_equal(ACK(lab, 0, {1000, 3000}), 2);
	for (int n = 0; n < 10; n++)
		assert_int_equal(ACK(lab, 0, {1000, 3000}, {1500, 2000}), 0);
	lab_close(lab);
}

// The retransmission timer: nothing that was reported is believed any more (RFC 2018 section 8).
static void test_a_timeout_repeats_what_was_reported_too(void **state)
{
	struct lab *lab = open_sending(10000);

	lab_output(lab);
	ACK(lab, 0, {1000, 2000});
	assert_int_equal(lab_fire(lab), 1);
	sent_is(lab, 0, 0, 1000);
	assert_int_equal(pool_used(&lab->chunks), 5); // its bytes, no scoreboard
	assert_int_equal(ACK(lab, 1000), 2);          // the peer dropped it
	sent_is(lab, 0, 1000, 1000);
	sent_is(lab, 1, 2000, 1000);
	lab_close(lab);
}

// ... but what is reported after it is not sent again.
static void test_after_a_timeout_reports_are_skipped(void **state)
{
	struct lab *lab = open_sending(10000);

	lab_output(lab);
	lab_fire(lab);
	assert_int_equal(ACK(lab, 1000, {2000, 4500}, {6000, 7000}, {7500, 10000}), 2);
	sent_is(lab, 0, 1000, 1000);
	sent_is(lab, 1, 4500, 1000);
	assert_int_equal(ACK(lab, 4500, {6000, 7000}, {7500, 10000}), 2);
	sent_is(lab, 0, 5500, 500);
	sent_is(lab, 1, 7000, 500);
	assert_int_equal(ACK(lab, 10000), 0);
	assert_true(tcp_all_acknowledged(lab->flow));
	lab_close(lab);
}

// An ACK number inside of what was reported: the peer discarded the rest of it.
static void test_a_report_taken_back_is_repaired_at_once(void **state)
{
	static const uint32_t numbers[] = {2000, 2500}; // at its beginning, in its middle

	for (size_t i = 0; i < 2; i++) {
		struct lab *lab = open_sending(10000);

		lab_output(lab);
		ACK(lab, 0, {2000, 3000});
		assert_int_equal(ACK(lab, numbers[i]), 1);
		sent_is(lab, 0, numbers[i], 1000);
		assert_int_equal(pool_used(&lab->chunks), numbers[i] < CHUNK_BYTES ? 5 : 4);
		assert_int_equal(ACK(lab, 10000), 0);
		lab_close(lab);
	}
}

static void test_the_tail_is_rescued_once(void **state)
{
	struct lab *lab = open_sending(10000);

	lab_output(lab); // 0, 8 and 9 are lost, and there is nothing new to send
	for (uint32_t end = 2000; end <= 8000; end += 1000)
		ACK(lab, 0, {1000, end});
	// 0 was repeated; its ACK is beyond the first repetition: the last segment goes out
	assert_int_equal(ACK(lab, 8000), 1);
	sent_is(lab, 0, 9000, 1000);
	assert_int_equal(ACK(lab, 8000, {9000, 10000}), 1); // now 8 is a hole
	sent_is(lab, 0, 8000, 1000);
	assert_int_equal(ACK(lab, 10000), 0);
	assert_true(tcp_all_acknowledged(lab->flow));
	lab_close(lab);
}

static void test_a_fin_is_lost_and_reported_like_a_byte(void **state)
{
	for (int lost = 0; lost < 2; lost++) {
		struct lab *lab = open_sending(5000);

		tcp_close(lab->tcp, lab->flow);
		assert_int_equal(lab_output(lab), 5); // the last with the FIN
		if (lost) { // the last segment; the first is repeated, then rescue
			ACK(lab, 0, {1000, 4000});
			sent_is(lab, 0, 0, 1000);
			assert_int_equal(ACK(lab, 4000), 1);
			sent_is(lab, 0, 4001, 999);
			assert_true(lab->sent[0].segment.flags & TCP_FIN);
		} else { // the first one
			ACK(lab, 0, {1000, 5001});
			sent_is(lab, 0, 0, 1000);
			assert_false(lab->sent[0].segment.flags & TCP_FIN);
			assert_int_equal(lab_fire(lab), 1);
			assert_int_equal(ACK(lab, 1000, {2000, 5001}), 1);
			sent_is(lab, 0, 1000, 1000);
		}
		ACK(lab, 5001);
		assert_true(tcp_all_acknowledged(lab->flow));
		lab_close(lab);
	}
}

// The smallest lies with the largest effect: one byte each second byte. Memory stays one chunk, and
// what is sent stays within the window that had been earned.
static void test_crumbs_are_bounded(void **state)
{
	struct lab *lab = open_sending(100000);
	uint64_t sent = 0;

	lab_output(lab);
	unsigned before = pool_used(&lab->chunks);
	for (uint32_t n = 0; n < 4000; n++) {
		uint32_t at = 1 + 2 * n;
		ACK(lab, 0, {at, at + 1}, {at + 100, at + 101}, {at + 50, at + 51});
		for (unsigned i = 0; i < lab->sent_count; i++)
			sent += lab->sent[i].segment.payload_length;
		assert_true(lab->sent_count <= 20);
		assert_in_range(pool_used(&lab->chunks), before, before + 1);
	}
	assert_in_range(sent, 1, 20000);
	assert_int_equal(ACK(lab, 10000) > 0, true);
	lab_close(lab);
}

// No chunk for the scoreboard: duplicates count as with a peer that knows no SACK.
static void test_without_memory_three_duplicates_are_a_loss(void **state)
{
	struct lab *lab = lab_open((struct lab_config){.chunks = 6, .sack = true});

	lab_queue(lab, 0, 10000);
	lab_output(lab);
	ACK(lab, 0, {1000, 2000});
	ACK(lab, 0, {1000, 3000});
	assert_int_equal(lab->sent_count, 0);
	ACK(lab, 0, {1000, 4000});
	sent_is(lab, 0, 0, 1000);
	assert_int_equal(ACK(lab, 4000), 1); // NewReno
	sent_is(lab, 0, 4000, 1000);
	lab_close(lab);
}

static void test_reports_mean_nothing_unless_agreed(void **state)
{
	struct lab *lab = lab_open((struct lab_config){0});

	lab_queue(lab, 0, 10000);
	lab_output(lab);
	assert_int_equal(ACK(lab, 0, {1000, 9000}), 0);
	lab_close(lab);
}

// A connection that carried more than 2 GB without a loss still notices one.
static void test_recovery_after_half_the_sequence_space(void **state)
{
	static uint8_t bytes[65535];

	for (int sack = 0; sack < 2; sack++) {
		struct lab *lab = lab_open((struct lab_config){.sack = sack});
		struct segment segment;
		uint32_t acked = 0;

		while (acked < 0x80000000u + 1000000) {
			uint32_t taken = (uint32_t)tcp_send(lab->tcp, lab->flow,
							    slice_of(bytes, sizeof(bytes)));
			while (tcp_output(lab->tcp, lab->flow, lab->now, &segment))
				;
			acked += taken;
			struct lab_in in = {.ack = acked};
			// slow start takes the first turns
			if (lab->flow->snd_max != acked + lab->our_base)
				in.ack = acked = lab->flow->snd_max - lab->our_base;
			lab_give(lab, in);
		}
		acked = lab->flow->snd_una - lab->our_base;
		tcp_send(lab->tcp, lab->flow, slice_of(bytes, 10000));
		lab_output(lab);
		for (uint32_t n = 2; n <= 4; n++)
			ACK(lab, acked, {acked + 1000, acked + n * 1000});
		assert_int_equal(lab->sent_count, 1);
		assert_int_equal(lab->sent[0].seq, acked);
		assert_int_equal(lab->sent[0].segment.payload_length, 1000);
		lab_close(lab);
	}
}

// ---- Against a slow twin ---------------------------------------------------------------------

#define STREAM 3000u

struct twin {
	bool held[STREAM];
	uint32_t una, max;
};

// What each byte would say by the text of RFC 6675.
static bool twin_lost(const struct twin *twin, uint32_t at, uint32_t mss)
{
	uint32_t ranges = 0, bytes = 0;

	for (uint32_t i = at + 1; i < twin->max; i++) {
		bytes += twin->held[i];
		ranges += twin->held[i] && !twin->held[i - 1];
	}
	return ranges >= 3 || bytes > 2 * mss;
}

static void same_as_twin(const struct flow *flow, const struct twin *twin, uint32_t base,
			 uint32_t seed)
{
	uint32_t pipe = 0, held = 0, next_lost = UINT32_MAX, next_any = UINT32_MAX, top = 0;

	for (uint32_t i = twin->una; i < twin->max; i++)
		top = twin->held[i] ? i : top;
	for (uint32_t i = twin->una; i < twin->max; i++) {
		bool repeated = seq_before(base + i, flow->high_rxt);

		held += twin->held[i];
		if (twin->held[i])
			continue;
		bool lost = twin_lost(twin, i, flow->mss);
		pipe += !lost;
		pipe += repeated;
		if (lost && !repeated && next_lost == UINT32_MAX)
			next_lost = i;
		if (i < top && !repeated && next_any == UINT32_MAX)
			next_any = i;
	}
	struct sack_block lost_hole = scoreboard_next_hole(flow, true);
	struct sack_block any_hole = scoreboard_next_hole(flow, false);
	bool first_lost = twin_lost(twin, twin->una, flow->mss);

	if (scoreboard_held_below(flow, flow->snd_max) != held || scoreboard_pipe(flow) != pipe ||
	    scoreboard_first_is_lost(flow) != first_lost)
		fail_msg("seed %u: held %u, pipe %u, lost %d expected", seed, held, pipe,
			 first_lost);
	if ((next_lost == UINT32_MAX) != (lost_hole.start == lost_hole.end) ||
	    (next_lost != UINT32_MAX && lost_hole.start != base + next_lost))
		fail_msg("seed %u: next lost hole at %u expected", seed, next_lost);
	if ((next_any == UINT32_MAX) != (any_hole.start == any_hole.end) ||
	    (next_any != UINT32_MAX && any_hole.start != base + next_any))
		fail_msg("seed %u: next hole at %u expected", seed, next_any);
	for (uint32_t i = any_hole.start - base; next_any != UINT32_MAX && i < any_hole.end - base;
	     i++)
		assert_false(twin->held[i]);
}

static void random_reports(uint32_t seed)
{
	static struct twin twin;
	struct random random;
	struct pool pool;
	uint8_t key[16] = {3};

	memcpy(key + 8, &seed, 4);
	random_init(&random, key);
	memset(&twin, 0, sizeof(twin));
	assert_int_equal(chunk_pool_init(&pool, 8 * 2048), 0);
	uint32_t base = 0u - random_below(&random, 2 * STREAM);
	uint32_t grain = 25 + random_below(&random, 100); // never more ranges than fit
	struct flow flow = {
		.snd_una = base, .high_rxt = base, .mss = 20 + random_below(&random, 200)};

	twin.max = 1 + random_below(&random, STREAM);
	for (int step = 0; step < 60; step++) {
		struct sack_blocks blocks = {.count = random_below(&random, 5)};

		flow.snd_max = base + twin.max;
		for (uint32_t i = 0; i < blocks.count; i++) {
			uint32_t start = random_below(&random, STREAM) / grain * grain;
			uint32_t end = start + grain * random_below(&random, 4);
			blocks.block[i] = (struct sack_block){base + start, base + end};
			for (uint32_t at = start; start > twin.una && end <= twin.max && at < end;
			     at++)
				twin.held[at] = true;
		}
		scoreboard_report(&flow, &pool, &blocks);
		same_as_twin(&flow, &twin, base, seed);
		if (random_below(&random, 4) == 0)
			flow.high_rxt =
				base + twin.una + random_below(&random, twin.max - twin.una + 1);
		if (random_below(&random, 8) == 0) {
			twin.una += random_below(&random, twin.max - twin.una + 1);
			bool back = twin.una < twin.max && twin.held[twin.una];
			flow.snd_una = base + twin.una;
			assert_int_equal(scoreboard_advance(&flow, &pool), !back);
			if (back)
				memset(twin.held, 0, sizeof(twin.held));
		}
		twin.max += random_below(&random, STREAM - twin.max + 1) / 4;
	}
	scoreboard_clear(&flow, &pool);
	assert_int_equal(pool_used(&pool), 0);
	pool_fini(&pool);
}

static void test_random_reports(void **state)
{
	for (uint32_t seed = 1; seed <= 60; seed++)
		random_reports(seed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_three_holes_are_filled_in_one_round_trip),
		cmocka_unit_test(test_reports_count_on_any_segment),
		cmocka_unit_test(test_what_reports_nothing),
		cmocka_unit_test(test_the_same_report_again_is_no_news),
		cmocka_unit_test(test_a_timeout_repeats_what_was_reported_too),
		cmocka_unit_test(test_after_a_timeout_reports_are_skipped),
		cmocka_unit_test(test_a_report_taken_back_is_repaired_at_once),
		cmocka_unit_test(test_the_tail_is_rescued_once),
		cmocka_unit_test(test_a_fin_is_lost_and_reported_like_a_byte),
		cmocka_unit_test(test_crumbs_are_bounded),
		cmocka_unit_test(test_without_memory_three_duplicates_are_a_loss),
		cmocka_unit_test(test_reports_mean_nothing_unless_agreed),
		cmocka_unit_test(test_recovery_after_half_the_sequence_space),
		cmocka_unit_test(test_random_reports),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
