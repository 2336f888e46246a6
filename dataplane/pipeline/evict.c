// SPDX-License-Identifier: BSD-3-Clause
//
// Who goes first under pressure. Every client is in one list of its rank, in the order in which
// they last came nearer to a message: NOOP, RSET, half a line or a refused recipient keep no place.
// Each list is divided by whether a client holds payload buffers, so that making room never
// searches: it looks at the heads. What stands for mail goes last: a client that is inside a
// message that a server takes, or that awaits a backend's answer, never makes room for another one.
// Does not close anything itself (client_evict), nor judge who keeps a server's connection
// (holder.c).

#include "dataplane/pipeline/worker.h"

// Clients and gaps that one turn gives up at most.
#define EVICTIONS_A_TURN 64
// Half-closed connections: their share of MaxSessions, and the number that is always allowed.
#define LINGERING_OF  2
#define LINGERING_MIN 16
// Bytes beyond a gap are given up below this share of free payload buffers (they are only taken
// above a quarter).
#define GAPS_BELOW 8

#define SECOND_US 1000000ull

// Refused ones: likewise.
#define REFUSED_OF  8
#define REFUSED_MIN 16

// How long a client of each rank must have got nowhere before it makes room.
static const uint64_t idle_us[CLIENT_RANKS] = {
	[CLIENT_TARPITTED] = 0,
	[CLIENT_BEFORE_MAIL] = 1 * SECOND_US,
	[CLIENT_LINGERING] = 1 * SECOND_US,
	[CLIENT_IN_TRANSACTION] = 10 * SECOND_US,
	[CLIENT_AT_SERVER] = 10 * SECOND_US,
	[CLIENT_PROTECTED] = UINT64_MAX,
};

static enum client_rank rank_of(const struct client *client)
{
	// It is on its way out already.
	if (client->leg.doomed)
		return CLIENT_PROTECTED;
	if (client->refused != LIMIT_WITHIN)
		return CLIENT_REFUSED;
	if (client->held_until_us && client->greeting != GREETING_DELAYED && !client->server)
		return CLIENT_TARPITTED;
	if (client->session.suspended)
		return CLIENT_PROTECTED;
	if (client->linger_deadline_us)
		return CLIENT_LINGERING;
	switch (client->session.state) {
	case SESSION_STATE_GREETED:
	case SESSION_STATE_READY:
		return CLIENT_BEFORE_MAIL;
	case SESSION_STATE_MAIL:
	case SESSION_STATE_RCPT:
		return client->server ? CLIENT_AT_SERVER : CLIENT_IN_TRANSACTION;
	default:
		// A message that nobody takes any more is read for the sake of its refusal.
		return client->server ? CLIENT_PROTECTED : CLIENT_IN_TRANSACTION;
	}
}

static struct client_list *list_of(struct pipeline *pipeline, const struct client *client)
{
	return &pipeline->ranks[client->rank][client->holds];
}

void evict_init(struct pipeline *pipeline)
{
	for (unsigned rank = 0; rank < CLIENT_RANKS; rank++)
		for (unsigned holds = 0; holds < 2; holds++)
			TAILQ_INIT(&pipeline->ranks[rank][holds]);
}

static bool holds_chunks(const struct client *client)
{
	return tcp_holds_chunks(client->leg.flow) || session_holds_chunks(&client->session) ||
	       client->held.length > 0;
}

static void enter(struct pipeline *pipeline, struct client *client)
{
	struct client_list *list;

	client->rank = (uint8_t)rank_of(client);
	client->holds = holds_chunks(client);
	list = list_of(pipeline, client);
	// Of those whose time was over before, any may be the first.
	if (idle_us[client->rank] > 0 &&
	    pipeline->now.now_us - client->active_us >= idle_us[client->rank])
		TAILQ_INSERT_HEAD(list, client, in_rank);
	else
		TAILQ_INSERT_TAIL(list, client, in_rank);
	pipeline->lingering += client->rank == CLIENT_LINGERING;
	pipeline->refused += client->rank == CLIENT_REFUSED;
}

void evict_enter(struct pipeline *pipeline, struct client *client)
{
	client->active_us = pipeline->now.now_us;
	enter(pipeline, client);
}

void evict_leave(struct pipeline *pipeline, struct client *client)
{
	TAILQ_REMOVE(list_of(pipeline, client), client, in_rank);
	pipeline->lingering -= client->rank == CLIENT_LINGERING;
	pipeline->refused -= client->rank == CLIENT_REFUSED;
}

// While it is protected, active_us is for how long it had got nowhere before: what it awaits is not
// held against it.
static void restamp(struct pipeline *pipeline, struct client *client, enum client_rank rank,
		    bool progressed)
{
	const uint64_t now_us = pipeline->now.now_us;

	if ((client->rank == CLIENT_PROTECTED) != (rank == CLIENT_PROTECTED))
		client->active_us = now_us - client->active_us;
	if (rank == CLIENT_PROTECTED && progressed)
		client->active_us = 0;
	else if (progressed || (rank == CLIENT_LINGERING && client->rank != rank))
		client->active_us = now_us;
}

void evict_note(struct pipeline *pipeline, struct client *client)
{
	const enum client_rank rank = rank_of(client);
	const bool holds = holds_chunks(client);
	const bool progressed = session_take_progress(&client->session);
	// Nobody moves to the end of a list twice in a turn: whoever walks along it comes to an
	// end.
	const bool moves = client->rank != rank || client->holds != holds ||
			   (progressed && rank != CLIENT_PROTECTED &&
			    client->active_us != pipeline->now.now_us);

	restamp(pipeline, client, rank, progressed);
	if (!moves)
		return;
	evict_leave(pipeline, client);
	enter(pipeline, client);
}

bool evict_no_clients(const struct pipeline *pipeline)
{
	return pool_used(&pipeline->clients) == 0;
}

static struct client *older(struct client *a, struct client *b)
{
	if (!a || !b)
		return a ? a : b;
	return a->active_us <= b->active_us ? a : b;
}

// The client of the rank that has got nowhere for the longest, and long enough.
static struct client *idle(const struct pipeline *pipeline, enum client_rank rank,
			   bool with_buffers)
{
	struct client *client = TAILQ_FIRST(&pipeline->ranks[rank][true]);

	if (!with_buffers)
		client = older(client, TAILQ_FIRST(&pipeline->ranks[rank][false]));
	if (client && pipeline->now.now_us - client->active_us < idle_us[rank])
		client = NULL;
	return client;
}

static bool evict(struct pipeline *pipeline, bool with_buffers)
{
	for (unsigned rank = 0; rank < CLIENT_PROTECTED; rank++) {
		struct client *client = idle(pipeline, rank, with_buffers);

		if (client) {
			client_evict(pipeline, client, REASON_session_evicted);
			return true;
		}
	}
	return false;
}

// Not more than a share of MaxSessions, but so many always.
static uint32_t bound(const struct pipeline *pipeline, uint32_t of, uint32_t least)
{
	uint32_t share = pipeline->clients.count / of;

	return share > least ? share : least;
}

static void evict_oldest(struct pipeline *pipeline, enum client_rank rank)
{
	struct client *client = older(TAILQ_FIRST(&pipeline->ranks[rank][true]),
				      TAILQ_FIRST(&pipeline->ranks[rank][false]));

	if (client)
		client_evict(pipeline, client, REASON_session_evicted);
}

void evict_for_newcomer(struct pipeline *pipeline, bool refused)
{
	if (refused && (pipeline->clients.free_count == 0 ||
			pipeline->refused >= bound(pipeline, REFUSED_OF, REFUSED_MIN)))
		evict_oldest(pipeline, CLIENT_REFUSED);
	else if (pipeline->clients.free_count == 0)
		evict(pipeline, false);
}

void evict_for_bounds(struct pipeline *pipeline)
{
	const struct pool *chunks = &pipeline->chunks;
	unsigned left = EVICTIONS_A_TURN;

	for (; left && chunks->free_count < chunks->count / GAPS_BELOW; left--) {
		if (!tcp_drop_out_of_order(pipeline->tcp))
			break;
		count_reason(pipeline, REASON_out_of_order_evicted);
	}
	while (left && chunks->free_count < client_chunks_reserved(pipeline) &&
	       evict(pipeline, true))
		left--;
	for (; left && pipeline->lingering > bound(pipeline, LINGERING_OF, LINGERING_MIN); left--)
		evict_oldest(pipeline, CLIENT_LINGERING);
}
