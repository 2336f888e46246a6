// SPDX-License-Identifier: BSD-3-Clause
//
// From one generation of the policy to the next, in one worker and between two of its bursts: the
// ruleset and the settings at once, connections to servers that the new policy has with them, and
// sessions each at its own next MAIL. Counts what still refers to which generation. Takes time in
// proportion to the connections to servers, not to the sessions. Does not make or free generations.

#include "dataplane/base/spread.h"
#include "dataplane/pipeline/worker.h"

static _Atomic uint64_t *users_of(const struct pipeline *pipeline, struct generation *generation)
{
	return &generation->shares[pipeline->share].users;
}

// This worker is the only writer; release: whoever frees sees all that was done before.
static void add_users(const struct pipeline *pipeline, struct generation *generation, uint64_t add)
{
	_Atomic uint64_t *users = users_of(pipeline, generation);
	uint64_t now = atomic_load_explicit(users, memory_order_relaxed);

	atomic_store_explicit(users, now + add, memory_order_release);
}

static void tell_former(struct pipeline *pipeline)
{
	if (pipeline->news)
		atomic_store_explicit(&pipeline->news->worker[pipeline->worker].former,
				      pipeline->former, memory_order_relaxed);
}

void generation_enter(struct pipeline *pipeline, struct generation *generation)
{
	assert(generation == pipeline->generation);
	add_users(pipeline, generation, 1);
}

void generation_leave(struct pipeline *pipeline, struct generation *generation)
{
	if (generation != pipeline->generation) {
		assert(pipeline->former > 0);
		pipeline->former--;
		tell_former(pipeline);
	}
	add_users(pipeline, generation, (uint64_t)-1);
}

bool generation_former_anywhere(const struct pipeline *pipeline)
{
	if (pipeline->former)
		return true;
	for (unsigned i = 0; pipeline->news && pipeline->spread && i < pipeline->spread->workers;
	     i++) {
		if (atomic_load_explicit(&pipeline->news->worker[i].former, memory_order_relaxed) ||
		    atomic_load_explicit(&pipeline->news->worker[i].number, memory_order_relaxed) !=
			    pipeline->generation->number)
			return true;
	}
	return false;
}

// The connections follow their server to its new place; those of a server that is no more stay with
// the old generation: in use, they finish what they do.
static void move_legs(struct pipeline *pipeline, struct generation *old)
{
	struct generation *generation = pipeline->generation;
	struct server_leg *leg;

	TAILQ_FOREACH(leg, &pipeline->server_legs, in_all)
	{
		unsigned backend = leg->upstream.backend, server = leg->upstream.server;

		if (leg->generation != old ||
		    !servers_successor(pipeline->servers, old->shares[pipeline->share].servers,
				       &backend, &server))
			continue;
		leg->upstream.backend = leg->connection.backend = backend;
		leg->upstream.server = leg->connection.server = server;
		generation_leave(pipeline, old);
		leg->generation = generation;
		generation_enter(pipeline, generation);
	}
}

static void leave_removed(struct pipeline *pipeline, struct servers *old)
{
	struct servers_connection *connection;
	struct server_leg *leg;

	while ((connection = servers_next_removed(old)))
		server_leg_quit(pipeline,
				(struct server_leg *)((char *)connection -
						      offsetof(struct server_leg, connection)));
	// Nobody asks for what they find out any more.
	for (leg = pipeline->first_probe; leg; leg = leg->next_probe)
		if (leg->generation != pipeline->generation)
			server_leg_abort(pipeline, leg);
	exchange_stranded(pipeline, old);
}

void adopt_first(struct pipeline *pipeline, struct generation *generation)
{
	pipeline->generation = generation;
	pipeline->policy = generation->policy;
	pipeline->ruleset = generation->ruleset;
	pipeline->counters.connectors = generation->shares[pipeline->share].connectors;
	pipeline->servers = generation->shares[pipeline->share].servers;
	if (pipeline->news)
		atomic_store_explicit(&pipeline->news->worker[pipeline->worker].number,
				      generation->number, memory_order_release);
}

void pipeline_adopt(struct pipeline *pipeline, struct generation *generation, struct tick now,
		    struct outbox *outbox)
{
	struct generation *old = pipeline->generation;
	struct servers *old_servers = pipeline->servers;

	pipeline->now = now;
	pipeline->device = outbox;
	// All but the worker itself are former ones now.
	pipeline->former += atomic_load_explicit(users_of(pipeline, old), memory_order_relaxed) - 1;
	tell_former(pipeline);
	adopt_first(pipeline, generation);
	net_adopt(pipeline->net, generation->policy);
	servers_adopt(pipeline->servers, old_servers, &pipeline->random);
	move_legs(pipeline, old);
	leave_removed(pipeline, old_servers);
	send_flush(pipeline);
	// The last look at the old one, unless something refers to it.
	add_users(pipeline, old, (uint64_t)-1);
}

uint64_t pipeline_generation(const struct pipeline *pipeline)
{
	return pipeline->generation->number;
}
