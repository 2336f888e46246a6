// SPDX-License-Identifier: BSD-3-Clause
//
// A conversation between an upstream and a server that a test plays: steps in, what came of them
// out, as texts that read like a log. Server bytes arrive in pieces of any size, each in a heap
// block of exactly its length, so that a sanitizer sees a read past its end.
#ifndef RELAYGATE_TESTS_UNIT_RELAY_DIALOGUE_H
#define RELAYGATE_TESTS_UNIT_RELAY_DIALOGUE_H

#include "dataplane/relay/upstream.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <setjmp.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

enum op {
	STOP,      // end of the steps
	CONNECTED, // the TCP handshake is done
	SERVER,    // the server says text
	SENT,      // since the last SENT we said exactly text
	SAW,       // since the last SAW these events came: "READY, ANSWER 250"
	REPLY,     // the last event's reply is text
	RECIPIENT, // ask for text
	DATA,
	END,
	CHUNKS,
	CHUNK,      // of so many octets, if one is allowed: else "not now"
	LAST_CHUNK, // the same
	RESET,
	QUIT,
	BORROWED,
	LOST,
	LATE,       // the deadline passed
	ON_THE_WAY, // the server's TCP did not acknowledge yet what is sent from here on
	ARRIVED,    // it did
};

struct step {
	enum op op;
	const char *text;
};

#define DIALOGUE_STEPS 64
#define NOW_US         UINT64_C(5000000)

struct dialogue {
	struct upstream upstream;
	struct upstream_commands commands;
	char events[512];
	char reply[REPLY_PARSER_TEXT_MAX + 1];
};

static struct backend dialogue_backend = {
	.name = (char *)"cluster",
	.server_count = 1,
	.max_connections = 20,
	.connect_timeout_ms = 10000,
	.reply_timeout_ms = 20000,
	.final_reply_timeout_ms = 600000,
};
static const struct policy dialogue_policy = {
	.backends = &dialogue_backend,
	.backend_count = 1,
};

static const char *dialogue_reason(enum reason reason)
{
	static const char *const names[] = {[REASON_NONE] = "quietly",
#define X(name, kind, help) [REASON_##name] = #name,
					    REASONS(X)
#undef X
	};
	return names[reason];
}

__attribute__((format(printf, 2, 3))) static void dialogue_note(struct dialogue *dialogue,
								const char *format, ...)
{
	size_t length = strlen(dialogue->events);
	va_list arguments;

	if (length > 0)
		length += (size_t)snprintf(dialogue->events + length,
					   sizeof(dialogue->events) - length, ", ");
	va_start(arguments, format);
	vsnprintf(dialogue->events + length, sizeof(dialogue->events) - length, format, arguments);
	va_end(arguments);
}

static void dialogue_note_result(struct dialogue *dialogue, const struct upstream_result *result)
{
	static const char *const names[] = {
		[UPSTREAM_READY] = "READY",       [UPSTREAM_ANSWER] = "ANSWER",
		[UPSTREAM_EARLY] = "EARLY",       [UPSTREAM_GONE] = "GONE",
		[UPSTREAM_FINISHED] = "FINISHED", [UPSTREAM_CHUNK] = "CHUNK",
	};

	switch (result->event) {
	case UPSTREAM_NONE:
		return;
	case UPSTREAM_ANSWER:
	case UPSTREAM_EARLY:
		dialogue_note(dialogue, "%s %u%s", names[result->event], result->code,
			      dialogue->upstream.state == UPSTREAM_FAILED ? " spent" : "");
		break;
	case UPSTREAM_GONE:
		dialogue_note(dialogue, "GONE %s%s", dialogue_reason(result->reason),
			      upstream_replaceable(&dialogue->upstream) ? " replaceable" : "");
		break;
	default:
		dialogue_note(dialogue, "%s", names[result->event]);
	}
	snprintf(dialogue->reply, sizeof(dialogue->reply), "%.*s", (int)result->reply.length,
		 result->reply.length ? (const char *)result->reply.data : "");
}

// As the pipeline does: until all is consumed and nothing more comes of it.
static void dialogue_feed(struct dialogue *dialogue, struct slice in)
{
	struct upstream_result result;

	do {
		upstream_input(&dialogue->upstream, &dialogue_policy, "mx.example.com", in, NOW_US,
			       &dialogue->commands, &result);
		assert_true(result.consumed <= in.length);
		in = slice_from(in, result.consumed);
		dialogue_note_result(dialogue, &result);
	} while (in.length > 0 && result.event != UPSTREAM_GONE &&
		 result.event != UPSTREAM_FINISHED);
}

static void dialogue_server(struct dialogue *dialogue, const char *text, size_t piece)
{
	size_t length = strlen(text);

	for (size_t offset = 0; offset < length; offset += piece) {
		size_t size = length - offset < piece ? length - offset : piece;
		uint8_t *block = malloc(size);

		if (dialogue->upstream.state != UPSTREAM_FAILED) {
			memcpy(block, text + offset, size);
			dialogue_feed(dialogue, slice_of(block, size));
		}
		free(block);
	}
}

static void dialogue_recipient(struct dialogue *dialogue, const char *recipient)
{
	if (!upstream_recipient(&dialogue->upstream, &dialogue_policy,
				slice_of_text("<a@client.test> SIZE=9"), slice_of_text(recipient),
				NOW_US, &dialogue->commands))
		dialogue_feed(dialogue, slice_of(NULL, 0));
}

static void dialogue_check_sent(struct dialogue *dialogue, const char *text)
{
	char sent[sizeof(dialogue->commands.text) + 1];

	snprintf(sent, sizeof(sent), "%.*s", dialogue->commands.length, dialogue->commands.text);
	assert_string_equal(sent, text);
	dialogue->commands.length = 0;
}

static void dialogue_step(struct dialogue *dialogue, const struct step *step, size_t piece)
{
	struct upstream *upstream = &dialogue->upstream;
	struct upstream_commands *commands = &dialogue->commands;
	struct upstream_result result = {.event = UPSTREAM_NONE};

	switch (step->op) {
	case CONNECTED:
		upstream_connected(upstream, &dialogue_policy, NOW_US);
		break;
	case SERVER:
		dialogue_server(dialogue, step->text, piece);
		break;
	case SENT:
		dialogue_check_sent(dialogue, step->text);
		break;
	case SAW:
		assert_string_equal(dialogue->events, step->text);
		dialogue->events[0] = '\0';
		break;
	case REPLY:
		assert_string_equal(dialogue->reply, step->text);
		break;
	case RECIPIENT:
		dialogue_recipient(dialogue, step->text);
		break;
	case DATA:
		upstream_data(upstream, &dialogue_policy, NOW_US, commands);
		break;
	case END:
		upstream_end(upstream, &dialogue_policy, NOW_US, commands);
		break;
	case CHUNKS:
		upstream_chunks(upstream, &dialogue_policy, NOW_US);
		break;
	case CHUNK:
	case LAST_CHUNK:
		if (upstream_chunk_allowed(upstream, step->op == LAST_CHUNK))
			upstream_chunk(upstream, &dialogue_policy, strtoul(step->text, NULL, 10),
				       step->op == LAST_CHUNK, NOW_US, commands);
		else
			dialogue_note(dialogue, "not now");
		break;
	case RESET:
		if (!upstream_reset(upstream, &dialogue_policy, NOW_US, commands))
			dialogue_note(dialogue, "idle already");
		break;
	case QUIT:
		upstream_quit(upstream, &dialogue_policy, NOW_US, commands);
		break;
	case BORROWED:
		upstream_borrowed(upstream);
		break;
	case LOST:
		upstream_lost(upstream, &result);
		dialogue_note_result(dialogue, &result);
		break;
	case LATE:
		upstream_timeout(upstream, &result);
		dialogue_note_result(dialogue, &result);
		break;
	case ON_THE_WAY:
	case ARRIVED:
		upstream_acknowledged(upstream, step->op == ARRIVED);
		break;
	case STOP:
		break;
	}
}

static void dialogue_begin(struct dialogue *dialogue, bool probe)
{
	memset(dialogue, 0, sizeof(*dialogue));
	upstream_init(&dialogue->upstream, &dialogue_policy, 0, 0, probe, NOW_US);
}

static void dialogue_run(struct dialogue *dialogue, const struct step *steps, size_t piece)
{
	for (; steps->op != STOP; steps++)
		dialogue_step(dialogue, steps, piece);
}

// Steps that many dialogues begin with.
#define GREETED                                                                                    \
	{CONNECTED, NULL}, {SERVER, "220 s ESMTP\r\n"},                                            \
	{                                                                                          \
		SENT, "EHLO mx.example.com\r\n"                                                    \
	}
#define READY_SERIAL                                                                               \
	GREETED, {SERVER, "250-s\r\n250 SIZE 1000\r\n"},                                           \
	{                                                                                          \
		SAW, "READY"                                                                       \
	}
#define READY_PIPELINE                                                                             \
	GREETED, {SERVER, "250-s\r\n250-8BITMIME\r\n250 PIPELINING\r\n"},                          \
	{                                                                                          \
		SAW, "READY"                                                                       \
	}
#define MAIL_LINE "MAIL FROM:<a@client.test> SIZE=9\r\n"
#define RCPT_LINE "RCPT TO:<b@c.test>\r\n"
#define MAIL_SERIAL                                                                                \
	READY_SERIAL, {RECIPIENT, "<b@c.test>"},                                                   \
	{                                                                                          \
		SENT, MAIL_LINE                                                                    \
	}
#define MAIL_PIPELINE                                                                              \
	READY_PIPELINE, {RECIPIENT, "<b@c.test>"},                                                 \
	{                                                                                          \
		SENT, MAIL_LINE RCPT_LINE                                                          \
	}
#define RCPT_SERIAL                                                                                \
	MAIL_SERIAL, {SERVER, "250 ok\r\n"},                                                       \
	{                                                                                          \
		SENT, RCPT_LINE                                                                    \
	}
#define RCPT_PIPELINE                                                                              \
	MAIL_PIPELINE, {SERVER, "250 ok\r\n"},                                                     \
	{                                                                                          \
		SENT, ""                                                                           \
	}
#define OPEN                                                                                       \
	RCPT_PIPELINE, {SERVER, "250 b ok\r\n"},                                                   \
	{                                                                                          \
		SAW, "ANSWER 250"                                                                  \
	}
#define DATA_SENT                                                                                  \
	OPEN, {DATA, NULL},                                                                        \
	{                                                                                          \
		SENT, "DATA\r\n"                                                                   \
	}
#define BODY                                                                                       \
	DATA_SENT, {SERVER, "354 go\r\n"},                                                         \
	{                                                                                          \
		SAW, "ANSWER 354"                                                                  \
	}
#define FINAL                                                                                      \
	BODY, {END, NULL},                                                                         \
	{                                                                                          \
		SENT, ".\r\n"                                                                      \
	}
#define RESETTING                                                                                  \
	FINAL, {SERVER, "250 queued\r\n"}, {SAW, "ANSWER 250"},                                    \
	{                                                                                          \
		SENT, "RSET\r\n"                                                                   \
	}
// The same with CHUNKING, as far as the recipient's answer.
#define CHUNKS_OPEN(pipelining)                                                                    \
	GREETED, {SERVER, "250-s\r\n" pipelining "250 CHUNKING\r\n"}, {SAW, "READY"},              \
		{RECIPIENT, "<b@c.test>"}, {SERVER, "250 ok\r\n"}, {SERVER, "250 b ok\r\n"},       \
		{SAW, "ANSWER 250"}, {SENT, MAIL_LINE RCPT_LINE}, {CHUNKS, NULL},                  \
	{                                                                                          \
		SENT, ""                                                                           \
	}
#define CHUNKS_PIPELINE CHUNKS_OPEN("250-PIPELINING\r\n")
#define USED                                                                                       \
	RESETTING, {SERVER, "250 reset\r\n"},                                                      \
	{                                                                                          \
		SAW, "READY"                                                                       \
	}

#endif
