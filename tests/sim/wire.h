// SPDX-License-Identifier: BSD-3-Clause
//
// The imaginary wire: frames on their way, in virtual time, through the weather of their direction,
// all drawn from one seed. Owns the frames (exact-size heap blocks, so that a sanitizer sees a read
// past the end).
#ifndef RELAYGATE_SIM_WIRE_H
#define RELAYGATE_SIM_WIRE_H

#include "dataplane/base/slice.h"
#include "tests/sim/dice.h"

// Where a frame goes to. With two gates in a row the servers' side of the first is the clients'
// side of the second.
enum station {
	STATION_CLIENT,
	STATION_GATE_OUTSIDE,
	STATION_GATE_INSIDE,
	STATION_SECOND_OUTSIDE,
	STATION_SECOND_INSIDE,
	STATION_SERVER,
	STATIONS
};

struct weather {
	unsigned loss_permille;
	unsigned burst_permille; // begins before a frame (Gilbert-Elliott): most are lost in it
	unsigned burst_end_permille;
	unsigned duplicate_permille;
	unsigned reorder_permille;    // delayed by an extra random time
	unsigned corrupt_permille;    // one bit flipped
	uint32_t delay_us;            // one way
	uint32_t jitter_us;           // more, frame by frame
	uint64_t change_us;           // at this time the delay becomes later_delay_us; 0 = never
	uint32_t later_delay_us;      //
	uint64_t dark_us, dark_until; // nothing passes between these; 0 = never
	bool spares_resolution;       // ARP and neighbour discovery always arrive
	bool in_burst;
};

struct flying {
	uint64_t arrival_us;
	uint64_t order; // ties: first sent, first received
	enum station to;
	uint8_t *bytes;
	size_t length;
};

struct wire {
	struct flying *heap;
	size_t count, room;
	uint64_t order;
	struct weather weather[STATIONS]; // by destination
	struct dice dice;
	uint64_t sent, lost, corrupted;
};

void wire_init(struct wire *wire, struct dice dice);
void wire_fini(struct wire *wire);
void wire_send(struct wire *wire, enum station to, struct slice frame, uint64_t now_us);
uint64_t wire_next_us(const struct wire *wire);
// The next frame that has arrived; the caller frees bytes. False when none has.
bool wire_receive(struct wire *wire, uint64_t now_us, struct flying *out);

#endif
