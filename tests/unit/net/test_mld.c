// SPDX-License-Identifier: BSD-3-Clause
//
// MLD's listener: reports at start, answers to queries of both versions in time, queries that must
// not be answered.
#include <stdio.h>

#include "tests/unit/net/fixture.h"

// Offsets in a query: hop limit 21, source 22, destination 38, code 66, group 70, sources 88.

// Reports only: what net_start announces besides is test_net's.
static const struct sent_frame *next_report(struct fixture *f)
{
	const struct sent_frame *frame;
	while ((frame = fixture_next_sent(f))) {
		if (frame->length > 62 && frame->bytes[12] == 0x86 && frame->bytes[20] == 0)
			return frame;
	}
	return NULL;
}

static void joins_are_reported_twice(void **state)
{
	struct fixture *f = *state;

	net_start(f->net, f->now, &f->outbox);
	const struct sent_frame *first = next_report(f);
	assert_int_equal(first->length, sizeof(mld2_join));
	assert_memory_equal(first->bytes, mld2_join, sizeof(mld2_join));
	assert_int_equal(first->port, 0);
	assert_null(next_report(f)); // port 1 has no IPv6
	fixture_advance(f, SECOND_US);
	const struct sent_frame *second = next_report(f);
	assert_non_null(second);
	assert_memory_equal(second->bytes, mld2_join, sizeof(mld2_join));
	fixture_advance(f, 100 * SECOND_US);
	assert_null(next_report(f));
}

static void general_query_is_answered_in_time(void **state)
{
	struct fixture *f = *state;

	for (unsigned round = 0; round < 20; round++) {
		uint64_t asked_us = f->now.now_us;
		assert_int_equal(deliver(f, mld2_query), REASON_NONE);
		expect_silence(f); // not at once: everybody would
		fixture_advance(f, 10 * SECOND_US);
		assert_int_equal(f->sent_count, 1);
		assert_true(f->sent[0].when_us <= asked_us + 10 * SECOND_US);
		expect_sent(f, mld2_report);
		fixture_advance(f, 10 * SECOND_US);
		expect_silence(f);
		fixture_forget_sent(f);
	}
}

static void answers_are_spread(void **state)
{
	struct fixture *f = *state;
	unsigned early = 0;

	for (unsigned round = 0; round < 200; round++) {
		uint64_t asked_us = f->now.now_us;
		deliver(f, mld2_query);
		fixture_advance(f, 10 * SECOND_US);
		early += f->sent[0].when_us < asked_us + 5 * SECOND_US;
		fixture_forget_sent(f);
	}
	assert_in_range(early, 60, 140);
}

static void query_for_one_group(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(deliver(f, mld2_query_group), REASON_NONE);
	fixture_advance(f, SECOND_US);
	expect_sent(f, mld2_report_group);
	// with sources: the whole group is the truth
	uint8_t frame[sizeof(mld2_query_group) + 32] = {0};
	memcpy(frame, mld2_query_group, sizeof(mld2_query_group));
	frame[19] += 32;
	frame[89] = 2;
	repair_checksums(frame);
	assert_int_equal(deliver(f, frame), REASON_NONE);
	fixture_advance(f, SECOND_US);
	expect_sent(f, mld2_report_group);
	// a group that we do not listen to
	assert_int_equal(changed(f, mld2_query_group, {85, 0x77}), REASON_nd_not_ours);
	fixture_advance(f, SECOND_US);
	expect_silence(f);
}

static void repeated_queries_get_one_answer(void **state)
{
	struct fixture *f = *state;

	// the soonest of the times that were drawn counts
	changed(f, mld2_query, {66, 0}, {67, 0});
	deliver(f, mld2_query);
	fixture_advance(f, 0);
	expect_sent(f, mld2_report);
	fixture_advance(f, 10 * SECOND_US);
	expect_silence(f);
	fixture_forget_sent(f);
	// for one group, too
	changed(f, mld2_query_group, {66, 0}, {67, 0});
	deliver(f, mld2_query_group);
	fixture_advance(f, 0);
	expect_sent(f, mld2_report_group);
	fixture_advance(f, SECOND_US);
	expect_silence(f);
	// and the answer about all groups is one about each
	changed(f, mld2_query, {66, 0}, {67, 0});
	deliver(f, mld2_query_group);
	fixture_advance(f, SECOND_US);
	expect_sent(f, mld2_report);
	expect_silence(f);
	fixture_forget_sent(f);
	for (unsigned i = 0; i < 50; i++)
		deliver(f, mld2_query);
	for (unsigned i = 0; i < 50; i++)
		deliver(f, mld2_query_group);
	fixture_advance(f, 10 * SECOND_US);
	assert_in_range(f->sent_count, 1, 2);
}

static void version1_querier_gets_version1(void **state)
{
	struct fixture *f = *state;

	for (unsigned round = 0; round < 20; round++) {
		net_destroy(f->net);
		fixture_create_net(f);
		fixture_forget_sent(f);
		assert_int_equal(deliver(f, mld2_query), REASON_NONE);
		assert_int_equal(deliver(f, mld1_query), REASON_NONE); // what waited is forgotten
		uint64_t due_us = net_timeout(f->net, f->now, &f->outbox);
		fixture_advance(f, 10 * SECOND_US);
		assert_int_equal(f->sent_count, 2); // one report a group
		assert_int_equal(f->sent[0].when_us, due_us);
		assert_int_not_equal(f->sent[0].when_us, f->sent[1].when_us);
	}
	bool seen = false;
	for (unsigned i = 0; i < 2; i++)
		seen |= f->sent[i].length == sizeof(mld1_report) &&
			memcmp(f->sent[i].bytes, mld1_report, sizeof(mld1_report)) == 0;
	assert_true(seen);
	fixture_forget_sent(f);
	// while it is there, also to version 2's queries
	fixture_advance(f, 200 * SECOND_US);
	deliver(f, mld2_query_group);
	fixture_advance(f, SECOND_US);
	expect_sent(f, mld1_report);
	// 260 s after its last query it is gone
	fixture_advance(f, 50 * SECOND_US);
	deliver(f, mld2_query_group);
	fixture_advance(f, SECOND_US);
	expect_sent(f, mld2_report_group);
}

static void long_delays(void **state)
{
	struct fixture *f = *state;

	// code 0x8000: (0 | 0x1000) << 3 = 32,768 ms; 0xffff: 0x1fff << 10 = 8,387,584 ms
	static const struct {
		uint8_t high, low;
		uint64_t limit_us;
	} codes[] = {
		{0, 0, 0},
		{0x80, 0x00, 32768000},
		{0xff, 0xff, 8387584000},
	};
	for (unsigned i = 0; i < 3; i++) {
		uint64_t latest_us = 0;
		for (unsigned round = 0; round < 50; round++) {
			uint64_t asked_us = f->now.now_us;
			changed(f, mld2_query, {66, codes[i].high}, {67, codes[i].low});
			fixture_advance(f, codes[i].limit_us);
			assert_int_equal(f->sent_count, 1);
			uint64_t delay_us = f->sent[0].when_us - asked_us;
			if (delay_us > latest_us)
				latest_us = delay_us;
			fixture_forget_sent(f);
		}
		assert_true(latest_us <= codes[i].limit_us);
		assert_true(latest_us >= codes[i].limit_us / 8); // 32 bits of microseconds bound it
	}
}

static void queries_that_are_none(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(changed(f, mld2_query, {21, 2}), REASON_nd_malformed);
	// a global source; a source outside fe80::/10
	assert_int_equal(changed(f, mld2_query, {22, 0x20}, {23, 1}), REASON_nd_malformed);
	// more sources than the packet holds
	assert_int_equal(changed(f, mld2_query, {89, 1}), REASON_nd_malformed);
	assert_int_equal(changed(f, mld2_query, {88, 0xff}, {89, 0xff}), REASON_nd_malformed);
	// 25 to 27 bytes are of no version
	for (unsigned length = 8; length < 28; length++) {
		uint8_t frame[62 + 28];
		memcpy(frame, mld2_query, 62 + length);
		frame[19] = (uint8_t)(8 + length);
		repair_checksums(frame);
		enum reason reason = fixture_deliver_to(f, 0, frame, 62 + length);
		assert_int_equal(reason, length == 24 ? REASON_NONE : REASON_nd_malformed);
	}
	fixture_advance(f, 10 * SECOND_US);
	fixture_forget_sent(f);
	// without a router alert
	uint8_t bare[sizeof(mld2_query) - 8];
	memcpy(bare, mld2_query, 54);
	memcpy(bare + 54, mld2_query + 62, sizeof(mld2_query) - 62);
	bare[20] = 58;
	bare[19] -= 8;
	repair_checksums(bare);
	assert_int_equal(deliver(f, bare), REASON_nd_malformed);
	// others' reports do not silence ours
	deliver(f, mld2_query_group);
	uint8_t report[sizeof(bare)];
	memcpy(report, bare, sizeof(bare));
	report[54] = 131;
	repair_checksums(report);
	assert_int_equal(deliver(f, report), REASON_icmp_ignored);
	fixture_advance(f, SECOND_US);
	assert_int_equal(f->sent_count, 1);
}

static void many_groups_take_many_reports(void **state)
{
	enum { ADDRESSES = 130 };
	struct interface_address *addresses = calloc(ADDRESSES, sizeof(*addresses));
	struct fixture *f = fixture_prepare();
	for (unsigned i = 0; i < ADDRESSES; i++) {
		char text[48];
		const char *why;
		// two addresses of each group
		snprintf(text, sizeof(text), "2001:db8::%x:0:%x/64", i % 2 + 1, i / 2 + 1);
		assert_int_equal(interface_address_parse(text, &addresses[i], &why), 0);
	}
	f->settings[0].addresses = addresses;
	f->settings[0].address_count = ADDRESSES;
	f->settings[0].mtu = 1280;
	fixture_create_net(f);
	// 65 groups; the derived link-local address shares the first one's
	deliver(f, mld2_query);
	fixture_advance(f, 10 * SECOND_US);
	assert_int_equal(f->sent_count, 2);
	assert_int_equal(f->sent[0].length, 14 + 40 + 8 + 8 + 61 * 20);
	assert_int_equal(f->sent[0].bytes[69], 61);
	assert_int_equal(f->sent[1].bytes[69], 4);
	struct address groups[100];
	assert_int_equal(net_groups(f->net, 0, groups, 100), 66); // and all nodes
	assert_int_equal(net_groups(f->net, 0, groups, 7), 7);
	fixture_destroy(f);
	free(addresses);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		TEST(joins_are_reported_twice),
		TEST(general_query_is_answered_in_time),
		TEST(answers_are_spread),
		TEST(query_for_one_group),
		TEST(repeated_queries_get_one_answer),
		TEST(version1_querier_gets_version1),
		TEST(long_delays),
		TEST(queries_that_are_none),
		cmocka_unit_test(many_groups_take_many_reports),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
