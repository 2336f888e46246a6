// SPDX-License-Identifier: BSD-3-Clause
//
// For tests that pin: a directory of the test's own in bpffs, made anew for each test and removed
// after it, and reading the tables that the pins print.
#ifndef RELAYGATE_TESTS_UNIT_BPF_BPFFS_H
#define RELAYGATE_TESTS_UNIT_BPF_BPFFS_H

#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cmocka.h>

#define BPFFS_MAGIC 0xcafe4a11

// Root, with a bpffs at /sys/fs/bpf (mounted if need be); false: skip the test.
static inline bool bpffs_usable(void)
{
	struct statfs file_system;

	if (geteuid() != 0)
		return false;
	if (statfs("/sys/fs/bpf", &file_system) == 0 && file_system.f_type == BPFFS_MAGIC)
		return true;
	return mount("bpf", "/sys/fs/bpf", "bpf", 0, NULL) == 0;
}

// cmocka's setup: *state is the path of a directory that does not exist yet.
static inline int bpffs_setup(void **state)
{
	char *directory = malloc(64);

	if (!directory)
		return -1;
	snprintf(directory, 64, "/sys/fs/bpf/rgtest-%d", (int)getpid());
	*state = directory;
	return 0;
}

// cmocka's teardown: removes the directory with all its pins.
static inline int bpffs_teardown(void **state)
{
	char path[512];
	DIR *stream = opendir(*state);
	struct dirent *entry;

	while (stream && (entry = readdir(stream))) {
		snprintf(path, sizeof(path), "%s/%s", (char *)*state, entry->d_name);
		unlink(path);
	}
	if (stream)
		closedir(stream);
	rmdir(*state);
	free(*state);
	return 0;
}

// The whole text of directory/pin, NUL-terminated; fails the test when it does not fit.
static inline void bpffs_read(const char *directory, const char *pin, char *text, size_t size)
{
	char path[512];
	size_t length = 0;
	ssize_t got;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", directory, pin);
	fd = open(path, O_RDONLY);
	assert_true(fd >= 0);
	while ((got = read(fd, text + length, size - length - 1)) > 0)
		length += (size_t)got;
	assert_int_equal(got, 0);
	text[length] = '\0';
	close(fd);
}

static inline unsigned bpffs_lines(const char *text)
{
	unsigned lines = 0;

	for (; *text; text++)
		lines += *text == '\n';
	return lines;
}

// The number in the row that begins with name, under the column's title: at the same distance
// from the line's start, as a person reads a table.
static inline bool bpffs_cell(const char *text, const char *name, const char *column,
			      unsigned long long *number)
{
	char title[128], row_start[128];
	const char *header_end = strchr(text, '\n'), *place, *row, *end;

	snprintf(title, sizeof(title), " %s", column);
	snprintf(row_start, sizeof(row_start), "\n%s ", name);
	row = strstr(text, row_start);
	if (!header_end || !row)
		return false;
	row++;
	// The title as a whole word: "messages" is not "messages_refused".
	for (place = strstr(text, title); place && place < header_end;
	     place = strstr(place + 1, title)) {
		char after = place[strlen(title)];

		if (after == ' ' || after == '\n')
			break;
	}
	if (!place || place >= header_end)
		return false;
	end = row + (place + strlen(title) - text);
	while (end > row && end[-1] != ' ')
		end--;
	*number = strtoull(end, NULL, 10);
	return true;
}

#endif
