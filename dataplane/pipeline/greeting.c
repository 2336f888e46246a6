// SPDX-License-Identifier: BSD-3-Clause
//
// The tests while a session begins, for clients that nobody vouches for: do they wait for the
// greeting (GreetDelay), and for the reply to EHLO (RFC 2920 section 3.1)? Neither ends the
// session: who behaves goes on in it, and is remembered. Whether a client could have read what we
// said needs no delay: bytes whose ACK does not cover it were sent before it came. The lists of
// [dnsbl] are asked meanwhile; what they say is the session's to act upon. Owns client->greeting.

#include "dataplane/pipeline/worker.h"

// Below this share of free places a client is greeted at once.
#define FREE_PLACES_OF 4
// How long to wait for payload buffers when the greeting is due.
#define RETRY_US 10000

static void ask_lists(struct pipeline *pipeline, const struct session_peer *peer)
{
	struct dnsbl_answer answer;

	if (peer->connector->dnsbl_action == DNSBL_NONE || !pipeline->dnsbl ||
	    dnsbl_find(pipeline->dnsbl, &peer->client.address, pipeline->now.now_us, &answer))
		return;
	if (!dnsbl_ask(pipeline->dnsbl, pipeline->worker, &peer->client.address))
		count_reason(pipeline, REASON_dnsbl_queue_full);
}

static bool must_wait(struct pipeline *pipeline, const struct session_peer *peer)
{
	if (!peer->connector->greet_delay_ms ||
	    (pipeline->passed &&
	     passed_find(pipeline->passed, &peer->client.address, pipeline->now.now_us)))
		return false;
	if (pipeline->clients.free_count >= pipeline->clients.count / FREE_PLACES_OF)
		return true;
	count_reason(pipeline, REASON_greet_delay_skipped);
	return false;
}

void greeting_begin(struct pipeline *pipeline, struct client *client)
{
	const struct session_peer *peer = &client->session.peer;

	client->greeting = GREETING_OVER;
	if (peer->tested) {
		ask_lists(pipeline, peer);
		client->greeting = GREETING_SAID;
		if (must_wait(pipeline, peer)) {
			client->greeting = GREETING_DELAYED;
			client->held_until_us =
				pipeline->now.now_us + 1000ull * peer->connector->greet_delay_ms;
			if (!peer->connector->greet_teaser)
				return;
			reply_continue(&pipeline->reply);
		}
	}
	client_say(pipeline, client);
}

void greeting_cancel(struct client *client)
{
	client->greeting = GREETING_OVER;
	client->held_until_us = 0;
}

static void greet(struct pipeline *pipeline, struct client *client)
{
	session_resume(&client->session, pipeline->now);
	session_greet(&client->session, pipeline->now, &pipeline->reply);
	client_say(pipeline, client);
}

// It is told apart once a session.
static void offend(struct pipeline *pipeline, struct client *client, enum reason reason)
{
	struct session_step step;

	client->greeting = GREETING_OVER;
	session_offend(&client->session, reason, &pipeline->reply, &step);
	client_apply(pipeline, client, &step);
}

void greeting_wait(struct pipeline *pipeline, struct client *client)
{
	const bool talks = tcp_received(client->leg.flow).length > 0;

	if (!talks && client->peer_closed) {
		greeting_cancel(client);
		return;
	}
	if (!talks && client->held_until_us > pipeline->now.now_us)
		return;
	if (!client_may_reply(pipeline, client)) {
		client->held_until_us = pipeline->now.now_us + RETRY_US;
		return;
	}
	greeting_cancel(client);
	if (!talks) {
		client->greeting = GREETING_SAID;
		greet(pipeline, client);
		return;
	}
	// There is nothing more to be learned by waiting.
	offend(pipeline, client, REASON_greet_early_talker);
	if (!client->leg.doomed && !client->linger_deadline_us)
		greet(pipeline, client);
}

static void pass(struct pipeline *pipeline, struct client *client)
{
	const uint64_t now_us = pipeline->now.now_us;

	client->greeting = GREETING_OVER;
	if (pipeline->passed)
		passed_note(pipeline->passed, &client->session.peer.client.address,
			    now_us + pipeline->policy->gate.greet_pass_time_ms * 1000);
}

void greeting_input(struct pipeline *pipeline, struct client *client)
{
	const bool heard_us = tcp_all_acknowledged(client->leg.flow);

	if (!heard_us)
		offend(pipeline, client,
		       client->greeting == GREETING_SAID ? REASON_greet_early_talker
							 : REASON_greet_pipelining);
	else if (client->session.state != SESSION_STATE_GREETED)
		pass(pipeline, client);
}

enum session_listing greeting_listing(struct session_quota *quota, const struct session_peer *peer,
				      unsigned *list)
{
	struct pipeline *pipeline =
		(struct pipeline *)((char *)quota - offsetof(struct pipeline, quota));
	struct dnsbl_answer answer = {0, 0};

	if (!pipeline->dnsbl)
		return SESSION_LISTING_CLEAN;
	dnsbl_find(pipeline->dnsbl, &peer->client.address, pipeline->now.now_us, &answer);
	switch (dnsbl_judge(pipeline->policy, peer->connector->dnsbl_threshold, &answer, list)) {
	case DNSBL_VERDICT_LISTED:
		return SESSION_LISTING_LISTED;
	case DNSBL_VERDICT_CLEAN:
		return SESSION_LISTING_CLEAN;
	case DNSBL_VERDICT_OPEN:
		break;
	}
	count_reason(pipeline, REASON_dnsbl_late);
	return SESSION_LISTING_OPEN;
}
