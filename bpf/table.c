// SPDX-License-Identifier: BSD-3-Clause
//
// Counters of running workers are read, and totals written, with relaxed atomics: each value is
// whole, though a row's values may stem from slightly different moments. A new name is written
// last, after the row's counters were emptied: no reader sees a name with another's figures.
#include "bpf/table.h"

#include "bpf/counters.h"
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const char *const connector_help[] = {
#define X(name, help) help,
	CONNECTOR_COUNTERS(X)
#undef X
};

static const char *const port_help[] = {
#define X(name, help) help,
	PORT_COUNTERS(X)
#undef X
};

static const char *const reason_help[] = {"frames, commands or events with this reason"};

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

const struct table_kind table_connectors = {
	.row_bytes = sizeof(struct connector_counters),
	.name_bytes = sizeof(((struct connector_counters *)0)->name),
	.counters_offset = sizeof(((struct connector_counters *)0)->name),
	.counters = COUNT_OF(connector_help),
	.help = connector_help,
};

const struct table_kind table_reasons = {
	.row_bytes = sizeof(struct reason_counter),
	.name_bytes = sizeof(((struct reason_counter *)0)->name),
	.counters_offset = offsetof(struct reason_counter, count),
	.counters = COUNT_OF(reason_help),
	.help = reason_help,
	.numbered = true,
};

const struct table_kind table_ports = {
	.row_bytes = sizeof(struct port_counters),
	.name_bytes = sizeof(((struct port_counters *)0)->name),
	.counters_offset = sizeof(((struct port_counters *)0)->name),
	.counters = COUNT_OF(port_help),
	.help = port_help,
};

static unsigned char *worker_row(const struct table *table, unsigned worker, unsigned row)
{
	return table->worker_rows + ((size_t)worker * table->rows + row) * table->kind->row_bytes;
}

static unsigned char *total_row(const struct table *table, unsigned row)
{
	return table->totals + (size_t)row * table->kind->row_bytes;
}

// Rows are 64-byte aligned in their maps, and counters 8-byte aligned in them.
static uint64_t *counters_of(const struct table *table, unsigned char *row)
{
	return (uint64_t *)(void *)(row + table->kind->counters_offset);
}

static void counter_store(uint64_t *counter, uint64_t value)
{
	__atomic_store_n(counter, value, __ATOMIC_RELAXED);
}

static uint64_t counter_load(const uint64_t *counter)
{
	return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

static bool same_name(const struct table *table, const unsigned char *a, const unsigned char *b)
{
	return memcmp(a, b, table->kind->name_bytes) == 0;
}

static bool is_gauge(const struct table *table, unsigned counter)
{
	static const char mark[] = "gauge:";

	return strncmp(table->kind->help[counter], mark, sizeof(mark) - 1) == 0;
}

int table_init(struct table *table, const struct table_kind *kind, unsigned workers, unsigned rows)
{
	*table = (struct table){.kind = kind, .workers = workers, .rows = rows};
	table->used = calloc(rows, sizeof(*table->used));
	return table->used ? 0 : -ENOMEM;
}

void table_fini(struct table *table)
{
	free(table->used);
	table->used = NULL;
}

// Moves from's counters into to, one by one: dying in between loses at most the one in hand.
static void move_counters(const struct table *table, unsigned char *to, unsigned char *from)
{
	uint64_t *target = counters_of(table, to), *source = counters_of(table, from);

	for (unsigned i = 0; i < table->kind->counters; i++) {
		uint64_t value = counter_load(&source[i]);

		counter_store(&source[i], 0);
		if (!is_gauge(table, i))
			counter_store(&target[i], counter_load(&target[i]) + value);
	}
}

static void empty_row(const struct table *table, unsigned char *row)
{
	uint64_t *counters = counters_of(table, row);

	for (unsigned i = 0; i < table->kind->counters; i++)
		counter_store(&counters[i], 0);
}

void table_fold(struct table *table)
{
	for (unsigned row = 0; row < table->rows; row++) {
		unsigned char *first = worker_row(table, 0, row);
		uint64_t *counters = counters_of(table, first);

		for (unsigned i = 0; i < table->kind->counters; i++) {
			if (is_gauge(table, i))
				counter_store(&counters[i], 0);
		}
		for (unsigned worker = 1; worker < table->workers; worker++) {
			unsigned char *other = worker_row(table, worker, row);

			// A former instance died while it gave the row a new name: its counters
			// were emptied before, so there is nothing to carry over.
			if (same_name(table, other, first))
				move_counters(table, first, other);
			else
				empty_row(table, other);
			memcpy(other, first, table->kind->name_bytes);
		}
		memcpy(total_row(table, row), first, table->kind->name_bytes);
	}
}

// Empties the row, then names it everywhere. Row names of other lengths than 64 are NUL-padded.
static void name_row(struct table *table, unsigned row, const char *name, size_t length)
{
	char padded[COUNTERS_NAME_BYTES] = {0};

	memcpy(padded, name, length);
	for (unsigned worker = 0; worker <= table->workers; worker++) {
		unsigned char *target = worker < table->workers ? worker_row(table, worker, row)
								: total_row(table, row);

		memset(target, 0, table->kind->name_bytes);
		empty_row(table, target);
		__atomic_thread_fence(__ATOMIC_RELEASE);
		memcpy(target, padded, table->kind->name_bytes);
	}
}

static int find_row(const struct table *table, const char *name, size_t length)
{
	char padded[COUNTERS_NAME_BYTES] = {0};

	memcpy(padded, name, length);
	for (unsigned row = 0; row < table->rows; row++) {
		if (memcmp(total_row(table, row), padded, table->kind->name_bytes) == 0)
			return (int)row;
	}
	return -ENOENT;
}

// An empty row before one with a name that is out of use.
static int spare_row(const struct table *table)
{
	int spare = -ENOSPC;

	for (unsigned row = 0; row < table->rows; row++) {
		if (total_row(table, row)[0] == '\0')
			return (int)row;
		if (spare < 0 && !table->used[row])
			spare = (int)row;
	}
	return spare;
}

void table_name(struct table *table, unsigned row, const char *name)
{
	size_t length = strlen(name);

	assert(row < table->rows && length <= table->kind->name_bytes);
	if (find_row(table, name, length) != (int)row)
		name_row(table, row, name, length);
}

// Adds the former rows of this name to worker 0's row.
static void claim_former(struct table *table, unsigned row, const unsigned char *name)
{
	unsigned char *first = worker_row(table, 0, row);

	for (unsigned i = 0; i < table->former_count; i++) {
		unsigned char *former = table->former + (size_t)i * table->kind->row_bytes;

		if (same_name(table, former, name))
			move_counters(table, first, former);
	}
}

void table_import(struct table *table, unsigned char *rows, unsigned count)
{
	table->former = rows;
	table->former_count = count;
	for (unsigned i = 0; i < count; i++) {
		const unsigned char *former = rows + (size_t)i * table->kind->row_bytes;
		const char *name = (const char *)former;
		size_t length = strnlen(name, table->kind->name_bytes);
		int row;

		if (length == 0)
			continue;
		row = find_row(table, name, length);
		if (row < 0) {
			row = table->kind->numbered ? -ENOENT : spare_row(table);
			if (row < 0 || total_row(table, (unsigned)row)[0] != '\0')
				continue; // a reason of another version, or no room
			name_row(table, (unsigned)row, name, length);
		}
		claim_former(table, (unsigned)row, former);
	}
}

int table_slot(struct table *table, const char *name, size_t length)
{
	int row;

	assert(length > 0 && length <= table->kind->name_bytes);
	row = find_row(table, name, length);
	if (row < 0) {
		row = spare_row(table);
		if (row < 0)
			return row;
		name_row(table, (unsigned)row, name, length);
		claim_former(table, (unsigned)row, total_row(table, (unsigned)row));
	}
	table->used[row] = true;
	return row;
}

void table_release(struct table *table, unsigned row)
{
	assert(row < table->rows);
	table->used[row] = false;
}

void table_sum(struct table *table)
{
	for (unsigned row = 0; row < table->rows; row++) {
		uint64_t *totals = counters_of(table, total_row(table, row));

		if (total_row(table, row)[0] == '\0')
			continue;
		for (unsigned i = 0; i < table->kind->counters; i++) {
			uint64_t sum = 0;

			for (unsigned worker = 0; worker < table->workers; worker++) {
				unsigned char *part = worker_row(table, worker, row);

				sum += counter_load(&counters_of(table, part)[i]);
			}
			counter_store(&totals[i], sum);
		}
	}
}
