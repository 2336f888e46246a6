// SPDX-License-Identifier: BSD-3-Clause
//
// What a replay showed, as text or as JSON. The rows and their help are those of bpf/counters.h.
#ifndef RELAYGATE_CONTROL_REPLAY_PRINT_H
#define RELAYGATE_CONTROL_REPLAY_PRINT_H

#include "bpf/counters.h"

#include <stdint.h>

struct policy;

// What became of the capture's frames: each is in one of these. X(name, text)
#define REPLAY_TOTALS(X)                                                                           \
	X(read, "frames in the capture")                                                           \
	X(fed, "given to the gate")                                                                \
	X(server, "from the gate's addresses: what was answered then")                             \
	X(backend, "from servers of the policy: played here instead")                              \
	X(not_ours, "for none of the gate's addresses")                                            \
	X(cut, "captured in part: not given to the gate")

struct replay_totals {
#define X(name, text) uint64_t name;
	REPLAY_TOTALS(X)
#undef X
};

struct replay_results {
	const struct policy *policy;
	const struct connector_counters *connectors; // [policy->connector_count]
	const struct port_counters *ports;           // [policy->port_count]
	const struct reason_counter *reasons;        // [REASON_COUNT]
	struct replay_totals totals;
	uint64_t seconds;   // from the first frame to the last
	uint64_t forgotten; // connections that had to make room before they ended
};

void replay_print_text(const struct replay_results *results);
void replay_print_json(const struct replay_results *results);

#endif
