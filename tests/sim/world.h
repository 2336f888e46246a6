// SPDX-License-Identifier: BSD-3-Clause
//
// A plan come to life: gates, peers and the wire between them, in virtual time.
//
//   clients --- [gate] --- server            one instance
//   clients --- [gate] --- [gate] --- server   or two in a row
#ifndef RELAYGATE_SIM_WORLD_H
#define RELAYGATE_SIM_WORLD_H

#include "tests/sim/gate.h"
#include "tests/sim/host.h"

// One of the two kinds of peers.
struct machine {
	bool literal;
	struct host host;
	struct peer peer;
	struct interface_address addresses[2];
	uint8_t mac[6];
	uint64_t next_us;
};

struct world {
	struct plan plan;
	struct wire wire;
	struct gate gates[2];
	unsigned gate_count;
	struct machine clients[PLAN_CLIENTS];
	struct machine server;
	struct ledger ledger;
	struct tick now;
	uint64_t clients_over_us; // when the last of them was done; 0 = not yet
};

void world_build(struct world *world, uint64_t seed, bool print_frames);
void world_destroy(struct world *world);
// Lets happen what is due, then goes on to the time when something is again.
void world_turn(struct world *world);
bool world_clients_done(const struct world *world);
// The first fault that an onlooker saw, or NULL.
const char *world_fault(const struct world *world);

#endif
