// SPDX-License-Identifier: BSD-3-Clause
//
// The whole of net/: what a gate says at start, next hops from first question to last, events.
#include "tests/unit/net/fixture.h"

#include <stdio.h>

static bool was_sent(const struct fixture *f, const uint8_t *bytes, size_t length)
{
	for (unsigned i = 0; i < f->sent_count; i++) {
		if (f->sent[i].length == length && memcmp(f->sent[i].bytes, bytes, length) == 0)
			return true;
	}
	return false;
}

#define sent(f, vector) was_sent(f, vector, sizeof(vector))

static void start_announces_every_address_twice(void **state)
{
	struct fixture *f = *state;

	net_start(f->net, f->now, &f->outbox);
	for (unsigned round = 0; round < 2; round++) {
		assert_true(sent(f, arp_announce));
		assert_true(sent(f, na_all_nodes));
		assert_true(sent(f, na_link_local));
		unsigned other_port = 0, reports = 0;
		for (unsigned i = 0; i < f->sent_count; i++) {
			other_port += f->sent[i].port == 1;
			reports += f->sent[i].bytes[12] == 0x86 && f->sent[i].bytes[20] == 0;
		}
		assert_int_equal(other_port, 1);
		assert_int_equal(f->sent_count - reports, 4);
		fixture_forget_sent(f);
		if (round == 0) {
			fixture_advance(f, 2 * SECOND_US - 1);
			assert_false(sent(f, arp_announce));
			fixture_advance(f, 1);
		}
	}
	fixture_advance(f, 100 * SECOND_US);
	expect_silence(f);
	assert_int_equal(f->due_us, UINT64_MAX);
	expect_no_event(f);
}

// Another worker speaks: this net keeps quiet, but learns and finds its next hops.
static void a_silent_net_learns_and_says_nothing(void **state)
{
	struct fixture *f = *state;
	struct link link;

	net_silence(f->net);
	net_start(f->net, f->now, &f->outbox);
	fixture_advance(f, 10 * SECOND_US);
	assert_int_equal(deliver(f, arp_request), REASON_NONE);
	assert_int_equal(deliver(f, ns), REASON_NONE);
	assert_int_equal(deliver(f, mld2_query), REASON_NONE);
	assert_int_equal(deliver(f, arp_conflict), REASON_address_claimed);
	fixture_advance(f, 100 * SECOND_US);
	expect_silence(f);
	expect_no_event(f);
	assert_int_equal(fixture_next_hop(f, "192.0.2.55", &link, NULL), NEXT_HOP_RESOLVED);
}

static void idle_asks_for_nothing(void **state)
{
	struct fixture *f = *state;

	fixture_advance(f, 3600 * SECOND_US);
	expect_silence(f);
	assert_int_equal(f->due_us, UINT64_MAX);
}

static void where_nothing_leads(void **state)
{
	static const char *const destinations[] = {
		"192.0.2.10", // ourselves
		"198.51.100.10", "2001:db8::10", "fe80::ff:fe00:1",
		"192.0.2.255", // broadcast
		"192.0.2.0",     "224.0.0.1",    "ff02::1",
	};
	struct fixture *f = *state;

	for (unsigned i = 0; i < sizeof(destinations) / sizeof(destinations[0]); i++) {
		struct link link;
		assert_int_equal(fixture_next_hop(f, destinations[i], &link, NULL),
				 NEXT_HOP_UNREACHABLE);
	}
	expect_silence(f);
	expect_no_event(f);
}

// A dead next hop: three questions, an event, a second's rest, and again: for a server that the
// policy names and for any other.
static void dead_next_hops(void **state)
{
	static const char *const destinations[] = {"192.0.2.20", "192.0.2.99", "2001:db8::20",
						   "2001:db8::99"};
	struct fixture *f = *state;

	for (unsigned i = 0; i < 4; i++) {
		for (unsigned round = 0; round < 3; round++) {
			struct link link;
			assert_int_equal(fixture_next_hop(f, destinations[i], &link, NULL),
					 NEXT_HOP_PENDING);
			for (unsigned second = 0; second < 3; second++) {
				assert_int_equal(f->sent_count, second + 1);
				expect_no_event(f);
				fixture_advance(f, SECOND_US);
			}
			assert_int_equal(f->sent_count, 3);
			expect_event(f, neighbour_unresolved, destinations[i]);
			expect_no_event(f);
			assert_int_equal(fixture_next_hop(f, destinations[i], &link, NULL),
					 NEXT_HOP_UNREACHABLE);
			fixture_advance(f, SECOND_US);
			assert_int_equal(f->sent_count, 3);
			fixture_forget_sent(f);
		}
	}
}

static void nobody_uses_it_nobody_asks(void **state)
{
	struct fixture *f = *state;
	struct link link;

	fixture_next_hop(f, "8.8.8.8", &link, NULL);
	deliver(f, arp_gateway_answer);
	fixture_forget_sent(f);
	fixture_advance(f, 3600 * SECOND_US); // stale long ago, but unused
	expect_silence(f);
	assert_int_equal(fixture_next_hop(f, "8.8.8.8", &link, NULL), NEXT_HOP_RESOLVED);
}

static void progress_of_tcp_keeps_the_gateway(void **state)
{
	struct fixture *f = *state;
	struct address far = address_of("8.8.8.8"), on_link = address_of("192.0.2.20");
	struct link link;

	fixture_next_hop(f, "8.8.8.8", &link, NULL);
	deliver(f, arp_gateway_answer);
	fixture_forget_sent(f);
	for (unsigned second = 0; second < 300; second++) {
		assert_int_equal(fixture_next_hop(f, "8.8.8.8", &link, NULL), NEXT_HOP_RESOLVED);
		net_confirm(f->net, &far, &link, f->now);
		net_confirm(f->net, &on_link, &link, f->now); // unknown: no harm
		fixture_advance(f, SECOND_US);
	}
	expect_silence(f);
	// without progress it is probed, then asked for by broadcast, then reported
	for (unsigned second = 0; second < 60; second++) {
		fixture_next_hop(f, "8.8.8.8", &link, NULL);
		fixture_advance(f, SECOND_US);
	}
	assert_true(sent(f, arp_probe_gateway));
	assert_true(sent(f, arp_ask_gateway));
	expect_event(f, neighbour_unresolved, "192.0.2.1");
	// and found again when it is back
	fixture_advance(f, 2 * SECOND_US);
	fixture_next_hop(f, "8.8.8.8", &link, NULL);
	assert_int_equal(deliver(f, arp_gateway_answer), REASON_NONE);
	assert_int_equal(fixture_next_hop(f, "8.8.8.8", &link, NULL), NEXT_HOP_RESOLVED);
}

// A station gives its own MAC address for the gateway's. What the peers go on sending by the true
// one confirms nothing, so the false one is doubted, probed and asked about in seconds.
static void progress_by_the_gateway_does_not_keep_a_forger(void **state)
{
	struct fixture *f = *state;
	struct address far = address_of("8.8.8.8");
	struct link right, link;
	uint8_t forged[sizeof(arp_gateway_answer)];

	fixture_next_hop(f, "8.8.8.8", &link, NULL);
	deliver(f, arp_gateway_answer);
	assert_int_equal(fixture_next_hop(f, "8.8.8.8", &right, NULL), NEXT_HOP_RESOLVED);
	memcpy(forged, arp_gateway_answer, sizeof(forged));
	forged[11] = forged[27] = 0x66;
	deliver(f, forged);
	fixture_forget_sent(f);
	for (unsigned second = 0; second < 10; second++) {
		if (fixture_next_hop(f, "8.8.8.8", &link, NULL) == NEXT_HOP_RESOLVED)
			assert_int_equal(link.peer[5], 0x66);
		net_confirm(f->net, &far, &right, f->now);
		fixture_advance(f, SECOND_US);
	}
	assert_true(sent(f, arp_ask_gateway));
	deliver(f, arp_gateway_answer);
	assert_int_equal(fixture_next_hop(f, "8.8.8.8", &link, NULL), NEXT_HOP_RESOLVED);
	assert_memory_equal(&link, &right, sizeof(link));
}

static void lost_questions_are_repeated(void **state)
{
	struct fixture *f = *state;
	struct link link;

	f->blocked = true;
	assert_int_equal(fixture_next_hop(f, "8.8.8.8", &link, NULL), NEXT_HOP_PENDING);
	expect_silence(f);
	f->blocked = false;
	fixture_advance(f, SECOND_US);
	expect_sent(f, arp_ask_gateway);
}

static void next_hop_on_the_right_port(void **state)
{
	struct fixture *f = *state;
	struct link link;
	struct address source, ours = address_of("198.51.100.10");

	assert_int_equal(fixture_next_hop(f, "198.51.100.7", &link, &source), NEXT_HOP_PENDING);
	assert_memory_equal(&source, &ours, sizeof(ours));
	const struct sent_frame *question = fixture_next_sent(f);
	assert_int_equal(question->port, 1);
	assert_memory_equal(question->bytes + 6, ((uint8_t[]){2, 0, 0, 0, 1, 1}), 6);
	assert_memory_equal(question->bytes + 28, ((uint8_t[]){198, 51, 100, 10}), 4);
	// an answer on another port is not the answer
	uint8_t answer[sizeof(arp_gateway_answer)];
	memcpy(answer, arp_gateway_answer, sizeof(answer));
	memcpy(answer + 28, (const uint8_t[]){198, 51, 100, 7}, 4);
	memcpy(answer + 38, (const uint8_t[]){198, 51, 100, 10}, 4);
	assert_int_equal(deliver(f, answer), REASON_arp_not_ours);
	answer[4] = 1; // to port 1's MAC
	assert_int_equal(fixture_deliver_to(f, 1, answer, sizeof(answer)), REASON_NONE);
	assert_int_equal(fixture_next_hop(f, "198.51.100.7", &link, NULL), NEXT_HOP_RESOLVED);
	assert_int_equal(link.port, 1);
}

static void link_local_peer_on_the_second_port(void **state)
{
	struct fixture *f = fixture_prepare();
	struct link link;
	struct address source, ours = address_of("fe80::ff:fe00:101");
	uint8_t question[sizeof(ns)];

	fixture_add_address(f, 1, "2001:db8:1::10/64");
	fixture_create_net(f);
	memcpy(question, ns, sizeof(ns)); // fe80::55 asks for 2001:db8:1::10 on port 1
	memcpy(question + 22, (const uint8_t[16]){0xfe, 0x80, [15] = 0x55}, 16);
	question[67] = 1;
	repair_checksums(question);
	assert_int_equal(fixture_deliver_to(f, 1, question, sizeof(question)), REASON_NONE);
	fixture_forget_sent(f);
	assert_int_equal(fixture_next_hop(f, "fe80::55", &link, &source), NEXT_HOP_RESOLVED);
	assert_int_equal(link.port, 1);
	assert_memory_equal(&source, &ours, sizeof(ours));
	fixture_destroy(f);
}

static void groups_and_ownership(void **state)
{
	struct fixture *f = *state;
	struct address groups[8];
	static const char *const expected[] = {"ff02::1", "ff02::1:ff00:10", "ff02::1:ff00:1"};
	char text[ADDRESS_TEXT_MAX];

	assert_int_equal(net_groups(f->net, 0, groups, 8), 3);
	for (unsigned i = 0; i < 3; i++)
		assert_string_equal(address_format(&groups[i], text), expected[i]);
	assert_int_equal(net_groups(f->net, 1, groups, 8), 0);
	assert_int_equal(net_groups(f->net, 2, groups, 8), 0);
	struct address ours = address_of("192.0.2.10"), other = address_of("192.0.2.55");
	assert_true(net_is_ours(f->net, &ours));
	assert_false(net_is_ours(f->net, &other));
}

// Ours: 192.0.2.10/24 and 2001:db8::10/64 on port 0, 198.51.100.10/24 on port 1.
static void who_can_be_a_peer(void **state)
{
	static const struct {
		const char *address;
		bool possible;
	} cases[] = {
		{"192.0.2.55", true},    {"192.0.2.10", false},   {"198.51.100.10", false},
		{"192.0.2.0", false},    {"192.0.2.255", false},  {"198.51.100.255", false},
		{"203.0.113.255", true}, {"203.0.113.0", true},   {"2001:db8::", true},
		{"2001:db8::55", true},  {"2001:db8::10", false}, {"2001:db8:9::1", true},
	};
	struct fixture *f = *state;

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct address address = address_of(cases[i].address);
		if (net_can_be_peer(f->net, &address) != cases[i].possible)
			fail_msg("%s", cases[i].address);
	}
}

// More neighbours than the table holds: the oldest goes, which is said each time.
static void full_table_is_reported(void **state)
{
	struct fixture *f = *state;
	struct link link;
	unsigned lost = 0;

	f->addresses[1][0].prefix_length = 8;
	net_destroy(f->net);
	fixture_create_net(f);
	for (unsigned i = 0; i < 4096 + 10; i++) {
		char text[32];
		snprintf(text, sizeof(text), "198.%u.%u.7", i / 250, i % 250);
		assert_int_equal(fixture_next_hop(f, text, &link, NULL), NEXT_HOP_PENDING);
		struct net_event event = net_take_event(f->net);
		lost += event.reason == REASON_neighbour_full;
	}
	// the places that duplicate servers left over serve, too
	assert_in_range(lost, 6, 10);
	// events that nobody takes do not pile up
	fixture_advance(f, 10 * SECOND_US);
	unsigned events = 0;
	while (net_take_event(f->net).reason != REASON_NONE)
		events++;
	assert_int_equal(events, 256);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		TEST(start_announces_every_address_twice),
		TEST(a_silent_net_learns_and_says_nothing),
		TEST(idle_asks_for_nothing),
		TEST(where_nothing_leads),
		TEST(dead_next_hops),
		TEST(nobody_uses_it_nobody_asks),
		TEST(progress_of_tcp_keeps_the_gateway),
		TEST(progress_by_the_gateway_does_not_keep_a_forger),
		TEST(lost_questions_are_repeated),
		TEST(next_hop_on_the_right_port),
		TEST(link_local_peer_on_the_second_port),
		TEST(groups_and_ownership),
		TEST(who_can_be_a_peer),
		TEST(full_table_is_reported),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
