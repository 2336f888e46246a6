// SPDX-License-Identifier: BSD-3-Clause
//
// See generations.h. A connector's row of counters is taken when a generation with its name is made
// and given back when the last such one is freed: until then some session may count there.

#include "control/generations.h"

#include "bpf/export.h"
#include "config/policy.h"
#include "dataplane/pipeline/pipeline.h"
#include "dataplane/relay/servers.h"

#include <errno.h>
#include <rte_rcu_qsbr.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <time.h>

#define LOOK_NS 100000 // how often an end of the grace period is looked for

struct held {
	struct generation *generation;
	LIST_ENTRY(held) next;
};

struct generations {
	struct export *export;
	unsigned workers;
	uint64_t number; // of the newest
	unsigned legs;   // of the first policy
	struct servers_shared *servers;
	struct generation_news news;
	struct worker_source source;
	LIST_HEAD(, held) held; // the newest first
};

static int fail(char error[GENERATIONS_ERROR_MAX], const char *what)
{
	snprintf(error, GENERATIONS_ERROR_MAX, "%s", what);
	return -1;
}

static void mark_slots(bool marks[UINT16_MAX + 1], const struct generation *generation)
{
	for (unsigned i = 0; i < generation->policy->connector_count; i++)
		marks[generation->slots[i]] = true;
}

// Those that no generation in memory has.
static void release_slots(struct generations *generations, const uint16_t *slots, unsigned count)
{
	bool held_slots[UINT16_MAX + 1] = {false};
	const struct held *held;

	LIST_FOREACH(held, &generations->held, next)
	mark_slots(held_slots, held->generation);
	for (unsigned i = 0; i < count; i++)
		if (!held_slots[slots[i]])
			export_connector_release(generations->export, slots[i]);
}

// The rows of all connectors, in the order of the policy.
static int take_slots(struct generations *generations, const struct policy *policy, uint16_t *slots,
		      char error[GENERATIONS_ERROR_MAX])
{
	for (unsigned i = 0; i < policy->connector_count; i++) {
		unsigned slot;

		if (export_connector_slot(generations->export, policy->connectors[i].name, &slot)) {
			release_slots(generations, slots, i);
			return fail(error, "no free row of counters for a connector: there are "
					   "rows for twice the connectors of the start and a few "
					   "more; restart");
		}
		slots[i] = (uint16_t)slot;
	}
	return 0;
}

static int map_rows(struct generations *generations, struct generation *generation)
{
	unsigned count = generation->policy->connector_count;

	for (unsigned worker = 0; worker < generation->workers; worker++) {
		struct export_worker rows = export_worker(generations->export, worker);
		struct generation_share *share = &generation->shares[worker];

		share->connectors = calloc(count ? count : 1, sizeof(*share->connectors));
		if (!share->connectors)
			return -1;
		for (unsigned i = 0; i < count; i++)
			share->connectors[i] = &rows.connectors[generation->slots[i]];
	}
	return 0;
}

struct generation *generations_prepare(struct generations *generations, struct policy *policy,
				       char error[GENERATIONS_ERROR_MAX])
{
	size_t slots_size = (policy->connector_count + 1) * sizeof(uint16_t);
	uint16_t *slots = malloc(slots_size);
	struct generation *next;

	fail(error, "not enough memory for the ranges of all connectors");
	if (!slots || take_slots(generations, policy, slots, error)) {
		free(slots);
		return NULL;
	}
	next = generation_create(policy, generations->servers, generations->workers,
				 generations->number + 1);
	if (!next)
		goto release;
	next->slots = slots;
	if (map_rows(generations, next) == 0)
		return next;
	next->policy = NULL; // stays the caller's
	next->slots = NULL;
	generation_destroy(next);
release:
	release_slots(generations, slots, policy->connector_count);
	free(slots);
	return NULL;
}

void generations_discard(struct generations *generations, struct generation *next)
{
	release_slots(generations, next->slots, next->policy->connector_count);
	generation_destroy(next);
}

static int hold(struct generations *generations, struct generation *generation)
{
	struct held *held = malloc(sizeof(*held));

	if (!held)
		return -1;
	held->generation = generation;
	LIST_INSERT_HEAD(&generations->held, held, next);
	return 0;
}

static struct rte_rcu_qsbr *create_readers(unsigned workers)
{
	size_t size = rte_rcu_qsbr_get_memsize(workers);
	struct rte_rcu_qsbr *readers =
		aligned_alloc(RTE_CACHE_LINE_SIZE, RTE_ALIGN(size, RTE_CACHE_LINE_SIZE));

	if (readers && rte_rcu_qsbr_init(readers, workers)) {
		free(readers);
		return NULL;
	}
	return readers;
}

struct generations *generations_create(struct policy *policy, unsigned workers,
				       struct export *export, char error[GENERATIONS_ERROR_MAX])
{
	struct generations *generations =
		aligned_alloc(_Alignof(struct generations), sizeof(*generations));
	struct generation *first;

	fail(error, "out of memory");
	if (!generations)
		return NULL;
	memset(generations, 0, sizeof(*generations));
	generations->export = export;
	generations->legs = pipeline_server_legs(policy);
	generations->workers = workers;
	LIST_INIT(&generations->held);
	generations->servers = servers_shared_create(policy, workers);
	generations->source.readers = create_readers(workers);
	if (!generations->servers || !generations->source.readers)
		goto destroy;
	first = generations_prepare(generations, policy, error);
	if (!first)
		goto destroy;
	if (hold(generations, first)) {
		first->policy = NULL; // stays the caller's
		generation_destroy(first);
		goto destroy;
	}
	generations->number = first->number;
	generation_publish(first);
	atomic_store(&generations->source.newest, first);
	export_connectors_listed(export, first->slots, policy->connector_count);
	return generations;

destroy:
	generations_destroy(generations);
	return NULL;
}

static void drop(struct generations *generations, struct held *held)
{
	struct generation *generation = held->generation;

	LIST_REMOVE(held, next);
	release_slots(generations, generation->slots, generation->policy->connector_count);
	generation_destroy(generation);
	free(held);
}

void generations_destroy(struct generations *generations)
{
	if (!generations)
		return;
	while (!LIST_EMPTY(&generations->held))
		drop(generations, LIST_FIRST(&generations->held));
	servers_shared_destroy(generations->servers);
	free(generations->source.readers);
	free(generations);
}

struct generation *generations_newest(const struct generations *generations)
{
	return LIST_FIRST(&generations->held)->generation;
}

struct worker_source *generations_source(struct generations *generations)
{
	return &generations->source;
}

const struct servers_shared *generations_servers(const struct generations *generations)
{
	return generations->servers;
}

struct generation_news *generations_news(struct generations *generations)
{
	return &generations->news;
}

static bool adopted_by_all(struct generations *generations, uint64_t number)
{
	for (unsigned i = 0; i < generations->workers; i++)
		if (atomic_load_explicit(&generations->news.worker[i].number,
					 memory_order_acquire) != number)
			return false;
	return true;
}

struct generation *generations_swap(struct generations *generations, struct generation *next)
{
	const struct timespec look = {.tv_nsec = LOOK_NS};
	struct generation *before = generations_newest(generations);
	uint64_t token;

	if (hold(generations, next))
		abort(); // a few bytes: nothing would work any more
	generations->number = next->number;
	generation_publish(next);
	atomic_store_explicit(&generations->source.newest, next, memory_order_release);
	token = rte_rcu_qsbr_start(generations->source.readers);
	while (rte_rcu_qsbr_check(generations->source.readers, token, false) != 1)
		nanosleep(&look, NULL);
	// None may miss this one: it would count as used by him for ever.
	while (!adopted_by_all(generations, next->number))
		nanosleep(&look, NULL);
	export_connectors_listed(generations->export, next->slots, next->policy->connector_count);
	return before;
}

unsigned generations_legs(const struct generations *generations)
{
	return PIPELINE_LEGS_SPARE * generations->legs;
}

bool generations_collect(struct generations *generations)
{
	struct held *held = LIST_NEXT(LIST_FIRST(&generations->held), next), *after;
	bool freed = false;

	for (; held; held = after) {
		after = LIST_NEXT(held, next);
		if (!generation_unused(held->generation))
			continue;
		drop(generations, held);
		freed = true;
	}
	return freed;
}

unsigned generations_policies(const struct generations *generations,
			      const struct policy *policies[], unsigned max)
{
	const struct held *held;
	unsigned count = 0;

	LIST_FOREACH(held, &generations->held, next)
	if (count < max)
		policies[count++] = held->generation->policy;
	return count;
}

unsigned generations_count(const struct generations *generations)
{
	const struct held *held;
	unsigned count = 0;

	LIST_FOREACH(held, &generations->held, next)
	count++;
	return count;
}
