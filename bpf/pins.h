// SPDX-License-Identifier: BSD-3-Clause
//
// The instance's directory in bpffs: made, locked against a second live instance, emptied, handed
// over to a user; and the pins in it. Knows paths and file descriptors, not what maps mean.
#ifndef RELAYGATE_BPF_PINS_H
#define RELAYGATE_BPF_PINS_H

#include "bpf/export.h"
#include <sys/types.h>

// Creates directory where it is missing (*created tells) and locks it for this process. Returns a
// file descriptor: the lock lasts until it is closed, thus ends with the process however that dies.
// -EBUSY names the process that holds it; -EINVAL when the parent is no bpffs.
int pins_lock(const char *directory, bool *created, char error[EXPORT_ERROR_MAX]);

// The process that holds the lock, 0 when none does or it cannot be seen from this pid namespace.
pid_t pins_lock_owner(const char *directory);

// The pin's path. -ENAMETOOLONG when it does not fit.
int pins_path(const char *directory, const char *name, char path[static 4096]);

// Pins fd under directory/name. What was pinned there before is replaced in one step: a reader sees
// the old object or the new one. 0 or -errno.
int pins_replace(int fd, const char *directory, const char *name);

// A new descriptor of the map pinned as directory/name; -ENOENT when there is none, -EEXIST when
// something else than a map is pinned there.
int pins_open_map(const char *directory, const char *name);

void pins_remove(const char *directory, const char *name);

// Removes every pin and the directory.
int pins_remove_all(const char *directory, char error[EXPORT_ERROR_MAX]);
int pins_chown(const char *directory, uid_t uid, gid_t gid);

#endif
