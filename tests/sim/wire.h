// SPDX-License-Identifier: BSD-3-Clause
//
// The imaginary wire: frames on their way, in virtual time, with loss, duplication, delay and
// reordering drawn from one seed. Owns the frames (exact-size heap blocks, so that a sanitizer sees
// a read past the end).
#ifndef RELAYGATE_SIM_WIRE_H
#define RELAYGATE_SIM_WIRE_H

#include "dataplane/base/random.h"
#include "dataplane/base/slice.h"

#include <stdbool.h>

// Where a frame goes to.
enum station {
	STATION_GATE_OUTSIDE,
	STATION_GATE_INSIDE,
	STATION_CLIENT,
	STATION_SERVER,
	STATIONS
};

struct weather {
	unsigned loss_permille;
	unsigned duplicate_permille;
	unsigned reorder_permille; // delayed by an extra random time
	unsigned corrupt_permille; // one bit flipped
	uint32_t delay_us;         // one way
	uint32_t jitter_us;
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
	struct random *random;
	uint64_t sent, lost, corrupted;
};

void wire_init(struct wire *wire, struct random *random);
void wire_fini(struct wire *wire);
void wire_send(struct wire *wire, enum station to, struct slice frame, uint64_t now_us);
uint64_t wire_next_us(const struct wire *wire);
// The next frame that has arrived; the caller frees bytes. False when none has.
bool wire_receive(struct wire *wire, uint64_t now_us, struct flying *out);

#endif
