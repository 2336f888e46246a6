// SPDX-License-Identifier: BSD-3-Clause
//
// The bounded half-open cache beside the cookies: remembers SYNs so that the SYN-ACK is sent again
// when the client's ACK is lost (an SMTP client waits for our banner and would hang), and keeps the
// options of clients without timestamps. That second kind of entry (handshake.has_entry) is what
// its handshake depends on: it is kept to its end, and none is made above 3/4 full. The bare cookie
// works without its entry: when the cache is full the oldest one of the first kind makes room. A
// flood of SYNs would so push out everybody's within the second that the first repetition waits
// for: entries of proven sources make room only when there are no others, or when they are an
// eighth of the cache and the newcomer is one of them; and a stranger's stays while its network
// (IPv4 /16, IPv6 /48) has few entries and another one many. A flood from everywhere, or from the
// client's own network, still displaces it.
// SYN-ACK again after 1, 2, 4 and 8 s more; gone 16 s after the last. Fixed memory; one worker's
// own.
#ifndef RELAYGATE_GATE_HALF_OPEN_H
#define RELAYGATE_GATE_HALF_OPEN_H

#include "dataplane/base/view.h"
#include "dataplane/gate/cookie.h"

struct half_open;

struct half_open_entry {
	struct tuple tuple;
	struct link link; // MACs of the SYN: answers go back where it came from
	struct handshake handshake;
	bool proven; // the source is known from a completed handshake
};

// Room for this many entries (0: remembers nothing). NULL when out of memory. `hash` below is the
// tuple's, under a key that no peer knows and that stays the same (tcp_hash).
struct half_open *half_open_create(uint32_t entries);
void half_open_destroy(struct half_open *half_open);

// May the next SYN without timestamps have its options kept in an entry?
bool half_open_offers_options(const struct half_open *half_open);
enum half_open_result {
	HALF_OPEN_KEPT,
	HALF_OPEN_KEPT_FOR_OLDEST, // likewise, and an older entry of the first kind is gone
	HALF_OPEN_REFUSED,         // of the second kind, above the mark; or a cache without room
};
// Remembers a SYN that was just answered; takes the place of an older one of the same tuple.
enum half_open_result half_open_insert(struct half_open *half_open,
				       const struct half_open_entry *entry, uint32_t hash,
				       uint64_t now_us);
// The entry of a tuple or NULL; valid until the next call that changes the cache.
const struct half_open_entry *half_open_find(const struct half_open *half_open,
					     const struct tuple *tuple, uint32_t hash);
// Fetches ahead what the others read first.
void half_open_prefetch_bucket(const struct half_open *half_open, uint32_t hash);
// The handshake is over (completed, reset). Nothing happens when there is no entry.
void half_open_remove(struct half_open *half_open, const struct tuple *tuple, uint32_t hash);

// The next entry whose SYN-ACK is due again, or NULL; call until NULL. Expired ones are dropped.
// The entry is valid until the next call that changes the cache.
const struct half_open_entry *half_open_expire(struct half_open *half_open, uint64_t now_us);
// When half_open_expire has something to do next; UINT64_MAX when there is no entry.
uint64_t half_open_next_us(const struct half_open *half_open);
uint32_t half_open_count(const struct half_open *half_open);

#endif
