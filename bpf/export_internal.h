// SPDX-License-Identifier: BSD-3-Clause
//
// What export.c, export_maps.c and xdp.c share of one instance. Nobody outside bpf/ includes this.
#ifndef RELAYGATE_BPF_EXPORT_INTERNAL_H
#define RELAYGATE_BPF_EXPORT_INTERNAL_H

#include "bpf/export.h"
#include "bpf/table.h"

struct pin_journal;
struct counters_bpf; // the loaded object: bpftool's skeleton of counters.bpf.c
struct steered;      // an interface with our XDP program: xdp.c

// In the order in which pinned ones are looked at: what others need to be adopted comes first.
enum export_map {
	EXPORT_MAP_CONNECTORS,
	EXPORT_MAP_REASONS,
	EXPORT_MAP_PORTS,
	EXPORT_MAP_CONNECTORS_WORKER,
	EXPORT_MAP_REASONS_WORKER,
	EXPORT_MAP_PORTS_WORKER,
	EXPORT_MAP_LOG,
	EXPORT_MAP_WORKERS,
	EXPORT_MAP_SERVERS,
	EXPORT_MAP_OFFENDERS,
	EXPORT_MAP_CAPTURE,
	EXPORT_MAP_CAPTURED,
	EXPORT_MAP_INSTANCE,
	EXPORT_MAP_REQUESTS,
	EXPORT_MAPS
};

struct export_memory {
	void *start; // NULL = not mapped
	size_t bytes;
	bool adopted; // from a former instance, with its content
	// Rows of a former instance whose map had another size.
	unsigned char *former_rows;
	unsigned former_count;
	void *before; // until the start is over: what an adopted map held, if we change it
};

struct export
{
	char *directory;
	int lock;                    // descriptor of the directory, holds the lock
	bool created;                // the directory
	struct pin_journal *journal; // until the start is over
	struct export_shape shape;
	struct counters_bpf *bpf;
	struct export_memory memory[EXPORT_MAPS];
	struct table connectors, reasons, ports;
	struct steered *steered; // list
	bool bans_adopted;
	int former_bans; // the map of another size that held them; -1 = none
};

// Opens, adopts, loads, pins and maps the counter maps and attaches the tables.
int export_maps_load(struct export *export, char error[EXPORT_ERROR_MAX]);
// Pins in place of what is there, which comes back if the start fails.
int export_maps_pin(struct export *export, int fd, const char *name);
// What adopted maps held comes back, or is forgotten.
void export_maps_restore(struct export *export);
void export_maps_settle(struct export *export);
void export_maps_unload(struct export *export);
// Widens the tables' first column for a name of this length.
void export_maps_widen(struct export *export, const struct table *table, size_t length);
// The map of bans, before and after the maps are loaded; what is left of a former one is closed.
int export_bans_adopt(struct export *export, char error[EXPORT_ERROR_MAX]);
int export_bans_pin(struct export *export, char error[EXPORT_ERROR_MAX]);
void export_bans_forget(struct export *export);
// Forgets every interface: closes descriptors, leaves programs and pins as they are.
void export_xdp_forget(struct export *export);

#endif
