// SPDX-License-Identifier: BSD-3-Clause
//
// Orders of `relaygate capture` over real pins: one process at a time, also when several begin at
// once, and a new order is another one than any before, however its owner ended. Needs root and a
// kernel with BPF; skipped (exit code 77) otherwise.
#include "bpf/capture_reader.h"
#include "tests/unit/bpf/bpffs.h"

#include <errno.h>
#include <sys/wait.h>

#define TOOLS  4
#define ROUNDS 50

static const struct export_shape shape = {
	.workers = 1, .connectors_max = 4, .ports_max = 2, .log_records = 8};
static const struct capture_order wanted = {.snap = 64};

static struct export *open_gate(const char *directory)
{
	char error[EXPORT_ERROR_MAX];
	struct export *export = NULL;

	assert_int_equal(export_open(directory, &shape, &export, error), 0);
	return export;
}

// The gate only reads it.
static struct capture_order *order_of(struct export *export)
{
	return (struct capture_order *)(uintptr_t)export_worker(export, 0).capture;
}

static int begin(const char *directory, struct capture_reader **reader)
{
	char error[EXPORT_ERROR_MAX];

	assert_int_equal(capture_reader_open(directory, reader, error), 0);
	return capture_reader_begin(*reader, &wanted, error);
}

static void test_one_at_a_time(void **state)
{
	struct export *export = open_gate(*state);
	struct capture_reader *first, *second;
	pid_t child;
	int status;

	assert_int_equal(begin(*state, &first), 0);
	assert_true(capture_reader_renew(first));
	child = fork();
	if (child == 0)
		_exit(begin(*state, &second) == -EBUSY ? 0 : 1);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	capture_reader_close(first);
	// It has ended in good order: the next one need not wait.
	child = fork();
	if (child == 0)
		_exit(begin(*state, &second) == 0 ? 0 : 1);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	export_close(export);
}

// Each waits for the word, tries, says what came of it, and stays until all have tried.
static void try_at_once(const char *directory, int word, int said, int done)
{
	struct capture_reader *reader;
	char error[EXPORT_ERROR_MAX], result, byte;

	if (capture_reader_open(directory, &reader, error) || write(said, "r", 1) != 1 ||
	    read(word, &byte, 1) != 1)
		_exit(1);
	result = capture_reader_begin(reader, &wanted, error) == 0 ? 'y' : 'n';
	if (write(said, &result, 1) != 1)
		_exit(1);
	if (read(done, &byte, 1) != 0) // until the other end is closed
		_exit(1);
	_exit(0);
}

static unsigned count_said(int said, char what)
{
	unsigned count = 0;
	char byte;

	for (unsigned i = 0; i < TOOLS; i++) {
		assert_int_equal(read(said, &byte, 1), 1);
		count += byte == what;
	}
	return count;
}

static void test_several_at_once(void **state)
{
	struct export *export = open_gate(*state);
	struct capture_order *order = order_of(export);

	for (unsigned round = 0; round < ROUNDS; round++) {
		int word[2], said[2], done[2], status;

		order->owner = 0;
		order->lease_us = 0;
		assert_true(pipe(word) == 0 && pipe(said) == 0 && pipe(done) == 0);
		for (unsigned i = 0; i < TOOLS; i++) {
			if (fork() == 0) {
				close(done[1]);
				try_at_once(*state, word[0], said[1], done[0]);
			}
		}
		assert_int_equal(count_said(said[0], 'r'), TOOLS);
		assert_int_equal(write(word[1], "wwww", TOOLS), TOOLS);
		assert_int_equal(count_said(said[0], 'y'), 1);
		close(done[1]);
		for (unsigned i = 0; i < TOOLS; i++)
			assert_true(wait(&status) > 0 && status == 0);
		for (unsigned i = 0; i < 2; i++) {
			close(word[i]);
			close(said[i]);
		}
		close(done[0]);
	}
	export_close(export);
}

// Killed between the two stores of the serial: workers still have its order, or one before.
static void test_after_one_that_was_killed(void **state)
{
	struct export *export = open_gate(*state);
	struct capture_order *order = order_of(export);
	struct capture_reader *reader;
	uint64_t former;

	assert_int_equal(begin(*state, &reader), 0);
	former = order->serial;
	capture_reader_close(reader);
	order->serial = 0;
	assert_int_equal(begin(*state, &reader), 0);
	assert_true(order->serial != 0 && order->serial != former);
	capture_reader_close(reader);
	export_close(export);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, bpffs_setup, bpffs_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_one_at_a_time),
		TEST(test_several_at_once),
		TEST(test_after_one_that_was_killed),
	};

	if (!bpffs_usable())
		return 77;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
