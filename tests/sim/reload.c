// SPDX-License-Identifier: BSD-3-Clause
//
// Another policy in the middle of a run, as control/ gives it to the workers: compiled aside, shown
// to all, taken by each at a turn of its own, freed as soon as that is allowed, and poisoned. The
// edits leave the clients' rights alone but in rough worlds; connectors before theirs come and go,
// so that its place changes, and servers come and go.

#include "config/load.h"
#include "config/policy.h"
#include "dataplane/pipeline/worker.h"
#include "tests/sim/gate.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint16_t slot_of(const char *name)
{
	static const char *const names[GATE_CONNECTORS] = {"clients", "others", "renamed"};

	for (uint16_t slot = 0; slot < GATE_CONNECTORS; slot++)
		if (strcmp(name, names[slot]) == 0)
			return slot;
	abort();
}

static struct generation *create(struct gate *gate, const struct gate_edit *edit)
{
	char text[GATE_TEXT_MAX];
	struct policy *policy;
	struct generation *generation;
	uint16_t *slots;

	gate_text(gate, edit, text);
	policy = policy_load_text(text, &(struct diagnostics){0});
	assert(policy);
	generation = generation_create(policy, gate->shared, gate->worker_count, ++gate->reloads);
	assert(generation);
	slots = calloc(policy->connector_count, sizeof(*slots));
	assert(slots);
	for (unsigned i = 0; i < policy->connector_count; i++)
		slots[i] = slot_of(policy->connectors[i].name);
	generation->slots = slots;
	for (unsigned i = 0; i < gate->worker_count; i++) {
		struct connector_counters **rows = calloc(policy->connector_count, sizeof(*rows));

		assert(rows);
		for (unsigned j = 0; j < policy->connector_count; j++)
			rows[j] = &gate->workers[i].connector[slots[j]];
		generation->shares[i].connectors = rows;
	}
	generation_publish(generation);
	return generation;
}

struct generation *gate_first_generation(struct gate *gate)
{
	gate->held[0] = create(gate, &(struct gate_edit){.both_servers = true});
	gate->held_count = 1;
	return gate->held[0];
}

static struct generation *newest(const struct gate *gate)
{
	return gate->held[gate->held_count - 1];
}

static bool adopted_by_all(const struct gate *gate)
{
	for (unsigned i = 0; i < gate->worker_count; i++)
		if (pipeline_generation(gate->workers[i].pipeline) != newest(gate)->number)
			return false;
	return true;
}

// What is freed says something else first: whoever still uses it does not get away with it.
static void poison(const struct generation *generation)
{
	const struct policy *policy = generation->policy;

	for (unsigned i = 0; i < policy->connector_count; i++) {
		struct connector *connector = &policy->connectors[i];

		memset(connector->fqdn, 'X', strlen(connector->fqdn));
		connector->max_message_size = connector->max_recipients = 0;
	}
	for (unsigned i = 0; i < policy->domain_count; i++)
		memset(policy->domains[i].name, 'X', strlen(policy->domains[i].name));
}

static void destroy(struct generation *generation)
{
	poison(generation);
	generation_destroy(generation);
}

// Does anything of a worker refer to it?
static bool is_used(const struct pipeline *pipeline, const struct generation *generation)
{
	const struct server_leg *leg;
	const struct client *client;
	bool used = false;

	for (unsigned i = 0; i < 2 * CLIENT_RANKS; i++)
		TAILQ_FOREACH(client, &pipeline->ranks[i / 2][i % 2], in_rank)
		{
			used |= client->generation == generation;
		}
	TAILQ_FOREACH(leg, &pipeline->server_legs, in_all)
	{
		used |= leg->generation == generation;
	}
	return used;
}

// Nobody may still use what the workers' own books say is free. False: the run has failed.
static bool may_be_freed(struct gate *gate, const struct generation *generation)
{
	for (unsigned i = 0; i < gate->worker_count; i++) {
		if (!is_used(gate->workers[i].pipeline, generation))
			continue;
		if (!gate->watch.fault[0])
			snprintf(gate->watch.fault, sizeof(gate->watch.fault),
				 "policy %llu is freed while worker %u uses it",
				 (unsigned long long)generation->number, i);
		return false;
	}
	return true;
}

static void collect(struct gate *gate)
{
	unsigned kept = 0;

	for (unsigned i = 0; i + 1 < gate->held_count; i++) {
		if (gate->held[i]->ruleset)
			generation_forget_sources(gate->held[i]);
		if (generation_unused(gate->held[i]) && may_be_freed(gate, gate->held[i]))
			destroy(gate->held[i]);
		else
			gate->held[kept++] = gate->held[i];
	}
	gate->held[kept++] = newest(gate);
	gate->held_count = kept;
}

static struct gate_edit draw(struct gate *gate)
{
	struct dice *dice = &gate->reload_dice;

	return (struct gate_edit){
		.others_first = dice_one_in(dice, 2),
		.both_servers = gate->plan.one_server || dice_one_in(dice, 2),
		.second_server = dice_one_in(dice, 2),
		.renamed = gate->plan.rude_reloads && dice_one_in(dice, 4),
		.unlisted = gate->plan.rude_reloads && dice_one_in(dice, 6),
		.no_rights = gate->plan.rude_reloads && dice_one_in(dice, 6),
	};
}

void gate_reload(struct gate *gate)
{
	struct gate_edit edit;

	if (gate->held_count > 1 && adopted_by_all(gate))
		collect(gate);
	if (gate->reloads > gate->plan.reloads || gate->now.now_us < gate->next_reload_us ||
	    !adopted_by_all(gate) || gate->held_count == GATE_HELD_MAX)
		return;
	gate->next_reload_us =
		gate->now.now_us + 1 + dice_below(&gate->reload_dice, 2 * gate->plan.reload_us);
	edit = draw(gate);
	gate->held[gate->held_count] = create(gate, &edit);
	gate->held_count++;
}

void gate_adopt(struct gate *gate, struct gate_worker *worker)
{
	struct pipeline *pipeline = worker->pipeline;
	unsigned before;

	gate->watch.worker = (unsigned)(worker - gate->workers);
	if (pipeline_generation(pipeline) == newest(gate)->number)
		return;
	before = servers_extensions(pipeline->servers, 0);
	pipeline_adopt(pipeline, newest(gate), gate->now, &gate->outbox);
	gate->withdrew |= before && !servers_extensions(pipeline->servers, 0);
}

void gate_free_generations(struct gate *gate)
{
	while (gate->held_count > 0)
		generation_destroy(gate->held[--gate->held_count]);
}
