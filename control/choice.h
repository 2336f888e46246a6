// SPDX-License-Identifier: BSD-3-Clause
//
// Which connector takes a connection, and what it wins against: the data path's own answer
// (gate/ruleset) with the binding, the range and the rivals that explain it.
#ifndef RELAYGATE_CONTROL_CHOICE_H
#define RELAYGATE_CONTROL_CHOICE_H

#include "bpf/counters.h"
#include "config/policy.h"

enum rival_fault {
	RIVAL_WIDER_BINDING, // another binding is more specific, and owns the connection
	RIVAL_WIDER_RANGE,   // on the same binding, with a wider range
	RIVAL_DISABLED,
};

// A connector that would take the connection if the winner did not.
struct rival {
	const struct connector *connector;
	const struct endpoint *binding;
	const struct connector_range *range;
	enum rival_fault fault;
};

struct choice {
	struct endpoint from, to;
	const struct connector *connector; // NULL: refused, see reason
	const struct endpoint *binding;
	const struct connector_range *range;
	enum reason reason;                       // REASON_NONE with a connector
	const struct ip_entry *allowed, *blocked; // of the lists, NULL = on neither
	bool server;                              // of a backend
	struct rival *rivals;
	unsigned rival_count;
};

// 0 or -ENOMEM. wall_us: when the connection is made, for entries that expire.
int choice_make(const struct policy *policy, const struct endpoint *from, const struct endpoint *to,
		uint64_t wall_us, struct choice *choice);
void choice_fini(struct choice *choice);

// The binding by which the connector, among others perhaps, owns connections to this destination:
// its ranges count there. NULL when it does not.
const struct endpoint *choice_owner(const struct policy *policy, const struct connector *connector,
				    const struct endpoint *to);

#endif
