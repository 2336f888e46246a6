// SPDX-License-Identifier: BSD-3-Clause
//
// Who keeps a server's connection from others. A transaction has one to itself, from its first
// recipient to its end, so a few clients who take their time could have all of them. While more
// transactions wait for a backend than there is room for, those clients of it that did less in the
// last PACE_SECONDS of their own time than they must give their connections up, the slowest first,
// one for each that waits. Nobody goes while the gate or a server keeps him waiting, nor when
// nobody needs his place. Does not keep the measure (base/pace) nor close anything.

#include "dataplane/pipeline/worker.h"

// Until others waited for so long idle connections may yet turn up; and then between two looks.
#define INTERVAL_US 100000ull
// At a look: connections that are looked at, in turn if there are more, and clients that go.
#define LOOKED_AT  256
#define GO_AT_MOST 16
// Recipients in a window, until the message begins: one in two seconds, for clients that await each
// reply on a line with a round trip of no less.
#define RECIPIENTS_MIN 5

// Bytes that wait here wait for the server, or for buffers; unless their sender does not read what
// he is told.
void holder_note(struct pipeline *pipeline, struct client *client)
{
	struct server_leg *leg = client->server;
	struct pace *pace = &leg->pace;
	const bool waits = tcp_received(client->leg.flow).length > 0;

	if (client->in_body && client->session.message_octets > leg->octets) {
		pace_take(pace, (uint32_t)(client->session.message_octets - leg->octets),
			  pipeline->now.now_us);
		leg->octets = client->session.message_octets;
	}
	if (client->session.suspended || client->held_until_us ||
	    (waits && !client_leaves_unread(pipeline, client)))
		pace_stop(pace, pipeline->now.now_us);
	else
		pace_go_on(pace, client->in_body, pipeline->now.now_us);
}

struct slow {
	struct client *client;
	uint64_t permille; // of what he must do
};

static bool is_wanted(const struct pipeline *pipeline, const struct server_leg *leg)
{
	return leg->generation == pipeline->generation &&
	       servers_short(pipeline->servers, leg->upstream.backend, leg->upstream.server);
}

bool holder_awaited(const struct pipeline *pipeline, const struct client *client)
{
	return client->server && is_wanted(pipeline, client->server);
}

// Is the connection's client too slow, and of use to those who wait?
static bool is_slow(const struct pipeline *pipeline, const struct server_leg *leg,
		    struct slow *slow)
{
	const struct client *client = leg->client;
	uint64_t amount, must = RECIPIENTS_MIN;

	if (!client || leg->pace.runs_us == PACE_STOPPED || !is_wanted(pipeline, leg))
		return false;
	if (client->in_body)
		must = PACE_SECONDS * client->session.peer.connector->min_data_rate;
	if (!pace_measure(&leg->pace, pipeline->now.now_us, &amount) || amount >= must)
		return false;
	*slow = (struct slow){leg->client, 1000 * amount / must};
	return true;
}

// Keeps the slowest ones, in order.
static unsigned insert(struct slow list[GO_AT_MOST], unsigned count, struct slow slow)
{
	unsigned at = count < GO_AT_MOST ? count++ : GO_AT_MOST;

	for (; at > 0 && list[at - 1].permille > slow.permille; at--)
		if (at < GO_AT_MOST)
			list[at] = list[at - 1];
	if (at < GO_AT_MOST)
		list[at] = slow;
	return count;
}

static unsigned look(struct pipeline *pipeline, struct slow list[GO_AT_MOST])
{
	unsigned most = pipeline->server_count < LOOKED_AT ? pipeline->server_count : LOOKED_AT;
	unsigned count = 0;
	struct slow slow;

	for (unsigned i = 0; i < most; i++) {
		struct server_leg *leg = TAILQ_FIRST(&pipeline->server_legs);

		TAILQ_REMOVE(&pipeline->server_legs, leg, in_all);
		TAILQ_INSERT_TAIL(&pipeline->server_legs, leg, in_all);
		if (is_slow(pipeline, leg, &slow))
			count = insert(list, count, slow);
	}
	return count;
}

static void dismiss(struct pipeline *pipeline, struct client *client)
{
	if (!is_wanted(pipeline, client->server))
		return;
	client_dismiss(pipeline, client,
		       client->in_body ? REASON_slow_sender_evicted : REASON_holder_evicted);
}

uint64_t holder_relieve(struct pipeline *pipeline)
{
	struct slow list[GO_AT_MOST];
	unsigned count;

	if (!servers_any_waiting(pipeline->servers)) {
		pipeline->holders_us = 0;
		return UINT64_MAX;
	}
	if (pipeline->holders_us == 0)
		pipeline->holders_us = pipeline->now.now_us + INTERVAL_US;
	if (pipeline->now.now_us < pipeline->holders_us)
		return pipeline->holders_us;
	count = look(pipeline, list);
	for (unsigned i = 0; i < count; i++)
		dismiss(pipeline, list[i].client);
	pipeline->holders_us = pipeline->now.now_us + INTERVAL_US;
	return pipeline->holders_us;
}
