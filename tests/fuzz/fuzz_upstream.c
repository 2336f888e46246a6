// SPDX-License-Identifier: BSD-3-Clause
//
// libFuzzer: a server's bytes, cut anywhere, into the relay's side of a transaction, between the
// requests that its state allows, time limits and lost connections. What the gate relies on is
// asserted: an answer is one well-formed reply, a message is never answered 2xx before its end was
// sent, and only whole commands go to the server, one line each.
//
// runs: 60000
#include "dataplane/base/cursor.h"
#include "dataplane/relay/upstream.h"
#include "dataplane/smtp/extension.h"

#include <assert.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum step { BYTES, TEXT, REQUEST, LEAVE, LATE, LOST, PROGRESS, STEPS };

// Bytes that get far, by their number.
static const char *const texts[] = {
	"220 s\r\n",
	"250 ok\r\n",
	"250-s\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SIZE 9\r\n",
	"354 go\r\n",
	"550 no\r\n",
	"450 no\r\n",
	"421 bye\r\n",
	"502 no\r\n",
	"221 bye\r\n",
	"250 a\r\n250 b\r\n",
	"250 a\r\n550 b\r\n",
	"550 a\r\n503 b\r\n",
	"250-s\r\n250-PIPELINING\r\n250 CHUNKING\r\n",
	"250-s\r\n250 CHUNKING\r\n",
};

static struct backend backend = {
	.name = (char *)"cluster",
	.server_count = 1,
	.max_connections = 20,
	.connect_timeout_ms = 10000,
	.reply_timeout_ms = 20000,
	.final_reply_timeout_ms = 600000,
};
static const struct policy policy = {.backends = &backend, .backend_count = 1};

struct play {
	struct upstream upstream;
	struct upstream_commands commands;
	uint64_t now_us;
	bool over;
	bool asked; // for an answer
	bool end_sent;
};

// Whole lines of ours, nothing else.
static void check_commands(struct play *play)
{
	const struct upstream_commands *commands = &play->commands;

	assert(commands->length <= sizeof(commands->text));
	assert(commands->length == 0 || commands->text[commands->length - 1] == '\n');
	for (unsigned i = 0; i < commands->length; i++) {
		assert(commands->text[i] != '\0');
		assert(commands->text[i] != '\n' || (i > 0 && commands->text[i - 1] == '\r'));
		assert(commands->text[i] != '\r' || commands->text[i + 1] == '\n');
	}
	play->commands.length = 0;
}

static void check_result(struct play *play, const struct upstream_result *result)
{
	switch (result->event) {
	case UPSTREAM_ANSWER:
		assert(play->asked && result->reply.length >= 5);
		assert((result->reply.data[0] - '0') * 100 + (result->reply.data[1] - '0') * 10 +
			       (result->reply.data[2] - '0') ==
		       result->code);
		assert(result->code / 100 == 2 || result->code / 100 == 4 ||
		       result->code / 100 == 5 || result->code == 354);
		play->asked = play->end_sent = false;
		break;
	case UPSTREAM_EARLY:
		assert(!play->end_sent && result->code >= 400);
		play->over = play->upstream.state == UPSTREAM_FAILED;
		assert(play->over || play->upstream.state == UPSTREAM_RESETTING);
		break;
	case UPSTREAM_CHUNK:
		assert(!play->end_sent && play->upstream.state == UPSTREAM_CHUNKS);
		break;
	case UPSTREAM_GONE:
		assert(play->upstream.state == UPSTREAM_FAILED);
		play->over = true;
		break;
	case UPSTREAM_FINISHED:
		play->over = true;
		break;
	case UPSTREAM_READY:
		assert(play->upstream.state == UPSTREAM_IDLE && !play->upstream.probe);
		break;
	case UPSTREAM_NONE:
		break;
	}
}

static void hear(struct play *play, struct slice in)
{
	struct upstream_result result;

	if (play->upstream.state == UPSTREAM_CONNECTING)
		upstream_connected(&play->upstream, &policy, play->now_us);
	do {
		uint8_t *block = malloc(in.length);

		memcpy(block, in.data, in.length);
		upstream_input(&play->upstream, &policy, "mx.test", slice_of(block, in.length),
			       play->now_us, &play->commands, &result);
		free(block);
		assert(result.consumed <= in.length);
		assert(result.consumed > 0 || in.length == 0 || result.event != UPSTREAM_NONE);
		in = slice_from(in, result.consumed);
		check_commands(play);
		check_result(play, &result);
	} while (in.length > 0 && !play->over);
}

// What the state allows; `choice` decides where two things are.
static void request(struct play *play, uint8_t choice)
{
	static const char *const senders[] = {"<>", "<a@c.test> SIZE=5 BODY=8BITMIME"};
	struct upstream *upstream = &play->upstream;
	struct upstream_commands *commands = &play->commands;
	struct slice sender = slice_of_text(senders[choice & 1]);
	struct slice recipient = slice_of_text("<b@own.test>");

	switch (upstream->state) {
	case UPSTREAM_IDLE:
		if (choice & 2)
			upstream_borrowed(upstream);
		play->asked = true;
		upstream_recipient(upstream, &policy, sender, recipient, play->now_us, commands);
		break;
	case UPSTREAM_OPEN:
		if ((choice & 8) && upstream->mail_refusal_code == 0 &&
		    upstream->extensions & SMTP_EXTENSION_CHUNKING) {
			upstream_chunks(upstream, &policy, play->now_us);
			break;
		}
		play->asked = true;
		if ((choice & 4) && upstream->mail_refusal_code == 0)
			upstream_data(upstream, &policy, play->now_us, commands);
		else if (!upstream_recipient(upstream, &policy, sender, recipient, play->now_us,
					     commands))
			hear(play, slice_of("", 0));
		break;
	case UPSTREAM_BODY:
		play->asked = play->end_sent = true;
		upstream_end(upstream, &policy, play->now_us, commands);
		break;
	case UPSTREAM_CHUNKS:
		if (!upstream_chunk_allowed(upstream, choice & 1))
			break;
		play->asked = play->end_sent = choice & 1;
		upstream_chunk(upstream, &policy, choice, choice & 1, play->now_us, commands);
		upstream_acknowledged(upstream, !(choice & 16));
		break;
	default:
		break;
	}
	check_commands(play);
}

static void leave(struct play *play)
{
	if (play->upstream.state == UPSTREAM_OPEN || play->upstream.state == UPSTREAM_CHUNKS)
		upstream_reset(&play->upstream, &policy, play->now_us, &play->commands);
	else if (play->upstream.state == UPSTREAM_IDLE)
		upstream_quit(&play->upstream, &policy, play->now_us, &play->commands);
	check_commands(play);
}

static void step(struct play *play, struct cursor *cursor)
{
	struct upstream_result result = {.event = UPSTREAM_NONE};
	uint8_t kind = cursor_u8(cursor), value = cursor_u8(cursor);

	switch (kind % STEPS) {
	case BYTES:
		hear(play, cursor_take(cursor,
				       value < cursor->rest.length ? value : cursor->rest.length));
		break;
	case TEXT:
		hear(play, slice_of_text(texts[value % (sizeof(texts) / sizeof(texts[0]))]));
		break;
	case REQUEST:
		request(play, value);
		break;
	case LEAVE:
		leave(play);
		break;
	case LATE:
		if (play->upstream.deadline_us != UINT64_MAX)
			play->now_us = play->upstream.deadline_us;
		upstream_timeout(&play->upstream, &result);
		break;
	case LOST:
		upstream_lost(&play->upstream, &result);
		break;
	case PROGRESS:
		upstream_progress(&play->upstream, &policy, play->now_us);
		break;
	}
	check_result(play, &result);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct play play;
	struct cursor cursor = cursor_of(slice_of(data, size));
	bool probe = cursor_u8(&cursor) & 1;

	memset(&play, 0, sizeof(play));
	play.now_us = 5000000;
	upstream_init(&play.upstream, &policy, 0, 0, probe, play.now_us);
	while (cursor.rest.length && !cursor.failed && !play.over)
		step(&play, &cursor);
	return 0;
}
