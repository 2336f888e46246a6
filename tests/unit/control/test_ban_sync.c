// SPDX-License-Identifier: BSD-3-Clause
//
// The gate's table of bans and the map, kept alike from both ends: each change on one side and what
// becomes of it on the other, a map that is full, and a random run of both at once. A bare map
// stands in for the pinned one. `test_ban_sync million` prints what a list of a million costs.
// Needs root; skipped (exit code 77) otherwise.
#include "control/ban_sync.h"

#include "bpf/ban_map.h"
#include "config/policy.h"
#include "dataplane/base/notice.h"
#include "dataplane/base/record_ring.h"
#include "dataplane/gate/bans.h"
#include "dataplane/gate/sources.h"

#include <bpf/bpf.h>
#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define NOW 1800000000ull

static const struct bans_terms terms = {.time_s = 600, .time_max_s = 3600, .remembered_s = 1000};

struct scene {
	struct policy policy;
	struct sources *sources;
	struct ban_sync *sync;
	struct bans *bans;
	int map;
	uint64_t now_s;
};

static void open_scene(struct scene *scene, unsigned entries, unsigned map_entries)
{
	LIBBPF_OPTS(bpf_map_create_opts, options, .map_flags = BPF_F_NO_PREALLOC);

	*scene = (struct scene){.now_s = NOW};
	scene->policy.ban = (struct ban_settings){.entries = entries, .remembered_ms = 1000000};
	scene->map = bpf_map_create(BPF_MAP_TYPE_HASH, "bans", sizeof(struct ban_source),
				    sizeof(struct ban), map_entries, &options);
	assert_true(scene->map >= 0);
	scene->sources = sources_create(
		&(struct sources_settings){.entries = 1024, .point_us = 1000000, .key = {{1}}});
}

static void start(struct scene *scene)
{
	scene->sync = ban_sync_create(&scene->policy, scene->map, scene->now_s * 1000000);
	assert_non_null(scene->sync);
	scene->bans = ban_sync_bans(scene->sync);
}

static void close_scene(struct scene *scene)
{
	ban_sync_destroy(scene->sync);
	sources_destroy(scene->sources);
	close(scene->map);
}

static unsigned turns(struct scene *scene, unsigned count)
{
	unsigned refused = 0;

	while (count--)
		refused += ban_sync_turn(scene->sync, &scene->policy, scene->sources,
					 scene->now_s * 1000000);
	return refused;
}

static struct address address_of(unsigned number)
{
	return address_from_ipv4((const uint8_t[]){198, (uint8_t)(51 + (number >> 16)),
						   (uint8_t)(number >> 8), (uint8_t)number});
}

static uint64_t number_of(unsigned number)
{
	struct address address = address_of(number);

	return sources_number(&address);
}

static struct ban_source key_of(unsigned number)
{
	struct ban_source key = {{0xff}};
	struct address address = address_of(number);

	memcpy(key.prefix + 4, address_ipv4_bytes(&address), 4);
	return key;
}

static void put(struct scene *scene, unsigned number, uint64_t until)
{
	const struct ban_source key = key_of(number);

	assert_int_equal(ban_map_put(scene->map, &key, &(struct ban){.until = until}), 0);
}

static bool in_map(struct scene *scene, unsigned number, struct ban *ban)
{
	const struct ban_source key = key_of(number);

	return ban_map_get(scene->map, &key, ban) == 0;
}

static bool in_gate(struct scene *scene, unsigned number)
{
	return bans_hold(scene->bans, number_of(number), scene->now_s);
}

// The next notice's reason, 0 = none.
static unsigned told(struct scene *scene)
{
	size_t length;
	const struct notice *notice = record_ring_peek(ban_sync_notices(scene->sync), &length);
	unsigned reason = notice ? notice->reason : 0;

	if (notice)
		record_ring_release(ban_sync_notices(scene->sync));
	return reason;
}

static void offend(struct scene *scene, unsigned number)
{
	struct ban_state state;

	bans_offender(scene->bans, number_of(number), REASON_smtp_not_smtp, &terms, scene->now_s,
		      &state);
}

// A worker's ban: into the map once no session of the source is open, out of it on time, again for
// twice as long.
static void test_from_the_gate(void **state)
{
	const struct address address = address_of(7);
	const struct sources_name name = {SOURCES_SOURCE, 0, &address};
	sources_hold hold;
	struct scene scene;
	struct ban ban;

	open_scene(&scene, 64, 64);
	start(&scene);
	sources_open(scene.sources, &name, SOURCES_UNLIMITED, 0, &hold);
	offend(&scene, 7);
	turns(&scene, 3);
	assert_false(in_map(&scene, 7, &ban));
	assert_true(in_gate(&scene, 7));
	sources_close(scene.sources, hold);
	turns(&scene, 1);
	assert_true(in_map(&scene, 7, &ban));
	assert_true(ban.until == NOW + 600 && ban.level == 1 && ban.reason == REASON_smtp_not_smtp);
	turns(&scene, 5);
	assert_true(in_map(&scene, 7, &ban) && in_gate(&scene, 7));
	assert_int_equal(told(&scene), 0); // the worker told of it itself
	scene.now_s += 600;
	turns(&scene, 1);
	assert_false(in_map(&scene, 7, &ban) || in_gate(&scene, 7));
	assert_int_equal(told(&scene), REASON_source_unbanned);
	assert_false(bans_any(scene.bans));
	offend(&scene, 7);
	turns(&scene, 1);
	assert_true(in_map(&scene, 7, &ban));
	assert_true(ban.until == NOW + 1800 && ban.level == 2);
	// Over, and forgotten.
	scene.now_s += 1200 + 1000;
	turns(&scene, 2);
	assert_int_equal(bans_used(scene.bans), 0);
	close_scene(&scene);
}

// A person's: taken over at once, changed, taken out; and what was there at the start.
static void test_from_the_map(void **state)
{
	const struct ban_source key = key_of(3);
	struct scene scene;
	struct ban ban;

	open_scene(&scene, 64, 64);
	put(&scene, 1, 0);
	put(&scene, 2, NOW); // was over before the start
	start(&scene);
	assert_true(in_gate(&scene, 1));
	assert_false(in_gate(&scene, 2) || in_map(&scene, 2, &ban));
	assert_int_equal(told(&scene), 0);
	put(&scene, 3, NOW + 50);
	turns(&scene, 1);
	assert_true(in_gate(&scene, 3));
	assert_int_equal(told(&scene), REASON_source_banned);
	put(&scene, 3, NOW + 100);
	turns(&scene, 1);
	scene.now_s += 60;
	assert_true(in_gate(&scene, 3));
	assert_int_equal(ban_map_remove(scene.map, &key), 0);
	turns(&scene, 2);
	assert_false(in_gate(&scene, 3));
	assert_int_equal(told(&scene), REASON_source_unbanned);
	// A pardon is no remembrance.
	offend(&scene, 3);
	turns(&scene, 1);
	assert_true(in_map(&scene, 3, &ban) && ban.level == 1);
	// Banned by hand while the gate only remembers it.
	scene.now_s += 600;
	turns(&scene, 1);
	assert_false(in_gate(&scene, 3));
	put(&scene, 3, 0);
	turns(&scene, 1);
	assert_true(in_gate(&scene, 3) && in_map(&scene, 3, &ban));
	assert_true(in_gate(&scene, 1));
	// Its end brought forward, to a time that has passed.
	assert_int_equal(told(&scene), REASON_source_unbanned);
	assert_int_equal(told(&scene), REASON_source_banned);
	put(&scene, 3, scene.now_s - 1);
	turns(&scene, 1);
	assert_false(in_gate(&scene, 3) || in_map(&scene, 3, &ban));
	assert_int_equal(told(&scene), REASON_source_unbanned);
	close_scene(&scene);
}

static void test_exempt(void **state)
{
	struct endpoint server = {address_of(5), 25};
	struct backend backend = {.servers = &server, .server_count = 1};
	struct policy other;
	struct scene scene;
	struct ban ban;

	open_scene(&scene, 64, 64);
	scene.policy.backends = &backend;
	scene.policy.backend_count = 1;
	put(&scene, 5, 0);
	start(&scene);
	assert_false(in_map(&scene, 5, &ban));
	put(&scene, 5, 0);
	turns(&scene, 1);
	assert_false(in_map(&scene, 5, &ban) || in_gate(&scene, 5));
	assert_int_equal(told(&scene), REASON_ban_exempt);
	// Another policy exempts somebody who is banned.
	put(&scene, 6, 0);
	offend(&scene, 7);
	turns(&scene, 1);
	assert_true(in_map(&scene, 6, &ban) && in_map(&scene, 7, &ban));
	server.address = address_of(6);
	other = scene.policy;
	ban_sync_turn(scene.sync, &other, scene.sources, scene.now_s * 1000000);
	assert_false(in_map(&scene, 6, &ban) || in_gate(&scene, 6));
	assert_true(in_map(&scene, 7, &ban) && in_gate(&scene, 7));
	close_scene(&scene);
}

// A map that takes no more: the gate refuses nevertheless, it is counted once, and tried again.
static void test_full_map(void **state)
{
	struct ban_source key;
	struct scene scene;
	struct ban ban;

	open_scene(&scene, 64, 2);
	put(&scene, 1, 0);
	put(&scene, 2, 0);
	start(&scene);
	offend(&scene, 3);
	assert_int_equal(turns(&scene, 5), 1);
	assert_true(in_gate(&scene, 3));
	assert_false(in_map(&scene, 3, &ban));
	key = key_of(1);
	assert_int_equal(ban_map_remove(scene.map, &key), 0);
	assert_int_equal(turns(&scene, 3), 0);
	assert_true(in_map(&scene, 3, &ban) && in_gate(&scene, 3));
	assert_false(in_gate(&scene, 1));
	close_scene(&scene);
}

// A table that takes no more of the map's: likewise.
static void test_full_table(void **state)
{
	struct scene scene;
	struct ban ban;

	open_scene(&scene, 16, 64);
	start(&scene);
	for (unsigned i = 0; i < 20; i++)
		put(&scene, i, 0);
	assert_int_equal(turns(&scene, 5), 4);
	assert_int_equal(bans_used(scene.bans), 16);
	for (unsigned i = 0; i < 20; i++)
		assert_true(in_map(&scene, i, &ban));
	close_scene(&scene);
}

// A list so long that a walk along the map takes several calls: what a person changed since the
// last one went by is not undone by what the table knows. LATE sources' bans end, SOON ones are
// made by workers, at the very moment when a person bans all of them for ever.
static void test_changed_between_walks(void **state)
{
	enum { LIST = 2 * BAN_SYNC_ROWS, LATE = 50, SOON = 100 };
	struct scene scene;
	struct ban ban;

	open_scene(&scene, LIST + SOON, LIST + SOON);
	for (unsigned i = 0; i < LIST; i++)
		put(&scene, i, i < LATE ? NOW + 10 : 0);
	start(&scene);
	turns(&scene, 1);
	for (unsigned i = LIST; i < LIST + SOON; i++)
		offend(&scene, i);
	scene.now_s += 10;
	for (unsigned i = 0; i < LIST + SOON; i++)
		if (i < LATE || i >= LIST)
			put(&scene, i, 0);
	turns(&scene, 5);
	scene.now_s += 600;
	turns(&scene, 5);
	for (unsigned i = 0; i < LIST + SOON; i++)
		assert_true(in_gate(&scene, i) && in_map(&scene, i, &ban) && ban.until == 0);
	close_scene(&scene);
}

// A ban whose time was over, but that the walk along the table had not come to, is banned anew by
// hand: the sessions that were let in meanwhile are looked for.
static void test_banned_anew_when_over(void **state)
{
	struct scene scene;
	uint32_t generation;

	open_scene(&scene, 64, 64);
	put(&scene, 1, NOW + 10);
	start(&scene);
	scene.now_s += 10;
	put(&scene, 1, 0);
	generation = bans_generation(scene.bans);
	turns(&scene, 1);
	assert_true(in_gate(&scene, 1));
	assert_int_equal(bans_generation(scene.bans), generation + 1);
	assert_int_equal(told(&scene), REASON_source_banned);
	close_scene(&scene);
}

// Both sides at random; at rest they say the same, and what was said last.
static void test_random(void **state)
{
	enum { SOURCES = 200 };
	bool banned[SOURCES] = {false};
	struct scene scene;

	open_scene(&scene, 1024, 1024);
	start(&scene);
	srand(7);
	for (unsigned round = 0; round < 300; round++) {
		for (unsigned i = 0; i < 10; i++) {
			unsigned number = (unsigned)rand() % SOURCES;
			struct ban_source key = key_of(number);

			if (rand() % 2)
				put(&scene, number, NOW + 1000000);
			else if (rand() % 2)
				offend(&scene, number);
			else if (banned[number] && !ban_map_remove(scene.map, &key)) {
				turns(&scene, 2);
				banned[number] = false;
				continue;
			} else
				continue;
			banned[number] = true;
			turns(&scene, 1);
		}
		turns(&scene, 2);
		for (unsigned number = 0; number < SOURCES; number++) {
			struct ban ban;

			assert_int_equal(in_gate(&scene, number), banned[number]);
			assert_int_equal(in_map(&scene, number, &ban), banned[number]);
		}
	}
	close_scene(&scene);
}

// ---- By hand ---------------------------------------------------------------------------------

static double seconds(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static long kilobytes(const char *field)
{
	FILE *file = fopen("/proc/meminfo", "r");
	char line[128];
	long value = 0;

	while (file && fgets(line, sizeof(line), file))
		if (strncmp(line, field, strlen(field)) == 0)
			value = strtol(line + strlen(field) + 1, NULL, 10);
	if (file)
		fclose(file);
	return value;
}

static int million(void)
{
	enum { LIST = 1000000 };
	long before = kilobytes("MemAvailable");
	double begin = seconds(CLOCK_MONOTONIC), longest = 0, all = 0;
	struct scene scene;
	unsigned count = 0;

	open_scene(&scene, LIST, LIST);
	for (unsigned i = 0; i < LIST; i++)
		put(&scene, i, 0);
	printf("put into the map one by one: %.2f s, about %ld MB of the kernel's\n",
	       seconds(CLOCK_MONOTONIC) - begin, (before - kilobytes("MemAvailable")) / 1024);
	begin = seconds(CLOCK_MONOTONIC);
	start(&scene);
	printf("taken over at a start: %.2f s, %u of them, %.1f MB\n",
	       seconds(CLOCK_MONOTONIC) - begin, bans_used(scene.bans),
	       (double)bans_memory(scene.bans) / 1e6);
	for (; count < 100; count++) {
		begin = seconds(CLOCK_THREAD_CPUTIME_ID);
		turns(&scene, 1);
		begin = seconds(CLOCK_THREAD_CPUTIME_ID) - begin;
		all += begin;
		longest = begin > longest ? begin : longest;
	}
	printf("each call (every 100 ms): %.2f ms, the longest %.2f ms of processor time\n",
	       all / count * 1000, longest * 1000);
	printf("a walk along the map takes %u calls, along the table %u\n",
	       (LIST + BAN_SYNC_ROWS - 1) / BAN_SYNC_ROWS,
	       (bans_places(scene.bans) + BAN_SYNC_PLACES - 1) / BAN_SYNC_PLACES);
	close_scene(&scene);
	return 0;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_from_the_gate), cmocka_unit_test(test_from_the_map),
		cmocka_unit_test(test_exempt),        cmocka_unit_test(test_full_map),
		cmocka_unit_test(test_full_table),    cmocka_unit_test(test_changed_between_walks),
		cmocka_unit_test(test_random),        cmocka_unit_test(test_banned_anew_when_over),
	};

	if (geteuid() != 0)
		return 77;
	if (sodium_init() < 0)
		return 1;
	if (argc > 1 && strcmp(argv[1], "million") == 0)
		return million();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
