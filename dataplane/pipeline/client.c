// SPDX-License-Identifier: BSD-3-Clause
//
// A client's flow and its SMTP session: moves bytes from the one to the other, does what the
// session intends, and lingers after the last reply (a reset would destroy it unread at the client,
// which then tries again for days). Owns clients from client_create to client_destroy; what a
// transaction needs of a backend is exchange.c's.

#include "dataplane/pipeline/worker.h"

// Payload buffers kept back for replies and commands: the fewest, and their share of all. How long
// to wait for some.
#define CHUNKS_FOR_REPLIES_MIN 16
#define CHUNKS_FOR_REPLIES_OF  16
#define STARVED_RETRY_US       10000
// Below this share of free buffers, what a client may leave unread before it is heard again.
#define SCARCE_OF    8
#define UNREAD_BYTES CHUNK_BYTES

// Nothing may reach it any more until it is destroyed: no connection to a server, no turn of its
// waiter.
static void doom(struct pipeline *pipeline, struct client *client)
{
	exchange_abort(pipeline, client);
	client->leg.doomed = true;
	evict_note(pipeline, client);
	send_mark_dirty(pipeline, &client->leg);
}

// What ends a session first is what its protocol log names.
static void note_end(struct client *client, unsigned context)
{
	if (!client->ended)
		client->ended = (uint16_t)context;
}

// Queues the reply. Half of one would be another one: when room or buffers end in it, so does the
// session.
bool client_say(struct pipeline *pipeline, struct client *client)
{
	struct slice reply = reply_bytes(&pipeline->reply);
	bool room = tcp_send_room(client->leg.flow) >= reply.length;

	pipeline->reply.length = 0;
	if (tcp_send(pipeline->tcp, client->leg.flow, reply) == reply.length) {
		if (client->verbose)
			protocol_reply(pipeline, client, reply);
		return true;
	}
	note_end(client, REASON_buffers_low);
	if (room)
		count_reason(pipeline, REASON_buffers_low);
	send_leg_reset(pipeline, &client->leg);
	doom(pipeline, client);
	return false;
}

// 421 in place of the banner.
static void refuse(struct pipeline *pipeline, struct client *client)
{
	const enum connection_limit_kind limit = client->refused;
	struct session_step step;

	client->tarpitted = admit_action(pipeline->policy, client->session.peer.connector, limit) ==
			    ABOVE_TARPIT;
	client_counters(pipeline, client)->connections_refused++;
	session_refuse(&client->session, admit_reason(limit), &pipeline->reply, &step);
	client_apply(pipeline, client, &step);
}

static struct session_peer peer_of(struct pipeline *pipeline, const struct tcp_accept *accept,
				   const struct connector *connector)
{
	const struct policy *policy = pipeline->policy;
	const struct address *source = &accept->tuple.remote;
	const uint64_t wall_us = pipeline->now.wall_us;
	struct session_peer peer = {
		.client = {*source, accept->tuple.remote_port},
		.local = {accept->tuple.local, accept->tuple.local_port},
		.connector = connector,
		.identities = (uint8_t)connector_identities(connector),
		.policy = policy,
		.id = ++pipeline->session_ids,
		.quota = &pipeline->quota,
	};

	peer.allowed = ip_list_find(&policy->ip_allow, source, wall_us);
	peer.blocked = !peer.allowed && ip_list_find(&policy->ip_block, source, wall_us);
	peer.tested = session_is_unknown(&peer);
	return peer;
}

struct client *client_create(struct pipeline *pipeline, const struct tcp_accept *accept,
			     const struct link *link, uint16_t connector,
			     const struct admission_result *admitted)
{
	const struct connector *policy_connector = &pipeline->policy->connectors[connector];
	struct client *client = pool_get(&pipeline->clients);
	struct session_peer peer;

	// A flow never changes its worker, so it must begin at the right one.
	assert(!others_own(pipeline, &accept->tuple));
	if (!client)
		return NULL;
	pool_prefetch_next(&pipeline->clients, sizeof(*client));
	peer = peer_of(pipeline, accept, policy_connector);
	memset(client, 0, sizeof(*client));
	client->leg.flow = tcp_accept(pipeline->tcp, accept, pipeline->now.now_us);
	if (!client->leg.flow) {
		pool_put(&pipeline->clients, client);
		return NULL;
	}
	client->leg.kind = LEG_CLIENT;
	client->leg.link = *link;
	client->connector = connector;
	client->generation = pipeline->generation;
	generation_enter(pipeline, client->generation);
	wheel_timer_init(&client->leg.timer);
	tcp_set_user(client->leg.flow, &client->leg);
	client->admission = admitted->admission;
	client->refused = (uint8_t)admitted->limit;
	if (admitted->limit == LIMIT_WITHIN) {
		client_counters(pipeline, client)->sessions++;
		client_counters(pipeline, client)->sessions_open++;
	}

	ban_enter(pipeline, client);
	chunk_queue_init(&client->held);
	session_open(&client->session, &peer, &pipeline->chunks, pipeline->now, &pipeline->reply);
	evict_enter(pipeline, client);
	client->verbose = pipeline->protocol &&
			  policy_connector->protocol_logging == PROTOCOL_LOGGING_VERBOSE;
	if (client->verbose)
		protocol_open(pipeline, client);
	if (admitted->limit == LIMIT_WITHIN)
		greeting_begin(pipeline, client);
	else
		refuse(pipeline, client);
	return client;
}

bool client_within_rate(struct session_quota *quota, const struct connector *connector,
			const struct address *source, uint64_t now_us)
{
	struct pipeline *pipeline =
		(struct pipeline *)((char *)quota - offsetof(struct pipeline, quota));
	uint16_t index = (uint16_t)(connector - pipeline->policy->connectors);
	uint16_t slot = generation_slot(pipeline->generation, index);

	return rates_take(pipeline->rates, source, slot, connector->message_rate_limit, now_us);
}

bool client_renew(struct session_quota *quota, struct session_peer *peer)
{
	struct pipeline *pipeline =
		(struct pipeline *)((char *)quota - offsetof(struct pipeline, quota));
	struct client *client =
		(struct client *)((char *)peer - offsetof(struct client, session.peer));
	struct generation *old = client->generation;
	const struct policy *policy = pipeline->policy;
	const uint64_t wall_us = pipeline->now.wall_us;
	enum reason reason;
	uint16_t index;

	if (old == pipeline->generation)
		return true;
	index = ruleset_connector(pipeline->ruleset, &peer->local.address, peer->local.port,
				  &peer->client.address, &reason);
	if (index == CONNECTOR_NONE ||
	    strcmp(policy->connectors[index].name, peer->connector->name) != 0)
		return false;
	client_counters(pipeline, client)->sessions_open--;
	client->generation = pipeline->generation;
	client->connector = index;
	generation_enter(pipeline, client->generation);
	client_counters(pipeline, client)->sessions_open++;
	peer->connector = &policy->connectors[index];
	peer->policy = policy;
	peer->identities = connector_identities(peer->connector);
	peer->allowed = ip_list_find(&policy->ip_allow, &peer->client.address, wall_us);
	peer->blocked =
		!peer->allowed && ip_list_find(&policy->ip_block, &peer->client.address, wall_us);
	generation_leave(pipeline, old);
	if (client->verbose)
		protocol_permissions(pipeline, client);
	return true;
}

bool client_backend(const struct pipeline *pipeline, const struct client *client, unsigned *backend)
{
	const struct policy *policy = client->generation->policy;

	*backend = client->session.peer.connector->backend;
	return client->generation == pipeline->generation ||
	       servers_find(pipeline->servers, policy->backends[*backend].name, backend);
}

void client_destroy(struct pipeline *pipeline, struct client *client)
{
	if (client->verbose)
		protocol_close(pipeline, client);
	exchange_abort(pipeline, client);
	session_close(&client->session);
	chunk_queue_clear(&client->held, &pipeline->chunks);
	if (client->refused == LIMIT_WITHIN) {
		admission_close(pipeline->sources,
				generation_slot(client->generation, client->connector),
				&client->admission);
		client_counters(pipeline, client)->sessions_open--;
	}
	wheel_cancel(pipeline->wheel, &client->leg.timer);
	tcp_release(pipeline->tcp, client->leg.flow, pipeline->now.now_us);
	evict_leave(pipeline, client);
	ban_leave(pipeline, client);
	generation_leave(pipeline, client->generation);
	pool_put(&pipeline->clients, client);
}

void client_linger(struct pipeline *pipeline, struct client *client)
{
	exchange_abort(pipeline, client);
	session_close(&client->session);
	client->linger_deadline_us =
		pipeline->now.now_us + 1000ull * pipeline->policy->gate.linger_timeout_ms;
	tcp_close(pipeline->tcp, client->leg.flow);
	evict_note(pipeline, client);
}

// The lists' verdict may make the server be asked later.
static void ask_server(struct pipeline *pipeline, struct client *client, bool slow)
{
	client->replaced = false;
	if (slow && client->session.peer.connector->tarpit_interval_ms && !client->peer_closed)
		tarpit_stall(pipeline, client);
	else
		exchange_recipient(pipeline, client);
}

// The session is to end: a refusal that is kept back goes out first, nothing else.
static void let_go(struct pipeline *pipeline, struct client *client)
{
	if (client->greeting == GREETING_DELAYED)
		greeting_cancel(client);
	else if (client->session.suspended)
		client->held_until_us = 0;
	else
		tarpit_release(pipeline, client);
}

// Sends what the session said and does what it intends. The step's slices are still valid.
void client_apply(struct pipeline *pipeline, struct client *client, const struct session_step *step)
{
	count_step(pipeline, client, step);
	if (client->verbose)
		protocol_step(pipeline, client, step);
	if (!tarpit_hold(pipeline, client, step) && !client_say(pipeline, client))
		return;
	switch (step->intent) {
	case SESSION_MORE:
	case SESSION_NEXT:
		break;
	case SESSION_RECIPIENT:
		ask_server(pipeline, client, step->slow);
		break;
	case SESSION_DATA:
		exchange_data(pipeline, client);
		break;
	case SESSION_BODY:
		exchange_body(pipeline, client, step->body);
		break;
	case SESSION_END:
		exchange_end(pipeline, client);
		break;
	case SESSION_ABORT:
		exchange_abort(pipeline, client);
		break;
	case SESSION_RESET:
		exchange_reset(pipeline, client);
		break;
	case SESSION_CLOSE:
		if (client->session.input_ended)
			note_end(client, PROTOCOL_CONTEXT_REMOTE);
		note_end(client, step->reason ? step->reason : PROTOCOL_CONTEXT_LOCAL);
		client->closes = client->held_until_us != 0;
		if (client->closes)
			exchange_abort(pipeline, client);
		else
			client_linger(pipeline, client);
		break;
	}
}

// Nobody tells when buffers are free again: look again soon.
static void starve(struct pipeline *pipeline, struct client *client)
{
	count_reason(pipeline, REASON_buffers_low);
	client->retry_us = pipeline->now.now_us + STARVED_RETRY_US;
}

bool client_leaves_unread(const struct pipeline *pipeline, const struct client *client)
{
	return pipeline->policy->gate.send_buffer - tcp_send_room(client->leg.flow) > UNREAD_BYTES;
}

// Sessions that are suspended now will need one each for the server's answer: an answer that finds
// none would be lost, and its message sent twice. So a share of all, not a handful.
uint32_t client_chunks_reserved(const struct pipeline *pipeline)
{
	uint32_t share = pipeline->chunks.count / CHUNKS_FOR_REPLIES_OF;

	return share > CHUNKS_FOR_REPLIES_MIN ? share : CHUNKS_FOR_REPLIES_MIN;
}

// Clients that ask and do not read would fill the buffers with replies until nobody gets one. Its
// next ACK wakes it.
static bool hoards(struct pipeline *pipeline, const struct client *client)
{
	if (pipeline->chunks.free_count >= pipeline->chunks.count / SCARCE_OF ||
	    !client_leaves_unread(pipeline, client))
		return false;
	count_reason(pipeline, REASON_replies_unread);
	return true;
}

// A reply must fit into the send queue whole before a command is read, and so must the buffers for
// it.
bool client_may_reply(struct pipeline *pipeline, struct client *client)
{
	if (pipeline->chunks.free_count < client_chunks_reserved(pipeline)) {
		starve(pipeline, client);
		return false;
	}
	return !hoards(pipeline, client) && tcp_send_room(client->leg.flow) >= REPLY_MAX;
}

// How many message bytes the backend's leg takes; a body that is only read to its end has no limit.
static size_t body_room(struct pipeline *pipeline, struct client *client)
{
	size_t room, buffers;

	if (!client->in_body)
		return SIZE_MAX;
	room = exchange_body_room(pipeline, client);
	buffers = (size_t)(pipeline->chunks.free_count - client_chunks_reserved(pipeline)) *
		  CHUNK_BYTES;
	if (buffers == 0)
		starve(pipeline, client);
	return room < buffers ? room : buffers;
}

// A body asks nothing of them.
static struct session_servers servers_of(const struct pipeline *pipeline,
					 const struct client *client)
{
	unsigned backend;

	if (client->session.state >= SESSION_STATE_BODY ||
	    !client_backend(pipeline, client, &backend))
		return (struct session_servers){0, 0};
	return (struct session_servers){servers_extensions(pipeline->servers, backend),
					servers_size(pipeline->servers, backend)};
}

// One step of the session; false when nothing moves any more.
static bool turn(struct pipeline *pipeline, struct client *client)
{
	struct slice in = tcp_received(client->leg.flow);
	struct session_step step = {0};

	if (in.length == 0 && !session_due(&client->session))
		return false;
	if (client->linger_deadline_us) {
		tcp_consume(pipeline->tcp, client->leg.flow, in.length);
		return true;
	}
	if (client->session.suspended || client->held_until_us ||
	    !client_may_reply(pipeline, client))
		return false;
	if (client->greeting != GREETING_OVER) {
		greeting_input(pipeline, client);
		if (client->leg.doomed || client->linger_deadline_us)
			return true;
	}
	pipeline->reply.length = 0;
	session_input(&client->session, in, body_room(pipeline, client),
		      servers_of(pipeline, client), pipeline->now, &pipeline->reply, &step);
	if (client->greeting != GREETING_OVER && step.code)
		client->greeting = GREETING_HELLO;
	client_apply(pipeline, client, &step);
	tcp_consume(pipeline->tcp, client->leg.flow, step.consumed);
	return step.intent != SESSION_MORE || step.consumed > 0;
}

// The gate is stopping: the session closes as soon as nothing of it is unfinished.
static bool leave(struct pipeline *pipeline, struct client *client)
{
	struct session_step step = {0};

	if (!pipeline->draining || client->linger_deadline_us || client->session.suspended)
		return false;
	if (client->greeting == GREETING_DELAYED)
		greeting_cancel(client);
	if (client->held_until_us || !client_may_reply(pipeline, client))
		return false;
	pipeline->reply.length = 0;
	if (!session_drain(&client->session, false, &pipeline->reply, &step))
		return false;
	client_apply(pipeline, client, &step);
	return true;
}

// Its source was banned: what the tarpit keeps back goes out, then it is closed; inside a message
// only when that was answered.
static bool expel(struct pipeline *pipeline, struct client *client)
{
	struct session_step step;

	if (!client->banned || client->linger_deadline_us || session_in_message(&client->session))
		return false;
	tarpit_release(pipeline, client);
	if (client->leg.doomed || client->linger_deadline_us || !client_may_reply(pipeline, client))
		return false;
	pipeline->reply.length = 0;
	session_expel(&client->session, &pipeline->reply, &step);
	client_apply(pipeline, client, &step);
	return true;
}

// The client's FIN counts once everything before it was dealt with.
static void end_of_input(struct pipeline *pipeline, struct client *client)
{
	struct session_step step = {0};

	pipeline->reply.length = 0;
	client_counters(pipeline, client)->sessions_reset++;
	session_end_of_input(&client->session, &step);
	note_end(client, PROTOCOL_CONTEXT_REMOTE);
	client_apply(pipeline, client, &step);
	if (!client->leg.doomed && !client->linger_deadline_us)
		client_linger(pipeline, client);
}

void client_pump(struct pipeline *pipeline, struct client *client)
{
	if (client->busy || client->leg.doomed)
		return;
	client->busy = true;
	client->retry_us = 0;
	// Who does not wait for the reply is let go.
	if (client->greeting == GREETING_DELAYED)
		greeting_wait(pipeline, client);
	else if (client->held_until_us <= pipeline->now.now_us || client->peer_closed)
		tarpit_release(pipeline, client);
	while (!client->leg.doomed &&
	       (leave(pipeline, client) || expel(pipeline, client) || turn(pipeline, client)))
		;
	if (!client->leg.doomed && client->peer_closed && !client->linger_deadline_us &&
	    !client->session.suspended && tcp_received(client->leg.flow).length == 0)
		end_of_input(pipeline, client);
	client->busy = false;
	if (client->server)
		holder_note(pipeline, client);
	tcp_settle(pipeline->tcp, client->leg.flow, pipeline->now.now_us);
	evict_note(pipeline, client);
	send_mark_dirty(pipeline, &client->leg);
}

void client_answer(struct pipeline *pipeline, struct client *client,
		   const struct session_answer *answer)
{
	struct session_step step = {0};

	pipeline->reply.length = 0;
	session_answer(&client->session, answer, pipeline->now, &pipeline->reply, &step);
	client_apply(pipeline, client, &step);
}

void client_events(struct pipeline *pipeline, struct client *client, unsigned events)
{
	if (events & TCP_EVENT_PEER_CLOSED)
		client->peer_closed = true;
	client_pump(pipeline, client);
	if (events & TCP_EVENT_TIMED_OUT)
		count_reason(pipeline, REASON_retransmit_exhausted);
	if (client->leg.doomed ||
	    !(events & (TCP_EVENT_CLOSED | TCP_EVENT_RESET | TCP_EVENT_TIMED_OUT)))
		return;
	if (!client->linger_deadline_us && !client->closes) {
		struct session_step step = {0};

		client_counters(pipeline, client)->sessions_reset++;
		session_end_of_input(&client->session, &step);
		count_step(pipeline, client, &step);
	}
	note_end(client, events & TCP_EVENT_TIMED_OUT ? REASON_retransmit_exhausted
						      : PROTOCOL_CONTEXT_REMOTE);
	doom(pipeline, client);
}

uint64_t client_deadline(const struct client *client)
{
	uint64_t deadline = tcp_deadline(client->leg.flow);
	uint64_t other = client->linger_deadline_us ? client->linger_deadline_us
			 : client->held_until_us    ? client->held_until_us
						    : session_deadline(&client->session);

	if (client->retry_us && client->retry_us < other)
		other = client->retry_us;
	return deadline < other ? deadline : other;
}

static void session_limits(struct pipeline *pipeline, struct client *client)
{
	struct session_step step = {0};

	if (client->held_until_us || session_deadline(&client->session) > pipeline->now.now_us)
		return;
	pipeline->reply.length = 0;
	session_timeout(&client->session, pipeline->now, &pipeline->reply, &step);
	client_apply(pipeline, client, &step);
}

void client_timeout(struct pipeline *pipeline, struct client *client)
{
	unsigned events = 0;

	tcp_timeout(pipeline->tcp, client->leg.flow, pipeline->now.now_us, &events);
	client_events(pipeline, client, events);
	if (client->leg.doomed)
		return;
	if (!client->linger_deadline_us) {
		session_limits(pipeline, client);
	} else if (client->linger_deadline_us <= pipeline->now.now_us) {
		count_reason(pipeline, REASON_linger_expired);
		send_leg_reset(pipeline, &client->leg);
		doom(pipeline, client);
	}
}

void client_evict(struct pipeline *pipeline, struct client *client, enum reason reason)
{
	const bool lingers = client->linger_deadline_us != 0;
	struct session_step step;

	let_go(pipeline, client);
	if (client->refused != LIMIT_WITHIN) {
		count_reason(pipeline, REASON_refused_evicted);
	} else if (client->linger_deadline_us) {
		count_reason(pipeline, REASON_half_closed_evicted);
	} else if (!client->leg.doomed) {
		pipeline->reply.length = 0;
		session_evict(&client->session, reason, &pipeline->reply, &step);
		client_apply(pipeline, client, &step);
	}
	if (!client->leg.doomed)
		doom(pipeline, client);
	send_last(pipeline, &client->leg, lingers);
}

void client_dismiss(struct pipeline *pipeline, struct client *client, enum reason reason)
{
	struct session_step step;

	assert(!client->session.suspended && !client->linger_deadline_us && !client->leg.doomed);
	exchange_drop(pipeline, client);
	pipeline->reply.length = 0;
	session_evict(&client->session, reason, &pipeline->reply, &step);
	client_apply(pipeline, client, &step);
	client_pump(pipeline, client);
}

void client_drain(struct pipeline *pipeline, struct client *client, bool force)
{
	struct session_step step = {0};

	if (client->leg.doomed)
		return;
	if (force)
		let_go(pipeline, client);
	if (force && client->linger_deadline_us) {
		send_leg_reset(pipeline, &client->leg);
		doom(pipeline, client);
		return;
	}
	pipeline->reply.length = 0;
	if (force && session_drain(&client->session, true, &pipeline->reply, &step)) {
		count_reason(pipeline, REASON_drain_expired);
		client_apply(pipeline, client, &step);
	}
	client_pump(pipeline, client);
}
