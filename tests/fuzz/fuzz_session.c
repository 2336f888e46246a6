// SPDX-License-Identifier: BSD-3-Clause
//
// Fuzz target: a whole SMTP session. Input: one byte of options, one that seeds the pieces and the
// backend's answers, then the client's bytes. The session is played with the bytes whole and in
// pieces: replies and intents must agree. Along the way what a relay must never do is asserted: ask
// for a recipient that is not ours, say 250 to a message without the backend's 250, pass on bytes
// that end a message early, leave a chunk behind. With OPTION_CHAOS it is played once, with
// failures, drain, FIN and time limits at random moments.
//
// runs: 30000
#include "dataplane/smtp/reply_parser.h"
#include "dataplane/smtp/session.h"
#include "tests/fuzz/path.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
	OPTION_RELAY = 1,     // Accept-Any-Recipient
	OPTION_TIGHT = 2,     // small limits, few chunks
	OPTION_NO_SENDER = 4, // neither of the sender rights
	OPTION_2016 = 8,
	OPTION_EHLO = 16, // a greeting and MAIL go before the input
	OPTION_CHAOS = 32,
	OPTION_CHUNKS = 64, // client and server may use BDAT, for BINARYMIME, too
	OPTION_MORE = 128,  // all other extensions: RCPT may have ORAR=, addresses may be long
};

static struct accepted_domain domains[] = {
	{.name = (char *)"own.test", .type = DOMAIN_AUTHORITATIVE, .match_subdomains = true},
};

static const char *const replies[] = {
	"250 2.0.0 ok\r\n", "250 2.0.0 ok\r\n", "250 2.0.0 ok\r\n",
	"354 go\r\n",       "354 go\r\n",       "251 forwards\r\n",
	"421 bye\r\n",      "450 later\r\n",    "550-no\r\n550 never\r\n",
	"220 eh\r\n",
};
#define REPLY_COUNT_FUZZED (sizeof(replies) / sizeof(*replies))

static const enum reason failures[] = {
	REASON_backend_unavailable,
	REASON_backend_busy,
	REASON_backend_lost,
	REASON_backend_timeout,
	REASON_backend_malformed_reply,
	REASON_flows_full,
};
#define FAILURE_COUNT (sizeof(failures) / sizeof(*failures))

struct play {
	struct policy policy;
	struct connector connector;
	struct pool chunks;
	struct session session;
	struct session_step step;
	struct reply_buffer reply;
	struct tick now;
	struct session_servers servers;
	unsigned options, answer_seed, piece_seed;
	bool backend_said_yes; // to the end of data that is being answered
	bool closed;
	uint8_t last[2];     // end of the message passed on so far
	uint64_t line, sum;  // bytes of its last line; of all, to compare with the octets
	uint64_t transcript; // hash of replies and intents
};

static unsigned next(unsigned *seed)
{
	*seed = *seed * 1103515245u + 12345u;
	return *seed >> 16;
}

static void hash(struct play *play, const void *bytes, size_t length)
{
	const uint8_t *byte = bytes;
	for (size_t i = 0; i < length; i++)
		play->transcript = (play->transcript ^ byte[i]) * 0x100000001b3u;
}

static void check_body(struct play *play, struct slice bytes)
{
	const bool binary = play->session.needed & SMTP_EXTENSION_BINARYMIME;
	assert(!binary || play->session.chunked);
	for (size_t i = 0; i < bytes.length && !binary; i++) {
		const uint8_t c = bytes.data[i];
		assert(c != 0);
		assert((c == '\n') == (play->last[1] == '\r'));
		if (c == '\n') {
			assert(play->session.chunked || play->line != 2 || play->last[0] != '.');
			play->line = 0;
		} else {
			play->line++;
		}
		play->last[0] = play->last[1];
		play->last[1] = c;
	}
	play->sum += bytes.length;
}

// Is it an address of ours, or <postmaster>?
static bool is_ours(const char *path, size_t length)
{
	static const char ours[] = "own.test>";
	const size_t ours_length = sizeof(ours) - 1;
	if (strncasecmp(path, "<postmaster>", length) == 0)
		return true;
	return length > ours_length &&
	       strncasecmp(path + length - ours_length, ours, ours_length) == 0 &&
	       (path[length - ours_length - 1] == '@' || path[length - ours_length - 1] == '.');
}

// An alternate recipient, its xtext decoded once more.
static void check_alternate(struct slice address)
{
	char path[SESSION_COMMAND_MAX] = "<";
	size_t used = 1;
	for (size_t i = 0; i < address.length; i++) {
		unsigned code = address.data[i];
		if (code == '+') {
			assert(i + 2 < address.length &&
			       sscanf((const char *)address.data + i + 1, "%2X", &code) == 1);
			i += 2;
		}
		path[used++] = (char)code;
	}
	path[used++] = '>';
	assert(is_ours(path, used));
}

// What follows the path: of the parameters ORAR= alone names a recipient.
static void check_parameters(struct slice rest)
{
	static const char start[] = " ORAR=rfc822;";
	const size_t length = sizeof(start) - 1;
	while (rest.length > 0) {
		const uint8_t *space = memchr(rest.data + 1, ' ', rest.length - 1);
		const size_t end = space ? (size_t)(space - rest.data) : rest.length;
		if (end > 5 && strncasecmp((const char *)rest.data, start, 6) == 0) {
			assert(end > length &&
			       strncasecmp((const char *)rest.data, start, length) == 0);
			check_alternate(slice_from(slice_first(rest, end), length));
		}
		rest = slice_from(rest, end);
	}
}

// Judged from the text alone: without the right to relay, no byte may separate parts of the path
// unless what follows or precedes is ours.
static void check_recipient(struct play *play)
{
	char text[SESSION_COMMAND_MAX];
	const struct slice all = session_recipient(&play->session, text, sizeof(text));
	const struct slice path = slice_first(all, path_end(all));
	const bool relay = play->options & OPTION_RELAY;

	assert(!memchr(all.data, '\r', all.length) && !memchr(all.data, '\n', all.length));
	assert(path.length == all.length || all.data[path.length] == ' ');
	assert(path.length >= 3 && path.data[0] == '<' && path.data[path.length - 1] == '>');
	assert(relay || is_ours(text, path.length));
	if (!relay)
		check_parameters(slice_from(all, path.length));
}

// A piece may break several limits and hold a bad line ending, too: what is seen first depends on
// the pieces, so they are compared up to there only.
static bool breaks_a_message(const struct play *play)
{
	const enum reason reason =
		play->step.intent == SESSION_ABORT ? play->session.rejected : play->step.reason;

	return !(play->options & OPTION_CHAOS) &&
	       (reason == REASON_smtp_too_large || reason == REASON_smtp_header_too_large ||
		reason == REASON_smtp_hop_count || reason == REASON_smtp_bad_line_ending);
}

static void check_reply(struct play *play)
{
	static struct reply_parser parser;
	size_t used;
	assert(play->step.code == reply_code(&play->reply));
	if (play->reply.length == 0)
		return;
	reply_parser_init(&parser);
	assert(reply_parser_input(&parser, reply_bytes(&play->reply), &used) == REPLY_PARSER_DONE);
	assert(used == play->reply.length);
	// 250 for a message: only after a yes of the backend.
	if (memcmp(play->step.verb, "BODY", 5) == 0 && play->step.code < 400)
		assert(play->step.code == 250 && play->backend_said_yes);
	assert((play->step.code >= 400) == (play->step.reason != REASON_NONE));
	if (!breaks_a_message(play))
		hash(play, play->reply.text, play->reply.length);
}

static void note(struct play *play)
{
	const struct session_step *step = &play->step;
	check_reply(play);
	if (breaks_a_message(play)) {
		play->closed = true;
		return;
	}
	switch (step->intent) {
	case SESSION_MORE:
	case SESSION_NEXT:
		return;
	case SESSION_BODY:
		for (unsigned i = 0; i < SESSION_BODY_PIECES; i++)
			check_body(play, step->body[i]);
		return;
	case SESSION_RECIPIENT:
		check_recipient(play);
		break;
	case SESSION_END:
		assert(play->session.chunked || play->sum == 0 || play->last[1] == '\n');
		assert(play->session.message_octets <= play->sum || play->session.header.removed);
		hash(play, &play->sum, sizeof(play->sum));
		break;
	case SESSION_CLOSE:
		play->closed = true;
		break;
	default:
		break;
	}
	hash(play, &step->intent, sizeof(step->intent));
}

static struct session_answer draw(struct play *play, unsigned *seed)
{
	const unsigned number = next(seed) % (REPLY_COUNT_FUZZED + 2);
	struct session_answer answer = {REASON_NONE, 0, {NULL, 0}, false};
	if (number >= REPLY_COUNT_FUZZED) {
		answer.failure = failures[next(seed) % FAILURE_COUNT];
	} else {
		answer.reply = slice_of_text(replies[number]);
		answer.code = (uint16_t)atoi(replies[number]);
		answer.chunked = play->options & OPTION_CHUNKS;
	}
	return answer;
}

static void answer(struct play *play)
{
	const struct session_answer drawn = draw(play, &play->answer_seed);
	play->backend_said_yes = play->session.pending == SESSION_END && drawn.code / 100 == 2;
	session_answer(&play->session, &drawn, play->now, &play->reply, &play->step);
	if (play->session.state == SESSION_STATE_BODY ||
	    play->session.state == SESSION_STATE_CHUNKS) {
		play->last[0] = play->last[1] = 0;
		play->line = play->sum = 0;
	}
	note(play);
	play->backend_said_yes = false;
}

static void disturb(struct play *play)
{
	struct session_answer drawn;
	switch (next(&play->piece_seed) % 40) {
	case 0:
		drawn = draw(play, &play->piece_seed);
		if (!play->session.suspended)
			session_fail_body(&play->session, &drawn);
		break;
	case 1:
		if (session_drain(&play->session, next(&play->piece_seed) & 1, &play->reply,
				  &play->step))
			note(play);
		break;
	case 2:
		session_end_of_input(&play->session, &play->step);
		play->closed = play->session.state == SESSION_STATE_CLOSED;
		break;
	case 3:
		play->now.now_us = session_deadline(&play->session);
		if (play->now.now_us == UINT64_MAX) {
			play->now.now_us = 0;
			break;
		}
		session_timeout(&play->session, play->now, &play->reply, &play->step);
		note(play);
		break;
	default:
		break;
	}
}

static void feed(struct play *play, struct slice in, bool pieces)
{
	while (!play->closed &&
	       (in.length > 0 || play->session.suspended || session_due(&play->session))) {
		const bool due = session_due(&play->session);
		if (play->options & OPTION_CHAOS)
			disturb(play);
		if (play->closed)
			break;
		if (play->session.suspended) {
			answer(play);
			continue;
		}
		const size_t size =
			pieces && in.length ? 1 + next(&play->piece_seed) % in.length : in.length;
		const size_t room = pieces ? 2 + next(&play->piece_seed) % 100 : SIZE_MAX;
		uint8_t *block = malloc(size ? size : 1);
		memcpy(block, in.data, size);
		session_input(&play->session, slice_of(block, size), room, play->servers, play->now,
			      &play->reply, &play->step);
		assert(play->step.consumed <= size);
		assert(play->step.consumed > 0 || size == 0 || due || room <= HEADER_HELD_MAX + 2);
		note(play);
		in = slice_from(in, play->step.consumed);
		free(block);
	}
}

static uint64_t run(const uint8_t *data, size_t size, bool pieces)
{
	static const char opening[] = "EHLO x\r\nMAIL FROM:<>\r\n";
	static struct play play;
	memset(&play, 0, sizeof(play));
	play.options = data[0];
	play.answer_seed = data[1];
	play.piece_seed = data[1] * 7u + 1;
	const bool tight = play.options & OPTION_TIGHT;
	play.servers.extensions = SMTP_EXTENSION_8BITMIME;
	if (play.options & OPTION_CHUNKS)
		play.servers.extensions |= SMTP_EXTENSION_CHUNKING | SMTP_EXTENSION_BINARYMIME;
	if (play.options & OPTION_MORE)
		play.servers.extensions |= SMTP_EXTENSION_DSN | SMTP_EXTENSION_SMTPUTF8 |
					   SMTP_EXTENSION_XLONGADDR | SMTP_EXTENSION_XORAR |
					   SMTP_EXTENSION_SIZE;
	play.policy = (struct policy){.domains = domains, .domain_count = 1};
	play.policy.gate.dialect =
		play.options & OPTION_2016 ? REPLY_DIALECT_2016 : REPLY_DIALECT_2007;
	play.connector = (struct connector){
		.fqdn = (char *)"mx.own.test",
		.permission_groups = PERMISSION_GROUP_ANONYMOUS_USERS,
		.granted[PRINCIPAL_ANONYMOUS] =
			play.options & OPTION_RELAY ? RIGHT_ACCEPT_ANY_RECIPIENT : 0,
		.denied[PRINCIPAL_ANONYMOUS] =
			play.options & OPTION_NO_SENDER
				? RIGHT_ACCEPT_ANY_SENDER | RIGHT_ACCEPT_AUTHORITATIVE_SENDER
				: 0,
		.max_message_size = tight ? 50 : 1 << 20,
		.max_header_size = tight ? 30 : 1 << 20,
		.max_hop_count = tight ? 1 : 60,
		.pipelining = true,
		.eight_bit_mime = true,
		.chunking = play.options & OPTION_CHUNKS,
		.binary_mime = play.options & OPTION_CHUNKS,
		.delivery_status_notification = play.options & OPTION_MORE,
		.smtp_utf8 = play.options & OPTION_MORE,
		.long_addresses = play.options & OPTION_MORE,
		.orar = play.options & OPTION_MORE,
		.bare_linefeed_rejection = true,
		.max_recipients = tight ? 2 : 100,
		.max_protocol_errors = tight ? 3 : UINT32_MAX,
		.connection_timeout_ms = 1000,
		.inactivity_timeout_ms = 500,
	};
	if (chunk_pool_init(&play.chunks, 2048 * 8) != 0)
		abort();
	struct session_peer peer = {.connector = &play.connector,
				    .policy = &play.policy,
				    .identities = 1u << PRINCIPAL_ANONYMOUS};
	peer.client.address.bytes[15] = 1;
	session_open(&play.session, &peer, &play.chunks, play.now, &play.reply);
	if (play.options & OPTION_EHLO)
		feed(&play, slice_of_text(opening), false);
	feed(&play, slice_of(data + 2, size - 2), pieces);
	session_close(&play.session);
	assert(pool_used(&play.chunks) == 0);
	pool_fini(&play.chunks);
	return play.transcript;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 2)
		return 0;
	const uint64_t pieces = run(data, size, true);
	if (!(data[0] & OPTION_CHAOS))
		assert(run(data, size, false) == pieces);
	return 0;
}
