// SPDX-License-Identifier: BSD-3-Clause
//
// The table of bans against a slow twin that is obviously right, over long random runs with a small
// and a crowded table; who makes room when it is full; how bans grow; and several threads that ban,
// look and remove at once. `test_bans million` prints what a million bans cost.
#include "dataplane/gate/bans.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define NOW 1800000000ull

static const struct hash_key key = {{3}};
static const struct bans_terms terms = {.time_s = 600, .time_max_s = 3600, .remembered_s = 7200};

static uint64_t draw(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

static void test_bans_grow_and_are_forgotten(void **state)
{
	static const struct {
		uint64_t at_s;
		enum bans_result result;
		unsigned level;
		uint64_t until_s;
	} rows[] = {
		{0, BANS_DONE, 1, 600},
		{599, BANS_ALREADY, 1, 600}, // nothing is added to a ban that lasts
		{600, BANS_DONE, 2, 1800},
		{1800, BANS_DONE, 3, 4200},
		{4200, BANS_DONE, 4, 7800},                 // no longer than an hour
		{14999, BANS_DONE, 5, 18599},               // 7200 s after the end, but for one
		{18599 + 7200, BANS_DONE, 1, 18599 + 7800}, // forgotten
	};
	struct bans *bans = bans_create(16, &key);
	struct ban_state ban;

	assert_non_null(bans);
	assert_false(bans_any(bans));
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint64_t now = NOW + rows[i].at_s, until = NOW + rows[i].until_s;

		assert_int_equal(bans_offender(bans, 77, 5, &terms, now, &ban), rows[i].result);
		assert_int_equal(ban.level, rows[i].level);
		assert_int_equal(ban.until_s, until);
		assert_int_equal(ban.reason, 5);
		assert_true(bans_hold(bans, 77, now));
		assert_true(bans_hold(bans, 77, until - 1));
		assert_false(bans_hold(bans, 77, until));
		assert_false(bans_hold(bans, 78, now));
	}
	assert_true(bans_any(bans));
	assert_int_equal(bans_active(bans), 1);
	bans_destroy(bans);
}

// For ever is the longest of all; a remembrance refuses nobody and costs nothing.
static void test_states(void **state)
{
	struct bans *bans = bans_create(16, &key);
	struct ban_state ban = {.until_s = UINT64_MAX, .reason = 511, .level = 63, .shared = true};
	struct ban_state read, ended;
	uint64_t source;
	uint32_t place;

	assert_int_equal(bans_set(bans, 9, &ban), BANS_DONE);
	assert_true(bans_find(bans, 9, &place, &read));
	assert_int_equal(read.until_s, BANS_FOR_EVER);
	assert_true(bans_hold(bans, 9, NOW + (1ull << 33)));
	assert_true(bans_at(bans, place, &source, &read));
	assert_int_equal(source, 9);
	assert_true(read.level == 63 && read.reason == 511 && read.shared && !read.ended);
	ended = read;
	ended.ended = true;
	ended.until_s = NOW;
	assert_false(bans_change(bans, place, &ended, &read)); // it is not what stands there
	assert_true(bans_change(bans, place, &read, &ended));
	assert_false(bans_any(bans));
	assert_false(bans_hold(bans, 9, NOW - 5));
	assert_int_equal(bans_used(bans), 1);
	assert_false(bans_remove(bans, place, &read));
	assert_true(bans_remove(bans, place, &ended));
	assert_int_equal(bans_used(bans), 0);
	assert_false(bans_find(bans, 9, &place, &read));
	assert_int_equal(bans_set(bans, 0, &ban), BANS_FULL); // nobody
	bans_destroy(bans);
}

// ---- The slow twin ---------------------------------------------------------------------------

#define SOURCES 300

struct twin {
	uint64_t until_s[SOURCES]; // 0 = none
};

static void compare(const struct bans *bans, const struct twin *twin, uint64_t now)
{
	unsigned used = 0;

	for (unsigned i = 0; i < SOURCES; i++) {
		struct ban_state ban;
		uint32_t place;
		bool found = bans_find(bans, i + 1, &place, &ban);

		assert_int_equal(found, twin->until_s[i] != 0);
		assert_true(!found || ban.until_s == twin->until_s[i]);
		assert_int_equal(bans_hold(bans, i + 1, now), twin->until_s[i] > now);
		used += found;
	}
	assert_int_equal(bans_used(bans), used);
	assert_int_equal(bans_active(bans), used);
}

// Sets, ends and removals in random order, in a table with room for all: none is lost, none stays.
static void test_twin(void **state)
{
	struct bans *bans = bans_create(SOURCES, &key);
	struct twin twin = {{0}};
	uint64_t seed = 88172645463325252ull;

	for (unsigned step = 0; step < 60000; step++) {
		unsigned i = (unsigned)(draw(&seed) % SOURCES);
		struct ban_state ban;
		uint32_t place;

		if (draw(&seed) % 3) {
			ban = (struct ban_state){.until_s = NOW + draw(&seed) % 1000};
			assert_int_equal(bans_set(bans, i + 1, &ban), BANS_DONE);
			twin.until_s[i] = ban.until_s;
		} else if (bans_find(bans, i + 1, &place, &ban)) {
			assert_true(bans_remove(bans, place, &ban));
			twin.until_s[i] = 0;
		}
		if (step % 500 == 0)
			compare(bans, &twin, NOW + draw(&seed) % 1000);
	}
	compare(bans, &twin, NOW);
	bans_destroy(bans);
}

// A full table: what is given up ends before what stays, as far as it was in reach, and a newcomer
// who would end first is not taken.
static void test_full(void **state)
{
	enum { ROOM = 16, LATE = 1000 };
	struct bans *bans = bans_create(ROOM, &key);
	struct ban_state ban;
	unsigned there = 0;
	uint32_t place;

	for (unsigned i = 1; i <= ROOM; i++) {
		ban = (struct ban_state){.until_s = NOW + LATE + i};
		assert_int_equal(bans_set(bans, i, &ban), BANS_DONE);
	}
	assert_int_equal(bans_offender(bans, 100, 1, &terms, NOW, &ban), BANS_FULL);
	assert_false(bans_hold(bans, 100, NOW));
	ban = (struct ban_state){.until_s = NOW + 2 * LATE};
	assert_int_equal(bans_set(bans, 101, &ban), BANS_MADE_ROOM);
	assert_int_equal(bans_used(bans), ROOM);
	assert_true(bans_hold(bans, 101, NOW));
	for (unsigned i = 1; i <= ROOM; i++)
		there += bans_find(bans, i, &place, &ban);
	assert_int_equal(there, ROOM - 1);
	// The table is one reach here, so it is the very first to end.
	assert_false(bans_find(bans, 1, &place, &ban));
	// A remembrance goes before any ban.
	assert_true(bans_find(bans, 7, &place, &ban));
	struct ban_state ended = {.until_s = NOW - 1, .ended = true};

	assert_true(bans_change(bans, place, &ban, &ended));
	assert_int_equal(bans_offender(bans, 102, 1, &terms, NOW, &ban), BANS_MADE_ROOM);
	assert_false(bans_find(bans, 7, &place, &ban));
	assert_true(bans_find(bans, 2, &place, &ban));
	bans_destroy(bans);
}

// ---- Several threads -------------------------------------------------------------------------

enum { THREADS = 3, RACED = 64, ROUNDS = 20000 };

struct race {
	struct bans *bans;
	_Atomic unsigned running;
	uint64_t seed;
};

static void *offend(void *context)
{
	struct race *race = context;
	uint64_t seed = 1234567 + atomic_fetch_add(&race->running, 1);
	struct ban_state ban;

	for (unsigned i = 0; i < ROUNDS; i++) {
		uint64_t now = NOW + i;
		uint64_t source = 1 + draw(&seed) % RACED;

		bans_offender(race->bans, source, 1, &(struct bans_terms){2, 2, 10}, now, &ban);
		bans_hold(race->bans, source, now);
	}
	atomic_fetch_sub(&race->running, 1);
	return NULL;
}

// The main thread's walk, meanwhile: ends and removes. What it sees is always an entry of somebody,
// with that one's values.
static void walk(struct bans *bans, uint64_t *seed)
{
	for (uint32_t place = 0; place < bans_places(bans); place++) {
		struct ban_state ban, ended;
		uint64_t source;

		if (!bans_at(bans, place, &source, &ban))
			continue;
		assert_true(source >= 1 && source <= RACED);
		assert_true(ban.until_s >= NOW && ban.until_s <= NOW + ROUNDS + 2);
		assert_int_equal(ban.reason, 1);
		ended = ban;
		ended.ended = true;
		if (draw(seed) % 2)
			bans_change(bans, place, &ban, &ended);
		else
			bans_remove(bans, place, &ban);
	}
}

// Afterwards the counts are what stands there, and everything can be found and taken out.
static void test_threads(void **state)
{
	static const uint32_t sizes[] = {256, 24}; // room for all, and a crowd
	uint64_t seed = 42;

	for (unsigned size = 0; size < 2; size++) {
		struct race race = {.bans = bans_create(sizes[size], &key)};
		pthread_t threads[THREADS];
		unsigned active = 0, used = 0;
		struct ban_state ban;
		uint64_t source;

		for (unsigned i = 0; i < THREADS; i++)
			assert_int_equal(pthread_create(&threads[i], NULL, offend, &race), 0);
		do
			walk(race.bans, &seed);
		while (atomic_load(&race.running));
		for (unsigned i = 0; i < THREADS; i++)
			pthread_join(threads[i], NULL);
		for (uint32_t place = 0; place < bans_places(race.bans); place++)
			if (bans_at(race.bans, place, &source, &ban)) {
				used++;
				active += !ban.ended;
			}
		assert_int_equal(bans_used(race.bans), used);
		assert_int_equal(bans_active(race.bans), active);
		for (uint64_t i = 1; i <= RACED; i++)
			for (uint32_t place; bans_find(race.bans, i, &place, &ban);)
				assert_true(bans_remove(race.bans, place, &ban));
		assert_int_equal(bans_used(race.bans), 0);
		assert_int_equal(bans_active(race.bans), 0);
		bans_destroy(race.bans);
	}
}

// ---- By hand ---------------------------------------------------------------------------------

static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void time_lookups(const char *what, const struct bans *bans, uint64_t first, bool ahead)
{
	enum { LOOKUPS = 1 << 20, BURST = 32 };
	double best = 1e9;
	unsigned hits = 0;

	for (unsigned run = 0; run < 5; run++) {
		uint64_t seed = 99, burst[BURST];
		double start = seconds();

		hits = 0;
		for (unsigned i = 0; i < LOOKUPS / BURST; i++) {
			for (unsigned j = 0; j < BURST; j++) {
				burst[j] = first + draw(&seed) % 1000000;
				if (ahead)
					bans_prefetch(bans, burst[j]);
			}
			for (unsigned j = 0; j < BURST; j++)
				hits += bans_hold(bans, burst[j], NOW);
		}
		if (seconds() - start < best)
			best = seconds() - start;
	}
	printf("%-40s %6.1f ns each (%u of %u found)\n", what, best / LOOKUPS * 1e9, hits,
	       (unsigned)LOOKUPS);
}

static int million(void)
{
	struct bans *empty = bans_create(1000000, &key), *bans = bans_create(1000000, &key);
	struct ban_state ban = {.until_s = NOW + 1000};
	unsigned not_taken = 0, seen = 0;
	double start = seconds();
	uint64_t source;

	for (uint64_t i = 1; i <= 1000000; i++)
		not_taken += bans_set(bans, i, &ban) != BANS_DONE;
	printf("a million bans: %.3f s, %.1f MB, %u not taken\n", seconds() - start,
	       (double)bans_memory(bans) / 1e6, not_taken);
	start = seconds();
	for (uint32_t place = 0; place < bans_places(bans); place++)
		seen += bans_at(bans, place, &source, &ban);
	printf("a walk along all places: %.3f s, %u seen\n", seconds() - start, seen);
	time_lookups("look-up, nobody banned", empty, 1, true);
	time_lookups("look-up, fetched ahead, not banned", bans, 2000000, true);
	time_lookups("look-up, fetched ahead, banned", bans, 1, true);
	time_lookups("look-up, not fetched, not banned", bans, 2000000, false);
	bans_destroy(empty);
	bans_destroy(bans);
	return not_taken || seen != 1000000;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bans_grow_and_are_forgotten),
		cmocka_unit_test(test_states),
		cmocka_unit_test(test_twin),
		cmocka_unit_test(test_full),
		cmocka_unit_test(test_threads),
	};

	if (argc > 1 && strcmp(argv[1], "million") == 0)
		return million();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
