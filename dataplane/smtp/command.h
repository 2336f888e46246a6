// SPDX-License-Identifier: BSD-3-Clause
//
// Commands: one table of rows {verb, handler, states}, and what a handler works with. Private to
// smtp/: session.c feeds lines in, the handlers change the session and fill the turn's reply and
// step through the functions below.
#ifndef RELAYGATE_SMTP_COMMAND_H
#define RELAYGATE_SMTP_COMMAND_H

#include "dataplane/smtp/session.h"

// What one call into the session works on.
struct turn {
	struct session *session;
	struct reply_buffer *reply;
	struct session_step *step;
	struct tick now;
	struct session_servers servers;
};

// Deals with one whole line, CR LF removed.
void command_execute(struct turn *turn, struct slice line);

// For the handlers and session.c, defined in session.c.

// The one setter of session->state; asserts that the machine has this transition.
void session_enter(struct session *session, enum session_state state);
bool session_transaction_open(const struct session *session);
// Forgets the envelope and everything about the message; state READY.
void session_end_transaction(struct session *session);

// A message begins, in state BODY or CHUNKS. chunked: see session_answer.
void session_begin_body(struct session *session, enum session_state state, bool chunked);
// How body.h is to read the message and to pass it on.
unsigned session_body_how(const struct session *session);
// Any octets may come (RFC 3030 section 3): no line ending is wrong, and none ends anything.
bool session_is_binary(const struct session *session);
// At most the rest of one line while the header lasts, which keeps some of the room back.
struct slice session_header_line(const struct session *session, struct slice in, size_t *room);
// Message bytes that may go on to the server, as far as the header firewall lets them, into
// step->body. REASON_NONE, or the limit that the message is above.
struct body_scan;
enum reason session_pass_body(struct turn *turn, const struct body_scan *scan);

// The backend's early words, kept in session->early.
void turn_reply_early(struct turn *turn);
// Empties the reply and the step.
void turn_begin(struct turn *turn);
// A reply that refuses nothing; values as in reply_add.
void turn_reply(struct turn *turn, enum reply_id id, const char *const values[]);
// A refusal. Answers 50x count against MaxProtocolErrors, beyond which 421 takes their place and
// the session closes. detail: for the log.
void turn_refuse(struct turn *turn, enum reply_id id, enum reason reason, struct slice detail);
// The same for a command that RFC 2920 lets a client send before it could know: never counted.
void turn_refuse_uncounted(struct turn *turn, enum reply_id id, enum reason reason,
			   struct slice detail);
// See session_take_progress.
void turn_progress(struct turn *turn);
// The session ends with the reply that was written.
void turn_close(struct turn *turn);
// The session waits for the backend.
void turn_suspend(struct turn *turn, enum session_intent intent);

// suspect.c: refuses a recipient of a client that offended or is listed; false when it may go on.
bool session_refuse_suspect(struct turn *turn, struct slice recipient);

#endif
