// SPDX-License-Identifier: BSD-3-Clause
//
// The whole path of a frame for one worker: burst in -> net -> gate -> tcp -> smtp -> relay ->
// burst out. The only place that knows all of them, and the only one that counts. Frames come in as
// slices, time and randomness come from outside, frames leave through an outbox: so the same code
// runs under DPDK and in a simulation. Nothing here locks, allocates after pipeline_create, makes a
// system call or reads a clock.
//
// With several workers each has a pipeline of its own. A flow belongs to the worker that
// spread_owner names, from its SYN to the end of its TIME-WAIT. Whoever receives a frame parses and
// judges it: what the gate drops is dropped and counted there, what it keeps goes to the owner
// through struct handover. So frames_in is counted by the receiver, and each frame's disposition
// once, by whoever made it: over all workers, frames_in = frames_accepted + all drops. ARP,
// neighbour discovery and MLD are shown to every worker, so that each knows its next hops; the
// receiver counts them and worker 0 alone answers.
#ifndef RELAYGATE_PIPELINE_H
#define RELAYGATE_PIPELINE_H

#include "bpf/counters.h"
#include "dataplane/base/outbox.h"
#include "dataplane/base/slice.h"
#include "dataplane/base/tick.h"
#include "dataplane/gate/cookie.h"
#include "dataplane/net/packet.h"

#include <stdbool.h>

struct dnsbl;
struct handover;
struct hash_key;
struct passed;
struct policy;
struct ruleset;
struct pipeline;
struct rates;
struct record_ring;
struct servers_shared;
struct sources;
struct spread;

// Sources whose messages MessageRateLimit tells apart; beyond, the oldest are forgotten.
#define RATE_ENTRIES 65536
// Sources that need not wait for the greeting again (GreetPassTime); the same.
#define PASSED_ENTRIES 262144
#define PIPELINE_BURST 64 // most frames that one pipeline_input takes

// Rows that this worker writes with plain stores; memory belongs to the caller (maps or heap).
struct pipeline_counters {
	struct connector_counters **connectors; // [policy->connector_count]
	struct port_counters **ports;           // [policy->port_count]
	struct reason_counter *reasons;         // [REASON_COUNT]
	struct log_record *log;                 // ring of log_records
	uint32_t log_records;
	uint64_t log_sequence; // of the newest record that is there already, 0 = none
};

struct pipeline_settings {
	const struct policy *policy;        // outlives the pipeline
	const struct ruleset *ruleset;      // likewise
	const struct packet_port *ports;    // [policy->port_count], likewise
	struct pipeline_counters counters;  // the arrays outlive the pipeline
	struct cookie_secret cookie_secret; // the same for all workers
	uint8_t random_key[16];             // this worker's own
	// Several workers: which one this is, whose flow is whose, the way to the others, what is
	// known of the servers, and who sent how much. All outlive the pipeline. All zero: the only
	// worker.
	unsigned worker;
	const struct spread *spread; // the same contents in all workers
	struct handover *handover;
	struct servers_shared *servers;
	struct rates *rates;
	struct passed *passed;   // who waited for the greeting; needed where GreetDelay is
	struct dnsbl *dnsbl;     // what the DNS lists said; NULL: nobody asks them
	struct sources *sources; // pipeline_sources
	// Where lines of the protocol log go (base/protocol_record.h); this worker is the only
	// writer. Outlives the pipeline; NULL: nothing is logged.
	struct record_ring *protocol;
};

// The table of sources that the workers share. NULL when out of memory.
struct sources *pipeline_sources(const struct policy *policy, const struct hash_key *key);

// All memory of the worker, sized by its part of the policy's totals. NULL when there is not
// enough.
struct pipeline *pipeline_create(const struct pipeline_settings *settings, struct tick now);
// Frees everything; connections are not told (see pipeline_drain).
void pipeline_destroy(struct pipeline *pipeline);

// Announces our addresses (worker 0). Probes of the backends follow from pipeline_turn.
void pipeline_start(struct pipeline *pipeline, struct tick now, struct outbox *outbox);

// Takes up to PIPELINE_BURST received frames of one port. They may be freed when it returns.
void pipeline_input(struct pipeline *pipeline, uint16_t port, const struct slice frames[],
		    unsigned count, struct tick now, struct outbox *outbox);

// The same for frames that other workers handed over: not counted as received. A frame that only
// teaches (ARP, neighbour discovery, MLD) is not counted at all.
void pipeline_input_handed(struct pipeline *pipeline, uint16_t port, const struct slice frames[],
			   unsigned count, struct tick now, struct outbox *outbox);

// Timers, waiting transactions, probes, and whatever output is pending. To be called after the
// bursts of each loop turn. Returns the time at which it wants to be called again at the latest.
uint64_t pipeline_turn(struct pipeline *pipeline, struct tick now, struct outbox *outbox);

// Stop taking new connections; sessions close at their next quiet point, with `force` at once.
// Idempotent; to be repeated with force when DrainTimeout has passed.
void pipeline_drain(struct pipeline *pipeline, bool force, struct tick now, struct outbox *outbox);
// The last record of the log.
void pipeline_stop(struct pipeline *pipeline, struct tick now);
// No session and no backend connection is left.
bool pipeline_drained(const struct pipeline *pipeline);

// Levels of the worker's pools, for tests and status.
struct pipeline_levels {
	uint32_t clients, servers; // connections
	uint32_t flows, time_wait, half_open;
	uint32_t chunks_used, chunks;
	uint64_t timers; // armed
};
struct pipeline_levels pipeline_levels(const struct pipeline *pipeline);

#endif
