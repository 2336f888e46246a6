// SPDX-License-Identifier: BSD-3-Clause
//
// Loss recovery by what the peer reports (RFC 2018, RFC 8985), seen on the wire: what is repeated
// and how much at once; reports that are lies, that are taken back, or that come in crumbs. Then
// the scoreboard alone against a slow twin that marks each byte.
#include "tests/unit/tcp/lab.h"

#include "dataplane/tcp/scoreboard.h"

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

static unsigned repetitions(const struct lab *lab, uint32_t below)
{
	unsigned count = 0;

	for (unsigned i = 0; i < lab->sent_count; i++)
		count += lab->sent[i].seq < below;
	return count;
}

static void test_three_holes_are_filled_in_one_round_trip(void **state)
{
	struct lab *lab = open_sending(100000);

	assert_int_equal(lab_output(lab), 10); // 0, 3 and 6 are lost
	lab->now += 10000;
	// limited transmit; one or two segments may have overtaken the first one
	assert_int_equal(ACK(lab, 0, {1000, 2000}), 1);
	sent_is(lab, 0, 10000, 1000);
	assert_int_equal(ACK(lab, 0, {1000, 3000}), 1);
	sent_is(lab, 0, 11000, 1000);
	// three have: what was sent before them is lost
	lab->now += 100;
	ACK(lab, 0, {4000, 5000}, {1000, 3000});
	sent_is(lab, 0, 0, 1000);
	sent_is(lab, 1, 3000, 1000);
	assert_int_equal(repetitions(lab, 10000), 2);
	ACK(lab, 0, {4000, 6000}, {1000, 3000});
	assert_int_equal(repetitions(lab, 10000), 0);
	// more losses than a bad wire explains: there must be room before 6 is repeated, once
	unsigned count = 0;
	for (uint32_t end = 8000; end <= 10000; end += 1000) {
		ACK(lab, 0, {7000, end}, {4000, 6000}, {1000, 3000});
		count += repetitions(lab, 10000);
	}
	lab->now += 10000;
	ACK(lab, 3000, {7000, 12000}, {4000, 6000});
	count += repetitions(lab, 10000);
	ACK(lab, 6000, {7000, 12000});
	count += repetitions(lab, 10000);
	assert_int_equal(count, 1);
	assert_true(ACK(lab, 12000) > 0);
	assert_int_equal(repetitions(lab, 12000), 0);
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
		if (lab->sent_count == 0)
			lab_fire(lab); // a tale of repetitions makes patient
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

// The retransmission timer: what was reported is believed once more; when the first segment does
// not help, nothing is (RFC 2018 section 8).
static void test_the_second_timeout_repeats_what_was_reported_too(void **state)
{
	for (int timeouts = 1; timeouts <= 2; timeouts++) {
		struct lab *lab = open_sending(3000);

		lab_output(lab);
		ACK(lab, 0, {1000, 2000});
		while (lab->sent_count == 0 || lab->sent[0].seq != 0)
			lab_fire(lab); // of the reordering window
		for (int i = 0; i < timeouts; i++) {
			assert_int_equal(lab_fire(lab), 1);
			sent_is(lab, 0, 0, 1000);
		}
		lab->now += 10000;
		if (timeouts == 1) {
			assert_int_equal(ACK(lab, 2000), 1); // the peer has it
			sent_is(lab, 0, 2000, 1000);
		} else {
			assert_int_equal(ACK(lab, 1000), 2); // it dropped it
			sent_is(lab, 0, 1000, 1000);
			sent_is(lab, 1, 2000, 1000);
		}
		lab_close(lab);
	}
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
		sent_is(lab, 0, numbers[i], 3000 - numbers[i]); // that, and no more

		assert_int_equal(ACK(lab, 10000), 0);
		lab_close(lab);
	}
}

static void test_a_fin_is_lost_and_reported_like_a_byte(void **state)
{
	for (int lost = 0; lost < 2; lost++) {
		struct lab *lab = open_sending(5000);

		tcp_close(lab->tcp, lab->flow);
		assert_int_equal(lab_output(lab), 5); // the last with the FIN
		lab->now += 10000;
		if (lost) { // the last segment, and nothing tells of it
			ACK(lab, 4000);
			while (lab->sent_count == 0)
				lab_fire(lab);
			sent_is(lab, 0, 4001, 999); // a full segment with the FIN
			assert_true(lab->sent[0].segment.flags & TCP_FIN);
		} else { // the first one
			ACK(lab, 0, {1000, 5001});
			sent_is(lab, 0, 0, 1000);
			assert_false(lab->sent[0].segment.flags & TCP_FIN);
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
		lab->now += 10;
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
		lab->now += 1000;
		unsigned count = 0;
		for (uint32_t n = 2; n <= 4; n++) {
			ACK(lab, acked, {acked + 1000, acked + n * 1000});
			count += lab->sent_count > 0 && lab->sent[0].seq == acked;
		}
		assert_int_equal(count, 1);
		lab_close(lab);
	}
}

// ---- Against a slow twin ---------------------------------------------------------------------

#define STREAM 3000u

enum mark { ON_THE_WAY, HELD, LOST };

struct twin {
	enum mark marks[STREAM];
	uint32_t una, max;
};

static void same_as_twin(const struct flow *flow, const struct twin *twin, uint32_t base,
			 uint32_t seed)
{
	uint32_t counts[3] = {0}, first_lost = UINT32_MAX;

	for (uint32_t i = twin->una; i < twin->max; i++) {
		counts[twin->marks[i]]++;
		if (twin->marks[i] == LOST && first_lost == UINT32_MAX)
			first_lost = i;
	}
	struct sack_block lost = scoreboard_lost(flow);
	if (flow->scoreboard->held != counts[HELD] || flow->scoreboard->lost != counts[LOST] ||
	    scoreboard_pipe(flow) != counts[ON_THE_WAY])
		fail_msg("seed %u: held %u, lost %u, pipe %u expected", seed, counts[HELD],
			 counts[LOST], counts[ON_THE_WAY]);
	if ((first_lost == UINT32_MAX) != (lost.start == lost.end) ||
	    (first_lost != UINT32_MAX && lost.start != base + first_lost))
		fail_msg("seed %u: first lost byte at %u expected", seed, first_lost);
	for (uint32_t i = lost.start; seq_before(i, lost.end); i++)
		assert_int_equal(twin->marks[i - base], LOST);
}

static bool everything(const struct flow *flow, const struct run *run, uint64_t now_us,
		       int32_t *wait)
{
	*wait = 0;
	return run->sent_us != (uint32_t)now_us;
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
	uint32_t grain = 60 + random_below(&random, 100); // never more runs than fit
	struct flow flow = {.snd_una = base,
			    .snd_nxt = base,
			    .snd_max = base,
			    .mss = 100,
			    .flags = FLOW_SACK,
			    .snd_wnd_max = 1};

	for (uint64_t now_us = 1000; now_us < 100000; now_us += 1000) {
		uint32_t more = random_below(&random, (STREAM - twin.max) / 4 + 1);
		if (more > 0) {
			scoreboard_sent(&flow, &pool, base + twin.max + more, now_us);
			twin.max += more;
			flow.snd_nxt = flow.snd_max = base + twin.max;
		}
		if (flow.scoreboard == NULL)
			continue;
		uint32_t start = random_below(&random, STREAM) / grain * grain;
		uint32_t end = start + grain * random_below(&random, 4);
		struct sack_blocks blocks = {1, {{base + start, base + end}}};
		struct scoreboard_news news = {0};
		scoreboard_report(&flow, &blocks, now_us, &news);
		for (uint32_t at = start; start > twin.una && end <= twin.max && at < end; at++)
			twin.marks[at] = HELD;
		same_as_twin(&flow, &twin, base, seed);
		if (random_below(&random, 6) == 0) {
			uint32_t wait_us;
			scoreboard_lose_older(&flow, everything, now_us, &wait_us);
			scoreboard_lose_all(&flow, false);
			for (uint32_t i = twin.una; i < twin.max; i++)
				twin.marks[i] = twin.marks[i] == HELD ? HELD : LOST;
		}
		struct sack_block lost = scoreboard_lost(&flow);
		if (lost.start != lost.end) {
			uint32_t length = 1 + random_below(&random, lost.end - lost.start);
			scoreboard_repeated(&flow, lost.start, lost.start + length, now_us);
			memset(&twin.marks[lost.start - base], 0, length * sizeof(enum mark));
		}
		same_as_twin(&flow, &twin, base, seed);
		if (random_below(&random, 8) > 0)
			continue;
		twin.una += random_below(&random, twin.max - twin.una + 1);
		flow.snd_una = base + twin.una;
		bool back = twin.una < twin.max && twin.marks[twin.una] == HELD;
		for (uint32_t i = twin.una; back && i < twin.max; i++)
			twin.marks[i] = twin.marks[i] == HELD ? LOST : twin.marks[i];
		scoreboard_acknowledged(&flow, now_us, &news);
		same_as_twin(&flow, &twin, base, seed);
		scoreboard_settle(&flow, &pool);
		assert_int_equal(flow.scoreboard == NULL, twin.una == twin.max);
	}
	scoreboard_clear(&flow, &pool);
	assert_int_equal(pool_used(&pool), 0);
	pool_fini(&pool);
}

static void test_random_reports(void **state)
{
	for (uint32_t seed = 1; seed <= 300; seed++)
		random_reports(seed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_three_holes_are_filled_in_one_round_trip),
		cmocka_unit_test(test_what_reports_nothing),
		cmocka_unit_test(test_the_same_report_again_is_no_news),
		cmocka_unit_test(test_the_second_timeout_repeats_what_was_reported_too),
		cmocka_unit_test(test_after_a_timeout_reports_are_skipped),
		cmocka_unit_test(test_a_report_taken_back_is_repaired_at_once),
		cmocka_unit_test(test_a_fin_is_lost_and_reported_like_a_byte),
		cmocka_unit_test(test_crumbs_are_bounded),
		cmocka_unit_test(test_without_memory_three_duplicates_are_a_loss),
		cmocka_unit_test(test_reports_mean_nothing_unless_agreed),
		cmocka_unit_test(test_recovery_after_half_the_sequence_space),
		cmocka_unit_test(test_random_reports),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
