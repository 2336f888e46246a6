// SPDX-License-Identifier: BSD-3-Clause
//
// See chunking.h. A chunk is either passed on while it is read, or only read because it is refused
// (or leads nowhere, as XEXCH50's); which of the two is known before its first octet, and may
// change to the latter.
#include "dataplane/smtp/chunking.h"
#include "dataplane/smtp/body.h"
#include "dataplane/smtp/decide.h"

#include <assert.h>
#include <stdio.h>
#include <strings.h>

static bool parse_size(struct slice digits, uint64_t *size)
{
	*size = 0;
	if (digits.length == 0)
		return false;
	for (size_t i = 0; i < digits.length; i++) {
		const uint8_t c = digits.data[i];
		// Stops signs, hexadecimal digits, and what overflows into a small number.
		if (c < '0' || c > '9' || __builtin_mul_overflow(*size, 10, size) ||
		    __builtin_add_overflow(*size, (uint64_t)(c - '0'), size))
			return false;
	}
	return true;
}

// chunk-size [ SP end-marker ]
static bool parse(struct slice argument, uint64_t *size, bool *last)
{
	const uint8_t *space = argument.length ? memchr(argument.data, ' ', argument.length) : NULL;
	const struct slice digits =
		slice_first(argument, space ? (size_t)(space - argument.data) : argument.length);
	struct slice marker = slice_from(argument, digits.length);

	while (marker.length && marker.data[0] == ' ')
		marker = slice_from(marker, 1);
	*last = marker.length > 0;
	return parse_size(digits, size) &&
	       (!*last ||
		(marker.length == 4 && strncasecmp((const char *)marker.data, "LAST", 4) == 0));
}

// The refusal that the chunk gets at its end; NONE: the chunk is taken.
static enum reply_id refusal(const struct session *session, enum reason *reason)
{
	*reason = REASON_smtp_bad_sequence;
	switch (session->state) {
	case SESSION_STATE_GREETED:
		return REPLY_send_hello_first;
	case SESSION_STATE_READY:
		return REPLY_need_mail_command;
	case SESSION_STATE_MAIL:
		return session->recipients_asked ? REPLY_no_valid_recipients
						 : REPLY_need_rcpt_command;
	default:
		*reason = session->failure;
		return session->failure == REASON_NONE ? REPLY_NONE
						       : reply_of_reason(session->failure);
	}
}

// From here on the chunk is only read. A transaction that it belonged to is over.
static void refuse_chunk(struct session *session, enum reply_id id, enum reason reason)
{
	const bool open = session->state >= SESSION_STATE_RCPT;
	const struct chunk_queue early = session->early;

	session->early = (struct chunk_queue){0};
	chunk_queue_init(&session->early);
	if (open) {
		session_end_transaction(session);
		session->behind_refusal = true; // chunks may have been pipelined behind it
	}
	session->early = early; // the backend's own words, if there are any
	session->chunk_refusal = (uint8_t)id;
	session->rejected = reason;
}

static bool is_refused(const struct session *session)
{
	return session->chunk_refusal != REPLY_NONE;
}

bool chunking_active(const struct session *session)
{
	return session->chunk_left > 0 || session->chunk_due;
}

void chunking_command(struct turn *turn, struct slice argument)
{
	struct session *session = turn->session;
	uint64_t size;
	bool last;
	enum reason reason;

	if (!session->peer.connector->chunking || !parse(argument, &size, &last)) {
		// Nobody knows where the octets end that follow.
		const bool known = session->peer.connector->chunking;
		turn_refuse_uncounted(turn, known ? REPLY_bad_arguments : REPLY_unrecognized,
				      known ? REASON_smtp_bad_parameter : REASON_smtp_unrecognized,
				      argument);
		turn_close(turn);
		return;
	}
	const enum reply_id id = refusal(session, &reason);
	session->chunk_left = session->chunk_size = size;
	session->chunk_last = last;
	session->chunk_due = size == 0;
	session->chunk_refusal = REPLY_NONE;
	if (id != REPLY_NONE) {
		const bool leg = session->state == SESSION_STATE_RCPT ||
				 session->state == SESSION_STATE_CHUNKS;
		refuse_chunk(session, id, reason);
		if (leg)
			turn->step->intent = SESSION_RESET;
	} else if (session->state == SESSION_STATE_RCPT) {
		turn_suspend(turn, SESSION_DATA);
	}
}

void chunking_exch50(struct turn *turn, struct slice argument)
{
	struct session *session = turn->session;
	const struct connector *connector = session->peer.connector;
	const uint8_t *space = argument.length ? memchr(argument.data, ' ', argument.length) : NULL;
	uint64_t size;

	if (!decide_takes_exch50(connector, session->peer.identities)) {
		turn_refuse(turn, REPLY_exch50_refused, REASON_smtp_exch50_refused, argument);
		return;
	}
	// The second number is not looked at; a size that cannot be read is answered before any
	// octet was asked for.
	if (!space || !parse_size(slice_first(argument, (size_t)(space - argument.data)), &size) ||
	    size > connector->max_header_size) {
		turn_refuse(turn, REPLY_bad_arguments, REASON_smtp_bad_parameter, argument);
		return;
	}
	session->chunk_left = session->chunk_size = size;
	session->chunk_due = size == 0;
	session->chunk_refusal = REPLY_ok;
	turn_reply(turn, REPLY_send_binary_data, NULL);
}

void chunking_begin(struct turn *turn, bool chunked)
{
	session_begin_body(turn->session, SESSION_STATE_CHUNKS, chunked);
	turn->step->intent = SESSION_NEXT;
}

// Keeps the server's words for the end of the chunk; without memory they become our own.
static void keep_reply(struct session *session, struct slice reply)
{
	if (chunk_queue_append(&session->early, session->chunks, reply) < reply.length)
		chunk_queue_clear(&session->early, session->chunks);
}

void chunking_refused(struct turn *turn, enum reason reason, struct slice reply)
{
	struct session *session = turn->session;

	keep_reply(session, reply);
	refuse_chunk(session, reply_of_reason(reason), reason);
	turn->step->intent = SESSION_RESET;
}

void chunking_fail(struct session *session, enum reason reason, struct slice reply)
{
	keep_reply(session, reply);
	if (chunking_active(session))
		refuse_chunk(session, reply_of_reason(reason), reason);
	else
		session->failure = reason; // told to the next chunk
}

// What the octets get that were only read.
static void answer_refused(struct turn *turn)
{
	struct session *session = turn->session;
	const enum reply_id id = (enum reply_id)session->chunk_refusal;

	session->chunk_refusal = REPLY_NONE;
	session->chunk_due = false;
	turn->step->intent = SESSION_NEXT;
	if (session->early.length > 0) {
		turn_reply_early(turn);
		return;
	}
	if (id == REPLY_ok) // of XEXCH50
		turn_reply(turn, id, NULL);
	else if (id == REPLY_need_mail_command && session->behind_refusal)
		turn_refuse_uncounted(turn, id, session->rejected, slice_of_text(""));
	else
		turn_refuse(turn, id, session->rejected, slice_of_text(""));
}

static void bad_line_ending(struct turn *turn)
{
	turn_refuse_uncounted(turn, REPLY_bad_line_ending, REASON_smtp_bad_line_ending,
			      slice_of_text(""));
	turn_close(turn);
}

static void refuse_message(struct turn *turn, enum reason reason)
{
	refuse_chunk(turn->session, reply_of_reason(reason), reason);
	turn->session->chunk_due = turn->session->chunk_left == 0;
	turn->step->intent = SESSION_ABORT;
}

// The end of data in DATA form stands on a line of its own. A line that the header firewall still
// keeps back has to be ended in any form: only then is it known what it is.
static void end_last_line(struct turn *turn, size_t room)
{
	const struct body_scan end = {.held = slice_of_text("\r\n"), .run = slice_of_text("")};

	if (room < end.held.length + HEADER_HELD_MAX)
		return;
	body_init(&turn->session->body_state);
	turn->step->intent = SESSION_NEXT;
	const enum reason reason = session_pass_body(turn, &end);
	if (reason != REASON_NONE)
		refuse_message(turn, reason);
}

// All octets were read: the answer, or the end of the message.
static void answer(struct turn *turn, size_t room)
{
	struct session *session = turn->session;
	char size[24];

	if (is_refused(session)) {
		answer_refused(turn);
	} else if (!session->chunk_last) {
		session->chunk_due = false;
		snprintf(size, sizeof(size), "%llu", (unsigned long long)session->chunk_size);
		turn_reply(turn, REPLY_chunk_ok, (const char *[]){size});
		turn->step->intent = SESSION_NEXT;
	} else if (body_has_half_a_line_end(session->body_state)) {
		bad_line_ending(turn);
	} else if ((body_in_line(session->body_state) && !session->chunked) ||
		   header_keeps_back(&session->header)) {
		end_last_line(turn, room);
	} else {
		session->chunk_due = false;
		turn_suspend(turn, SESSION_END);
	}
}

// A body that goes on in counted octets needs no form.
static void scan_binary(struct slice in, size_t room, struct body_scan *scan)
{
	in = slice_first(in, room);
	*scan = (struct body_scan){.verdict = BODY_MORE,
				   .consumed = in.length,
				   .held = slice_of_text(""),
				   .run = in,
				   .octets = in.length};
}

void chunking_input(struct turn *turn, struct slice in, size_t room)
{
	struct session *session = turn->session;
	struct session_step *step = turn->step;
	struct body_scan scan;
	enum reason reason;

	memcpy(step->verb, "BDAT", 4);
	if (session->chunk_due) {
		answer(turn, room);
		return;
	}
	in = slice_first(in,
			 session->chunk_left < in.length ? (size_t)session->chunk_left : in.length);
	if (is_refused(session)) {
		scan = (struct body_scan){.verdict = BODY_MORE, .consumed = in.length};
	} else {
		in = session_header_line(session, in, &room);
		// A header has lines in any form, and every server is to see the same ones.
		if (session_is_binary(session) && header_ended(&session->header))
			scan_binary(in, room, &scan);
		else
			body_chunk(&session->body_state, in, room, session_body_how(session),
				   &scan);
	}
	step->consumed = scan.consumed;
	step->intent = scan.consumed > 0 ? SESSION_NEXT : SESSION_MORE;
	session->chunk_left -= scan.consumed;
	session->chunk_due = session->chunk_left == 0;
	if (is_refused(session))
		return;
	session->message_octets += scan.octets;
	if (scan.verdict == BODY_BAD_LINE_ENDING) {
		bad_line_ending(turn);
		return;
	}
	reason = session_pass_body(turn, &scan);
	if (reason != REASON_NONE)
		refuse_message(turn, reason);
}
