// SPDX-License-Identifier: BSD-3-Clause
//
// A real pipeline that a load drives from memory, and what that costs. Two ways: on one core, where
// load and pipeline take turns, the load's own time is left out and the clock is the pipeline's
// time, as if it were saturated; on two, where the load runs in a thread of its own behind rings of
// frames, and wall-clock time counts. Owns the gate, the options and the printing; knows nothing of
// what the load says.
#ifndef RELAYGATE_BENCH_RUN_H
#define RELAYGATE_BENCH_RUN_H

#include "tests/bench/peer.h"

struct run_options {
	uint64_t count;       // units to measure
	uint32_t concurrent;  // client sessions at once
	unsigned burst;       // most frames between two turns of the pipeline
	uint32_t messages;    // of one session
	uint32_t bytes;       // of one message
	bool without_bdat;    // the server offers no CHUNKING
	bool timestamps;      // peers offer them
	bool bare_acks;       // peers acknowledge each reply before they go on
	bool trust_checksums; // the gate does: what a card that verifies them would save
	bool two_cores;
	const char *json;    // NULL = none
	const char *samples; // likewise: where the time goes (sample.h)
};

struct run_frame {
	uint16_t port; // 0 = clients, 1 = servers
	uint16_t length;
	uint8_t bytes[PEER_FRAME_MAX];
};

// The peers. First member of the real one.
struct load {
	// The next frame for the gate; false when nobody has anything to say now.
	bool (*next)(struct load *load, struct run_frame *out, uint32_t now_ms);
	// A frame of the gate's.
	void (*take)(struct load *load, const struct run_frame *frame, uint32_t now_ms);
	const char *unit; // "session"
	uint64_t done;    // units that ended as they should
	uint64_t wrong;   // otherwise
};

// The gate's addresses, that all loads speak to; clients are RUN_CLIENTS + their number.
#define RUN_GATE_OUTSIDE 0xc000020au // 192.0.2.10
#define RUN_GATE_INSIDE  0x0a000001u // 10.0.0.1
#define RUN_SERVER       0x0a00000bu // 10.0.0.11
#define RUN_CLIENTS      0x64400000u // 100.64.0.0, behind a gateway
extern const uint8_t run_gate_mac[2][6], run_peer_mac[2][6];
// The client of that number, before its SYN.
struct peer run_client(uint32_t number, bool timestamps);

// Options with these defaults, from the command line; ends the program when they are wrong.
struct run_options run_options_of(int argc, char **argv, struct run_options defaults);
// Runs the load, prints, and returns the program's exit code: 1 when anything went wrong.
int run(struct load *load, const struct run_options *options);

#endif
