// SPDX-License-Identifier: BSD-3-Clause
//
// See file_watch.h. inotify says when to look; what the look shows decides.

#include "control/file_watch.h"

#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

static bool same_file(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
	       a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

// While it is being replaced there may be none: that is no change yet.
static bool look(const struct file_watch *watch, struct stat *found)
{
	return stat(watch->path, found) == 0;
}

int file_watch_open(struct file_watch *watch, const char *path, const struct stat *taken)
{
	char copy[PATH_MAX];
	int result;

	*watch = (struct file_watch){
		.descriptor = -1, .path = path, .seen = *taken, .settled = *taken};
	if (snprintf(copy, sizeof(copy), "%s", path) >= (int)sizeof(copy))
		return -ENAMETOOLONG;
	watch->descriptor = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (watch->descriptor < 0)
		return -errno;
	if (inotify_add_watch(watch->descriptor, dirname(copy),
			      IN_MODIFY | IN_CLOSE_WRITE | IN_MOVED_TO | IN_CREATE | IN_DELETE |
				      IN_ATTRIB) < 0) {
		result = -errno;
		file_watch_close(watch);
		return result;
	}
	return 0;
}

void file_watch_close(struct file_watch *watch)
{
	if (watch->descriptor >= 0)
		close(watch->descriptor);
	watch->descriptor = -1;
}

static bool take_events(int descriptor)
{
	char events[4096] __attribute__((aligned(8)));
	bool any = false;

	while (read(descriptor, events, sizeof(events)) > 0)
		any = true;
	return any;
}

bool file_watch_changed(struct file_watch *watch, uint64_t now_ms)
{
	struct stat found;

	if (watch->descriptor < 0)
		return false;
	if (!take_events(watch->descriptor) && !watch->changed_ms && watch->looked)
		return false;
	watch->looked = true;
	if (!look(watch, &found))
		return false;
	if (!same_file(&found, &watch->seen)) {
		watch->seen = found;
		watch->changed_ms = now_ms;
	}
	if (!watch->changed_ms || now_ms - watch->changed_ms < FILE_WATCH_QUIET_MS)
		return false;
	watch->changed_ms = 0;
	if (same_file(&watch->seen, &watch->settled))
		return false;
	watch->settled = watch->seen;
	return true;
}
