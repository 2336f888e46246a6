// SPDX-License-Identifier: BSD-3-Clause
//
// The table of sources against a slow twin that is obviously right, over a long random run; a full
// table; what IPv4 addresses, IPv6 networks and prefixes have in common; and several threads that
// open and close the same sources: never above the limit, and nothing left when all have closed.
#include "dataplane/gate/sources.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SECOND 1000000ull

static struct address address_of(const char *text)
{
	struct address address;
	const char *why;

	assert_int_equal(address_parse(text, &address, &why), 0);
	return address;
}

static struct sources *table(uint32_t entries)
{
	const struct sources_settings settings = {.entries = entries,
						  .ipv4_prefix = 24,
						  .ipv6_prefix = 48,
						  .point_us = SECOND,
						  .key = {{7}}};
	struct sources *sources = sources_create(&settings);

	assert_non_null(sources);
	return sources;
}

static uint32_t level(const struct sources *sources, enum sources_scope scope, const char *text)
{
	const struct address address = address_of(text);
	const struct sources_name name = {scope, 1, &address};

	return sources_look(sources, &name).sessions;
}

// Who is the same source, who shares a prefix.
static void test_names(void **state)
{
	static const struct {
		const char *address;
		uint32_t source, prefix; // sessions after one of 192.0.2.1 and one of 2001:db8:1::1
	} rows[] = {
		{"192.0.2.1", 1, 1},     {"192.0.2.2", 0, 1},           {"192.0.2.255", 0, 1},
		{"192.0.3.1", 0, 0},     {"192.0.1.255", 0, 0},         {"2001:db8:1::1", 1, 1},
		{"2001:db8:1::2", 1, 1}, {"2001:db8:1:0:8000::", 1, 1}, {"2001:db8:1:1::1", 0, 1},
		{"2001:db8:2::1", 0, 0}, {"::c000:201", 0, 0},
	};
	static const char *const opened[] = {"192.0.2.1", "2001:db8:1::1"};
	struct sources *sources = table(1024);
	sources_hold holds[4];

	for (unsigned i = 0; i < 4; i++) {
		const struct address address = address_of(opened[i / 2]);
		const struct sources_name name = {i % 2 ? SOURCES_PREFIX : SOURCES_SOURCE, 1,
						  &address};

		assert_int_equal(sources_open(sources, &name, 5, SECOND, &holds[i]), SOURCES_HELD);
	}
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(level(sources, SOURCES_SOURCE, rows[i].address), rows[i].source);
		assert_int_equal(level(sources, SOURCES_PREFIX, rows[i].address), rows[i].prefix);
	}
	for (unsigned i = 0; i < 4; i++)
		sources_close(sources, holds[i]);
	assert_int_equal(sources_totals(sources, SECOND).used, 0);
	// Its sessions are over, and it is remembered still.
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct address address = address_of(rows[i].address);

		assert_int_equal(sources_remembers(sources, sources_look_ahead(sources, &address)),
				 rows[i].source);
	}
	sources_destroy(sources);
}

// Nine sources, eight places: the last is not counted, until one of the others is gone.
static void test_full(void **state)
{
	const struct sources_rate rate = {2, 60 * SECOND};
	struct sources *sources = table(8);
	sources_hold holds[9];

	for (unsigned i = 0; i < 9; i++) {
		const struct address address = address_from_ipv4((uint8_t[]){10, 0, 0, (uint8_t)i});
		const struct sources_name name = {SOURCES_SOURCE, 1, &address};

		assert_int_equal(sources_open(sources, &name, 1, SECOND, &holds[i]),
				 i < 8 ? SOURCES_HELD : SOURCES_FULL);
		if (i == 8)
			assert_int_equal(sources_offend(sources, &address, 1, SECOND), 0);
	}
	const struct address late = address_of("10.0.0.8");
	const struct sources_name name = {SOURCES_SOURCE, 1, &late};

	assert_true(sources_take(sources, holds[3], &rate, SECOND));
	sources_close(sources, holds[3]);
	// Its rate is still remembered for half a minute.
	assert_int_equal(sources_open(sources, &name, 1, 30 * SECOND, &holds[8]), SOURCES_FULL);
	assert_int_equal(sources_open(sources, &name, 1, 31 * SECOND, &holds[3]), SOURCES_HELD);
	assert_int_equal(level(sources, SOURCES_SOURCE, "10.0.0.3"), 0);
	assert_int_equal(level(sources, SOURCES_SOURCE, "10.0.0.8"), 1);
	sources_destroy(sources);
}

// ---- The twin --------------------------------------------------------------------------------

#define NUMBERS    24
#define CONNECTORS 3
#define HOLDS      64

struct twin {
	uint32_t sessions[2][NUMBERS][CONNECTORS];
	uint64_t until_us[2][NUMBERS][CONNECTORS]; // prefixes: at the number of their first source
	uint64_t score_until_us[NUMBERS];
	struct {
		bool used;
		sources_hold hold;
		uint32_t scope, number, connector;
	} holds[HOLDS];
};

// Even ones are IPv4, four to a /24; odd ones IPv6, each /64 of a /48 of four.
static struct address numbered(uint32_t number)
{
	const uint8_t group = (uint8_t)(number / 8), host = (uint8_t)(number % 8);

	if (number % 2 == 0)
		return address_from_ipv4((uint8_t[]){198, 51, group, host});
	return address_from_ipv6((uint8_t[16]){0x20, 1, 0xd, 0xb8, 0, group, 0, host, 0, 0, 0, 0, 0,
					       0, 0, (uint8_t)rand()});
}

static uint32_t slot(uint32_t scope, uint32_t number)
{
	return scope == SOURCES_PREFIX ? number / 8 * 8 + number % 2 : number;
}

static void twin_open(struct sources *sources, struct twin *twin, uint64_t now_us)
{
	const uint32_t scope = (uint32_t)rand() % 2, number = (uint32_t)rand() % NUMBERS;
	const uint32_t connector = (uint32_t)rand() % CONNECTORS, limit = (uint32_t)rand() % 5;
	const struct address address = numbered(number);
	const struct sources_name name = {scope, (uint16_t)connector, &address};
	uint32_t *sessions = &twin->sessions[scope][slot(scope, number)][connector];
	unsigned i = (unsigned)rand() % HOLDS;
	sources_hold hold;

	if (twin->holds[i].used)
		return;
	if (sources_open(sources, &name, limit, now_us, &hold) == SOURCES_AT_LIMIT) {
		assert_true(*sessions >= limit);
		return;
	}
	assert_true(hold != SOURCES_NO_HOLD && *sessions < limit);
	++*sessions;
	twin->holds[i].used = true;
	twin->holds[i].hold = hold;
	twin->holds[i].scope = scope;
	twin->holds[i].number = slot(scope, number);
	twin->holds[i].connector = connector;
}

static void twin_change(struct sources *sources, struct twin *twin, uint64_t now_us)
{
	const unsigned i = (unsigned)rand() % HOLDS;
	const uint32_t scope = twin->holds[i].scope, number = twin->holds[i].number;
	const uint32_t connector = twin->holds[i].connector;
	const struct sources_rate rate = {1u + (uint32_t)rand() % 6, 60 * SECOND};
	uint64_t *until = &twin->until_us[scope][number][connector];
	bool may;

	if (!twin->holds[i].used)
		return;
	if (rand() % 2) {
		sources_close(sources, twin->holds[i].hold);
		twin->sessions[scope][number][connector]--;
		twin->holds[i].used = false;
		return;
	}
	if (*until < now_us)
		*until = now_us;
	may = *until + 60 * SECOND / rate.connections <=
	      now_us + 60 * SECOND / rate.connections * rate.connections;
	assert_int_equal(sources_take(sources, twin->holds[i].hold, &rate, now_us), may);
	if (may)
		*until += 60 * SECOND / rate.connections;
}

static uint32_t twin_score(const struct twin *twin, uint32_t number, uint64_t now_us)
{
	const uint64_t until = twin->score_until_us[number];

	return until <= now_us ? 0 : (uint32_t)((until - now_us + SECOND - 1) / SECOND);
}

static void twin_offend(struct sources *sources, struct twin *twin, uint64_t now_us)
{
	const uint32_t number = (uint32_t)rand() % NUMBERS, points = 1u + (uint32_t)rand() % 100;
	const struct address address = numbered(number);
	uint64_t *until = &twin->score_until_us[number];

	*until = (*until > now_us ? *until : now_us) + points * SECOND;
	assert_int_equal(sources_offend(sources, &address, points, now_us),
			 twin_score(twin, number, now_us));
}

static void twin_compare(const struct sources *sources, const struct twin *twin, uint64_t now_us)
{
	for (uint32_t number = 0; number < NUMBERS; number++) {
		const struct address address = numbered(number);
		uint32_t all = 0;

		for (uint32_t i = 0; i < 2 * CONNECTORS; i++) {
			const uint32_t scope = i / CONNECTORS, connector = i % CONNECTORS;
			const struct sources_name name = {scope, (uint16_t)connector, &address};
			const struct sources_level is = sources_look(sources, &name);
			const uint64_t until =
				twin->until_us[scope][slot(scope, number)][connector];

			assert_int_equal(is.sessions,
					 twin->sessions[scope][slot(scope, number)][connector]);
			if (until > now_us || is.until_us > now_us)
				assert_int_equal(is.until_us, until);
			all += scope == SOURCES_SOURCE ? is.sessions : 0;
		}
		assert_int_equal(sources_open_sessions(sources, &address), all);
		assert_int_equal(sources_score(sources, &address, now_us),
				 twin_score(twin, number, now_us));
	}
}

static void test_twin(void **state)
{
	for (unsigned seed = 1; seed <= 20; seed++) {
		struct sources *sources = table(4096);
		struct twin twin = {0};
		uint64_t now_us = 1000 * SECOND;

		srand(seed);
		for (unsigned step = 0; step < 5000; step++) {
			now_us += (uint64_t)rand() % (2 * SECOND);
			switch (rand() % 5) {
			case 0:
			case 1:
				twin_open(sources, &twin, now_us);
				break;
			case 2:
			case 3:
				twin_change(sources, &twin, now_us);
				break;
			default:
				twin_offend(sources, &twin, now_us);
			}
			if (step % 50 == 0)
				twin_compare(sources, &twin, now_us);
		}
		for (unsigned i = 0; i < HOLDS; i++)
			if (twin.holds[i].used)
				sources_close(sources, twin.holds[i].hold);
		assert_int_equal(sources_totals(sources, now_us).sessions, 0);
		assert_int_equal(sources_totals(sources, now_us + 100000 * SECOND).used, 0);
		sources_destroy(sources);
	}
}

static void test_connectors(void **state)
{
	struct sources *sources = table(16);

	assert_true(sources_open_connector(sources, 5, 2));
	assert_true(sources_open_connector(sources, 5, 2));
	assert_false(sources_open_connector(sources, 5, 2));
	assert_true(sources_open_connector(sources, 5, SOURCES_UNLIMITED));
	assert_true(sources_open_connector(sources, 6, 1));
	assert_int_equal(sources_connector_sessions(sources, 5), 3);
	assert_int_equal(sources_totals(sources, 0).connector_sessions, 4);
	sources_close_connector(sources, 5);
	assert_int_equal(sources_connector_sessions(sources, 5), 2);
	sources_destroy(sources);
}

// ---- Several threads -------------------------------------------------------------------------

#define THREADS 4
#define ROUNDS  20000
#define SHARED  48

struct race {
	struct sources *sources;
	uint32_t limit;
	atomic_uint open[SHARED];
	atomic_uint seed, above, full;
};

static void *race(void *argument)
{
	struct race *race = argument;
	uint32_t random = ++race->seed * 2654435761u;
	struct {
		sources_hold hold;
		uint32_t number;
	} held[8] = {0};
	unsigned count = 0;

	for (unsigned i = 0; i < ROUNDS; i++) {
		const uint64_t now_us = SECOND + i;
		const uint32_t number = (random = random * 1664525 + 1013904223) >> 16;
		const struct address address =
			address_from_ipv4((uint8_t[]){10, 0, 0, (uint8_t)(number % SHARED)});
		const struct sources_name name = {SOURCES_SOURCE, 0, &address};

		if (count == 8 || (count > 0 && number & 1024)) {
			race->open[held[--count].number]--;
			sources_close(race->sources, held[count].hold);
			continue;
		}
		held[count].number = number % SHARED;
		switch (sources_open(race->sources, &name, race->limit, now_us,
				     &held[count].hold)) {
		case SOURCES_HELD:
			race->above += ++race->open[held[count++].number] >= race->limit;
			break;
		case SOURCES_FULL:
			race->full++;
			break;
		case SOURCES_AT_LIMIT:
			break;
		}
		if (number % 16 == 0)
			sources_offend(race->sources, &address, 1, 0);
	}
	while (count > 0) {
		race->open[held[--count].number]--;
		sources_close(race->sources, held[count].hold);
	}
	return NULL;
}

static void run_race(struct race *shared)
{
	pthread_t threads[THREADS];

	for (unsigned i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, race, shared), 0);
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
}

// Each source has one session all the while, so its entry stays: its limit holds exactly.
static void test_race_for_limit(void **state)
{
	struct race shared = {.sources = table(4096), .limit = 3};
	sources_hold holds[SHARED];

	for (unsigned i = 0; i < SHARED; i++) {
		const struct address address = address_from_ipv4((uint8_t[]){10, 0, 0, (uint8_t)i});
		const struct sources_name name = {SOURCES_SOURCE, 0, &address};

		assert_int_equal(sources_open(shared.sources, &name, 1, 0, &holds[i]),
				 SOURCES_HELD);
	}
	run_race(&shared);
	assert_int_equal(shared.above, 0);
	assert_int_equal(shared.full, 0);
	for (unsigned i = 0; i < SHARED; i++)
		sources_close(shared.sources, holds[i]);
	assert_int_equal(sources_totals(shared.sources, 0).sessions, 0);
	sources_destroy(shared.sources);
}

// Fewer places than sources, so they change hands all the time: nothing is lost or counted twice.
static void test_race_for_places(void **state)
{
	struct race shared = {.sources = table(8), .limit = 1000};
	sources_hold holds[6];

	for (unsigned i = 0; i < 6; i++) {
		const struct address address = address_from_ipv4((uint8_t[]){10, 1, 0, (uint8_t)i});
		const struct sources_name name = {SOURCES_SOURCE, 0, &address};

		assert_int_equal(sources_open(shared.sources, &name, 1, 0, &holds[i]),
				 SOURCES_HELD);
	}
	run_race(&shared);
	assert_true(shared.full > 0);
	for (unsigned i = 0; i < 6; i++)
		sources_close(shared.sources, holds[i]);
	assert_int_equal(sources_totals(shared.sources, 100 * SECOND).sessions, 0);
	assert_int_equal(sources_totals(shared.sources, 1000000 * SECOND).used, 0);
	sources_destroy(shared.sources);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),          cmocka_unit_test(test_full),
		cmocka_unit_test(test_twin),           cmocka_unit_test(test_connectors),
		cmocka_unit_test(test_race_for_limit), cmocka_unit_test(test_race_for_places),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
