// SPDX-License-Identifier: BSD-3-Clause
//
// A program is ours when it has the name and the tag (the kernel's hash over its instructions) of
// the embedded one. The tag of the embedded program is learnt by loading it once more, unattached:
// it depends on nothing that the kernel changes. Who holds a program stands in /proc/*/fdinfo.
#include "bpf/steer_program.h"

#include "bpf/message.h"
#include "bpf/steer.h"
#include "steer.skel.h"
#include <bpf/bpf.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

const char *export_xdp_object_path(void)
{
	// Made once, for net_af_xdp opens it by path at every port's start; never closed.
	static char path[32];
	const unsigned char *bytes;
	size_t size, written = 0;
	int fd;

	if (path[0])
		return path;
	bytes = steer_bpf__elf_bytes(&size);
	fd = memfd_create("relaygate_steer.bpf.o", MFD_CLOEXEC);
	if (fd < 0)
		return NULL;
	while (written < size) {
		ssize_t count = write(fd, bytes + written, size - written);

		if (count < 0 && errno != EINTR) {
			int code = errno;

			close(fd);
			errno = code;
			return NULL;
		}
		written += count > 0 ? (size_t)count : 0;
	}
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return path;
}

static int program_info(int fd, struct bpf_prog_info *info)
{
	__u32 size = sizeof(*info);

	return bpf_obj_get_info_by_fd(fd, info, &size) < 0 ? -errno : 0;
}

static int embedded_tag(unsigned char tag[BPF_TAG_SIZE])
{
	struct steer_bpf *embedded = steer_bpf__open_and_load();
	struct bpf_prog_info info = {0};
	int result;

	if (!embedded)
		return -errno;
	result = program_info(bpf_program__fd(embedded->progs.relaygate_steer), &info);
	memcpy(tag, info.tag, BPF_TAG_SIZE);
	steer_bpf__destroy(embedded);
	return result;
}

// Fills attached from the kernel's answer; true when a program is there.
static bool read_query(const struct bpf_xdp_query_opts *query, struct steer_attached *attached)
{
	switch (query->attach_mode) {
	case XDP_ATTACHED_DRV:
		attached->flags = XDP_FLAGS_DRV_MODE;
		break;
	case XDP_ATTACHED_SKB:
		attached->flags = XDP_FLAGS_SKB_MODE;
		break;
	case XDP_ATTACHED_HW:
		attached->flags = XDP_FLAGS_HW_MODE;
		break;
	case XDP_ATTACHED_MULTI:
		attached->several = true;
		attached->id = query->drv_prog_id ? query->drv_prog_id : query->skb_prog_id;
		return true;
	default:
		return false;
	}
	attached->id = query->prog_id;
	return true;
}

static int identify(struct steer_attached *attached)
{
	unsigned char tag[BPF_TAG_SIZE];
	struct bpf_prog_info info = {0};
	int result;

	attached->fd = bpf_prog_get_fd_by_id(attached->id);
	if (attached->fd < 0)
		return -errno;
	result = program_info(attached->fd, &info);
	if (result)
		return result;
	memcpy(attached->name, info.name, sizeof(attached->name));
	if (strcmp(attached->name, STEER_PROGRAM) != 0)
		return 0;
	result = embedded_tag(tag);
	attached->same = result == 0 && memcmp(tag, info.tag, BPF_TAG_SIZE) == 0;
	return result;
}

int steer_program_find(const char *interface, struct steer_attached *attached,
		       char error[EXPORT_ERROR_MAX])
{
	LIBBPF_OPTS(bpf_xdp_query_opts, query);
	unsigned index = if_nametoindex(interface);
	int result;

	*attached = (struct steer_attached){.fd = -1};
	if (index == 0)
		return message_set(error, -ENODEV, "%s: no such interface", interface);
	result = bpf_xdp_query((int)index, 0, &query);
	if (result)
		return message_failed(error, result, interface, "ask for its XDP program");
	if (!read_query(&query, attached))
		return 0;
	result = identify(attached);
	if (result == 0)
		return 0;
	if (attached->fd >= 0)
		close(attached->fd);
	attached->fd = -1;
	return message_failed(error, result, interface, "look at its XDP program");
}

int steer_program_detach(const char *interface, const struct steer_attached *attached)
{
	LIBBPF_OPTS(bpf_xdp_attach_opts, options, .old_prog_fd = attached->fd);

	return bpf_xdp_detach((int)if_nametoindex(interface), attached->flags, &options);
}

int steer_program_map(int fd, const char *name)
{
	struct bpf_prog_info info = {0};
	uint32_t ids[16];

	info.nr_map_ids = sizeof(ids) / sizeof(ids[0]);
	info.map_ids = (uintptr_t)ids;
	if (program_info(fd, &info) < 0)
		return -errno;
	for (unsigned i = 0; i < info.nr_map_ids && i < sizeof(ids) / sizeof(ids[0]); i++) {
		int map = bpf_map_get_fd_by_id(ids[i]);
		struct bpf_map_info map_info = {0};
		__u32 size = sizeof(map_info);

		if (map < 0)
			return -errno;
		if (bpf_obj_get_info_by_fd(map, &map_info, &size) == 0 &&
		    strcmp(map_info.name, name) == 0)
			return map;
		close(map);
	}
	return -ENOENT;
}

// Does the descriptor described by this file belong to the program?
static bool names_program(int directory, const char *file, uint32_t id)
{
	int fd = openat(directory, file, O_RDONLY | O_CLOEXEC);
	char line[128], wanted[32];
	bool found = false;
	FILE *stream;

	if (fd < 0)
		return false;
	stream = fdopen(fd, "r");
	if (!stream) {
		close(fd);
		return false;
	}
	snprintf(wanted, sizeof(wanted), "prog_id:\t%u\n", id);
	while (!found && fgets(line, sizeof(line), stream))
		found = strcmp(line, wanted) == 0;
	fclose(stream);
	return found;
}

static bool process_holds(const char *pid, uint32_t id)
{
	char path[64];
	struct dirent *entry;
	bool found = false;
	DIR *files;

	snprintf(path, sizeof(path), "/proc/%.20s/fdinfo", pid);
	files = opendir(path);
	if (!files)
		return false;
	while (!found && (entry = readdir(files))) {
		if (entry->d_name[0] != '.')
			found = names_program(dirfd(files), entry->d_name, id);
	}
	closedir(files);
	return found;
}

pid_t steer_program_holder(uint32_t id)
{
	DIR *processes = opendir("/proc");
	struct dirent *entry;
	pid_t holder = 0;

	if (!processes)
		return 0;
	while (!holder && (entry = readdir(processes))) {
		int pid = atoi(entry->d_name);

		if (pid > 0 && pid != getpid() && process_holds(entry->d_name, id))
			holder = pid;
	}
	closedir(processes);
	return holder;
}
