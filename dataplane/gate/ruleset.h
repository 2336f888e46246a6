// SPDX-License-Identifier: BSD-3-Clause
//
// The policy compiled for lookup: (destination, source) -> connector, and which peers are servers
// of our backends. Built once in plain memory (mmap), read-only afterwards, shared by all workers.
// Ranges of all connectors become disjoint intervals by one sweep over sorted endpoints; each
// interval has a *source class* (the nest of connectors that contain it, innermost first); it is
// found through a direct index on the top bits. (binding class, source class) -> connector is a
// sparse table. Binding before range; the most specific binding that matches the destination owns
// the packet, and there is no fall-back to a wider one (design: section 3).
#ifndef RELAYGATE_GATE_RULESET_H
#define RELAYGATE_GATE_RULESET_H

#include "bpf/counters.h"
#include "dataplane/base/view.h"

struct policy;
struct ruleset;

#define CONNECTOR_NONE UINT16_MAX

enum verdict_kind {
	VERDICT_DROP,   // reason says why: no_binding, no_connector, ip_not_ours
	VERDICT_CLIENT, // from a listed source to a binding: connector is set
	VERDICT_SERVER, // from a server of a backend to one of our addresses
	VERDICT_FORMER, // the caller's, never the ruleset's: a drop, but of a flow from before
};

struct verdict {
	enum verdict_kind kind;
	enum reason reason;
	uint16_t connector; // index into policy.connectors
};

// NULL when out of memory. The policy has passed check (no partial overlap, no equal ranges on a
// binding); it need not outlive the ruleset.
struct ruleset *ruleset_create(const struct policy *policy);
void ruleset_destroy(struct ruleset *ruleset);

// One packet: the interval table and the binding table, nothing else.
uint16_t ruleset_connector(const struct ruleset *ruleset, const struct address *destination,
			   uint16_t destination_port, const struct address *source,
			   enum reason *reason);

// Is it the address of a server of a backend, whatever its port?
bool ruleset_is_server(const struct ruleset *ruleset, const struct address *address);

// A burst of TCP views, look-ups interleaved and prefetched. verdicts[i] judges *views[i].
void ruleset_classify(const struct ruleset *ruleset, const struct view *const views[],
		      unsigned count, struct verdict verdicts[]);

// Is some connector bound to this endpoint? Then what ruleset_classify says of a packet to it is
// no_connector, if the source is unlisted: no connector's ranges hold it, whatever its bindings.
bool ruleset_is_bound(const struct ruleset *ruleset, const struct address *address, uint16_t port);
// Which of at most RULESET_BURST sources are unlisted: a bit each. IPv4 in host byte order; of IPv6
// none may be v4-mapped.
#define RULESET_BURST 64
uint64_t ruleset_unlisted4(const struct ruleset *ruleset, const uint32_t sources[], unsigned count);
uint64_t ruleset_unlisted6(const struct ruleset *ruleset, const struct address sources[],
			   unsigned count);

// Bytes of memory and number of intervals, for status and tests.
size_t ruleset_memory(const struct ruleset *ruleset);
unsigned ruleset_intervals(const struct ruleset *ruleset);

#endif
