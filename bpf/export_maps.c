// SPDX-License-Identifier: BSD-3-Clause
//
// The counter maps of one instance: sized, adopted from a former instance or made, pinned, mapped
// into our memory, and their tables attached. The rows' meaning is table.c's; names and slots are
// export.c's.
//
// A pinned map is adopted when its rows have our layout and its size is ours. If only the size
// differs (more workers, a longer list of reasons), a new map takes its pin and the old rows are
// kept for table_import(). Any other map is replaced.
#include "bpf/export_internal.h"

#include "bpf/layout.h"
#include "bpf/message.h"
#include "bpf/pin_journal.h"
#include "bpf/pins.h"
#include "counters.skel.h"
#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct map_row {
	const char *name; // of the map and of its pin
	struct bpf_map *(*map)(const struct counters_bpf *bpf);
	uint64_t (*entries)(const struct export_shape *shape);
	enum export_map needs; // adopted only together with this one; EXPORT_MAPS = none
	bool by_name;          // rows that are carried over by name when they cannot be adopted
	bool listed;           // rows are numbered by the list of reasons
	bool others;           // a start changes nothing in it
};

#define MAP_OF(name)                                                                               \
	static struct bpf_map *map_##name(const struct counters_bpf *bpf)                          \
	{                                                                                          \
		return bpf->maps.name;                                                             \
	}
MAP_OF(connectors_worker)
MAP_OF(connectors)
MAP_OF(reasons_worker)
MAP_OF(reasons)
MAP_OF(ports_worker)
MAP_OF(ports)
MAP_OF(log)
MAP_OF(workers)
MAP_OF(servers)
MAP_OF(offenders)
MAP_OF(capture)
MAP_OF(captured)
MAP_OF(instance)
MAP_OF(requests)
#undef MAP_OF

static uint64_t connectors_worker_entries(const struct export_shape *shape)
{
	return (uint64_t)shape->workers * shape->connectors_max;
}

static uint64_t connectors_entries(const struct export_shape *shape)
{
	return shape->connectors_max;
}

static uint64_t reasons_worker_entries(const struct export_shape *shape)
{
	return (uint64_t)shape->workers * REASON_COUNT;
}

static uint64_t reasons_entries(const struct export_shape *shape)
{
	return REASON_COUNT;
}

static uint64_t ports_worker_entries(const struct export_shape *shape)
{
	return (uint64_t)shape->workers * shape->ports_max;
}

static uint64_t ports_entries(const struct export_shape *shape)
{
	return shape->ports_max;
}

static uint64_t log_entries(const struct export_shape *shape)
{
	// A map needs an entry; with a log of no records it stays empty.
	return (uint64_t)shape->workers * (shape->log_records ? shape->log_records : 1);
}

static uint64_t workers_entries(const struct export_shape *shape)
{
	return shape->workers;
}

static uint64_t servers_entries(const struct export_shape *shape)
{
	return shape->servers_max ? shape->servers_max : 1; // a map needs an entry
}

static uint64_t offenders_entries(const struct export_shape *shape)
{
	return OFFENDERS_SHOWN;
}

static uint64_t captured_entries(const struct export_shape *shape)
{
	return (uint64_t)shape->workers * CAPTURE_RECORDS;
}

static uint64_t one_entry(const struct export_shape *shape)
{
	(void)shape;
	return 1;
}

// The totals' rows say which row is whose: a worker's rows need them. Log records hold reasons by
// number, and the readers count rings by the workers' reasons.
#define MAP_ROW(name) #name, map_##name, name##_entries
static const struct map_row map_rows[EXPORT_MAPS] = {
	[EXPORT_MAP_CONNECTORS] = {MAP_ROW(connectors), EXPORT_MAPS, false, false},
	[EXPORT_MAP_REASONS] = {MAP_ROW(reasons), EXPORT_MAPS, false, true},
	[EXPORT_MAP_PORTS] = {MAP_ROW(ports), EXPORT_MAPS, false, false},
	[EXPORT_MAP_CONNECTORS_WORKER] = {MAP_ROW(connectors_worker), EXPORT_MAP_CONNECTORS, true,
					  false},
	[EXPORT_MAP_REASONS_WORKER] = {MAP_ROW(reasons_worker), EXPORT_MAP_REASONS, true, true},
	[EXPORT_MAP_PORTS_WORKER] = {MAP_ROW(ports_worker), EXPORT_MAP_PORTS, true, false},
	[EXPORT_MAP_LOG] = {MAP_ROW(log), EXPORT_MAP_REASONS_WORKER, false, false, true},
	[EXPORT_MAP_WORKERS] = {MAP_ROW(workers), EXPORT_MAPS, false, false},
	[EXPORT_MAP_SERVERS] = {MAP_ROW(servers), EXPORT_MAPS, false, false},
	[EXPORT_MAP_OFFENDERS] = {MAP_ROW(offenders), EXPORT_MAPS, false, false},
	[EXPORT_MAP_CAPTURE] = {"capture", map_capture, one_entry, EXPORT_MAPS, false, false, true},
	[EXPORT_MAP_CAPTURED] = {MAP_ROW(captured), EXPORT_MAPS, false, false, true},
	[EXPORT_MAP_INSTANCE] = {"instance", map_instance, one_entry, EXPORT_MAPS, false, false},
	[EXPORT_MAP_REQUESTS] = {"requests", map_requests, one_entry, EXPORT_MAPS, false, false,
				 true},
};
#undef MAP_ROW

static const char *const reason_names[REASON_COUNT] = {
#define X(name, kind, help) [REASON_##name] = #name,
	REASONS(X)
#undef X
};

static int set_sizes(struct export *export, char error[EXPORT_ERROR_MAX])
{
	for (int i = 0; i < EXPORT_MAPS; i++) {
		struct bpf_map *map = map_rows[i].map(export->bpf);
		uint64_t entries = map_rows[i].entries(&export->shape);

		// A map's value_size x entries must stay below the kernel's 32-bit limits.
		if (entries == 0 || entries * bpf_map__value_size(map) > UINT32_MAX)
			return message_set(error, -EINVAL, "map %s: %llu rows cannot be had",
					   map_rows[i].name, (unsigned long long)entries);
		bpf_map__set_max_entries(map, (uint32_t)entries);
	}
	export->bpf->rodata->worker_count = export->shape.workers;
	export->bpf->rodata->connectors_max = export->shape.connectors_max;
	export->bpf->rodata->ports_max = export->shape.ports_max;
	return 0;
}

static void *map_memory(int fd, size_t bytes, int protection)
{
	void *start = mmap(NULL, bytes, protection, MAP_SHARED, fd, 0);

	return start == MAP_FAILED ? NULL : start;
}

// Reasons are found by number: a map made from another list must not be written by ours.
static bool reasons_in_order(const struct reason_counter *rows, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		const char *name = reason_names[i % REASON_COUNT];

		if (rows[i].name[0] && (!name || strncmp(rows[i].name, name, sizeof(rows[i].name))))
			return false;
	}
	return true;
}

// Copies the rows of a map that is about to be replaced.
static int keep_rows(int fd, size_t row_bytes, struct export_memory *memory)
{
	struct bpf_map_info info = {};
	__u32 size = sizeof(info);
	size_t bytes;
	void *rows;

	if (bpf_obj_get_info_by_fd(fd, &info, &size) < 0)
		return -errno;
	bytes = (size_t)info.max_entries * row_bytes;
	rows = map_memory(fd, bytes, PROT_READ);
	if (!rows)
		return -errno;
	memory->former_rows = malloc(bytes);
	if (memory->former_rows) {
		memcpy(memory->former_rows, rows, bytes);
		memory->former_count = info.max_entries;
	}
	munmap(rows, bytes);
	return memory->former_rows ? 0 : -ENOMEM;
}

static bool list_differs(int fd, const struct bpf_map *map)
{
	size_t bytes = (size_t)bpf_map__max_entries(map) * bpf_map__value_size(map);
	struct reason_counter *rows = map_memory(fd, bytes, PROT_READ);
	bool differs = !rows || !reasons_in_order(rows, bpf_map__max_entries(map));

	if (rows)
		munmap(rows, bytes);
	return differs;
}

static enum layout_match match_map(const struct export *export, int which, int fd)
{
	const struct bpf_map *map = map_rows[which].map(export->bpf);
	enum layout_match match = layout_compare(fd, map, bpf_object__btf(export->bpf->obj));
	enum export_map needs = map_rows[which].needs;

	if (match == LAYOUT_SAME && map_rows[which].listed && list_differs(fd, map))
		match = LAYOUT_RESIZED;
	if (match == LAYOUT_SAME && needs != EXPORT_MAPS && !export->memory[needs].adopted)
		match = LAYOUT_RESIZED;
	return match;
}

// Decides about one pinned map: adopt it, keep its rows for import, or let it be replaced.
static int adopt_map(struct export *export, int which, char error[EXPORT_ERROR_MAX])
{
	const struct map_row *row = &map_rows[which];
	struct bpf_map *map = row->map(export->bpf);
	struct export_memory *memory = &export->memory[which];
	int fd = pins_open_map(export->directory, row->name), result = 0;

	if (fd == -ENOENT)
		return 0;
	if (fd == -EEXIST)
		return message_set(error, fd, "%s/%s: something else than a map is pinned there",
				   export->directory, row->name);
	if (fd < 0)
		return message_failed(error, fd, export->directory, row->name);
	switch (match_map(export, which, fd)) {
	case LAYOUT_UNREADABLE:
		result = -errno;
		break;
	case LAYOUT_DIFFERS:
		break;
	case LAYOUT_RESIZED:
		if (row->by_name)
			result = keep_rows(fd, bpf_map__value_size(map), memory);
		break;
	case LAYOUT_SAME:
		result = bpf_map__reuse_fd(map, fd);
		memory->adopted = result == 0;
		break;
	}
	close(fd);
	return result ? message_failed(error, result, export->directory, row->name) : 0;
}

// Loads maps and programs. A kernel without BTF runs no iterators: then there are no tables.
static int load(struct export *export, char error[EXPORT_ERROR_MAX])
{
	bool tables = access("/sys/kernel/btf/vmlinux", R_OK) == 0;
	struct bpf_program *program;
	int result;

	bpf_object__for_each_program(program, export->bpf->obj)
		bpf_program__set_autoload(program, tables);
	result = counters_bpf__load(export->bpf);
	if (result)
		return message_failed(error, result, export->directory, "load the counter maps");
	if (!tables)
		message_set(error, 0,
			    "this kernel has no BTF (/sys/kernel/btf/vmlinux): the counters are "
			    "there, the tables to cat are not");
	return 0;
}

static int pin_and_map(struct export *export, int which, char error[EXPORT_ERROR_MAX])
{
	const struct map_row *row = &map_rows[which];
	struct bpf_map *map = row->map(export->bpf);
	struct export_memory *memory = &export->memory[which];
	int result = 0;

	if (!memory->adopted)
		result = export_maps_pin(export, bpf_map__fd(map), row->name);
	if (result)
		return message_failed(error, result, export->directory, "pin a map");
	memory->bytes = (size_t)bpf_map__max_entries(map) * bpf_map__value_size(map);
	memory->start = map_memory(bpf_map__fd(map), memory->bytes, PROT_READ | PROT_WRITE);
	if (!memory->start)
		return message_failed(error, -errno, export->directory, "map the counters");
	return 0;
}

int export_maps_pin(struct export *export, int fd, const char *name)
{
	int result = pin_journal_keep(export->journal, name);

	return result ? result : pins_replace(fd, export->directory, name);
}

static int attach_table(struct export *export, const struct bpf_program *program,
			const struct bpf_map *map, const char *pin)
{
	union bpf_iter_link_info target = {.map.map_fd = (uint32_t)bpf_map__fd(map)};
	LIBBPF_OPTS(bpf_iter_attach_opts, options, .link_info = &target,
		    .link_info_len = sizeof(target));
	struct bpf_link *link = bpf_program__attach_iter(program, &options);
	int result;

	if (!link)
		return -errno;
	result = export_maps_pin(export, bpf_link__fd(link), pin);
	bpf_link__destroy(link); // the pin keeps it
	return result;
}

static int attach_tables(struct export *export, char error[EXPORT_ERROR_MAX])
{
	const struct counters_bpf *bpf = export->bpf;
	const struct {
		const struct bpf_program *program;
		const struct bpf_map *map;
		const char *pin;
	} tables[] = {
		{bpf->progs.print_connectors, bpf->maps.connectors, "connectors_table"},
		{bpf->progs.print_reasons, bpf->maps.reasons, "reasons_table"},
		{bpf->progs.print_ports, bpf->maps.ports, "ports_table"},
		{bpf->progs.print_bans, bpf->maps.bans, "bans_table"},
		{bpf->progs.print_workers, bpf->maps.workers, "workers_table"},
		{bpf->progs.print_servers, bpf->maps.servers, "servers_table"},
		{bpf->progs.print_offenders, bpf->maps.offenders, "offenders_table"},
	};

	for (unsigned i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
		int result = 0;

		if (bpf_program__fd(tables[i].program) >= 0)
			result = attach_table(export, tables[i].program, tables[i].map,
					      tables[i].pin);
		else { // a table of a former instance would print its old map
			result = pin_journal_keep(export->journal, tables[i].pin);
			pins_remove(export->directory, tables[i].pin);
		}
		if (result)
			return message_failed(error, result, export->directory, tables[i].pin);
	}
	return 0;
}

// What a start changes in the maps that it adopts.
static int keep(struct export *export, char error[EXPORT_ERROR_MAX])
{
	for (int i = 0; i < EXPORT_MAPS; i++) {
		struct export_memory *memory = &export->memory[i];

		if (!memory->adopted || map_rows[i].others)
			continue;
		memory->before = malloc(memory->bytes);
		if (!memory->before)
			return message_failed(error, -ENOMEM, export->directory, "keep a map");
		memcpy(memory->before, memory->start, memory->bytes);
	}
	return 0;
}

int export_maps_load(struct export *export, char error[EXPORT_ERROR_MAX])
{
	int result;

	export->bpf = counters_bpf__open();
	if (!export->bpf)
		return message_failed(error, -errno, export->directory, "open the counter maps");
	result = set_sizes(export, error);
	for (int i = 0; i < EXPORT_MAPS && result == 0; i++)
		result = adopt_map(export, i, error);
	if (result == 0)
		result = export_bans_adopt(export, error);
	if (result == 0)
		result = load(export, error);
	if (result == 0)
		result = export_bans_pin(export, error);
	for (int i = 0; i < EXPORT_MAPS && result == 0; i++)
		result = pin_and_map(export, i, error);
	if (result == 0)
		result = keep(export, error);
	if (result == 0)
		result = attach_tables(export, error);
	return result;
}

void export_maps_restore(struct export *export)
{
	for (int i = 0; i < EXPORT_MAPS; i++)
		if (export->memory[i].before)
			memcpy(export->memory[i].start, export->memory[i].before,
			       export->memory[i].bytes);
}

void export_maps_settle(struct export *export)
{
	for (int i = 0; i < EXPORT_MAPS; i++) {
		free(export->memory[i].before);
		export->memory[i].before = NULL;
	}
}

void export_maps_unload(struct export *export)
{
	for (int i = 0; i < EXPORT_MAPS; i++) {
		struct export_memory *memory = &export->memory[i];

		free(memory->former_rows);
		free(memory->before);
		if (memory->start)
			munmap(memory->start, memory->bytes);
		*memory = (struct export_memory){0};
	}
	export_bans_forget(export);
	counters_bpf__destroy(export->bpf);
	export->bpf = NULL;
}

void export_maps_widen(struct export *export, const struct table *table, size_t length)
{
	uint32_t *width = table == &export->connectors ? &export->bpf->data->connector_width
						       : &export->bpf->data->port_width;

	if (length > *width)
		*width = (uint32_t)length;
}
