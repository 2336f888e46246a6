// SPDX-License-Identifier: BSD-3-Clause
//
// A worker's memory, all of it, taken once and sized by the policy; and its return. Acquired in
// order, released through labels in reverse. Does not start anything.

#include "dataplane/base/spread.h"
#include "dataplane/gate/bans.h"
#include "dataplane/gate/sources.h"
#include "dataplane/pipeline/worker.h"
#include "dataplane/relay/servers.h"

#include <stdlib.h>

// A source's score falls by one point in this time.
#define POINT_US 30000000u

// This worker's part of a total of the gate's.
static uint64_t share(const struct pipeline *pipeline, uint64_t total)
{
	unsigned workers = pipeline->spread ? pipeline->spread->workers : 1;

	return spread_share(total, pipeline->worker, workers);
}

uint32_t pipeline_server_legs(const struct policy *policy)
{
	uint32_t count = 0;

	for (unsigned i = 0; i < policy->backend_count; i++)
		count += policy->backends[i].server_count *
			 (2 * policy->backends[i].max_connections + 2);
	return count;
}

static struct hash_key random_key(struct pipeline *pipeline)
{
	uint64_t words[2] = {random_u64(&pipeline->random), random_u64(&pipeline->random)};
	struct hash_key key;

	memcpy(key.bytes, words, sizeof(key.bytes));
	return key;
}

static struct tcp *create_tcp(struct pipeline *pipeline, uint32_t flows)
{
	const struct gate_settings *gate = &pipeline->policy->gate;

	return tcp_create(&(struct tcp_settings){
		.flows = flows,
		.time_wait_entries = (uint32_t)share(pipeline, gate->time_wait_entries),
		.receive_buffer = gate->receive_buffer,
		.send_buffer = gate->send_buffer,
		.hash_key = random_key(pipeline),
		.chunks = &pipeline->chunks,
		.random = &pipeline->random,
	});
}

static int create_pools(struct pipeline *pipeline, uint32_t legs)
{
	const struct gate_settings *gate = &pipeline->policy->gate;

	if (chunk_pool_init(&pipeline->chunks, share(pipeline, gate->buffer_memory)))
		return -1;
	if (pool_init(&pipeline->clients, sizeof(struct client),
		      (uint32_t)share(pipeline, gate->max_sessions)))
		goto free_chunks;
	if (pool_init(&pipeline->servers_pool, sizeof(struct server_leg), legs))
		goto free_clients;
	return 0;

free_clients:
	pool_fini(&pipeline->clients);
free_chunks:
	pool_fini(&pipeline->chunks);
	return -1;
}

// For a pipeline that stays with one policy, which is the caller's.
static struct generation *create_own_generation(struct pipeline *pipeline,
						const struct pipeline_settings *settings)
{
	size_t size = sizeof(struct generation) + sizeof(struct generation_share);
	struct generation *own = aligned_alloc(_Alignof(struct generation), size);

	if (!own)
		return NULL;
	memset(own, 0, size);
	own->number = 1;
	own->policy = (struct policy *)settings->policy;
	own->ruleset = (struct ruleset *)settings->ruleset;
	own->workers = 1;
	own->shares[0].connectors = settings->counters.connectors;
	own->shares[0].servers = servers_create(settings->policy, &pipeline->random,
						settings->servers, pipeline->worker);
	if (own->shares[0].servers) {
		generation_publish(own);
		return own;
	}
	free(own);
	return NULL;
}

static void destroy_own_generation(struct pipeline *pipeline)
{
	if (pipeline->own_generation)
		servers_destroy(pipeline->own_generation->shares[0].servers);
	free(pipeline->own_generation);
}

static int begin_generations(struct pipeline *pipeline, const struct pipeline_settings *settings)
{
	struct generation *first = settings->generation;

	pipeline->news = settings->news;
	pipeline->share = first ? pipeline->worker : 0;
	if (!first)
		first = pipeline->own_generation = create_own_generation(pipeline, settings);
	if (!first)
		return -1;
	adopt_first(pipeline, first);
	servers_set_random(pipeline->servers, &pipeline->random);
	return 0;
}

struct sources *pipeline_sources(const struct policy *policy, const struct hash_key *key)
{
	return sources_create(&(struct sources_settings){
		.entries = policy->gate.source_entries,
		.ipv4_prefix = (uint8_t)policy->gate.source_prefix_ipv4,
		.ipv6_prefix = (uint8_t)policy->gate.source_prefix_ipv6,
		.point_us = policy->ban.point_ms ? policy->ban.point_ms * 1000 : POINT_US,
		.key = *key,
	});
}

static int create_bans(struct pipeline *pipeline, const struct pipeline_settings *settings)
{
	struct hash_key key = random_key(pipeline);

	pipeline->notices = settings->notices;
	pipeline->bans = settings->bans;
	if (!pipeline->bans)
		pipeline->bans = pipeline->own_bans =
			bans_create(pipeline->policy->ban.entries, &key);
	if (!pipeline->bans)
		return -1;
	if (ban_init(pipeline) == 0)
		return 0;
	bans_destroy(pipeline->own_bans);
	return -1;
}

static bool delays_greetings(const struct policy *policy)
{
	for (unsigned i = 0; i < policy->connector_count; i++)
		if (policy->connectors[i].greet_delay_ms)
			return true;
	return false;
}

// What is counted by source and by connector, here and with the other workers.
static int create_counts(struct pipeline *pipeline, const struct pipeline_settings *settings)
{
	const struct policy *policy = pipeline->policy;
	struct hash_key rates_key = random_key(pipeline), sources_key = random_key(pipeline);
	struct hash_key passed_key = random_key(pipeline);

	pipeline->rates = settings->rates;
	if (!pipeline->rates)
		pipeline->rates = pipeline->own_rates = rates_create(RATE_ENTRIES, &rates_key);
	if (!pipeline->rates)
		return -1;
	pipeline->sources = settings->sources;
	if (!pipeline->sources)
		pipeline->sources = pipeline->own_sources = pipeline_sources(policy, &sources_key);
	if (!pipeline->sources)
		goto destroy_rates;
	pipeline->passed = settings->passed;
	if (!pipeline->passed && delays_greetings(policy)) {
		pipeline->passed = pipeline->own_passed =
			passed_create(PASSED_ENTRIES, &passed_key);
		if (!pipeline->passed)
			goto destroy_sources;
	}
	pipeline->syns = calloc(PIPELINE_SLOTS(policy->connector_count), sizeof(pipeline->syns[0]));
	if (!pipeline->syns)
		goto destroy_passed;
	admit_init(pipeline, pipeline->spread ? pipeline->spread->workers : 1);
	return 0;

destroy_passed:
	passed_destroy(pipeline->own_passed);
destroy_sources:
	sources_destroy(pipeline->own_sources);
destroy_rates:
	rates_destroy(pipeline->own_rates);
	return -1;
}

static void destroy_counts(struct pipeline *pipeline)
{
	free(pipeline->syns);
	passed_destroy(pipeline->own_passed);
	sources_destroy(pipeline->own_sources);
	rates_destroy(pipeline->own_rates);
}

static int create_parts(struct pipeline *pipeline, uint32_t legs,
			const struct pipeline_settings *settings)
{
	const struct policy *policy = pipeline->policy;

	pipeline->wheel = wheel_create(pipeline->now.now_us);
	if (!pipeline->wheel)
		return -1;
	pipeline->net = net_create(policy, pipeline->ports, &pipeline->random);
	if (!pipeline->net)
		goto destroy_wheel;
	pipeline->half_open =
		half_open_create((uint32_t)share(pipeline, policy->gate.half_open_entries));
	if (!pipeline->half_open)
		goto destroy_net;
	pipeline->tcp =
		create_tcp(pipeline, (uint32_t)share(pipeline, policy->gate.max_sessions) + legs);
	if (!pipeline->tcp)
		goto destroy_half_open;
	if (begin_generations(pipeline, settings))
		goto destroy_tcp;
	if (create_counts(pipeline, settings))
		goto destroy_generation;
	if (create_bans(pipeline, settings))
		goto destroy_counts;
	if (pipeline->worker != 0)
		net_silence(pipeline->net);
	return 0;

destroy_counts:
	destroy_counts(pipeline);
destroy_generation:
	destroy_own_generation(pipeline);
destroy_tcp:
	tcp_destroy(pipeline->tcp);
destroy_half_open:
	half_open_destroy(pipeline->half_open);
destroy_net:
	net_destroy(pipeline->net);
destroy_wheel:
	wheel_destroy(pipeline->wheel);
	return -1;
}

struct pipeline *pipeline_create(const struct pipeline_settings *settings, struct tick now)
{
	struct pipeline *pipeline = calloc(1, sizeof(*pipeline));
	const struct policy *policy =
		settings->generation ? settings->generation->policy : settings->policy;
	uint32_t legs = PIPELINE_LEGS_SPARE * pipeline_server_legs(policy);

	if (!pipeline)
		return NULL;
	pipeline->outbox = send_counted_outbox;
	pipeline->policy = policy;
	pipeline->ports = settings->ports;
	pipeline->quota.take = client_within_rate;
	pipeline->quota.renew = client_renew;
	pipeline->quota.listing = greeting_listing;
	pipeline->dnsbl = settings->dnsbl;
	pipeline->counters = settings->counters;
	pipeline->protocol = settings->protocol;
	capture_init(pipeline);
	evict_init(pipeline);
	TAILQ_INIT(&pipeline->dirty);
	TAILQ_INIT(&pipeline->server_legs);
	pipeline->worker = settings->worker;
	pipeline->spread = settings->spread;
	pipeline->handover = settings->handover;
	pipeline->now = now;
	pipeline->log_sequence = settings->counters.log_sequence;
	random_init(&pipeline->random, settings->random_key);
	pipeline->resets.key = random_key(pipeline);
	pipeline->session_ids = random_u64(&pipeline->random);
	cookie_keys_init(&pipeline->cookie_keys, &settings->cookie_secret, now.now_us);
	if (create_pools(pipeline, legs))
		goto free_pipeline;
	if (sieve_init(pipeline))
		goto free_pools;
	if (create_parts(pipeline, legs, settings))
		goto free_sieves;
	return pipeline;

free_sieves:
	sieve_fini(pipeline);
free_pools:
	pool_fini(&pipeline->servers_pool);
	pool_fini(&pipeline->clients);
	pool_fini(&pipeline->chunks);
free_pipeline:
	free(pipeline);
	return NULL;
}

void pipeline_destroy(struct pipeline *pipeline)
{
	if (!pipeline)
		return;
	ban_fini(pipeline);
	bans_destroy(pipeline->own_bans);
	destroy_counts(pipeline);
	destroy_own_generation(pipeline);
	tcp_destroy(pipeline->tcp);
	half_open_destroy(pipeline->half_open);
	net_destroy(pipeline->net);
	wheel_destroy(pipeline->wheel);
	sieve_fini(pipeline);
	pool_fini(&pipeline->servers_pool);
	pool_fini(&pipeline->clients);
	pool_fini(&pipeline->chunks);
	free(pipeline);
}
