// SPDX-License-Identifier: BSD-3-Clause
//
// The planted faults. Each sits in a wrapper of one product function, which the linker puts before
// it, and does the product's work wrongly while its name is chosen. They hit gates only, never the
// hosts that use the same TCP.

#include "tests/sim/faults.h"

#include "dataplane/pipeline/worker.h"
#include "dataplane/relay/servers_state.h"
#include "dataplane/smtp/decide.h"
#include "dataplane/tcp/flow.h"
#include "tests/sim/gate.h"

#include <stdio.h>
#include <string.h>

#define FAULTS(X)                                                                                  \
	X(ack_off_by_one, "acknowledges one byte more than came")                                  \
	X(no_retransmission_timer, "the retransmission timer does nothing")                        \
	X(no_window_update, "an opened window is not told")                                        \
	X(sack_block_too_long, "the last SACK block ends one byte late")                           \
	X(unbounded_queue, "the send queue has no limit")                                          \
	X(end_of_data_after_reset, "an aborted message is ended as if it were whole")              \
	X(fin_not_repeated, "a lost FIN is not sent again")                                        \
	X(run_taken_twice, "bytes from beyond a gap are delivered twice")                          \
	X(duplicate_delivered, "a segment that came twice is delivered twice")                     \
	X(no_window_probe, "a closed window is never probed")                                      \
	X(no_delayed_ack, "the delayed ACK never comes")                                           \
	X(early_250, "the client gets 250 before the server said it")                              \
	X(chunk_leak, "chunks of a queue that is given up are not given back")                     \
	X(server_not_counted_out, "a closed connection counts against its server for ever")        \
	X(waiters_never_served, "who waits for a server waits for ever")                           \
	X(no_pump_on_writable, "room in the server's queue is not noticed")                        \
	X(time_wait_for_ever, "TIME-WAIT does not end")                                            \
	X(no_back_off, "time-outs do not back off")                                                \
	X(back_off_too_far, "time-outs back off without a limit")                                  \
	X(probed_for_ever, "tail loss probes take the place of time-outs")                         \
	X(kept_alive_too_often, "idle connections are kept alive ten times as often")              \
	X(paws_refuses, "PAWS refuses equal timestamps")                                           \
	X(paws_accepts, "PAWS refuses nothing")                                                    \
	X(cookie_not_checked, "any ACK completes a handshake")                                     \
	X(path_mtu_ignored, "packet too big changes nothing")                                      \
	X(dot_lost, "a dot at the beginning of a piece is lost")                                   \
	X(no_reset_before_pool, "a transaction is left open in the pool")                          \
	X(wrong_server, "a body goes to another client's server")                                  \
	X(syn_ack_not_repeated, "a lost SYN-ACK or ACK is not made good")                          \
	X(timer_left, "a destroyed leg's timer stays armed")                                       \
	X(window_shrinks, "the right edge moves back")                                             \
	X(foreign_relay, "a foreign recipient is passed on")                                       \
	X(data_after_reset, "a flow that the client reset goes on")                                \
	X(message_counted_twice, "a message is counted twice")                                     \
	X(handed_counted_twice, "who hands a frame over counts it as well")                        \
	X(flow_where_received, "a client's flow is whose worker's queue it comes in at")           \
	X(port_of_another, "segments of a server come back to another worker")                     \
	X(shared_count_leaked, "a closed connection counts for the other workers for ever")        \
	X(room_not_given_back, "idle connections are kept though other workers wait")              \
	X(neighbours_not_shown, "neighbours are known to one worker only")                         \
	X(all_answer, "each worker answers who has an address")                                    \
	X(limit_of_each, "MaxConnections is each worker's, not all workers'")                      \
	X(holders_kept, "who is slow keeps a server's connection from those who wait")             \
	X(quick_ones_go, "who is not slow loses a server's connection as well")                    \
	X(generation_not_counted, "a session does not count as using its policy")                  \
	X(generation_kept, "a session that ends goes on counting as using its policy")             \
	X(former_flows_dropped, "what the newest policy does not list is dropped, flows too")      \
	X(servers_forgotten, "a reload forgets connections and waiters of servers")                \
	X(moved_on_in_transaction, "a session's policy is freed when another one holds")           \
	X(banned_go_on, "the sessions of a banned source go on")                                   \
	X(called_early, "who has read the greeting is told to have spoken before it")              \
	X(session_not_given_back, "a closed session counts for its source for ever")               \
	X(session_given_back_twice, "a closed session is taken off its connector twice")           \
	X(limits_not_asked, "no connector has a limit")                                            \
	X(each_stops, "each worker says that the gate stopped")                                    \
	X(chunk_count_short, "BDAT counts one octet too few")                                      \
	X(last_chunk_of_a_part, "an abandoned message's chunk is said to be the last")             \
	X(chunks_pipelined, "chunks are sent to servers that must be waited for")                  \
	X(keywords_made_up, "clients are told of keywords that no server has")                     \
	X(log_goes_back, "each record of the log is older than the one before")

enum fault {
#define X(name, help) FAULT_##name,
	FAULTS(X)
#undef X
		FAULT_NONE,
};

static const char *const names[] = {
#define X(name, help) #name,
	FAULTS(X)
#undef X
};

static enum fault chosen = FAULT_NONE;

bool faults_use(const char *name)
{
	for (unsigned i = 0; i < FAULT_NONE; i++)
		if (strcmp(name, names[i]) == 0) {
			chosen = (enum fault)i;
			return true;
		}
	return false;
}

void faults_list(void)
{
	for (unsigned i = 0; i < FAULT_NONE; i++)
		puts(names[i]);
}

static bool is_gates(const struct tcp *tcp)
{
	struct pipeline *pipeline;

	return gate_of_tcp(tcp, &pipeline) != NULL;
}

static bool planted(const struct tcp *tcp, enum fault fault)
{
	return chosen == fault && is_gates(tcp);
}

// Declares the product's function and its wrapper, which must be of the same type: the linker does
// not look.
#define WRAP(type, name, ...)                                                                      \
	type __real_##name(__VA_ARGS__);                                                           \
	type __wrap_##name(__VA_ARGS__);                                                           \
	_Static_assert(                                                                            \
		__builtin_types_compatible_p(__typeof__(&name), __typeof__(&__wrap_##name)),       \
		#name " has another type");                                                        \
	type __wrap_##name(__VA_ARGS__)

// ---- TCP -------------------------------------------------------------------------------------

WRAP(bool, tcp_output, struct tcp *tcp, struct flow *flow, uint64_t now_us, struct segment *segment)
{
	uint32_t sent = flow->snd_max;
	bool more;

	if (planted(tcp, FAULT_no_window_probe) && (flow->flags & FLOW_PROBE))
		flow->flags &= (uint16_t)~FLOW_PROBE;
	more = __real_tcp_output(tcp, flow, now_us, segment);
	if (!more)
		return false;
	if (planted(tcp, FAULT_ack_off_by_one) && !(segment->flags & (TCP_SYN | TCP_RST)) &&
	    segment->payload_length == 0)
		segment->acknowledgment++;
	if (planted(tcp, FAULT_fin_not_repeated) && segment->flags & TCP_FIN &&
	    sent == segment->sequence + segment->payload_length + 1)
		segment->flags &= (uint8_t)~TCP_FIN;
	if (planted(tcp, FAULT_window_shrinks) && !(segment->flags & TCP_SYN))
		segment->window /= 2;
	return true;
}

WRAP(void, tcp_timeout, struct tcp *tcp, struct flow *flow, uint64_t now_us, unsigned *events)
{
	bool repeats = flow->timer == TIMER_RETRANSMIT && flow->timer_at <= now_us;

	if (planted(tcp, FAULT_no_retransmission_timer) && repeats) {
		flow->timer_at = FLOW_NEVER;
		*events = 0;
		return;
	}
	if (planted(tcp, FAULT_no_delayed_ack))
		flow->delayed_ack_at = FLOW_NEVER;
	if (planted(tcp, FAULT_probed_for_ever) && repeats && flow->scoreboard)
		flow->timer = TIMER_TAIL;
	__real_tcp_timeout(tcp, flow, now_us, events);
	if (!repeats || flow->timer != TIMER_RETRANSMIT)
		return;
	if (planted(tcp, FAULT_no_back_off)) {
		flow->backoff = 0;
		timer_start(flow, TIMER_RETRANSMIT, now_us);
	}
	if (planted(tcp, FAULT_back_off_too_far))
		flow->timer_at = now_us + (1000ull * flow->rto_ms << (4 * flow->backoff));
}

WRAP(void, tcp_settle, struct tcp *tcp, struct flow *flow, uint64_t now_us)
{
	bool owed = flow->flags & FLOW_ACK_NOW || flow->ack_pending >= 2;

	__real_tcp_settle(tcp, flow, now_us);
	if (planted(tcp, FAULT_no_window_update) && !owed)
		flow->flags &= (uint16_t)~FLOW_ACK_NOW;
}

WRAP(uint32_t, out_of_order_blocks, const struct flow *flow, struct sack_block *blocks,
     uint32_t max)
{
	uint32_t count = __real_out_of_order_blocks(flow, blocks, max);

	if (chosen == FAULT_sack_block_too_long && count)
		blocks[count - 1].end++;
	return count;
}

WRAP(void, out_of_order_absorb, struct tcp *tcp, struct flow *flow)
{
	uint32_t before = flow->unread.length;
	uint8_t bytes[CHUNK_BYTES];
	uint32_t added;

	__real_out_of_order_absorb(tcp, flow);
	added = flow->unread.length - before;
	if (!planted(tcp, FAULT_run_taken_twice) || added == 0 || added > sizeof(bytes))
		return;
	chunk_queue_copy(&flow->unread, before, bytes, added);
	chunk_queue_append(&flow->unread, tcp->settings.chunks, slice_of(bytes, added));
}

WRAP(enum reason, tcp_input, struct tcp *tcp, struct flow *flow, const struct view *view,
     uint64_t now_us, unsigned *events)
{
	bool old = view->payload.length &&
		   !seq_after(view->sequence + (uint32_t)view->payload.length, flow->rcv_nxt);
	enum reason reason;

	if (planted(tcp, FAULT_paws_refuses) && flow->flags & FLOW_TIMESTAMPS)
		flow->ts_recent++;
	if (planted(tcp, FAULT_paws_accepts))
		flow->ts_recent_s = (uint32_t)(now_us / 1000000) - 30u * 24 * 3600;
	if (planted(tcp, FAULT_data_after_reset) && view->flags & TCP_RST)
		return REASON_NONE;
	reason = __real_tcp_input(tcp, flow, view, now_us, events);
	if (planted(tcp, FAULT_paws_refuses) && flow->flags & FLOW_TIMESTAMPS &&
	    reason != REASON_NONE)
		flow->ts_recent--;
	if (planted(tcp, FAULT_duplicate_delivered) && old && tcp_can_receive(flow)) {
		chunk_queue_append(&flow->unread, tcp->settings.chunks, view->payload);
		*events |= TCP_EVENT_READABLE;
	}
	if (planted(tcp, FAULT_no_pump_on_writable))
		*events &= ~(unsigned)TCP_EVENT_WRITABLE;
	return reason;
}

WRAP(struct flow *, tcp_connect, struct tcp *tcp, const struct tuple *tuple, uint16_t our_mss,
     uint64_t now_us)
{
	struct tuple wanted = *tuple;
	struct flow *flow;

	if (planted(tcp, FAULT_port_of_another))
		wanted.local_port ^= 1;
	flow = __real_tcp_connect(tcp, &wanted, our_mss, now_us);
	if (flow && planted(tcp, FAULT_unbounded_queue))
		flow->send_limit = 16 << 20;
	return flow;
}

WRAP(void, tcp_advance, struct tcp *tcp, uint64_t now_us)
{
	if (!planted(tcp, FAULT_time_wait_for_ever))
		__real_tcp_advance(tcp, now_us);
}

WRAP(void, tcp_set_keepalive, struct flow *flow, uint32_t interval_ms)
{
	__real_tcp_set_keepalive(flow, chosen == FAULT_kept_alive_too_often ? interval_ms / 10
									    : interval_ms);
}

WRAP(enum reason, tcp_path_mtu, struct tcp *tcp, struct flow *flow, uint32_t sequence, uint32_t mtu)
{
	return planted(tcp, FAULT_path_mtu_ignored) ? REASON_icmp_too_big_unacceptable
						    : __real_tcp_path_mtu(tcp, flow, sequence, mtu);
}

WRAP(void, chunk_queue_clear, struct chunk_queue *queue, struct pool *pool)
{
	if (chosen == FAULT_chunk_leak && queue->length > CHUNK_BYTES)
		chunk_queue_init(queue);
	else
		__real_chunk_queue_clear(queue, pool);
}

// ---- Before a connection -----------------------------------------------------------------------

WRAP(bool, cookie_check, const struct cookie_keys *keys, const struct tuple *tuple,
     uint32_t sequence, uint32_t acknowledgment, const struct tcp_options *options, uint64_t now_us,
     struct handshake *handshake)
{
	if (__real_cookie_check(keys, tuple, sequence, acknowledgment, options, now_us, handshake))
		return true;
	if (chosen != FAULT_cookie_not_checked)
		return false;
	*handshake =
		(struct handshake){.client_isn = sequence - 1,
				   .our_isn = acknowledgment - 1,
				   .options = {.mss = 536, .window_scale = TCP_NO_WINDOW_SCALE}};
	return true;
}

WRAP(const struct half_open_entry *, half_open_expire, struct half_open *half_open, uint64_t now_us)
{
	const struct half_open_entry *entry = __real_half_open_expire(half_open, now_us);

	while (chosen == FAULT_syn_ack_not_repeated && entry)
		entry = __real_half_open_expire(half_open, now_us);
	return entry;
}

WRAP(void, sources_close, struct sources *sources, sources_hold hold)
{
	if (chosen != FAULT_session_not_given_back)
		__real_sources_close(sources, hold);
}

WRAP(void, sources_close_connector, struct sources *sources, uint16_t connector)
{
	__real_sources_close_connector(sources, connector);
	if (chosen == FAULT_session_given_back_twice &&
	    sources_connector_sessions(sources, connector) > 0)
		__real_sources_close_connector(sources, connector);
}

WRAP(bool, sources_open_connector, struct sources *sources, uint16_t connector, uint32_t limit)
{
	if (chosen == FAULT_limits_not_asked)
		limit = SOURCES_UNLIMITED;
	return __real_sources_open_connector(sources, connector, limit);
}

// ---- The pipeline ------------------------------------------------------------------------------

// The server gets the end of data, and its connection closes politely.
static void end_body(struct pipeline *pipeline, struct client *client)
{
	struct server_leg *leg = client->server;

	if (leg->upstream.state == UPSTREAM_CHUNKS)
		tcp_send(pipeline->tcp, leg->leg.flow, slice_of_text("BDAT 0 LAST\r\n"));
	else
		tcp_send(pipeline->tcp, leg->leg.flow, slice_of_text("\r\n.\r\n"));
	client->in_body = false;
	client->server = NULL;
	leg->client = NULL;
	leg->closing = true;
	servers_closed(pipeline->servers, &leg->connection);
	leg->upstream.deadline_us = pipeline->now.now_us + 10000000;
	send_mark_dirty(pipeline, &leg->leg);
}

WRAP(void, exchange_abort, struct pipeline *pipeline, struct client *client)
{
	if (chosen == FAULT_last_chunk_of_a_part && client->server && client->in_body &&
	    client->server->upstream.state == UPSTREAM_CHUNKS) {
		client->server->ending = true;
		chunks_send(pipeline, client->server);
		client->server->client = NULL;
		client->server = NULL;
		client->in_body = false;
	}
	if (chosen == FAULT_end_of_data_after_reset && client->server && client->in_body)
		end_body(pipeline, client);
	__real_exchange_abort(pipeline, client);
}

WRAP(void, exchange_end, struct pipeline *pipeline, struct client *client)
{
	static const struct session_answer good = {.code = 250};
	struct session_answer answer = good;

	__real_exchange_end(pipeline, client);
	if (chosen != FAULT_early_250 || !client->session.suspended || !client->server)
		return;
	answer.reply = slice_of_text("250 2.0.0 ok\r\n");
	client->server->client = NULL;
	client->server = NULL;
	client->in_body = false;
	client_answer(pipeline, client, &answer);
}

// Another client whose body is on its way.
static struct client *other_in_body(const struct pipeline *pipeline, const struct client *client)
{
	struct client *other;

	for (unsigned i = 0; i < 2 * CLIENT_RANKS; i++)
		TAILQ_FOREACH(other, &pipeline->ranks[i / 2][i % 2], in_rank)
	if (other != client && other->in_body && other->server)
		return other;
	return NULL;
}

WRAP(void, exchange_body, struct pipeline *pipeline, struct client *client,
     const struct slice body[SESSION_BODY_PIECES])
{
	struct client *other = other_in_body(pipeline, client);
	struct slice wrong[SESSION_BODY_PIECES];
	size_t length = 0;

	memcpy(wrong, body, sizeof(wrong));
	for (unsigned i = 0; i < SESSION_BODY_PIECES; i++) {
		length += body[i].length;
		if (chosen == FAULT_dot_lost && wrong[i].length && wrong[i].data[0] == '.')
			wrong[i] = slice_from(wrong[i], 1);
	}
	if (chosen == FAULT_wrong_server && other && client->in_body &&
	    exchange_body_room(pipeline, other) >= length) {
		for (unsigned i = 0; i < SESSION_BODY_PIECES; i++)
			if (other->server->upstream.state == UPSTREAM_CHUNKS)
				chunks_stage(pipeline, other->server, body[i]);
			else
				tcp_send(pipeline->tcp, other->server->leg.flow, body[i]);
		send_mark_dirty(pipeline, &other->server->leg);
		return;
	}
	__real_exchange_body(pipeline, client, wrong);
}

WRAP(void, count_step, struct pipeline *pipeline, struct client *client,
     const struct session_step *step)
{
	__real_count_step(pipeline, client, step);
	if (chosen == FAULT_message_counted_twice && step->code == 250 &&
	    strcmp(step->verb, "BODY") == 0)
		__real_count_step(pipeline, client, step);
}

WRAP(void, log_write, struct pipeline *pipeline, const struct log_entry *entry)
{
	struct tick now = pipeline->now;

	if (chosen == FAULT_log_goes_back)
		pipeline->now.wall_us = -pipeline->now.wall_us;
	__real_log_write(pipeline, entry);
	pipeline->now = now;
}

WRAP(void, wheel_cancel, struct wheel *wheel, struct wheel_timer *timer)
{
	static struct wheel_timer left;

	__real_wheel_cancel(wheel, timer);
	if (chosen == FAULT_timer_left) {
		wheel_timer_init(&left);
		wheel_arm(wheel, &left, UINT64_MAX / 2);
	}
}

// ---- Other workers -----------------------------------------------------------------------------

WRAP(enum reason, others_take, struct pipeline *pipeline, const struct tuple *tuple, uint16_t port,
     unsigned index)
{
	enum reason reason = __real_others_take(pipeline, tuple, port, index);

	if (chosen == FAULT_handed_counted_twice && reason == REASON_NONE)
		pipeline->counters.ports[port]->frames_accepted++;
	return reason;
}

WRAP(bool, others_own, const struct pipeline *pipeline, const struct tuple *tuple)
{
	return !(chosen == FAULT_flow_where_received && tuple->local_port == 25) &&
	       __real_others_own(pipeline, tuple);
}

WRAP(enum reason, others_learn, struct pipeline *pipeline, const struct view *view, unsigned index,
     enum reason reason)
{
	return chosen == FAULT_neighbours_not_shown
		       ? reason
		       : __real_others_learn(pipeline, view, index, reason);
}

WRAP(void, pipeline_stop, struct pipeline *pipeline, struct tick now)
{
	__real_pipeline_stop(pipeline, now);
	if (chosen == FAULT_each_stops && pipeline->worker != 0)
		count_reason(pipeline, REASON_gate_stopped);
}

WRAP(void, net_silence, struct net *net)
{
	if (chosen != FAULT_all_answer)
		__real_net_silence(net);
}

// ---- The backend's side ------------------------------------------------------------------------

static struct server *server_of(struct servers *servers,
				const struct servers_connection *connection)
{
	return servers_state_server(servers, connection->backend, connection->server);
}

WRAP(void, servers_closed, struct servers *servers, struct servers_connection *connection)
{
	if (chosen == FAULT_server_not_counted_out && connection->bound && !connection->pooled)
		return;
	if (chosen == FAULT_shared_count_leaked && connection->bound && !servers->own)
		atomic_fetch_add(&server_of(servers, connection)->shared->connections, 1);
	__real_servers_closed(servers, connection);
}

// Those that are due for their own sake go.
WRAP(struct servers_connection *, servers_next_idle, struct servers *servers, uint64_t now_us)
{
	struct servers_connection *connection = __real_servers_next_idle(servers, now_us);

	if (chosen != FAULT_room_not_given_back || !connection ||
	    connection->idle_deadline_us <= now_us)
		return connection;
	servers_return(servers, connection, now_us);
	return NULL;
}

// Takes the other workers' connections out of what all share, and puts them back.
static void hide_others(struct servers *servers, bool hide)
{
	static unsigned hidden[2];

	for (unsigned i = 0; chosen == FAULT_limit_of_each && i < servers->total; i++) {
		struct server *server = &servers->all[i];

		if (hide)
			hidden[i] = server->shared->connections - server->connections;
		server->shared->connections += hide ? -hidden[i] : hidden[i];
	}
}

WRAP(struct servers_waiter *, servers_next_waiter, struct servers *servers, uint64_t now_us,
     enum servers_choice *choice, struct servers_connection **connection, unsigned *server)
{
	struct servers_waiter *waiter = NULL;

	hide_others(servers, true);
	if (chosen != FAULT_waiters_never_served)
		waiter = __real_servers_next_waiter(servers, now_us, choice, connection, server);
	hide_others(servers, false);
	return waiter;
}

WRAP(enum servers_choice, servers_request, struct servers *servers, unsigned backend,
     struct servers_waiter *waiter, uint64_t now_us, struct servers_connection **connection,
     unsigned *server)
{
	enum servers_choice choice;

	hide_others(servers, true);
	choice = __real_servers_request(servers, backend, waiter, now_us, connection, server);
	hide_others(servers, false);
	return choice;
}

WRAP(unsigned, servers_extensions, const struct servers *servers, unsigned backend)
{
	unsigned extensions = __real_servers_extensions(servers, backend);

	return chosen == FAULT_keywords_made_up && extensions
		       ? extensions | SMTP_EXTENSION_BINARYMIME | SMTP_EXTENSION_CHUNKING
		       : extensions;
}

WRAP(bool, upstream_reset, struct upstream *upstream, const struct policy *policy, uint64_t now_us,
     struct upstream_commands *commands)
{
	if (chosen != FAULT_no_reset_before_pool || upstream->state != UPSTREAM_OPEN)
		return __real_upstream_reset(upstream, policy, now_us, commands);
	upstream->state = UPSTREAM_IDLE;
	upstream->deadline_us = UINT64_MAX;
	return false;
}

WRAP(bool, upstream_chunk_allowed, const struct upstream *upstream, bool last)
{
	if (chosen == FAULT_chunks_pipelined && upstream->state == UPSTREAM_CHUNKS && !last)
		return upstream->unanswered < 100;
	return __real_upstream_chunk_allowed(upstream, last);
}

WRAP(void, upstream_chunk, struct upstream *upstream, const struct policy *policy, size_t octets,
     bool last, uint64_t now_us, struct upstream_commands *commands)
{
	uint8_t unanswered = chosen == FAULT_chunks_pipelined ? upstream->unanswered : 0;

	if (chosen == FAULT_chunk_count_short && octets > 0)
		octets--;
	upstream->unanswered -= unanswered;
	__real_upstream_chunk(upstream, policy, octets, last, now_us, commands);
	upstream->unanswered += unanswered;
}

WRAP(bool, tcp_all_acknowledged, const struct flow *flow)
{
	return chosen != FAULT_called_early && __real_tcp_all_acknowledged(flow);
}

WRAP(enum reason, decide_recipient, const struct policy *policy, const struct connector *connector,
     unsigned identities, const struct path *path, uint32_t already)
{
	enum reason reason = __real_decide_recipient(policy, connector, identities, path, already);

	return chosen == FAULT_foreign_relay && reason == REASON_smtp_unable_to_relay ? REASON_NONE
										      : reason;
}

WRAP(void, generation_enter, struct pipeline *pipeline, struct generation *generation)
{
	if (chosen != FAULT_generation_not_counted)
		__real_generation_enter(pipeline, generation);
}

WRAP(void, generation_leave, struct pipeline *pipeline, struct generation *generation)
{
	if (chosen != FAULT_generation_kept)
		__real_generation_leave(pipeline, generation);
}

WRAP(bool, generation_former_anywhere, const struct pipeline *pipeline)
{
	return chosen != FAULT_former_flows_dropped && __real_generation_former_anywhere(pipeline);
}

WRAP(void, servers_adopt, struct servers *servers, struct servers *old, struct random *random)
{
	if (chosen == FAULT_servers_forgotten)
		servers_set_random(servers, random);
	else
		__real_servers_adopt(servers, old, random);
}

WRAP(bool, generation_unused, const struct generation *generation)
{
	return chosen == FAULT_moved_on_in_transaction || __real_generation_unused(generation);
}

WRAP(uint64_t, holder_relieve, struct pipeline *pipeline)
{
	return chosen == FAULT_holders_kept ? UINT64_MAX : __real_holder_relieve(pipeline);
}

WRAP(bool, pace_measure, const struct pace *pace, uint64_t now_us, uint64_t *amount)
{
	bool over = __real_pace_measure(pace, now_us, amount);

	if (chosen == FAULT_quick_ones_go)
		*amount = 0;
	return over || chosen == FAULT_quick_ones_go;
}

WRAP(bool, session_in_message, const struct session *session)
{
	return chosen == FAULT_banned_go_on || __real_session_in_message(session);
}
