// SPDX-License-Identifier: BSD-3-Clause
//
// See ban_sync.h. Two walks, each a part of its way at a call: along the map (what is new or other
// there is taken over) and along the table (what is over, what the map lacks). A ban that is in
// both has `shared` set; one that was taken out of the map is noticed because a whole walk along
// the map did not meet it: seen[place] is the number of the walk that met it last.
#include "control/ban_sync.h"

#include "bpf/ban_map.h"
#include "config/policy.h"
#include "dataplane/base/notice.h"
#include "dataplane/base/record_ring.h"
#include "dataplane/gate/bans.h"
#include "dataplane/gate/sources.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NOTICES_BYTES (256 * 1024)
#define REFUSED       UINT16_MAX

struct ban_sync {
	const struct policy *policy; // of this call; afterwards only compared
	uint32_t unjudged;           // places that were not looked at under this policy
	int map;
	struct bans *bans;
	struct record_ring *notices;
	struct ban_map_rows *rows;
	struct ban_map_cursor cursor;
	uint16_t walk;    // number of the walk along the map that is on its way
	uint16_t *seen;   // [bans_places]; REFUSED: the map did not take it
	uint32_t place;   // where the walk along the table is
	bool quiet;       // at the start: what is taken over is no news
	unsigned refused; // in this call, for the first time
	unsigned unplaced,
		unplaced_before; // rows of the map without a place, in this walk and the last
	uint64_t now_s, wall_us;
};

// ---- Sources as the map, the table and people name them
// ------------------------------------------

static struct ban_source key_of(uint64_t source)
{
	struct ban_source key;

	for (int i = 7; i >= 0; i--, source >>= 8)
		key.prefix[i] = (uint8_t)source;
	return key;
}

static uint64_t source_of(const struct ban_source *key)
{
	uint64_t source = 0;

	for (unsigned i = 0; i < 8; i++)
		source = source << 8 | key->prefix[i];
	return source;
}

// The source's first address.
static struct address address_of(const struct ban_source *key)
{
	uint8_t bytes[16] = {0};

	if (key->prefix[0] == 0xff)
		return address_from_ipv4(key->prefix + 4);
	memcpy(bytes, key->prefix, sizeof(key->prefix));
	return address_from_ipv6(bytes);
}

static bool is_exempt(const struct ban_sync *sync, const struct ban_source *key)
{
	struct address address = address_of(key);
	struct range range = range_from_prefix(&address, address_is_ipv4(&address) ? 32 : 64);

	return policy_never_banned(sync->policy, &range, sync->wall_us);
}

static void tell(struct ban_sync *sync, const struct ban_source *key, enum reason reason,
		 const char *detail)
{
	struct address address = address_of(key);

	if (!sync->quiet)
		notice_tell(sync->notices, &address, (uint16_t)reason, detail);
}

// ---- From the map into the table
// -----------------------------------------------------------------

static uint64_t until_of(const struct ban *ban)
{
	return ban->until && ban->until < BANS_FOR_EVER ? ban->until : BANS_FOR_EVER;
}

static void take_over(struct ban_sync *sync, const struct ban_source *key, const struct ban *ban)
{
	struct ban_state state = {.until_s = until_of(ban),
				  .level = (uint8_t)(ban->level & BANS_LEVEL_MAX),
				  .reason = ban->reason < REASON_COUNT ? (uint16_t)ban->reason : 0,
				  .shared = true};
	uint64_t source = source_of(key);
	uint32_t place;

	if (bans_set(sync->bans, source, &state) == BANS_FULL ||
	    !bans_find(sync->bans, source, &place, &state)) {
		sync->unplaced++; // XDP drops it nevertheless
		return;
	}
	sync->seen[place] = sync->walk;
	tell(sync, key, REASON_source_banned, "by hand");
}

static void meet(struct ban_sync *sync, const struct ban_source *key, const struct ban *ban)
{
	struct ban_state state, changed;
	uint32_t place;
	bool known = bans_find(sync->bans, source_of(key), &place, &state);
	bool over = until_of(ban) <= sync->now_s;

	if (!known || state.ended || state.until_s <= sync->now_s) {
		bool exempt = !over && is_exempt(sync, key);

		if (over || exempt)
			ban_map_remove(sync->map, key);
		else
			take_over(sync, key, ban);
		if (exempt)
			tell(sync, key, REASON_ban_exempt, "");
		return;
	}
	sync->seen[place] = sync->walk;
	// What is over may be the end of a ban before this one, which the walk along the table
	// writes over it; of a ban that is shared, somebody has brought the end forward.
	if (state.shared ? state.until_s == until_of(ban) : over)
		return;
	changed = state;
	changed.until_s = until_of(ban);
	changed.shared = true;
	bans_change(sync->bans, place, &state, &changed);
}

static void walk_along_map(struct ban_sync *sync, unsigned rows_max)
{
	bool end = false;

	for (unsigned rows = 0; rows < rows_max && !end;) {
		int count = ban_map_read(sync->map, &sync->cursor, sync->rows, &end);

		if (count < 0)
			return; // nothing was learnt: the walk begins anew, and nobody is missed
		for (int i = 0; i < count; i++)
			meet(sync, &sync->rows->sources[i], &sync->rows->bans[i]);
		rows += (unsigned)count;
	}
	if (!end)
		return;
	if (++sync->walk == REFUSED)
		sync->walk = 0;
	if (sync->unplaced > sync->unplaced_before)
		sync->refused += sync->unplaced - sync->unplaced_before;
	sync->unplaced_before = sync->unplaced;
	sync->unplaced = 0;
}

// ---- From the table into the map
// -----------------------------------------------------------------

// What the map says of a source that the table would end or write over: a person may have banned it
// by hand since the walk along the map went by. That counts, and the walk will meet it.
static bool holds_in_map(const struct ban_sync *sync, const struct ban_source *key, struct ban *ban)
{
	return ban_map_get(sync->map, key, ban) == 0 && until_of(ban) > sync->now_s;
}

// The ban is over: out of the map; remembered for a while, then forgotten.
static void end(struct ban_sync *sync, uint32_t place, const struct ban_source *key,
		const struct ban_state *state)
{
	struct ban_state ended = *state;
	struct ban ban;

	ended.ended = true;
	ended.shared = false;
	if (!state->ended && holds_in_map(sync, key, &ban))
		return;
	if (!state->ended && bans_change(sync->bans, place, state, &ended)) {
		ban_map_remove(sync->map, key);
		tell(sync, key, REASON_source_unbanned, "its time is over");
		return;
	}
	if (state->ended && state->until_s + sync->policy->ban.remembered_ms / 1000 <= sync->now_s)
		bans_remove(sync->bans, place, state);
}

// What XDP has counted of a ban that is written over stays counted.
static void share(struct ban_sync *sync, uint32_t place, const struct ban_source *key,
		  const struct ban_state *state)
{
	struct ban_state shared = *state;
	struct ban ban = {0};

	if (holds_in_map(sync, key, &ban))
		return;
	ban.until = state->until_s == BANS_FOR_EVER ? 0 : state->until_s;
	ban.level = state->level;
	ban.reason = state->reason;
	if (ban_map_put(sync->map, key, &ban)) {
		sync->refused += sync->seen[place] != REFUSED;
		sync->seen[place] = REFUSED;
		return;
	}
	shared.shared = true;
	sync->seen[place] = sync->walk;
	bans_change(sync->bans, place, state, &shared);
}

// Neither this walk along the map nor the one before has met it.
static bool is_missed(const struct ban_sync *sync, uint32_t place)
{
	uint16_t before = sync->walk ? (uint16_t)(sync->walk - 1) : REFUSED - 1;

	return sync->seen[place] != sync->walk && sync->seen[place] != before;
}

static void look_at(struct ban_sync *sync, uint32_t place, const struct sources *sources)
{
	struct ban_source key;
	struct ban_state state;
	struct address address;
	uint64_t source;

	if (!bans_at(sync->bans, place, &source, &state))
		return;
	key = key_of(source);
	address = address_of(&key);
	if (sync->unjudged && !state.ended && is_exempt(sync, &key)) {
		if (state.shared)
			ban_map_remove(sync->map, &key);
		bans_remove(sync->bans, place, &state);
		tell(sync, &key, REASON_ban_exempt, "");
		return;
	}
	if (state.ended || state.until_s <= sync->now_s) {
		end(sync, place, &key, &state);
	} else if (!state.shared) {
		if (sources_open_sessions(sources, &address) == 0)
			share(sync, place, &key, &state);
	} else if (is_missed(sync, place) && bans_remove(sync->bans, place, &state)) {
		tell(sync, &key, REASON_source_unbanned, "by hand");
	}
}

unsigned ban_sync_turn(struct ban_sync *sync, const struct policy *policy,
		       const struct sources *sources, uint64_t wall_us)
{
	uint32_t places = bans_places(sync->bans);

	if (policy != sync->policy)
		sync->unjudged = places;
	sync->policy = policy;
	sync->wall_us = wall_us;
	sync->now_s = wall_us / 1000000;
	sync->refused = 0;
	walk_along_map(sync, BAN_SYNC_ROWS);
	if (bans_used(sync->bans) == 0)
		return 0;
	for (unsigned i = 0; i < BAN_SYNC_PLACES && i < places; i++) {
		if (sync->place >= places)
			sync->place = 0;
		look_at(sync, sync->place++, sources);
		sync->unjudged -= sync->unjudged > 0;
	}
	return sync->refused;
}

// ---- Start and end
// -------------------------------------------------------------------------------

struct ban_sync *ban_sync_create(const struct policy *policy, int map, uint64_t wall_us)
{
	struct ban_sync *sync = calloc(1, sizeof(*sync));
	struct hash_key key;

	if (!sync)
		return NULL;
	randombytes_buf(key.bytes, sizeof(key.bytes));
	sync->policy = policy;
	sync->map = map;
	sync->bans = bans_create(policy->ban.entries, &key);
	sync->notices = record_ring_create(NOTICES_BYTES);
	sync->rows = malloc(sizeof(*sync->rows));
	if (sync->bans)
		sync->seen = calloc(bans_places(sync->bans), sizeof(sync->seen[0]));
	if (!sync->bans || !sync->notices || !sync->rows || !sync->seen) {
		ban_sync_destroy(sync);
		return NULL;
	}
	sync->wall_us = wall_us;
	sync->now_s = wall_us / 1000000;
	sync->quiet = true;
	walk_along_map(sync, UINT32_MAX);
	sync->quiet = false;
	return sync;
}

void ban_sync_destroy(struct ban_sync *sync)
{
	if (!sync)
		return;
	bans_destroy(sync->bans);
	record_ring_destroy(sync->notices);
	free(sync->rows);
	free(sync->seen);
	free(sync);
}

struct bans *ban_sync_bans(struct ban_sync *sync)
{
	return sync->bans;
}

struct record_ring *ban_sync_notices(struct ban_sync *sync)
{
	return sync->notices;
}
