// SPDX-License-Identifier: BSD-3-Clause
//
// One instance of the gate under test: its policy, its workers' pipelines and their counters, the
// router behind each of its ports, and the watch over all of its frames.
#ifndef RELAYGATE_SIM_GATE_H
#define RELAYGATE_SIM_GATE_H

#include "dataplane/base/handover.h"
#include "dataplane/gate/ruleset.h"
#include "dataplane/pipeline/generation.h"
#include "dataplane/pipeline/pipeline.h"
#include "tests/sim/crew.h"
#include "tests/sim/watch.h"

#define GATE_WORKERS_MAX 8
#define GATE_LOG_RECORDS 64
#define GATE_CONNECTORS  3 // names that any of its policies has
#define GATE_HELD_MAX    16
#define GATE_TEXT_MAX    4096

enum { GATE_OUTSIDE, GATE_INSIDE, GATE_PORTS };

struct gate;

struct gate_worker {
	struct handover handover; // first
	struct gate *gate;
	struct pipeline *pipeline;
	struct frame_queue received; // by the NIC, where a worker takes several at once
	struct frame_queue handed;   // over by other workers
	struct connector_counters connector[GATE_CONNECTORS];
	struct port_counters port_rows[GATE_PORTS];
	struct port_counters *port_row[GATE_PORTS];
	struct reason_counter reasons[REASON_COUNT];
	struct log_record log[GATE_LOG_RECORDS];
	uint64_t next_us;         // when its turn is due
	uint64_t asleep_until_us; // the machine does something else
	uint32_t most_chunks;     // that were ever in use
	uint32_t most_flows;      //
};

// What a worker takes at once: frames of one port.
struct gate_burst {
	unsigned port;
	bool handed; // by other workers
	unsigned count;
	struct slice frames[PIPELINE_BURST];
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
	struct policy *policy;                  // as planned; reloads edit copies of it
	struct generation *held[GATE_HELD_MAX]; // the newest last
	unsigned held_count;
	uint64_t reloads, next_reload_us;
	struct dice reload_dice;
	bool withdrew; // keywords of EHLO: a reload left no server that it had heard of
	struct generation_news news;
	struct packet_port ports[GATE_PORTS];
	struct gate_worker workers[GATE_WORKERS_MAX];
	unsigned worker_count;
	struct spread spread; // with several workers only
	struct servers_shared *shared;
	struct sources *sources;
	struct bans *bans;
	struct gate_burst burst; // that a worker is at
	struct dice dice;
	uint64_t full_until_us;                // the device takes nothing
	unsigned long long questions, answers; // who has one of its addresses
	struct wire *wire;
	struct watch watch;
	struct tick now;
	uint16_t frame_port;
	uint8_t frame[OUTBOX_FRAME_MAX];
};

// What a reload changes.
struct gate_edit {
	bool others_first;                 // a connector of others stands before the clients'
	bool both_servers, second_server;  // else only one of them
	bool renamed, unlisted, no_rights; // the clients' connector
};
// The gate's policy with an edit.
void gate_text(const struct gate *gate, const struct gate_edit *edit, char text[GATE_TEXT_MAX]);

// ---- reload.c
struct generation *gate_first_generation(struct gate *gate);
// Frees what is not used any more, and reloads if that is due.
void gate_reload(struct gate *gate);
// The worker looks for the newest policy.
void gate_adopt(struct gate *gate, struct gate_worker *worker);
void gate_free_generations(struct gate *gate);

void gate_create(struct gate *gate, const struct gate_place *place, const struct plan *plan,
		 const struct gate_plan *gate_plan, struct wire *wire, struct tick now);
void gate_destroy(struct gate *gate);
void gate_input(struct gate *gate, unsigned port, struct slice frame, struct tick now);
// Runs the workers whose turn is due; returns when the next one is.
uint64_t gate_turn(struct gate *gate, struct tick now);
void gate_drain(struct gate *gate, struct tick now);
bool gate_drained(const struct gate *gate);
// Nothing may follow but gate_levels, gate_reason and gate_destroy.
void gate_stop(struct gate *gate, struct tick now);
// Connections that count against MaxConnections, by what all workers share.
unsigned gate_shared_connections(const struct gate *gate);
// Sums over the workers.
struct pipeline_levels gate_levels(const struct gate *gate);
unsigned long long gate_reason(const struct gate *gate, enum reason reason);
// The gate and the worker that own this TCP endpoint; NULL for those of hosts.
struct gate *gate_of_tcp(const struct tcp *tcp, struct pipeline **pipeline);

#endif
