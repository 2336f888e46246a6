// SPDX-License-Identifier: BSD-3-Clause
//
// Inside relay/ only: what upstream.c (requests, input) and upstream_reply.c (the meaning of
// replies) share. The state is set through the two functions below and nowhere else.
#ifndef RELAYGATE_RELAY_UPSTREAM_STATE_H
#define RELAYGATE_RELAY_UPSTREAM_STATE_H

#include "dataplane/relay/upstream.h"

// One call of upstream_input.
struct turn {
	struct upstream *upstream;
	const struct backend *backend;
	const char *our_name;
	uint64_t now_us;
	struct upstream_commands *commands;
	struct upstream_result *result;
};

// Any state but FAILED, with the deadline that belongs to it.
void upstream_state_enter(struct upstream *upstream, const struct backend *backend,
			  enum upstream_state state, uint64_t now_us);
// FAILED, and whether it may be replaced unseen. reason is what a later call reports.
void upstream_state_fail(struct upstream *upstream, enum reason reason);
// What it means when the server leaves (FIN, RST, 421 unasked) or is late in a state.
enum reason upstream_state_lost(enum upstream_state state);
enum reason upstream_state_late(enum upstream_state state);

// Appends a command line, to which the server then owes a reply.
void upstream_state_command(struct upstream *upstream, struct upstream_commands *commands,
			    const char *verb, struct slice argument);

// The transaction is over while chunks may be unanswered: RSET, now or behind the last answer.
void upstream_state_cancel(struct upstream *upstream, const struct backend *backend,
			   struct upstream_commands *commands, uint64_t now_us);

// upstream_reply.c: the parser holds a whole reply that is owed, or one inside the body. Acts on
// it: next state, commands that follow, result.
void upstream_reply(struct turn *turn);
// The answer of this transaction is the one that MAIL got.
void upstream_reply_refusal(struct turn *turn);
// Fails and says GONE.
void upstream_reply_gone(struct turn *turn, enum reason reason);

#endif
