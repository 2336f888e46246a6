// SPDX-License-Identifier: BSD-3-Clause
//
// One SMTP session as the client sees it (RFC 5321): bytes and time in; a reply and an *intent*
// out. It knows neither TCP nor backends. An intent that needs a backend suspends the session until
// session_answer; meanwhile the caller gives it no input (bytes wait in the flow, whose window
// closes). Commands are rows of one table {verb, handler, states}; rights are asked in decide.c.
// Memory: this struct; a partial command line and the envelope's texts sit in chunks only while
// there are any. Line endings are strict everywhere; only CR LF . CR LF ends a message.
#ifndef RELAYGATE_SMTP_SESSION_H
#define RELAYGATE_SMTP_SESSION_H

#include "bpf/counters.h"
#include "config/policy.h"
#include "dataplane/base/chunk.h"
#include "dataplane/base/tick.h"
#include "dataplane/smtp/reply.h"

// What the backends of a connector can do, found by probes: offered to clients only if every live
// server has it.
enum smtp_extension {
	SMTP_EXTENSION_8BITMIME = 1 << 0,
	SMTP_EXTENSION_PIPELINING = 1 << 1,
	SMTP_EXTENSION_SIZE = 1 << 2,
};

struct session_peer {
	struct endpoint client;
	struct endpoint local;
	const struct connector *connector; // pinned by the caller for the session's life
	const struct policy *policy;
	uint64_t id; // of the session, for Received and logs
};

enum session_intent {
	SESSION_MORE,      // all input used, or nothing to do: give more when there is some
	SESSION_NEXT,      // one command was dealt with: call again with the rest of the input
	SESSION_RECIPIENT, // ask the backend for session_sender() / session_recipient(): suspended
	SESSION_DATA,      // ask the backend for DATA: suspended
	SESSION_BODY,      // body[] are message bytes for the backend, in DATA form (dots stuffed)
	SESSION_END,   // the client's end of data was seen whole and is allowed: suspended until
		       // the backend's final reply
	SESSION_ABORT, // the message is abandoned: end the backend connection without end of data;
		       // the session goes on discarding or closes
	SESSION_RESET, // the transaction is over: the backend connection may go back to the pool
	SESSION_CLOSE, // send the reply, then close the session (any backend leg is aborted)
};

struct session_step {
	enum session_intent intent;
	size_t consumed;      // bytes of the input that are used up
	struct slice body[2]; // SESSION_BODY: in this order; valid until the input is released
	// For counters and the log; the caller counts.
	enum reason reason; // REASON_NONE or the refusal
	uint16_t code;      // reply code given in this step, 0 = none
	char verb[8]; // upper case, NUL-padded; "BODY" inside a message, "" before any command
	const char *detail; // what was refused (path, parameter), NUL-terminated printable scratch,
			    // or NULL
	bool transaction_ended_by_client; // an open message was left by RSET, EHLO, QUIT ...
};

enum session_state {
	SESSION_STATE_GREETED, // banner sent, no EHLO/HELO yet
	SESSION_STATE_READY,   // no transaction
	SESSION_STATE_MAIL,    // MAIL accepted, no RCPT accepted yet
	SESSION_STATE_RCPT,    // at least one RCPT accepted
	SESSION_STATE_BODY,    // after 354
	SESSION_STATE_DISCARD, // reading a body to its end to answer it then
	SESSION_STATE_CLOSED,
};

struct session; // defined below: embedded by the pipeline, fields are the session's own

// The backend's or the pipeline's answer to a suspended intent.
struct session_answer {
	enum reason
		failure; // REASON_NONE: `reply` is the backend's; else our own 451 for that reason
	uint16_t code;
	struct slice reply; // complete, CR LF ended, well formed (reply_parser.h)
};

struct session {
	struct session_peer peer;
	enum session_state state;
	uint64_t opened_us, input_us; // for the two timeouts
	uint64_t message_octets;      // of the message being read
	uint64_t declared_size;       // MAIL SIZE=, 0 = none
	uint32_t recipients;          // accepted in this transaction
	uint32_t recipients_asked;    // including refused ones
	uint32_t protocol_errors;
	uint8_t extended : 1;  // EHLO rather than HELO
	uint8_t suspended : 1; // waiting for session_answer
	uint8_t sender_null : 1;
	uint8_t body_8bit : 1;
	uint8_t body_state; // of the end-of-data scanner
	uint8_t pending_intent;
	uint16_t pending_code; // reply owed at the end of a discarded body
	enum reason pending_reason;
	struct chunk_queue line;          // a partial command line
	struct chunk_queue hello;         // the client's EHLO/HELO argument
	struct chunk_queue sender;        // "<path>" and parameters for our MAIL
	struct chunk_queue recipient;     // "<path>" of the RCPT that is being asked
	struct chunk_queue pending_reply; // the backend's early reply, owed at the end of a body
	struct pool *chunks;
};

// Opens a session and writes the 220 banner.
void session_open(struct session *session, const struct session_peer *peer, struct pool *chunks,
		  struct tick now, struct reply_buffer *reply);
// Gives the session's chunks back. Idempotent.
void session_close(struct session *session);

// Feeds bytes. body_room: how many message bytes the backend leg takes now; with 0 a body waits
// (SESSION_MORE with consumed 0). extensions: bits of enum smtp_extension that EHLO may offer now.
// reply: room of REPLY_MAX, filled from its start. Never called while suspended.
void session_input(struct session *session, struct slice in, size_t body_room, unsigned extensions,
		   struct tick now, struct reply_buffer *reply, struct session_step *step);

// Answers the intent that suspended the session.
void session_answer(struct session *session, const struct session_answer *answer, struct tick now,
		    struct reply_buffer *reply, struct session_step *step);

// The backend failed or answered early while the body streams: read the body to its end, then give
// this answer (relay rule 5).
void session_fail_body(struct session *session, const struct session_answer *answer);

// Client's FIN: what was begun is abandoned. Fills step (ABORT, RESET or CLOSE).
void session_end_of_input(struct session *session, struct session_step *step);

// The gate is stopping: 421 at the next quiet point (now, unless a transaction is open; always once
// force is set). True when the session closed: reply and step are filled.
bool session_drain(struct session *session, bool force, struct reply_buffer *reply,
		   struct session_step *step);

// Next time a limit of the connector strikes. No limit runs while the final reply is awaited
// (relay rule 6).
uint64_t session_deadline(const struct session *session);
// The limit struck: 451 4.7.0 or 421 4.4.1, SESSION_CLOSE.
void session_timeout(struct session *session, struct tick now, struct reply_buffer *reply,
		     struct session_step *step);

// "<path> SIZE=n BODY=8BITMIME" as our MAIL command may carry it to a server with these extensions
// (bits of enum smtp_extension), and "<path>" for RCPT. Copied into scratch; valid until the
// session's next call. Empty outside a transaction. An 8-bit body towards a server without 8BITMIME
// is never converted: *possible is false then.
struct slice session_sender(const struct session *session, unsigned server_extensions,
			    char *scratch, size_t scratch_size, bool *possible);
struct slice session_recipient(const struct session *session, char *scratch, size_t scratch_size);

// The Received: header (RFC 5321 4.4) that goes before the body, CR LF ended, folded below 78.
size_t session_received_header(const struct session *session, struct tick now, char *buffer,
			       size_t size);

#endif
