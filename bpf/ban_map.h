// SPDX-License-Identifier: BSD-3-Clause
//
// The pinned map of banned sources (struct ban_source -> struct ban, counters.h): one entry put,
// asked for, taken out, and all of them read in batches. By descriptor, so it needs no right once
// the map is open. Who is banned for how long is not decided here.
#ifndef RELAYGATE_BPF_BAN_MAP_H
#define RELAYGATE_BPF_BAN_MAP_H

#include "bpf/export.h"

#define BAN_MAP_BATCH 4096

struct ban_map_rows {
	struct ban_source sources[BAN_MAP_BATCH];
	struct ban bans[BAN_MAP_BATCH];
};

// Where a walk through the map stands; all zero: at its beginning.
struct ban_map_cursor {
	uint32_t batch;
	bool inside;
};

// The map that is pinned in an instance's directory, whether it runs or not: its descriptor, to be
// closed, or -errno with a line for a person (-ENOENT: no gate ran there; -EPROTO: of another
// version).
int ban_map_open(const char *directory, char error[EXPORT_ERROR_MAX]);

// All of these: 0 or -errno; -ENOENT when the source has no entry, -E2BIG when the map is full.
int ban_map_put(int map, const struct ban_source *source, const struct ban *ban);
int ban_map_get(int map, const struct ban_source *source, struct ban *ban);
int ban_map_remove(int map, const struct ban_source *source);

// The next rows, at most BAN_MAP_BATCH: how many, or -errno. *end: these were the last ones, and
// the cursor is at the beginning again. What stays in the map during a walk is read exactly once.
int ban_map_read(int map, struct ban_map_cursor *cursor, struct ban_map_rows *rows, bool *end);

#endif
