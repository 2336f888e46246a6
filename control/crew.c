// SPDX-License-Identifier: BSD-3-Clause
//
// Hires and dismisses workers: rows out of the exported maps, one cookie secret for all and a
// random key for each, a pipeline, a thread. Owns all of it; what happens inside is the pipeline's.

#include "control/crew.h"

#include "bpf/export.h"
#include "config/policy.h"
#include "control/generations.h"
#include "control/protocol_log.h"
#include "dataplane/base/spread.h"
#include "dataplane/gate/offenders.h"
#include "dataplane/gate/passed.h"
#include "dataplane/gate/rates.h"
#include "dataplane/gate/sources.h"
#include "dataplane/io/inbox.h"
#include "dataplane/pipeline/pipeline.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#define FIRST_LCORE 1 // lcore 0 is the main thread

struct member {
	struct pipeline_counters counters;
	struct pipeline *pipeline;
	struct worker *worker;
};

struct crew {
	struct rates *rates;
	struct passed *passed;
	struct sources *sources;
	struct inboxes *inboxes;
	unsigned count;    // members made, the last one perhaps in part
	unsigned launched; // of these, running
	struct member members[];
};

static int map_rows(const struct crew_settings *settings, unsigned index,
		    struct pipeline_counters *counters, char *error)
{
	const struct policy *policy = settings->policy;
	struct export_worker rows = export_worker(settings->export, index);
	unsigned slot;
	uint64_t key;

	counters->ports = calloc(policy->port_count, sizeof(*counters->ports));
	if (!counters->ports) {
		snprintf(error, CREW_ERROR_MAX, "out of memory");
		return -1;
	}
	for (unsigned i = 0; i < policy->port_count; i++) {
		if (export_port_slot(settings->export, policy->ports[i].name, &slot)) {
			snprintf(error, CREW_ERROR_MAX, "no free counter row for a port");
			return -1;
		}
		counters->ports[i] = &rows.ports[slot];
	}
	counters->reasons = rows.reasons;
	counters->log = rows.log;
	counters->log_records = policy->gate.log_records;
	counters->log_sequence = rows.log_sequence;
	counters->capture = rows.capture;
	counters->captured = rows.captured;
	counters->captured_sequence = rows.captured_sequence;
	randombytes_buf(&key, sizeof(key));
	counters->offenders = offenders_create(key, worker_now().now_us);
	if (!counters->offenders) {
		snprintf(error, CREW_ERROR_MAX, "out of memory");
		return -1;
	}
	return 0;
}

static int hire(struct crew *crew, const struct crew_settings *settings,
		const struct cookie_secret *secret, char *error)
{
	const struct policy *policy = settings->policy;
	unsigned index = crew->count++;
	struct member *member = &crew->members[index];
	struct pipeline_settings pipeline = {
		.generation = generations_newest(settings->generations),
		.news = generations_news(settings->generations),
		.ports = settings->packet_ports,
		.cookie_secret = *secret,
		.worker = index,
		.spread = settings->spread,
		.rates = crew->rates,
		.passed = crew->passed,
		.dnsbl = settings->dnsbl,
		.sources = crew->sources,
		.bans = settings->bans,
		.notices = index == 0 ? settings->notices : NULL,
		.protocol = protocol_log_ring(settings->protocol_log, index),
	};

	if (map_rows(settings, index, &member->counters, error))
		return -1;
	member->worker = worker_create(&(struct worker_settings){
		.index = index,
		.ports = settings->ports,
		.port_count = policy->port_count,
		.inboxes = crew->inboxes,
		.spin = policy->gate.spin,
		.realtime = policy->gate.realtime,
		.state = export_worker(settings->export, index).state,
	});
	if (!member->worker) {
		snprintf(error, CREW_ERROR_MAX, "out of memory");
		return -1;
	}
	worker_follow(member->worker, generations_source(settings->generations));
	pipeline.counters = member->counters;
	pipeline.handover = worker_handover(member->worker);
	randombytes_buf(pipeline.random_key, sizeof(pipeline.random_key));
	member->pipeline = pipeline_create(&pipeline, worker_now());
	if (member->pipeline)
		return 0;
	snprintf(error, CREW_ERROR_MAX, "not enough memory: lower MaxSessions or BufferMemory");
	return -1;
}

struct crew *crew_create(const struct crew_settings *settings, char error[CREW_ERROR_MAX])
{
	unsigned workers = settings->spread ? settings->spread->workers : 1;
	struct crew *crew = calloc(1, sizeof(*crew) + workers * sizeof(crew->members[0]));
	struct cookie_secret secret;
	struct hash_key key;

	snprintf(error, CREW_ERROR_MAX, "out of memory");
	if (!crew)
		return NULL;
	randombytes_buf(key.bytes, sizeof(key.bytes));
	crew->rates = rates_create(RATE_ENTRIES, &key);
	randombytes_buf(key.bytes, sizeof(key.bytes));
	crew->passed = passed_create(PASSED_ENTRIES, &key);
	randombytes_buf(key.bytes, sizeof(key.bytes));
	crew->sources = pipeline_sources(settings->policy, &key);
	if (!crew->rates || !crew->sources || !crew->passed)
		goto destroy;
	if (workers > 1) {
		crew->inboxes = inboxes_create(workers);
		if (!crew->inboxes)
			goto destroy;
	}
	randombytes_buf(&secret, sizeof(secret));
	while (crew->count < workers)
		if (hire(crew, settings, &secret, error))
			goto destroy;
	return crew;

destroy:
	crew_destroy(crew);
	return NULL;
}

void crew_destroy(struct crew *crew)
{
	if (!crew)
		return;
	crew_stop(crew);
	while (crew->count > 0) {
		struct member *member = &crew->members[--crew->count];

		worker_destroy(member->worker);
		pipeline_destroy(member->pipeline);
		free(member->counters.ports);
		offenders_destroy(member->counters.offenders);
	}
	inboxes_destroy(crew->inboxes);
	passed_destroy(crew->passed);
	sources_destroy(crew->sources);
	rates_destroy(crew->rates);
	free(crew);
}

int crew_launch(struct crew *crew)
{
	for (; crew->launched < crew->count; crew->launched++) {
		struct member *member = &crew->members[crew->launched];
		int result = worker_launch(member->worker, member->pipeline,
					   FIRST_LCORE + crew->launched);

		if (result)
			return result;
	}
	return 0;
}

void crew_order(struct crew *crew, enum worker_order order)
{
	for (unsigned i = 0; i < crew->count; i++)
		worker_order(crew->members[i].worker, order);
}

bool crew_drained(const struct crew *crew)
{
	for (unsigned i = 0; i < crew->count; i++)
		if (!worker_drained(crew->members[i].worker))
			return false;
	return true;
}

void crew_stop(struct crew *crew)
{
	while (crew->launched > 0) {
		struct worker *worker = crew->members[--crew->launched].worker;

		worker_order(worker, WORKER_STOP);
		worker_wait(worker);
	}
}

const struct sources *crew_sources(const struct crew *crew)
{
	return crew->sources;
}

unsigned crew_workers(const struct crew *crew)
{
	return crew->count;
}

const struct offenders *crew_offenders(const struct crew *crew, unsigned worker)
{
	return crew->members[worker].counters.offenders;
}

struct port_counters *crew_port_row(struct crew *crew, unsigned port)
{
	return crew->members[0].counters.ports[port];
}

struct reason_counter *crew_reason_row(struct crew *crew, enum reason reason)
{
	return &crew->members[0].counters.reasons[reason];
}
