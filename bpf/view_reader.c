// SPDX-License-Identifier: BSD-3-Clause
//
// Whether an instance runs: its lock on the directory ends with the process, however that dies, and
// /proc/locks tells who holds it; taking the lock to find out could get in the way of a start.
// A gate in a pid namespace that is not below the reader's is not in there, and passes for dead.
#include "bpf/view_reader.h"

#include "bpf/instance_reader.h"
#include "bpf/message.h"
#include "bpf/pinned_rows.h"
#include "bpf/pins.h"
#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

struct view_reader {
	char *directory;
	struct instance_reader instance;
	struct pinned_rows rows[ROW_KINDS];
	struct pinned_rows worker_rows[ROW_KINDS];
	struct view_snapshot view;
};

static int open_kind(struct view_reader *reader, enum row_kind kind)
{
	const struct row_layout *layout = &row_layouts[kind];
	struct pinned_rows *rows = &reader->rows[kind], *parts = &reader->worker_rows[kind];
	int result =
		pinned_rows_map(reader->directory, layout->many, layout->bytes, PROT_READ, rows);

	if (result == 0 && layout->worker_map) {
		result = pinned_rows_map(reader->directory, layout->worker_map, layout->bytes,
					 PROT_READ, parts);
		if (result == 0 && parts->entries % rows->entries)
			result = -EPROTO;
	}
	if (result == 0) {
		reader->view.of[kind].rows = calloc(rows->entries, layout->bytes);
		result = reader->view.of[kind].rows ? 0 : -ENOMEM;
	}
	return result;
}

int view_reader_open(const char *directory, struct view_reader **out, char error[EXPORT_ERROR_MAX])
{
	struct view_reader *reader = calloc(1, sizeof(*reader));
	int result = 0;

	if (!reader || !(reader->directory = strdup(directory))) {
		free(reader);
		return message_set(error, -ENOMEM, "out of memory");
	}
	result = export_instance_open(directory, false, &reader->instance, error);
	if (result) {
		view_reader_close(reader);
		return result;
	}
	for (unsigned kind = 0; kind < ROW_KINDS && result == 0; kind++)
		result = open_kind(reader, (enum row_kind)kind);
	if (result == 0) {
		*out = reader;
		return 0;
	}
	view_reader_close(reader);
	if (result == -ENOENT || result == -EPROTO || result == -EEXIST)
		return message_set(error, -EPROTO, "%s: holds the counters of another version",
				   directory);
	return message_failed(error, result, directory, "open the counters");
}

void view_reader_close(struct view_reader *reader)
{
	if (!reader)
		return;
	for (unsigned i = 0; i < ROW_KINDS; i++) {
		pinned_rows_unmap(&reader->rows[i]);
		pinned_rows_unmap(&reader->worker_rows[i]);
		free(reader->view.of[i].rows);
	}
	export_instance_close(&reader->instance);
	free(reader->directory);
	free(reader);
}

static void copy_row(const struct view_reader *reader, enum row_kind kind, unsigned row,
		     unsigned char *to)
{
	const struct row_layout *layout = &row_layouts[kind];
	const struct pinned_rows *rows = &reader->rows[kind], *parts = &reader->worker_rows[kind];

	memcpy(to, (const unsigned char *)rows->rows + row * layout->bytes, layout->bytes);
	for (unsigned i = 0; i < layout->field_count && parts->rows; i++) {
		const struct row_field *field = &layout->fields[i];
		uint64_t sum = 0;

		for (unsigned at = row; at < parts->entries; at += rows->entries)
			sum += row_number((const unsigned char *)parts->rows + at * layout->bytes,
					  field);
		memcpy(to + field->offset, &sum, sizeof(sum));
	}
}

// A connector that is gone from the file is shown until its last session ends. What it counted
// stays in its row, and goes on from there if it comes back.
static bool is_shown(enum row_kind kind, const unsigned char *row)
{
	const struct connector_counters *connector = (const void *)row;

	return row[0] != '\0' &&
	       (kind != ROWS_CONNECTORS || connector->listed || connector->sessions_open);
}

static void take_kind(struct view_reader *reader, enum row_kind kind)
{
	const struct row_layout *layout = &row_layouts[kind];
	struct view_rows *out = &reader->view.of[kind];

	out->count = 0;
	for (unsigned row = 0; row < reader->rows[kind].entries; row++) {
		unsigned char *to = out->rows + out->count * layout->bytes;

		copy_row(reader, kind, row, to);
		out->count += is_shown(kind, to);
	}
}

static uint64_t microseconds(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

const struct view_snapshot *view_reader_take(struct view_reader *reader)
{
	struct view_snapshot *view = &reader->view;

	view->wall_us = microseconds(CLOCK_REALTIME);
	view->now_us = microseconds(CLOCK_MONOTONIC);
	export_instance_read(&reader->instance, &view->instance);
	for (unsigned kind = 0; kind < ROW_KINDS; kind++)
		take_kind(reader, (enum row_kind)kind);
	view->pid = (int)export_instance_owner(reader->directory);
	return view;
}

bool view_reader_replaced(const struct view_reader *reader)
{
	for (unsigned kind = 0; kind < ROW_KINDS; kind++) {
		struct bpf_map_info info = {0};
		__u32 size = sizeof(info);
		int fd = pins_open_map(reader->directory, row_layouts[kind].many);
		bool same;

		if (fd < 0)
			return true;
		same = bpf_obj_get_info_by_fd(fd, &info, &size) == 0 &&
		       info.id == reader->rows[kind].id;
		close(fd);
		if (!same)
			return true;
	}
	return false;
}

const void *view_row_at(const struct view_snapshot *view, enum row_kind kind, unsigned index)
{
	return view->of[kind].rows + index * row_layouts[kind].bytes;
}

const void *view_row(const struct view_snapshot *view, enum row_kind kind, const char *name)
{
	const struct row_layout *layout = &row_layouts[kind];

	for (unsigned i = 0; i < view->of[kind].count; i++) {
		const char *row = view_row_at(view, kind, i);

		if (strnlen(row, layout->name_bytes) == strlen(name) &&
		    strncmp(row, name, layout->name_bytes) == 0)
			return row;
	}
	return NULL;
}

uint64_t view_sum(const struct view_snapshot *view, enum row_kind kind, const char *field)
{
	const struct row_field *found = row_field(kind, field);
	uint64_t sum = 0;

	for (unsigned i = 0; i < view->of[kind].count; i++)
		sum += row_number(view_row_at(view, kind, i), found);
	return sum;
}
