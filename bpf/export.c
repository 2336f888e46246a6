// SPDX-License-Identifier: BSD-3-Clause
//
// One instance's counters from start to stop: directory and lock, maps, rows, totals. The steps
// live in pins.c, export_maps.c and table.c; the XDP side in xdp.c.
#include "bpf/export.h"

#include "bpf/export_internal.h"
#include "bpf/message.h"
#include "bpf/pin_journal.h"
#include "bpf/pins.h"
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct {
	const char *name;
	char kind[sizeof(((struct reason_counter *)0)->kind)];
} reasons_list[REASON_COUNT] = {
#define X(name, kind, help) [REASON_##name] = {#name, #kind},
	REASONS(X)
#undef X
};

// Binds a table to its two maps and takes over what a former instance counted.
static int open_table(struct export *export, struct table *table, const struct table_kind *kind,
		      const enum export_map maps[2], unsigned rows)
{
	struct export_memory *parts = &export->memory[maps[0]], *totals = &export->memory[maps[1]];
	int result = table_init(table, kind, export->shape.workers, rows);

	if (result)
		return result;
	table->worker_rows = parts->start;
	table->totals = totals->start;
	if (parts->adopted)
		table_fold(table);
	else
		memset(totals->start, 0, totals->bytes); // rows get their names anew
	return 0;
}

static void import_rows(struct export *export, struct table *table, enum export_map map)
{
	struct export_memory *memory = &export->memory[map];

	if (memory->former_rows)
		table_import(table, memory->former_rows, memory->former_count);
}

static void name_reasons(struct export *export)
{
	struct reason_counter *totals = export->memory[EXPORT_MAP_REASONS].start;
	struct reason_counter *parts = export->memory[EXPORT_MAP_REASONS_WORKER].start;

	for (unsigned reason = REASON_NONE + 1; reason < REASON_COUNT; reason++) {
		const char *kind = reasons_list[reason].kind;

		table_name(&export->reasons, reason, reasons_list[reason].name);
		memcpy(totals[reason].kind, kind, sizeof(totals[reason].kind));
		for (unsigned worker = 0; worker < export->shape.workers; worker++)
			memcpy(parts[worker * REASON_COUNT + reason].kind, kind,
			       sizeof(totals[reason].kind));
	}
}

// Names in use before count for the width of the tables' first column, too.
static void widen_for_all(struct export *export, const struct table *table)
{
	for (unsigned row = 0; row < table->rows; row++) {
		const char *name =
			(const char *)table->totals + (size_t)row * table->kind->row_bytes;

		export_maps_widen(export, table, strnlen(name, table->kind->name_bytes));
	}
}

// Workers' turns and cycles go on from what a former instance counted; a gauge is of this one.
static void open_state(struct export *export)
{
	struct worker_counters *workers = export->memory[EXPORT_MAP_WORKERS].start;

	for (unsigned i = 0; i < export->shape.workers; i++) {
		struct worker_counters *worker = &workers[i];

		snprintf(worker->name, sizeof(worker->name), "%u", i);
		static const char gauge[] = "gauge:";
#define X(field, help)                                                                             \
	if (strncmp(help, gauge, sizeof(gauge) - 1) == 0)                                          \
		worker->field = 0;
		WORKER_COUNTERS(X)
#undef X
	}
	for (unsigned i = EXPORT_MAP_SERVERS; i <= EXPORT_MAP_OFFENDERS; i++)
		memset(export->memory[i].start, 0, export->memory[i].bytes);
}

static int open_tables(struct export *export)
{
	static const enum export_map connectors[2] = {EXPORT_MAP_CONNECTORS_WORKER,
						      EXPORT_MAP_CONNECTORS};
	static const enum export_map reasons[2] = {EXPORT_MAP_REASONS_WORKER, EXPORT_MAP_REASONS};
	static const enum export_map ports[2] = {EXPORT_MAP_PORTS_WORKER, EXPORT_MAP_PORTS};
	int result = open_table(export, &export->connectors, &table_connectors, connectors,
				export->shape.connectors_max);

	if (result == 0)
		result =
			open_table(export, &export->reasons, &table_reasons, reasons, REASON_COUNT);
	if (result == 0)
		result = open_table(export, &export->ports, &table_ports, ports,
				    export->shape.ports_max);
	if (result)
		return result;
	name_reasons(export);
	import_rows(export, &export->connectors, EXPORT_MAP_CONNECTORS_WORKER);
	import_rows(export, &export->reasons, EXPORT_MAP_REASONS_WORKER);
	import_rows(export, &export->ports, EXPORT_MAP_PORTS_WORKER);
	widen_for_all(export, &export->connectors);
	widen_for_all(export, &export->ports);
	open_state(export);
	export_sum(export);
	return 0;
}

static void close_tables(struct export *export)
{
	table_fini(&export->connectors);
	table_fini(&export->reasons);
	table_fini(&export->ports);
}

int export_open(const char *directory, const struct export_shape *shape, struct export **out,
		char error[EXPORT_ERROR_MAX])
{
	struct export *export = calloc(1, sizeof(*export));
	int result;

	error[0] = '\0';
	message_capture();
	if (!export)
		return message_failed(error, -ENOMEM, directory, "open the counters");
	export->shape = *shape;
	export->former_bans = -1;
	export->directory = strdup(directory);
	if (!export->directory) {
		result = message_failed(error, -ENOMEM, directory, "open the counters");
		goto free_export;
	}
	export->lock = pins_lock(directory, &export->created, error);
	if (export->lock < 0) {
		result = export->lock;
		goto free_export;
	}
	result = pin_journal_open(export->lock, &export->journal);
	if (result)
		message_failed(error, result, directory, "list the pins");
	if (result == 0)
		result = export_maps_load(export, error);
	if (result) {
		export_abandon(export);
		return result;
	}
	result = open_tables(export);
	if (result) {
		message_failed(error, result, directory, "open the counters");
		export_abandon(export);
		return result;
	}
	*out = export;
	return 0;

free_export:
	free(export->directory);
	free(export);
	return result;
}

void export_settle(struct export *export)
{
	pin_journal_settle(export->journal);
	export->journal = NULL;
	export_maps_settle(export);
}

static void release(struct export *export)
{
	export_xdp_forget(export);
	close_tables(export);
	export_maps_unload(export);
	close(export->lock);
	free(export->directory);
	free(export);
}

void export_abandon(struct export *export)
{
	export_maps_restore(export);
	pin_journal_undo(export->journal);
	if (export->created)
		rmdir(export->directory); // goes only while it is empty
	release(export);
}

void export_close(struct export *export)
{
	if (!export)
		return;
	export_sum(export);
	export_settle(export);
	release(export);
}

int export_remove(const char *directory, char error[EXPORT_ERROR_MAX])
{
	error[0] = '\0';
	return pins_remove_all(directory, error);
}

// The highest sequence number in a worker's ring: records of a former instance stay readable, and
// the numbers go on behind them.
static uint64_t last_sequence(const struct log_record *log, unsigned records)
{
	uint64_t last = 0;

	for (unsigned i = 0; i < records; i++) {
		if (log[i].sequence > last)
			last = log[i].sequence;
	}
	return last;
}

static uint64_t last_captured(const struct capture_record *records)
{
	uint64_t last = 0;

	for (unsigned i = 0; i < CAPTURE_RECORDS; i++) {
		if (records[i].sequence > last)
			last = records[i].sequence;
	}
	return last;
}

struct export_worker export_worker(struct export *export, unsigned worker)
{
	const struct export_shape *shape = &export->shape;
	struct connector_counters *connectors = export->memory[EXPORT_MAP_CONNECTORS_WORKER].start;
	struct reason_counter *reasons = export->memory[EXPORT_MAP_REASONS_WORKER].start;
	struct port_counters *ports = export->memory[EXPORT_MAP_PORTS_WORKER].start;
	struct log_record *log = export->memory[EXPORT_MAP_LOG].start;
	struct export_worker rows;

	assert(worker < shape->workers);
	rows.connectors = connectors + (size_t)worker * shape->connectors_max;
	rows.reasons = reasons + (size_t)worker * REASON_COUNT;
	rows.ports = ports + (size_t)worker * shape->ports_max;
	rows.log = log + (size_t)worker * shape->log_records;
	rows.log_sequence = last_sequence(rows.log, shape->log_records);
	rows.state = (struct worker_counters *)export->memory[EXPORT_MAP_WORKERS].start + worker;
	rows.capture = export->memory[EXPORT_MAP_CAPTURE].start;
	rows.captured = (struct capture_record *)export->memory[EXPORT_MAP_CAPTURED].start +
			(size_t)worker * CAPTURE_RECORDS;
	rows.captured_sequence = last_captured(rows.captured);
	return rows;
}

static int slot_of(struct export *export, struct table *table, const char *name, unsigned *slot)
{
	size_t length = strlen(name);
	int row;

	if (length == 0 || length > COUNTERS_NAME_BYTES)
		return -EINVAL;
	row = table_slot(table, name, length);
	if (row < 0)
		return row;
	export_maps_widen(export, table, length);
	*slot = (unsigned)row;
	return 0;
}

int export_connector_slot(struct export *export, const char *name, unsigned *slot)
{
	return slot_of(export, &export->connectors, name, slot);
}

int export_port_slot(struct export *export, const char *name, unsigned *slot)
{
	return slot_of(export, &export->ports, name, slot);
}

void export_connector_release(struct export *export, unsigned slot)
{
	table_release(&export->connectors, slot);
}

void export_port_release(struct export *export, unsigned slot)
{
	table_release(&export->ports, slot);
}

// In the rows of worker 0, which itself never writes the gauge.
void export_connectors_listed(struct export *export, const uint16_t *slots, unsigned count)
{
	struct connector_counters *rows = export->memory[EXPORT_MAP_CONNECTORS_WORKER].start;
	bool listed[UINT16_MAX + 1] = {false};

	for (unsigned i = 0; i < count; i++)
		listed[slots[i]] = true;
	for (unsigned row = 0; row < export->shape.connectors_max; row++)
		__atomic_store_n(&rows[row].listed, row <= UINT16_MAX && listed[row],
				 __ATOMIC_RELAXED);
}

void export_sum(struct export *export)
{
	table_sum(&export->connectors);
	table_sum(&export->reasons);
	table_sum(&export->ports);
}

struct server_counters *export_servers(struct export *export)
{
	return export->memory[EXPORT_MAP_SERVERS].start;
}

struct offender_counters *export_offenders(struct export *export)
{
	return export->memory[EXPORT_MAP_OFFENDERS].start;
}

struct instance_record *export_instance(struct export *export)
{
	return export->memory[EXPORT_MAP_INSTANCE].start;
}

const struct request_record *export_requests(const struct export *export)
{
	return export->memory[EXPORT_MAP_REQUESTS].start;
}

int export_chown(struct export *export, uint32_t uid, uint32_t gid)
{
	return pins_chown(export->directory, uid, gid);
}
