// SPDX-License-Identifier: BSD-3-Clause
//
// See pinned_rows.h.
#include "bpf/pinned_rows.h"

#include "bpf/message.h"
#include "bpf/pins.h"
#include <bpf/bpf.h>
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

static int map(int fd, size_t row_bytes, int protection, struct pinned_rows *mapped)
{
	struct bpf_map_info info = {0};
	__u32 size = sizeof(info);
	size_t bytes;
	void *start;

	if (bpf_obj_get_info_by_fd(fd, &info, &size) < 0)
		return -errno;
	if (info.type != BPF_MAP_TYPE_ARRAY || info.value_size != row_bytes)
		return -EPROTO;
	bytes = (size_t)info.max_entries * row_bytes;
	start = mmap(NULL, bytes, protection, MAP_SHARED, fd, 0);
	if (start == MAP_FAILED)
		return -errno;
	*mapped = (struct pinned_rows){start, bytes, info.max_entries, info.id};
	return 0;
}

int pinned_rows_map(const char *directory, const char *name, size_t row_bytes, int protection,
		    struct pinned_rows *mapped)
{
	int fd = pins_open_map(directory, name), result;

	if (fd < 0)
		return fd;
	result = map(fd, row_bytes, protection, mapped);
	close(fd);
	return result;
}

void pinned_rows_unmap(struct pinned_rows *mapped)
{
	if (mapped->rows)
		munmap(mapped->rows, mapped->bytes);
	mapped->rows = NULL;
}

int pinned_rows_failed(char error[EXPORT_ERROR_MAX], int result, const char *directory,
		       const char *what)
{
	if (result == -ENOENT)
		return message_set(error, result,
				   "%s: no gate has run here: is PinDirectory the right one?",
				   directory);
	if (result == -EPROTO || result == -EEXIST)
		return message_set(error, -EPROTO, "%s: the gate there is of another version",
				   directory);
	return message_failed(error, result, directory, what);
}
