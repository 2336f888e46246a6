// SPDX-License-Identifier: BSD-3-Clause
//
// All rows of an instance at one moment, read through its pins: by the tools while it runs and
// after it died, and by the gate itself for telemetry. Workers' counters are added up at the moment
// of reading, so a view is exact. Never waits. Does not print.
#ifndef RELAYGATE_BPF_VIEW_READER_H
#define RELAYGATE_BPF_VIEW_READER_H

#include "bpf/counters.h"
#include "bpf/export.h"
#include "bpf/rows.h"

struct view_reader;

// Rows that have a name, copied, in the order of the map; of connectors those that are in the
// policy in force (listed), or still have a session.
struct view_rows {
	unsigned char *rows;
	unsigned count;
};

struct view_snapshot {
	uint64_t wall_us, now_us; // CLOCK_REALTIME and CLOCK_MONOTONIC when it was taken
	int pid;                  // of the running instance, 0 = none runs
	struct instance_record instance;
	struct view_rows of[ROW_KINDS];
};

// 0, or -errno with a line for a person (-ENOENT: nothing is pinned there; -EPROTO: the maps of
// another version).
int view_reader_open(const char *directory, struct view_reader **out, char error[EXPORT_ERROR_MAX]);
// Valid until the next call. A row's name and numbers belong together but in the moment in which a
// row gets another name.
const struct view_snapshot *view_reader_take(struct view_reader *reader);
// True when the pins name other maps by now: the gate was restarted with another shape. Open anew.
bool view_reader_replaced(const struct view_reader *reader);
void view_reader_close(struct view_reader *reader); // NULL is fine

// The row of this name in a snapshot, or NULL.
const void *view_row(const struct view_snapshot *view, enum row_kind kind, const char *name);
const void *view_row_at(const struct view_snapshot *view, enum row_kind kind, unsigned index);
// A field's sum over all rows.
uint64_t view_sum(const struct view_snapshot *view, enum row_kind kind, const char *field);

#endif
