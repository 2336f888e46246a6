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

struct bans;
struct capture_order;
struct capture_record;
struct dnsbl;
struct generation;
struct generation_news;
struct handover;
struct hash_key;
struct offenders;
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
	// Captured frames (bpf/capture.h): what is asked for, written by another process, and the
	// ring of CAPTURE_RECORDS. NULL: nothing can be asked for.
	const struct capture_order *capture;
	struct capture_record *captured;
	uint64_t captured_sequence;  // of the newest record that is there already
	struct offenders *offenders; // the sources of what is dropped; NULL: nobody wants to know
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
	struct bans *bans;
	// What the main thread has to tell (base/notice.h): worker 0's, or NULL.
	struct record_ring *notices;
	// Where lines of the protocol log go (base/protocol_record.h); this worker is the only
	// writer. Outlives the pipeline; NULL: nothing is logged.
	struct record_ring *protocol;
	// A gate that reloads: its first generation instead of policy and ruleset, with the rows of
	// counters.connectors; published, and what the workers tell one another of generations.
	// NULL: policy and ruleset stay for ever.
	struct generation *generation;
	struct generation_news *news;
};

// The table of sources that the workers share. NULL when out of memory.
struct sources *pipeline_sources(const struct policy *policy, const struct hash_key *key);

// All memory of the worker, sized by its part of the policy's totals. NULL when there is not
// enough.
struct pipeline *pipeline_create(const struct pipeline_settings *settings, struct tick now);
// Connections to servers that a policy may need at once: those in use, one probe each, and as many
// that are closing; any worker may have them all. A pipeline has room for PIPELINE_LEGS_SPARE times
// as many as its first policy needs: a reload may add servers while those that it took away still
// have theirs.
#define PIPELINE_LEGS_SPARE 2
// Numbers that connectors may have through all generations (generation_slot), when the first policy
// has so many.
#define PIPELINE_SLOTS(connectors) ((connectors)*2 + 16)
uint32_t pipeline_server_legs(const struct policy *policy);
// Frees everything; connections are not told (see pipeline_drain).
void pipeline_destroy(struct pipeline *pipeline);

// From now on this generation holds; between two bursts. Sessions follow at their next MAIL. Its
// number is above that of the one before, which still has users until this was called.
void pipeline_adopt(struct pipeline *pipeline, struct generation *generation, struct tick now,
		    struct outbox *outbox);
// The number of the newest one that was adopted.
uint64_t pipeline_generation(const struct pipeline *pipeline);

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

// Takes no new connections while closed; what there is goes on. What SYNs get, Refuse says.
void pipeline_close_door(struct pipeline *pipeline, bool closed);
// No session is there.
bool pipeline_without_clients(const struct pipeline *pipeline);

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
	uint64_t log_sequence;
};
struct pipeline_levels pipeline_levels(const struct pipeline *pipeline);

#endif
