// SPDX-License-Identifier: BSD-3-Clause
//
// Rows of named counters for several workers and their totals, as plain memory. Gives names their
// rows, adds workers' rows up, and carries rows of a former instance over. Knows where a row's name
// and counters lie, not that the memory belongs to a BPF map, and no counter by name.
#ifndef RELAYGATE_BPF_TABLE_H
#define RELAYGATE_BPF_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// The shape of one row: a name at its start, counters in one run behind it.
struct table_kind {
	size_t row_bytes;
	size_t name_bytes; // NUL-padded; a name that fills it has no NUL
	size_t counters_offset;
	unsigned counters;
	// A counter whose help opens with "gauge:" starts from 0 with the process.
	const char *const *help; // [counters]
	bool numbered;           // rows are named by table_name(): an unknown name gets none
};

struct table {
	const struct table_kind *kind;
	unsigned char *worker_rows; // [workers][rows]
	unsigned char *totals;      // [rows]
	unsigned workers;
	unsigned rows;
	bool *used; // [rows]: named in the running configuration
	// Rows of a former instance that found no room yet (borrowed): a name that gets a row
	// later still finds its counts here.
	unsigned char *former;
	unsigned former_count;
};

extern const struct table_kind table_connectors;
extern const struct table_kind table_reasons;
extern const struct table_kind table_ports;

// 0 or -ENOMEM. The rows' memory stays the caller's and keeps its content.
int table_init(struct table *table, const struct table_kind *kind, unsigned workers, unsigned rows);
void table_fini(struct table *table);

// Adds the rows of workers 1.. into worker 0 and empties them; gauges become 0. For memory that a
// former instance of the same shape left behind.
void table_fold(struct table *table);

// Names a numbered row, the same as before or emptied.
void table_name(struct table *table, unsigned row, const char *name);

// Adds rows of another number or order, found by their names. rows must live as long as the table:
// they are emptied as they are added, and what finds no room waits there for table_slot().
void table_import(struct table *table, unsigned char *rows, unsigned count);

// The row of name (length bytes, at most kind->name_bytes): the one that has it, else an empty one,
// else one that is not used, emptied. Marks it used. -ENOSPC when all are used.
int table_slot(struct table *table, const char *name, size_t length);
// The name left the configuration and no worker counts for it any more. The row keeps name and
// counters until table_slot() needs it.
void table_release(struct table *table, unsigned row);

// Writes the workers' sums into the totals.
void table_sum(struct table *table);

#endif
