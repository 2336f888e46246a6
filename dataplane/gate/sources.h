// SPDX-License-Identifier: BSD-3-Clause
//
// Who is connected how often: one fixed table for the whole gate, shared by all workers, since one
// source's flows belong to any of them. An entry is a source (an IPv4 address or an IPv6 /64) or a
// prefix around it, at one connector: its open sessions, and its connections a minute as one time.
// A third kind of entry is a source's score of offences, over all connectors. Beside the entries,
// the open sessions of each connector. Touched when a session opens, closes or offends, never per
// packet: atomics, no locks, no allocation after sources_create.
//
// A flood of forged SYNs neither fills nor poisons it: entries are made for completed handshakes
// only, by someone who gets what is sent to his address. At a SYN there is only sources_look, which
// writes nothing: whoever forges another's address changes no count of his. How many SYNs a
// connector answers a second is counted without looking at their sources (gate/admission), and what
// they cost is bounded by the SYN cookie: no memory at all.
//
// An entry without a session, whose time has passed, is free to be another's: aging needs no timer.
// A source has 8 places, by a keyed hash: nobody can foretell whose places are the same. When all
// of them are others' the table says so and remembers nothing: the caller counts that and lets the
// connection in. Two workers that meet the same new source at once may give it two entries, which
// lets in more for as long as both live and never refuses more.
//
// Does not know what a limit is for, nor what happens to whoever is above one (gate/admission), nor
// when a score is too high.
#ifndef RELAYGATE_GATE_SOURCES_H
#define RELAYGATE_GATE_SOURCES_H

#include "dataplane/base/hash.h"

#define SOURCES_UNLIMITED UINT32_MAX
#define SOURCES_SCORE_MAX 1000000u

struct sources;

struct sources_settings {
	uint32_t entries;    // rounded up to a power of two; at most 2^23
	uint8_t ipv4_prefix; // of the second kind of entry, 0 to 32
	uint8_t ipv6_prefix; // 0 to 64
	uint64_t point_us;   // a score falls by one point in this time
	struct hash_key key; // secret
};

// NULL when out of memory.
struct sources *sources_create(const struct sources_settings *settings);
void sources_destroy(struct sources *sources); // NULL is fine

// What a source is, as one number: the upper half of an IPv6 address, an IPv4 address behind
// ff00::, where no source can be.
uint64_t sources_number(const struct address *address);

enum sources_scope { SOURCES_SOURCE, SOURCES_PREFIX, SOURCES_SCORE };

struct sources_name {
	enum sources_scope scope;
	uint16_t connector; // any number that is the connector's as long as its sessions live
	const struct address *address;
};

// One session's hold on an entry: its place, and the generation of what stands there.
typedef uint32_t sources_hold;
#define SOURCES_NO_HOLD UINT32_MAX

enum sources_result {
	SOURCES_HELD,
	SOURCES_AT_LIMIT, // `limit` sessions are open; nothing was counted
	SOURCES_FULL,     // no place for one more entry; nothing was counted
};

// Counts one more open session of the name. *hold is to be given back by sources_close, once.
enum sources_result sources_open(struct sources *sources, const struct sources_name *name,
				 uint32_t limit, uint64_t now_us, sources_hold *hold);
void sources_close(struct sources *sources, sources_hold hold);

// So many connections in any interval that begins with the first one after a rest; they come back
// one by one, evenly over the interval.
struct sources_rate {
	uint32_t connections; // at least one
	uint32_t interval_us; // at least `connections`
};
// One connection more of the entry. False, and not counted, when the rate is used up.
bool sources_take(struct sources *sources, sources_hold hold, const struct sources_rate *rate,
		  uint64_t now_us);

// What is known of a name; all zero when there is no entry. Writes nothing.
struct sources_level {
	uint32_t sessions;
	uint64_t until_us; // when its connections a minute are all there again
};
struct sources_level sources_look(const struct sources *sources, const struct sources_name *name);
// Would sources_take say yes?
bool sources_may_take(const struct sources_level *level, const struct sources_rate *rate,
		      uint64_t now_us);

// Adds to the score of a source. Returns the new one, at most SOURCES_SCORE_MAX; 0 when there is no
// place for it (to be counted by the caller).
uint32_t sources_offend(struct sources *sources, const struct address *address, uint32_t points,
			uint64_t now_us);
uint32_t sources_score(const struct sources *sources, const struct address *address,
		       uint64_t now_us);
// Where sources_remembers looks for an address, never 0; fetches it ahead.
uint64_t sources_look_ahead(const struct sources *sources, const struct address *address);
// The same of at most HASH_BURST.
void sources_look_ahead_all(const struct sources *sources, const struct address *const addresses[],
			    unsigned count, uint64_t places[]);
// Did it complete a handshake, at any connector, and no other source took its place since? Writes
// nothing.
bool sources_remembers(const struct sources *sources, uint64_t place);
// Its open sessions over all connectors.
uint32_t sources_open_sessions(const struct sources *sources, const struct address *address);

// The open sessions of a connector, whoever's they are. False when `limit` of them are open.
bool sources_open_connector(struct sources *sources, uint16_t connector, uint32_t limit);
void sources_close_connector(struct sources *sources, uint16_t connector);
uint32_t sources_connector_sessions(const struct sources *sources, uint16_t connector);

// For tests and status; walks the whole table.
struct sources_totals {
	uint32_t entries;            // places
	uint32_t used;               // those that are nobody else's to take
	uint64_t sessions;           // holds that were not given back
	uint64_t connector_sessions; // sum over the connectors
};
struct sources_totals sources_totals(const struct sources *sources, uint64_t now_us);

#endif
