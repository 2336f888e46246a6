// SPDX-License-Identifier: BSD-3-Clause
//
// Messages of a simulation: made from a seed, remembered, and compared with what the server got.
// The ledger is the judge of the relay rules: acknowledged means delivered, once, unchanged;
// unfinished means never delivered.
#ifndef RELAYGATE_SIM_MAIL_H
#define RELAYGATE_SIM_MAIL_H

#include "tests/sim/host.h"

enum mail_kind {
	MAIL_ORDINARY,       // to an accepted domain
	MAIL_FOREIGN,        // to another one: 550 5.7.1 Unable to relay
	MAIL_BARE_LINE_FEED, // a smuggling attempt in the body: 521
	MAIL_TOO_LARGE,      // 552
	MAIL_CUT,            // the client resets in the middle of the body
	MAIL_VANISH,         // the client is never heard of again
	MAIL_KINDS,
};

struct mail {
	enum mail_kind kind;
	uint8_t *text; // in DATA form, without the final dot
	size_t length;
	bool first;         // of its session
	bool finished;      // the client sent CR LF . CR LF
	unsigned delivered; // the server answered 250
	unsigned code;      // final answer that the client read, 0 = none
	bool changed;       // the server got something else
};

#define MAILS_MAX 64

struct ledger {
	struct mail mails[MAILS_MAX];
	unsigned count;
	struct random *random;
	unsigned sessions_open;
};

unsigned ledger_add(struct ledger *ledger, enum mail_kind kind, uint32_t size);
void ledger_fini(struct ledger *ledger);
// The server accepted this text (DATA form): finds the message by its X-Sim header and compares.
void ledger_delivered(struct ledger *ledger, struct slice text);
// NULL when the relay rules held, else what broke them.
const char *ledger_verdict(const struct ledger *ledger, char text[128]);

// The client's application: sends mails [first, first + count) of the ledger over one connection.
struct client_script {
	struct ledger *ledger;
	unsigned first, count;
	bool pipelining;
	uint32_t most; // bytes that it sends at once
};
extern const struct application client_application;
void *client_state(const struct client_script *script);

// The server's application: `mischief` permille of verbs are refused or answered by a close.
struct server_script {
	struct ledger *ledger;
	unsigned mischief_permille;
	unsigned stall_permille;
	bool pipelining;
};
extern const struct application server_application;
// All connections that a host accepts run this script.
void server_use(const struct server_script *script);

#endif
