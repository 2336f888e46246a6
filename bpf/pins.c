// SPDX-License-Identifier: BSD-3-Clause
//
// The lock is flock() on the directory itself: it needs no second place, holds across network
// namespaces (an abstract socket would not), and the kernel drops it when the process is gone.
// Who holds it stands in /proc/locks. Pins are replaced by rename, so that a reader never meets
// a gap.
#include "bpf/pins.h"

#include "bpf/message.h"
#include <bpf/bpf.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#define PIN_PATH_MAX 4096

static bool is_bpffs(const char *path)
{
	struct statfs file_system;

	return statfs(path, &file_system) == 0 && file_system.f_type == BPF_FS_MAGIC;
}

int pins_path(const char *directory, const char *name, char path[static PIN_PATH_MAX])
{
	int length = snprintf(path, PIN_PATH_MAX, "%s/%s", directory, name);

	return length < PIN_PATH_MAX ? 0 : -ENAMETOOLONG;
}

// Says what is wrong with the place where directory shall be, before mkdir's bare errno could.
static int check_parent(const char *directory, char error[EXPORT_ERROR_MAX])
{
	char copy[PIN_PATH_MAX], parent[PIN_PATH_MAX];

	if (directory[0] != '/' || strlen(directory) >= sizeof(copy) - NAME_MAX)
		return message_set(error, -EINVAL,
				   "%.150s: the pin directory needs an absolute path", directory);
	strcpy(copy, directory);
	strcpy(parent, dirname(copy));
	strcpy(copy, directory);
	if (strchr(basename(copy), '.'))
		return message_set(error, -EINVAL,
				   "%s: a pin directory's name may hold no dot (a rule of bpffs)",
				   directory);
	if (access(parent, F_OK) < 0 && errno == ENOENT)
		return message_set(error, -ENOENT,
				   "%s: no such directory: make it in a bpffs, mounted by `mount "
				   "-t bpf bpf /sys/fs/bpf`",
				   parent);
	if (!is_bpffs(parent))
		return message_set(error, -EINVAL,
				   "%s is not in a bpffs: mount one (`mount -t bpf bpf "
				   "/sys/fs/bpf`) or set another pin directory",
				   parent);
	return 0;
}

// The process that holds the lock on this inode; 0 when it cannot be told (another pid namespace).
static pid_t lock_owner(const struct stat *inode)
{
	FILE *locks = fopen("/proc/locks", "re");
	char line[256];
	pid_t owner = 0;

	if (!locks)
		return 0;
	while (!owner && fgets(line, sizeof(line), locks)) {
		unsigned device_major, device_minor;
		uint64_t number;
		int pid;

		if (sscanf(line, "%*d: FLOCK ADVISORY %*s %d %x:%x:%" SCNu64, &pid, &device_major,
			   &device_minor, &number) == 4 &&
		    makedev(device_major, device_minor) == inode->st_dev &&
		    number == inode->st_ino && pid > 0)
			owner = pid;
	}
	fclose(locks);
	return owner;
}

pid_t pins_lock_owner(const char *directory)
{
	struct stat inode;

	return stat(directory, &inode) == 0 ? lock_owner(&inode) : 0;
}

static int refuse_in_use(int fd, const char *directory, char error[EXPORT_ERROR_MAX])
{
	struct stat inode;
	pid_t owner = fstat(fd, &inode) == 0 ? lock_owner(&inode) : 0;

	if (!owner)
		return message_set(error, -EBUSY,
				   "%s: in use by another live instance: stop it, or set another "
				   "pin directory",
				   directory);
	return message_set(error, -EBUSY,
			   "%s: in use by process %d: stop it, or set another pin directory",
			   directory, (int)owner);
}

// Opens and locks what is at directory now; -ESTALE when it was removed in between.
static int open_locked(const char *directory, char error[EXPORT_ERROR_MAX])
{
	int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct stat opened, named;
	int result;

	if (fd < 0 && errno == ENOENT)
		return -ESTALE;
	if (fd < 0)
		return message_failed(error, -errno, directory, "open");
	if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		result = errno == EWOULDBLOCK ? refuse_in_use(fd, directory, error)
					      : message_failed(error, -errno, directory, "lock");
		close(fd);
		return result;
	}
	// A lock on a directory that its former owner removed protects nothing.
	if (fstat(fd, &opened) < 0 || stat(directory, &named) < 0 ||
	    opened.st_ino != named.st_ino || opened.st_dev != named.st_dev) {
		close(fd);
		return -ESTALE;
	}
	return fd;
}

int pins_lock(const char *directory, bool *created, char error[EXPORT_ERROR_MAX])
{
	int fd, result = check_parent(directory, error);

	*created = false;
	if (result)
		return result;
	do {
		if (mkdir(directory, 0700) == 0)
			*created = true;
		else if (errno != EEXIST)
			return message_failed(error, -errno, directory, "create the directory");
		fd = open_locked(directory, error);
	} while (fd == -ESTALE);
	if (fd >= 0 && !is_bpffs(directory)) {
		close(fd);
		return message_set(error, -EINVAL,
				   "%s is not in a bpffs: set another pin directory", directory);
	}
	return fd;
}

int pins_replace(int fd, const char *directory, const char *name)
{
	char fresh_name[NAME_MAX + 1], fresh[PIN_PATH_MAX], path[PIN_PATH_MAX];
	int result;

	snprintf(fresh_name, sizeof(fresh_name), "%s_new", name);
	result = pins_path(directory, fresh_name, fresh);
	if (result == 0)
		result = pins_path(directory, name, path);
	if (result)
		return result;
	unlink(fresh); // left by an instance that died between the two steps below
	if (bpf_obj_pin(fd, fresh) < 0)
		return -errno;
	if (rename(fresh, path) < 0) {
		result = -errno;
		unlink(fresh);
		return result;
	}
	return 0;
}

int pins_open_map(const char *directory, const char *name)
{
	static const char map[] = "anon_inode:bpf-map";
	char path[PIN_PATH_MAX], link[64], target[sizeof(map)] = "";
	int fd, result = pins_path(directory, name, path);

	if (result)
		return result;
	fd = bpf_obj_get(path);
	if (fd < 0)
		return -errno;
	// bpf_obj_get opens programs and links alike; only the descriptor's name tells.
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	if (readlink(link, target, sizeof(target)) != sizeof(map) - 1 ||
	    memcmp(target, map, sizeof(map) - 1) != 0) {
		close(fd);
		return -EEXIST;
	}
	return fd;
}

void pins_remove(const char *directory, const char *name)
{
	char path[PIN_PATH_MAX];

	if (pins_path(directory, name, path) == 0)
		unlink(path);
}

// Calls visit for every pin; stops at the first failure and returns it.
static int for_each_pin(const char *directory,
			int (*visit)(int directory_fd, const char *name, const void *context),
			const void *context)
{
	DIR *stream = opendir(directory);
	struct dirent *entry;
	int result = 0;

	if (!stream)
		return -errno;
	while (result == 0 && (entry = readdir(stream))) {
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			result = visit(dirfd(stream), entry->d_name, context);
	}
	closedir(stream);
	return result;
}

static int unlink_pin(int directory_fd, const char *name, const void *context)
{
	return unlinkat(directory_fd, name, 0) < 0 ? -errno : 0;
}

int pins_remove_all(const char *directory, char error[EXPORT_ERROR_MAX])
{
	int fd, result;

	if (access(directory, F_OK) < 0)
		return message_failed(error, -errno, directory, "remove the pins");
	// Whatever else this may be, its files are not ours to delete.
	if (!is_bpffs(directory))
		return message_set(error, -EINVAL, "%s is not in a bpffs: nothing removed",
				   directory);
	fd = open_locked(directory, error);
	if (fd == -ESTALE)
		return message_failed(error, -ENOENT, directory, "remove the pins");
	if (fd < 0)
		return fd;
	result = for_each_pin(directory, unlink_pin, NULL);
	if (result == 0 && rmdir(directory) < 0)
		result = -errno;
	close(fd);
	return result ? message_failed(error, result, directory, "remove the pins") : 0;
}

struct owner {
	uid_t uid;
	gid_t gid;
};

static int chown_pin(int directory_fd, const char *name, const void *context)
{
	const struct owner *owner = context;
	struct stat found;

	if (fstatat(directory_fd, name, &found, AT_SYMLINK_NOFOLLOW) == 0 &&
	    found.st_uid == owner->uid && found.st_gid == owner->gid)
		return 0; // who is no owner may not even say so
	return fchownat(directory_fd, name, owner->uid, owner->gid, AT_SYMLINK_NOFOLLOW) < 0
		       ? -errno
		       : 0;
}

int pins_chown(const char *directory, uid_t uid, gid_t gid)
{
	struct owner owner = {.uid = uid, .gid = gid};
	int result = chown_pin(AT_FDCWD, directory, &owner);

	// The directory first: from then on its former owner puts nothing in.
	return result ? result : for_each_pin(directory, chown_pin, &owner);
}
