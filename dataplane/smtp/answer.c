// SPDX-License-Identifier: BSD-3-Clause
//
// What the backend's answer, or the lack of one, means to the client: which codes fit which
// request, and how the session goes on. Whatever does not fit leaves the server's view of the
// transaction unknown, so its connection is ended and the client gets 451: nothing is ever taken
// for accepted but a plain yes.
#include "dataplane/smtp/chunking.h"
#include "dataplane/smtp/command.h"

#include <assert.h>

enum fit {
	FIT_YES,
	FIT_NO,      // 4xx or 5xx: passed on
	FIT_CLOSING, // 421: the server's connection ends, ours does not
	FIT_NONE,
	FIT_FAILURE, // no reply at all
};

static enum fit judge(enum session_intent intent, const struct session_answer *answer)
{
	if (answer->failure != REASON_NONE)
		return FIT_FAILURE;
	if (answer->code == 421)
		return FIT_CLOSING;
	if (answer->code >= 400 && answer->code <= 599)
		return FIT_NO;
	switch (intent) {
	case SESSION_RECIPIENT:
	case SESSION_END: // the first digit says it (RFC 5321 4.2.1): the server did take it
		return answer->code / 100 == 2 ? FIT_YES : FIT_NONE;
	case SESSION_DATA:
		return answer->code == 354 ? FIT_YES : FIT_NONE;
	default:
		return FIT_NONE;
	}
}

static enum reason reason_of(enum fit fit, const struct session_answer *answer)
{
	switch (fit) {
	case FIT_FAILURE:
		return answer->failure;
	case FIT_CLOSING:
		return REASON_backend_lost;
	case FIT_NONE:
		return REASON_backend_malformed_reply;
	case FIT_NO:
		return REASON_backend_refused_message;
	case FIT_YES:
		break;
	}
	return REASON_NONE;
}

static void pass_on(struct turn *turn, const struct session_answer *answer)
{
	reply_set(turn->reply, answer->reply);
	turn->step->code = answer->code;
}

// A yes in the backend's text. Many a client takes 250 alone for one and would send the message
// again, so any other code becomes 250; 251 (will forward) every client knows, but only to RCPT.
static void pass_on_yes(struct turn *turn, const struct session_answer *answer)
{
	pass_on(turn, answer);
	if (answer->code == 251 && turn->session->pending == SESSION_RECIPIENT)
		return;
	reply_set_code(turn->reply, 250);
	turn->step->code = 250;
}

static void answer_failed(struct turn *turn, enum fit fit, const struct session_answer *answer)
{
	const enum reason reason = reason_of(fit, answer);
	const enum reply_id id =
		fit == FIT_CLOSING ? REPLY_backend_closing : reply_of_reason(reason);
	turn_refuse(turn, id, reason, answer->reply);
	// Of a server that failed nothing is left to abort.
	if (fit != FIT_FAILURE)
		turn->step->intent = SESSION_ABORT;
}

static void answer_recipient(struct turn *turn, enum fit fit, const struct session_answer *answer)
{
	struct session *session = turn->session;
	uint8_t path[REPLY_DETAIL_MAX];
	const size_t length =
		session->recipient.length < sizeof(path) ? session->recipient.length : sizeof(path);

	memcpy(turn->step->verb, "RCPT", 4);
	turn->step->intent = SESSION_NEXT;
	chunk_queue_copy(&session->recipient, 0, path, length);
	chunk_queue_clear(&session->recipient, session->chunks);
	if (fit == FIT_YES) {
		session->recipients++;
		session->promised = false;
		turn_progress(turn);
		session_enter(session, SESSION_STATE_RCPT);
		pass_on_yes(turn, answer);
		return;
	}
	if (fit == FIT_NO) {
		pass_on(turn, answer);
		turn->step->reason = REASON_backend_refused_recipient;
	} else {
		answer_failed(turn, fit, answer);
		session->failure = reason_of(fit, answer);
	}
	turn->step->detail = reply_set_detail(turn->reply, slice_of(path, length));
}

// The same when BDAT asked. The chunk is read in any case; its refusal waits until then.
static void answer_chunk(struct turn *turn, enum fit fit, const struct session_answer *answer)
{
	const struct slice none = {NULL, 0};

	if (fit == FIT_YES)
		chunking_begin(turn, answer->chunked);
	else
		chunking_refused(turn, reason_of(fit, answer),
				 fit == FIT_NO ? answer->reply : none);
	if (fit == FIT_CLOSING || fit == FIT_NONE)
		turn->step->intent = SESSION_ABORT;
}

static void answer_data(struct turn *turn, enum fit fit, const struct session_answer *answer)
{
	struct session *session = turn->session;
	memcpy(turn->step->verb, chunking_active(session) ? "BDAT" : "DATA", 4);
	if (chunking_active(session)) {
		answer_chunk(turn, fit, answer);
		return;
	}
	if (fit == FIT_YES) {
		turn->step->intent = SESSION_NEXT;
		session_begin_body(session, SESSION_STATE_BODY, answer->chunked);
		turn_reply(turn, REPLY_start_mail_input, NULL);
		return;
	}
	turn->step->intent = SESSION_RESET;
	if (fit == FIT_NO) {
		pass_on(turn, answer);
		turn->step->reason = REASON_backend_refused_message;
		turn->step->detail = reply_set_detail(turn->reply, answer->reply);
	} else {
		answer_failed(turn, fit, answer);
	}
	session_end_transaction(session);
}

static void answer_end(struct turn *turn, enum fit fit, const struct session_answer *answer)
{
	struct session *session = turn->session;
	memcpy(turn->step->verb, "BODY", 4);
	turn->step->intent = SESSION_RESET;
	if (fit == FIT_YES) {
		pass_on_yes(turn, answer);
		turn_progress(turn);
	} else if (fit == FIT_NO) {
		pass_on(turn, answer);
		turn->step->reason = REASON_backend_refused_message;
		turn->step->detail = reply_set_detail(turn->reply, answer->reply);
	} else {
		answer_failed(turn, fit, answer);
	}
	session_end_transaction(session);
	if (session->input_ended)
		turn_close(turn);
}

void session_answer(struct session *session, const struct session_answer *answer, struct tick now,
		    struct reply_buffer *reply, struct session_step *step)
{
	struct turn turn = {session, reply, step, now, {0, 0}};
	const enum fit fit = judge(session->pending, answer);

	assert(session->suspended);
	turn_begin(&turn);
	session->suspended = false;
	session->input_us = now.now_us; // from here on the silence is the client's
	switch (session->pending) {
	case SESSION_RECIPIENT:
		answer_recipient(&turn, fit, answer);
		break;
	case SESSION_DATA:
		answer_data(&turn, fit, answer);
		break;
	case SESSION_END:
		answer_end(&turn, fit, answer);
		break;
	default:
		assert(false);
	}
}

void session_fail_body(struct session *session, const struct session_answer *answer)
{
	const enum fit fit = judge(SESSION_MORE, answer);

	assert(!session->suspended);
	if (session->state == SESSION_STATE_MAIL || session->state == SESSION_STATE_RCPT) {
		session->failure = fit == FIT_NO ? REASON_backend_lost : reason_of(fit, answer);
		return;
	}
	if (session->state == SESSION_STATE_CHUNKS) {
		chunking_fail(session, reason_of(fit, answer),
			      fit == FIT_NO ? answer->reply : slice_of_text(""));
		return;
	}
	if (session->state != SESSION_STATE_BODY)
		return;
	session->rejected = reason_of(fit, answer);
	if (fit == FIT_NO && chunk_queue_append(&session->early, session->chunks, answer->reply) <
				     answer->reply.length)
		chunk_queue_clear(&session->early, session->chunks); // it becomes our own 451
	session_enter(session, SESSION_STATE_DISCARD);
}
