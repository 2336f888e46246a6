// SPDX-License-Identifier: BSD-3-Clause
//
// The kinds of rows that an instance pins, as data: where a row has its name, its second text and
// its numbers, and what each means. Made from the lists of counters.h and state.h, so that tables,
// JSON, Prometheus and telemetry need no list of their own.
#ifndef RELAYGATE_BPF_ROWS_H
#define RELAYGATE_BPF_ROWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum row_kind {
	ROWS_CONNECTORS,
	ROWS_REASONS,
	ROWS_PORTS,
	ROWS_WORKERS,
	ROWS_SERVERS,
	ROWS_OFFENDERS,
	ROW_KINDS
};

// A 64-bit number of a row.
struct row_field {
	const char *name;
	const char *help; // a gauge's without "gauge: "
	size_t offset;
	bool gauge;
};

struct row_layout {
	const char *one, *many; // "connector", "connectors"; the latter is the map's name, too
	const char *worker_map; // its rows are to be added up: worker x rows + row; NULL = none
	const char *second;     // what the second text is called; NULL = there is none
	size_t bytes;           // of a row
	size_t name_bytes;      // the name is at the row's start, NUL-padded
	size_t second_offset, second_bytes;
	const struct row_field *fields;
	unsigned field_count;
};

extern const struct row_layout row_layouts[ROW_KINDS];

static inline uint64_t row_number(const void *row, const struct row_field *field)
{
	return __atomic_load_n((const uint64_t *)((const char *)row + field->offset),
			       __ATOMIC_RELAXED);
}

// The row's name or second text, NUL-ended.
#define ROW_TEXT_MAX 65
const char *row_name(const struct row_layout *layout, const void *row, char text[ROW_TEXT_MAX]);
const char *row_second(const struct row_layout *layout, const void *row, char text[ROW_TEXT_MAX]);

// The field of this name, which must exist.
const struct row_field *row_field(enum row_kind kind, const char *name);

#endif
