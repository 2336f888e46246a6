// SPDX-License-Identifier: BSD-3-Clause
//
// SYN cookies: our initial sequence number *is* the proof that the peer saw our SYN-ACK, so an
// unfinished handshake costs no memory (RFC 4987 section 3.6).
//   ISN = epoch bit | kind bit | MSS index (2 bits) | SipHash-2-4 MAC (28 bits)
// The MAC covers the 4-tuple, the client's ISN, the fields above and the options below, under a key
// derived from the worker-independent secret for the current epoch (64 s); the current and the
// previous epoch are live, so a cookie lives 64-128 s. A blind ACK passes with 1 in 2.7e8.
// The four field bits are no secret; they are XORed with four bits of the MAC so that the number as
// a whole looks random.
// With timestamps, window scale and SACK ride in the low bits of our TSval and come back in TSecr.
// Without, they are remembered in a half-open entry (half_open.h): the kind bit says so.
// A SYN that is sent again within the epoch gets the same ISN, so that SYN-ACKs which cross it do
// not contradict each other.
#ifndef RELAYGATE_GATE_COOKIE_H
#define RELAYGATE_GATE_COOKIE_H

#include "dataplane/base/hash.h"
#include "dataplane/base/tcp_options.h"

#define COOKIE_EPOCH_US (64ull * 1000 * 1000)

struct cookie_secret {
	struct hash_key key;
};

// Keys of the two live epochs; derived again by cookie_keys_advance when now enters a new one: call
// it once a loop turn, before the turn's cookies. All workers derive the same ones from the same
// secret and clock.
struct cookie_keys {
	struct cookie_secret secret;
	uint64_t epoch;          // now_us / COOKIE_EPOCH_US
	struct hash_key live[2]; // indexed by epoch & 1
};

void cookie_keys_init(struct cookie_keys *keys, const struct cookie_secret *secret,
		      uint64_t now_us);
void cookie_keys_advance(struct cookie_keys *keys, uint64_t now_us);

// What the handshake agreed on, as the SYN offered and we accepted it.
struct handshake {
	uint32_t client_isn;
	uint32_t our_isn;
	bool has_entry; // the kind bit: options are in a half-open entry
	// mss: the cookie's class, the largest that is not above the client's offer; an absent
	// offer reads as 536 or 1220 (RFC 9293 3.7.1), one below COOKIE_MSS_FLOOR as the floor.
	// window_scale and sack_permitted: only if they can be kept. timestamp_value: the client's
	// latest.
	struct tcp_options options;
	uint32_t our_timestamp;    // TSval of the SYN-ACK (options.timestamps)
	uint32_t timestamp_offset; // our timestamp clock: now in ms + offset, never behind the
				   // TSval; differs for each connection
};

// The smallest segment size that a peer can make us use (as FreeBSD's net.inet.tcp.minmss): an
// offer of a few bytes would make us send a frame for each of them.
#define COOKIE_MSS_FLOOR 216

// Fills *handshake for a SYN with these options. has_entry: a half-open entry will be kept for it;
// that lets a SYN without timestamps keep its options (the kind bit is set only if it has some).
void cookie_make(const struct cookie_keys *keys, const struct tuple *tuple, uint32_t client_isn,
		 const struct tcp_options *syn, bool has_entry, uint64_t now_us,
		 struct handshake *handshake);

// The same in three steps, for a burst whose hashes are computed together. cookie_begin fills the
// handshake but for its numbers and returns what the cookie covers beside the tuple; cookie_hashes
// does the work for at most HASH_BURST; cookie_end fills in the numbers. The keys are not advanced
// meanwhile.
uint64_t cookie_begin(const struct cookie_keys *keys, const struct tuple *tuple,
		      uint32_t client_isn, const struct tcp_options *syn, bool has_entry,
		      struct handshake *handshake);
void cookie_hashes(const struct cookie_keys *keys, const struct tuple *const tuples[],
		   const uint64_t covered[], unsigned count, uint64_t hashes[]);
void cookie_end(uint64_t covered, uint64_t hash, uint64_t now_us, struct handshake *handshake);

// True when acknowledgment - 1 is a live cookie for this tuple; *handshake is then filled. With
// has_entry set the caller must still find the entry with this client_isn and our_isn, whose
// handshake then replaces this one.
// sequence: of the ACK segment, client ISN + 1. options: those of the ACK segment; with timestamps
// its TSecr must be a TSval that this handshake can have sent.
bool cookie_check(const struct cookie_keys *keys, const struct tuple *tuple, uint32_t sequence,
		  uint32_t acknowledgment, const struct tcp_options *options, uint64_t now_us,
		  struct handshake *handshake);

#endif
