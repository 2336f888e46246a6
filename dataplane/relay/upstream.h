// SPDX-License-Identifier: BSD-3-Clause
//
// One connection to a backend server as SMTP client (RFC 5321): what to say, and what the server's
// bytes mean. Bytes in, bytes out; knows no TCP. The pipeline opens and closes the flow under it.
// Owns its protocol state only. At most one answer is outstanding for the client at a time.
// A server that speaks when nothing was asked is out of step: its connection is given up, so that
// no reply can ever be taken for the answer to another command.
#ifndef RELAYGATE_RELAY_UPSTREAM_H
#define RELAYGATE_RELAY_UPSTREAM_H

#include "bpf/counters.h"
#include "config/policy.h"
#include "dataplane/base/slice.h"
#include "dataplane/smtp/reply_parser.h"

enum upstream_state {
	UPSTREAM_CONNECTING, // TCP handshake
	UPSTREAM_GREETING,   // waiting for 220
	UPSTREAM_HELLO,      // EHLO or HELO sent
	UPSTREAM_IDLE,       // no transaction, nothing unanswered: poolable
	UPSTREAM_MAIL,       // MAIL (and RCPT, with PIPELINING) sent
	UPSTREAM_RCPT,       // RCPT sent, MAIL answered
	UPSTREAM_OPEN,       // transaction open, nothing unanswered
	UPSTREAM_DATA,       // DATA sent
	UPSTREAM_BODY,       // 354 seen: body flows
	UPSTREAM_CHUNKS,     // body flows in BDAT chunks; any number of them may be unanswered
	UPSTREAM_FINAL,      // end of data, or the last chunk, sent
	UPSTREAM_RESETTING,  // RSET sent, or to be sent once all chunks are answered
	UPSTREAM_QUITTING,   // QUIT sent
	UPSTREAM_FAILED,     // only to be aborted
};

// The longest sender or recipient argument: a path, and what MAIL or RCPT may carry behind it.
#define UPSTREAM_ARGUMENT_MAX 4352

// Bytes for the server, appended by calls below; the caller sends and empties it after each call.
struct upstream_commands {
	uint16_t length;
	char text[8960];
};

enum upstream_event {
	UPSTREAM_NONE,   // nothing for the client
	UPSTREAM_READY,  // greeted, or RSET answered 250: IDLE now (never of a probe)
	UPSTREAM_ANSWER, // answer to the last request: code, reply
	UPSTREAM_CHUNK,  // a chunk was taken: perhaps there may be another one now
	UPSTREAM_EARLY,  // the server refused inside the body: code (4xx, 5xx), reply. FAILED: the
			 // connection is spent; else RSET follows by itself
	UPSTREAM_GONE,   // failed: reason says how; abort the connection
	UPSTREAM_FINISHED, // QUIT answered: close the connection; a probe's success
};

struct upstream_result {
	enum upstream_event event;
	size_t consumed;
	// Of UPSTREAM_GONE. REASON_NONE when an idle server left, which is nobody's fault.
	enum reason reason;
	uint16_t code;      // 0 when no reply is behind the event
	struct slice reply; // well formed, CR LF ended; valid until the upstream's next call
};

struct upstream {
	enum upstream_state state; // written by upstream.c only, read by anyone
	unsigned backend, server;  // indexes into the policy
	unsigned extensions;       // bits of enum smtp_extension, from EHLO
	uint64_t server_size;      // SIZE value, 0 = none given
	uint64_t deadline_us;      // UINT64_MAX = none
	bool probe;                // EHLO, QUIT, nothing else
	bool used;          // was idle or has carried a transaction: a connection that may be stale
	bool esmtp;         // EHLO, not yet HELO
	bool replaceable;   // see upstream_replaceable
	bool reply_begun;   // the parser holds a part of a reply
	bool unheard;       // the server's TCP has not acknowledged all that was said
	bool early_begun;   // a reply to the last command began before the server had that whole
	bool reset_due;     // RESETTING: chunks are unanswered, RSET is not sent yet
	uint8_t unanswered; // replies that the server owes us
	enum reason failure;        // in FAILED: why
	uint16_t mail_refusal_code; // MAIL refused: answer to this RCPT and all later ones
	uint16_t mail_refusal_length;
	uint16_t recipient_length; // RCPT that follows MAIL, to a server without PIPELINING
	char mail_refusal[REPLY_PARSER_TEXT_MAX];
	char recipient[UPSTREAM_ARGUMENT_MAX];
	struct reply_parser parser;
};

// A connection being opened to policy->backends[backend].servers[server].
void upstream_init(struct upstream *upstream, const struct policy *policy, unsigned backend,
		   unsigned server, bool probe, uint64_t now_us);
// The TCP handshake is done: wait for the greeting.
void upstream_connected(struct upstream *upstream, const struct policy *policy, uint64_t now_us);
// In IDLE: it was taken out of the pool for a transaction, so the server may have left unseen.
void upstream_borrowed(struct upstream *upstream);

// Requests; each is allowed in one state only (asserted) and appends commands. Arguments hold no
// CR, LF or NUL and at most UPSTREAM_ARGUMENT_MAX bytes (asserted).
// sender: "<path> parameters", recipient: "<path>". From IDLE sends MAIL (with RCPT behind it if
// the server pipelines), from OPEN just RCPT. False: the server refused this transaction's MAIL, so
// nothing is sent and the answer is known: call upstream_input, with whatever input there is.
bool upstream_recipient(struct upstream *upstream, const struct policy *policy, struct slice sender,
			struct slice recipient, uint64_t now_us,
			struct upstream_commands *commands);
// DATA, from OPEN, when the server accepted a recipient. The answer 354 leads to BODY, any other
// back to OPEN.
void upstream_data(struct upstream *upstream, const struct policy *policy, uint64_t now_us,
		   struct upstream_commands *commands);
// End of data, from BODY. All body bytes are already on their way, in DATA form (RFC 5321 section
// 4.5.2), and end with CR LF.
void upstream_end(struct upstream *upstream, const struct policy *policy, uint64_t now_us,
		  struct upstream_commands *commands);
// The body in chunks (RFC 3030), from OPEN, when the server accepted a recipient and has CHUNKING.
// Sends nothing yet.
void upstream_chunks(struct upstream *upstream, const struct policy *policy, uint64_t now_us);
// May a chunk be said now? Without PIPELINING only when none is unanswered; with it few may be. The
// last one only after the server took all others, so that it never sees the end of a message of
// which it refused a part.
bool upstream_chunk_allowed(const struct upstream *upstream, bool last);
// BDAT, when allowed. The caller sends so many octets right behind it. The answer to the last one
// is the final one, as after upstream_end.
void upstream_chunk(struct upstream *upstream, const struct policy *policy, size_t octets,
		    bool last, uint64_t now_us, struct upstream_commands *commands);
// The transaction is over. Sends RSET from OPEN, and from CHUNKS once all chunks are answered, so
// that none is left half sent. Nothing to do in IDLE (false), nor in RESETTING: after the final
// answer the RSET follows by itself. True when READY is awaited.
bool upstream_reset(struct upstream *upstream, const struct policy *policy, uint64_t now_us,
		    struct upstream_commands *commands);
// From IDLE.
void upstream_quit(struct upstream *upstream, const struct policy *policy, uint64_t now_us,
		   struct upstream_commands *commands);

// Before upstream_input: did the server's TCP acknowledge every byte that was sent? What it answers
// before that cannot be about the last command, chunk or end of data: if it says yes to it, it is
// out of step. It may refuse a message early.
void upstream_acknowledged(struct upstream *upstream, bool all);

// Bytes from the server, as far as one event; call again with the rest until all is consumed. The
// commands that follow by themselves (EHLO after the greeting, HELO when EHLO is refused, RCPT
// after MAIL, RSET after the final answer, QUIT of a probe) are appended.
// After ANSWER look at the state before the next request: FAILED means that the server closes (421)
// or is out of step. The answer stands, the connection is spent; the next call says GONE.
void upstream_input(struct upstream *upstream, const struct policy *policy, const char *our_name,
		    struct slice in, uint64_t now_us, struct upstream_commands *commands,
		    struct upstream_result *result);
// FIN, RST or TCP timeout of the server, after its last bytes were given to upstream_input:
// UPSTREAM_GONE with backend_lost, backend_connect_failed (before EHLO was answered) or REASON_NONE
// (no transaction), or FINISHED.
void upstream_lost(struct upstream *upstream, struct upstream_result *result);
// The deadline (upstream->deadline_us, UINT64_MAX = none) passed: UPSTREAM_GONE with
// backend_timeout, or backend_connect_failed of a TCP handshake.
void upstream_timeout(struct upstream *upstream, struct upstream_result *result);
// In BODY and CHUNKS the server has reply_timeout_ms to take bytes: call this whenever it
// acknowledged some, and, in BODY, when the deadline passes while no body byte waits for it (then
// the client is the slow one). Nothing in other states.
void upstream_progress(struct upstream *upstream, const struct policy *policy, uint64_t now_us);

// After UPSTREAM_GONE: may this borrowed connection be replaced once, unseen by the client? True
// when it died before MAIL was answered (relay rule 7), a 421 included. The replacement should be a
// new connection: another pooled one may be as stale.
bool upstream_replaceable(const struct upstream *upstream);

#endif
