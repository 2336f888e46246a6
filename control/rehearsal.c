// SPDX-License-Identifier: BSD-3-Clause
//
// See rehearsal.h. Owns a session and its buffers for the time of one call.
#include "control/rehearsal.h"

#include "config/policy.h"
#include "dataplane/base/chunk.h"
#include "dataplane/relay/ehlo.h"
#include "dataplane/smtp/extension.h"
#include "dataplane/smtp/session.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define BUFFER_BYTES   65536
#define ALL_EXTENSIONS UINT32_MAX // of servers that nobody asked

struct play {
	struct session session;
	struct pool chunks;
	struct reply_buffer reply;
	struct session_step step;
	struct tick now;
	struct rehearsal *out;
	int status;
};

static void add_line(struct play *play, bool by_client, const char *text, size_t length)
{
	struct rehearsal *out = play->out;
	struct rehearsal_line *lines = realloc(out->lines, (out->count + 1) * sizeof(*lines));

	if (!lines) {
		play->status = -ENOMEM;
		return;
	}
	out->lines = lines;
	out->lines[out->count] = (struct rehearsal_line){.by_client = by_client};
	out->lines[out->count].text = strndup(text, length);
	if (!out->lines[out->count].text)
		play->status = -ENOMEM;
	else
		out->count++;
}

// What the tarpit does to this reply (pipeline/client.c).
static uint32_t delay_of(const struct play *play)
{
	const struct session_peer *peer = &play->session.peer;
	const bool anonymous = peer->identities == 1u << PRINCIPAL_ANONYMOUS;

	return play->step.code / 100 == 5 && anonymous ? peer->connector->tarpit_interval_ms : 0;
}

// Does this line of a reply offer what only the servers can do?
static bool is_servers_keyword(const char *line)
{
	const unsigned ours =
		SMTP_EXTENSION_PIPELINING | SMTP_EXTENSION_CHUNKING | SMTP_EXTENSION_SIZE;
	char reply[REPLY_LINE_MAX + 16];

	snprintf(reply, sizeof(reply), "250-\r\n%s\r\n", line);
	return strncmp(line, "250", 3) == 0 &&
	       (ehlo_parse(slice_of_text(reply)).extensions & ~ours) != 0;
}

static void add_reply(struct play *play, bool may_be_refused)
{
	const char *at = play->reply.text;
	const char *end = at + play->reply.length;

	while (at < end) {
		const char *line_end = memchr(at, '\r', (size_t)(end - at));

		add_line(play, false, at, (size_t)(line_end - at));
		if (play->status == 0) {
			struct rehearsal_line *line = &play->out->lines[play->out->count - 1];

			line->may_be_refused = may_be_refused;
			line->if_servers_have_it = is_servers_keyword(line->text);
			line->delay_ms = delay_of(play);
		}
		at = line_end + 2;
	}
	play->reply.length = 0;
}

// The backend's yes to what the session asks.
static void answer_yes(struct play *play)
{
	const bool data = play->step.intent == SESSION_DATA;
	struct session_answer yes = {
		.code = data ? 354 : 250,
		.reply = slice_of_text(data ? "354 go\r\n" : "250 2.1.5 Recipient OK\r\n"),
	};

	session_answer(&play->session, &yes, play->now, &play->reply, &play->step);
	add_reply(play, true);
}

// One command; false when it was refused, or the session is over.
static bool say(struct play *play, const char *line)
{
	char *text = NULL;
	bool good;

	if (play->status || asprintf(&text, "%s\r\n", line) < 0) {
		play->status = -ENOMEM;
		return false;
	}
	add_line(play, true, line, strlen(line));
	session_input(&play->session, slice_of_text(text), SIZE_MAX,
		      (struct session_servers){ALL_EXTENSIONS, 0}, play->now, &play->reply,
		      &play->step);
	free(text);
	good = play->step.reason == REASON_NONE;
	if (play->step.intent == SESSION_RECIPIENT || play->step.intent == SESSION_DATA)
		answer_yes(play);
	else
		add_reply(play, false);
	return good && play->step.intent != SESSION_CLOSE && !play->status;
}

static bool say_path(struct play *play, const char *verb, const char *address)
{
	char *line = NULL;
	bool good;

	if (asprintf(&line, "%s:<%s>", verb, address) < 0) {
		play->status = -ENOMEM;
		return false;
	}
	good = say(play, line);
	free(line);
	return good;
}

static void converse(struct play *play, const struct rehearsal_envelope *envelope)
{
	char *hello = NULL;
	bool accepted = true;

	if (asprintf(&hello, "EHLO %s", envelope->hello) < 0) {
		play->status = -ENOMEM;
		return;
	}
	accepted = say(play, hello);
	free(hello);
	if (!accepted || !envelope->sender)
		return;
	accepted = say_path(play, "MAIL FROM", envelope->sender);
	for (unsigned i = 0; envelope->recipients && envelope->recipients[i]; i++) {
		if (play->session.state == SESSION_STATE_CLOSED)
			return;
		accepted = say_path(play, "RCPT TO", envelope->recipients[i]) && accepted;
	}
	if (envelope->recipients && play->session.state == SESSION_STATE_RCPT)
		play->out->accepted = say(play, "DATA") && accepted;
}

int rehearsal_play(const struct policy *policy, const struct choice *choice,
		   const struct rehearsal_envelope *envelope, struct tick now,
		   struct rehearsal *rehearsal)
{
	struct play *play = calloc(1, sizeof(*play));
	struct session_peer peer = {
		.client = choice->from,
		.local = choice->to,
		.connector = choice->connector,
		.identities = envelope->identities,
		.policy = policy,
		.allowed = choice->allowed,
		.blocked = choice->blocked && !choice->allowed,
	};
	int status;

	*rehearsal = (struct rehearsal){0};
	if (!play || chunk_pool_init(&play->chunks, BUFFER_BYTES)) {
		free(play);
		return -ENOMEM;
	}
	play->now = now;
	play->out = rehearsal;
	session_open(&play->session, &peer, &play->chunks, now, &play->reply);
	add_reply(play, false);
	converse(play, envelope);
	session_close(&play->session);
	pool_fini(&play->chunks);
	status = play->status;
	free(play);
	if (status)
		rehearsal_fini(rehearsal);
	return status;
}

void rehearsal_fini(struct rehearsal *rehearsal)
{
	for (unsigned i = 0; i < rehearsal->count; i++)
		free(rehearsal->lines[i].text);
	free(rehearsal->lines);
	*rehearsal = (struct rehearsal){0};
}
