// SPDX-License-Identifier: BSD-3-Clause
//
// A connection of the literal peer: what peer.c (segments in, time) and line.c (segments out, the
// application's side) share. Positions are relative to a side's initial sequence number, as in
// watch.c. All that was ever sent or received stays in memory.
#ifndef RELAYGATE_SIM_LINE_H
#define RELAYGATE_SIM_LINE_H

#include "tests/sim/peer.h"

#define LINE_REPEAT_US 400000u
#define LINE_PIECES    16 // runs kept beyond a gap

struct piece {
	uint32_t from, to;
};

struct line {
	struct connection base; // first
	struct peer *peer;
	struct line *next;
	struct literal_ends ends; // source = the peer
	bool accepted;            // the gate opened it
	bool established, vanished, over;
	// Sending.
	uint32_t isn;
	uint8_t *out; // from position 1 on
	size_t out_room;
	uint32_t out_end;   // end of what the application gave
	uint32_t confirmed; // by the gate
	uint32_t sent;
	uint32_t edge; // of the gate's window
	bool closing;  // FIN at out_end
	uint64_t timer_us;
	uint32_t interval_us;
	unsigned tries;
	// Receiving.
	uint32_t gate_isn;
	uint8_t *in;
	size_t in_room;
	uint32_t in_end;  // end of what came in order
	uint32_t in_read; // by the application
	uint32_t in_fin;  // position; 0 = not known
	struct piece pieces[LINE_PIECES];
	unsigned piece_count;
	uint32_t offered; // right edge
	unsigned unanswered;
	uint64_t ack_us; // a delayed ACK is due; 0 = none
	bool ack_now;
	// Options agreed on.
	int gate_scale;
	bool scaled, timestamps, sack;
	uint16_t gate_mss;
	uint32_t echo;
	uint32_t clock; // offset of its timestamps
	// Quirks in progress.
	uint64_t closed_until_us; // the window; 0 = not closed yet
	uint64_t stalled_until_us;
	bool shrunk;
	uint64_t linger_us;
};

extern const struct transport line_transport;

// The window to offer now; moves the right edge. Back only if the quirk says so.
uint16_t line_window(struct line *line);
// Sends it with the line's addresses, if the peer speaks at all.
void line_transmit(struct line *line, struct literal *segment);
// Bytes from this position on, and whatever is to be acknowledged.
void line_transmit_at(struct line *line, uint32_t position, uint32_t length, uint8_t flags);
void line_transmit_syn(struct line *line);
// Where all that is to be sent ends, the FIN included.
uint32_t line_end(const struct line *line);
// Everything that may go out now.
void line_output(struct line *line);

#endif
