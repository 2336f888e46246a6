// SPDX-License-Identifier: BSD-3-Clause
//
// The log as `relaygate log` sees it: whole records in order, while a gate writes, after it died
// and after a restart. The writer here follows the protocol of counters.h.
#include "bpf/log_reader.h"
#include "tests/unit/bpf/bpffs.h"

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>

#define RECORDS 8

static const struct export_shape shape = {
	.workers = 3, .connectors_max = 2, .ports_max = 1, .log_records = RECORDS};

static struct export *open_export(const char *directory, const struct export_shape *wanted)
{
	char error[EXPORT_ERROR_MAX];
	struct export *export = NULL;

	if (export_open(directory, wanted, &export, error))
		fail_msg("%s", error);
	return export;
}

static struct log_reader *open_log(const char *directory)
{
	char error[EXPORT_ERROR_MAX];
	struct log_reader *log = NULL;

	if (export_log_open(directory, &log, error))
		fail_msg("%s", error);
	return log;
}

static void start_record(struct log_record *record)
{
	__atomic_store_n(&record->sequence, 0, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_RELEASE);
}

static void write_record(struct export *export, unsigned worker, uint64_t sequence, uint64_t wall)
{
	struct log_record *record = &export_worker(export, worker).log[sequence % RECORDS];

	start_record(record);
	record->wall_us = wall;
	snprintf(record->detail, sizeof(record->detail), "%u/%llu", worker,
		 (unsigned long long)sequence);
	__atomic_store_n(&record->sequence, sequence, __ATOMIC_RELEASE);
}

static void expect(struct log_reader *log, const char *detail)
{
	struct log_record record;
	unsigned worker;

	if (!export_log_next(log, &record, &worker))
		fail_msg("no record, expected %s", detail);
	assert_string_equal(record.detail, detail);
	assert_int_equal(worker, detail[0] - '0');
}

static void expect_none(struct log_reader *log)
{
	struct log_record record;

	assert_false(export_log_next(log, &record, NULL));
}

static void test_workers_are_merged_by_time(void **state)
{
	struct export *export = open_export(*state, &shape);
	struct log_reader *log = open_log(*state);

	expect_none(log);
	write_record(export, 0, 1, 100);
	write_record(export, 0, 2, 400);
	write_record(export, 2, 1, 50);
	write_record(export, 1, 1, 300);
	write_record(export, 2, 2, 200);
	expect(log, "2/1");
	expect(log, "0/1");
	expect(log, "2/2");
	expect(log, "1/1");
	expect(log, "0/2");
	expect_none(log);
	write_record(export, 1, 2, 350); // late: still shown
	expect(log, "1/2");
	expect_none(log);
	assert_int_equal(export_log_lost(log), 0);
	export_log_close(log);
	export_close(export);
}

static void test_overwritten_records_are_counted(void **state)
{
	struct export *export = open_export(*state, &shape);
	struct log_reader *log = open_log(*state);
	uint64_t sequence;

	write_record(export, 1, 1, 1);
	expect(log, "1/1");
	for (sequence = 2; sequence <= 2 + 2 * RECORDS; sequence++)
		write_record(export, 1, sequence, sequence);
	expect(log, "1/11"); // 2..10 are gone, 11..18 are the ring
	assert_int_equal(export_log_lost(log), 9);
	export_log_close(log);
	// A reader that comes now starts at the oldest there is, and missed nothing it was
	// promised.
	log = open_log(*state);
	expect(log, "1/11");
	assert_int_equal(export_log_lost(log), 0);
	export_log_skip(log);
	expect_none(log);
	write_record(export, 1, sequence, sequence);
	expect(log, "1/19");
	export_log_close(log);
	export_close(export);
}

static void test_half_written_record_is_not_shown(void **state)
{
	struct export *export = open_export(*state, &shape);
	struct log_reader *log = open_log(*state);
	struct log_record *half;

	write_record(export, 0, 1, 1);
	half = &export_worker(export, 0).log[2];
	start_record(half);
	half->wall_us = 2;
	expect(log, "0/1");
	expect_none(log);
	export_log_close(log);
	export_close(export);
	// The writer died there. Its successor goes on with that number.
	export = open_export(*state, &shape);
	log = open_log(*state);
	expect(log, "0/1");
	expect_none(log);
	assert_int_equal(export_worker(export, 0).log_sequence, 1);
	write_record(export, 0, 2, 3);
	expect(log, "0/2");
	export_log_close(log);
	export_close(export);
}

// The record that a dying writer began took the place of the oldest one.
static void test_half_written_record_in_a_full_ring(void **state)
{
	struct export *export = open_export(*state, &shape);
	struct log_reader *log;
	uint64_t sequence;

	for (sequence = 1; sequence <= RECORDS; sequence++)
		write_record(export, 0, sequence, sequence);
	start_record(&export_worker(export, 0).log[sequence % RECORDS]);
	log = open_log(*state);
	expect(log, "0/2");
	for (unsigned i = 3; i <= RECORDS; i++)
		expect(log, (char[]){'0', '/', (char)('0' + i), 0});
	expect_none(log);
	write_record(export, 0, sequence, sequence);
	expect(log, "0/9");
	export_log_close(log);
	export_close(export);
}

static void test_log_outlives_the_gate(void **state)
{
	struct log_reader *log;
	struct export *export;
	int status;
	pid_t child = fork();

	if (child == 0) {
		export = open_export(*state, &shape);
		for (unsigned i = 1; i <= 3 * RECORDS; i++)
			write_record(export, 2, i, i);
		kill(getpid(), SIGKILL);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status));
	log = open_log(*state);
	expect(log, "2/17");
	// A restart with the same shape goes on in the same rings: a follower sees it.
	export = open_export(*state, &shape);
	assert_int_equal(export_worker(export, 2).log_sequence, 3 * RECORDS);
	assert_int_equal(export_worker(export, 1).log_sequence, 0);
	assert_false(export_log_replaced(log));
	export_log_skip(log);
	write_record(export, 2, 3 * RECORDS + 1, 1000);
	expect(log, "2/25");
	export_close(export);
	export_log_close(log);
}

static void test_follower_learns_of_a_new_map(void **state)
{
	struct export_shape wider = shape;
	struct export *export = open_export(*state, &shape);
	struct log_reader *log = open_log(*state);
	char error[EXPORT_ERROR_MAX];

	export_close(export);
	assert_false(export_log_replaced(log));
	wider.log_records = 2 * RECORDS;
	export = open_export(*state, &wider);
	assert_true(export_log_replaced(log));
	export_close(export);
	assert_int_equal(export_remove(*state, error), 0);
	assert_true(export_log_replaced(log));
	export_log_close(log);
}

// As many records in all, but other rings: the old ones would stand in wrong places.
static void test_other_rings_start_empty(void **state)
{
	static const struct export_shape halves = {
		.workers = 6, .connectors_max = 2, .ports_max = 1, .log_records = RECORDS / 2};
	struct export *export = open_export(*state, &shape);
	struct log_reader *log;

	write_record(export, 1, 1, 1);
	export_close(export);
	export = open_export(*state, &halves);
	log = open_log(*state);
	expect_none(log);
	export_log_close(log);
	export_close(export);
}

static void test_no_log(void **state)
{
	char error[EXPORT_ERROR_MAX];
	struct log_reader *log;

	assert_int_equal(export_log_open(*state, &log, error), -ENOENT);
	assert_non_null(strstr(error, "was the gate ever started?"));
}

// One process writes at full speed while another reads: every record that comes out is whole.
static void test_reader_beside_a_fast_writer(void **state)
{
	struct export *export = open_export(*state, &shape);
	struct log_reader *log = open_log(*state);
	struct log_record record;
	uint64_t seen = 0, last = 0;
	int status;
	pid_t child = fork();

	if (child == 0) {
		struct log_record *ring = export_worker(export, 0).log;

		for (uint64_t sequence = 1; sequence <= 200000; sequence++) {
			struct log_record *target = &ring[sequence % RECORDS];

			start_record(target);
			target->wall_us = sequence;
			memset(target->detail, (int)(sequence % 251), sizeof(target->detail));
			__atomic_store_n(&target->sequence, sequence, __ATOMIC_RELEASE);
		}
		_exit(0);
	}
	while (last < 200000) {
		if (!export_log_next(log, &record, NULL))
			continue;
		assert_true(record.sequence > last);
		last = record.sequence;
		seen++;
		assert_int_equal(record.wall_us, last);
		for (unsigned i = 0; i < sizeof(record.detail); i++)
			assert_int_equal((unsigned char)record.detail[i], last % 251);
	}
	assert_int_equal(seen + export_log_lost(log), 200000);
	assert_int_equal(waitpid(child, &status, 0), child);
	export_log_close(log);
	export_close(export);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, bpffs_setup, bpffs_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_workers_are_merged_by_time),
		TEST(test_overwritten_records_are_counted),
		TEST(test_half_written_record_is_not_shown),
		TEST(test_half_written_record_in_a_full_ring),
		TEST(test_log_outlives_the_gate),
		TEST(test_follower_learns_of_a_new_map),
		TEST(test_other_rings_start_empty),
		TEST(test_no_log),
		TEST(test_reader_beside_a_fast_writer),
	};

	if (!bpffs_usable())
		return 77;
	return cmocka_run_group_tests_name("log_reader", tests, NULL, NULL);
}
