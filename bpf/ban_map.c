// SPDX-License-Identifier: BSD-3-Clause
//
// See ban_map.h. A hash map's batches are whole buckets, so a walk neither repeats nor misses what
// is there all the time.
#include "bpf/ban_map.h"

#include "bpf/message.h"
#include "bpf/pins.h"
#include <bpf/bpf.h>
#include <errno.h>
#include <unistd.h>

static bool is_ban_map(int fd)
{
	struct bpf_map_info info = {0};
	__u32 size = sizeof(info);

	return bpf_obj_get_info_by_fd(fd, &info, &size) == 0 && info.type == BPF_MAP_TYPE_HASH &&
	       info.key_size == sizeof(struct ban_source) && info.value_size == sizeof(struct ban);
}

int ban_map_open(const char *directory, char error[EXPORT_ERROR_MAX])
{
	int fd;

	error[0] = '\0';
	message_capture();
	fd = pins_open_map(directory, "bans");
	if (fd == -ENOENT)
		return message_set(error, fd,
				   "%s/bans: no such pin: no gate ran with this PinDirectory since "
				   "the machine started",
				   directory);
	if (fd < 0)
		return message_failed(error, fd, directory, "open the map of bans");
	if (is_ban_map(fd))
		return fd;
	close(fd);
	return message_set(error, -EPROTO, "%s/bans: a map of another version of relaygate",
			   directory);
}

int ban_map_put(int map, const struct ban_source *source, const struct ban *ban)
{
	return bpf_map_update_elem(map, source, ban, BPF_ANY) < 0 ? -errno : 0;
}

int ban_map_get(int map, const struct ban_source *source, struct ban *ban)
{
	return bpf_map_lookup_elem(map, source, ban) < 0 ? -errno : 0;
}

int ban_map_remove(int map, const struct ban_source *source)
{
	return bpf_map_delete_elem(map, source) < 0 ? -errno : 0;
}

int ban_map_read(int map, struct ban_map_cursor *cursor, struct ban_map_rows *rows, bool *end)
{
	__u32 count = BAN_MAP_BATCH;
	uint32_t next = 0;
	int result = bpf_map_lookup_batch(map, cursor->inside ? &cursor->batch : NULL, &next,
					  rows->sources, rows->bans, &count, NULL);

	*end = result == -ENOENT;
	if (result < 0 && !*end) {
		*cursor = (struct ban_map_cursor){0};
		return result;
	}
	cursor->inside = !*end;
	cursor->batch = next;
	return (int)count;
}
