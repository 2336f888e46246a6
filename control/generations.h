// SPDX-License-Identifier: BSD-3-Clause
//
// The generations of the policy that are in memory (pipeline/generation.h): makes them, with the
// rows that their connectors count in, gives the workers the newest, and frees those that nobody
// uses any more. Main thread only. Does not read files nor judge what may change (reload.c).
#ifndef RELAYGATE_CONTROL_GENERATIONS_H
#define RELAYGATE_CONTROL_GENERATIONS_H

#include "dataplane/io/worker.h"
#include "dataplane/pipeline/generation.h"

struct export;
struct policy;
struct servers_shared;
struct generations;

#define GENERATIONS_ERROR_MAX 256

// The first one, of a policy that now belongs to it, for so many workers. NULL, with a line for a
// person, when there is no memory or no row of counters left; the policy is the caller's then.
struct generations *generations_create(struct policy *policy, unsigned workers,
				       struct export *export, char error[GENERATIONS_ERROR_MAX]);
// No worker runs any more. NULL is fine.
void generations_destroy(struct generations *generations);

struct generation *generations_newest(const struct generations *generations);
struct worker_source *generations_source(struct generations *generations);
struct generation_news *generations_news(struct generations *generations);
// What all of them know of the servers.
const struct servers_shared *generations_servers(const struct generations *generations);

// The next one, aside: nobody sees it yet, and generations_discard forgets it. As
// generations_create.
struct generation *generations_prepare(struct generations *generations, struct policy *policy,
				       char error[GENERATIONS_ERROR_MAX]);
void generations_discard(struct generations *generations, struct generation *next);
// Every worker has it when this returns: a turn of each. Returns the one before, whose sources
// (generation_forget_sources) are for no worker any more.
struct generation *generations_swap(struct generations *generations, struct generation *next);
// Frees what nobody uses any more; true if there was such a one. Every 100 ms.
bool generations_collect(struct generations *generations);
// Connections to servers that the pipelines have room for (pipeline_server_legs).
unsigned generations_legs(const struct generations *generations);
// The policies in memory, the newest first; how many, at most max.
unsigned generations_policies(const struct generations *generations,
			      const struct policy *policies[], unsigned max);
unsigned generations_count(const struct generations *generations);

#endif
