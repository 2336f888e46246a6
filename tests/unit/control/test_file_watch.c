// SPDX-License-Identifier: BSD-3-Clause
//
// Changes of a file as editors and deployment tools make them: each counts once, and only when the
// file has been left alone. Time is the test's.
#include "control/file_watch.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[64], path[96], other[96];
static struct file_watch watch;
static struct stat taken;
static uint64_t now_ms;

static void write_file(const char *name, const char *text)
{
	FILE *file = fopen(name, "w");

	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static int setup(void **state)
{
	strcpy(folder, "/tmp/file-watch-XXXXXX");
	if (!mkdtemp(folder))
		return -1;
	snprintf(path, sizeof(path), "%s/gate.ini", folder);
	snprintf(other, sizeof(other), "%s/gate.ini.new", folder);
	write_file(path, "one");
	now_ms = 1000000;
	return stat(path, &taken) ? -1 : file_watch_open(&watch, path, &taken);
}

static int teardown(void **state)
{
	file_watch_close(&watch);
	unlink(path);
	unlink(other);
	return rmdir(folder);
}

static bool soon(void)
{
	return file_watch_changed(&watch, now_ms += 100);
}

static unsigned changes_later(void)
{
	unsigned count = 0;

	for (unsigned i = 0; i < 20; i++)
		count += soon();
	return count;
}

static void test_nothing_happens(void **state)
{
	assert_int_equal(changes_later(), 0);
	write_file(other, "a neighbour");
	assert_int_equal(changes_later(), 0);
}

static void test_written_in_place(void **state)
{
	write_file(path, "another");
	assert_false(soon());
	assert_int_equal(changes_later(), 1);
}

static void test_renamed_over(void **state)
{
	write_file(other, "another");
	assert_int_equal(rename(other, path), 0);
	assert_int_equal(changes_later(), 1);
}

static void test_written_piece_by_piece(void **state)
{
	for (unsigned i = 0; i < 30; i++) {
		int descriptor = open(path, O_WRONLY | O_APPEND);

		assert_int_equal(write(descriptor, "more", 4), 4);
		close(descriptor);
		assert_false(soon());
	}
	assert_int_equal(changes_later(), 1);
}

static void test_gone_for_a_while(void **state)
{
	unlink(path);
	assert_int_equal(changes_later(), 0);
	write_file(path, "again, and longer");
	assert_int_equal(changes_later(), 1);
}

// While it was read and what was read was put to work: between the look and the watch.
static void test_changed_before_the_watch(void **state)
{
	file_watch_close(&watch);
	write_file(path, "another");
	assert_int_equal(file_watch_open(&watch, path, &taken), 0);
	assert_false(soon());
	write_file(path, "and another one");
	assert_int_equal(changes_later(), 1);
	assert_int_equal(changes_later(), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_nothing_happens),  TEST(test_written_in_place),
		TEST(test_renamed_over),     TEST(test_written_piece_by_piece),
		TEST(test_gone_for_a_while), TEST(test_changed_before_the_watch),
	};

	return cmocka_run_group_tests_name("file_watch", tests, NULL, NULL);
}
