// SPDX-License-Identifier: BSD-3-Clause
//
// The workers of a gate at work: frames in, by bursts and by the rings, turns, and what can be seen
// of their limits meanwhile. Workers take turns one after another; what really runs beside
// something else is simulated by frames that wait, and by workers that sleep.

#include "dataplane/pipeline/worker.h"
#include "dataplane/relay/servers_state.h"
#include "dataplane/tcp/flow.h"
#include "tests/sim/filter.h"
#include "tests/sim/gate.h"

#include <stdio.h>
#include <stdlib.h>

#define IDLE_US 1000000u // a worker with nothing to do looks again after this
// With several, one without connections looks again no sooner than after this: it may be late, and
// runs must not take for ever.
#define ALONE_US 100000u
#define SLEEP_US 40000u // how long a worker may be kept from its work; shorter than any time-out
#define NIC_RING 512u   // frames that wait for one worker, at most

// ---- Frames ----------------------------------------------------------------------------------

// Will the worker that received it hand it over? The onlooker then sees it come later.
static bool is_anothers(const struct gate *gate, const struct gate_worker *worker,
			struct slice frame)
{
	unsigned owner;

	return gate->worker_count > 1 && !gate->burst.handed &&
	       crew_owner(&gate->spread, &gate->ports[gate->burst.port], frame, &owner) &&
	       worker != &gate->workers[owner];
}

// The worker takes gate->burst.
static void work(struct gate *gate, struct gate_worker *worker)
{
	const struct gate_burst *burst = &gate->burst;
	const struct port_counters *row = &worker->port_rows[burst->port];
	unsigned long long accepted = row->frames_accepted;
	uint64_t now_us = gate->now.now_us;

	gate->watch.worker = (unsigned)(worker - gate->workers);
	for (unsigned i = 0; i < burst->count; i++)
		if (!is_anothers(gate, worker, burst->frames[i]))
			watch_in(&gate->watch, burst->frames[i].data, burst->frames[i].length,
				 now_us);
	if (burst->handed)
		pipeline_input_handed(worker->pipeline, (uint16_t)burst->port, burst->frames,
				      burst->count, gate->now, &gate->outbox);
	else
		pipeline_input(worker->pipeline, (uint16_t)burst->port, burst->frames, burst->count,
			       gate->now, &gate->outbox);
	// Of several it is not known which one was accepted. Those that were reset are released by
	// now.
	watch_done(&gate->watch, burst->count == 1 && row->frames_accepted > accepted, now_us);
	worker->next_us = now_us;
}

// The next frames of one port, as many as the worker takes at once.
static unsigned fill_burst(struct gate *gate, struct frame_queue *queue,
			   struct waiting_frame *taken[PIPELINE_BURST])
{
	struct gate_burst *burst = &gate->burst;

	burst->port = queue->first->port;
	burst->count = 0;
	while (burst->count < gate->plan.crew.burst && queue->first &&
	       queue->first->port == burst->port) {
		taken[burst->count] = frame_queue_take(queue);
		burst->frames[burst->count] =
			slice_of(taken[burst->count]->bytes, taken[burst->count]->length);
		burst->count++;
	}
	return burst->count;
}

static void take_waiting(struct gate *gate, struct gate_worker *worker, bool handed)
{
	struct frame_queue *queue = handed ? &worker->handed : &worker->received;
	struct waiting_frame *taken[PIPELINE_BURST];

	while (queue->first) {
		unsigned count = fill_burst(gate, queue, taken);

		gate->burst.handed = handed;
		work(gate, worker);
		while (count)
			free(taken[--count]);
	}
}

void gate_input(struct gate *gate, unsigned port, struct slice frame, struct tick now)
{
	struct gate_worker *worker = gate->workers;

	if (gate->worker_count > 1)
		worker += crew_receiver(&gate->spread, gate->plan.crew.nic, &gate->dice,
					&gate->ports[port], frame);
	gate->now = now;
	gate->questions += literal_is_question(frame.data, frame.length);
	worker->next_us = now.now_us;
	if (gate->plan.crew.burst > 1 || worker->asleep_until_us > now.now_us) {
		frame_queue_put(&worker->received, port, frame, NIC_RING);
		return;
	}
	gate->burst = (struct gate_burst){.port = port, .count = 1, .frames = {frame}};
	work(gate, worker);
}

// ---- Limits ----------------------------------------------------------------------------------

// The limits of one connection, where it can be seen.
static void judge_queues(struct gate *gate, const struct flow *flow)
{
	uint32_t receive = gate->plan.receive_kb * 1024;

	if ((flow->send.length > gate->plan.send_kb * 1024 || flow->unread.length > receive) &&
	    !gate->watch.fault[0])
		snprintf(gate->watch.fault, sizeof(gate->watch.fault),
			 "%u bytes to send, %u to read: more than the buffers", flow->send.length,
			 flow->unread.length);
}

// From DATA or BDAT to the answer to the message.
static bool on_its_way(const struct session *session)
{
	return (session->suspended &&
		(session->pending == SESSION_DATA || session->pending == SESSION_END)) ||
	       session->state == SESSION_STATE_BODY || session->state == SESSION_STATE_DISCARD ||
	       session->state == SESSION_STATE_CHUNKS;
}

// The sessions of a banned source are closed, but for a message on its way, and when no reply finds
// room.
static void judge_ban(struct gate *gate, const struct pipeline *pipeline,
		      const struct client *client)
{
	if (client->banned && !client->leg.doomed && !client->linger_deadline_us &&
	    !on_its_way(&client->session) && tcp_send_room(client->leg.flow) >= REPLY_MAX &&
	    pipeline->chunks.free_count >= pipeline->chunks.count / 4 && !gate->watch.fault[0])
		snprintf(gate->watch.fault, sizeof(gate->watch.fault),
			 "a session of a banned source goes on");
}

static void note_levels(struct gate *gate, struct gate_worker *worker)
{
	struct pipeline_levels levels = pipeline_levels(worker->pipeline);
	const struct client *client;

	for (unsigned i = 0; i < 2 * CLIENT_RANKS; i++)
		TAILQ_FOREACH(client, &worker->pipeline->ranks[i / 2][i % 2], in_rank)
		{
			judge_queues(gate, client->leg.flow);
			judge_ban(gate, worker->pipeline, client);
			if (client->server)
				judge_queues(gate, client->server->leg.flow);
		}
	if (levels.chunks_used > worker->most_chunks)
		worker->most_chunks = levels.chunks_used;
	if (levels.flows > worker->most_flows)
		worker->most_flows = levels.flows;
}

// Sessions of a worker that count for the limits.
static uint32_t counted(const struct pipeline *pipeline)
{
	const struct client *client;
	uint32_t count = 0;

	for (unsigned i = 0; i < 2 * CLIENT_RANKS; i++)
		TAILQ_FOREACH(client, &pipeline->ranks[i / 2][i % 2], in_rank)
	count += client->refused == LIMIT_WITHIN;
	return count;
}

// Each session is counted once, and none of the others; never more of a connector than its limit.
static void judge_limits(struct gate *gate)
{
	uint32_t sessions = 0, known = 0, most = 0;

	for (uint16_t slot = 0; slot < GATE_CONNECTORS; slot++) {
		uint32_t open = sources_connector_sessions(gate->sources, slot);

		known += open;
		most = open > most ? open : most;
	}
	for (unsigned i = 0; i < gate->worker_count; i++)
		sessions += counted(gate->workers[i].pipeline);
	if (!gate->watch.fault[0] && (sessions != known || most > gate->plan.limits.connections))
		snprintf(gate->watch.fault, sizeof(gate->watch.fault),
			 "%u sessions, %u counted, %u of one connector, %u allowed", sessions,
			 known, most, gate->plan.limits.connections);
}

// What is all workers' together.
static void judge_totals(struct gate *gate)
{
	uint32_t clients = 0;
	unsigned most = 0;

	for (unsigned i = 0; i < gate->worker_count; i++)
		clients += pipeline_levels(gate->workers[i].pipeline).clients;
	for (unsigned i = 0; i < gate->shared->server_rows; i++) {
		unsigned connections = servers_state_read(&gate->shared->servers[i].connections);

		most = connections > most ? connections : most;
	}
	judge_limits(gate);
	if (gate->watch.fault[0])
		return;
	if (clients > gate->plan.max_sessions || most > gate->plan.max_connections)
		snprintf(gate->watch.fault, sizeof(gate->watch.fault),
			 "%u sessions, %u connections to a server: more than may be", clients,
			 most);
	else if (gate->answers > gate->questions)
		snprintf(gate->watch.fault, sizeof(gate->watch.fault),
			 "%llu answers to %llu ARP or neighbour questions", gate->answers,
			 gate->questions);
}

// ---- Turns -----------------------------------------------------------------------------------

static uint64_t earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static void turn_worker(struct gate *gate, struct gate_worker *worker)
{
	uint64_t now_us = gate->now.now_us, next;

	if (worker->asleep_until_us > now_us) {
		worker->next_us = worker->asleep_until_us;
		return;
	}
	if (dice_permille(&gate->dice, gate->plan.crew.sleep_permille))
		worker->asleep_until_us = now_us + dice_below(&gate->dice, SLEEP_US);
	// Not all at the same moment: some find it late.
	if (dice_one_in(&gate->reload_dice, 2))
		gate_adopt(gate, worker);
	if (worker->handed.due_us <= now_us)
		take_waiting(gate, worker, true);
	take_waiting(gate, worker, false);
	gate->watch.worker = (unsigned)(worker - gate->workers);
	next = pipeline_turn(worker->pipeline, gate->now, &gate->outbox);
	next = earlier(next, filter_turn(worker->pipeline));
	next = earlier(next, now_us + IDLE_US);
	if (gate->worker_count > 1 && next < now_us + ALONE_US &&
	    pipeline_drained(worker->pipeline))
		next = now_us + ALONE_US;
	worker->next_us = worker->handed.count ? earlier(next, worker->handed.due_us) : next;
	note_levels(gate, worker);
}

uint64_t gate_turn(struct gate *gate, struct tick now)
{
	uint64_t next = UINT64_MAX;
	bool worked = false;

	gate->now = now;
	gate_reload(gate);
	for (unsigned i = 0; i < gate->worker_count; i++) {
		struct gate_worker *worker = &gate->workers[i];

		if (worker->next_us > now.now_us)
			continue;
		turn_worker(gate, worker);
		worked = true;
	}
	// One may have handed something to another that had its turn before.
	for (unsigned i = 0; i < gate->worker_count; i++)
		next = earlier(next, gate->workers[i].next_us);
	if (worked)
		judge_totals(gate);
	watch_time(&gate->watch, now.now_us);
	return next;
}
