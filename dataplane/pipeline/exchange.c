// SPDX-License-Identifier: BSD-3-Clause
//
// One transaction between a session and the server leg that it is lent: the relay rules (no mail
// lost, none doubled, none smuggled) where the two sides meet. Chooses through relay/servers,
// speaks through relay/upstream. A leg is lent for one transaction at a time: taken at the first
// permitted RCPT, given back after the final reply or RSET, reset when a message is abandoned.

#include "dataplane/pipeline/worker.h"
#include "dataplane/smtp/extension.h"

// The end of data, which must always find room behind the body.
#define END_OF_DATA_BYTES (sizeof(".\r\n") - 1)

// A pooled connection whose server says nothing for this long is asked for a sign of life. TCP's
// keep-alive and not NOOP: it wakes no process, spends none of the commands that a server allows a
// connection, leaves the server's own idle limit alone, and no mail has to wait for its answer.
// Only while pooled: later the replies have time limits, and a message that was sent whole must not
// be given up for a silent minute.
#define KEEPALIVE_MS 5000

#define container_of(pointer, type, member) ((type *)((char *)(pointer)-offsetof(type, member)))

static void answer_failure(struct pipeline *pipeline, struct client *client, enum reason reason)
{
	client_answer(pipeline, client, &(struct session_answer){.failure = reason});
	client_pump(pipeline, client);
}

// A failure that strikes here, and not in a server's leg, which counts its own.
static void fail(struct pipeline *pipeline, struct client *client, enum reason reason)
{
	count_reason(pipeline, reason);
	answer_failure(pipeline, client, reason);
}

// The server is asked first.
static void lend(struct pipeline *pipeline, struct client *client, struct server_leg *leg)
{
	client->server = leg;
	leg->client = client;
	pace_begin(&leg->pace, pipeline->now.now_us);
	pace_stop(&leg->pace, pipeline->now.now_us);
}

static void take_back(struct client *client)
{
	if (!client->server)
		return;
	client->server->client = NULL;
	client->server = NULL;
	client->in_body = false;
}

// The leg is idle at the server and nobody's: the next transaction may have it.
static void give_to_pool(struct pipeline *pipeline, struct server_leg *leg)
{
	// A server that is no more gets no further transaction.
	if (pipeline->draining || leg->generation != pipeline->generation) {
		server_leg_quit(pipeline, leg);
		return;
	}
	servers_return(pipeline->servers, &leg->connection, pipeline->now.now_us);
	tcp_set_keepalive(leg->leg.flow, KEEPALIVE_MS);
	send_mark_dirty(pipeline, &leg->leg);
}

static struct server_leg *leg_of(struct servers_connection *connection)
{
	return container_of(connection, struct server_leg, connection);
}

static void borrow(struct pipeline *pipeline, struct client *client, struct server_leg *leg)
{
	tcp_set_keepalive(leg->leg.flow, 0);
	lend(pipeline, client, leg);
	upstream_borrowed(&leg->upstream);
}

// MAIL (once a transaction) and RCPT of the client's pending recipient.
static void say_recipient(struct pipeline *pipeline, struct client *client)
{
	struct server_leg *leg = client->server;
	char sender_text[SESSION_COMMAND_MAX], recipient_text[SESSION_COMMAND_MAX];
	bool possible;
	struct slice sender = session_sender(&client->session, leg->upstream.extensions,
					     sender_text, sizeof(sender_text), &possible);
	struct slice recipient =
		session_recipient(&client->session, recipient_text, sizeof(recipient_text));

	if (!possible) {
		exchange_reset(pipeline, client);
		fail(pipeline, client, REASON_backend_lacks_extension);
		return;
	}
	pace_take(&leg->pace, 1, pipeline->now.now_us);
	if (upstream_recipient(&leg->upstream, server_leg_policy(leg), sender, recipient,
			       pipeline->now.now_us, &pipeline->commands))
		server_leg_say(pipeline, leg);
	else
		server_leg_hear(pipeline, leg, slice_of(NULL, 0));
}

static void connect_server(struct pipeline *pipeline, struct client *client, unsigned server)
{
	unsigned backend = 0;
	struct server_leg *leg;
	enum reason reason;
	bool known = client_backend(pipeline, client, &backend);

	assert(known); // the choice was just made there
	reason = server_leg_create(pipeline, backend, server, false, &leg);

	if (reason != REASON_NONE) {
		answer_failure(pipeline, client, reason);
		return;
	}
	lend(pipeline, client, leg);
}

static void act_on_choice(struct pipeline *pipeline, struct client *client,
			  enum servers_choice choice, struct servers_connection *connection,
			  unsigned server)
{
	switch (choice) {
	case SERVERS_BORROW:
		borrow(pipeline, client, leg_of(connection));
		say_recipient(pipeline, client);
		break;
	case SERVERS_CONNECT:
		connect_server(pipeline, client, server);
		break;
	case SERVERS_WAIT:
		break;
	case SERVERS_UNAVAILABLE:
		fail(pipeline, client, REASON_backend_unavailable);
		break;
	case SERVERS_BUSY:
		fail(pipeline, client, REASON_backend_busy);
		break;
	}
}

void exchange_recipient(struct pipeline *pipeline, struct client *client)
{
	struct servers_connection *connection = NULL;
	enum servers_choice choice;
	unsigned backend, server = 0;

	if (client->server) {
		say_recipient(pipeline, client);
		return;
	}
	if (!client_backend(pipeline, client, &backend)) {
		act_on_choice(pipeline, client, SERVERS_UNAVAILABLE, NULL, 0);
		return;
	}
	client->waiter.fresh = client->replaced;
	choice = servers_request(pipeline->servers, backend, &client->waiter, pipeline->now.now_us,
				 &connection, &server);
	act_on_choice(pipeline, client, choice, connection, server);
}

void exchange_waiters(struct pipeline *pipeline)
{
	struct servers_connection *connection = NULL;
	struct servers_waiter *waiter;
	enum servers_choice choice;
	unsigned server = 0;

	while ((waiter = servers_next_waiter(pipeline->servers, pipeline->now.now_us, &choice,
					     &connection, &server)))
		act_on_choice(pipeline, container_of(waiter, struct client, waiter), choice,
			      connection, server);
}

void exchange_stranded(struct pipeline *pipeline, struct servers *old)
{
	struct servers_waiter *waiter;

	while ((waiter = servers_next_stranded(old)))
		act_on_choice(pipeline, container_of(waiter, struct client, waiter),
			      SERVERS_UNAVAILABLE, NULL, 0);
}

// What the gate adds goes first (RFC 5321 4.4: one Received line at the top). False when buffers
// end in it: half a line would swallow the message's first one.
static bool begin_body(struct pipeline *pipeline, struct client *client)
{
	struct server_leg *leg = client->server;
	char text[SESSION_ADDED_MAX];
	struct slice header = slice_of(
		text, session_added_header(&client->session, pipeline->now, text, sizeof(text)));

	client->in_body = true;
	pace_begin(&leg->pace, pipeline->now.now_us);
	leg->octets = 0;
	send_mark_dirty(pipeline, &leg->leg);
	if (leg->upstream.state == UPSTREAM_CHUNKS)
		return chunks_stage(pipeline, leg, header);
	return tcp_send(pipeline->tcp, leg->leg.flow, header) == header.length;
}

// The server takes the message: the answer to DATA.
static struct session_answer begin_message(struct pipeline *pipeline, struct client *client)
{
	bool chunked = client->server->upstream.state == UPSTREAM_CHUNKS;

	if (begin_body(pipeline, client))
		return (struct session_answer){.code = 354, .chunked = chunked};
	count_reason(pipeline, REASON_buffers_low);
	exchange_abort(pipeline, client);
	return (struct session_answer){.failure = REASON_buffers_low};
}

void exchange_data(struct pipeline *pipeline, struct client *client)
{
	struct session_answer answer;

	if (!client->server) {
		answer_failure(pipeline, client, REASON_backend_lost);
		return;
	}
	if (client->server->upstream.extensions & SMTP_EXTENSION_CHUNKING) {
		chunks_begin(pipeline, client->server);
		answer = begin_message(pipeline, client);
		client_answer(pipeline, client, &answer);
		client_pump(pipeline, client);
		return;
	}
	upstream_data(&client->server->upstream, server_leg_policy(client->server),
		      pipeline->now.now_us, &pipeline->commands);
	server_leg_say(pipeline, client->server);
}

size_t exchange_body_room(const struct pipeline *pipeline, const struct client *client)
{
	size_t room = tcp_send_room(client->server->leg.flow);

	if (client->server->upstream.state == UPSTREAM_CHUNKS)
		return chunks_room(client->server);
	return room > END_OF_DATA_BYTES ? room - END_OF_DATA_BYTES : 0;
}

static void stage(struct pipeline *pipeline, struct server_leg *leg,
		  const struct slice body[SESSION_BODY_PIECES])
{
	for (unsigned i = 0; i < SESSION_BODY_PIECES; i++) {
		bool staged = chunks_stage(pipeline, leg, body[i]);

		assert(staged); // as below
	}
	chunks_send(pipeline, leg);
	send_mark_dirty(pipeline, &leg->leg);
}

void exchange_body(struct pipeline *pipeline, struct client *client,
		   const struct slice body[SESSION_BODY_PIECES])
{
	struct server_leg *leg = client->server;

	if (!client->in_body)
		return;
	if (leg->upstream.state == UPSTREAM_CHUNKS) {
		stage(pipeline, leg, body);
		return;
	}
	for (unsigned i = 0; i < SESSION_BODY_PIECES; i++) {
		size_t taken = tcp_send(pipeline->tcp, leg->leg.flow, body[i]);

		// body_room counted the send queue's room and the free buffers of this worker.
		assert(taken == body[i].length);
	}
	upstream_progress(&leg->upstream, server_leg_policy(leg), pipeline->now.now_us);
	send_mark_dirty(pipeline, &leg->leg);
}

void exchange_end(struct pipeline *pipeline, struct client *client)
{
	if (!client->server) {
		answer_failure(pipeline, client, REASON_backend_lost);
		return;
	}
	if (client->server->upstream.state == UPSTREAM_CHUNKS) {
		client->server->ending = true;
		chunks_send(pipeline, client->server);
		return;
	}
	upstream_end(&client->server->upstream, server_leg_policy(client->server),
		     pipeline->now.now_us, &pipeline->commands);
	server_leg_say(pipeline, client->server);
}

// The server forgets the transaction. What was in chunks never ended.
static void cancel(struct pipeline *pipeline, struct server_leg *leg)
{
	chunks_forget(pipeline, leg);
	if (upstream_reset(&leg->upstream, server_leg_policy(leg), pipeline->now.now_us,
			   &pipeline->commands))
		server_leg_say(pipeline, leg);
	else
		give_to_pool(pipeline, leg);
}

void exchange_abort(struct pipeline *pipeline, struct client *client)
{
	struct server_leg *leg = client->server;

	if (client->waiter.queued)
		servers_cancel(pipeline->servers, &client->waiter);
	if (!leg)
		return;
	take_back(client);
	if (leg->upstream.state == UPSTREAM_CHUNKS)
		cancel(pipeline, leg);
	else
		server_leg_abort(pipeline, leg);
}

void exchange_drop(struct pipeline *pipeline, struct client *client)
{
	struct server_leg *leg = client->server;

	take_back(client);
	server_leg_abort(pipeline, leg);
}

void exchange_reset(struct pipeline *pipeline, struct client *client)
{
	struct server_leg *leg = client->server;

	if (client->waiter.queued)
		servers_cancel(pipeline->servers, &client->waiter);
	if (!leg)
		return;
	take_back(client);
	if (leg->upstream.state == UPSTREAM_OPEN || leg->upstream.state == UPSTREAM_CHUNKS ||
	    leg->upstream.state == UPSTREAM_IDLE)
		cancel(pipeline, leg);
	else
		server_leg_abort(pipeline, leg);
}

static void server_answered(struct pipeline *pipeline, struct server_leg *leg,
			    const struct upstream_result *result)
{
	struct client *client = leg->client;
	struct session_answer answer = {.code = result->code, .reply = result->reply};
	bool spent = leg->upstream.state == UPSTREAM_FAILED;

	if (!client)
		return;
	if (spent) {
		// The answer stands, but the connection carries no further request.
		take_back(client);
		server_leg_abort(pipeline, leg);
	} else if (leg->upstream.state == UPSTREAM_BODY) {
		answer = begin_message(pipeline, client);
	} else if (client->in_body) {
		// The final reply: this transaction needs the leg no more.
		take_back(client);
		if (leg->upstream.state == UPSTREAM_IDLE)
			give_to_pool(pipeline, leg);
	}
	client_answer(pipeline, client, &answer);
	if (spent && !client->session.suspended)
		session_fail_body(&client->session,
				  &(struct session_answer){.failure = REASON_backend_lost});
	client_pump(pipeline, client);
}

// A pooled connection was dead before MAIL was answered: once, and unseen by the client, MAIL goes
// to a new one (relay rule 7). The server's other pooled ones have been idle for longer: they go,
// too.
static void replace(struct pipeline *pipeline, struct client *client, const struct server_leg *dead)
{
	struct servers_connection *connection;

	while ((connection = servers_take_idle(server_leg_servers(pipeline, dead),
					       dead->upstream.backend, dead->upstream.server)))
		server_leg_quit(pipeline, leg_of(connection));
	client->replaced = true;
	exchange_recipient(pipeline, client);
}

// The leg is of no use any more. What its session is told depends on where it stands.
static void server_gone(struct pipeline *pipeline, struct server_leg *leg, enum reason reason)
{
	struct client *client = leg->client;
	bool again = upstream_replaceable(&leg->upstream);
	struct session_answer answer = {.failure = reason};
	bool in_body = client && client->in_body;

	if (client)
		take_back(client);
	server_leg_abort(pipeline, leg);
	if (!client)
		return;
	if (client->session.suspended) {
		if (again && !client->replaced)
			replace(pipeline, client, leg);
		else
			answer_failure(pipeline, client, reason);
	} else if (in_body || client->session.recipients > 0) {
		// Recipients that this connection had accepted cannot be moved to another one.
		session_fail_body(&client->session, &answer);
		client_pump(pipeline, client);
	}
}

static void server_answered_early(struct pipeline *pipeline, struct server_leg *leg,
				  const struct upstream_result *result)
{
	struct client *client = leg->client;
	struct session_answer answer = {.code = result->code, .reply = result->reply};

	if (client)
		take_back(client);
	chunks_forget(pipeline, leg);
	if (leg->upstream.state == UPSTREAM_FAILED)
		server_leg_abort(pipeline, leg);
	if (!client)
		return;
	// The client's end may have been seen, and only the last chunk not been said.
	if (client->session.suspended)
		client_answer(pipeline, client, &answer);
	else
		session_fail_body(&client->session, &answer);
	client_pump(pipeline, client);
}

// The server took a chunk: the next one may be said, and more be read for it.
static void server_took_chunk(struct pipeline *pipeline, struct server_leg *leg)
{
	chunks_send(pipeline, leg);
	if (leg->client)
		client_pump(pipeline, leg->client);
}

void exchange_result(struct pipeline *pipeline, struct server_leg *leg,
		     const struct upstream_result *result)
{
	switch (result->event) {
	case UPSTREAM_NONE:
	case UPSTREAM_FINISHED:
		break;
	case UPSTREAM_READY:
		if (leg->client)
			say_recipient(pipeline, leg->client);
		else
			give_to_pool(pipeline, leg);
		break;
	case UPSTREAM_ANSWER:
		server_answered(pipeline, leg, result);
		break;
	case UPSTREAM_CHUNK:
		server_took_chunk(pipeline, leg);
		break;
	case UPSTREAM_EARLY:
		server_answered_early(pipeline, leg, result);
		break;
	case UPSTREAM_GONE:
		server_gone(pipeline, leg, result->reason);
		break;
	}
}
