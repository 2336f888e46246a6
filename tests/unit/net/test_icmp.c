// SPDX-License-Identifier: BSD-3-Clause
//
// Echo in both families and its rate; ICMP that must have no effect.
#include "tests/unit/net/fixture.h"

static void echo_is_answered(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(deliver(f, echo4), REASON_NONE);
	expect_sent(f, echo4_reply);
	assert_int_equal(deliver(f, echo6), REASON_NONE);
	expect_sent(f, echo6_reply);
	expect_silence(f);
}

static void echo_rate_is_bounded(void **state)
{
	struct fixture *f = *state;
	unsigned answered = 0;

	// a flood: 100 at once, then 1,000 a second
	for (unsigned i = 0; i < 500; i++)
		answered += (i % 2 ? deliver(f, echo4) : deliver(f, echo6)) == REASON_NONE;
	assert_int_equal(answered, 100);
	assert_int_equal(deliver(f, echo4), REASON_icmp_rate);
	for (unsigned millisecond = 0; millisecond < 1000; millisecond++) {
		fixture_advance(f, 1000);
		for (unsigned i = 0; i < 5; i++)
			answered += deliver(f, echo4) == REASON_NONE;
	}
	assert_int_equal(answered, 1100);
	assert_int_equal(f->sent_count, 1100);
	// after a quiet second the next hundred pass
	fixture_advance(f, SECOND_US);
	for (unsigned i = 0; i < 100; i++)
		assert_int_equal(deliver(f, echo4), REASON_NONE);
	assert_int_equal(deliver(f, echo4), REASON_icmp_rate);
}

static void full_outbox_loses_the_answer_only(void **state)
{
	struct fixture *f = *state;

	f->blocked = true;
	assert_int_equal(deliver(f, echo4), REASON_icmp_rate);
	f->blocked = false;
	assert_int_equal(deliver(f, echo4), REASON_NONE);
}

static void what_has_no_effect(void **state)
{
	struct fixture *f = *state;
	struct link link;

	// for another station, and for a directed broadcast
	assert_int_equal(changed(f, echo4, {33, 11}), REASON_ip_not_ours);
	assert_int_equal(changed(f, echo4, {33, 255}), REASON_ip_not_ours);
	assert_int_equal(changed(f, echo6, {53, 0x11}), REASON_ip_not_ours);
	// from an address of ours
	assert_int_equal(changed(f, echo4, {26, 198}, {27, 51}, {28, 100}, {29, 10}),
			 REASON_ip_martian_source);
	// other types: errors about TCP, redirect, timestamp, mask; a code that does not exist
	static const uint8_t types4[] = {0, 3, 4, 5, 9, 10, 11, 12, 13, 17, 255};
	for (unsigned i = 0; i < sizeof(types4); i++)
		assert_int_equal(changed(f, echo4, {34, types4[i]}), REASON_icmp_ignored);
	assert_int_equal(changed(f, echo4, {35, 9}), REASON_icmp_ignored);
	static const uint8_t types6[] = {1, 2, 3, 4, 129, 131, 132, 133, 134, 137, 139, 143, 255};
	for (unsigned i = 0; i < sizeof(types6); i++)
		assert_int_equal(changed(f, echo6, {54, types6[i]}), REASON_icmp_ignored);
	// routes are configured, not learnt
	assert_int_equal(deliver(f, ra), REASON_icmp_ignored);
	assert_int_equal(deliver(f, redirect), REASON_icmp_ignored);
	assert_int_equal(fixture_next_hop(f, "2001:db8::99", &link, NULL), NEXT_HOP_PENDING);
	fixture_forget_sent(f);
	fixture_advance(f, 0);
	expect_silence(f);
}

// Fragmentation needed, which quotes no segment: nothing for net to do, whatever its next MTU.
static void path_mtu_messages_are_counted_only(void **state)
{
	struct fixture *f = *state;
	static const uint16_t mtus[] = {0, 68, 1400};

	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(changed(f, echo4, {34, 3}, {35, 4}, {38, 0}, {39, 0},
					 {40, (uint8_t)(mtus[i] >> 8)}, {41, (uint8_t)mtus[i]}),
				 REASON_icmp_ignored);
	expect_silence(f);
}

static void large_echo(void **state)
{
	struct fixture *f = *state;

	for (unsigned total = 1499; total <= 1501; total++) {
		size_t length = total + 14;
		uint8_t *frame = malloc(length);
		memset(frame, 0x5a, length);
		memcpy(frame, echo4, sizeof(echo4));
		put_checksum(frame + 16, (uint16_t)total);
		repair_checksums(frame);
		enum reason reason = fixture_deliver_to(f, 0, frame, length);
		if (total <= 1500) {
			assert_int_equal(reason, REASON_NONE);
			const struct sent_frame *sent = fixture_next_sent(f);
			assert_int_equal(sent->length, length);
			assert_memory_equal(sent->bytes + 38, frame + 38, length - 38);
		} else { // the outbox has no room for more than the MTU
			assert_int_equal(reason, REASON_icmp_ignored);
			expect_silence(f);
		}
		free(frame);
	}
}

static void tcp_is_not_for_net(void **state)
{
	struct fixture *f = *state;
	struct view view;

	assert_int_equal(packet_parse(&f->ports[0], slice_of(tcp4_syn, sizeof(tcp4_syn)), &view),
			 REASON_NONE);
	assert_int_equal(net_input(f->net, &view, f->now, &f->outbox), REASON_ip_protocol);
	expect_silence(f);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		TEST(echo_is_answered),
		TEST(echo_rate_is_bounded),
		TEST(full_outbox_loses_the_answer_only),
		TEST(what_has_no_effect),
		TEST(path_mtu_messages_are_counted_only),
		TEST(large_echo),
		TEST(tcp_is_not_for_net),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
