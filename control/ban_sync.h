// SPDX-License-Identifier: BSD-3-Clause
//
// Keeps the gate's table of bans and the pinned map of the XDP program alike, from the main thread:
// what workers banned goes into the map once the source has no session (before, XDP would cut a
// message off), what is over leaves both, what a person put into the map or took out of it with
// bpftool or `relaygate ban` is so in the table, too. Owns the table.
#ifndef RELAYGATE_CONTROL_BAN_SYNC_H
#define RELAYGATE_CONTROL_BAN_SYNC_H

#include <stdint.h>

struct ban_sync;
struct bans;
struct policy;
struct record_ring;
struct sources;

// How far one call goes: the rows of the map that it reads, and the places of the table.
#define BAN_SYNC_ROWS   16384
#define BAN_SYNC_PLACES 65536

struct ban_sync_settings {
	const struct policy *policy; // outlives it
	int map;                     // descriptor of the pinned map (bpf/ban_map.h), likewise
};

// A table with what the map holds already. NULL when out of memory.
struct ban_sync *ban_sync_create(const struct ban_sync_settings *settings, uint64_t wall_us);
void ban_sync_destroy(struct ban_sync *sync); // NULL is fine
struct bans *ban_sync_bans(struct ban_sync *sync);
// What worker 0 is to write into the log (base/notice.h).
struct record_ring *ban_sync_notices(struct ban_sync *sync);

// Every 100 ms. Returns how many bans the map did not take, or the table one of the map's, for the
// first time: each is tried again.
unsigned ban_sync_turn(struct ban_sync *sync, const struct sources *sources, uint64_t wall_us);

#endif
