// SPDX-License-Identifier: BSD-3-Clause
//
// One connection to a backend server as SMTP client (RFC 5321): what to say, and what the server's
// bytes mean. Bytes in, bytes out; knows no TCP. The pipeline opens and closes the flow under it.
// Owns its protocol state only. At most one answer is outstanding for the client at a time.
#ifndef RELAYGATE_RELAY_UPSTREAM_H
#define RELAYGATE_RELAY_UPSTREAM_H

#include "bpf/counters.h"
#include "config/policy.h"
#include "dataplane/base/slice.h"
#include "dataplane/smtp/reply_parser.h"

enum upstream_state {
	UPSTREAM_CONNECTING, // TCP handshake
	UPSTREAM_GREETING,   // waiting for 220
	UPSTREAM_HELLO,      // EHLO sent
	UPSTREAM_IDLE,       // no transaction, nothing unanswered: poolable
	UPSTREAM_MAIL,       // MAIL (and RCPT, with PIPELINING) sent
	UPSTREAM_RCPT,       // RCPT sent
	UPSTREAM_OPEN,       // transaction open, nothing unanswered
	UPSTREAM_DATA,       // DATA sent
	UPSTREAM_BODY,       // 354 seen: body flows
	UPSTREAM_FINAL,      // end of data sent
	UPSTREAM_RESETTING,  // RSET sent
	UPSTREAM_QUITTING,   // QUIT sent
	UPSTREAM_FAILED,     // only to be aborted
};

// Bytes for the server, appended by calls below; the caller sends and empties it.
struct upstream_commands {
	uint16_t length;
	char text[4096];
};

enum upstream_event {
	UPSTREAM_NONE,     // nothing for the client
	UPSTREAM_READY,    // greeted, or RSET answered 250: IDLE now
	UPSTREAM_ANSWER,   // answer to the last request: code, reply
	UPSTREAM_EARLY,    // the server answered inside the body: code, reply; connection is spent
	UPSTREAM_GONE,     // failed: reason says how; abort the connection
	UPSTREAM_FINISHED, // QUIT answered: close the connection
};

struct upstream_result {
	enum upstream_event event;
	size_t consumed;
	enum reason reason;
	uint16_t code;
	struct slice reply; // well formed, CR LF ended; valid until the next upstream_input
};

struct upstream {
	enum upstream_state state;
	unsigned backend, server; // indexes into the policy
	unsigned extensions;      // bits of enum smtp_extension, from EHLO
	uint64_t server_size;     // SIZE value, 0 = none given
	uint64_t deadline_us;
	bool probe;         // EHLO, QUIT, nothing else
	bool used;          // has carried a transaction: a pooled connection that may be stale
	bool mail_answered; // in this transaction
	bool esmtp;
	uint16_t mail_refusal_code; // MAIL refused: answer to this RCPT and all later ones
	uint16_t mail_refusal_length;
	char mail_refusal[512];
	struct reply_parser parser;
};

// A connection being opened to policy->backends[backend].servers[server].
void upstream_init(struct upstream *upstream, const struct policy *policy, unsigned backend,
		   unsigned server, bool probe, uint64_t now_us);
// The TCP handshake is done: wait for the greeting.
void upstream_connected(struct upstream *upstream, const struct policy *policy, uint64_t now_us);

// Requests; each is allowed in one state only (asserted) and appends commands.
// sender: "<path> parameters", recipient: "<path>". From IDLE sends MAIL (with RCPT behind it if
// the server pipelines), from OPEN just RCPT.
void upstream_recipient(struct upstream *upstream, const struct policy *policy, struct slice sender,
			struct slice recipient, uint64_t now_us,
			struct upstream_commands *commands);
void upstream_data(struct upstream *upstream, const struct policy *policy, uint64_t now_us,
		   struct upstream_commands *commands);
// End of data. octets_end_with_crlf: false before the first body byte.
void upstream_end(struct upstream *upstream, const struct policy *policy, uint64_t now_us,
		  struct upstream_commands *commands);
// RSET from OPEN (or IDLE: nothing to do, false). True when an answer is awaited.
bool upstream_reset(struct upstream *upstream, const struct policy *policy, uint64_t now_us,
		    struct upstream_commands *commands);
void upstream_quit(struct upstream *upstream, const struct policy *policy, uint64_t now_us,
		   struct upstream_commands *commands);

// Bytes from the server, as far as one event; call again with the rest. The commands that follow by
// themselves (EHLO after the greeting, HELO when EHLO is refused, RCPT after MAIL, QUIT of a probe)
// are appended.
void upstream_input(struct upstream *upstream, const struct policy *policy, const char *our_name,
		    struct slice in, uint64_t now_us, struct upstream_commands *commands,
		    struct upstream_result *result);
// FIN, RST or TCP timeout of the server: UPSTREAM_GONE with backend_lost or backend_connect_failed,
// or FINISHED.
void upstream_lost(struct upstream *upstream, struct upstream_result *result);
// The deadline (upstream->deadline_us, UINT64_MAX = none) passed: UPSTREAM_GONE with
// backend_timeout. While BODY flows, the deadline is pushed on by upstream_progress.
void upstream_timeout(struct upstream *upstream, struct upstream_result *result);
void upstream_progress(struct upstream *upstream, const struct policy *policy, uint64_t now_us);

// May a borrowed connection that just died be replaced once, unseen by the client? (relay rule 7)
bool upstream_replaceable(const struct upstream *upstream);

#endif
