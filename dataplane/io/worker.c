// SPDX-License-Identifier: BSD-3-Clause
//
// The loop of one lcore, and the outbox that backs its pipeline with mbufs. Owns the frames that
// are on their way out: what the device does not take at once waits here, bounded, and is tried
// again. The only file besides port.c that sees an mbuf, a queue or a clock. An mbuf goes out as
// one linear segment: AF_XDP sends stale bytes behind the first one of a chain. A received frame
// that other workers need is shared with them, not copied: nobody writes into it. One that nobody
// else has may become its own answer.

#include "dataplane/io/worker.h"

#include "bpf/state.h"
#include "dataplane/base/handover.h"
#include "dataplane/base/outbox.h"
#include "dataplane/base/tick.h"
#include "dataplane/io/frames.h"
#include "dataplane/io/inbox.h"
#include "dataplane/pipeline/pipeline.h"

#include <errno.h>
#include <rte_cycles.h>
#include <rte_ethdev.h>
#include <rte_launch.h>
#include <rte_rcu_qsbr.h>
#include <rte_ring.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#define SEND_BURST 64
// Of one port, a turn.
#define TURN_FRAMES (4 * PIPELINE_BURST)
// An idle loop turns this often at full speed, then sleeps in steps that grow to the longest. A
// realtime one sleeps at once: whoever never rests has a CPU's other programs starve, and then the
// kernel gives them 50 ms in one piece (the fair server), in which a flood overruns the queue.
#define IDLE_TURNS     200
#define IDLE_SLEEP_NS  50000
#define IDLE_SLEEP_MAX 500000
// How old the levels in the worker's row may be, beside its longest sleep.
#define LEVELS_US 10000

struct waiting {
	struct rte_mbuf *frames[WAITING_MAX];
	unsigned count;
};

struct worker {
	struct outbox outbox; // first: the pipeline hands it back to us
	struct handover handover;
	unsigned index;
	struct inboxes *inboxes;    // NULL: the only worker
	struct rte_mbuf **received; // the burst that the pipeline is working on
	uint16_t received_port;
	bool shared; // another worker was given some of it
	bool plain;  // frames_show said so
	// A bit each: frames of it that are on their way out, and the one that is reserved.
	uint64_t answered, answering;
	struct pipeline *pipeline;
	struct port *ports;
	unsigned port_count;
	bool spin;
	unsigned patience; // idle turns before it sleeps
	unsigned lcore;
	struct rte_mbuf *reserved;
	uint16_t reserved_port;
	unsigned idle_turns;
	struct worker_counters *state;
	uint64_t turn_cycles; // when this turn began
	uint64_t levels_us;   // when the levels are to be written again
	struct worker_source *source;
	struct generation *generation; // that the pipeline has
	_Atomic enum worker_order order;
	_Atomic enum worker_order drained; // the order under which it was; WORKER_RUN = it was not
	struct waiting waiting[];
};

struct tick worker_now(void)
{
	struct timespec monotonic, wall;

	clock_gettime(CLOCK_MONOTONIC, &monotonic);
	clock_gettime(CLOCK_REALTIME, &wall);
	return (struct tick){
		.now_us = (uint64_t)monotonic.tv_sec * 1000000 + (uint64_t)monotonic.tv_nsec / 1000,
		.wall_us = (uint64_t)wall.tv_sec * 1000000 + (uint64_t)wall.tv_nsec / 1000,
	};
}

// Through the worker's own queue, or through worker 0 when the port has none for it. How many were
// taken.
static uint16_t transmit(struct worker *worker, const struct port *port, struct rte_mbuf **frames,
			 uint16_t count)
{
	if (worker->index < port->queues)
		return rte_eth_tx_burst(port->device, (uint16_t)worker->index, frames, count);
	count = (uint16_t)rte_ring_mp_enqueue_burst(port->outgoing, (void **)frames, count, NULL);
	inboxes_wake(worker->inboxes, 0);
	return count;
}

static void send_waiting(struct worker *worker, unsigned port)
{
	struct waiting *waiting = &worker->waiting[port];
	unsigned sent = 0;

	while (sent < waiting->count) {
		unsigned left = waiting->count - sent;
		uint16_t taken = transmit(worker, &worker->ports[port], waiting->frames + sent,
					  (uint16_t)(left < SEND_BURST ? left : SEND_BURST));

		if (taken == 0)
			break;
		sent += taken;
	}
	waiting->count -= sent;
	memmove(waiting->frames, waiting->frames + sent,
		waiting->count * sizeof(waiting->frames[0]));
}

static uint8_t *reserve(struct outbox *outbox, uint16_t port)
{
	struct worker *worker = (struct worker *)outbox;

	if (worker->waiting[port].count == WAITING_MAX)
		send_waiting(worker, port);
	if (worker->waiting[port].count == WAITING_MAX)
		return NULL;
	worker->reserved = rte_pktmbuf_alloc(worker->ports[port].buffers);
	worker->reserved_port = port;
	return worker->reserved ? rte_pktmbuf_mtod(worker->reserved, uint8_t *) : NULL;
}

static void commit(struct outbox *outbox, uint16_t length)
{
	struct worker *worker = (struct worker *)outbox;
	struct waiting *waiting = &worker->waiting[worker->reserved_port];

	if (length == 0) {
		if (!worker->answering)
			rte_pktmbuf_free(worker->reserved);
	} else {
		worker->answered |= worker->answering;
		worker->reserved->data_len = length;
		worker->reserved->pkt_len = length;
		waiting->frames[waiting->count++] = worker->reserved;
	}
	worker->reserved = NULL;
	worker->answering = 0;
}

static uint8_t *answer(struct outbox *outbox, unsigned index)
{
	struct worker *worker = (struct worker *)outbox;
	struct rte_mbuf *mbuf = worker->received[index];

	if (!worker->plain || rte_mbuf_refcnt_read(mbuf) != 1 ||
	    worker->waiting[worker->received_port].count == WAITING_MAX ||
	    mbuf->buf_len - mbuf->data_off < OUTBOX_ANSWER_MAX)
		return NULL;
	mbuf->ol_flags = 0; // they were the receiver's
	worker->reserved = mbuf;
	worker->reserved_port = worker->received_port;
	worker->answering = UINT64_C(1) << index;
	return rte_pktmbuf_mtod(mbuf, uint8_t *);
}

static bool hand_over(struct handover *handover, unsigned to, unsigned index)
{
	struct worker *worker =
		(struct worker *)((char *)handover - offsetof(struct worker, handover));
	struct rte_mbuf *mbuf = worker->received[index];

	// One more holder; each frees his part.
	mbuf->port = worker->received_port;
	rte_mbuf_refcnt_update(mbuf, 1);
	worker->shared = true;
	if (inboxes_put(worker->inboxes, to, mbuf))
		return true;
	rte_mbuf_refcnt_update(mbuf, -1);
	return false;
}

static void count_burst(struct worker *worker, unsigned frames)
{
	worker->state->bursts++;
	worker->state->burst_frames += frames;
}

// All but what goes out again.
static void release(struct worker *worker, struct rte_mbuf *mbufs[], unsigned count)
{
	unsigned left = 0;

	for (unsigned i = 0; i < count && worker->answered; i++)
		if (!(worker->answered >> i & 1))
			mbufs[left++] = mbufs[i];
	frames_release(mbufs, worker->answered ? left : count, worker->plain && !worker->shared);
}

static unsigned receive(struct worker *worker, unsigned port, struct tick now)
{
	struct rte_mbuf *mbufs[PIPELINE_BURST];
	struct slice frames[PIPELINE_BURST];
	uint16_t count;

	if (worker->index >= worker->ports[port].queues)
		return 0;
	count = rte_eth_rx_burst(worker->ports[port].device, (uint16_t)worker->index, mbufs,
				 PIPELINE_BURST);
	if (count == 0)
		return 0;
	worker->plain = frames_show(mbufs, count, frames);
	worker->answered = 0;
	count_burst(worker, count);
	worker->received = mbufs;
	worker->shared = false;
	worker->received_port = (uint16_t)port;
	pipeline_input(worker->pipeline, (uint16_t)port, frames, count, now, &worker->outbox);
	release(worker, mbufs, count);
	return count;
}

static bool nothing_waits(const struct worker *worker)
{
	for (unsigned port = 0; port < worker->port_count; port++)
		if (worker->waiting[port].count)
			return false;
	return true;
}

// While there is nothing but what is dropped, a port's bursts share a turn.
static unsigned receive_bursts(struct worker *worker, unsigned port, struct tick now)
{
	unsigned all = 0, count;

	do {
		count = receive(worker, port, now);
		all += count;
	} while (count == PIPELINE_BURST && all < TURN_FRAMES && nothing_waits(worker));
	return all;
}

// What other workers received for flows of ours; it is whole already.
static unsigned receive_handed(struct worker *worker, struct tick now)
{
	struct rte_mbuf *mbufs[PIPELINE_BURST];
	struct slice frames[PIPELINE_BURST];
	unsigned count, last;

	if (!worker->inboxes)
		return 0;
	count = inboxes_take(worker->inboxes, worker->index, mbufs, PIPELINE_BURST);
	if (count)
		count_burst(worker, count);
	for (unsigned first = 0; first < count; first = last) {
		uint16_t port = mbufs[first]->port;

		for (last = first; last < count && mbufs[last]->port == port; last++)
			frames[last] = slice_of(rte_pktmbuf_mtod(mbufs[last], const uint8_t *),
						mbufs[last]->data_len);
		pipeline_input_handed(worker->pipeline, port, frames + first, last - first, now,
				      &worker->outbox);
	}
	frames_release(mbufs, count, false);
	return count;
}

// Frames of workers without a queue join ours, as far as there is room.
static unsigned gather(struct worker *worker)
{
	unsigned gathered = 0;

	for (unsigned i = 0; i < worker->port_count && worker->index == 0; i++) {
		struct waiting *waiting = &worker->waiting[i];
		unsigned room = WAITING_MAX - waiting->count, count;

		if (!worker->ports[i].outgoing)
			continue;
		count = rte_ring_sc_dequeue_burst(worker->ports[i].outgoing,
						  (void **)(waiting->frames + waiting->count),
						  room < SEND_BURST ? room : SEND_BURST, NULL);
		waiting->count += count;
		gathered += count;
	}
	return gathered;
}

// Nothing of others waits to be sent.
static bool outgoing_empty(const struct worker *worker)
{
	for (unsigned i = 0; i < worker->port_count && worker->index == 0; i++)
		if (worker->ports[i].outgoing && !rte_ring_empty(worker->ports[i].outgoing))
			return false;
	return true;
}

// Until the pause is over, or another worker has something for this one.
static void doze(struct worker *worker, const struct timespec *pause)
{
	if (!worker->inboxes) {
		clock_nanosleep(CLOCK_MONOTONIC, 0, pause, NULL);
		return;
	}
	inboxes_sleep_begin(worker->inboxes, worker->index);
	inboxes_sleep(worker->inboxes, worker->index, outgoing_empty(worker) ? pause : NULL);
}

static void sleep_until(struct worker *worker, uint64_t now_us, uint64_t next_us)
{
	uint64_t longest;
	struct timespec pause = {0};

	if (worker->spin || ++worker->idle_turns < worker->patience || next_us <= now_us)
		return;
	longest = (uint64_t)IDLE_SLEEP_NS * (1 + (worker->idle_turns - worker->patience) / 100);
	if (longest > IDLE_SLEEP_MAX)
		longest = IDLE_SLEEP_MAX;
	if (next_us - now_us < longest / 1000)
		longest = (next_us - now_us) * 1000;
	pause.tv_nsec = (long)longest;
	doze(worker, &pause);
}

// What the turn that ends now was, and from time to time how full everything is.
static void tell(struct worker *worker, bool busy, uint64_t now_us)
{
	struct worker_counters *state = worker->state;
	uint64_t cycles = rte_rdtsc();
	struct pipeline_levels levels;

	state->turns++;
	*(busy ? &state->busy_cycles : &state->idle_cycles) += cycles - worker->turn_cycles;
	worker->turn_cycles = cycles;
	if (now_us < worker->levels_us)
		return;
	worker->levels_us = now_us + LEVELS_US;
	levels = pipeline_levels(worker->pipeline);
	state->clients = levels.clients;
	state->servers = levels.servers;
	state->flows = levels.flows;
	state->time_wait = levels.time_wait;
	state->half_open = levels.half_open;
	state->chunks_used = levels.chunks_used;
	state->chunks = levels.chunks;
	state->timers = levels.timers;
	state->log_sequence = levels.log_sequence;
}

static void obey(struct worker *worker, enum worker_order order, struct tick now)
{
	if (order == WORKER_DRAIN || order == WORKER_DRAIN_FORCE)
		pipeline_drain(worker->pipeline, order == WORKER_DRAIN_FORCE, now, &worker->outbox);
	else
		pipeline_close_door(worker->pipeline, order == WORKER_CLOSE_DOOR);
}

static void tell_drained(struct worker *worker, enum worker_order order)
{
	bool drained;

	if (order == WORKER_RUN)
		return;
	drained = order == WORKER_CLOSE_DOOR ? pipeline_without_clients(worker->pipeline)
					     : pipeline_drained(worker->pipeline);
	atomic_store(&worker->drained, drained ? order : WORKER_RUN);
}

// Nothing of a former turn is held here: first that is said, then the newest generation is looked
// for, so that nobody frees what this turn is going to use.
static void follow(struct worker *worker, struct tick now)
{
	struct generation *newest;

	rte_rcu_qsbr_quiescent(worker->source->readers, worker->index);
	newest = atomic_load_explicit(&worker->source->newest, memory_order_acquire);
	if (newest == worker->generation)
		return;
	worker->generation = newest;
	pipeline_adopt(worker->pipeline, newest, now, &worker->outbox);
}

static int run(void *argument)
{
	struct worker *worker = argument;
	enum worker_order order, obeyed = WORKER_RUN;

	worker->turn_cycles = rte_rdtsc();
	rte_rcu_qsbr_thread_online(worker->source->readers, worker->index);
	pipeline_start(worker->pipeline, worker_now(), &worker->outbox);
	while ((order = atomic_load_explicit(&worker->order, memory_order_relaxed)) !=
	       WORKER_STOP) {
		struct tick now = worker_now();
		unsigned received = gather(worker);
		uint64_t next;

		follow(worker, now);
		received += receive_handed(worker, now);
		for (unsigned port = 0; port < worker->port_count; port++)
			received += receive_bursts(worker, port, now);
		if (order != obeyed)
			obey(worker, order, now);
		obeyed = order;
		next = pipeline_turn(worker->pipeline, now, &worker->outbox);
		for (unsigned port = 0; port < worker->port_count; port++)
			send_waiting(worker, port);
		tell_drained(worker, order);
		if (received)
			worker->idle_turns = 0;
		else
			sleep_until(worker, now.now_us, next);
		tell(worker, received > 0, now.now_us);
	}
	rte_rcu_qsbr_thread_offline(worker->source->readers, worker->index);
	pipeline_stop(worker->pipeline, worker_now());
	// The last words of workers that stopped before.
	do {
		for (unsigned port = 0; port < worker->port_count; port++)
			send_waiting(worker, port);
	} while (gather(worker));
	return 0;
}

struct worker *worker_create(const struct worker_settings *settings)
{
	struct worker *worker =
		calloc(1, sizeof(*worker) + settings->port_count * sizeof(worker->waiting[0]));

	if (!worker)
		return NULL;
	worker->outbox = (struct outbox){.reserve = reserve, .commit = commit, .answer = answer};
	worker->handover = (struct handover){hand_over};
	worker->index = settings->index;
	worker->inboxes = settings->inboxes;
	worker->ports = settings->ports;
	worker->port_count = settings->port_count;
	worker->spin = settings->spin;
	worker->patience = settings->realtime ? 1 : IDLE_TURNS;
	worker->state = settings->state;
	return worker;
}

void worker_destroy(struct worker *worker)
{
	if (!worker)
		return;
	for (unsigned port = 0; port < worker->port_count; port++)
		rte_pktmbuf_free_bulk(worker->waiting[port].frames, worker->waiting[port].count);
	free(worker);
}

void worker_follow(struct worker *worker, struct worker_source *source)
{
	worker->source = source;
	worker->generation = atomic_load_explicit(&source->newest, memory_order_relaxed);
	rte_rcu_qsbr_thread_register(source->readers, worker->index);
}

struct handover *worker_handover(struct worker *worker)
{
	return &worker->handover;
}

int worker_launch(struct worker *worker, struct pipeline *pipeline, unsigned lcore)
{
	worker->pipeline = pipeline;
	worker->lcore = lcore;
	return rte_eal_remote_launch(run, worker, lcore);
}

void worker_order(struct worker *worker, enum worker_order order)
{
	atomic_store(&worker->order, order);
}

bool worker_drained(const struct worker *worker)
{
	enum worker_order drained = atomic_load(&worker->drained);

	return drained != WORKER_RUN && drained == atomic_load(&worker->order);
}

void worker_wait(struct worker *worker)
{
	rte_eal_wait_lcore(worker->lcore);
}
