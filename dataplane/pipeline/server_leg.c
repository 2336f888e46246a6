// SPDX-License-Identifier: BSD-3-Clause
//
// A connection to a backend server: its flow and its upstream. Opens them, moves bytes between
// them, closes them politely (QUIT, FIN) or not (RST). Owns server legs from server_leg_create to
// server_leg_destroy. What the server's answers mean for a session is exchange.c's.

#include "dataplane/base/spread.h"
#include "dataplane/pipeline/worker.h"

// Local ports towards backends (RFC 6056 3.2: random within a wide range).
#define LOCAL_PORT_FIRST 10000u
#define LOCAL_PORT_COUNT (65536u - LOCAL_PORT_FIRST)
// Tries for each worker: with 95 of 100 ports taken, one search in 700 finds none.
#define PORT_TRIES 128
// How long a connection that said QUIT may take to close.
#define CLOSING_TIMEOUT_US (5ull * 1000 * 1000)

const struct policy *server_leg_policy(const struct server_leg *leg)
{
	return leg->generation->policy;
}

struct servers *server_leg_servers(const struct pipeline *pipeline, const struct server_leg *leg)
{
	return leg->generation->shares[pipeline->share].servers;
}

struct endpoint server_leg_endpoint(const struct pipeline *pipeline, const struct server_leg *leg)
{
	const struct backend *backend = &server_leg_policy(leg)->backends[leg->upstream.backend];

	return backend->servers[leg->upstream.server];
}

// A free local port whose segments come back to this worker: random ones are tried, so that it
// takes as many tries as there are workers while most are free. False when none of so many was.
static bool choose_port(struct pipeline *pipeline, struct tuple *tuple)
{
	unsigned workers = pipeline->spread ? pipeline->spread->workers : 1;

	for (unsigned i = 0; i < PORT_TRIES * workers; i++) {
		tuple->local_port = (uint16_t)(LOCAL_PORT_FIRST +
					       random_below(&pipeline->random, LOCAL_PORT_COUNT));
		if (!others_own(pipeline, tuple) && tcp_tuple_free(pipeline->tcp, tuple))
			return true;
	}
	return false;
}

static enum reason open_flow(struct pipeline *pipeline, struct server_leg *leg)
{
	struct endpoint server = server_leg_endpoint(pipeline, leg);
	struct tuple tuple = {.remote = server.address, .remote_port = server.port};
	uint16_t mtu;

	// The source address is known before the next hop answers; the flow's SYN waits for it.
	if (net_next_hop(pipeline->net, &server.address, pipeline->now, &pipeline->outbox,
			 &leg->leg.link, &tuple.local) == NEXT_HOP_UNREACHABLE)
		return REASON_neighbour_unresolved;
	if (!choose_port(pipeline, &tuple))
		return REASON_ports_full;
	assert(!others_own(pipeline, &tuple)); // as in client_create
	mtu = pipeline->policy->ports[leg->leg.link.port].mtu;
	leg->leg.flow = tcp_connect(pipeline->tcp, &tuple,
				    (uint16_t)(mtu - (address_is_ipv4(&tuple.remote) ? 40 : 60)),
				    pipeline->now.now_us);
	return leg->leg.flow ? REASON_NONE : REASON_flows_full;
}

// The attempt failed before there was a connection: the books are balanced, the event told.
static void not_opened(struct pipeline *pipeline, unsigned backend, unsigned server, bool probe,
		       enum reason reason)
{
	bool servers_fault = reason == REASON_neighbour_unresolved;
	enum reason change = REASON_NONE;

	count_reason(pipeline, reason);
	if (probe && servers_fault)
		change = servers_probed(pipeline->servers, backend, server, false, 0, 0,
					pipeline->now.now_us);
	else if (probe)
		servers_probe_postponed(pipeline->servers, backend, server, pipeline->now.now_us);
	else if (servers_fault)
		change = servers_connect_failed(pipeline->servers, backend, server,
						pipeline->now.now_us);
	else
		servers_abandoned(pipeline->servers, backend, server);
	server_leg_tell_health(pipeline, &pipeline->policy->backends[backend].servers[server],
			       change);
}

enum reason server_leg_create(struct pipeline *pipeline, unsigned backend, unsigned server,
			      bool probe, struct server_leg **out)
{
	struct server_leg *leg = pool_get(&pipeline->servers_pool);
	enum reason reason = REASON_flows_full;

	if (leg) {
		memset(leg, 0, sizeof(*leg));
		leg->leg.kind = LEG_SERVER;
		leg->generation = pipeline->generation;
		wheel_timer_init(&leg->leg.timer);
		chunk_queue_init(&leg->staged);
		upstream_init(&leg->upstream, pipeline->policy, backend, server, probe,
			      pipeline->now.now_us);
		reason = open_flow(pipeline, leg);
		if (reason != REASON_NONE)
			pool_put(&pipeline->servers_pool, leg);
	}
	if (reason != REASON_NONE) {
		not_opened(pipeline, backend, server, probe, reason);
		return reason;
	}
	if (!probe)
		servers_opened(pipeline->servers, &leg->connection, backend, server);
	tcp_set_user(leg->leg.flow, &leg->leg);
	generation_enter(pipeline, leg->generation);
	TAILQ_INSERT_TAIL(&pipeline->server_legs, leg, in_all);
	pipeline->server_count++;
	if (probe) {
		leg->next_probe = pipeline->first_probe;
		pipeline->first_probe = leg;
	}
	send_mark_dirty(pipeline, &leg->leg);
	*out = leg;
	return REASON_NONE;
}

// It counts no longer against its server; idempotent.
static void leave_server(struct pipeline *pipeline, struct server_leg *leg)
{
	if (!leg->upstream.probe && !leg->closing)
		servers_closed(server_leg_servers(pipeline, leg), &leg->connection);
	leg->closing = true;
}

static void forget_probe(struct pipeline *pipeline, const struct server_leg *leg)
{
	struct server_leg **link = &pipeline->first_probe;

	while (*link != leg)
		link = &(*link)->next_probe;
	*link = leg->next_probe;
}

void server_leg_destroy(struct pipeline *pipeline, struct server_leg *leg)
{
	leave_server(pipeline, leg);
	chunks_forget(pipeline, leg);
	wheel_cancel(pipeline->wheel, &leg->leg.timer);
	tcp_release(pipeline->tcp, leg->leg.flow, pipeline->now.now_us);
	pipeline->server_count--;
	if (leg->upstream.probe)
		forget_probe(pipeline, leg);
	TAILQ_REMOVE(&pipeline->server_legs, leg, in_all);
	generation_leave(pipeline, leg->generation);
	pool_put(&pipeline->servers_pool, leg);
}

void server_leg_abort(struct pipeline *pipeline, struct server_leg *leg)
{
	if (leg->leg.doomed)
		return;
	leave_server(pipeline, leg);
	send_leg_reset(pipeline, &leg->leg);
	leg->leg.doomed = true;
	send_mark_dirty(pipeline, &leg->leg);
}

static void close_flow(struct pipeline *pipeline, struct server_leg *leg)
{
	leave_server(pipeline, leg);
	leg->upstream.deadline_us = pipeline->now.now_us + CLOSING_TIMEOUT_US;
	tcp_close(pipeline->tcp, leg->leg.flow);
	send_mark_dirty(pipeline, &leg->leg);
}

void server_leg_quit(struct pipeline *pipeline, struct server_leg *leg)
{
	leave_server(pipeline, leg);
	upstream_quit(&leg->upstream, server_leg_policy(leg), pipeline->now.now_us,
		      &pipeline->commands);
	server_leg_say(pipeline, leg);
}

void server_leg_tell_health(struct pipeline *pipeline, const struct endpoint *server,
			    enum reason change)
{
	if (change == REASON_NONE)
		return;
	count_reason(pipeline, change);
	log_write(pipeline, &(struct log_entry){.reason = change, .source = *server});
}

// What the connection failed of, if it did. An answer may be its last word: 421, or one with bytes
// behind it that nobody asked for.
static enum reason failure_of(const struct upstream *upstream, const struct upstream_result *result)
{
	bool last_word = (result->event == UPSTREAM_ANSWER || result->event == UPSTREAM_EARLY) &&
			 upstream->state == UPSTREAM_FAILED;

	if (result->event == UPSTREAM_GONE)
		return result->reason;
	if (last_word && result->code == 421)
		return REASON_backend_lost;
	return last_word ? upstream->failure : REASON_NONE;
}

// What the outcome says about the server's health; a failure is counted and told.
static void judge_health(struct pipeline *pipeline, struct server_leg *leg,
			 enum upstream_state before, const struct upstream_result *result)
{
	struct upstream *upstream = &leg->upstream;
	struct servers *servers = server_leg_servers(pipeline, leg);
	struct endpoint server = server_leg_endpoint(pipeline, leg);
	bool alive = result->event == UPSTREAM_FINISHED;
	enum reason failure = failure_of(upstream, result);
	enum reason change = REASON_NONE;

	if (upstream->probe && (alive || result->event == UPSTREAM_GONE))
		change = servers_probed(servers, upstream->backend, upstream->server, alive,
					upstream->extensions, upstream->server_size,
					pipeline->now.now_us);
	else if (result->event == UPSTREAM_GONE && before <= UPSTREAM_HELLO)
		change = servers_failed(servers, upstream->backend, upstream->server);
	if (failure != REASON_NONE) {
		count_reason(pipeline, failure);
		log_write(pipeline,
			  &(struct log_entry){
				  .reason = failure,
				  .source = server,
				  .connector = leg->client
						       ? leg->client->session.peer.connector->name
						       : NULL});
	}
	server_leg_tell_health(pipeline, &server, change);
}

// False when buffers ended in them.
bool server_leg_queue(struct pipeline *pipeline, struct server_leg *leg)
{
	struct slice commands = slice_of(pipeline->commands.text, pipeline->commands.length);

	pipeline->commands.length = 0;
	send_mark_dirty(pipeline, &leg->leg);
	return tcp_send(pipeline->tcp, leg->leg.flow, commands) == commands.length;
}

// Half a command would be another command: a connection that could not say one cannot go on. It is
// no fault of the server's, whose health stays as it was.
void server_leg_give_up(struct pipeline *pipeline, struct server_leg *leg)
{
	struct upstream *upstream = &leg->upstream;
	enum upstream_state before = upstream->state;
	struct upstream_result result;

	count_reason(pipeline, REASON_buffers_low);
	if (leg->leg.doomed)
		return;
	upstream_lost(upstream, &result);
	if (result.event == UPSTREAM_FINISHED) // what a probe had to learn was heard before QUIT
		judge_health(pipeline, leg, before, &result);
	else if (upstream->probe)
		servers_probe_postponed(server_leg_servers(pipeline, leg), upstream->backend,
					upstream->server, pipeline->now.now_us);
	result.reason = REASON_buffers_low;
	exchange_result(pipeline, leg, &result);
	server_leg_abort(pipeline, leg);
}

void server_leg_say(struct pipeline *pipeline, struct server_leg *leg)
{
	if (!server_leg_queue(pipeline, leg))
		server_leg_give_up(pipeline, leg);
}

static void handle(struct pipeline *pipeline, struct server_leg *leg, enum upstream_state before,
		   const struct upstream_result *result)
{
	judge_health(pipeline, leg, before, result);
	exchange_result(pipeline, leg, result);
	if (result->event == UPSTREAM_FINISHED)
		close_flow(pipeline, leg);
}

// The flow is gone, or its peer will say no more.
static void lost(struct pipeline *pipeline, struct server_leg *leg)
{
	enum upstream_state before = leg->upstream.state;
	struct upstream_result result = {0};

	if (leg->leg.doomed)
		return;
	if (leg->closing && before != UPSTREAM_QUITTING) {
		close_flow(pipeline, leg);
		return;
	}
	upstream_lost(&leg->upstream, &result);
	handle(pipeline, leg, before, &result);
}

size_t server_leg_hear(struct pipeline *pipeline, struct server_leg *leg, struct slice in)
{
	enum upstream_state before = leg->upstream.state;
	struct upstream_result result = {0};
	bool said = true;

	upstream_acknowledged(&leg->upstream, tcp_all_acknowledged(leg->leg.flow));
	upstream_input(&leg->upstream, server_leg_policy(leg), pipeline->policy->gate.name, in,
		       pipeline->now.now_us, &pipeline->commands, &result);
	// Before anything else is asked of this leg: what was heard is used up.
	tcp_consume(pipeline->tcp, leg->leg.flow, result.consumed);
	if (pipeline->commands.length)
		said = server_leg_queue(pipeline, leg);
	// What was heard stands, also when nothing more can be said: it may be the final answer.
	handle(pipeline, leg, before, &result);
	if (!said)
		server_leg_give_up(pipeline, leg);
	return result.consumed;
}

static bool turn(struct pipeline *pipeline, struct server_leg *leg)
{
	struct slice in = tcp_received(leg->leg.flow);

	if (in.length == 0 || leg->leg.doomed)
		return false;
	if (leg->closing && leg->upstream.state != UPSTREAM_QUITTING) {
		tcp_consume(pipeline->tcp, leg->leg.flow, in.length);
		return true;
	}
	return server_leg_hear(pipeline, leg, in) > 0;
}

void server_leg_pump(struct pipeline *pipeline, struct server_leg *leg)
{
	while (turn(pipeline, leg))
		;
	if (leg->leg.doomed)
		return;
	tcp_settle(pipeline->tcp, leg->leg.flow, pipeline->now.now_us);
	send_mark_dirty(pipeline, &leg->leg);
}

void server_leg_events(struct pipeline *pipeline, struct server_leg *leg, unsigned events)
{
	if (leg->leg.doomed)
		return;
	if (events & TCP_EVENT_ESTABLISHED)
		upstream_connected(&leg->upstream, server_leg_policy(leg), pipeline->now.now_us);
	server_leg_pump(pipeline, leg);
	if (!leg->leg.doomed && events & TCP_EVENT_WRITABLE && leg->client &&
	    leg->client->in_body) {
		upstream_progress(&leg->upstream, server_leg_policy(leg), pipeline->now.now_us);
		client_pump(pipeline, leg->client);
	}
	if (!leg->leg.doomed && events & TCP_EVENT_PEER_CLOSED)
		lost(pipeline, leg);
	if (leg->leg.doomed ||
	    !(events & (TCP_EVENT_CLOSED | TCP_EVENT_RESET | TCP_EVENT_TIMED_OUT)))
		return;
	if (!leg->closing || leg->upstream.state == UPSTREAM_QUITTING)
		lost(pipeline, leg);
	leave_server(pipeline, leg);
	leg->leg.doomed = true;
	send_mark_dirty(pipeline, &leg->leg);
}

uint64_t server_leg_deadline(const struct server_leg *leg)
{
	uint64_t deadline = tcp_deadline(leg->leg.flow);
	uint64_t staged = chunks_deadline(leg);

	deadline = staged < deadline ? staged : deadline;
	return deadline < leg->upstream.deadline_us ? deadline : leg->upstream.deadline_us;
}

// A pooled connection fails nobody when its server falls silent: this is all that tells of it.
static void tell_silence(struct pipeline *pipeline, const struct server_leg *leg)
{
	count_reason(pipeline, REASON_retransmit_exhausted);
	log_write(pipeline, &(struct log_entry){.reason = REASON_retransmit_exhausted,
						.source = server_leg_endpoint(pipeline, leg)});
}

void server_leg_timeout(struct pipeline *pipeline, struct server_leg *leg)
{
	enum upstream_state before = leg->upstream.state;
	struct upstream_result result = {0};
	unsigned events = 0;

	tcp_timeout(pipeline->tcp, leg->leg.flow, pipeline->now.now_us, &events);
	if ((events & TCP_EVENT_TIMED_OUT) && leg->connection.pooled)
		tell_silence(pipeline, leg);
	server_leg_events(pipeline, leg, events);
	if (!leg->leg.doomed)
		chunks_send(pipeline, leg);
	if (leg->leg.doomed || leg->upstream.deadline_us > pipeline->now.now_us)
		return;
	if (leg->closing) {
		server_leg_abort(pipeline, leg);
		return;
	}
	// A body whose every byte was taken waits for the client, who has a limit of its own.
	if (before == UPSTREAM_BODY && tcp_all_acknowledged(leg->leg.flow)) {
		upstream_progress(&leg->upstream, server_leg_policy(leg), pipeline->now.now_us);
		return;
	}
	upstream_timeout(&leg->upstream, &result);
	handle(pipeline, leg, before, &result);
}

void server_leg_probes(struct pipeline *pipeline)
{
	struct server_leg *leg;
	unsigned backend, server;

	while (!pipeline->draining &&
	       servers_next_probe(pipeline->servers, pipeline->now.now_us, &backend, &server))
		server_leg_create(pipeline, backend, server, true, &leg);
}

void server_leg_abort_probes(struct pipeline *pipeline)
{
	for (struct server_leg *leg = pipeline->first_probe; leg; leg = leg->next_probe)
		server_leg_abort(pipeline, leg);
}
