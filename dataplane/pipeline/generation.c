// SPDX-License-Identifier: BSD-3-Clause
//
// See generation.h. Runs in the thread that swaps, never in a worker.

#include "dataplane/pipeline/generation.h"

#include "config/policy.h"
#include "dataplane/gate/ruleset.h"
#include "dataplane/relay/servers.h"

#include <stdlib.h>
#include <string.h>

struct generation *generation_create(struct policy *policy, struct servers_shared *shared,
				     unsigned workers, uint64_t number)
{
	size_t size = sizeof(struct generation) + workers * sizeof(struct generation_share);
	struct generation *generation = aligned_alloc(_Alignof(struct generation), size);

	if (!generation)
		return NULL;
	memset(generation, 0, size);
	generation->number = number;
	generation->workers = workers;
	generation->ruleset = ruleset_create(policy);
	if (!generation->ruleset)
		goto destroy;
	for (unsigned i = 0; i < workers; i++) {
		generation->shares[i].servers = servers_create(policy, NULL, shared, i);
		if (!generation->shares[i].servers)
			goto destroy;
	}
	policy_forget_ranges(policy);
	generation->policy = policy;
	return generation;

destroy:
	generation_destroy(generation);
	return NULL;
}

void generation_publish(struct generation *generation)
{
	for (unsigned i = 0; i < generation->workers; i++)
		atomic_store_explicit(&generation->shares[i].users, 1, memory_order_relaxed);
}

void generation_forget_sources(struct generation *generation)
{
	ruleset_destroy(generation->ruleset);
	generation->ruleset = NULL;
	policy_forget_ip_lists(generation->policy);
}

bool generation_unused(const struct generation *generation)
{
	for (unsigned i = 0; i < generation->workers; i++)
		if (atomic_load_explicit(&generation->shares[i].users, memory_order_acquire))
			return false;
	return true;
}

void generation_destroy(struct generation *generation)
{
	if (!generation)
		return;
	for (unsigned i = 0; i < generation->workers; i++) {
		servers_destroy(generation->shares[i].servers);
		free(generation->shares[i].connectors);
	}
	ruleset_destroy(generation->ruleset);
	policy_destroy(generation->policy);
	free((void *)generation->slots);
	free(generation);
}
