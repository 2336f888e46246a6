// SPDX-License-Identifier: BSD-3-Clause
//
// Tests of gate/cookie: every handshake that we answered completes, with the options that can be
// kept, for 64 to 128 seconds; nothing else does.
#include "dataplane/gate/cookie.h"

#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SECOND_US 1000000ull
#define START_US  (1000 * SECOND_US + 123456)

static const struct cookie_secret secret = {{{7, 7, 7}}};

static struct cookie_keys keys_at(uint64_t now_us)
{
	struct cookie_keys keys;
	cookie_keys_init(&keys, &secret, now_us);
	return keys;
}

static struct tuple tuple_of(bool ipv6)
{
	struct tuple tuple = {.local_port = 25, .remote_port = 40000};
	const char *why;
	assert_int_equal(address_parse(ipv6 ? "2001:db8::10" : "192.0.2.10", &tuple.local, &why),
			 0);
	assert_int_equal(address_parse(ipv6 ? "2001:db8::7" : "198.51.100.7", &tuple.remote, &why),
			 0);
	return tuple;
}

// The options of the segment that a client answers our SYN-ACK with.
static struct tcp_options ack_options(const struct handshake *made)
{
	return (struct tcp_options){.window_scale = TCP_NO_WINDOW_SCALE,
				    .timestamps = made->options.timestamps,
				    .timestamp_value = made->options.timestamps ? 4711 : 0,
				    .timestamp_echo = made->our_timestamp};
}

static bool check(const struct cookie_keys *keys, const struct tuple *tuple,
		  const struct handshake *made, uint64_t now_us, struct handshake *checked)
{
	struct tcp_options options = ack_options(made);
	return cookie_check(keys, tuple, made->client_isn + 1, made->our_isn + 1, &options, now_us,
			    checked);
}

// ---- What is agreed --------------------------------------------------------------------------

struct round_trip {
	uint16_t mss;
	uint8_t window_scale;
	bool sack, timestamps, has_entry, ipv6;
};

static void check_round_trip(struct round_trip offer)
{
	uint64_t now_us = START_US;
	struct cookie_keys keys = keys_at(now_us);
	struct tuple tuple = tuple_of(offer.ipv6);
	struct tcp_options syn = {.mss = offer.mss,
				  .window_scale = offer.window_scale,
				  .sack_permitted = offer.sack,
				  .timestamps = offer.timestamps,
				  .timestamp_value = offer.timestamps ? 99 : 0};
	struct handshake made, checked;
	cookie_make(&keys, &tuple, 12345, &syn, offer.has_entry, now_us, &made);
	assert_true(check(&keys, &tuple, &made, now_us + 200000, &checked));

	// The options' place: our TSval, else an entry, else nowhere.
	bool something = offer.window_scale != TCP_NO_WINDOW_SCALE || offer.sack;
	assert_int_equal(made.has_entry, !offer.timestamps && offer.has_entry && something);
	bool kept = offer.timestamps || made.has_entry;
	uint8_t scale = offer.window_scale > 14 && offer.window_scale != TCP_NO_WINDOW_SCALE
				? 14
				: offer.window_scale;
	assert_int_equal(made.options.window_scale, kept ? scale : TCP_NO_WINDOW_SCALE);
	assert_int_equal(made.options.sack_permitted, kept && offer.sack);
	assert_int_equal(made.options.timestamps, offer.timestamps);
	assert_int_equal(made.options.timestamp_value, syn.timestamp_value);

	assert_int_equal(checked.client_isn, 12345);
	assert_int_equal(checked.our_isn, made.our_isn);
	assert_int_equal(checked.has_entry, made.has_entry);
	assert_int_equal(checked.options.mss, made.options.mss);
	assert_int_equal(checked.options.timestamps, offer.timestamps);
	assert_int_equal(checked.our_timestamp, made.our_timestamp);
	assert_int_equal(checked.timestamp_offset, made.timestamp_offset);
	if (offer.timestamps)
		assert_int_equal(checked.options.timestamp_value, 4711);
	if (!made.has_entry) {
		assert_int_equal(checked.options.window_scale, made.options.window_scale);
		assert_int_equal(checked.options.sack_permitted, made.options.sack_permitted);
	}
}

static void test_round_trips(void **state)
{
	static const uint8_t scales[] = {0, 1,  2,  3,  4,  5,  6,  7,   8,
					 9, 10, 11, 12, 13, 14, 15, 200, TCP_NO_WINDOW_SCALE};
	static const uint16_t offers[] = {0, 1, 536, 1300, 1460, 8960};
	for (unsigned i = 0; i < sizeof(scales) * 16; i++)
		for (unsigned j = 0; j < sizeof(offers) / sizeof(*offers); j++)
			check_round_trip((struct round_trip){
				.mss = offers[j],
				.window_scale = scales[i / 16],
				.sack = i & 1,
				.timestamps = i & 2,
				.has_entry = i & 4,
				.ipv6 = i & 8,
			});
}

static void test_mss_classes(void **state)
{
	static const struct {
		uint16_t offer, ipv4, ipv6;
	} cases[] = {
		{0, 536, 1220}, // absent: the default of each family
		{1, 216, 216},      {48, 216, 216},     {215, 216, 216},    {216, 216, 216},
		{535, 216, 216},    {536, 536, 536},    {1219, 536, 536},   {1220, 536, 1220},
		{1299, 536, 1220},  {1300, 1300, 1220}, {1420, 1300, 1220}, {1440, 1300, 1440},
		{1459, 1300, 1440}, {1460, 1460, 1440}, {8960, 1460, 1440}, {65535, 1460, 1440},
	};
	struct cookie_keys keys = keys_at(START_US);
	for (unsigned i = 0; i < sizeof(cases) / sizeof(*cases) * 2; i++) {
		bool ipv6 = i & 1;
		struct tuple tuple = tuple_of(ipv6);
		struct tcp_options syn = {.mss = cases[i / 2].offer,
					  .window_scale = TCP_NO_WINDOW_SCALE};
		struct handshake made, checked;
		cookie_make(&keys, &tuple, 1, &syn, false, START_US, &made);
		assert_int_equal(made.options.mss, ipv6 ? cases[i / 2].ipv6 : cases[i / 2].ipv4);
		assert_true(check(&keys, &tuple, &made, START_US, &checked));
		assert_int_equal(checked.options.mss, made.options.mss);
	}
}

// The TSval of a SYN-ACK is never ahead of the clock that the flow goes on with, nor far behind.
static void test_timestamp_clock(void **state)
{
	struct tuple tuple = tuple_of(false);
	for (unsigned i = 0; i < 5000; i++) {
		uint64_t now_us = START_US + i * 777ull;
		struct cookie_keys keys = keys_at(now_us);
		struct tcp_options syn = {.window_scale = (uint8_t)(i % 15),
					  .sack_permitted = i & 1,
					  .timestamps = true};
		struct handshake made;
		cookie_make(&keys, &tuple, i * 1000, &syn, false, now_us, &made);
		uint32_t clock = (uint32_t)(now_us / 1000) + made.timestamp_offset;
		assert_in_range(clock - made.our_timestamp, 0, 31);
	}
}

// A SYN that is sent again gets the same ISN within the epoch, so that either SYN-ACK completes.
static void test_repeated_syn(void **state)
{
	struct cookie_keys keys = keys_at(64 * SECOND_US);
	struct tuple tuple = tuple_of(true);
	struct tcp_options syn = {.mss = 1440, .window_scale = 7, .timestamps = true};
	struct handshake first, second, checked;
	cookie_make(&keys, &tuple, 5, &syn, false, 64 * SECOND_US, &first);
	syn.timestamp_value += 3000;
	cookie_make(&keys, &tuple, 5, &syn, false, 67 * SECOND_US, &second);
	assert_int_equal(first.our_isn, second.our_isn);
	assert_int_equal(first.timestamp_offset, second.timestamp_offset);
	first.our_timestamp = second.our_timestamp;
	assert_true(check(&keys, &tuple, &first, 67 * SECOND_US, &checked));
}

// ---- What is refused -------------------------------------------------------------------------

static void test_life(void **state)
{
	static const uint64_t made_at[] = {
		0, 1, COOKIE_EPOCH_US - 1, COOKIE_EPOCH_US, START_US, 5 * COOKIE_EPOCH_US - 1};
	struct tuple tuple = tuple_of(false);
	for (unsigned i = 0; i < 12; i++) {
		uint64_t now_us = made_at[i / 2];
		uint64_t end_us = (now_us / COOKIE_EPOCH_US + 2) * COOKIE_EPOCH_US;
		struct cookie_keys keys = keys_at(now_us);
		struct tcp_options syn = {.mss = 1460, .window_scale = 7, .timestamps = i & 1};
		struct handshake made, checked;
		cookie_make(&keys, &tuple, 1, &syn, false, now_us, &made);
		// Good to the end of the next epoch, whether the keys advanced by steps or at once.
		cookie_keys_advance(&keys, now_us + COOKIE_EPOCH_US);
		assert_true(check(&keys, &tuple, &made, now_us + COOKIE_EPOCH_US, &checked));
		cookie_keys_advance(&keys, end_us - 1);
		assert_true(check(&keys, &tuple, &made, end_us - 1, &checked));
		cookie_keys_advance(&keys, end_us);
		assert_false(check(&keys, &tuple, &made, end_us, &checked));
		keys = keys_at(now_us);
		cookie_keys_advance(&keys, end_us + 100 * COOKIE_EPOCH_US);
		assert_false(check(&keys, &tuple, &made, end_us + 100 * COOKIE_EPOCH_US, &checked));
		// Another worker that started later agrees.
		keys = keys_at(end_us - 1);
		assert_true(check(&keys, &tuple, &made, end_us - 1, &checked));
	}
}

static void test_every_bit_is_covered(void **state)
{
	struct cookie_keys keys = keys_at(START_US);
	struct tuple tuple = tuple_of(false);
	for (unsigned timestamps = 0; timestamps < 2; timestamps++) {
		struct tcp_options syn = {.mss = 1460, .window_scale = 7, .timestamps = timestamps};
		struct handshake made, checked;
		cookie_make(&keys, &tuple, 1000, &syn, !timestamps, START_US, &made);
		struct tcp_options good = ack_options(&made);
		for (unsigned bit = 0; bit < 32; bit++) {
			uint32_t flip = 1u << bit;
			assert_false(cookie_check(&keys, &tuple, 1001 ^ flip, made.our_isn + 1,
						  &good, START_US, &checked));
			assert_false(cookie_check(&keys, &tuple, 1001, (made.our_isn ^ flip) + 1,
						  &good, START_US, &checked));
		}
		for (unsigned bit = 0; bit < sizeof(tuple) * 8; bit++) {
			struct tuple other = tuple;
			((uint8_t *)&other)[bit / 8] ^= (uint8_t)(1 << bit % 8);
			assert_false(cookie_check(&keys, &other, 1001, made.our_isn + 1, &good,
						  START_US, &checked));
		}
		struct tcp_options other = good;
		other.timestamps = !timestamps;
		assert_false(cookie_check(&keys, &tuple, 1001, made.our_isn + 1, &other, START_US,
					  &checked));
		struct cookie_secret other_secret = {{{8}}};
		struct cookie_keys other_keys;
		cookie_keys_init(&other_keys, &other_secret, START_US);
		assert_false(check(&other_keys, &tuple, &made, START_US, &checked));
	}
}

// An echo of a TSval that this handshake cannot have sent.
static void test_altered_echo(void **state)
{
	struct cookie_keys keys = keys_at(START_US);
	struct tuple tuple = tuple_of(false);
	struct tcp_options syn = {.mss = 1460, .window_scale = 7, .timestamps = true};
	struct handshake made, checked;
	cookie_make(&keys, &tuple, 1000, &syn, false, START_US, &made);
	struct tcp_options options = ack_options(&made);
	for (unsigned bits = 1; bits < 32; bits++) { // other options
		options.timestamp_echo = made.our_timestamp ^ bits;
		assert_false(cookie_check(&keys, &tuple, 1001, made.our_isn + 1, &options, START_US,
					  &checked));
	}
	static const struct {
		int32_t ms;
		bool good;
	} cases[] = {{0, true},       {32, false},      {3200, false},     {-3200, true},
		     {-127968, true}, {-128064, false}, {-1280000, false}, {INT32_MIN, false}};
	for (unsigned i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		options.timestamp_echo = made.our_timestamp + (uint32_t)cases[i].ms;
		assert_int_equal(cookie_check(&keys, &tuple, 1001, made.our_isn + 1, &options,
					      START_US, &checked),
				 cases[i].good);
	}
}

// Blind ACKs: 28 bits to guess, so these tries find one in 16 runs; the numbers here never change.
static void test_forgery(void **state)
{
	struct cookie_keys keys = keys_at(START_US);
	struct tuple tuple = tuple_of(false);
	struct tcp_options options = {.window_scale = TCP_NO_WINDOW_SCALE};
	uint64_t number = 1;
	unsigned accepted = 0;
	for (unsigned i = 0; i < 1u << 24; i++) {
		struct handshake checked;
		number = number * 6364136223846793005ull + 1442695040888963407ull;
		accepted += cookie_check(&keys, &tuple, i, (uint32_t)(number >> 32), &options,
					 START_US, &checked);
	}
	assert_int_equal(accepted, 0);
}

// Seen from outside, all 32 bits of the ISN look random.
static void test_isn_looks_random(void **state)
{
	enum { COUNT = 1 << 16 };
	struct cookie_keys keys = keys_at(START_US);
	struct tuple tuple = tuple_of(false);
	struct tcp_options syn = {.mss = 1460, .window_scale = TCP_NO_WINDOW_SCALE};
	unsigned ones[32] = {0}, changes[32] = {0};
	uint32_t previous = 0;
	for (uint32_t i = 0; i < COUNT; i++) {
		struct handshake made;
		cookie_make(&keys, &tuple, i, &syn, false, START_US, &made);
		for (unsigned bit = 0; bit < 32; bit++) {
			ones[bit] += made.our_isn >> bit & 1;
			changes[bit] += (made.our_isn ^ previous) >> bit & 1;
		}
		previous = made.our_isn;
	}
	for (unsigned bit = 0; bit < 32; bit++) { // five standard deviations
		assert_in_range(ones[bit], COUNT / 2 - 640, COUNT / 2 + 640);
		assert_in_range(changes[bit], COUNT / 2 - 640, COUNT / 2 + 640);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trips),
		cmocka_unit_test(test_mss_classes),
		cmocka_unit_test(test_timestamp_clock),
		cmocka_unit_test(test_repeated_syn),
		cmocka_unit_test(test_life),
		cmocka_unit_test(test_every_bit_is_covered),
		cmocka_unit_test(test_altered_echo),
		cmocka_unit_test(test_forgery),
		cmocka_unit_test(test_isn_looks_random),
	};
	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
