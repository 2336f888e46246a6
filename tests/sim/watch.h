// SPDX-License-Identifier: BSD-3-Clause
//
// An onlooker on all wires of one gate. It keeps of each connection what reached the gate and what
// the gate said, in sequence arithmetic of its own, and holds the gate to it: no acknowledgment or
// SACK block of bytes that never came, no byte beyond the peer's window, no repeated byte that
// differs, no window that shrinks, an ACK in time, a FIN at one place, repetitions that come and
// back off, keep-alives on idle connections to servers alone, nothing after a reset, no session
// without a handshake.
// It sees frames only, so it knows nothing of why; both kinds of peers are watched alike.
#ifndef RELAYGATE_SIM_WATCH_H
#define RELAYGATE_SIM_WATCH_H

#include "tests/sim/literal.h"

#define WATCH_TEXT 160

struct watch_rules {
	uint32_t receive_buffer; // the gate's: its windows are not larger
	bool prompt;             // ACKs must come in time, and keep-alives not before it
	bool repeats;            // what servers lost, too, must be repeated in time
	const char *print;       // each segment, after this name; NULL = nothing
};

struct watched;

struct watch {
	struct watch_rules rules;
	struct watched *flows; // those that are known to the gate, and handshakes
	struct watched *last;  // of the last segment
	unsigned worker;       // who is at work: the caller says
	struct watched *arrived;
	struct literal arrival;
	uint64_t next_check_us;
	unsigned keep_alives;   // that came on connections that the gate knows
	char fault[WATCH_TEXT]; // the first one; empty = none
};

void watch_init(struct watch *watch, const struct watch_rules *rules);
void watch_fini(struct watch *watch);
// A frame that the gate sends, and one that it is about to receive.
void watch_out(struct watch *watch, const uint8_t *frame, size_t length, uint64_t now_us);
void watch_in(struct watch *watch, const uint8_t *frame, size_t length, uint64_t now_us);
// The gate dealt with the last frame that came; did it have an effect?
void watch_done(struct watch *watch, bool accepted, uint64_t now_us);
// What should have happened by now.
void watch_time(struct watch *watch, uint64_t now_us);
// The gate gave the connection up: source is the gate's side.
void watch_released(struct watch *watch, const struct literal_ends *ends, uint64_t now_us);

#endif
