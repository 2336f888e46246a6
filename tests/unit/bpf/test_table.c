// SPDX-License-Identifier: BSD-3-Clause
//
// Rows in plain memory: names find their rows, workers add up, and nothing counted is lost or
// counted twice when rows are folded or imported. Memory is exactly as large as the tables.
#include "bpf/table.h"

#include "bpf/counters.h"
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define WORKERS 3
#define ROWS    4

struct fixture {
	struct table table;
	struct connector_counters *parts, *totals;
};

static int setup(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	fixture->parts = aligned_alloc(64, WORKERS * ROWS * sizeof(*fixture->parts));
	fixture->totals = aligned_alloc(64, ROWS * sizeof(*fixture->totals));
	memset(fixture->parts, 0, WORKERS * ROWS * sizeof(*fixture->parts));
	memset(fixture->totals, 0, ROWS * sizeof(*fixture->totals));
	assert_int_equal(table_init(&fixture->table, &table_connectors, WORKERS, ROWS), 0);
	fixture->table.worker_rows = (unsigned char *)fixture->parts;
	fixture->table.totals = (unsigned char *)fixture->totals;
	*state = fixture;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;

	table_fini(&fixture->table);
	free(fixture->parts);
	free(fixture->totals);
	free(fixture);
	return 0;
}

static int slot(struct fixture *fixture, const char *name)
{
	return table_slot(&fixture->table, name, strlen(name));
}

static struct connector_counters *part(struct fixture *fixture, unsigned worker, int row)
{
	return &fixture->parts[worker * ROWS + (unsigned)row];
}

static void test_names_keep_their_rows(void **state)
{
	struct fixture *fixture = *state;

	assert_int_equal(slot(fixture, "a"), 0);
	assert_int_equal(slot(fixture, "b"), 1);
	assert_int_equal(slot(fixture, "a"), 0);
	assert_int_equal(slot(fixture, "ab"), 2); // no prefix of a name is the name
	assert_int_equal(slot(fixture, "c"), 3);
	assert_int_equal(slot(fixture, "d"), -ENOSPC);
	for (unsigned worker = 0; worker < WORKERS; worker++)
		assert_string_equal(part(fixture, worker, 2)->name, "ab");
}

static void test_released_row_goes_to_a_new_name_emptied(void **state)
{
	struct fixture *fixture = *state;
	int gone;

	slot(fixture, "a");
	gone = slot(fixture, "gone");
	slot(fixture, "c");
	slot(fixture, "d");
	part(fixture, 2, gone)->frames = 9;
	table_release(&fixture->table, (unsigned)gone);
	assert_int_equal(slot(fixture, "gone"), gone); // came back in time, with its counts
	assert_int_equal(part(fixture, 2, gone)->frames, 9);
	table_release(&fixture->table, (unsigned)gone);
	assert_int_equal(slot(fixture, "new"), gone);
	assert_int_equal(part(fixture, 2, gone)->frames, 0);
	assert_string_equal(fixture->totals[gone].name, "new");
}

static void test_first_and_last_counter_are_summed(void **state)
{
	struct fixture *fixture = *state;
	int row = slot(fixture, "a");

	for (unsigned worker = 0; worker < WORKERS; worker++) {
		part(fixture, worker, row)->frames = 1;
		part(fixture, worker, row)->bad_line_endings = 1ULL << 40;
	}
	table_sum(&fixture->table);
	table_sum(&fixture->table); // the sum, not an addition
	assert_int_equal(fixture->totals[row].frames, 3);
	assert_true(fixture->totals[row].bad_line_endings == 3ULL << 40);
	assert_string_equal(fixture->totals[row].name, "a");
}

static void test_fold(void **state)
{
	struct fixture *fixture = *state;
	int row = slot(fixture, "a"), torn = slot(fixture, "torn");

	for (unsigned worker = 0; worker < WORKERS; worker++) {
		part(fixture, worker, row)->messages = 5;
		part(fixture, worker, row)->sessions_open = 2;
	}
	// A former instance died while it renamed this row: worker 2 still has the old name.
	part(fixture, 0, torn)->messages = 1;
	part(fixture, 2, torn)->messages = 77;
	strcpy(part(fixture, 2, torn)->name, "old");
	table_fold(&fixture->table);
	table_sum(&fixture->table);
	assert_int_equal(part(fixture, 0, row)->messages, 15);
	assert_int_equal(part(fixture, 1, row)->messages, 0);
	assert_int_equal(fixture->totals[row].messages, 15);
	assert_int_equal(fixture->totals[row].sessions_open, 0);
	assert_int_equal(fixture->totals[torn].messages, 1);
	assert_string_equal(part(fixture, 2, torn)->name, "torn");
}

static struct connector_counters *former_rows(unsigned count)
{
	struct connector_counters *rows = aligned_alloc(64, count * sizeof(*rows));

	memset(rows, 0, count * sizeof(*rows));
	for (unsigned i = 0; i < count; i++) {
		snprintf(rows[i].name, sizeof(rows[i].name), "r%u", i % 6);
		rows[i].messages = 1 + i;
		rows[i].sessions_open = 1;
	}
	return rows;
}

static void test_import_by_name(void **state)
{
	struct fixture *fixture = *state;
	struct connector_counters *rows = former_rows(12); // two workers with six rows

	table_import(&fixture->table, (unsigned char *)rows, 12);
	table_sum(&fixture->table);
	for (int i = 0; i < ROWS; i++) {
		assert_int_equal(fixture->totals[i].messages, 1 + i + 7 + i);
		assert_int_equal(fixture->totals[i].sessions_open, 0);
	}
	// r5 found no room; it is not lost when the configuration names it, and added once.
	assert_int_equal(slot(fixture, "r0"), 0);
	assert_int_equal(slot(fixture, "r5"), 1);
	assert_int_equal(slot(fixture, "r5"), 1);
	assert_int_equal(part(fixture, 0, 1)->messages, 6 + 12);
	table_release(&fixture->table, 1);
	free(rows);
}

static void test_numbered_rows_take_no_unknown_name(void **state)
{
	struct reason_counter *parts = aligned_alloc(64, 3 * sizeof(*parts));
	struct reason_counter *totals = aligned_alloc(64, 3 * sizeof(*totals));
	struct reason_counter *rows = aligned_alloc(64, 3 * sizeof(*rows));
	struct table table;

	memset(parts, 0, 3 * sizeof(*parts));
	memset(totals, 0, 3 * sizeof(*totals));
	memset(rows, 0, 3 * sizeof(*rows));
	assert_int_equal(table_init(&table, &table_reasons, 1, 3), 0);
	table.worker_rows = (unsigned char *)parts;
	table.totals = (unsigned char *)totals;
	table_name(&table, 1, "first");
	table_name(&table, 2, "second");
	strcpy(rows[1].name, "second");
	rows[1].count = 2;
	strcpy(rows[2].name, "removed");
	rows[2].count = 3;
	table_import(&table, (unsigned char *)rows, 3);
	table_sum(&table);
	assert_int_equal(totals[0].count, 0);
	assert_int_equal(totals[1].count, 0);
	assert_int_equal(totals[2].count, 2);
	table_fini(&table);
	free(parts);
	free(totals);
	free(rows);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_names_keep_their_rows),
		TEST(test_released_row_goes_to_a_new_name_emptied),
		TEST(test_first_and_last_counter_are_summed),
		TEST(test_fold),
		TEST(test_import_by_name),
		cmocka_unit_test(test_numbered_rows_take_no_unknown_name),
	};

	return cmocka_run_group_tests_name("table", tests, NULL, NULL);
}
