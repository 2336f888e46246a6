// SPDX-License-Identifier: BSD-3-Clause
//
// Floods of unlisted sources: whatever short way is taken with them, they are counted, logged and
// answered as if each frame had come alone.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "dataplane/base/random.h"
#include "tests/unit/net/vectors.h"
#include "tests/unit/pipeline/twins.h"

#define STORIES     500
#define STORY_BYTES 600
#define BURSTS      200

// SYNs over IPv4 from so many sources in turn.
struct flood {
	uint8_t bytes[PIPELINE_BURST][sizeof(tcp4_syn)];
	struct slice frames[PIPELINE_BURST];
};

static void fill(struct flood *flood, const uint8_t source[4], unsigned first, unsigned count)
{
	for (unsigned i = first; i < first + count; i++) {
		memcpy(flood->bytes[i], tcp4_syn, sizeof(tcp4_syn));
		memcpy(flood->bytes[i] + 26, source, 4);
		flood->frames[i] = slice_of(flood->bytes[i], sizeof(tcp4_syn));
	}
}

static void test_stories(void **state)
{
	static uint8_t story[STORY_BYTES];
	struct random random;

	random_init(&random, (const uint8_t[16]){1});
	for (unsigned i = 0; i < STORIES; i++) {
		for (unsigned k = 0; k < STORY_BYTES; k++)
			story[k] = (uint8_t)random_u64(&random);
		twins_play(slice_of(story, STORY_BYTES));
	}
}

static uint64_t logged(const struct twin *twin)
{
	uint64_t count = 0;

	for (unsigned i = 0; i < TWINS_LOG; i++)
		count += twin->log[i].reason == REASON_no_connector;
	return count;
}

static void test_exact_counts(void **state)
{
	static struct flood flood;
	struct twins *twins = twins_open("");

	fill(&flood, (const uint8_t[]){8, 8, 8, 8}, 0, PIPELINE_BURST);
	for (unsigned i = 0; i < BURSTS; i++) {
		twins_input(twins, 0, flood.frames, PIPELINE_BURST);
		twins_pass(twins, 7);
	}
	assert_int_equal(twins->other.reasons[REASON_no_connector].count, BURSTS * PIPELINE_BURST);
	assert_int_equal(twins->other.ports[0].frames_in, BURSTS * PIPELINE_BURST);
	assert_int_equal(logged(&twins->other), 16); // a second's worth
	twins_pass(twins, 1000000);
	twins_input(twins, 0, flood.frames, PIPELINE_BURST);
	assert_int_equal(logged(&twins->other), 32);
	twins_close(twins);
}

// In small bursts to the frame, in full ones by samples that stand for the others.
static void test_offenders(void **state)
{
	static const uint8_t often[4] = {8, 8, 8, 8}, seldom[4] = {9, 9, 9, 9};
	static struct offender offenders[OFFENDERS_ENTRIES];
	static struct flood flood;
	struct twins *twins = twins_open("");
	const uint64_t sum = 3 * BURSTS * PIPELINE_BURST;
	uint64_t found = 0, of_often = 0;
	struct address address = address_from_ipv4(often);

	fill(&flood, often, 0, 48);
	fill(&flood, seldom, 48, 16);
	for (unsigned i = 0; i < 3 * BURSTS; i++) {
		twins_input(twins, 0, flood.frames, PIPELINE_BURST);
		twins_pass(twins, 13);
	}
	for (unsigned i = offenders_read(twins->other.offenders, twins->now.now_us, offenders); i;
	     i--) {
		found += offenders[i - 1].frames;
		if (address_compare(&offenders[i - 1].source, &address) == 0)
			of_often = offenders[i - 1].frames;
	}
	assert_in_range(found, sum * 9 / 10, sum * 11 / 10);
	assert_in_range(of_often, sum * 3 / 4 * 9 / 10, sum * 3 / 4 * 11 / 10);
	twins_close(twins);

	twins = twins_open("");
	for (unsigned i = 0; i < 100; i++)
		twins_input(twins, 0, flood.frames + 30, 31);
	assert_int_equal(offenders_read(twins->other.offenders, twins->now.now_us, offenders), 2);
	assert_int_equal(offenders[0].frames + offenders[1].frames, 3100);
	twins_close(twins);
}

// A listed source in the middle of a flood is heard at once, and answered.
static void test_listed_beside(void **state)
{
	static struct flood flood;
	struct twins *twins = twins_open("");
	uint64_t sent;

	fill(&flood, (const uint8_t[]){8, 8, 8, 8}, 0, PIPELINE_BURST);
	for (unsigned i = 0; i < 20; i++)
		twins_input(twins, 0, flood.frames, PIPELINE_BURST);
	sent = twins->other.ports[0].frames_out;
	// the sum of its header is good for 192.0.2.55: as much is added elsewhere
	fill(&flood, (const uint8_t[]){198, 51, 100, 7}, 33, 1);
	flood.bytes[33][24] = 0;
	flood.bytes[33][25] = 0;
	uint32_t sum = 0;
	for (unsigned i = 14; i < 34; i += 2)
		sum += (uint32_t)flood.bytes[33][i] << 8 | flood.bytes[33][i + 1];
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	flood.bytes[33][24] = (uint8_t)(~sum >> 8);
	flood.bytes[33][25] = (uint8_t)~sum;
	twins_input(twins, 0, flood.frames, PIPELINE_BURST);
	assert_int_equal(twins->other.ports[0].frames_out, sent + 1);
	assert_int_equal(twins->other.connectors[0].syns, 1);
	assert_int_equal(twins->other.reasons[REASON_no_connector].count, 21 * PIPELINE_BURST - 1);
	twins_close(twins);
}

// What was learned under one policy is not believed under the next.
static void test_reload(void **state)
{
	static struct flood flood;
	struct twins *twins = twins_open("");

	fill(&flood, (const uint8_t[]){8, 8, 8, 8}, 0, PIPELINE_BURST);
	for (unsigned i = 0; i < 20; i++)
		twins_input(twins, 0, flood.frames, PIPELINE_BURST);
	twins_reload(twins, "", false);
	for (unsigned i = 0; i < 20; i++)
		twins_input(twins, 0, flood.frames, PIPELINE_BURST);
	assert_int_equal(twins->other.reasons[REASON_no_connector].count, 20 * PIPELINE_BURST);
	assert_int_equal(twins->other.reasons[REASON_no_binding].count, 20 * PIPELINE_BURST);
	twins_close(twins);
}

// Refuse = reset: everybody who is told in a flood of frames one by one is told in this one.
static void test_reset(void **state)
{
	static struct flood flood;
	struct twins *twins = twins_open("Refuse = reset\n");
	uint64_t sent = twins->other.ports[0].frames_out;

	fill(&flood, (const uint8_t[]){192, 0, 2, 55}, 0, PIPELINE_BURST);
	for (unsigned i = 0; i < 2; i++)
		twins_input(twins, 0, flood.frames, PIPELINE_BURST);
	assert_int_equal(twins->other.ports[0].frames_out, sent + 2 * PIPELINE_BURST);
	twins_close(twins);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stories),   cmocka_unit_test(test_exact_counts),
		cmocka_unit_test(test_offenders), cmocka_unit_test(test_listed_beside),
		cmocka_unit_test(test_reload),    cmocka_unit_test(test_reset),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
