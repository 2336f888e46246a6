// SPDX-License-Identifier: BSD-3-Clause
//
// One SMTP session as the client sees it (RFC 5321): bytes and time in; a reply and an *intent*
// out. It knows neither TCP nor backends. An intent that needs a backend suspends the session until
// session_answer; meanwhile the caller gives it no input (bytes wait in the flow, whose window
// closes). Commands are rows of one table {verb, handler, states}; rights are asked in decide.c.
// Memory: this struct; a partial command line, the envelope's texts and an unusually long EHLO name
// sit in chunks only while there are any. Line endings are strict everywhere; only CR LF . CR LF
// ends a message.
//
// Of RFC 5321 and 3030: HELO EHLO MAIL RCPT DATA BDAT RSET NOOP QUIT VRFY HELP, and the parameters
// of parameters.h. Every other verb, whether some standard knows it or not (EXPN, ETRN, STARTTLS,
// AUTH, XCLIENT ...), is answered 500 5.3.3 by one rule. Answers 50x count against
// MaxProtocolErrors, but not 503 to the RCPT and DATA that a pipelining client sent behind a MAIL
// that was refused (RFC 2920). DATA after refused recipients only is 554 5.5.1. Backends: any 2yz
// is a yes and passed on as 250 (251 to RCPT as it is); a reply that does not fit its command is
// 451 4.3.0, and 421 is 451 4.3.2: what ends their connection does not end the client's.
#ifndef RELAYGATE_SMTP_SESSION_H
#define RELAYGATE_SMTP_SESSION_H

#include "bpf/counters.h"
#include "config/policy.h"
#include "dataplane/base/chunk.h"
#include "dataplane/base/tick.h"
#include "dataplane/smtp/extension.h"
#include "dataplane/smtp/header.h"
#include "dataplane/smtp/line.h"
#include "dataplane/smtp/reply.h"

#define SESSION_BODY_PIECES 3
#define SESSION_HELLO_MAX   255 // RFC 5321 section 4.5.3.1.2
// Names up to here are kept in the session itself; hardly any is longer.
#define SESSION_HELLO_SHORT 64
// And senders up to here, with their parameters.
#define SESSION_SENDER_SHORT 52
// Room for what session_added_header and session_sender or session_recipient write.
#define SESSION_ADDED_MAX   2048
#define SESSION_COMMAND_MAX 4352 // a long path, and the parameters that go on

// What is known of the DNS lists that were asked about a client.
enum session_listing {
	SESSION_LISTING_OPEN, // not answered yet, or not enough of them
	SESSION_LISTING_CLEAN,
	SESSION_LISTING_LISTED,
};

struct session_peer;

// What the session asks at MAIL and RCPT, because others know it: whose policy holds by now, how
// many messages other sessions sent, and what DNS lists answer while it goes on.
struct session_quota {
	// Brings the peer's policy, connector and rights up to date. False when its connector
	// serves it no more: the session is closed. NULL: they stay as they are.
	bool (*renew)(struct session_quota *quota, struct session_peer *peer);
	// False when the client's MessageRateLimit is reached.
	bool (*take)(struct session_quota *quota, const struct connector *connector,
		     const struct address *client, uint64_t now_us);
	// *list: which of the policy's lists weighs most for a client that is listed. Only for
	// peers that are `tested`, at connectors with a DnsblAction.
	enum session_listing (*listing)(struct session_quota *quota,
					const struct session_peer *peer, unsigned *list);
};

struct session_peer {
	struct endpoint client;
	struct endpoint local;
	// By the IP Allow and Block lists. Blocked: every recipient gets 550, then the session is
	// closed.
	bool allowed, blocked;
	bool tested;        // nobody vouches for it: see session_is_unknown()
	uint8_t identities; // bits (1 << enum principal): whose rights it has
	// Pinned by the caller for the session's life, or until quota's renew changes them.
	const struct connector *connector;
	const struct policy *policy;
	uint64_t id;                 // of the session, for Received and logs
	struct session_quota *quota; // NULL = no limit
};

enum session_intent {
	// All input used, or nothing to do: give more when there is some.
	SESSION_MORE,
	// One command was dealt with: call again with the rest of the input.
	SESSION_NEXT,
	// Ask the backend for session_sender() / session_recipient(): suspended.
	SESSION_RECIPIENT,
	// Ask the backend for DATA: suspended.
	SESSION_DATA,
	// body[] are message bytes for the backend: in DATA form (dots stuffed), or as they are
	// meant if it takes chunks (session_answer.chunked).
	SESSION_BODY,
	// The client's end of data was seen whole and is allowed: suspended until the backend's
	// final reply.
	SESSION_END,
	// The message is abandoned, or the backend's answer did not fit: end the backend connection
	// without end of data. The session goes on, with input as after NEXT. May have a reply.
	SESSION_ABORT,
	// The transaction is over: the backend connection, if there still is one, may go back to
	// the pool. Input as after NEXT.
	SESSION_RESET,
	// Send the reply, then close the session (any backend leg is aborted).
	SESSION_CLOSE,
};

struct session_step {
	enum session_intent intent;
	size_t consumed;                        // bytes of the input that are used up
	struct slice body[SESSION_BODY_PIECES]; // SESSION_BODY: in this order; valid until the
						// input is released
	// For counters and the log; the caller counts.
	enum reason reason; // REASON_NONE or the refusal
	uint16_t code;      // reply code given in this step, 0 = none
	struct slice line;  // the command line of this step, or as much as is known of one that was
			    // refused for its form; no data: none. Valid until the next call
	char verb[8]; // upper case, NUL-padded; "BODY" inside a message, "" before any command
	const char *detail; // what was refused (path, parameter, reply), printable, or NULL; lives
			    // in the reply_buffer
	bool slow;          // SESSION_RECIPIENT: to be asked only after TarpitInterval
	// An open message was left unfinished: RSET, EHLO, QUIT, FIN, silence, broken form.
	bool transaction_ended_by_client;
};

enum session_state {
	SESSION_STATE_GREETED, // banner sent, no EHLO/HELO yet
	SESSION_STATE_READY,   // no transaction
	SESSION_STATE_MAIL,    // MAIL accepted, no RCPT accepted yet
	SESSION_STATE_RCPT,    // at least one RCPT accepted
	SESSION_STATE_CHUNKS,  // in or between the chunks of a message
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
	bool chunked;       // to DATA, with 354: the message goes on in counted chunks
};

// What all live servers of the connector's backend have now: EHLO offers no more.
struct session_servers {
	unsigned extensions; // bits of enum smtp_extension
	uint64_t size;       // their smallest SIZE, 0 = none
};

struct session {
	struct session_peer peer;
	struct pool *chunks;
	enum session_state state;
	uint16_t offence; // enum reason for which every recipient is refused, or REASON_NONE
	uint8_t listing;  // enum session_listing, once it was asked
	uint8_t list;     // of the policy's: named in the refusal of a listed client
	uint64_t opened_us, input_us; // for the two timeouts
	uint64_t message_octets;      // of the message, dots undone; kept until the next one
	uint64_t declared_size;       // MAIL SIZE=, 0 = none
	uint64_t chunk_size;          // of the last BDAT
	uint64_t chunk_left;          // octets of it that are still to come
	uint32_t recipients;          // accepted in this transaction
	uint32_t recipients_asked;    // including refused ones
	uint32_t protocol_errors;
	uint8_t extended : 1;       // EHLO rather than HELO
	uint8_t suspended : 1;      // waiting for session_answer
	uint8_t trusted : 1;        // MAIL AUTH= named a submitter, and the peer may say so
	uint8_t behind_refusal : 1; // of MAIL or a chunk; nothing but RCPT, DATA, BDAT since
	uint8_t chunk_last : 1;     // BDAT LAST
	uint8_t chunk_due : 1;      // its octets were read, its answer is due
	uint8_t input_ended : 1;    // FIN while the final reply is awaited: close after it
	uint8_t chunked : 1;        // the message goes on in chunks, its dots unstuffed
	uint8_t promised : 1;       // there was a MAIL, and no recipient accepted since
	uint8_t progressed : 1;     // see session_take_progress
	uint8_t body_state;         // of the end-of-data scanner
	uint16_t offered;           // bits of enum smtp_extension: by the last EHLO
	uint16_t needed;            // of a server, for this transaction
	uint8_t hello_length;
	uint8_t sender_length;       // of short_sender; 0: there is none, or it is in `sender`
	uint8_t chunk_refusal;       // enum reply_id that the chunk will get; 0 = it is taken
	enum session_intent pending; // what it is suspended for
	enum reason failure;  // why the transaction's backend leg is lost: RCPT and DATA get it
	enum reason rejected; // why the body that is being discarded will be refused
	struct line line;     // a partial command line
	union {
		struct header header;                    // of the message that streams by
		char short_sender[SESSION_SENDER_SHORT]; // before it: like `sender`
	};
	struct chunk_queue sender;    // "<path> PARAMETERS" of the transaction, for the server
	struct chunk_queue recipient; // the same of the RCPT that is being asked
	struct chunk_queue early;     // the backend's early reply, owed at the end of a body
	char hello[SESSION_HELLO_SHORT];
	struct chunk_queue long_hello; // instead, when hello_length is above SESSION_HELLO_SHORT
};

// Opens a session and writes the 220 banner.
void session_open(struct session *session, const struct session_peer *peer, struct pool *chunks,
		  struct tick now, struct reply_buffer *reply);
// The banner again, for a client that is to wait for it.
void session_greet(struct session *session, struct tick now, struct reply_buffer *reply);
// Is the peer of those that the tests at a session's beginning are for (`tested`): anonymous only,
// and not on the IP Allow list?
bool session_is_unknown(const struct session_peer *peer);
// The client spoke when it was not its turn: greet_early_talker or greet_pipelining. Fills reply
// and step by the connector's action: CLOSE, or MORE (each RCPT will be refused, or nothing is).
void session_offend(struct session *session, enum reason reason, struct reply_buffer *reply,
		    struct session_step *step);
// A refusal of an only line that was kept back is made once more from its row (reply_buffer.row).
void session_say_again(const struct session *session, unsigned row, struct reply_buffer *reply);
// Gives the session's chunks back. Idempotent.
void session_close(struct session *session);

// Feeds bytes. body_room: how many message bytes the backend leg takes now; with 0 a body waits
// (SESSION_MORE with consumed 0), and so may it with a
// few (HEADER_HELD_MAX + 2), while as many are kept back; such a call
// still shows that it is not the client who is silent. servers: looked at when a command line ends
// (PIPELINING and, but for BINARYMIME, CHUNKING are the gate's own).
// reply is filled from its start. Never called while suspended nor after the session closed.
void session_input(struct session *session, struct slice in, size_t body_room,
		   struct session_servers servers, struct tick now, struct reply_buffer *reply,
		   struct session_step *step);

// True when session_input() has something to say even without input: the answer to a chunk.
bool session_due(const struct session *session);

// Answers the intent that suspended the session. NEXT: the answer was yes (after DATA: the body
// comes) or, to RCPT, no. RESET: it ended the transaction. ABORT: it did not fit, and so the
// server's view of the transaction is unknown. CLOSE: the client's FIN had been seen before.
void session_answer(struct session *session, const struct session_answer *answer, struct tick now,
		    struct reply_buffer *reply, struct session_step *step);

// The backend failed or answered early while the body streams: read the body to its end, then give
// this answer (relay rule 5). An early answer that is not 4xx or 5xx counts as malformed. Also
// between two commands of a transaction whose leg was lost: later RCPT and DATA get 451, lest
// recipients that were accepted already be forgotten. Not while suspended; without a transaction it
// does nothing.
void session_fail_body(struct session *session, const struct session_answer *answer);

// Client's FIN, after all its bytes: what was begun is abandoned and the session is closed. Fills
// step: ABORT the leg, RESET it (it may go back to the pool), CLOSE when there is none. MORE only
// while the final reply is awaited: the message is the backend's already; session_answer closes.
void session_end_of_input(struct session *session, struct session_step *step);

// The gate is stopping: 421 at the next quiet point (now, unless a transaction is open; always once
// force is set). True when the session closed: reply and step are filled.
bool session_drain(struct session *session, bool force, struct reply_buffer *reply,
		   struct session_step *step);

// Room is wanted for somebody else: 421 now, whatever is open. Not after the session closed.
void session_evict(struct session *session, enum reason reason, struct reply_buffer *reply,
		   struct session_step *step);

// The client's source was banned: 421 now. Not after the session closed, nor while
// session_in_message.
void session_expel(struct session *session, struct reply_buffer *reply, struct session_step *step);
// Is a message on its way, from the client's DATA or BDAT to its answer?
bool session_in_message(const struct session *session);
// The connection is above a limit: 421 in place of the banner that session_open wrote. Reason: one
// of smtp_limit_*.
void session_refuse(struct session *session, enum reason reason, struct reply_buffer *reply,
		    struct session_step *step);

// Did it come nearer to a message since it was last asked? Its first greeting, the first MAIL since
// a recipient was accepted, a recipient, a message do; nothing does that can be said again and
// again to no purpose, so that it is known who only stays.
bool session_take_progress(struct session *session);
// Does it hold chunks now?
bool session_holds_chunks(const struct session *session);

// The caller kept a reply back until now: so long it was not the client who was silent.
void session_resume(struct session *session, struct tick now);

// Next time a limit of the connector strikes; UINT64_MAX when none runs: while the final reply is
// awaited (relay rule 6), and after the close. While another answer is awaited only
// ConnectionTimeout runs: it is not the client who is silent.
uint64_t session_deadline(const struct session *session);
// The limit struck (now is at or past session_deadline): 451 4.7.0 or 421 4.4.1, SESSION_CLOSE.
void session_timeout(struct session *session, struct tick now, struct reply_buffer *reply,
		     struct session_step *step);

// "<path> PARAMETERS" as our MAIL command may carry it to a server with these extensions (bits of
// enum smtp_extension), and the same for RCPT: the client's bytes, but for SIZE and BODY. Copied
// into scratch (SESSION_COMMAND_MAX bytes). Empty outside a transaction. What a server cannot do
// with a message is never left out or converted: *possible is false then.
struct slice session_sender(const struct session *session, unsigned server_extensions,
			    char *scratch, size_t scratch_size, bool *possible);
struct slice session_recipient(const struct session *session, char *scratch, size_t scratch_size);

// What the gate puts in front of the message: Received (RFC 5321 section 4.4), folded below 78
// where the names allow, and the stamps of Exchange (connector reference, section 7.2) unless the
// client may bring its own: AuthAs, AuthSource, AuthMechanism, and an SCL of -1 with its
// Antispam-Report. size: at least SESSION_ADDED_MAX. Returns its length.
size_t session_added_header(const struct session *session, struct tick now, char *buffer,
			    size_t size);

#endif
