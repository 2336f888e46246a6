// SPDX-License-Identifier: BSD-3-Clause
//
// Neighbour discovery on the wire: answers, questions, RFC 4861 7.1's checks one by one, duplicate
// detection and defence.
#include "tests/unit/net/fixture.h"
#include "tests/unit/overread.h"

#define CHANGES_MAX 24

struct nd_case {
	const char *what;
	const uint8_t *base;
	size_t length;
	struct {
		uint16_t offset;
		uint8_t value;
	} changes[CHANGES_MAX]; // end at offset 0
	int payload_length;     // 0 = as it is; the frame is cut or grown (zeros) to match
	enum reason expected;
};

#define OF(vector) .base = vector, .length = sizeof(vector)
#define AS(name)   .expected = REASON_##name

static enum reason deliver_case(struct fixture *f, const struct nd_case *c)
{
	size_t length = c->payload_length ? 54 + (size_t)c->payload_length : c->length;
	uint8_t *frame = calloc(1, length);
	memcpy(frame, c->base, length < c->length ? length : c->length);
	put_checksum(frame + 18, (uint16_t)(length - 54));
	for (unsigned i = 0; i < CHANGES_MAX && c->changes[i].offset; i++)
		frame[c->changes[i].offset] = c->changes[i].value;
	repair_checksums(frame);
	enum reason reason = fixture_deliver_to(f, 0, frame, length);
	free(frame);
	return reason;
}

static void solicitations_are_answered(void **state)
{
	struct fixture *f = *state;
	struct link link;

	assert_int_equal(deliver(f, ns), REASON_NONE);
	expect_sent(f, ns_answer);
	// whoever asks is remembered, and verified later
	assert_int_equal(fixture_next_hop(f, "2001:db8::55", &link, NULL), NEXT_HOP_RESOLVED);
	assert_memory_equal(link.peer, PEER_MAC, 6);
	expect_silence(f);
	// the answer to a station that looks for duplicates goes to everybody
	assert_int_equal(deliver(f, ns_dad), REASON_NONE);
	expect_sent(f, na_all_nodes);
	expect_silence(f);
	expect_no_event(f);
}

static void without_link_address_the_frame_says_it(void **state)
{
	struct fixture *f = *state;
	struct link link;
	// a unicast solicitation need not carry the option
	const struct nd_case probe = {"", OF(ns), .payload_length = 24};

	assert_int_equal(deliver_case(f, &probe), REASON_NONE);
	expect_sent(f, ns_answer);
	// and is not remembered
	assert_int_equal(fixture_next_hop(f, "2001:db8::55", &link, NULL), NEXT_HOP_PENDING);
}

// Offsets: hop limit 21, source 22, destination 38, type 54, code 55, flags 58, target 62,
// option 78.
static void malformed_messages(void **state)
{
	static const struct nd_case cases[] = {
		{"routed solicitation", OF(ns), {{21, 254}}, AS(nd_malformed)},
		{"routed advertisement", OF(na_gateway), {{21, 64}}, AS(nd_malformed)},
		{"code 1", OF(ns), {{55, 1}}, AS(nd_malformed)},
		{"code 1 of an advertisement", OF(na_gateway), {{55, 1}}, AS(nd_malformed)},
		{"cut to 23 bytes", OF(ns), .payload_length = 23, AS(nd_malformed)},
		{"cut to 8 bytes", OF(na_gateway), .payload_length = 8, AS(nd_malformed)},
		{"target is a group", OF(ns), {{62, 0xff}}, AS(nd_malformed)},
		{"target is a group, advertised", OF(na_gateway), {{62, 0xff}}, AS(nd_malformed)},
		{"target v4-mapped, ours in IPv4",
		 OF(ns),
		 {{62, 0},
		  {63, 0},
		  {64, 0},
		  {65, 0},
		  {72, 0xff},
		  {73, 0xff},
		  {74, 192},
		  {75, 0},
		  {76, 2},
		  {77, 10}},
		 AS(nd_malformed)},
		{"option of length 0", OF(ns), {{79, 0}}, AS(nd_malformed)},
		{"option past the end", OF(ns), {{79, 2}}, AS(nd_malformed)},
		{"option of one byte", OF(ns), .payload_length = 25, AS(nd_malformed)},
		{"option cut by one byte", OF(ns), .payload_length = 31, AS(nd_malformed)},
		{"second option of length 0",
		 OF(ns),
		 {{86, 14}},
		 .payload_length = 40,
		 AS(nd_malformed)},
		{"unknown option of length 0", OF(ns), {{78, 200}, {79, 0}}, AS(nd_malformed)},
		{"group as link address", OF(ns), {{80, 0x33}}, AS(nd_malformed)},
		{"zero as link address", OF(ns), {{80, 0}, {85, 0}}, AS(nd_malformed)},
		{"link address of 14 bytes",
		 OF(ns),
		 {{79, 2}},
		 .payload_length = 40,
		 AS(nd_malformed)},
		// ff02::1 instead of the solicited-node group
		{"from :: to all nodes", OF(ns_dad), {{49, 0}, {50, 0}, {53, 1}}, AS(nd_malformed)},
		{"from :: with a link address",
		 OF(ns_dad),
		 {{78, 1}, {79, 1}, {80, 2}, {85, 0xaa}},
		 .payload_length = 32,
		 AS(nd_malformed)},
		{"solicited to everybody", OF(na_conflict), {{58, 0x60}}, AS(nd_malformed)},
		{"another's address", OF(ns), {{77, 0x11}}, AS(nd_not_ours)},
		{"duplicate detection of another's",
		 OF(ns_dad),
		 {{77, 0x11}, {53, 0x11}},
		 AS(nd_not_ours)},
		{"advertisement of a stranger", OF(na_gateway), {{77, 0x77}}, AS(nd_not_ours)},
		{"advertisement to another", OF(na_gateway), {{53, 0x11}}, AS(ip_not_ours)},
		{"solicitation to another",
		 OF(na_gateway),
		 {{53, 0x11}, {54, 135}},
		 AS(ip_not_ours)},
		{"our MAC as link address", OF(ns), {{85, 1}}, AS(nd_not_ours)},
		{"advertised with our MAC", OF(na_conflict), {{85, 1}}, AS(nd_not_ours)},
	};
	struct fixture *f = *state;

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		enum reason reason = deliver_case(f, &cases[i]);
		if (reason != cases[i].expected)
			fail_msg("%s: reason %d, expected %d", cases[i].what, reason,
				 cases[i].expected);
	}
	expect_silence(f);
	expect_no_event(f);
}

static void unknown_options_are_passed_over(void **state)
{
	struct fixture *f = *state;
	const struct nd_case nonce = {"", OF(ns), {{86, 14}, {87, 1}}, .payload_length = 40};

	assert_int_equal(deliver_case(f, &nonce), REASON_NONE);
	expect_sent(f, ns_answer);
}

static void gateway_is_asked_for(void **state)
{
	struct fixture *f = *state;
	struct link link;
	struct address source, ours = address_of("2001:db8::10");

	assert_int_equal(fixture_next_hop(f, "2001:db8:7::7", &link, &source), NEXT_HOP_PENDING);
	expect_sent(f, ns_for_gateway);
	assert_memory_equal(&source, &ours, sizeof(ours));
	assert_int_equal(deliver(f, na_gateway), REASON_NONE);
	assert_int_equal(fixture_next_hop(f, "2001:db8:7::7", &link, NULL), NEXT_HOP_RESOLVED);
	assert_memory_equal(link.peer, GATEWAY_MAC, 6);
	fixture_advance(f, 45 * SECOND_US);
	assert_int_equal(fixture_next_hop(f, "2001:db8:7::7", &link, NULL), NEXT_HOP_RESOLVED);
	fixture_advance(f, 5 * SECOND_US);
	expect_sent(f, ns_probe_gateway);
	// the answer to a probe need not name the link address
	const struct nd_case answer = {"", OF(na_gateway), .payload_length = 24};
	assert_int_equal(deliver_case(f, &answer), REASON_NONE);
	fixture_advance(f, 10 * SECOND_US);
	expect_silence(f);
}

static void first_answer_must_name_the_link_address(void **state)
{
	struct fixture *f = *state;
	struct link link;
	const struct nd_case answer = {"", OF(na_gateway), .payload_length = 24};

	fixture_next_hop(f, "2001:db8:7::7", &link, NULL);
	assert_int_equal(deliver_case(f, &answer), REASON_nd_not_ours);
	assert_int_equal(fixture_next_hop(f, "2001:db8:7::7", &link, NULL), NEXT_HOP_PENDING);
}

static void advertisement_without_override_does_not_replace(void **state)
{
	struct fixture *f = *state;
	struct link link;
	const struct nd_case second = {"", OF(na_gateway), {{58, 0x40}, {85, 0xbb}}};
	const struct nd_case override = {"", OF(na_gateway), {{58, 0x20}, {85, 0xbb}}};

	fixture_next_hop(f, "2001:db8:7::7", &link, NULL);
	deliver(f, na_gateway);
	assert_int_equal(deliver_case(f, &second), REASON_NONE);
	fixture_next_hop(f, "2001:db8:7::7", &link, NULL);
	assert_memory_equal(link.peer, GATEWAY_MAC, 6);
	assert_int_equal(deliver_case(f, &override), REASON_NONE);
	fixture_next_hop(f, "2001:db8:7::7", &link, NULL);
	assert_int_equal(link.peer[5], 0xbb);
}

static void conflicts_are_reported_and_defended(void **state)
{
	struct fixture *f = *state;
	// a station that asks from our address
	const struct nd_case asks = {
		"", OF(ns), {{37, 0x10}, {53, 1}, {77, 1}}, // for the gateway
	};

	assert_int_equal(deliver(f, na_conflict), REASON_address_claimed);
	expect_sent(f, na_all_nodes);
	expect_event(f, address_conflict, "2001:db8::10");
	for (unsigned i = 0; i < 9; i++) {
		fixture_advance(f, SECOND_US);
		assert_int_equal(deliver(f, na_conflict), REASON_address_claimed);
		assert_int_equal(deliver_case(f, &asks), REASON_address_claimed);
	}
	expect_silence(f);
	expect_no_event(f);
	fixture_advance(f, SECOND_US);
	assert_int_equal(deliver_case(f, &asks), REASON_address_claimed);
	expect_sent(f, na_all_nodes);
	expect_event(f, address_conflict, "2001:db8::10");
	// each address has its own limit
	assert_int_equal(deliver(f, arp_conflict), REASON_address_claimed);
	expect_sent(f, arp_announce);
}

struct overread_context {
	struct fixture *f;
	const uint8_t *base;
};

// The ICMPv6 code alone: the parser before it has seen a whole frame.
static void input_slice(struct slice input, void *context)
{
	struct overread_context *c = context;
	struct view view;
	if (packet_parse(&c->f->ports[0], slice_of(c->base, input.length), &view))
		abort();
	view.frame.data = input.data;
	net_input(c->f->net, &view, c->f->now, &c->f->outbox);
}

static void overreads_would_be_seen(void **state)
{
	struct fixture *f = *state;
	struct overread_context context = {f, ns};

	// the last bytes of the option's MAC address, of the echoed data, of a query's source count
	assert_true(overread_is_seen(input_slice, &context, ns, sizeof(ns)));
	context.base = echo4;
	assert_true(overread_is_seen(input_slice, &context, echo4, sizeof(echo4)));
	context.base = mld2_query;
	assert_true(overread_is_seen(input_slice, &context, mld2_query, sizeof(mld2_query)));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		TEST(solicitations_are_answered),
		TEST(without_link_address_the_frame_says_it),
		TEST(malformed_messages),
		TEST(unknown_options_are_passed_over),
		TEST(gateway_is_asked_for),
		TEST(first_answer_must_name_the_link_address),
		TEST(advertisement_without_override_does_not_replace),
		TEST(conflicts_are_reported_and_defended),
		TEST(overreads_would_be_seen),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
