// SPDX-License-Identifier: BSD-3-Clause
//
// The loop of one lcore, and the outbox that backs its pipeline with mbufs. Owns the frames that
// are on their way out: what the device does not take at once waits here, bounded, and is tried
// again. The only file besides port.c that sees an mbuf, a queue or a clock. An mbuf goes out as
// one linear segment: AF_XDP sends stale bytes behind the first one of a chain.

#include "dataplane/io/worker.h"

#include "dataplane/base/outbox.h"
#include "dataplane/base/tick.h"
#include "dataplane/pipeline/pipeline.h"

#include <errno.h>
#include <rte_ethdev.h>
#include <rte_launch.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

// Frames that may wait for one port's transmit queue.
#define WAITING_MAX 512
#define SEND_BURST  64
// An idle loop turns this often at full speed, then sleeps in steps that grow to the longest.
#define IDLE_TURNS     200
#define IDLE_SLEEP_NS  50000
#define IDLE_SLEEP_MAX 500000

struct waiting {
	struct rte_mbuf *frames[WAITING_MAX];
	unsigned count;
};

struct worker {
	struct outbox outbox; // first: the pipeline hands it back to us
	struct pipeline *pipeline;
	struct port *ports;
	unsigned port_count;
	bool spin;
	unsigned lcore;
	struct rte_mbuf *reserved;
	uint16_t reserved_port;
	unsigned idle_turns;
	_Atomic enum worker_order order;
	_Atomic bool drained;
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

static void send_waiting(struct worker *worker, unsigned port)
{
	struct waiting *waiting = &worker->waiting[port];
	unsigned sent = 0;

	while (sent < waiting->count) {
		unsigned left = waiting->count - sent;
		uint16_t taken =
			rte_eth_tx_burst(worker->ports[port].device, 0, waiting->frames + sent,
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
		rte_pktmbuf_free(worker->reserved);
	} else {
		worker->reserved->data_len = length;
		worker->reserved->pkt_len = length;
		waiting->frames[waiting->count++] = worker->reserved;
	}
	worker->reserved = NULL;
}

// What the driver took out of the frame goes back in; a chain becomes one piece. A frame that
// cannot be made whole is shown as empty, and counted as a runt.
static struct slice whole_frame(struct rte_mbuf **mbuf)
{
	if (((*mbuf)->ol_flags & RTE_MBUF_F_RX_VLAN_STRIPPED && rte_vlan_insert(mbuf)) ||
	    rte_pktmbuf_linearize(*mbuf))
		return slice_of(NULL, 0);
	return slice_of(rte_pktmbuf_mtod(*mbuf, const uint8_t *), (*mbuf)->data_len);
}

static unsigned receive(struct worker *worker, unsigned port, struct tick now)
{
	struct rte_mbuf *mbufs[PIPELINE_BURST];
	struct slice frames[PIPELINE_BURST];
	uint16_t count = rte_eth_rx_burst(worker->ports[port].device, 0, mbufs, PIPELINE_BURST);

	if (count == 0)
		return 0;
	for (unsigned i = 0; i < count; i++)
		frames[i] = whole_frame(&mbufs[i]);
	pipeline_input(worker->pipeline, (uint16_t)port, frames, count, now, &worker->outbox);
	rte_pktmbuf_free_bulk(mbufs, count);
	return count;
}

static void sleep_until(struct worker *worker, uint64_t now_us, uint64_t next_us)
{
	uint64_t longest;
	struct timespec pause = {0};

	if (worker->spin || ++worker->idle_turns < IDLE_TURNS || next_us <= now_us)
		return;
	longest = (uint64_t)IDLE_SLEEP_NS * (1 + (worker->idle_turns - IDLE_TURNS) / 100);
	if (longest > IDLE_SLEEP_MAX)
		longest = IDLE_SLEEP_MAX;
	if (next_us - now_us < longest / 1000)
		longest = (next_us - now_us) * 1000;
	pause.tv_nsec = (long)longest;
	clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
}

static int run(void *argument)
{
	struct worker *worker = argument;
	enum worker_order order, obeyed = WORKER_RUN;

	pipeline_start(worker->pipeline, worker_now(), &worker->outbox);
	while ((order = atomic_load_explicit(&worker->order, memory_order_relaxed)) !=
	       WORKER_STOP) {
		struct tick now = worker_now();
		unsigned received = 0;
		uint64_t next;

		for (unsigned port = 0; port < worker->port_count; port++)
			received += receive(worker, port, now);
		if (order != obeyed) {
			pipeline_drain(worker->pipeline, order == WORKER_DRAIN_FORCE, now,
				       &worker->outbox);
			obeyed = order;
		}
		next = pipeline_turn(worker->pipeline, now, &worker->outbox);
		for (unsigned port = 0; port < worker->port_count; port++)
			send_waiting(worker, port);
		if (order != WORKER_RUN)
			atomic_store(&worker->drained, pipeline_drained(worker->pipeline));
		if (received)
			worker->idle_turns = 0;
		else
			sleep_until(worker, now.now_us, next);
	}
	pipeline_stop(worker->pipeline, worker_now());
	return 0;
}

struct worker *worker_create(struct pipeline *pipeline, struct port *ports, unsigned port_count,
			     bool spin)
{
	struct worker *worker =
		calloc(1, sizeof(*worker) + port_count * sizeof(worker->waiting[0]));

	if (!worker)
		return NULL;
	worker->outbox = (struct outbox){reserve, commit};
	worker->pipeline = pipeline;
	worker->ports = ports;
	worker->port_count = port_count;
	worker->spin = spin;
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

int worker_launch(struct worker *worker, unsigned lcore)
{
	worker->lcore = lcore;
	return rte_eal_remote_launch(run, worker, lcore);
}

void worker_order(struct worker *worker, enum worker_order order)
{
	atomic_store(&worker->order, order);
}

bool worker_drained(const struct worker *worker)
{
	return atomic_load(&worker->drained);
}

void worker_wait(struct worker *worker)
{
	rte_eal_wait_lcore(worker->lcore);
}
