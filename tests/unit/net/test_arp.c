// SPDX-License-Identifier: BSD-3-Clause
//
// ARP on the wire: answers, questions, who is believed, and the defence of our addresses.
#include <stdio.h>

#include "tests/unit/net/fixture.h"

struct arp {
	uint8_t frame[sizeof(arp_request)];
};

// A packet of the peer's making: broadcast request unless changed.
static struct arp arp_of(uint16_t operation, const uint8_t *mac, const char *sender,
			 const char *target)
{
	struct arp arp;
	struct address from = address_of(sender), to = address_of(target);
	memcpy(arp.frame, arp_request, sizeof(arp.frame));
	arp.frame[21] = (uint8_t)operation;
	memcpy(arp.frame + 6, mac, 6);
	memcpy(arp.frame + 22, mac, 6);
	memcpy(arp.frame + 28, from.bytes + 12, 4);
	memcpy(arp.frame + 38, to.bytes + 12, 4);
	return arp;
}

static struct arp unicast(struct arp arp)
{
	memcpy(arp.frame, (const uint8_t[]){2, 0, 0, 0, 0, 1}, 6);
	return arp;
}

static enum reason send_to(struct fixture *f, unsigned port, struct arp arp)
{
	return fixture_deliver_to(f, port, arp.frame, sizeof(arp.frame));
}

static void requests_are_answered(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(deliver(f, arp_request), REASON_NONE);
	expect_sent(f, arp_answer_from_us);
	assert_int_equal(deliver(f, arp_probe), REASON_NONE);
	expect_sent(f, arp_probe_answer);
	expect_silence(f);
	expect_no_event(f);
}

static void answers_carry_the_tag(void **state)
{
	struct fixture *f = *state;
	uint8_t frame[sizeof(arp_request) + 4];

	f->ports[0].vlan = 42;
	memcpy(frame, arp_request, 12);
	memcpy(frame + 12, (const uint8_t[]){0x81, 0, 0, 42}, 4);
	memcpy(frame + 16, arp_request + 12, sizeof(arp_request) - 12);
	assert_int_equal(deliver(f, frame), REASON_NONE);
	const struct sent_frame *answer = fixture_next_sent(f);
	assert_int_equal(answer->length, sizeof(arp_answer_from_us) + 4);
	assert_memory_equal(answer->bytes, arp_answer_from_us, 12);
	assert_memory_equal(answer->bytes + 12, ((uint8_t[]){0x81, 0, 0, 42}), 4);
	assert_memory_equal(answer->bytes + 16, arp_answer_from_us + 12,
			    sizeof(arp_answer_from_us) - 12);
}

static void what_concerns_us_not(void **state)
{
	struct fixture *f = *state;

	// for another station
	assert_int_equal(send_to(f, 0, arp_of(1, PEER_MAC, "192.0.2.55", "192.0.2.56")),
			 REASON_arp_not_ours);
	// for an address of ours on another link
	assert_int_equal(send_to(f, 0, arp_of(1, PEER_MAC, "192.0.2.55", "198.51.100.10")),
			 REASON_arp_not_ours);
	// an announcement of a station that we never asked for
	assert_int_equal(send_to(f, 0, arp_of(1, PEER_MAC, "192.0.2.55", "192.0.2.55")),
			 REASON_arp_not_ours);
	assert_int_equal(send_to(f, 0, unicast(arp_of(2, PEER_MAC, "192.0.2.55", "192.0.2.10"))),
			 REASON_arp_not_ours);
	// our own MAC as sender, in somebody else's frame: we would send to ourselves
	struct arp forged = arp_of(1, PEER_MAC, "192.0.2.1", "192.0.2.10");
	memcpy(forged.frame + 22, (const uint8_t[]){2, 0, 0, 0, 1, 1}, 6);
	assert_int_equal(send_to(f, 0, forged), REASON_arp_not_ours);
	// our other port on the same link is no conflict
	struct arp ours = arp_of(1, PEER_MAC, "192.0.2.10", "192.0.2.10");
	memcpy(ours.frame + 22, (const uint8_t[]){2, 0, 0, 0, 1, 1}, 6);
	assert_int_equal(send_to(f, 0, ours), REASON_arp_not_ours);
	expect_silence(f);
	expect_no_event(f);
	// none of them made an entry: the peer must be asked for
	struct link link;
	assert_int_equal(fixture_next_hop(f, "192.0.2.55", &link, NULL), NEXT_HOP_PENDING);
}

static void whoever_asks_is_remembered(void **state)
{
	struct fixture *f = *state;
	struct link link;

	deliver(f, arp_request);
	fixture_forget_sent(f);
	assert_int_equal(fixture_next_hop(f, "192.0.2.55", &link, NULL), NEXT_HOP_RESOLVED);
	assert_memory_equal(link.peer, PEER_MAC, 6);
	assert_int_equal(link.port, 0);
	expect_silence(f);
	// its word is verified by a unicast question five seconds after the first use
	fixture_advance(f, 5 * SECOND_US);
	assert_int_equal(f->sent_count, 1);
	assert_memory_equal(f->sent[0].bytes, PEER_MAC, 6);
}

static void impossible_neighbours_are_answered_but_not_remembered(void **state)
{
	static const char *const senders[] = {"203.0.113.9", "192.0.2.255", "192.0.2.0",
					      "198.51.100.7"};
	struct fixture *f = *state;

	for (unsigned i = 0; i < 4; i++) {
		struct link link;
		assert_int_equal(send_to(f, 0, arp_of(1, PEER_MAC, senders[i], "192.0.2.10")),
				 REASON_NONE);
		assert_int_equal(f->sent_count, 1);
		fixture_forget_sent(f);
		assert_int_not_equal(fixture_next_hop(f, senders[i], &link, NULL),
				     NEXT_HOP_RESOLVED);
		fixture_forget_sent(f);
	}
}

static void gateway_is_asked_for(void **state)
{
	struct fixture *f = *state;
	struct link link;
	struct address source;

	assert_int_equal(fixture_next_hop(f, "8.8.8.8", &link, &source), NEXT_HOP_PENDING);
	expect_sent(f, arp_ask_gateway);
	assert_int_equal(fixture_next_hop(f, "9.9.9.9", &link, &source), NEXT_HOP_PENDING);
	expect_silence(f);
	assert_int_equal(deliver(f, arp_gateway_answer), REASON_NONE);
	assert_int_equal(fixture_next_hop(f, "8.8.8.8", &link, &source), NEXT_HOP_RESOLVED);
	assert_memory_equal(link.peer, GATEWAY_MAC, 6);
	struct address ours = address_of("192.0.2.10");
	assert_memory_equal(&source, &ours, sizeof(ours));
	fixture_advance(f, 14 * SECOND_US);
	expect_silence(f);
	// unconfirmed for 45 s at most: used, doubted, probed
	fixture_advance(f, 31 * SECOND_US);
	assert_int_equal(fixture_next_hop(f, "8.8.8.8", &link, NULL), NEXT_HOP_RESOLVED);
	fixture_advance(f, 5 * SECOND_US);
	expect_sent(f, arp_probe_gateway);
	assert_int_equal(deliver(f, arp_gateway_answer), REASON_NONE);
	fixture_advance(f, 10 * SECOND_US);
	expect_silence(f);
}

// A broadcast reply or another's question to us is no proof that our question was answered.
static void announcement_fills_but_confirms_not(void **state)
{
	struct fixture *f = *state;
	struct link link;

	fixture_next_hop(f, "8.8.8.8", &link, NULL);
	expect_sent(f, arp_ask_gateway);
	assert_int_equal(send_to(f, 0, arp_of(2, GATEWAY_MAC, "192.0.2.1", "192.0.2.10")),
			 REASON_NONE);
	assert_int_equal(fixture_next_hop(f, "8.8.8.8", &link, NULL), NEXT_HOP_RESOLVED);
	fixture_advance(f, 5 * SECOND_US);
	expect_sent(f, arp_probe_gateway);
}

static void failover_is_followed(void **state)
{
	static const uint8_t backup[] = {2, 0, 0, 0, 0, 0xbb};
	struct fixture *f = *state;
	struct link link;

	fixture_next_hop(f, "8.8.8.8", &link, NULL);
	deliver(f, arp_gateway_answer);
	assert_int_equal(send_to(f, 0, arp_of(1, backup, "192.0.2.1", "192.0.2.1")), REASON_NONE);
	assert_int_equal(fixture_next_hop(f, "8.8.8.8", &link, NULL), NEXT_HOP_RESOLVED);
	assert_memory_equal(link.peer, backup, 6);
	expect_no_event(f);
}

static void conflicts_are_reported_and_defended(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(deliver(f, arp_conflict), REASON_address_claimed);
	expect_sent(f, arp_announce);
	struct net_event event = net_take_event(f->net);
	struct address ours = address_of("192.0.2.10");
	assert_int_equal(event.reason, REASON_address_conflict);
	assert_memory_equal(&event.address, &ours, sizeof(ours));
	assert_memory_equal(event.mac, PEER_MAC, 6);
	// a war of announcements is not fought: once in ten seconds
	for (unsigned i = 0; i < 99; i++) {
		fixture_advance(f, SECOND_US / 10);
		assert_int_equal(deliver(f, arp_conflict), REASON_address_claimed);
	}
	expect_silence(f);
	expect_no_event(f);
	fixture_advance(f, SECOND_US / 10);
	assert_int_equal(deliver(f, arp_conflict), REASON_address_claimed);
	expect_sent(f, arp_announce);
	expect_event(f, address_conflict, "192.0.2.10");
	// a claimant that asks for another address, or answers, claims as well
	fixture_advance(f, 10 * SECOND_US);
	assert_int_equal(send_to(f, 0, arp_of(1, PEER_MAC, "192.0.2.10", "192.0.2.1")),
			 REASON_address_claimed);
	expect_sent(f, arp_announce);
	fixture_advance(f, 10 * SECOND_US);
	assert_int_equal(send_to(f, 0, unicast(arp_of(2, PEER_MAC, "192.0.2.10", "192.0.2.1"))),
			 REASON_address_claimed);
	expect_sent(f, arp_announce);
	expect_silence(f);
}

static void flood_of_strangers_spares_the_gateway(void **state)
{
	struct fixture *f = *state;
	struct link link;

	f->addresses[0][0].prefix_length = 8; // room for many neighbours
	net_destroy(f->net);
	fixture_create_net(f);
	fixture_next_hop(f, "8.8.8.8", &link, NULL); // INCOMPLETE
	fixture_next_hop(f, "192.0.2.20", &link, NULL);
	fixture_forget_sent(f);
	unsigned lost = 0;
	for (unsigned i = 0; i < 10000; i++) {
		char sender[32];
		snprintf(sender, sizeof(sender), "192.9.%u.%u", i / 200 + 1, i % 200 + 1);
		assert_int_equal(send_to(f, 0, arp_of(1, PEER_MAC, sender, "192.0.2.10")),
				 REASON_NONE);
		struct net_event event = net_take_event(f->net);
		lost += event.reason == REASON_neighbour_full;
	}
	assert_int_equal(lost, 10000 - 1024);
	assert_int_equal(deliver(f, arp_gateway_answer), REASON_NONE);
	assert_int_equal(fixture_next_hop(f, "8.8.8.8", &link, NULL), NEXT_HOP_RESOLVED);
	// the newest of them is still known
	assert_int_equal(fixture_next_hop(f, "192.9.50.200", &link, NULL), NEXT_HOP_RESOLVED);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		TEST(requests_are_answered),
		TEST(answers_carry_the_tag),
		TEST(what_concerns_us_not),
		TEST(whoever_asks_is_remembered),
		TEST(impossible_neighbours_are_answered_but_not_remembered),
		TEST(gateway_is_asked_for),
		TEST(announcement_fills_but_confirms_not),
		TEST(failover_is_followed),
		TEST(conflicts_are_reported_and_defended),
		TEST(flood_of_strangers_spares_the_gateway),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
