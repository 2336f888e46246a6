// SPDX-License-Identifier: BSD-3-Clause
//
// Builds a gate as control/ does, without devices, and stands between it and the wire: its outbox,
// the rings between its workers, its end, its books. Their work is gate_work.c's.

#include "tests/sim/gate.h"

#include "config/load.h"
#include "dataplane/gate/bans.h"
#include "dataplane/pipeline/worker.h"
#include "dataplane/relay/servers_state.h"
#include "dataplane/tcp/flow.h"
#include "tests/sim/narrow.h"

#include <stdio.h>
#include <stdlib.h>

#define FULL_US 20000u // how long the device may take nothing, at most

static const char policy_text[] =
	"[gate]\nName = mx.example.com\nWorkers = %u\nMaxSessions = %u\nBufferMemory = %uKB\n"
	"ReceiveBuffer = %uKB\nSendBuffer = %uKB\nHalfOpenEntries = %u\nTimeWaitEntries = 256\n"
	"SourceEntries = 64\n"
	"[port outside]\nDevice = vdev:net_null0\nAddress = %s\n"
	"[port inside]\nDevice = vdev:net_null1\nAddress = %s\n"
	"[accepted-domain accepted.test]\n"
	"%s[connector %s]\nBindings = %s\n"
	"RemoteIPRanges = %s\nPermissionGroups = %s\nTarpitInterval = 30ms\n"
	"MaxMessageSize = 128KB\nGreetDelay = %ums\nGreetTeaser = %s\n"
	"EarlyTalkerAction = %s\nEarlyPipeliningAction = %s\n"
	"MaxInboundConnection = %u\nMaxInboundConnectionAction = %s\n"
	"MaxInboundConnectionPerSource = %u\nMaxInboundConnectionPerSourceAction = %s\n"
	"MaxInboundConnectionPerPrefix = %u\nMaxInboundConnectionPerPrefixAction = %s\n"
	"MaxConnectionRatePerPrefix = %u\nMaxConnectionRatePerPrefixAction = %s\n"
	"MaxInboundConnectionPercentagePerSource = %u\n"
	"[backend cluster]\nServers = %.*s\nProbeInterval = 10s\n"
	"MaxConnections = %u\nMaxWaiting = %u\n"
	"[ban]\nEnabled = %s\nThreshold = 50\nPointLifetime = 1s\nBanTime = %us\n"
	"BanTimeMax = 20s\nBanEntries = 16\n";

#define CLIENT_SIDE                                                                                \
	.outside = "192.0.2.10/24, 2001:db8:1::10/64", .inside = "10.0.0.1/24, 2001:db8:2::1/64",  \
	.bindings = "192.0.2.10:25, [2001:db8:1::10]:25",                                          \
	.ranges = "192.0.2.0/24, 2001:db8:1::/64", .servers = "10.0.0.11:25, [2001:db8:2::11]:25"

const struct gate_place gate_single = {
	CLIENT_SIDE,
	.towards = {STATION_CLIENT, STATION_SERVER},
	.here = {STATION_GATE_OUTSIDE, STATION_GATE_INSIDE},
	.mac = 0,
	.name = "gate",
};

const struct gate_place gate_first = {
	CLIENT_SIDE,
	.towards = {STATION_CLIENT, STATION_SECOND_OUTSIDE},
	.here = {STATION_GATE_OUTSIDE, STATION_GATE_INSIDE},
	.mac = 0,
	.name = "first",
};

const struct gate_place gate_second = {
	.outside = "10.0.0.11/24, 2001:db8:2::11/64",
	.inside = "10.1.0.1/24, 2001:db8:3::1/64",
	.bindings = "10.0.0.11:25, [2001:db8:2::11]:25",
	.ranges = "10.0.0.0/24, 2001:db8:2::/64",
	.servers = "10.1.0.11:25, [2001:db8:3::11]:25",
	.towards = {STATION_GATE_INSIDE, STATION_SERVER},
	.here = {STATION_SECOND_OUTSIDE, STATION_SECOND_INSIDE},
	.mac = 0x10,
	.name = "second",
};

// Those that exist now: functions below the pipeline know only their own part of one.
static struct gate *gates[2];

struct gate *gate_of_tcp(const struct tcp *tcp, struct pipeline **pipeline)
{
	for (unsigned i = 0; i < 2; i++)
		for (unsigned j = 0; gates[i] && j < gates[i]->worker_count; j++)
			if (gates[i]->workers[j].pipeline->tcp == tcp) {
				*pipeline = gates[i]->workers[j].pipeline;
				return gates[i];
			}
	return NULL;
}

// ---- Frames ----------------------------------------------------------------------------------

static uint8_t *reserve(struct outbox *outbox, uint16_t port)
{
	struct gate *gate = (struct gate *)outbox;

	gate->frame_port = port;
	if (gate->now.now_us < gate->full_until_us)
		return NULL;
	if (dice_permille(&gate->dice, gate->plan.crew.full_permille))
		gate->full_until_us = gate->now.now_us + dice_below(&gate->dice, FULL_US);
	return gate->frame;
}

static void commit(struct outbox *outbox, uint16_t length)
{
	struct gate *gate = (struct gate *)outbox;
	unsigned port = gate->frame_port;
	struct slice frame = slice_of(gate->frame, length);
	uint64_t now_us = gate->now.now_us;
	uint16_t mtu = now_us < gate->plan.mtu_change_us ? gate->plan.mtu[port]
							 : gate->plan.later_mtu[port];
	uint8_t answer[OUTBOX_FRAME_MAX];
	size_t answer_length;

	if (!length)
		return;
	gate->answers += literal_is_answer(frame.data, frame.length);
	watch_out(&gate->watch, frame.data, frame.length, now_us);
	if (!narrow_refuses(frame, mtu, answer, &answer_length))
		wire_send(gate->wire, gate->place->towards[port], frame, now_us);
	else if (answer_length)
		wire_send(gate->wire, gate->place->here[port], slice_of(answer, answer_length),
			  now_us);
}

// To another worker's ring.
static bool hand(struct handover *handover, unsigned to, unsigned index)
{
	struct gate *gate = ((struct gate_worker *)handover)->gate;
	struct gate_worker *worker = &gate->workers[to];
	uint64_t due_us = gate->now.now_us + dice_below(&gate->dice, gate->plan.crew.look_us + 1);

	assert(index < gate->burst.count && to < gate->worker_count);
	if (worker->handed.count == 0)
		worker->handed.due_us = due_us;
	if (worker->next_us > worker->handed.due_us)
		worker->next_us = worker->handed.due_us;
	return frame_queue_put(&worker->handed, gate->burst.port, gate->burst.frames[index],
			       gate->plan.crew.ring);
}

// ---- Life ------------------------------------------------------------------------------------

static void report(void *context, enum diagnostic_severity severity, const char *text)
{
	if (severity == DIAGNOSTIC_ERROR)
		fprintf(stderr, "%s\n", text);
}

void gate_text(const struct gate *gate, const struct gate_edit *edit, char text[GATE_TEXT_MAX])
{
	const struct gate_plan *plan = &gate->plan;
	const struct gate_place *place = gate->place;
	const struct limits_plan *limits = &plan->limits;
	const char *servers = place->servers;
	char others[256] = "";
	int length = (int)strlen(servers);

	if (plan->one_server || !(edit->both_servers || edit->second_server))
		length = (int)strcspn(servers, ",");
	else if (!edit->both_servers)
		servers += strcspn(servers, ",") + 1;
	if (edit->others_first)
		snprintf(others, sizeof(others),
			 "[connector others]\nBindings = %s\nRemoteIPRanges = 203.0.113.0/24\n"
			 "PermissionGroups = AnonymousUsers\n",
			 place->bindings);
	snprintf(text, GATE_TEXT_MAX, policy_text, plan->crew.workers, plan->max_sessions,
		 plan->buffer_kb, plan->receive_kb, plan->send_kb, plan->half_open, place->outside,
		 place->inside, others, edit->renamed ? "renamed" : "clients", place->bindings,
		 edit->unlisted ? "198.51.100.0/24" : place->ranges,
		 edit->no_rights ? "None" : "AnonymousUsers", plan->greet_delay_ms,
		 plan->greet_teaser ? "yes" : "no", plan->offence_action, plan->offence_action,
		 limits->connections, limits->action, limits->per_source, limits->action,
		 limits->per_prefix, limits->action, limits->prefix_rate, limits->action,
		 limits->percentage, length, servers, plan->max_connections, plan->max_waiting,
		 plan->ban_s ? "yes" : "no", plan->ban_s ? plan->ban_s : 1);
}

static void create_worker(struct gate *gate, struct gate_worker *worker, struct dice *dice)
{
	struct pipeline_settings settings = {
		.generation = gate->held[0], .news = &gate->news, .ports = gate->ports};

	for (unsigned i = 0; i < GATE_PORTS; i++)
		worker->port_row[i] = &worker->port_rows[i];
	worker->handover = (struct handover){hand};
	worker->gate = gate;
	settings.sources = gate->sources;
	settings.bans = gate->bans;
	if (gate->worker_count > 1) {
		settings.worker = (unsigned)(worker - gate->workers);
		settings.spread = &gate->spread;
		settings.handover = &worker->handover;
	}
	settings.counters = (struct pipeline_counters){.ports = worker->port_row,
						       .reasons = worker->reasons,
						       .log = worker->log,
						       .log_records = GATE_LOG_RECORDS};
	memcpy(settings.random_key, &(uint64_t){dice_u64(dice)}, 8);
	worker->pipeline = pipeline_create(&settings, gate->now);
	assert(worker->pipeline);
	gate->watch.worker = (unsigned)(worker - gate->workers);
	pipeline_start(worker->pipeline, gate->now, &gate->outbox);
}

static void create_workers(struct gate *gate)
{
	struct dice dice = gate->dice;

	gates[gates[0] != NULL] = gate;
	gate->worker_count = gate->plan.crew.workers;
	if (gate->worker_count > 1)
		crew_spread(&gate->spread, gate->worker_count, &gate->dice);
	gate->shared = servers_shared_create(gate->policy, gate->worker_count);
	assert(gate->shared);
	gate_first_generation(gate);
	gate->sources = pipeline_sources(gate->policy, &(struct hash_key){{1}});
	assert(gate->sources);
	gate->bans = bans_create(gate->policy->ban.entries, &(struct hash_key){{2}});
	assert(gate->bans);
	for (unsigned i = 0; i < gate->worker_count; i++)
		create_worker(gate, &gate->workers[i], &dice);
}

void gate_create(struct gate *gate, const struct gate_place *place, const struct plan *plan,
		 const struct gate_plan *gate_plan, struct wire *wire, struct tick now)
{
	char text[GATE_TEXT_MAX];
	struct diagnostics diagnostics = {.report = report};
	struct watch_rules rules = {.receive_buffer = gate_plan->receive_kb * 1024,
				    .prompt = plan->climate == CLIMATE_CALM,
				    .repeats = plan->climate != CLIMATE_ROUGH,
				    .print = plan->print_frames ? place->name : NULL};

	memset(gate, 0, sizeof(*gate));
	gate->outbox = (struct outbox){.reserve = reserve, .commit = commit};
	gate->plan = *gate_plan;
	gate->place = place;
	gate->wire = wire;
	gate->now = now;
	gate->dice = plan->dice;
	watch_init(&gate->watch, &rules);
	gate->reload_dice = (struct dice){gate->dice.state ^ place->mac};
	gate->next_reload_us = now.now_us + gate_plan->reload_us;
	gate_text(gate, &(struct gate_edit){.both_servers = true}, text);
	gate->policy = policy_load_text(text, &diagnostics);
	assert(gate->policy);
	for (uint16_t i = 0; i < GATE_PORTS; i++)
		gate->ports[i] = (struct packet_port){
			.mac = {2, 0, 0, 0, 0, (uint8_t)(place->mac + i)}, .index = i};
	create_workers(gate);
}

void gate_destroy(struct gate *gate)
{
	for (unsigned i = 0; i < gate->worker_count; i++) {
		frame_queue_fini(&gate->workers[i].handed);
		frame_queue_fini(&gate->workers[i].received);
		pipeline_destroy(gate->workers[i].pipeline);
	}
	gate_free_generations(gate);
	servers_shared_destroy(gate->shared);
	sources_destroy(gate->sources);
	bans_destroy(gate->bans);
	policy_destroy(gate->policy);
	watch_fini(&gate->watch);
	for (unsigned i = 0; i < 2; i++)
		if (gates[i] == gate)
			gates[i] = NULL;
}

// ---- The end, and the books -------------------------------------------------------------------

void gate_drain(struct gate *gate, struct tick now)
{
	gate->now = now;
	for (unsigned i = 0; i < gate->worker_count; i++) {
		gate->watch.worker = i;
		pipeline_drain(gate->workers[i].pipeline, false, now, &gate->outbox);
		gate->workers[i].next_us = now.now_us;
	}
}

bool gate_drained(const struct gate *gate)
{
	for (unsigned i = 0; i < gate->worker_count; i++)
		if (!pipeline_drained(gate->workers[i].pipeline))
			return false;
	return true;
}

void gate_stop(struct gate *gate, struct tick now)
{
	for (unsigned i = 0; i < gate->worker_count; i++)
		pipeline_stop(gate->workers[i].pipeline, now);
}

unsigned gate_shared_connections(const struct gate *gate)
{
	unsigned sum = 0;

	for (unsigned i = 0; i < gate->shared->server_rows; i++)
		sum += servers_state_read(&gate->shared->servers[i].connections);
	return sum;
}

struct pipeline_levels gate_levels(const struct gate *gate)
{
	struct pipeline_levels sum = {0};

	for (unsigned i = 0; i < gate->worker_count; i++) {
		struct pipeline_levels levels = pipeline_levels(gate->workers[i].pipeline);

		sum.clients += levels.clients;
		sum.servers += levels.servers;
		sum.flows += levels.flows;
		sum.time_wait += levels.time_wait;
		sum.half_open += levels.half_open;
		sum.chunks_used += levels.chunks_used;
		sum.chunks += levels.chunks;
		sum.timers += levels.timers;
	}
	return sum;
}

unsigned long long gate_reason(const struct gate *gate, enum reason reason)
{
	unsigned long long sum = 0;

	for (unsigned i = 0; i < gate->worker_count; i++)
		sum += gate->workers[i].reasons[reason].count;
	return sum;
}

// ---- The end of a connection (the linker puts this before the product's own function) ---------

void __real_tcp_release(struct tcp *tcp, struct flow *flow, uint64_t now_us);
void __wrap_tcp_release(struct tcp *tcp, struct flow *flow, uint64_t now_us);

void __wrap_tcp_release(struct tcp *tcp, struct flow *flow, uint64_t now_us)
{
	struct pipeline *pipeline;
	struct gate *gate = gate_of_tcp(tcp, &pipeline);

	if (gate) {
		const struct tuple *tuple = tcp_tuple(flow);
		struct literal_ends ends;

		memset(&ends, 0, sizeof(ends));
		memcpy(ends.source, tuple->local.bytes, 16);
		memcpy(ends.destination, tuple->remote.bytes, 16);
		ends.source_port = tuple->local_port;
		ends.destination_port = tuple->remote_port;
		watch_released(&gate->watch, &ends, now_us);
	}
	__real_tcp_release(tcp, flow, now_us);
}
