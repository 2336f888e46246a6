// SPDX-License-Identifier: BSD-3-Clause
//
// The tarpit: a refusal waits for TarpitInterval. The session costs a timer meanwhile: its input
// stays in the flow, a refusal of our own is made anew when it is due, and no connection to a
// server waits with it. Owns client->held, held_row and, once greeted, held_until_us.

#include "dataplane/pipeline/worker.h"

// Above this share of free buffers the tarpit may keep a server's refusals in some.
#define ROOMY_OF 2

// May the reply be kept back? A 5xx to a session that nobody vouches for, and the 421 of a limit
// whose action says so.
static bool tarpits(const struct client *client, const struct session_step *step)
{
	return client->tarpitted || (step->code / 100 == 5 &&
				     client->session.peer.identities == 1u << PRINCIPAL_ANONYMOUS);
}

// A client that waits in the tarpit keeps no connection to a server, unless recipients of its
// transaction were accepted there: the next one says MAIL anew.
void tarpit_stall(struct pipeline *pipeline, struct client *client)
{
	const struct session_peer *peer = &client->session.peer;

	if (client->session.recipients == 0 && !client->in_body)
		exchange_reset(pipeline, client);
	client->held_until_us =
		pipeline->now.now_us + 1000ull * peer->connector->tarpit_interval_ms;
	client_counters(pipeline, client)->tarpitted++;
	if (client->verbose)
		protocol_tarpit(pipeline, client);
}

// Who offended while the session began and is to be closed for it is closed at once.
static bool is_offence(const struct session_step *step)
{
	return step->reason == REASON_greet_early_talker || step->reason == REASON_greet_pipelining;
}

// A refusal of our own is made once more when its time has come; a server's waits in a buffer.
static bool keep_reply(struct pipeline *pipeline, struct client *client)
{
	struct slice reply = reply_bytes(&pipeline->reply);

	client->held_row = pipeline->reply.row;
	if (client->held_row)
		return true;
	if (pipeline->chunks.free_count < pipeline->chunks.count / ROOMY_OF)
		return false;
	if (chunk_queue_append(&client->held, &pipeline->chunks, reply) == reply.length)
		return true;
	chunk_queue_clear(&client->held, &pipeline->chunks);
	return false;
}

// A server's reply goes out at once without a buffer; and so does any where others wait for the
// connection that would wait with it: else one recipient and many refused ones keep it for nothing.
bool tarpit_hold(struct pipeline *pipeline, struct client *client, const struct session_step *step)
{
	const struct session_peer *peer = &client->session.peer;

	if (!tarpits(client, step) || !pipeline->reply.length ||
	    !peer->connector->tarpit_interval_ms || client->peer_closed ||
	    (is_offence(step) && step->intent == SESSION_CLOSE) ||
	    holder_awaited(pipeline, client) || !keep_reply(pipeline, client))
		return false;
	pipeline->reply.length = 0;
	tarpit_stall(pipeline, client);
	return true;
}

static void restore_reply(struct pipeline *pipeline, struct client *client)
{
	if (client->held_row) {
		session_say_again(&client->session, client->held_row, &pipeline->reply);
		client->held_row = 0;
		return;
	}
	pipeline->reply.length = (uint16_t)client->held.length;
	chunk_queue_copy(&client->held, 0, (uint8_t *)pipeline->reply.text, client->held.length);
	chunk_queue_clear(&client->held, &pipeline->chunks);
}

void tarpit_release(struct pipeline *pipeline, struct client *client)
{
	if (!client->held_until_us)
		return;
	client->held_until_us = 0;
	if (client->session.suspended) {
		exchange_recipient(pipeline, client);
		return;
	}
	restore_reply(pipeline, client);
	session_resume(&client->session, pipeline->now);
	if (client_say(pipeline, client) && client->closes)
		client_linger(pipeline, client);
}
