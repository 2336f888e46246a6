// SPDX-License-Identifier: BSD-3-Clause
//
// A gate under attack: one pipeline with its counters, the peers around it, and what must hold
// between any two operations and at the end.
#ifndef RELAYGATE_TESTS_FUZZ_GATE_H
#define RELAYGATE_TESTS_FUZZ_GATE_H

#include "config/load.h"
#include "config/policy.h"
#include "dataplane/gate/ruleset.h"
#include "dataplane/pipeline/worker.h"
#include "tests/fuzz/peers.h"

#define GATE_CONNECTORS 5
#define GATE_LOG        16

struct gate {
	struct outbox outbox; // first
	struct policy policy; // a copy: its lists are the loaded one's
	struct packet_port ports[2];
	struct connector_counters connectors[GATE_CONNECTORS], *connector_rows[GATE_CONNECTORS];
	struct port_counters port_counters[2], *port_rows[2];
	struct reason_counter reasons[REASON_COUNT];
	struct log_record log[GATE_LOG];
	struct pipeline *pipeline;
	struct tick now;
	struct peers peers;
	struct frames sent; // by the gate, not heard yet
	uint8_t *reserved;  // for one frame
	uint16_t reserved_port;
	unsigned burst;   // frames that are waited for
	bool device_full; // reserve gives nothing
	bool unfair;      // buffers were taken away: no liveness is asked for
	uint8_t reply_bytes[REPLIES][256];
	void *taken[1024];
	unsigned taken_count;
};

struct gate *gate_new(const uint8_t configuration[OPERATION_CONFIGURATION]);
// Frames go to and fro until nobody has any, within a bound.
void gate_move(struct gate *gate);
void gate_pass(struct gate *gate, uint64_t us);
void gate_drain(struct gate *gate, bool force);
void gate_exhaust(struct gate *gate, uint32_t left); // 0: gives all back
void gate_set_mode(struct gate *gate, uint8_t mode);
void gate_set_reply(struct gate *gate, uint8_t which, struct slice text);
// The books of the moment.
void gate_check(struct gate *gate);
// Drains, with nobody answering any more; everything must come back. Frees all.
void gate_finish(struct gate *gate);

#endif
