// SPDX-License-Identifier: BSD-3-Clause
//
// Notices that a file changed: written in place, replaced by rename as editors do it, or because a
// link on its path points elsewhere. A change counts once the file has been left alone for a while,
// so that half a file is not taken for the whole. Watches the file's directory (inotify): a link
// into another directory is noticed when the link changes, not when its target is written to.
#ifndef RELAYGATE_CONTROL_FILE_WATCH_H
#define RELAYGATE_CONTROL_FILE_WATCH_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#define FILE_WATCH_QUIET_MS 400

struct file_watch {
	int descriptor; // of inotify; -1 = not watching
	const char *path;
	struct stat seen, settled; // as of the last look; as it was when it was taken last
	bool looked;               // at all, since it was taken
	uint64_t changed_ms;       // when it was seen to change last; 0 = it has not since
};

// 0 or -errno. The path is kept and outlives the watch. taken: of the file, from before it was read
// last; whatever changed since is a change, also when that was before this call.
int file_watch_open(struct file_watch *watch, const char *path, const struct stat *taken);
void file_watch_close(struct file_watch *watch);
// True once for each change that has settled. now_ms: monotonic.
bool file_watch_changed(struct file_watch *watch, uint64_t now_ms);

#endif
