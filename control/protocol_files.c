// SPDX-License-Identifier: BSD-3-Clause
//
// See protocol_files.h. Room is made before a file is begun, for all that it may become: so the
// directory's limit holds without looking again. A start always begins a new file: what an end
// without warning left half written stays as it is.

#include "control/protocol_files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define BUFFER_BYTES (64 * 1024)
#define HOUR_US      (3600 * 1000000ull)
#define NAME_BYTES   32

struct protocol_files {
	struct protocol_files_settings settings;
	bool made; // the directory, by us
	int directory;
	int file; // -1: none is open
	char name[NAME_BYTES];
	unsigned day;      // of the file: yyyymmdd
	uint64_t size;     // of it, header and what is held included
	bool begun;        // it has a line
	bool failed;       // no file can be made: not tried again before the next flush
	uint64_t swept_us; // when files were last looked at for their age
	uint64_t lost;
	int error; // of the last line lost
	size_t held;
	char buffer[BUFFER_BYTES];
};

// One of our files in the directory.
struct found {
	unsigned day, number;
	uint64_t size;
	uint64_t written_us;
	char name[NAME_BYTES];
};

struct listing {
	struct found *found;
	size_t count, room;
};

// The directory at the path, made if it is not there: 0 or -errno, and the one before is kept.
static int open_directory(struct protocol_files *files)
{
	bool made = mkdir(files->settings.path, 0750) == 0;
	int directory = open(files->settings.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (directory < 0)
		return -errno;
	if (files->directory >= 0)
		close(files->directory);
	files->directory = directory;
	files->made = made;
	return 0;
}

struct protocol_files *protocol_files_open(const struct protocol_files_settings *settings,
					   char error[PROTOCOL_FILES_ERROR_MAX])
{
	struct protocol_files *files = calloc(1, sizeof(*files));
	int result;

	if (!files) {
		snprintf(error, PROTOCOL_FILES_ERROR_MAX, "out of memory");
		return NULL;
	}
	files->settings = *settings;
	files->directory = files->file = -1;
	result = open_directory(files);
	if (!result)
		return files;
	snprintf(error, PROTOCOL_FILES_ERROR_MAX,
		 "[gate] ReceiveProtocolLogPath: %s: %s; the directory must exist, or be one that "
		 "can be made",
		 settings->path, strerror(-result));
	free(files);
	return NULL;
}

int protocol_files_give(struct protocol_files *files, uint32_t uid, uint32_t gid)
{
	if (files->made && fchown(files->directory, uid, gid))
		return -errno;
	return 0;
}

int protocol_files_check(const struct protocol_files *files, char error[PROTOCOL_FILES_ERROR_MAX])
{
	if (!faccessat(files->directory, ".", R_OK | W_OK | X_OK, AT_EACCESS))
		return 0;
	snprintf(error, PROTOCOL_FILES_ERROR_MAX,
		 "[gate] ReceiveProtocolLogPath: %s cannot be written by User: %s; give the "
		 "directory to that user",
		 files->settings.path, strerror(errno));
	return -1;
}

// ---- What is there already -------------------------------------------------------------------

static bool parse_name(const char *name, struct found *found)
{
	int end = 0;

	if (strlen(name) >= sizeof(found->name) ||
	    sscanf(name, "RECV%8u-%9u.log%n", &found->day, &found->number, &end) != 2)
		return false;
	strcpy(found->name, name);
	return end > 0 && name[end] == '\0';
}

static bool add_found(struct listing *listing, const struct found *found)
{
	if (listing->count == listing->room) {
		size_t room = listing->room ? 2 * listing->room : 64;
		struct found *more = reallocarray(listing->found, room, sizeof(*more));

		if (!more)
			return false;
		listing->found = more;
		listing->room = room;
	}
	listing->found[listing->count++] = *found;
	return true;
}

static int order(const void *a, const void *b)
{
	const struct found *left = a, *right = b;

	if (left->day != right->day)
		return left->day < right->day ? -1 : 1;
	return left->number < right->number ? -1 : left->number > right->number;
}

// Our files, the oldest first. The caller frees it.
static struct listing list_files(const struct protocol_files *files)
{
	struct listing listing = {0};
	int again = openat(files->directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *directory = again >= 0 ? fdopendir(again) : NULL;
	struct dirent *entry;
	struct found found;
	struct stat status;

	if (!directory) {
		if (again >= 0)
			close(again);
		return listing;
	}
	while ((entry = readdir(directory))) {
		if (!parse_name(entry->d_name, &found) ||
		    fstatat(files->directory, found.name, &status, AT_SYMLINK_NOFOLLOW) ||
		    !S_ISREG(status.st_mode))
			continue;
		found.size = (uint64_t)status.st_size;
		found.written_us = (uint64_t)status.st_mtime * 1000000;
		if (!add_found(&listing, &found))
			break;
	}
	closedir(directory);
	if (listing.count)
		qsort(listing.found, listing.count, sizeof(*listing.found), order);
	return listing;
}

// Removes what is too old, then the oldest until all others and `coming` bytes fit.
static void make_room(struct protocol_files *files, const struct listing *listing, uint64_t coming,
		      uint64_t now_us)
{
	const struct protocol_files_settings *settings = &files->settings;
	uint64_t total = coming;

	files->swept_us = now_us;
	for (size_t i = 0; i < listing->count; i++)
		total += listing->found[i].size;
	for (size_t i = 0; i < listing->count; i++) {
		const struct found *found = &listing->found[i];
		bool old = settings->age_us && found->written_us + settings->age_us < now_us;

		if (files->file >= 0 && strcmp(found->name, files->name) == 0)
			continue;
		if (!old && total <= settings->directory_size)
			continue;
		if (!unlinkat(files->directory, found->name, 0))
			total -= found->size;
	}
}

static void sweep(struct protocol_files *files, uint64_t now_us)
{
	struct listing listing;

	if (now_us - files->swept_us < HOUR_US)
		return;
	listing = list_files(files);
	make_room(files, &listing, 0, now_us);
	free(listing.found);
}

// ---- The file that is written ----------------------------------------------------------------

static struct tm parts_of(uint64_t wall_us)
{
	time_t seconds = (time_t)(wall_us / 1000000);
	struct tm parts;

	gmtime_r(&seconds, &parts);
	return parts;
}

static unsigned day_of(uint64_t wall_us)
{
	struct tm parts = parts_of(wall_us);

	return (unsigned)(parts.tm_year + 1900) * 10000 + (unsigned)(parts.tm_mon + 1) * 100 +
	       (unsigned)parts.tm_mday;
}

static void leave_file(struct protocol_files *files)
{
	if (files->file >= 0)
		close(files->file);
	files->file = -1;
}

static bool write_header(struct protocol_files *files, uint64_t wall_us)
{
	struct tm parts = parts_of(wall_us);
	char date[32], text[512];
	int length;
	ssize_t written;

	strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &parts);
	length = snprintf(text, sizeof(text),
			  "#Software: relaygate\r\n"
			  "#Version: %s\r\n"
			  "#Log-Type: SMTP Receive Protocol Log\r\n"
			  "#Date: %s.%03uZ\r\n"
			  "#Fields: date-time,connector-id,session-id,sequence-number,"
			  "local-endpoint,remote-endpoint,event,data,context\r\n",
			  files->settings.version, date, (unsigned)(wall_us / 1000 % 1000));
	written = write(files->file, text, (size_t)length);
	files->size = (uint64_t)length;
	if (written == length)
		return true;
	files->error = written < 0 ? errno : ENOSPC;
	return false;
}

// Was the directory removed by somebody else? Nothing can be made in it any more, but in what has
// its place.
static void follow_directory(struct protocol_files *files)
{
	struct stat status;

	if (fstat(files->directory, &status) || status.st_nlink == 0)
		open_directory(files);
}

// The next file of the line's day, with its header.
static bool begin_file(struct protocol_files *files, uint64_t wall_us)
{
	struct listing listing;
	unsigned number = 1;

	follow_directory(files);
	listing = list_files(files);
	files->day = day_of(wall_us);
	make_room(files, &listing, files->settings.file_size, wall_us);
	for (size_t i = 0; i < listing.count; i++)
		if (listing.found[i].day == files->day && listing.found[i].number >= number)
			number = listing.found[i].number + 1;
	free(listing.found);
	snprintf(files->name, sizeof(files->name), "RECV%08u-%u.log", files->day, number);
	files->file = openat(files->directory, files->name,
			     O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0640);
	files->begun = false;
	if (files->file < 0) {
		files->error = errno;
		return false;
	}
	if (write_header(files, wall_us))
		return true;
	unlinkat(files->directory, files->name, 0);
	leave_file(files);
	return false;
}

static uint64_t count_lines(const char *text, size_t length)
{
	uint64_t lines = 0;

	for (size_t i = 0; i < length; i++)
		lines += text[i] == '\n';
	return lines;
}

// Only `written` bytes of what is held are in the file: takes the part of a line at their end out
// again.
static void lose(struct protocol_files *files, size_t written)
{
	const char *end = written ? memrchr(files->buffer, '\n', written) : NULL;
	size_t whole = end ? (size_t)(end - files->buffer) + 1 : 0;
	struct stat status;

	files->lost += count_lines(files->buffer + whole, files->held - whole);
	files->size -= files->held - whole;
	// Without a line's end there the next line would be lost, too: to another file, then.
	if (written > whole && (fstat(files->file, &status) ||
				ftruncate(files->file, status.st_size - (off_t)(written - whole))))
		leave_file(files);
}

static void write_held(struct protocol_files *files)
{
	size_t written = 0;

	while (written < files->held) {
		ssize_t result = write(files->file, files->buffer + written, files->held - written);

		if (result < 0 && errno == EINTR)
			continue;
		if (result <= 0) {
			files->error = result < 0 ? errno : ENOSPC;
			lose(files, written);
			// A full device may have room again; anything else is better left.
			if (files->error != ENOSPC && files->error != EDQUOT)
				leave_file(files);
			break;
		}
		written += (size_t)result;
	}
	files->held = 0;
}

// Was the file removed by somebody else?
static bool is_gone(const struct protocol_files *files)
{
	struct stat status;

	return fstat(files->file, &status) || status.st_nlink == 0;
}

void protocol_files_add(struct protocol_files *files, uint64_t wall_us, const char *line,
			size_t length)
{
	const uint64_t limit = files->settings.file_size;

	if (files->held + length > sizeof(files->buffer))
		write_held(files);
	if (files->file >= 0 &&
	    (day_of(wall_us) > files->day || (files->begun && files->size + length > limit))) {
		write_held(files);
		leave_file(files);
	}
	if (files->file >= 0 && files->held == 0 && is_gone(files))
		leave_file(files);
	if (files->file < 0 && (files->failed || !begin_file(files, wall_us))) {
		files->failed = true;
		files->lost++;
		return;
	}
	memcpy(files->buffer + files->held, line, length);
	files->held += length;
	files->size += length;
	files->begun = true;
}

void protocol_files_flush(struct protocol_files *files, uint64_t now_wall_us)
{
	write_held(files);
	files->failed = false;
	sweep(files, now_wall_us);
}

uint64_t protocol_files_lost(const struct protocol_files *files, int *error)
{
	*error = files->error;
	return files->lost;
}

void protocol_files_close(struct protocol_files *files)
{
	if (!files)
		return;
	write_held(files);
	leave_file(files);
	close(files->directory);
	free(files);
}
