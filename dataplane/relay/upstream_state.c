// SPDX-License-Identifier: BSD-3-Clause
//
// The upstream's state and what each state means when the server is lost or late, one row each;
// command lines. The only writer of upstream->state and of its deadline.
#include "dataplane/relay/upstream_state.h"

#include <assert.h>

#define NEVER UINT64_MAX

enum limit { LIMIT_NONE, LIMIT_CONNECT, LIMIT_REPLY, LIMIT_FINAL_REPLY };

static const struct {
	enum reason lost, late;
	enum limit limit;
} rows[] = {
	[UPSTREAM_CONNECTING] = {REASON_backend_connect_failed, REASON_backend_connect_failed,
				 LIMIT_CONNECT},
	[UPSTREAM_GREETING] = {REASON_backend_connect_failed, REASON_backend_timeout, LIMIT_REPLY},
	[UPSTREAM_HELLO] = {REASON_backend_connect_failed, REASON_backend_timeout, LIMIT_REPLY},
	// A server that leaves while nothing is asked of it applies its own idle limit.
	[UPSTREAM_IDLE] = {REASON_NONE, REASON_NONE, LIMIT_NONE},
	[UPSTREAM_MAIL] = {REASON_backend_lost, REASON_backend_timeout, LIMIT_REPLY},
	[UPSTREAM_RCPT] = {REASON_backend_lost, REASON_backend_timeout, LIMIT_REPLY},
	[UPSTREAM_OPEN] = {REASON_backend_lost, REASON_NONE, LIMIT_NONE},
	[UPSTREAM_DATA] = {REASON_backend_lost, REASON_backend_timeout, LIMIT_REPLY},
	[UPSTREAM_BODY] = {REASON_backend_lost, REASON_backend_timeout, LIMIT_REPLY},
	[UPSTREAM_CHUNKS] = {REASON_backend_lost, REASON_backend_timeout, LIMIT_REPLY},
	[UPSTREAM_FINAL] = {REASON_backend_lost, REASON_backend_timeout, LIMIT_FINAL_REPLY},
	// The transaction is answered: a server that leaves now leaves an idle connection.
	[UPSTREAM_RESETTING] = {REASON_NONE, REASON_backend_timeout, LIMIT_REPLY},
	[UPSTREAM_QUITTING] = {REASON_NONE, REASON_backend_timeout, LIMIT_REPLY},
	[UPSTREAM_FAILED] = {REASON_NONE, REASON_NONE, LIMIT_NONE},
};

static uint64_t limit_us(const struct backend *backend, enum limit limit)
{
	switch (limit) {
	case LIMIT_CONNECT:
		return backend->connect_timeout_ms * UINT64_C(1000);
	case LIMIT_REPLY:
		return backend->reply_timeout_ms * UINT64_C(1000);
	case LIMIT_FINAL_REPLY:
		return backend->final_reply_timeout_ms * UINT64_C(1000);
	case LIMIT_NONE:
		break;
	}
	return NEVER;
}

void upstream_state_enter(struct upstream *upstream, const struct backend *backend,
			  enum upstream_state state, uint64_t now_us)
{
	enum limit limit = rows[state].limit;

	// Between chunks the server owes nothing, and the client is the slow one.
	if (state == UPSTREAM_CHUNKS && upstream->unanswered == 0)
		limit = LIMIT_NONE;
	upstream->state = state;
	upstream->deadline_us = limit == LIMIT_NONE ? NEVER : now_us + limit_us(backend, limit);
}

void upstream_state_fail(struct upstream *upstream, enum reason reason)
{
	// Nothing but MAIL on a connection that may have been dead already: asking again elsewhere
	// cannot double anything.
	upstream->replaceable =
		upstream->state == UPSTREAM_MAIL && upstream->used && reason == REASON_backend_lost;
	upstream->state = UPSTREAM_FAILED;
	upstream->failure = reason;
	upstream->deadline_us = NEVER;
}

enum reason upstream_state_lost(enum upstream_state state)
{
	return rows[state].lost;
}

enum reason upstream_state_late(enum upstream_state state)
{
	return rows[state].late;
}

static void append(struct upstream_commands *commands, struct slice text)
{
	assert(text.length <= sizeof(commands->text) - commands->length);
	memcpy(commands->text + commands->length, text.data, text.length);
	commands->length += (uint16_t)text.length;
}

void upstream_state_command(struct upstream *upstream, struct upstream_commands *commands,
			    const char *verb, struct slice argument)
{
	append(commands, slice_of_text(verb));
	append(commands, argument);
	append(commands, slice_of_text("\r\n"));
	upstream->unanswered++;
}

void upstream_state_cancel(struct upstream *upstream, const struct backend *backend,
			   struct upstream_commands *commands, uint64_t now_us)
{
	upstream->reset_due = upstream->unanswered > 0;
	if (!upstream->reset_due)
		upstream_state_command(upstream, commands, "RSET", slice_of("", 0));
	upstream_state_enter(upstream, backend, UPSTREAM_RESETTING, now_us);
}
