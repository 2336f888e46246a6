// SPDX-License-Identifier: BSD-3-Clause
//
// Which sources are banned, until when, and how often in a row: one fixed table shared by all
// workers and the main thread. Atomics, no locks, no allocation after bans_create. A worker looks a
// source up for SYNs and other segments without a connection, and writes when it bans one; the main
// thread walks along the places, ends what is over, and keeps the table and the map of the XDP
// program alike. While nobody is banned a look-up is one load of one word.
//
// A ban that is over stays as a remembrance: who offends again within `remembered_s` is banned for
// twice as long. Full table: whoever's ban ends first makes room, remembrances before bans; a
// newcomer who would end before all of them is not banned. So whoever has many sources displaces
// short bans of his own kind, and neither repeated offenders' nor those set by hand.
//
// Does not know what an offence is, who is exempt, nor that there is a map.
#ifndef RELAYGATE_GATE_BANS_H
#define RELAYGATE_GATE_BANS_H

#include "dataplane/base/hash.h"

#define BANS_FOR_EVER  ((1ull << 34) - 1) // as until_s: in the year 2514
#define BANS_LEVEL_MAX 63

struct bans;

// One source's. Sources are numbers as sources_number makes them.
struct ban_state {
	uint64_t until_s; // since 1970-01-01 UTC
	uint16_t reason;  // enum reason of the last offence; 0 = by hand
	uint8_t level;    // how often in a row; 0 = by hand
	bool shared;      // it is in the map, as it is here
	bool ended;       // a remembrance: it was told that the ban is over
};

// Room for so many bans and remembrances. NULL when out of memory.
struct bans *bans_create(uint32_t entries, const struct hash_key *key);
void bans_destroy(struct bans *bans); // NULL is fine
size_t bans_memory(const struct bans *bans);
uint32_t bans_used(const struct bans *bans);   // entries, remembrances too
uint32_t bans_active(const struct bans *bans); // entries that are not remembrances

// Raised with each ban that is made: whose sessions are to be closed is to be looked for again.
uint32_t bans_generation(const struct bans *bans);

// ---- Workers
bool bans_any(const struct bans *bans);
// Brings the source's places into the cache; nothing while nobody is banned.
void bans_prefetch(const struct bans *bans, uint64_t source);
bool bans_hold(const struct bans *bans, uint64_t source, uint64_t now_s);

struct bans_terms {
	uint32_t time_s;       // of a first ban; doubled with each further one
	uint32_t time_max_s;   // and never longer than this
	uint32_t remembered_s; // after its end
};
enum bans_result {
	BANS_DONE,
	BANS_ALREADY,   // nothing changed
	BANS_MADE_ROOM, // done, and another ban was given up
	BANS_FULL,      // not done: all others end later
};
// Bans an offender. *state is what it has now.
enum bans_result bans_offender(struct bans *bans, uint64_t source, uint16_t reason,
			       const struct bans_terms *terms, uint64_t now_s,
			       struct ban_state *state);

// ---- The main thread
// Makes an entry, or changes it to this.
enum bans_result bans_set(struct bans *bans, uint64_t source, const struct ban_state *state);
bool bans_find(const struct bans *bans, uint64_t source, uint32_t *place, struct ban_state *state);
// Places are numbered from 0. False when nothing stands there.
uint32_t bans_places(const struct bans *bans);
bool bans_at(const struct bans *bans, uint32_t place, uint64_t *source, struct ban_state *state);
// Changes, or takes out, what stands there if it still is `from`; false when a worker changed it.
bool bans_change(struct bans *bans, uint32_t place, const struct ban_state *from,
		 const struct ban_state *to);
bool bans_remove(struct bans *bans, uint32_t place, const struct ban_state *from);

#endif
