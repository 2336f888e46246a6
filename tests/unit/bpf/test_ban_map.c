// SPDX-License-Identifier: BSD-3-Clause
//
// The pinned map of bans: it outlives its instance, of the same size or another one; what bpftool
// and cat see of it; and that a walk through it meets each entry once, whatever happens meanwhile.
// Needs root and a kernel with BPF; skipped (exit code 77) otherwise.
#include "bpf/ban_map.h"
#include "tests/unit/bpf/bpffs.h"

#include <bpf/bpf.h>
#include <errno.h>

#define FUTURE 4000000000u // in the year 2096

static struct export *open_with_room(const char *directory, unsigned bans_max)
{
	const struct export_shape shape = {.workers = 1,
					   .connectors_max = 2,
					   .ports_max = 1,
					   .log_records = 8,
					   .bans_max = bans_max};
	char error[EXPORT_ERROR_MAX];
	struct export *export = NULL;

	if (export_open(directory, &shape, &export, error))
		fail_msg("export_open: %s", error);
	return export;
}

static struct ban_source source_of(unsigned number)
{
	return (struct ban_source){{0xff, 0, 0, 0, 10, (uint8_t)(number >> 16),
				    (uint8_t)(number >> 8), (uint8_t)number}};
}

static void put(int map, unsigned number)
{
	const struct ban_source source = source_of(number);
	const struct ban ban = {.until = FUTURE + number,
				.packets = number,
				.level = 2,
				.reason = REASON_smtp_unable_to_relay};

	assert_int_equal(ban_map_put(map, &source, &ban), 0);
}

static bool has(int map, unsigned number)
{
	const struct ban_source source = source_of(number);
	struct ban ban;

	if (ban_map_get(map, &source, &ban))
		return false;
	assert_int_equal(ban.until, FUTURE + number);
	assert_int_equal(ban.packets, number);
	return true;
}

static void test_outlives_its_instance(void **state)
{
	const char *directory = *state;
	struct export *export = open_with_room(directory, 100);
	struct ban_source source = source_of(1);
	char error[EXPORT_ERROR_MAX];
	unsigned kept = 0;
	int map;

	put(export_bans(export), 1);
	put(export_bans(export), 2);
	export_close(export);
	// Without an instance, as `relaygate ban` does.
	map = ban_map_open(directory, error);
	assert_true(map >= 0);
	assert_true(has(map, 1));
	assert_int_equal(ban_map_remove(map, &source), 0);
	assert_int_equal(ban_map_remove(map, &source), -ENOENT);
	put(map, 3);
	export = open_with_room(directory, 100);
	assert_false(has(export_bans(export), 1));
	assert_true(has(export_bans(export), 2) && has(export_bans(export), 3));
	put(map, 4); // it is the same map
	assert_true(has(export_bans(export), 4));
	export_close(export);
	close(map);
	// More room, then less.
	export = open_with_room(directory, 1000);
	for (unsigned i = 2; i <= 4; i++)
		assert_true(has(export_bans(export), i));
	export_close(export);
	export = open_with_room(directory, 2);
	for (unsigned i = 2; i <= 4; i++)
		kept += has(export_bans(export), i);
	assert_int_equal(kept, 2);
	export_close(export);
}

// With less room than there are entries: those that are over take none of it.
static void test_what_is_over_needs_no_room(void **state)
{
	struct export *export = open_with_room(*state, 100);
	const struct ban over = {.until = 1000000000};

	for (unsigned i = 0; i < 90; i++) {
		const struct ban_source source = source_of(i);

		if (i >= 10)
			assert_int_equal(ban_map_put(export_bans(export), &source, &over), 0);
		else
			put(export_bans(export), i);
	}
	export_close(export);
	export = open_with_room(*state, 10);
	for (unsigned i = 0; i < 10; i++)
		assert_true(has(export_bans(export), i));
	export_close(export);
}

static void test_errors(void **state)
{
	const struct ban_source source = source_of(3);
	const struct ban ban = {0};
	char error[EXPORT_ERROR_MAX];
	struct export *export;

	assert_int_equal(ban_map_open(*state, error), -ENOENT);
	assert_non_null(strstr(error, "no gate ran"));
	export = open_with_room(*state, 2);
	put(export_bans(export), 1);
	put(export_bans(export), 2);
	assert_int_equal(ban_map_put(export_bans(export), &source, &ban), -E2BIG);
	export_close(export);
}

static void test_table(void **state)
{
	struct export *export = open_with_room(*state, 16);
	const struct ban_source ipv6 = {{0x20, 0x01, 0x0d, 0xb8, 0, 9, 0, 0}};
	const struct ban by_hand = {.packets = 77};
	char text[2048];

	put(export_bans(export), 5);
	assert_int_equal(ban_map_put(export_bans(export), &ipv6, &by_hand), 0);
	bpffs_read(*state, "bans_table", text, sizeof(text));
	assert_int_equal(bpffs_lines(text), 3);
	assert_non_null(strstr(text, "\n10.0.0.5 "));
	assert_non_null(strstr(text, " 4000000005               5     2  smtp_unable_to_relay\n"));
	assert_non_null(strstr(text, "\n2001:0db8:0009:0000:0000:0000:0000:0000/64 "));
	assert_non_null(strstr(text, " 0              77     0  -\n"));
	export_close(export);
}

// More than a batch; half of it is taken out, and others come, while the walk is on its way.
static void test_walk(void **state)
{
	enum { STAY = 3 * BAN_MAP_BATCH / 2, GO = 6000 };
	struct export *export = open_with_room(*state, 4 * BAN_MAP_BATCH);
	struct ban_map_rows *rows = malloc(sizeof(*rows));
	unsigned char met[STAY] = {0};
	struct ban_map_cursor cursor = {0};
	unsigned round = 0;
	bool end = false;

	for (unsigned i = 0; i < STAY + GO; i++)
		put(export_bans(export), i);
	while (!end) {
		int count = ban_map_read(export_bans(export), &cursor, rows, &end);

		assert_true(count >= 0);
		for (int i = 0; i < count; i++) {
			unsigned number = (unsigned)rows->sources[i].prefix[5] << 16 |
					  (unsigned)rows->sources[i].prefix[6] << 8 |
					  rows->sources[i].prefix[7];

			assert_int_equal(rows->bans[i].packets, number);
			if (number < STAY)
				met[number]++;
		}
		for (unsigned i = 0; i < GO && round == 0; i++) {
			struct ban_source source = source_of(STAY + i);

			assert_int_equal(ban_map_remove(export_bans(export), &source), 0);
			put(export_bans(export), STAY + GO + i);
		}
		round++;
	}
	assert_true(round > 1);
	for (unsigned i = 0; i < STAY; i++)
		assert_int_equal(met[i], 1);
	assert_false(cursor.inside);
	free(rows);
	export_close(export);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_outlives_its_instance, bpffs_setup,
						bpffs_teardown),
		cmocka_unit_test_setup_teardown(test_what_is_over_needs_no_room, bpffs_setup,
						bpffs_teardown),
		cmocka_unit_test_setup_teardown(test_errors, bpffs_setup, bpffs_teardown),
		cmocka_unit_test_setup_teardown(test_table, bpffs_setup, bpffs_teardown),
		cmocka_unit_test_setup_teardown(test_walk, bpffs_setup, bpffs_teardown),
	};

	if (!bpffs_usable())
		return 77;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
