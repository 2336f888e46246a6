// SPDX-License-Identifier: BSD-3-Clause
//
// The SMTP client's side of a transaction: requests, and the server's bytes as replies. Replies are
// counted: a server that owes none and speaks nevertheless loses its connection, since from then on
// no reply could be told from the next one. What a reply means is in upstream_reply.c. Does not
// handle the body's bytes (the pipeline moves them), TLS, or the choice of servers (servers.c).
#include "dataplane/relay/upstream_state.h"
#include "dataplane/smtp/extension.h"

#include <assert.h>
#include <stdio.h>

// Chunks that a server with PIPELINING may owe answers to.
#define UNANSWERED_CHUNKS_MAX 16

static const struct backend *backend_of(const struct upstream *upstream,
					const struct policy *policy)
{
	assert(upstream->backend < policy->backend_count);
	return &policy->backends[upstream->backend];
}

// ---- Input -----------------------------------------------------------------------------------

// Bytes that no command asked for: a farewell, or a server out of step.
static enum reason unasked_reason(const struct upstream *upstream, struct slice in)
{
	struct slice code = slice_first(in, 3); // a shorter farewell is cut by a segment's end

	return memcmp(code.data, "421", code.length) == 0 ? upstream_state_lost(upstream->state)
							  : REASON_backend_malformed_reply;
}

// A whole reply was parsed; rest is what came behind it.
static void take_reply(struct turn *turn, struct slice rest)
{
	struct upstream *upstream = turn->upstream;
	uint16_t commands_before = turn->commands->length;
	bool last;

	if (upstream->unanswered > 0)
		upstream->unanswered--;
	last = upstream->unanswered == 0;
	upstream_reply(turn);

	if (!last || rest.length == 0 || upstream->state == UPSTREAM_FAILED ||
	    upstream->state == UPSTREAM_BODY)
		return;
	// Every command sent so far is answered, so the rest answers none, least of all the next.
	turn->commands->length = commands_before;
	if (turn->result->event == UPSTREAM_ANSWER || turn->result->event == UPSTREAM_EARLY)
		upstream_state_fail(upstream, unasked_reason(upstream, rest));
	else
		upstream_reply_gone(turn, unasked_reason(upstream, rest));
}

static void begin_reply(struct upstream *upstream)
{
	reply_parser_init(&upstream->parser);
	upstream->reply_begun = true;
	// In a body, where nothing is owed, it becomes the answer to the end if that is sent
	// meanwhile. With several commands unanswered it is about the first of them.
	upstream->early_begun =
		upstream->unanswered == 0 || (upstream->unanswered == 1 && upstream->unheard);
}

static void take_bytes(struct turn *turn, struct slice in)
{
	struct upstream *upstream = turn->upstream;
	size_t used = 0;

	if (upstream->unanswered == 0 && upstream->state != UPSTREAM_BODY) {
		upstream_reply_gone(turn, unasked_reason(upstream, in));
		return;
	}
	if (!upstream->reply_begun)
		begin_reply(upstream);
	switch (reply_parser_input(&upstream->parser, in, &used)) {
	case REPLY_PARSER_MORE:
		turn->result->consumed += in.length;
		break;
	case REPLY_PARSER_MALFORMED:
		upstream_reply_gone(turn, REASON_backend_malformed_reply);
		break;
	case REPLY_PARSER_DONE:
		upstream->reply_begun = false;
		turn->result->consumed += used;
		take_reply(turn, slice_from(in, used));
		break;
	}
}

void upstream_acknowledged(struct upstream *upstream, bool all)
{
	upstream->unheard = !all;
}

void upstream_input(struct upstream *upstream, const struct policy *policy, const char *our_name,
		    struct slice in, uint64_t now_us, struct upstream_commands *commands,
		    struct upstream_result *result)
{
	struct turn turn = {upstream, backend_of(upstream, policy), our_name, now_us, commands,
			    result};

	*result = (struct upstream_result){.event = UPSTREAM_NONE};
	assert(upstream->state != UPSTREAM_CONNECTING);
	if (upstream->state == UPSTREAM_FAILED) {
		result->event = UPSTREAM_GONE;
		result->reason = upstream->failure;
	} else if (upstream->state == UPSTREAM_RCPT && upstream->unanswered == 0) {
		upstream_reply_refusal(&turn);
	} else {
		while (result->event == UPSTREAM_NONE && result->consumed < in.length)
			take_bytes(&turn, slice_from(in, result->consumed));
	}
	if (result->event == UPSTREAM_GONE)
		result->consumed = in.length;
}

// ---- Requests --------------------------------------------------------------------------------

void upstream_init(struct upstream *upstream, const struct policy *policy, unsigned backend,
		   unsigned server, bool probe, uint64_t now_us)
{
	memset(upstream, 0, sizeof(*upstream));
	upstream->backend = backend;
	upstream->server = server;
	upstream->probe = probe;
	assert(server < backend_of(upstream, policy)->server_count);
	upstream_state_enter(upstream, backend_of(upstream, policy), UPSTREAM_CONNECTING, now_us);
}

void upstream_connected(struct upstream *upstream, const struct policy *policy, uint64_t now_us)
{
	assert(upstream->state == UPSTREAM_CONNECTING);
	upstream->unanswered = 1; // the greeting comes unasked
	upstream_state_enter(upstream, backend_of(upstream, policy), UPSTREAM_GREETING, now_us);
}

void upstream_borrowed(struct upstream *upstream)
{
	assert(upstream->state == UPSTREAM_IDLE);
	upstream->used = true;
}

// The path was parsed and is ours to send; anything else here would let a client write commands
// into the backend's stream.
static void assert_argument(struct slice argument)
{
	assert(argument.length > 0 && argument.length <= UPSTREAM_ARGUMENT_MAX);
	assert(argument.data[0] == '<');
	assert(memchr(argument.data, '\r', argument.length) == NULL);
	assert(memchr(argument.data, '\n', argument.length) == NULL);
	assert(memchr(argument.data, '\0', argument.length) == NULL);
}

bool upstream_recipient(struct upstream *upstream, const struct policy *policy, struct slice sender,
			struct slice recipient, uint64_t now_us, struct upstream_commands *commands)
{
	const struct backend *backend = backend_of(upstream, policy);

	assert(upstream->state == UPSTREAM_IDLE || upstream->state == UPSTREAM_OPEN);
	assert_argument(recipient);
	if (upstream->state == UPSTREAM_OPEN) {
		upstream_state_enter(upstream, backend, UPSTREAM_RCPT, now_us);
		if (upstream->mail_refusal_code != 0)
			return false;
		upstream_state_command(upstream, commands, "RCPT TO:", recipient);
		return true;
	}
	assert_argument(sender);
	upstream->mail_refusal_code = 0;
	upstream_state_command(upstream, commands, "MAIL FROM:", sender);
	if (upstream->extensions & SMTP_EXTENSION_PIPELINING) {
		upstream_state_command(upstream, commands, "RCPT TO:", recipient);
	} else {
		memcpy(upstream->recipient, recipient.data, recipient.length);
		upstream->recipient_length = (uint16_t)recipient.length;
	}
	upstream_state_enter(upstream, backend, UPSTREAM_MAIL, now_us);
	return true;
}

void upstream_data(struct upstream *upstream, const struct policy *policy, uint64_t now_us,
		   struct upstream_commands *commands)
{
	assert(upstream->state == UPSTREAM_OPEN && upstream->mail_refusal_code == 0);
	upstream_state_command(upstream, commands, "DATA", slice_of("", 0));
	upstream_state_enter(upstream, backend_of(upstream, policy), UPSTREAM_DATA, now_us);
}

void upstream_end(struct upstream *upstream, const struct policy *policy, uint64_t now_us,
		  struct upstream_commands *commands)
{
	assert(upstream->state == UPSTREAM_BODY);
	upstream_state_command(upstream, commands, ".", slice_of("", 0));
	upstream_state_enter(upstream, backend_of(upstream, policy), UPSTREAM_FINAL, now_us);
}

void upstream_chunks(struct upstream *upstream, const struct policy *policy, uint64_t now_us)
{
	assert(upstream->state == UPSTREAM_OPEN && upstream->mail_refusal_code == 0);
	assert(upstream->extensions & SMTP_EXTENSION_CHUNKING);
	upstream_state_enter(upstream, backend_of(upstream, policy), UPSTREAM_CHUNKS, now_us);
}

bool upstream_chunk_allowed(const struct upstream *upstream, bool last)
{
	bool pipelining = upstream->extensions & SMTP_EXTENSION_PIPELINING;

	return upstream->state == UPSTREAM_CHUNKS &&
	       upstream->unanswered < (pipelining && !last ? UNANSWERED_CHUNKS_MAX : 1);
}

void upstream_chunk(struct upstream *upstream, const struct policy *policy, size_t octets,
		    bool last, uint64_t now_us, struct upstream_commands *commands)
{
	char argument[32];
	int length = snprintf(argument, sizeof(argument), "%zu%s", octets, last ? " LAST" : "");

	assert(upstream_chunk_allowed(upstream, last));
	upstream_state_command(upstream, commands, "BDAT ", slice_of(argument, (size_t)length));
	upstream_state_enter(upstream, backend_of(upstream, policy),
			     last ? UPSTREAM_FINAL : UPSTREAM_CHUNKS, now_us);
}

bool upstream_reset(struct upstream *upstream, const struct policy *policy, uint64_t now_us,
		    struct upstream_commands *commands)
{
	if (upstream->state == UPSTREAM_IDLE)
		return false;
	if (upstream->state == UPSTREAM_RESETTING)
		return true;
	assert(upstream->state == UPSTREAM_OPEN || upstream->state == UPSTREAM_CHUNKS);
	upstream_state_cancel(upstream, backend_of(upstream, policy), commands, now_us);
	return true;
}

void upstream_quit(struct upstream *upstream, const struct policy *policy, uint64_t now_us,
		   struct upstream_commands *commands)
{
	assert(upstream->state == UPSTREAM_IDLE);
	upstream_state_command(upstream, commands, "QUIT", slice_of("", 0));
	upstream_state_enter(upstream, backend_of(upstream, policy), UPSTREAM_QUITTING, now_us);
}

void upstream_lost(struct upstream *upstream, struct upstream_result *result)
{
	enum reason reason = upstream->state == UPSTREAM_FAILED
				     ? upstream->failure
				     : upstream_state_lost(upstream->state);

	*result = (struct upstream_result){.event = UPSTREAM_GONE, .reason = reason};
	if (upstream->state == UPSTREAM_QUITTING) // leaving is all that QUIT asks for
		result->event = UPSTREAM_FINISHED;
	if (upstream->state != UPSTREAM_FAILED)
		upstream_state_fail(upstream, reason);
}

void upstream_timeout(struct upstream *upstream, struct upstream_result *result)
{
	*result = (struct upstream_result){.event = UPSTREAM_NONE};
	if (upstream->deadline_us == UINT64_MAX)
		return;
	result->event = UPSTREAM_GONE;
	result->reason = upstream_state_late(upstream->state);
	upstream_state_fail(upstream, result->reason);
}

void upstream_progress(struct upstream *upstream, const struct policy *policy, uint64_t now_us)
{
	if (upstream->state == UPSTREAM_BODY || upstream->state == UPSTREAM_CHUNKS)
		upstream_state_enter(upstream, backend_of(upstream, policy), upstream->state,
				     now_us);
}

bool upstream_replaceable(const struct upstream *upstream)
{
	return upstream->replaceable;
}
