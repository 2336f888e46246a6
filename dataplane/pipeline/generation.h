// SPDX-License-Identifier: BSD-3-Clause
//
// A policy as the workers use it, with all that was made of it aside: the ruleset, each worker's
// rows of counters by connector, its view of the servers. A reload makes the next generation, and
// each worker takes it (pipeline_adopt) at its own next turn.
//
// What of it is needed how long:
//  - by every packet: the ruleset and the IP lists. Whoever swaps frees them with
//    generation_forget_sources once no worker can be between two turns of before the swap.
//  - by sessions and by connections to servers that the next policy does not have: connectors,
//    domains, limits (kilobytes; the ranges are gone once the ruleset is made). Each worker counts
//    what of its own refers to the generation; with the last one generation_unused holds, and the
//    whole may be freed. A session moves on at its next MAIL, so no idle one holds it for ever,
//    and none holds ranges.
//
// One thread makes, swaps and frees generations; workers only count in their own share.
#ifndef RELAYGATE_PIPELINE_GENERATION_H
#define RELAYGATE_PIPELINE_GENERATION_H

#include "bpf/counters.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct policy;
struct ruleset;
struct servers;
struct servers_shared;

// One worker's part.
struct generation_share {
	struct connector_counters **connectors; // [policy->connector_count]
	struct servers *servers;
	// The worker itself while this is its newest generation, each of its clients, each of its
	// connections to servers. Written by the worker alone.
	_Atomic uint64_t users;
} __attribute__((aligned(64)));

struct generation {
	uint64_t number; // 1, 2, ...
	struct policy *policy;
	struct ruleset *ruleset;
	// By connector: a number that its name keeps through all generations (its counters' row).
	// NULL: its place in the policy.
	const uint16_t *slots;
	unsigned workers;
	struct generation_share shares[];
};

// What each worker tells the others, so that whoever receives a frame knows whether its owner may
// have a flow of it that the newest ruleset does not list. One for all generations.
struct generation_news {
	struct {
		_Atomic uint64_t number; // of the generation that it has adopted
		_Atomic uint64_t former; // users that it has of older ones
	} __attribute__((aligned(64))) worker[16];
};

// Compiles the policy, whose ranges are then gone. Owns the policy, when it succeeds. shared: the
// table of all generations, NULL for an only worker that never gets another one. Counters' rows
// and slots are the caller's to fill in: shares[].connectors, arrays that belong to the generation
// (free). NULL when memory or rows of the shared table are short.
struct generation *generation_create(struct policy *policy, struct servers_shared *shared,
				     unsigned workers, uint64_t number);
// Whoever swaps, before the first worker can see it: each of them uses it.
void generation_publish(struct generation *generation);
// No worker will look at ruleset and IP lists again.
void generation_forget_sources(struct generation *generation);
// Every worker has a newer one, and nothing of them refers to this one. Stays so.
bool generation_unused(const struct generation *generation);
void generation_destroy(struct generation *generation); // NULL is fine

static inline uint16_t generation_slot(const struct generation *generation, uint16_t connector)
{
	return generation->slots ? generation->slots[connector] : connector;
}

#endif
