// SPDX-License-Identifier: BSD-3-Clause
//
// One instance of the gate under test: its policy, its workers' pipelines and their counters, the
// router behind each of its ports, and the watch over all of its frames.
#ifndef RELAYGATE_SIM_GATE_H
#define RELAYGATE_SIM_GATE_H

#include "dataplane/gate/ruleset.h"
#include "dataplane/pipeline/pipeline.h"
#include "tests/sim/plan.h"
#include "tests/sim/watch.h"

#define GATE_WORKERS_MAX 8
#define GATE_LOG_RECORDS 64

enum { GATE_OUTSIDE, GATE_INSIDE, GATE_PORTS };

struct gate_worker {
	struct pipeline *pipeline;
	struct connector_counters connector;
	struct connector_counters *connectors[1];
	struct port_counters port_rows[GATE_PORTS];
	struct port_counters *port_row[GATE_PORTS];
	struct reason_counter reasons[REASON_COUNT];
	struct log_record log[GATE_LOG_RECORDS];
	uint64_t next_us; // when its turn is due
};

// Which network a gate stands in: text of its policy and where its frames go.
struct gate_place {
	const char *outside, *inside;  // Address of each port
	const char *bindings, *ranges; // of its connector
	const char *servers;           // of its backend
	enum station towards[GATE_PORTS];
	enum station here[GATE_PORTS];
	uint8_t mac; // last byte of its outside MAC address; one more inside
	const char *name;
};
extern const struct gate_place gate_single, gate_first, gate_second;

struct tcp;

struct gate {
	struct outbox outbox; // first
	struct gate_plan plan;
	const struct gate_place *place;
	struct policy *policy;
	struct ruleset *ruleset;
	struct packet_port ports[GATE_PORTS];
	struct gate_worker workers[GATE_WORKERS_MAX];
	unsigned worker_count;
	struct wire *wire;
	struct watch watch;
	struct tick now;
	uint32_t most_chunks; // that were ever in use in a worker
	uint32_t most_flows;  //
	uint16_t frame_port;
	uint8_t frame[OUTBOX_FRAME_MAX];
};

void gate_create(struct gate *gate, const struct gate_place *place, const struct plan *plan,
		 const struct gate_plan *gate_plan, struct wire *wire, struct tick now);
void gate_destroy(struct gate *gate);
void gate_input(struct gate *gate, unsigned port, struct slice frame, struct tick now);
// Runs the workers whose turn is due; returns when the next one is.
uint64_t gate_turn(struct gate *gate, struct tick now);
void gate_drain(struct gate *gate, struct tick now);
bool gate_drained(const struct gate *gate);
// Sums over the workers.
struct pipeline_levels gate_levels(const struct gate *gate);
unsigned long long gate_reason(const struct gate *gate, enum reason reason);
// The gate and the worker that own this TCP endpoint; NULL for those of hosts.
struct gate *gate_of_tcp(const struct tcp *tcp, struct pipeline **pipeline);

#endif
