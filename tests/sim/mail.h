// SPDX-License-Identifier: BSD-3-Clause
//
// Messages of a simulation: made from a seed, remembered, and compared with what the server got.
// The ledger is the judge of the relay rules: acknowledged means delivered before, once, unchanged;
// unfinished or forbidden means never delivered.
#ifndef RELAYGATE_SIM_MAIL_H
#define RELAYGATE_SIM_MAIL_H

#include "tests/sim/connection.h"
#include "tests/sim/dice.h"

#include <stddef.h>

enum mail_kind {
	MAIL_ORDINARY,       // to an accepted domain
	MAIL_FOREIGN,        // to another one: 550 5.7.1 Unable to relay
	MAIL_WITHDRAWN,      // RSET after its recipient was accepted
	MAIL_BARE_LINE_FEED, // a smuggling attempt in the body: 521
	MAIL_TOO_LARGE,      // 552
	MAIL_HALF_CLOSED,    // the client's FIN comes right behind the final dot
	MAIL_CUT,            // the client resets in the middle of the body
	MAIL_LEFT,           // the client's FIN comes in the middle of the body
	MAIL_VANISH,         // the client is never heard of again
	MAIL_SLOW,           // from the middle of the body on an octet a second, for a while
	MAIL_KINDS,
};

struct mail {
	enum mail_kind kind;
	uint8_t *text; // in DATA form, without the final dot
	size_t length;
	bool first;         // of its session
	bool binary;        // it was announced with BODY=BINARYMIME
	bool finished;      // the client sent CR LF . CR LF
	unsigned delivered; // the server answered 250
	unsigned code;      // final answer that the client read, 0 = none
	bool changed;       // the server got something else
	bool early;         // the client read 250 before the server said it
};

#define MAILS_MAX 64

struct ledger {
	struct mail mails[MAILS_MAX];
	unsigned count;
	struct dice dice;
	bool foreign; // the server was asked to take a foreign recipient
	bool unknown; // the server got a message that no client sent
	bool rushed;  // a server without PIPELINING was told more than it had answered
};

unsigned ledger_add(struct ledger *ledger, enum mail_kind kind, uint32_t size);
void ledger_fini(struct ledger *ledger);
// The server accepted this text (DATA form): finds the message by its X-Sim header and compares.
void ledger_delivered(struct ledger *ledger, struct slice text);
// The client read the final answer.
void ledger_answered(struct ledger *ledger, struct mail *mail, unsigned code);
// NULL when the relay rules held, else what broke them.
const char *ledger_verdict(const struct ledger *ledger, char text[128]);

// The client's application: sends mails [first, first + count) of the ledger over one connection.
struct client_script {
	struct ledger *ledger;
	struct dice dice;
	unsigned first, count;
	bool pipelining;
	bool rushed;    // its one mail, body, QUIT and FIN at once, whatever is answered
	bool chunks;    // BDAT where it is offered, mostly
	bool binary;    // with BODY=BINARYMIME, likewise
	uint32_t most;  // bytes that it sends at once
	unsigned drops; // octets of a slow mail that come one by one
};
extern const struct application client_application;
void *client_state(const struct client_script *script);

// The server's application, told as the state of a new connection; the script outlives it.
struct server_script {
	struct ledger *ledger;
	struct dice dice;
	unsigned mischief_permille; // verbs that are refused or answered by a close
	unsigned stall_permille;    // it reads nothing for a second
	unsigned early_permille;    // chance of a piece of a body to be answered, and of a reset
	uint32_t think_ms;          // at most, before each answer
	bool pipelining, chunking, binary_mime;
};
extern const struct application server_application;

#endif
