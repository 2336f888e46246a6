// SPDX-License-Identifier: BSD-3-Clause
//
// The workers of a gate as one: each with its rows of counters, its pipeline and its thread, and
// what they share. Started first to last, stopped last to first.
#ifndef RELAYGATE_CONTROL_CREW_H
#define RELAYGATE_CONTROL_CREW_H

#include "dataplane/io/worker.h"

struct bans;
struct crew;
struct dnsbl;
struct export;
struct offenders;
struct generations;
struct packet_port;
struct policy;
struct protocol_log;
struct reason_counter;
struct record_ring;
struct sources;
struct spread;

#define CREW_ERROR_MAX 128

// What all of them work with; outlives the crew. As many workers as policy says, and spread too.
struct crew_settings {
	const struct policy *policy;            // of the newest generation
	struct generations *generations;        // followed by the workers
	struct port *ports;                     // [policy->port_count], open
	const struct packet_port *packet_ports; // the same, as net/ wants them
	const struct spread *spread;            // NULL for an only worker
	struct export *export;
	struct protocol_log *protocol_log; // NULL for none
	struct dnsbl *dnsbl;               // NULL: no lists
	struct bans *bans;
	struct record_ring *notices; // for the log (base/notice.h)
};

// All memory that they need. NULL, with a line for a person, when there is not enough.
struct crew *crew_create(const struct crew_settings *settings, char error[CREW_ERROR_MAX]);
// Stops those that run; NULL is fine.
void crew_destroy(struct crew *crew);

// Threads of the EAL, lcore 1 and up. 0 or -errno; those that run already go on.
int crew_launch(struct crew *crew);
void crew_order(struct crew *crew, enum worker_order order);
bool crew_drained(const struct crew *crew);
// Returns when no worker runs any more.
void crew_stop(struct crew *crew);
// What is known of sources.
const struct sources *crew_sources(const struct crew *crew);
unsigned crew_workers(const struct crew *crew);
// Whom each of them dropped.
const struct offenders *crew_offenders(const struct crew *crew, unsigned worker);
// Worker 0's row of a port: control counts in it what no worker counts.
struct port_counters *crew_port_row(struct crew *crew, unsigned port);
// The same of a reason that no worker counts.
struct reason_counter *crew_reason_row(struct crew *crew, enum reason reason);

#endif
