// SPDX-License-Identifier: BSD-3-Clause
//
// Frames out: which legs have something to send, where their next hop is, and answers to segments
// that belong to no flow. A leg that cannot send now (no room in the outbox, next hop not resolved)
// stays on the dirty list and is tried again in the next turn. Doomed legs are destroyed here, when
// nothing that handled them is on the stack any more.

#include "dataplane/pipeline/worker.h"

#define RESETS_PER_BUCKET 160 // a second; 10,240 of all buckets
// In the seconds after one that used up half of the buckets: nobody honest has so many strays, and
// behind AF_XDP an RST costs ten times what it costs to find that one is due.
#define RESETS_IN_FLOOD 16

static bool refill_due(const struct allowance *allowance, uint32_t interval_us, uint64_t now_us)
{
	return now_us - allowance->refilled_us >= interval_us;
}

bool allowance_left(const struct allowance *allowance, uint32_t interval_us, uint64_t now_us)
{
	return allowance->tokens || refill_due(allowance, interval_us, now_us);
}

bool allowance_take(struct allowance *allowance, uint32_t burst, uint32_t interval_us,
		    uint64_t now_us)
{
	if (refill_due(allowance, interval_us, now_us)) {
		allowance->refilled_us = now_us;
		allowance->tokens = burst;
	}
	if (allowance->tokens == 0)
		return false;
	allowance->tokens--;
	return true;
}

void send_mark_dirty(struct pipeline *pipeline, struct leg *leg)
{
	if (leg->dirty)
		return;
	leg->dirty = true;
	TAILQ_INSERT_TAIL(&pipeline->dirty, leg, in_dirty);
}

static void unmark_dirty(struct pipeline *pipeline, struct leg *leg)
{
	if (!leg->dirty)
		return;
	leg->dirty = false;
	TAILQ_REMOVE(&pipeline->dirty, leg, in_dirty);
}

// For what can wait: nothing is lost when there is no buffer now.
static uint8_t *reserve_waiting(struct pipeline *pipeline, uint16_t port)
{
	uint8_t *buffer = pipeline->device->reserve(pipeline->device, port);

	pipeline->reserved_port = port;
	pipeline->capture.reserved = buffer;
	return buffer;
}

// The outbox that everything in the pipeline sends through: the turn's own, with what passes
// counted, and what would have passed.
static uint8_t *reserve(struct outbox *outbox, uint16_t port)
{
	struct pipeline *pipeline = (struct pipeline *)outbox;
	uint8_t *buffer = reserve_waiting(pipeline, port);

	if (!buffer)
		pipeline->counters.ports[port]->frames_out_lost++;
	return buffer;
}

static void commit(struct outbox *outbox, uint16_t length)
{
	struct pipeline *pipeline = (struct pipeline *)outbox;
	struct port_counters *row = pipeline->counters.ports[pipeline->reserved_port];

	if (pipeline->capture.on && length)
		capture_sent(pipeline, pipeline->reserved_port,
			     slice_of(pipeline->capture.reserved, length));
	pipeline->device->commit(pipeline->device, length);
	row->frames_out += length > 0;
	row->bytes_out += length;
}

const struct outbox send_counted_outbox = {.reserve = reserve, .commit = commit};

bool send_segment(struct pipeline *pipeline, const struct link *link, const struct segment *segment)
{
	uint8_t *buffer = reserve(&pipeline->outbox, link->port);

	if (!buffer)
		return false;
	commit(&pipeline->outbox,
	       build_segment(buffer, &pipeline->ports[link->port], link, segment));
	return true;
}

// A capture looks at all frames after the burst, and what others handed over is theirs, too.
static uint8_t *reserve_answer(struct pipeline *pipeline, unsigned index, uint16_t port)
{
	uint8_t *buffer;

	if (!pipeline->device->answer || pipeline->capture.on || pipeline->handed)
		return NULL;
	buffer = pipeline->device->answer(pipeline->device, index);
	pipeline->reserved_port = port;
	return buffer;
}

bool send_answer(struct pipeline *pipeline, unsigned index, const struct link *link,
		 const struct segment *segment)
{
	uint8_t *buffer = reserve_answer(pipeline, index, link->port);

	if (!buffer)
		return send_segment(pipeline, link, segment);
	assert(segment->payload_length == 0);
	commit(&pipeline->outbox,
	       build_segment(buffer, &pipeline->ports[link->port], link, segment));
	return true;
}

static void renew_resets(struct reset_budget *budget, uint64_t second)
{
	bool flood = second == budget->second + 1 && budget->buckets_left <= RESET_BUCKETS / 2;

	budget->second = second;
	budget->buckets_left = RESET_BUCKETS;
	for (unsigned i = 0; i < RESET_BUCKETS; i++)
		budget->left[i] = flood ? RESETS_IN_FLOOD : RESETS_PER_BUCKET;
}

// Who shares a bucket with whom changes each second, so that nobody can look for a neighbour. An
// IPv6 source is its /64: one host has all of it.
static bool reset_permitted(struct pipeline *pipeline, const struct address *source)
{
	struct reset_budget *budget = &pipeline->resets;
	uint64_t second = pipeline->now.now_us / 1000000 + 1;
	struct tuple whom = {.remote = *source};

	if (budget->second != second)
		renew_resets(budget, second);
	if (budget->buckets_left == 0)
		return false;
	if (!address_is_ipv4(source))
		memset(whom.remote.bytes + 8, 0, 8);
	uint16_t *left =
		&budget->left[hash_tuple_with(&budget->key, &whom, second) % RESET_BUCKETS];
	if (*left == 0)
		return false;
	budget->buckets_left -= --*left == 0;
	return true;
}

void send_reset_for(struct pipeline *pipeline, const struct view *view)
{
	struct segment reset;

	if (build_reset_for(view, &reset) && reset_permitted(pipeline, &view->source))
		send_segment(pipeline, &view->link, &reset);
}

// Where the leg's segments go now. A client whose next hop is not resolved yet is answered where
// its last frame came from; a server must be resolved first.
static enum next_hop next_hop(struct pipeline *pipeline, struct leg *leg, struct link *link)
{
	enum next_hop hop = net_next_hop(pipeline->net, &tcp_tuple(leg->flow)->remote,
					 pipeline->now, &pipeline->outbox, link, NULL);

	if (hop != NEXT_HOP_RESOLVED && leg->kind == LEG_CLIENT) {
		*link = leg->link;
		return NEXT_HOP_RESOLVED;
	}
	return hop;
}

void send_leg_reset(struct pipeline *pipeline, struct leg *leg)
{
	struct segment reset;
	struct link link;

	if (tcp_abort(pipeline->tcp, leg->flow, &reset) &&
	    next_hop(pipeline, leg, &link) == NEXT_HOP_RESOLVED)
		send_segment(pipeline, &link, &reset);
}

// Whose connector's frames go out.
static const struct connector_counters *connector_of(struct pipeline *pipeline,
						     const struct leg *leg)
{
	const struct client *client = leg->kind == LEG_CLIENT
					      ? (const struct client *)leg
					      : ((const struct server_leg *)leg)->client;

	return client ? client_counters(pipeline, client) : NULL;
}

// True when the leg has nothing more to send.
static bool flush_leg(struct pipeline *pipeline, struct leg *leg)
{
	struct link link;
	struct segment segment;
	uint8_t *buffer;

	switch (next_hop(pipeline, leg, &link)) {
	case NEXT_HOP_RESOLVED:
		break;
	case NEXT_HOP_PENDING:
		return false;
	case NEXT_HOP_UNREACHABLE:
		if (tcp_is_established(leg->flow))
			return false;
		server_leg_events(pipeline, (struct server_leg *)leg, TCP_EVENT_TIMED_OUT);
		return true;
	}
	if (pipeline->capture.on)
		pipeline->capture.connector = connector_of(pipeline, leg);
	while ((buffer = reserve_waiting(pipeline, link.port))) {
		if (!tcp_output(pipeline->tcp, leg->flow, pipeline->now.now_us, &segment)) {
			commit(&pipeline->outbox, 0);
			pipeline->capture.connector = NULL;
			return true;
		}
		commit(&pipeline->outbox,
		       build_segment(buffer, &pipeline->ports[link.port], &link, &segment));
	}
	pipeline->capture.connector = NULL;
	return false;
}

static void arm(struct pipeline *pipeline, struct leg *leg)
{
	uint64_t deadline = leg->kind == LEG_CLIENT ? client_deadline((struct client *)leg)
						    : server_leg_deadline((struct server_leg *)leg);

	if (deadline == UINT64_MAX)
		wheel_cancel(pipeline->wheel, &leg->timer);
	else
		wheel_arm(pipeline->wheel, &leg->timer, deadline);
}

static void destroy(struct pipeline *pipeline, struct leg *leg)
{
	if (leg->kind == LEG_CLIENT)
		client_destroy(pipeline, (struct client *)leg);
	else
		server_leg_destroy(pipeline, (struct server_leg *)leg);
}

void send_last(struct pipeline *pipeline, struct leg *leg, bool reset)
{
	flush_leg(pipeline, leg);
	if (reset || !tcp_all_sent(leg->flow))
		send_leg_reset(pipeline, leg);
	unmark_dirty(pipeline, leg);
	destroy(pipeline, leg);
}

void send_flush(struct pipeline *pipeline)
{
	struct leg_list blocked = TAILQ_HEAD_INITIALIZER(blocked); // in their order: nobody starves
	struct leg *leg;

	while ((leg = TAILQ_FIRST(&pipeline->dirty))) {
		unmark_dirty(pipeline, leg);
		// A doomed leg too: its last ACK may be owed.
		bool done = flush_leg(pipeline, leg);

		// What happened meanwhile put it on the list again: its turn comes.
		if (leg->dirty)
			continue;
		if (leg->doomed) {
			destroy(pipeline, leg);
			continue;
		}
		arm(pipeline, leg);
		if (done)
			continue;
		leg->dirty = true; // so that nothing links it twice
		TAILQ_INSERT_TAIL(&blocked, leg, in_dirty);
	}
	TAILQ_CONCAT(&pipeline->dirty, &blocked, in_dirty);
}
