// SPDX-License-Identifier: BSD-3-Clause
//
// The neighbour table: every state's way out, in virtual time, and who has to go when it is full.
#include "dataplane/net/neighbour.h"

#include <stdio.h>

#include "tests/unit/net/fixture.h"

static const uint8_t mac_a[] = {2, 0, 0, 0, 0, 0xa}, mac_b[] = {2, 0, 0, 0, 0, 0xb};

struct bench {
	struct neighbour_table table;
	struct random random;
	uint64_t now_us;
};

static int setup(void **state)
{
	struct bench *bench = calloc(1, sizeof(*bench));
	random_init(&bench->random, (const uint8_t[16]){4});
	assert_int_equal(neighbour_table_init(&bench->table, 4, &bench->random), 0);
	bench->now_us = START_US;
	*state = bench;
	return 0;
}

static int teardown(void **state)
{
	struct bench *bench = *state;
	neighbour_table_fini(&bench->table);
	free(bench);
	return 0;
}

// Advances to the next timer, which must be due after exactly delay_us, and returns its action.
static enum neighbour_action expire_after(struct bench *bench, uint64_t delay_us)
{
	enum neighbour_action action = NEIGHBOUR_NOTHING;
	assert_int_equal(neighbour_next_us(&bench->table), bench->now_us + delay_us);
	assert_null(neighbour_expire(&bench->table, bench->now_us + delay_us - 1, &action));
	bench->now_us += delay_us;
	struct neighbour *neighbour = neighbour_expire(&bench->table, bench->now_us, &action);
	enum neighbour_action none = NEIGHBOUR_NOTHING;
	assert_null(neighbour_expire(&bench->table, bench->now_us, &none));
	return neighbour ? action : NEIGHBOUR_NOTHING;
}

static struct neighbour *want(struct bench *bench, const char *text)
{
	struct address address = address_of(text);
	return neighbour_want(&bench->table, 0, &address, bench->now_us);
}

static enum neighbour_action use(struct bench *bench, struct neighbour *neighbour)
{
	return neighbour_use(&bench->table, neighbour, bench->now_us);
}

static bool heard(struct bench *bench, struct neighbour *neighbour, struct neighbour_news news)
{
	return neighbour_heard(&bench->table, neighbour, &news, bench->now_us);
}

// Asked and answered.
static struct neighbour *resolved(struct bench *bench, const char *text)
{
	struct neighbour *neighbour = want(bench, text);
	assert_int_equal(use(bench, neighbour), NEIGHBOUR_SOLICIT_ALL);
	assert_true(heard(bench, neighbour, (struct neighbour_news){mac_a, true, true}));
	assert_int_equal(neighbour->state, NEIGHBOUR_REACHABLE);
	return neighbour;
}

static void unanswered_is_given_up_and_forgotten(void **state)
{
	struct bench *bench = *state;
	struct address address = address_of("192.0.2.7");
	struct neighbour *neighbour = want(bench, "192.0.2.7");

	assert_int_equal(use(bench, neighbour), NEIGHBOUR_SOLICIT_ALL);
	assert_int_equal(use(bench, neighbour), NEIGHBOUR_NOTHING); // one question is enough
	assert_false(neighbour_has_mac(neighbour));
	assert_int_equal(expire_after(bench, SECOND_US), NEIGHBOUR_SOLICIT_ALL);
	assert_int_equal(expire_after(bench, SECOND_US), NEIGHBOUR_SOLICIT_ALL);
	assert_int_equal(expire_after(bench, SECOND_US), NEIGHBOUR_UNRESOLVED);
	assert_int_equal(neighbour->state, NEIGHBOUR_FAILED);
	assert_int_equal(use(bench, neighbour), NEIGHBOUR_NOTHING); // left alone
	assert_int_equal(expire_after(bench, NEIGHBOUR_HOLD_US), NEIGHBOUR_NOTHING);
	assert_null(neighbour_find(&bench->table, 0, &address));
	assert_int_equal(neighbour_next_us(&bench->table), UINT64_MAX);
}

static void pinned_is_tried_again(void **state)
{
	struct bench *bench = *state;
	struct address address = address_of("2001:db8::1");
	struct neighbour *neighbour = neighbour_pin(&bench->table, 0, &address);

	for (unsigned round = 0; round < 3; round++) {
		assert_int_equal(use(bench, neighbour), NEIGHBOUR_SOLICIT_ALL);
		expire_after(bench, SECOND_US);
		expire_after(bench, SECOND_US);
		assert_int_equal(expire_after(bench, SECOND_US), NEIGHBOUR_UNRESOLVED);
		expire_after(bench, NEIGHBOUR_HOLD_US);
		assert_ptr_equal(neighbour_find(&bench->table, 0, &address), neighbour);
	}
	// the same address twice is one entry
	assert_ptr_equal(neighbour_pin(&bench->table, 0, &address), neighbour);
	// on another port it is another station
	assert_null(neighbour_find(&bench->table, 1, &address));
}

static void reachability_ends_and_is_probed(void **state)
{
	struct bench *bench = *state;
	struct neighbour *neighbour = resolved(bench, "192.0.2.7");
	uint64_t until_us = neighbour->reachable_until_us;

	assert_in_range(until_us - bench->now_us, 15 * SECOND_US, 45 * SECOND_US);
	assert_int_equal(neighbour_next_us(&bench->table), UINT64_MAX); // idle costs nothing
	bench->now_us = until_us - 1;
	use(bench, neighbour);
	assert_int_equal(neighbour->state, NEIGHBOUR_REACHABLE);
	bench->now_us = until_us;
	use(bench, neighbour);
	assert_int_equal(neighbour->state, NEIGHBOUR_DELAY);
	assert_true(neighbour_has_mac(neighbour)); // used meanwhile
	assert_int_equal(expire_after(bench, 5 * SECOND_US), NEIGHBOUR_SOLICIT_ONE);
	assert_int_equal(expire_after(bench, SECOND_US), NEIGHBOUR_SOLICIT_ONE);
	assert_true(neighbour_has_mac(neighbour));
	// the answer
	assert_true(heard(bench, neighbour, (struct neighbour_news){mac_a, true, true}));
	assert_int_equal(neighbour->state, NEIGHBOUR_REACHABLE);
	assert_int_equal(neighbour_next_us(&bench->table), UINT64_MAX);
}

static void silent_probe_asks_everybody(void **state)
{
	struct bench *bench = *state;
	struct neighbour *neighbour = resolved(bench, "192.0.2.7");

	bench->now_us = neighbour->reachable_until_us;
	use(bench, neighbour);
	assert_int_equal(expire_after(bench, 5 * SECOND_US), NEIGHBOUR_SOLICIT_ONE);
	assert_int_equal(expire_after(bench, SECOND_US), NEIGHBOUR_SOLICIT_ONE);
	assert_int_equal(expire_after(bench, SECOND_US), NEIGHBOUR_SOLICIT_ONE);
	assert_int_equal(expire_after(bench, SECOND_US), NEIGHBOUR_SOLICIT_ALL);
	assert_false(neighbour_has_mac(neighbour)); // the old MAC is forgotten
	// the address has moved
	assert_true(heard(bench, neighbour, (struct neighbour_news){mac_b, true, true}));
	assert_int_equal(neighbour->state, NEIGHBOUR_REACHABLE);
	assert_memory_equal(neighbour->mac, mac_b, 6);
}

static void progress_of_tcp_spares_the_probe(void **state)
{
	struct bench *bench = *state;
	struct neighbour *neighbour = resolved(bench, "192.0.2.7");

	for (unsigned i = 0; i < 200; i++) {
		bench->now_us += SECOND_US;
		use(bench, neighbour);
		assert_int_equal(neighbour->state, NEIGHBOUR_REACHABLE);
		neighbour_confirm(&bench->table, neighbour, bench->now_us);
	}
	bench->now_us = neighbour->reachable_until_us;
	use(bench, neighbour);
	assert_int_equal(neighbour->state, NEIGHBOUR_DELAY);
	neighbour_confirm(&bench->table, neighbour, bench->now_us);
	assert_int_equal(neighbour->state, NEIGHBOUR_REACHABLE);
	assert_int_equal(neighbour_next_us(&bench->table), UINT64_MAX);
}

static void confirming_the_unknown_confirms_nothing(void **state)
{
	struct bench *bench = *state;
	struct neighbour *neighbour = want(bench, "192.0.2.7");

	use(bench, neighbour);
	neighbour_confirm(&bench->table, neighbour, bench->now_us);
	assert_int_equal(neighbour->state, NEIGHBOUR_INCOMPLETE);
}

// What is heard in each state: RFC 4861 7.2.5, appendix C.
static void what_is_heard(void **state)
{
	static const struct {
		const char *what;
		enum neighbour_state before;
		const uint8_t *mac;
		bool solicited, override;
		bool taken;
		enum neighbour_state after;
		const uint8_t *mac_after;
	} cases[] = {
		{"never asked", NEIGHBOUR_NONE, mac_a, true, true, false, NEIGHBOUR_NONE, NULL},
		{"asked, answer without MAC", NEIGHBOUR_INCOMPLETE, NULL, true, true, false,
		 NEIGHBOUR_INCOMPLETE, NULL},
		{"asked, answer", NEIGHBOUR_INCOMPLETE, mac_b, true, false, true,
		 NEIGHBOUR_REACHABLE, mac_b},
		{"asked, announcement", NEIGHBOUR_INCOMPLETE, mac_b, false, true, true,
		 NEIGHBOUR_STALE, mac_b},
		{"reachable, same MAC", NEIGHBOUR_REACHABLE, mac_a, false, true, true,
		 NEIGHBOUR_REACHABLE, mac_a},
		{"reachable, moved", NEIGHBOUR_REACHABLE, mac_b, false, true, true, NEIGHBOUR_STALE,
		 mac_b},
		{"reachable, unasked answer moves", NEIGHBOUR_REACHABLE, mac_b, true, true, true,
		 NEIGHBOUR_STALE, mac_b},
		{"reachable, a second without override", NEIGHBOUR_REACHABLE, mac_b, true, false,
		 true, NEIGHBOUR_STALE, mac_a},
		{"stale, a second without override", NEIGHBOUR_STALE, mac_b, false, false, true,
		 NEIGHBOUR_STALE, mac_a},
		{"stale, unasked answer", NEIGHBOUR_STALE, mac_a, true, true, true, NEIGHBOUR_STALE,
		 mac_a},
		{"delay, announcement", NEIGHBOUR_DELAY, mac_a, false, true, true, NEIGHBOUR_DELAY,
		 mac_a},
		{"delay, moved", NEIGHBOUR_DELAY, mac_b, false, true, true, NEIGHBOUR_STALE, mac_b},
		{"probe, answer without MAC", NEIGHBOUR_PROBE, NULL, true, false, true,
		 NEIGHBOUR_REACHABLE, mac_a},
		{"probe, answer of another", NEIGHBOUR_PROBE, mac_b, true, true, true,
		 NEIGHBOUR_REACHABLE, mac_b},
		{"probe, announcement", NEIGHBOUR_PROBE, mac_a, false, true, true, NEIGHBOUR_PROBE,
		 mac_a},
		{"failed, late answer", NEIGHBOUR_FAILED, mac_b, true, true, true, NEIGHBOUR_STALE,
		 mac_b},
		{"failed, comes back", NEIGHBOUR_FAILED, mac_b, false, true, true, NEIGHBOUR_STALE,
		 mac_b},
	};
	struct bench *bench = *state;

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[32];
		snprintf(text, sizeof(text), "192.0.2.%u", 100 + i);
		struct neighbour *neighbour = want(bench, text);
		enum neighbour_action action;
		if (cases[i].before != NEIGHBOUR_NONE)
			use(bench, neighbour);
		if (cases[i].before == NEIGHBOUR_FAILED) {
			for (unsigned second = 0; second < 3; second++) {
				bench->now_us += SECOND_US;
				while (neighbour_expire(&bench->table, bench->now_us, &action))
					;
			}
		} else if (cases[i].before > NEIGHBOUR_INCOMPLETE) {
			heard(bench, neighbour, (struct neighbour_news){mac_a, true, true});
		}
		if (cases[i].before == NEIGHBOUR_STALE) { // as another station makes it
			heard(bench, neighbour, (struct neighbour_news){mac_b, false, false});
		} else if (cases[i].before > NEIGHBOUR_STALE &&
			   cases[i].before < NEIGHBOUR_FAILED) {
			bench->now_us = neighbour->reachable_until_us;
			use(bench, neighbour);
		}
		if (cases[i].before == NEIGHBOUR_PROBE) {
			bench->now_us += 5 * SECOND_US;
			while (neighbour_expire(&bench->table, bench->now_us, &action))
				;
		}
		assert_int_equal(neighbour->state, cases[i].before);
		bool taken = heard(bench, neighbour,
				   (struct neighbour_news){cases[i].mac, cases[i].solicited,
							   cases[i].override});
		if (taken != cases[i].taken || neighbour->state != cases[i].after)
			fail_msg("%s: taken %d, state %d", cases[i].what, taken, neighbour->state);
		if (cases[i].mac_after)
			assert_memory_equal(neighbour->mac, cases[i].mac_after, 6);
	}
}

static void add_stranger(struct bench *bench, unsigned number)
{
	uint8_t bytes[4] = {10, (uint8_t)(number >> 16), (uint8_t)(number >> 8), (uint8_t)number};
	struct address address = address_from_ipv4(bytes);
	neighbour_learn(&bench->table, 0, &address, mac_b);
}

static void strangers_displace_only_strangers(void **state)
{
	struct bench *bench = *state;
	struct address gateway = address_of("192.0.2.1"), lost;
	neighbour_pin(&bench->table, 0, &gateway);
	struct neighbour *resolving = want(bench, "192.0.2.2");
	use(bench, resolving);
	struct neighbour *client = resolved(bench, "192.0.2.3");

	for (unsigned i = 0; i < NEIGHBOUR_LEARNED_MAX; i++) {
		add_stranger(bench, i);
		assert_false(neighbour_take_lost(&bench->table, &lost));
	}
	for (unsigned i = NEIGHBOUR_LEARNED_MAX; i < 3 * NEIGHBOUR_MAX; i++) {
		add_stranger(bench, i);
		assert_true(neighbour_take_lost(&bench->table, &lost));
		// the oldest of them
		unsigned oldest = i - NEIGHBOUR_LEARNED_MAX;
		assert_int_equal(lost.bytes[13] << 16 | lost.bytes[14] << 8 | lost.bytes[15],
				 oldest);
	}
	assert_non_null(neighbour_find(&bench->table, 0, &gateway));
	assert_ptr_equal(neighbour_find(&bench->table, 0, &resolving->address), resolving);
	assert_int_equal(resolving->state, NEIGHBOUR_INCOMPLETE);
	assert_ptr_equal(neighbour_find(&bench->table, 0, &client->address), client);
	assert_int_equal(client->state, NEIGHBOUR_REACHABLE);
}

static struct neighbour *want_number(struct bench *bench, unsigned number)
{
	uint8_t bytes[4] = {172, 16, (uint8_t)(number >> 8), (uint8_t)number};
	struct address address = address_from_ipv4(bytes);
	struct neighbour *neighbour = neighbour_want(&bench->table, 0, &address, bench->now_us);
	use(bench, neighbour);
	return neighbour;
}

static void full_table_gives_up_the_least_used(void **state)
{
	struct bench *bench = *state;
	struct address address, lost;
	for (unsigned i = 0; i < 4; i++) { // all that are kept for pinned ones
		address = address_from_ipv4((const uint8_t[4]){192, 0, 2, (uint8_t)i});
		neighbour_pin(&bench->table, 0, &address);
	}
	add_stranger(bench, 77);
	struct neighbour *first = want_number(bench, 0);
	for (unsigned i = 1; i < NEIGHBOUR_MAX - 1; i++)
		want_number(bench, i);
	assert_false(neighbour_take_lost(&bench->table, &lost));
	// strangers go first
	want_number(bench, NEIGHBOUR_MAX);
	assert_true(neighbour_take_lost(&bench->table, &lost));
	assert_int_equal(lost.bytes[12], 10);
	// then the one that was not used for longest: number 1, since 0 is used again
	bench->now_us += 2 * SECOND_US;
	use(bench, first);
	want_number(bench, NEIGHBOUR_MAX + 1);
	assert_true(neighbour_take_lost(&bench->table, &lost));
	assert_int_equal(lost.bytes[12], 172);
	assert_int_equal(lost.bytes[15], 1);
	// a stranger finds no room and takes none
	add_stranger(bench, 78);
	assert_true(neighbour_take_lost(&bench->table, &lost));
	assert_int_equal(lost.bytes[15], 78);
	for (unsigned i = 0; i < 4; i++) {
		address = address_from_ipv4((const uint8_t[4]){192, 0, 2, (uint8_t)i});
		assert_non_null(neighbour_find(&bench->table, 0, &address));
	}
}

static void a_stranger_that_we_answer_is_one_no_more(void **state)
{
	struct bench *bench = *state;
	struct address address = address_from_ipv4((const uint8_t[4]){10, 0, 0, 5}), lost;

	add_stranger(bench, 5);
	struct neighbour *neighbour = neighbour_find(&bench->table, 0, &address);
	assert_true(neighbour_has_mac(neighbour));
	use(bench, neighbour);
	assert_int_equal(neighbour->state, NEIGHBOUR_DELAY); // its MAC is only its own word
	for (unsigned i = 100; i < 100 + 2 * NEIGHBOUR_LEARNED_MAX; i++)
		add_stranger(bench, i);
	assert_ptr_equal(neighbour_find(&bench->table, 0, &address), neighbour);
	neighbour_take_lost(&bench->table, &lost);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(unanswered_is_given_up_and_forgotten),
		TEST(pinned_is_tried_again),
		TEST(reachability_ends_and_is_probed),
		TEST(silent_probe_asks_everybody),
		TEST(progress_of_tcp_spares_the_probe),
		TEST(confirming_the_unknown_confirms_nothing),
		TEST(what_is_heard),
		TEST(strangers_displace_only_strangers),
		TEST(full_table_gives_up_the_least_used),
		TEST(a_stranger_that_we_answer_is_one_no_more),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
