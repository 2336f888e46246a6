// SPDX-License-Identifier: BSD-3-Clause
//
// The only user of libbpf: makes, adopts and pins the counter maps, hands out their memory,
// attaches the cat-able tables, and looks after the XDP program that steers our flows into AF_XDP.
// Cold path only; control/ calls it from its own thread. Errors are -errno and a line for a person.
//
// Pins in the instance's directory: the arrays of export_maps.c's list, bans (hash), and a
// NAME_table (iterator) for connectors, reasons, ports, bans, workers, servers and offenders.
#ifndef RELAYGATE_BPF_EXPORT_H
#define RELAYGATE_BPF_EXPORT_H

#include "bpf/capture.h"
#include "bpf/counters.h"
#include "bpf/state.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EXPORT_ERROR_MAX 256

struct export;

struct export_shape {
	unsigned workers;
	unsigned connectors_max; // rows a worker
	unsigned ports_max;
	unsigned log_records; // a worker
	unsigned servers_max; // of all backends
	unsigned bans_max;    // sources that may be banned at once
};

// A worker's rows, plain memory shared with the maps: written with plain stores, no system call.
struct export_worker {
	struct connector_counters *connectors; // [connectors_max]
	struct reason_counter *reasons;        // [REASON_COUNT]
	struct port_counters *ports;           // [ports_max]
	struct log_record *log;                // [log_records]
	uint64_t log_sequence; // of the newest record in log, 0 = none: the next one is + 1
	struct worker_counters *state;
	const struct capture_order *capture; // what another process wants to be captured
	struct capture_record *captured;     // [CAPTURE_RECORDS]
	uint64_t captured_sequence;
};

// Creates directory (mode 0700) or adopts the maps pinned there when their layout and shape are
// ours; rows of earlier workers are folded into worker 0, and gauges start from 0. If only the
// shape changed, new maps take over what was counted, by name; the log starts empty if its rings or
// the list of reasons changed. On failure error gets one line that says what to do: not root, no
// bpffs there (-EINVAL), directory in use by a live instance (-EBUSY). On success it is empty, or a
// line on what this kernel cannot offer.
int export_open(const char *directory, const struct export_shape *shape, struct export **out,
		char error[EXPORT_ERROR_MAX]);
// The start is over: what it replaced is forgotten. Until then export_abandon() ends it.
void export_settle(struct export *export);
// The start failed: the pins and what they hold are as export_open() found them, as far as the
// process still may; a directory that it made goes, too.
void export_abandon(struct export *export);
// Leaves the pins; adds the totals up a last time.
void export_close(struct export *export);
// Removes every pin and the directory: what `relaygate run` does at a clean stop if told so. After
// export_close(): -EBUSY while an instance has the directory open.
int export_remove(const char *directory, char error[EXPORT_ERROR_MAX]);

struct export_worker export_worker(struct export *export, unsigned worker);
// Gives a name its row, the same as before a restart; a new name takes a free row, and only when
// none is free the row of a name that is no longer in use. Counters go on from what the row holds.
// -ENOSPC when all are in use, -EINVAL when the name is empty or longer than 64 bytes.
int export_connector_slot(struct export *export, const char *name, unsigned *slot);
int export_port_slot(struct export *export, const char *name, unsigned *slot);
// The name left the configuration, and no worker counts in its row any more (its last session is
// gone). The row stays readable under its name until a new name finds no empty one.
void export_connector_release(struct export *export, unsigned slot);
void export_port_release(struct export *export, unsigned slot);
// The connectors of the policy in force, all of them: their gauge `listed` is 1, that of others 0.
void export_connectors_listed(struct export *export, const uint16_t *slots, unsigned count);
// The map of banned sources (ban_map.h), kept from a former instance, whatever its size was, as
// long as its layout is ours. Belongs to the export.
int export_bans(const struct export *export);
// Adds the workers' rows up into the totals (connectors, reasons, ports). Every 100 ms.
void export_sum(struct export *export);

// Rows without workers, written by control: [shape.servers_max] and [OFFENDERS_SHOWN], those that
// are not in use all zero. What a former instance wrote is gone.
struct server_counters *export_servers(struct export *export);
struct offender_counters *export_offenders(struct export *export);
// The row in which the gate tells of itself (written by the caller's one thread, see counters.h;
// a former instance's content is there until it is overwritten), and the one in which others ask.
struct instance_record *export_instance(struct export *export);
const struct request_record *export_requests(const struct export *export);

// Gives the pins and the directory to a user, so that they can be removed after root was dropped;
// or takes them back from one whom a former instance gave them to.
int export_chown(struct export *export, uint32_t uid, uint32_t gid);

// ---- The XDP program of an af_xdp port -------------------------------------------------------

// What the program takes off the interface; everything else goes on to the kernel.
struct export_steering {
	const uint8_t (*addresses)[16]; // ours: ARP, neighbour discovery, ICMP; network byte order
	unsigned address_count;
	const uint8_t (*binding_addresses)[16]; // TCP to these; all zero / ::ffff:0:0 = any of ours
	const uint16_t *binding_ports;          // host byte order
	unsigned binding_count;
	const uint8_t (*server_addresses)[16]; // TCP from these
	const uint16_t *server_ports;
	unsigned server_count;
	uint16_t vlan;      // 0 = untagged
	bool answer_banned; // banned sources are the gate's, too: nothing is dropped
};

// A path under which the embedded object can be opened for net_af_xdp's xdp_prog argument; lives
// as long as the process. NULL and errno when it cannot be made.
const char *export_xdp_object_path(void);
// Before the port opens, after export_open() of directory: detaches a program of ours that a dead
// instance left on the interface and turns promiscuous mode off if that instance left it on; notes
// the mode as it is now. -EBUSY with a line when a program is there that is alive or not ours,
// -ENODEV when there is no such interface.
int export_xdp_reclaim(const char *interface, const char *directory, char error[EXPORT_ERROR_MAX]);
// After queue set-up: finds the program by bpf_xdp_query_id and its maps by id, pins them in the
// instance's directory as xdp_INTERFACE_* (a dot in the name becomes a colon), and fills them.
// Until then every frame goes to the kernel. -E2BIG names a list that is too long.
int export_xdp_adopt(struct export *export, const char *interface,
		     const struct export_steering *steering, char error[EXPORT_ERROR_MAX]);
// New lists for an adopted interface, at a reload: needs no privilege and interrupts nothing.
int export_xdp_update(struct export *export, const char *interface,
		      const struct export_steering *steering, char error[EXPORT_ERROR_MAX]);
// Frames of banned sources that the interface's program has dropped since it was attached. 0 or
// -errno.
int export_xdp_dropped(struct export *export, const char *interface, uint64_t *frames);
// At stop, after the port was closed: detaches what is still attached, unpins, and restores
// promiscuous mode. Without the privilege the rest is left to the next start's reclaim.
void export_xdp_release(struct export *export, const char *interface);

#endif
