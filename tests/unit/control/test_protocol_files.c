// SPDX-License-Identifier: BSD-3-Clause
//
// The protocol log's files in a directory of the test's own: names, days, sizes, what is removed
// and what is left alone, and a file system that is full (a tmpfs in a mount namespace).
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "control/protocol_files.h"

#define DAY_US  (86400 * 1000000ull)
#define NOON_US 1790078400000000ull // 2026-09-22T12:00:00Z
#define LINE    "2026-09-22T12:00:00.000Z,one of them\r\n"

static const char header[] = "#Software: relaygate\r\n"
			     "#Version: 1.2\r\n"
			     "#Log-Type: SMTP Receive Protocol Log\r\n"
			     "#Date: 2026-09-22T12:00:00.000Z\r\n"
			     "#Fields: date-time,connector-id,session-id,sequence-number,"
			     "local-endpoint,remote-endpoint,event,data,context\r\n";

static char folder[64], path[80];
static char content[1 << 20];

static int setup(void **state)
{
	strcpy(folder, "/tmp/protocol-files-XXXXXX");
	if (!mkdtemp(folder))
		return -1;
	snprintf(path, sizeof(path), "%s/log", folder);
	return 0;
}

static int teardown(void **state)
{
	char command[160];

	snprintf(command, sizeof(command), "rm -r %s", folder);
	return system(command);
}

static struct protocol_files *open_files(uint64_t file, uint64_t directory, uint64_t age_us)
{
	struct protocol_files_settings settings = {path, "1.2", file, directory, age_us};
	char error[PROTOCOL_FILES_ERROR_MAX];
	struct protocol_files *files = protocol_files_open(&settings, error);

	assert_non_null(files);
	return files;
}

static void add(struct protocol_files *files, uint64_t wall_us, const char *line)
{
	protocol_files_add(files, wall_us, line, strlen(line));
}

static char *in_folder(const char *name)
{
	static char text[300];

	snprintf(text, sizeof(text), "%s/%s", path, name);
	return text;
}

static const char *read_file(const char *name)
{
	FILE *file = fopen(in_folder(name), "r");

	assert_non_null(file);
	content[fread(content, 1, sizeof(content) - 1, file)] = '\0';
	fclose(file);
	return content;
}

static void make_file(const char *name, size_t size, time_t written)
{
	int file = open(in_folder(name), O_WRONLY | O_CREAT, 0600);
	struct timespec times[2] = {{written, 0}, {written, 0}};

	assert_int_equal(ftruncate(file, (off_t)size), 0);
	assert_int_equal(futimens(file, times), 0);
	close(file);
}

static int exists(const char *name)
{
	return access(in_folder(name), F_OK) == 0;
}

static uint64_t lost(const struct protocol_files *files)
{
	int error;

	return protocol_files_lost(files, &error);
}

static void test_header_and_lines(void **state)
{
	struct protocol_files *files = open_files(65536, 1 << 20, 0);
	struct stat status;

	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_mode & 0777, 0750);
	assert_false(exists("RECV20260922-1.log")); // not before there is a line
	add(files, NOON_US, LINE);
	add(files, NOON_US + 1, "second\r\n");
	protocol_files_flush(files, NOON_US);
	read_file("RECV20260922-1.log");
	assert_memory_equal(content, header, strlen(header));
	assert_string_equal(content + strlen(header), LINE "second\r\n");
	add(files, NOON_US + 2, "third\r\n");
	protocol_files_close(files);
	assert_string_equal(read_file("RECV20260922-1.log") + strlen(header),
			    LINE "second\r\nthird\r\n");
}

static void test_a_file_a_day_and_a_start(void **state)
{
	struct protocol_files *files = open_files(65536, 1 << 20, 0);

	add(files, NOON_US, LINE);
	add(files, NOON_US + DAY_US, "tomorrow\r\n");
	add(files, NOON_US, "late\r\n"); // of another worker: no way back
	protocol_files_close(files);
	assert_string_equal(read_file("RECV20260922-1.log") + strlen(header), LINE);
	assert_string_equal(read_file("RECV20260923-1.log") + strlen(header),
			    "tomorrow\r\nlate\r\n");
	files = open_files(65536, 1 << 20, 0);
	add(files, NOON_US, "again\r\n");
	protocol_files_close(files);
	assert_string_equal(read_file("RECV20260922-2.log") + strlen(header), "again\r\n");
}

// Every line once, in files none of which is above its limit, nor all of them above theirs.
static void test_sizes(void **state)
{
	struct protocol_files *files = open_files(4096, 5 * 4096, 0);
	char line[128], name[64];
	struct stat status;
	unsigned number, count = 0, expected = 0;
	uint64_t total = 0;

	for (number = 0; number < 1000; number++) {
		snprintf(line, sizeof(line), "%04u and what else a line of the log may say\r\n",
			 number);
		add(files, NOON_US, line);
		if (number % 50 == 0)
			protocol_files_flush(files, NOON_US);
	}
	protocol_files_close(files);
	for (number = 1; number < 100; number++) {
		snprintf(name, sizeof(name), "RECV20260922-%u.log", number);
		if (!exists(name)) {
			assert_int_equal(count, 0); // only the oldest ones went
			continue;
		}
		assert_int_equal(stat(in_folder(name), &status), 0);
		assert_in_range(status.st_size, 1, 4096);
		total += (uint64_t)status.st_size;
		count++;
		for (char *at = (char *)read_file(name) + strlen(header); *at;
		     at = strchr(at, '\n') + 1) {
			if (expected)
				assert_int_equal(atoi(at), expected);
			expected = (unsigned)atoi(at) + 1;
		}
		if (expected == 1000)
			break;
	}
	assert_int_equal(expected, 1000);
	assert_in_range(count, 4, 5);
	assert_true(total <= 5 * 4096);
	assert_int_equal(number > 10, 1);
}

static void test_age_and_strangers(void **state)
{
	const time_t now = NOON_US / 1000000;
	struct protocol_files *files = open_files(65536, 1 << 20, 30 * DAY_US);

	make_file("RECV20260801-1.log", 10, now - 31 * 86400);
	make_file("RECV20260825-7.log", 10, now - 29 * 86400);
	make_file("SEND20260801-1.log", 10, now - 31 * 86400);
	make_file("RECV20260801-1.log.gz", 10, now - 31 * 86400);
	assert_int_equal(mkdir(in_folder("RECV20260801-2.log"), 0700), 0);
	protocol_files_flush(files, NOON_US); // with no line to write either
	assert_false(exists("RECV20260801-1.log"));
	assert_true(exists("RECV20260825-7.log"));
	assert_true(exists("SEND20260801-1.log"));
	assert_true(exists("RECV20260801-1.log.gz"));
	assert_true(exists("RECV20260801-2.log"));
	protocol_files_flush(files, NOON_US + 2 * DAY_US);
	assert_false(exists("RECV20260825-7.log"));
	protocol_files_close(files);
}

static void test_removed_under_us(void **state)
{
	struct protocol_files *files = open_files(65536, 1 << 20, 0);

	add(files, NOON_US, LINE);
	protocol_files_flush(files, NOON_US);
	assert_int_equal(unlink(in_folder("RECV20260922-1.log")), 0);
	add(files, NOON_US, "after\r\n");
	protocol_files_close(files);
	assert_string_equal(read_file("RECV20260922-1.log") + strlen(header), "after\r\n");
}

static void test_no_directory(void **state)
{
	struct protocol_files_settings settings = {"/nowhere/at/all", "1.2", 4096, 4096, 0};
	char error[PROTOCOL_FILES_ERROR_MAX];

	assert_null(protocol_files_open(&settings, error));
	assert_non_null(strstr(error, "ReceiveProtocolLogPath: /nowhere/at/all: No such file"));
}

// The directory goes while we run: where nobody can make it again lines are lost and counted. Once
// there is one at its place, they are written again.
static void test_directory_gone(void **state)
{
	struct protocol_files *files = open_files(65536, 1 << 20, 0);
	int error;

	assert_int_equal(rmdir(path), 0);
	assert_int_equal(rmdir(folder), 0);
	add(files, NOON_US, LINE);
	add(files, NOON_US, LINE);
	protocol_files_flush(files, NOON_US);
	assert_int_equal(protocol_files_lost(files, &error), 2);
	assert_int_equal(error, ENOENT);
	assert_int_equal(mkdir(folder, 0700), 0);
	assert_int_equal(mkdir(path, 0700), 0);
	add(files, NOON_US, "again\r\n");
	protocol_files_flush(files, NOON_US);
	assert_int_equal(lost(files), 2);
	assert_string_equal(read_file("RECV20260922-1.log") + strlen(header), "again\r\n");
	protocol_files_close(files);
}

// With the file that is written in it, and all that is lost is what was there.
static void test_directory_removed_with_its_file(void **state)
{
	struct protocol_files *files = open_files(65536, 1 << 20, 0);

	add(files, NOON_US, LINE);
	protocol_files_flush(files, NOON_US);
	assert_int_equal(unlink(in_folder("RECV20260922-1.log")), 0);
	assert_int_equal(rmdir(path), 0);
	add(files, NOON_US, "after\r\n");
	protocol_files_flush(files, NOON_US);
	assert_int_equal(lost(files), 0);
	assert_string_equal(read_file("RECV20260922-1.log") + strlen(header), "after\r\n");
	protocol_files_close(files);
}

// ---- Full -------------------------------------------------------------------------------------

// Mounts that nobody else sees, whoever runs the test.
static void own_mounts(void)
{
	char map[32];
	int length = snprintf(map, sizeof(map), "0 %u 1", geteuid()), file;

	if (!unshare(CLONE_NEWNS))
		return;
	assert_int_equal(unshare(CLONE_NEWUSER | CLONE_NEWNS), 0);
	file = open("/proc/self/uid_map", O_WRONLY);
	assert_int_equal(write(file, map, (size_t)length), length);
	close(file);
}

static void test_full_file_system(void **state)
{
	struct protocol_files *files;
	char line[512];
	unsigned added = 0;
	uint64_t lines = 0;
	int error;

	own_mounts();
	mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(mount("tmpfs", path, "tmpfs", 0, "size=64k"), 0);
	memset(line, 'x', sizeof(line));
	memcpy(line + 300, "\r\n", 3);
	files = open_files(1 << 20, 1 << 24, 0);
	make_file("ballast", 0, 0);
	while (lost(files) == 0 && added < 1000) {
		for (unsigned i = 0; i < 10; i++, added++)
			add(files, NOON_US, line);
		protocol_files_flush(files, NOON_US);
	}
	protocol_files_lost(files, &error);
	assert_int_equal(error, ENOSPC);
	// Written lines are whole, and those that are not there were counted.
	read_file("RECV20260922-1.log");
	for (const char *at = content + strlen(header); *at; at += 302, lines++) {
		assert_true(strlen(at) >= 302);
		assert_memory_equal(at + 300, "\r\n", 2);
	}
	assert_int_equal(lines + lost(files), added);
	assert_in_range(lost(files), 1, 10);
	// With room again it goes on in the same file.
	assert_int_equal(mount("tmpfs", path, "tmpfs", MS_REMOUNT, "size=128k"), 0);
	added = (unsigned)lost(files);
	add(files, NOON_US, "after\r\n");
	protocol_files_flush(files, NOON_US);
	assert_int_equal(lost(files), added);
	read_file("RECV20260922-1.log");
	assert_string_equal(content + strlen(content) - 7, "after\r\n");
	protocol_files_close(files);
	assert_int_equal(umount(path), 0);
}

int main(void)
{
#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
		IN_FOLDER(test_header_and_lines),
		IN_FOLDER(test_a_file_a_day_and_a_start),
		IN_FOLDER(test_sizes),
		IN_FOLDER(test_age_and_strangers),
		IN_FOLDER(test_removed_under_us),
		IN_FOLDER(test_no_directory),
		IN_FOLDER(test_directory_gone),
		IN_FOLDER(test_directory_removed_with_its_file),
		IN_FOLDER(test_full_file_system),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
