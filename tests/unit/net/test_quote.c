// SPDX-License-Identifier: BSD-3-Clause
//
// ICMP errors that quote a segment of ours: which are taken for what they are, and that every cut
// and every other packet is not.
#include "tests/unit/net/fixture.h"

#include "dataplane/net/quote.h"

// Quoted from a frame of its own exact size with one byte changed and cut to length.
static bool quoted(struct fixture *f, const uint8_t *bytes, size_t length, unsigned offset,
		   uint8_t value, struct quote *quote)
{
	uint8_t *frame = malloc(length);
	struct view view;
	bool found = false;

	memcpy(frame, bytes, length);
	frame[offset] = value;
	// The outer lengths are those of the frame.
	if (frame[12] == 0x08)
		frame[17] = (uint8_t)(length - 14);
	else
		frame[19] = (uint8_t)(length - 54);
	if (packet_parse(&f->ports[0], slice_of(frame, length), &view) == REASON_NONE)
		found = quote_too_big(&view, quote);
	free(frame);
	return found;
}

static void both_families_are_read(void **state)
{
	struct fixture *f = *state;
	struct quote quote;

	assert_true(quoted(f, too_big4, sizeof(too_big4), 0, 0x02, &quote));
	assert_int_equal(quote.mtu, 1400);
	assert_int_equal(quote.sequence, 0xa1b2c3d5);
	assert_int_equal(quote.tuple.local_port, 25);
	assert_int_equal(quote.tuple.remote_port, 40000);
	assert_memory_equal(quote.tuple.local.bytes + 12, &too_big4[54], 4);
	assert_memory_equal(quote.tuple.remote.bytes + 12, &too_big4[58], 4);
	assert_true(quoted(f, too_big6, sizeof(too_big6), 0, 0x02, &quote));
	assert_int_equal(quote.mtu, 1300);
	assert_int_equal(quote.sequence, 0xa1b2c3d5);
	assert_int_equal(quote.tuple.local_port, 25);
	assert_int_equal(quote.tuple.remote_port, 40000);
	assert_memory_equal(quote.tuple.local.bytes, &too_big6[70], 16);
	assert_memory_equal(quote.tuple.remote.bytes, &too_big6[86], 16);
	// a size that needs all 32 bits, and one that old routers send
	assert_true(quoted(f, too_big6, sizeof(too_big6), 58, 0x80, &quote));
	assert_int_equal(quote.mtu, 0x80000514);
	assert_true(quoted(f, too_big4, sizeof(too_big4), 40, 0, &quote));
	assert_int_equal(quote.mtu, 0x78);
}

static void what_is_no_such_quotation(void **state)
{
	static const struct {
		const char *name;
		bool ipv6;
		uint8_t offset, value;
	} cases[] = {
		{"an echo request", false, 34, 8},
		{"host unreachable", false, 35, 1},
		{"quoted IPv6 in IPv4", false, 42, 0x65},
		{"quoted header with options", false, 42, 0x46},
		{"quoted header too short", false, 42, 0x44},
		{"a later fragment", false, 49, 1},
		{"a quoted UDP datagram", false, 51, 17},
		{"another's packet", false, 57, 11},
		{"time exceeded", true, 54, 3},
		{"quoted IPv4 in IPv6", true, 62, 0x45},
		{"a quoted fragment header", true, 68, 44},
		{"another's packet", true, 85, 0x11},
	};
	struct fixture *f = *state;
	struct quote quote;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const uint8_t *bytes = cases[i].ipv6 ? too_big6 : too_big4;
		size_t length = cases[i].ipv6 ? sizeof(too_big6) : sizeof(too_big4);

		if (quoted(f, bytes, length, cases[i].offset, cases[i].value, &quote))
			fail_msg("%s was taken for a packet too big", cases[i].name);
	}
}

static void every_cut_is_refused(void **state)
{
	struct fixture *f = *state;
	struct quote quote;

	for (size_t length = 42; length < sizeof(too_big4); length++)
		assert_false(quoted(f, too_big4, length, 0, 0x02, &quote));
	for (size_t length = 62; length < sizeof(too_big6); length++)
		assert_false(quoted(f, too_big6, length, 0, 0x02, &quote));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		TEST(both_families_are_read),
		TEST(what_is_no_such_quotation),
		TEST(every_cut_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
