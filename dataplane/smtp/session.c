// SPDX-License-Identifier: BSD-3-Clause
//
// The session's life: opening, input line by line or body piece by piece, timers, drain and the
// end. What a command does is in command.c, whether it may in decide.c, what the backend's answer
// does in answer.c. Owns the transitions between states; does not count, log, or keep time.
#include "dataplane/smtp/session.h"
#include "dataplane/smtp/body.h"
#include "dataplane/smtp/chunking.h"
#include "dataplane/smtp/command.h"
#include "dataplane/smtp/date.h"
#include "dataplane/smtp/decide.h"
#include "dataplane/smtp/scan.h"

#include <assert.h>
#include <stddef.h>

#define TO(state) (1u << SESSION_STATE_##state)

// The states that may follow each one; a transition that is not listed is a fault of ours.
static const uint16_t transitions[] = {
	[SESSION_STATE_GREETED] = TO(READY) | TO(CLOSED),
	[SESSION_STATE_READY] = TO(READY) | TO(MAIL) | TO(CLOSED),
	[SESSION_STATE_MAIL] = TO(READY) | TO(RCPT) | TO(CLOSED),
	[SESSION_STATE_RCPT] = TO(READY) | TO(RCPT) | TO(CHUNKS) | TO(BODY) | TO(CLOSED),
	[SESSION_STATE_CHUNKS] = TO(READY) | TO(CLOSED),
	[SESSION_STATE_BODY] = TO(READY) | TO(DISCARD) | TO(CLOSED),
	[SESSION_STATE_DISCARD] = TO(READY) | TO(CLOSED),
	[SESSION_STATE_CLOSED] = 0,
};

void session_enter(struct session *session, enum session_state state)
{
	assert(transitions[session->state] & 1u << state);
	session->state = state;
}

bool session_transaction_open(const struct session *session)
{
	return session->state >= SESSION_STATE_MAIL && session->state <= SESSION_STATE_DISCARD;
}

static void forget_texts(struct session *session)
{
	session->sender_length = 0;
	chunk_queue_clear(&session->sender, session->chunks);
	chunk_queue_clear(&session->recipient, session->chunks);
	chunk_queue_clear(&session->early, session->chunks);
}

void session_end_transaction(struct session *session)
{
	forget_texts(session);
	session->declared_size = 0;
	session->recipients = 0;
	session->recipients_asked = 0;
	session->needed = 0;
	session->trusted = false;
	session->behind_refusal = false;
	session->failure = REASON_NONE;
	session->rejected = REASON_NONE;
	session_enter(session, SESSION_STATE_READY);
}

static enum reply_dialect dialect(const struct session *session)
{
	return session->peer.policy->gate.dialect;
}

void turn_reply(struct turn *turn, enum reply_id id, const char *const values[])
{
	reply_add(turn->reply, dialect(turn->session), id, values);
	turn->step->code = (uint16_t)reply_id_code(id);
}

void turn_refuse_uncounted(struct turn *turn, enum reply_id id, enum reason reason,
			   struct slice detail)
{
	turn_reply(turn, id, NULL);
	turn->step->reason = reason;
	if (detail.length)
		turn->step->detail = reply_set_detail(turn->reply, line_without_secrets(detail));
}

void turn_refuse(struct turn *turn, enum reply_id id, enum reason reason, struct slice detail)
{
	struct session *session = turn->session;
	const bool error = reply_id_code(id) / 10 == 50;
	if (error && session->protocol_errors < UINT32_MAX)
		session->protocol_errors++;
	if (error && session->protocol_errors > session->peer.connector->max_protocol_errors) {
		turn_refuse_uncounted(turn, REPLY_too_many_errors, REASON_smtp_too_many_errors,
				      detail);
		turn_close(turn);
		return;
	}
	turn_refuse_uncounted(turn, id, reason, detail);
}

void turn_close(struct turn *turn)
{
	struct session *session = turn->session;
	if (session_transaction_open(session))
		turn->step->transaction_ended_by_client = true;
	session->suspended = false;
	session_enter(session, SESSION_STATE_CLOSED);
	turn->step->intent = SESSION_CLOSE;
}

// A refusal after which the session closes.
static void refuse_and_close(struct turn *turn, enum reason reason, struct slice detail)
{
	turn_refuse_uncounted(turn, reply_of_reason(reason), reason, detail);
	turn_close(turn);
}

void turn_suspend(struct turn *turn, enum session_intent intent)
{
	turn->session->suspended = true;
	turn->session->pending = intent;
	turn->step->intent = intent;
}

void turn_begin(struct turn *turn)
{
	memset(turn->step, 0, sizeof(*turn->step));
	reply_clear(turn->reply);
}

void turn_progress(struct turn *turn)
{
	turn->session->progressed = true;
}

bool session_take_progress(struct session *session)
{
	const bool progressed = session->progressed;

	session->progressed = false;
	return progressed;
}

void session_open(struct session *session, const struct session_peer *peer, struct pool *chunks,
		  struct tick now, struct reply_buffer *reply)
{
	memset(session, 0, sizeof(*session));
	session->peer = *peer;
	session->chunks = chunks;
	session->state = SESSION_STATE_GREETED;
	session->opened_us = session->input_us = now.now_us;
	line_init(&session->line);
	chunk_queue_init(&session->sender);
	chunk_queue_init(&session->recipient);
	chunk_queue_init(&session->early);
	chunk_queue_init(&session->long_hello);

	session_greet(session, now, reply);
}

void session_greet(struct session *session, struct tick now, struct reply_buffer *reply)
{
	const struct connector *connector = session->peer.connector;
	char date[DATE_TEXT_MAX];
	reply_clear(reply);
	if (connector->banner)
		reply_add(reply, dialect(session), REPLY_banner_configured,
			  (const char *[]){connector->banner});
	else
		reply_add(reply, dialect(session), REPLY_banner,
			  (const char *[]){connector->fqdn, date_format(now.wall_us, date)});
}

void session_close(struct session *session)
{
	line_clear(&session->line, session->chunks);
	chunk_queue_clear(&session->long_hello, session->chunks);
	forget_texts(session);
	session->suspended = false;
	session->state = SESSION_STATE_CLOSED;
}

static void input_command(struct turn *turn, struct slice in)
{
	struct session *session = turn->session;
	struct line_scan *scan = &turn->reply->line;
	const enum line_result result = line_input(&session->line, session->chunks, in, scan);
	turn->step->consumed = scan->consumed;
	turn->step->intent = SESSION_NEXT;
	if (result != LINE_PARTIAL)
		turn->step->line = scan->text;
	switch (result) {
	case LINE_PARTIAL:
		turn->step->intent = SESSION_MORE;
		break;
	case LINE_WHOLE:
		command_execute(turn, scan->text);
		break;
	case LINE_TOO_LONG:
		turn_refuse(turn, REPLY_line_too_long, REASON_smtp_line_too_long, scan->text);
		break;
	case LINE_NO_BUFFER:
		turn_refuse(turn, REPLY_insufficient_resources, REASON_buffers_low, scan->text);
		break;
	case LINE_BAD_ENDING:
		refuse_and_close(turn, REASON_smtp_bad_line_ending, scan->text);
		break;
	case LINE_FOREIGN:
		refuse_and_close(turn, REASON_smtp_not_smtp, scan->text);
		break;
	}
}

void turn_reply_early(struct turn *turn)
{
	struct session *session = turn->session;
	uint8_t text[REPLY_MAX];
	chunk_queue_copy(&session->early, 0, text, session->early.length);
	reply_set(turn->reply, slice_of(text, session->early.length));
	chunk_queue_clear(&session->early, session->chunks);
	turn->step->code = (uint16_t)reply_code(turn->reply);
	turn->step->reason = session->rejected;
	turn->step->detail = reply_set_detail(turn->reply, reply_bytes(turn->reply));
}

// The end of a body that was read only to be refused.
static void answer_discarded(struct turn *turn)
{
	struct session *session = turn->session;
	if (session->early.length > 0) {
		turn_reply_early(turn);
	} else {
		turn_refuse(turn, reply_of_reason(session->rejected), session->rejected,
			    slice_of_text(""));
	}
	session_end_transaction(session);
	turn->step->intent = SESSION_RESET;
}

// The message is refused, but the client reads that only when it has sent all of it.
static void discard(struct turn *turn, enum reason reason)
{
	turn->session->rejected = reason;
	session_enter(turn->session, SESSION_STATE_DISCARD);
	turn->step->intent = SESSION_ABORT;
}

void session_begin_body(struct session *session, enum session_state state, bool chunked)
{
	session->chunked = chunked;
	session->message_octets = 0;
	session->sender_length = 0; // no server is asked about it any more
	body_init(&session->body_state);
	header_init(&session->header,
		    connector_rights(session->peer.connector, session->peer.identities));
	session_enter(session, state);
}

enum reason session_pass_body(struct turn *turn, const struct body_scan *scan)
{
	struct session *session = turn->session;
	const struct connector *connector = session->peer.connector;
	struct slice *body = turn->step->body;
	struct slice before = slice_of_text("");

	if (session->message_octets > decide_size_limit(connector, session->peer.identities))
		return REASON_smtp_too_large;
	body[0] = slice_of_text("");
	body[1] = scan->held;
	body[2] = scan->run;
	if (!header_ended(&session->header)) {
		header_input(&session->header, scan->held, connector->fqdn, &body[0], &body[1]);
		// A bare LF that became CR LF may have ended it.
		if (!header_ended(&session->header))
			header_input(&session->header, scan->run, connector->fqdn, &before,
				     &body[2]);
		if (body[0].length == 0)
			body[0] = before;
		if (session->header.octets > connector->max_header_size)
			return REASON_smtp_header_too_large;
		if (decide_loops(connector, &session->header))
			return REASON_smtp_hop_count;
	}
	if (body[0].length + body[1].length + body[2].length > 0)
		turn->step->intent = SESSION_BODY;
	return REASON_NONE;
}

bool session_is_binary(const struct session *session)
{
	return session->needed & SMTP_EXTENSION_BINARYMIME;
}

unsigned session_body_how(const struct session *session)
{
	return (session->chunked ? BODY_UNSTUFFED : 0) |
	       (session->peer.connector->bare_linefeed_rejection ? 0 : BODY_TAKE_BARE_LF);
}

struct slice session_header_line(const struct session *session, struct slice in, size_t *room)
{
	size_t end;

	if (header_ended(&session->header))
		return in;
	*room = *room > HEADER_HELD_MAX ? *room - HEADER_HELD_MAX : 0;
	end = scan_control(in);
	// A CR alone ends a line, too, where nothing refuses it.
	if (end + 1 < in.length && in.data[end] == '\r' && in.data[end + 1] == '\n')
		end++;
	return slice_first(in, end + 1);
}

static void input_body(struct turn *turn, struct slice in, size_t room)
{
	struct session *session = turn->session;
	struct session_step *step = turn->step;
	const bool discarding = session->state == SESSION_STATE_DISCARD;
	struct slice window = in;
	struct body_scan scan;
	enum reason reason;

	if (discarding)
		room = SIZE_MAX;
	else
		window = session_header_line(session, in, &room);
	memcpy(step->verb, "BODY", 4);
	body_input(&session->body_state, window, room, session_body_how(session), &scan);
	step->consumed = scan.consumed;
	step->intent = scan.consumed > 0 && scan.consumed < in.length ? SESSION_NEXT : SESSION_MORE;
	session->message_octets += scan.octets;

	if (scan.verdict == BODY_BAD_LINE_ENDING) {
		refuse_and_close(turn, REASON_smtp_bad_line_ending, slice_of_text(""));
	} else if (discarding) {
		if (scan.verdict == BODY_END)
			answer_discarded(turn);
	} else if (scan.verdict == BODY_END) {
		turn_suspend(turn, SESSION_END);
	} else if ((reason = session_pass_body(turn, &scan)) != REASON_NONE) {
		discard(turn, reason);
	}
}

void session_input(struct session *session, struct slice in, size_t body_room,
		   struct session_servers servers, struct tick now, struct reply_buffer *reply,
		   struct session_step *step)
{
	struct turn turn = {session, reply, step, now, servers};
	assert(!session->suspended && session->state != SESSION_STATE_CLOSED);
	turn_begin(&turn);
	if (in.length == 0 && !session_due(session))
		return;
	session->input_us = now.now_us;
	if (chunking_active(session))
		chunking_input(&turn, in, body_room);
	else if (session->state >= SESSION_STATE_BODY)
		input_body(&turn, in, body_room);
	else
		input_command(&turn, in);
}

bool session_due(const struct session *session)
{
	return session->chunk_due && !session->suspended && session->state != SESSION_STATE_CLOSED;
}

void session_end_of_input(struct session *session, struct session_step *step)
{
	memset(step, 0, sizeof(*step));
	if (session->suspended && session->pending == SESSION_END) {
		session->input_ended = true;
		return;
	}
	step->transaction_ended_by_client = session_transaction_open(session);
	if (session->suspended || session->state >= SESSION_STATE_CHUNKS)
		step->intent = SESSION_ABORT;
	else if (session_transaction_open(session))
		step->intent = SESSION_RESET;
	else
		step->intent = SESSION_CLOSE;
	session->suspended = false;
	session_enter(session, SESSION_STATE_CLOSED);
}

bool session_drain(struct session *session, bool force, struct reply_buffer *reply,
		   struct session_step *step)
{
	struct turn turn = {session, reply, step, {0, 0}, {0, 0}};
	const bool busy = session->suspended || session_transaction_open(session);
	if (session->state == SESSION_STATE_CLOSED || (busy && !force))
		return false;
	turn_begin(&turn);
	refuse_and_close(&turn, REASON_smtp_draining, slice_of_text(""));
	step->transaction_ended_by_client = false; // it was us
	return true;
}

// Closed by us, whatever is open.
void session_evict(struct session *session, enum reason reason, struct reply_buffer *reply,
		   struct session_step *step)
{
	struct turn turn = {session, reply, step, {0, 0}, {0, 0}};

	turn_begin(&turn);
	refuse_and_close(&turn, reason, slice_of_text(""));
	step->transaction_ended_by_client = false; // it was us
}

bool session_in_message(const struct session *session)
{
	if (session->suspended &&
	    (session->pending == SESSION_DATA || session->pending == SESSION_END))
		return true;
	return session->state >= SESSION_STATE_CHUNKS && session->state < SESSION_STATE_CLOSED;
}

// The text after 421 that the operator wants in place of ours; NULL = none.
static const char *configured_reply(const struct session_peer *peer, enum reason reason)
{
	switch (reason) {
	case REASON_smtp_limit_block_list:
		return peer->policy->ip_block.reply;
	case REASON_smtp_limit_ban:
	case REASON_smtp_banned:
		return peer->policy->ban.reply;
	default:
		return peer->connector->limit_reply;
	}
}

void session_refuse(struct session *session, enum reason reason, struct reply_buffer *reply,
		    struct session_step *step)
{
	struct turn turn = {session, reply, step, {0, 0}, {0, 0}};
	const char *text = configured_reply(&session->peer, reason);

	turn_begin(&turn);
	turn_reply(&turn, text ? REPLY_limit_configured : reply_of_reason(reason), &text);
	step->reason = reason;
	turn_close(&turn);
}

void session_expel(struct session *session, struct reply_buffer *reply, struct session_step *step)
{
	assert(!session_in_message(session));
	session_refuse(session, REASON_smtp_banned, reply, step);
	step->transaction_ended_by_client = false; // it was us
}

bool session_holds_chunks(const struct session *session)
{
	return session->line.text.length || session->sender.length || session->recipient.length ||
	       session->early.length || session->long_hello.length;
}

void session_resume(struct session *session, struct tick now)
{
	session->input_us = now.now_us;
}

static uint64_t session_limit(const struct session *session)
{
	return session->opened_us + session->peer.connector->connection_timeout_ms * 1000ull;
}

uint64_t session_deadline(const struct session *session)
{
	const uint64_t silence =
		session->input_us + session->peer.connector->inactivity_timeout_ms * 1000ull;
	if (session->state == SESSION_STATE_CLOSED)
		return UINT64_MAX;
	if (session->suspended)
		return session->pending == SESSION_END ? UINT64_MAX : session_limit(session);
	return silence < session_limit(session) ? silence : session_limit(session);
}

void session_timeout(struct session *session, struct tick now, struct reply_buffer *reply,
		     struct session_step *step)
{
	struct turn turn = {session, reply, step, now, {0, 0}};
	turn_begin(&turn);
	if (session->state >= SESSION_STATE_BODY)
		memcpy(step->verb, "BODY", 4);
	refuse_and_close(&turn,
			 now.now_us >= session_limit(session) ? REASON_smtp_session_timeout
							      : REASON_smtp_timeout,
			 slice_of_text(""));
}
