// SPDX-License-Identifier: BSD-3-Clause
//
// What is in flight towards a peer that speaks SACK: which bytes went out when, which of them it
// holds (RFC 2018), which count as lost, which were sent again. One chunk of the worker's pool
// while something is in flight, nothing otherwise. scoreboard.c keeps the runs, rack.c
// concludes from their times (RFC 8985); nobody else looks inside.
#ifndef RELAYGATE_TCP_SCOREBOARD_H
#define RELAYGATE_TCP_SCOREBOARD_H

#include "dataplane/tcp/flow.h"

#define SCOREBOARD_RUNS 160 // one chunk

enum run_state {
	RUN_HELD = 1 << 0,     // reported by the peer
	RUN_LOST = 1 << 1,     // to be sent again
	RUN_REPEATED = 1 << 2, // was sent again, or when it was sent is not known
};

// Bytes up to end, from where the run before ends. Neighbours may be alike.
struct run {
	uint32_t end;
	uint32_t sent_us; // low 32 bits of the time of the last sending
	uint8_t state;    // bits of enum run_state; HELD and LOST exclude one another
};

struct scoreboard {
	uint32_t start; // where the first run begins: snd_una
	uint16_t first; // runs[first .. end - 1], never empty
	uint16_t end;
	uint32_t held; // bytes of runs that are HELD
	uint32_t lost; // and LOST

	// RFC 8985 section 5.2: of the bytes that were delivered, those that were sent last.
	uint32_t rack_sent_us;
	uint32_t rack_end;
	uint32_t rack_rtt_us;
	bool rack_valid;
	uint32_t fack;             // highest byte delivered, plus one
	uint32_t reordering_until; // the reordering window grows once a round trip

	// The tail loss probe (section 7).
	bool probe_due;     // its time has come
	bool probe_out;     // sent and not judged
	bool probe_repeats; // it was a repetition
	uint32_t probe_end;

	// This round trip: what was delivered, and its quickest answer. 0 = none.
	uint32_t round_bytes;
	uint32_t round_start_us;
	uint32_t round_rtt_us;
	uint32_t last_rtt_us; // the quickest of the round before
	// This recovery.
	bool mild;              // few losses and no queue: the window goes on growing
	uint32_t recovery_lost; // bytes that counted as lost in it

	struct run runs[SCOREBOARD_RUNS];
};
_Static_assert(sizeof(struct scoreboard) <= CHUNK_BYTES, "the scoreboard fits into one chunk");

#endif
