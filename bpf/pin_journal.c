// SPDX-License-Identifier: BSD-3-Clause
//
// See pin_journal.h. A second link keeps an object while its first name is given to another one,
// and a rename gives the name back: a reader never meets a gap.
#include "bpf/pin_journal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FORMER "_former"

struct pin_journal {
	int directory;
	char **names; // that were there
	size_t count;
};

static bool is_former(const char *name)
{
	size_t length = strlen(name), suffix = strlen(FORMER);

	return length > suffix && strcmp(name + length - suffix, FORMER) == 0;
}

static bool former_of(const char *name, char former[NAME_MAX + 1])
{
	return snprintf(former, NAME_MAX + 1, "%s" FORMER, name) <= NAME_MAX;
}

static void free_names(char **names, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free(names[i]);
	free(names);
}

// All names in the directory. 0 or -errno; the caller frees them in both cases.
static int list_names(int directory, char ***names, size_t *count)
{
	int copy = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *stream = copy < 0 ? NULL : fdopendir(copy);
	struct dirent *entry;
	int result = stream ? 0 : -errno;

	*names = NULL;
	*count = 0;
	if (!stream && copy >= 0)
		close(copy);
	while (stream && result == 0 && (entry = readdir(stream))) {
		char **longer;

		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		longer = reallocarray(*names, *count + 1, sizeof(**names));
		if (longer)
			*names = longer;
		if (!longer || !(longer[*count] = strdup(entry->d_name)))
			result = -ENOMEM;
		else
			++*count;
	}
	if (stream)
		closedir(stream);
	return result;
}

int pin_journal_open(int directory, struct pin_journal **out)
{
	struct pin_journal *journal = calloc(1, sizeof(*journal));
	size_t kept = 0;
	int result;

	if (!journal)
		return -ENOMEM;
	journal->directory = directory;
	result = list_names(directory, &journal->names, &journal->count);
	if (result) {
		free_names(journal->names, journal->count);
		free(journal);
		return result;
	}
	for (size_t i = 0; i < journal->count; i++) {
		char *name = journal->names[i];

		if (is_former(name)) {
			unlinkat(directory, name, 0);
			free(name);
		} else {
			journal->names[kept++] = name;
		}
	}
	journal->count = kept;
	*out = journal;
	return 0;
}

int pin_journal_keep(struct pin_journal *journal, const char *name)
{
	char former[NAME_MAX + 1];

	if (!former_of(name, former))
		return -ENAMETOOLONG;
	if (linkat(journal->directory, name, journal->directory, former, 0) == 0)
		return 0;
	// Replaced a second time: the first one counts.
	return errno == ENOENT || errno == EEXIST ? 0 : -errno;
}

static void close_journal(struct pin_journal *journal)
{
	free_names(journal->names, journal->count);
	free(journal);
}

void pin_journal_settle(struct pin_journal *journal)
{
	char former[NAME_MAX + 1];

	if (!journal)
		return;
	for (size_t i = 0; i < journal->count; i++)
		if (former_of(journal->names[i], former))
			unlinkat(journal->directory, former, 0);
	close_journal(journal);
}

static bool was_there(const struct pin_journal *journal, const char *name)
{
	for (size_t i = 0; i < journal->count; i++)
		if (strcmp(journal->names[i], name) == 0)
			return true;
	return false;
}

void pin_journal_undo(struct pin_journal *journal)
{
	char former[NAME_MAX + 1], **names;
	size_t count;

	if (!journal)
		return;
	for (size_t i = 0; i < journal->count; i++)
		if (former_of(journal->names[i], former))
			renameat(journal->directory, former, journal->directory, journal->names[i]);
	list_names(journal->directory, &names, &count);
	for (size_t i = 0; i < count; i++)
		if (!was_there(journal, names[i]))
			unlinkat(journal->directory, names[i], 0);
	free_names(names, count);
	close_journal(journal);
}
