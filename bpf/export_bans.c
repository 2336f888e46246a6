// SPDX-License-Identifier: BSD-3-Clause
//
// The map of bans of one instance: adopted from a former one, so that bans outlive the process, or
// made and filled with what a former one of another size held. What is in it is the business of
// control/; how it is read and written, of ban_map.c.
#include "bpf/export_internal.h"

#include "bpf/ban_map.h"
#include "bpf/layout.h"
#include "bpf/message.h"
#include "bpf/pins.h"
#include "counters.skel.h"
#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

int export_bans_adopt(struct export *export, char error[EXPORT_ERROR_MAX])
{
	struct bpf_map *map = export->bpf->maps.bans;
	int fd = pins_open_map(export->directory, "bans"), result = 0;

	export->former_bans = -1;
	// A map needs room for an entry, wanted or not.
	bpf_map__set_max_entries(map, export->shape.bans_max ? export->shape.bans_max : 1);
	if (fd == -ENOENT)
		return 0;
	if (fd < 0)
		return message_failed(error, fd, export->directory, "bans");
	switch (layout_compare(fd, map, bpf_object__btf(export->bpf->obj))) {
	case LAYOUT_UNREADABLE:
		result = -errno;
		break;
	case LAYOUT_DIFFERS:
		break;
	case LAYOUT_RESIZED:
		export->former_bans = fd;
		return 0;
	case LAYOUT_SAME:
		result = bpf_map__reuse_fd(map, fd);
		export->bans_adopted = result == 0;
		break;
	}
	close(fd);
	return result ? message_failed(error, result, export->directory, "bans") : 0;
}

static bool is_over(const struct ban *ban, uint64_t now_s)
{
	return ban->until && ban->until <= now_s;
}

// What finds no room in a smaller map is given up.
static int copy_bans(int from, int to)
{
	const uint64_t now_s = (uint64_t)time(NULL);
	struct ban_map_rows *rows = malloc(sizeof(*rows));
	struct ban_map_cursor cursor = {0};
	bool end = false;
	int count = 0;

	if (!rows)
		return -ENOMEM;
	while (!end && (count = ban_map_read(from, &cursor, rows, &end)) >= 0)
		for (int i = 0; i < count; i++)
			if (!is_over(&rows->bans[i], now_s))
				ban_map_put(to, &rows->sources[i], &rows->bans[i]);
	free(rows);
	return count < 0 ? count : 0;
}

int export_bans_pin(struct export *export, char error[EXPORT_ERROR_MAX])
{
	int map = bpf_map__fd(export->bpf->maps.bans), result = 0;

	if (export->bans_adopted)
		return 0;
	if (export->former_bans >= 0)
		result = copy_bans(export->former_bans, map);
	if (result == 0)
		result = export_maps_pin(export, map, "bans");
	return result ? message_failed(error, result, export->directory, "pin the map of bans") : 0;
}

void export_bans_forget(struct export *export)
{
	if (export->former_bans >= 0)
		close(export->former_bans);
	export->former_bans = -1;
}

int export_bans(const struct export *export)
{
	return bpf_map__fd(export->bpf->maps.bans);
}
