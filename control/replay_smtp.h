// SPDX-License-Identifier: BSD-3-Clause
//
// The server's side of an SMTP session, as far as the gate's side of it goes (RFC 5321): EHLO,
// MAIL, RCPT, DATA, RSET, NOOP, QUIT; a message is read to its end and forgotten. For the played
// backend of a replay; checks order no further than a reply depends on it.
#ifndef RELAYGATE_CONTROL_REPLAY_SMTP_H
#define RELAYGATE_CONTROL_REPLAY_SMTP_H

#include "dataplane/base/slice.h"

struct replay_smtp {
	bool refuses; // every recipient
	bool closing; // QUIT was answered
	bool in_message;
	unsigned recipients;
	unsigned end_matched; // bytes of the end of data seen
	unsigned length;      // of the line; no more than its verb matters
	char verb[4];
};

// Begins a session; returns the greeting. Replies are constant texts.
struct slice replay_smtp_open(struct replay_smtp *smtp, bool refuses);
// The next byte of the client; returns the reply that it completes the question of, mostly none.
struct slice replay_smtp_byte(struct replay_smtp *smtp, uint8_t byte);

#endif
