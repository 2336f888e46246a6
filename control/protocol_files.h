// SPDX-License-Identifier: BSD-3-Clause
//
// The files of the protocol log in their directory: RECVyyyymmdd-n.log, one day and so many bytes
// each, begun with Exchange's header lines; the oldest make room, and what is too old goes. A line
// is written whole or not at all. Knows nothing of what a line says but that it ends with CR LF.
#ifndef RELAYGATE_CONTROL_PROTOCOL_FILES_H
#define RELAYGATE_CONTROL_PROTOCOL_FILES_H

#include <stddef.h>
#include <stdint.h>

struct protocol_files;

#define PROTOCOL_FILES_ERROR_MAX 320
// The longest line, CR LF included.
#define PROTOCOL_FILES_LINE_MAX 3072

struct protocol_files_settings {
	const char *path;        // absolute; made, but not its parents; again when it is removed
	const char *version;     // ours, for the header
	uint64_t file_size;      // bytes
	uint64_t directory_size; // of all files; at least file_size
	uint64_t age_us;         // 0 = any
};

// The directory, made if it is not there, and no file yet. settings->path and version outlive it.
// NULL, with a line for a person, when there is none.
struct protocol_files *protocol_files_open(const struct protocol_files_settings *settings,
					   char error[PROTOCOL_FILES_ERROR_MAX]);
// Writes what is held. NULL is fine.
void protocol_files_close(struct protocol_files *files);
// Gives a directory that protocol_files_open made to whom this process is going to be. 0 or -errno.
int protocol_files_give(struct protocol_files *files, uint32_t uid, uint32_t gid);
// May this process, as it is now, make files there? 0, or -1 and a line for a person.
int protocol_files_check(const struct protocol_files *files, char error[PROTOCOL_FILES_ERROR_MAX]);

// Adds a line that was made at wall_us; a later day than the file's begins another one.
void protocol_files_add(struct protocol_files *files, uint64_t wall_us, const char *line,
			size_t length);
// Brings what was added into the file. What could not be written is lost: the next lines are tried
// again.
void protocol_files_flush(struct protocol_files *files, uint64_t now_wall_us);

// Lines lost since the start, and the error number of the last one.
uint64_t protocol_files_lost(const struct protocol_files *files, int *error);

#endif
