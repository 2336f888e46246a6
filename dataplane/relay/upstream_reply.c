// SPDX-License-Identifier: BSD-3-Clause
//
// What a server's reply means in each state (RFC 5321 section 4.3.2): the answer for the client,
// the next state, the command that follows by itself. One function a state, one table for all.
// Codes that no rule allows in a state are a server out of step and cost it the connection; nothing
// that is not a 4xx or 5xx can turn into a refusal, and nothing but a 2xx to the end of data into
// an acceptance. Does not parse (reply_parser.c) nor count what is owed (upstream.c).
#include "dataplane/relay/ehlo.h"
#include "dataplane/relay/upstream_state.h"

#define CODE_CLOSING 421 // RFC 5321 section 3.8: may answer any command, and the server closes

static void with_reply(struct turn *turn)
{
	const struct reply_parser *parser = &turn->upstream->parser;

	turn->result->code = parser->code;
	turn->result->reply = slice_of(parser->text, parser->length);
}

void upstream_reply_gone(struct turn *turn, enum reason reason)
{
	upstream_state_fail(turn->upstream, reason);
	turn->result->event = UPSTREAM_GONE;
	turn->result->reason = reason;
}

static void answer(struct turn *turn, enum upstream_state next)
{
	with_reply(turn);
	turn->result->event = UPSTREAM_ANSWER;
	upstream_state_enter(turn->upstream, turn->backend, next, turn->now_us);
}

// The reply that MAIL got, in place of the one to RCPT.
void upstream_reply_refusal(struct turn *turn)
{
	struct upstream *upstream = turn->upstream;

	turn->result->event = UPSTREAM_ANSWER;
	turn->result->code = upstream->mail_refusal_code;
	turn->result->reply = slice_of(upstream->mail_refusal, upstream->mail_refusal_length);
	upstream_state_enter(upstream, turn->backend, UPSTREAM_OPEN, turn->now_us);
}

static unsigned class_of(const struct turn *turn)
{
	return turn->upstream->parser.code / 100;
}

static bool is_refusal(const struct turn *turn)
{
	unsigned class = class_of(turn);

	return class == 4 || class == 5;
}

static void greeting_reply(struct turn *turn)
{
	struct upstream *upstream = turn->upstream;

	if (upstream->parser.code != 220) {
		with_reply(turn);
		upstream_reply_gone(turn, is_refusal(turn) ? REASON_backend_connect_failed
							   : REASON_backend_malformed_reply);
		return;
	}
	upstream->esmtp = true;
	upstream_state_command(upstream, turn->commands, "EHLO ", slice_of_text(turn->our_name));
	upstream_state_enter(upstream, turn->backend, UPSTREAM_HELLO, turn->now_us);
}

static void hello_refused(struct turn *turn)
{
	struct upstream *upstream = turn->upstream;
	unsigned code = upstream->parser.code;

	// RFC 5321 section 3.2: a server without service extensions does not know the verb.
	if (upstream->esmtp && (code == 500 || code == 502 || code == 504)) {
		upstream->esmtp = false;
		upstream_state_command(upstream, turn->commands, "HELO ",
				       slice_of_text(turn->our_name));
		upstream_state_enter(upstream, turn->backend, UPSTREAM_HELLO, turn->now_us);
		return;
	}
	with_reply(turn);
	upstream_reply_gone(turn, is_refusal(turn) ? REASON_backend_connect_failed
						   : REASON_backend_malformed_reply);
}

static void hello_reply(struct turn *turn)
{
	struct upstream *upstream = turn->upstream;

	if (upstream->parser.code != 250) {
		hello_refused(turn);
		return;
	}
	if (upstream->esmtp) {
		struct ehlo ehlo =
			ehlo_parse(slice_of(upstream->parser.text, upstream->parser.length));

		upstream->extensions = ehlo.extensions;
		upstream->server_size = ehlo.size;
	}
	if (upstream->probe) {
		upstream_state_command(upstream, turn->commands, "QUIT", slice_of("", 0));
		upstream_state_enter(upstream, turn->backend, UPSTREAM_QUITTING, turn->now_us);
		return;
	}
	upstream_state_enter(upstream, turn->backend, UPSTREAM_IDLE, turn->now_us);
	turn->result->event = UPSTREAM_READY;
}

static void mail_reply(struct turn *turn)
{
	struct upstream *upstream = turn->upstream;
	struct reply_parser *parser = &upstream->parser;

	if (is_refusal(turn)) {
		upstream->mail_refusal_code = parser->code;
		upstream->mail_refusal_length = parser->length;
		memcpy(upstream->mail_refusal, parser->text, parser->length);
	} else if (class_of(turn) != 2) {
		with_reply(turn);
		upstream_reply_gone(turn, REASON_backend_malformed_reply);
		return;
	}
	if (upstream->unanswered == 0) { // no PIPELINING: RCPT waits for this answer
		if (upstream->mail_refusal_code != 0) {
			upstream_reply_refusal(turn);
			return;
		}
		upstream_state_command(upstream, turn->commands, "RCPT TO:",
				       slice_of(upstream->recipient, upstream->recipient_length));
	}
	upstream_state_enter(upstream, turn->backend, UPSTREAM_RCPT, turn->now_us);
}

static void rcpt_reply(struct turn *turn)
{
	if (turn->upstream->mail_refusal_code != 0) {
		upstream_reply_refusal(
			turn); // whatever this reply is, 503 as a rule, MAIL's comes first
	} else if (class_of(turn) == 2 || is_refusal(turn)) {
		answer(turn, UPSTREAM_OPEN);
	} else {
		with_reply(turn);
		upstream_reply_gone(turn, REASON_backend_malformed_reply);
	}
}

static void data_reply(struct turn *turn)
{
	if (turn->upstream->parser.code == 354) {
		answer(turn, UPSTREAM_BODY);
	} else if (is_refusal(turn)) {
		answer(turn, UPSTREAM_OPEN);
	} else { // a 250 here must never reach the client as if the message were taken
		with_reply(turn);
		upstream_reply_gone(turn, REASON_backend_malformed_reply);
	}
}

static void body_reply(struct turn *turn)
{
	with_reply(turn);
	if (!is_refusal(turn)) { // a message cannot be accepted before its end
		upstream_reply_gone(turn, REASON_backend_malformed_reply);
		return;
	}
	turn->result->event = UPSTREAM_EARLY;
	upstream_state_fail(turn->upstream, REASON_NONE);
}

static void chunk_reply(struct turn *turn)
{
	struct upstream *upstream = turn->upstream;

	if (class_of(turn) == 2) {
		upstream_state_enter(upstream, turn->backend, UPSTREAM_CHUNKS, turn->now_us);
		turn->result->event = UPSTREAM_CHUNK;
		return;
	}
	with_reply(turn);
	if (!is_refusal(turn)) {
		upstream_reply_gone(turn, REASON_backend_malformed_reply);
		return;
	}
	// Whatever the chunks behind it are answered, nothing of the message will be kept.
	turn->result->event = UPSTREAM_EARLY;
	upstream_state_cancel(upstream, turn->backend, turn->commands, turn->now_us);
}

static void final_reply(struct turn *turn)
{
	if (class_of(turn) != 2 && !is_refusal(turn)) {
		with_reply(turn);
		upstream_reply_gone(turn, REASON_backend_malformed_reply);
		return;
	}
	answer(turn, UPSTREAM_RESETTING);
	upstream_state_command(turn->upstream, turn->commands, "RSET", slice_of("", 0));
}

static void reset_reply(struct turn *turn)
{
	struct upstream *upstream = turn->upstream;

	if (upstream->reset_due) { // the answer to a chunk of a message that is abandoned
		if (upstream->unanswered == 0)
			upstream_state_cancel(upstream, turn->backend, turn->commands,
					      turn->now_us);
		return;
	}
	if (upstream->parser.code != 250) { // who knows what the server still remembers
		with_reply(turn);
		upstream_reply_gone(turn, REASON_backend_malformed_reply);
		return;
	}
	upstream->used = true;
	upstream_state_enter(upstream, turn->backend, UPSTREAM_IDLE, turn->now_us);
	turn->result->event = UPSTREAM_READY;
}

static void quit_reply(struct turn *turn)
{
	turn->result->event = UPSTREAM_FINISHED;
	upstream_state_fail(turn->upstream, REASON_NONE);
}

static const struct {
	void (*reply)(struct turn *turn); // a reply that is owed, other than 421
	enum upstream_event closing;      // what a 421 is
	bool may_refuse_early;            // before the server has what it refuses
} rows[] = {
	[UPSTREAM_GREETING] = {greeting_reply, UPSTREAM_GONE, false},
	[UPSTREAM_HELLO] = {hello_reply, UPSTREAM_GONE, false},
	[UPSTREAM_MAIL] = {mail_reply, UPSTREAM_ANSWER, false},
	[UPSTREAM_RCPT] = {rcpt_reply, UPSTREAM_ANSWER, false},
	[UPSTREAM_DATA] = {data_reply, UPSTREAM_ANSWER, false},
	[UPSTREAM_BODY] = {body_reply, UPSTREAM_EARLY, true},
	[UPSTREAM_CHUNKS] = {chunk_reply, UPSTREAM_EARLY, true},
	[UPSTREAM_FINAL] = {final_reply, UPSTREAM_ANSWER, true},
	[UPSTREAM_RESETTING] = {reset_reply, UPSTREAM_GONE, true},
	[UPSTREAM_QUITTING] = {quit_reply, UPSTREAM_FINISHED, false},
};

static void closing_reply(struct turn *turn)
{
	struct upstream *upstream = turn->upstream;
	enum upstream_state state = upstream->state;
	enum reason lost = upstream_state_lost(state);

	with_reply(turn);
	// An idle limit that struck while our MAIL was on its way: not an answer to MAIL.
	if (state == UPSTREAM_MAIL && upstream->used) {
		upstream_reply_gone(turn, lost);
		return;
	}
	turn->result->event = rows[state].closing;
	if (state == UPSTREAM_RCPT && upstream->mail_refusal_code != 0)
		upstream_reply_refusal(turn);
	if (turn->result->event == UPSTREAM_GONE)
		turn->result->reason = lost;
	// After these the transaction is answered, and nothing is lost with the connection.
	if (state == UPSTREAM_BODY || state == UPSTREAM_CHUNKS || state == UPSTREAM_FINAL)
		lost = REASON_NONE;
	upstream_state_fail(upstream, lost);
}

// It takes the place of an answer to something that the server did not have when it spoke: one
// reply too many to a command before. Taken for an answer, each later one would count for the
// command before its own, and the last chunk's would be another chunk's.
static bool is_ahead(const struct turn *turn)
{
	const struct upstream *upstream = turn->upstream;

	return upstream->early_begun &&
	       !(rows[upstream->state].may_refuse_early && is_refusal(turn));
}

void upstream_reply(struct turn *turn)
{
	if (turn->upstream->parser.code == CODE_CLOSING) {
		closing_reply(turn);
	} else if (is_ahead(turn)) {
		with_reply(turn);
		upstream_reply_gone(turn, REASON_backend_malformed_reply);
	} else {
		rows[turn->upstream->state].reply(turn);
	}
}
