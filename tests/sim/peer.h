// SPDX-License-Identifier: BSD-3-Clause
//
// A peer with a TCP of its own: small, literal, written without the dataplane's, and as odd as its
// quirks say. Whatever they say it stays within what RFC 9293 lets a peer do, or does what real
// peers do nevertheless. One host with one address; client or server.
#ifndef RELAYGATE_SIM_PEER_H
#define RELAYGATE_SIM_PEER_H

#include "tests/sim/connection.h"
#include "tests/sim/literal.h"
#include "tests/sim/wire.h"

struct quirks {
	uint16_t mss;              // offered; 0 = no option
	int scale;                 // offered; -1 = no option
	bool timestamps, sack;     // offered
	uint32_t window;           // buffer that it offers
	uint16_t piece;            // largest payload that it sends; 1 = byte by byte
	uint16_t flight;           // most segments in flight
	bool ack_each;             // else each second segment, or 200 ms later
	bool keeps;                // bytes beyond a gap; else it drops them
	bool probes;               // a closed window of the gate's; else it waits to be told
	uint32_t close_window_at;  // after so many bytes its window closes; 0 = never
	uint32_t closed_window_ms; // for so long; UINT32_MAX = for ever
	bool opens_silently;       // by no segment of its own: only probes find out
	uint32_t shrink_at;        // after so many bytes its right edge moves back; 0 = never
	uint32_t stall_at;         // after so many bytes it neither hears nor speaks; 0 = never
	uint32_t stall_ms;         //
	unsigned old_permille;     // chance that garbage with an old timestamp follows a segment
	unsigned again_permille;   // chance that it repeats a segment, cut anew
};

struct line; // a connection

struct peer {
	struct wire *wire;
	enum station towards;
	uint8_t mac[6], gate_mac[6];
	uint8_t addresses[2][16]; // IPv4 as ::ffff:a.b.c.d, IPv6
	struct quirks quirks;
	struct dice dice;
	uint16_t listen_port; // 0 = none
	const struct application *listen_application;
	void *listen_state;
	struct line *lines;
	uint64_t now_us;
};

void peer_init(struct peer *peer, struct wire *wire, enum station towards, struct dice dice);
void peer_fini(struct peer *peer);
void peer_connect(struct peer *peer, const struct literal_ends *ends,
		  const struct application *application, void *state, uint64_t now_us);
void peer_receive(struct peer *peer, const uint8_t *frame, size_t length, uint64_t now_us);
// Runs timers and applications; returns when it wants to run again.
uint64_t peer_turn(struct peer *peer, uint64_t now_us);
// Does it still want anything? One that vanished does not.
bool peer_busy(const struct peer *peer);

#endif
