// SPDX-License-Identifier: BSD-3-Clause
//
// Fuzz target: the header firewall, as a session uses it behind the scanner of line ends. Input:
// one byte of options, one that seeds the pieces, then a message, which goes by DATA or in chunks.
// What the backend leg gets is compared with a slow twin that has the whole message before it: the
// bytes in DATA form, without the fields that may not pass, and what was counted.
//
// runs: 30000
#include "dataplane/smtp/session.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
	OPTION_ROUTING = 1,
	OPTION_ORGANIZATION = 2,
	OPTION_FOREST = 4,
	OPTION_CHUNKS = 8,
	OPTION_BARE_LF = 16, // is accepted
};

static const struct {
	const char *name; // with '-' at its end: the beginning of names
	unsigned option;  // that lets it pass
} fields[] = {
	{"Received", OPTION_ROUTING},
	{"Resent-Date", OPTION_ROUTING},
	{"Resent-From", OPTION_ROUTING},
	{"Resent-Sender", OPTION_ROUTING},
	{"Resent-To", OPTION_ROUTING},
	{"Resent-Cc", OPTION_ROUTING},
	{"Resent-Bcc", OPTION_ROUTING},
	{"Resent-Message-ID", OPTION_ROUTING},
	{"X-MS-Exchange-Organization-", OPTION_ORGANIZATION},
	{"X-MS-Exchange-Forest-", OPTION_FOREST},
};
#define FIELD_COUNT (sizeof(fields) / sizeof(fields[0]))

static const char fqdn[] = "mx.own.test";

struct text {
	uint8_t *bytes;
	size_t length;
};

static void append(struct text *text, const void *bytes, size_t length)
{
	if (length > 0)
		memcpy(text->bytes + text->length, bytes, length);
	text->length += length;
}

static unsigned next(unsigned *seed)
{
	*seed = *seed * 1103515245u + 12345u;
	return *seed >> 16;
}

// ---- The slow twin --------------------------------------------------------------------------

// The message in DATA form; false: it is refused.
static bool data_form(struct slice in, unsigned options, struct text *out)
{
	const bool chunks = options & OPTION_CHUNKS;
	bool start = true, soft = false; // a line begins; behind a bare LF

	for (size_t i = 0; i < in.length; i++) {
		const uint8_t *at = in.data + i;
		const uint8_t c = *at, then = i + 1 < in.length ? at[1] : 0;

		if (start && c == '.' && !chunks && !soft) {
			if (in.length - i >= 3 && memcmp(at, ".\r\n", 3) == 0)
				return true;
			if (then == '\n' && options & OPTION_BARE_LF)
				continue; // a stuffed dot, which would be an end of data now
		} else if (start && c == '.') {
			append(out, ".", 1);
		}
		if (c == '\0' || (c == '\r' && then != '\n') ||
		    (c == '\n' && !(options & OPTION_BARE_LF)))
			return false;
		start = c == '\r' || c == '\n';
		soft = c == '\n';
		append(out, start ? "\r\n" : (const char *)&c, start ? 2 : 1);
		i += c == '\r';
	}
	if (!start)
		append(out, "\r\n", 2);
	return true;
}

static bool blank(char c)
{
	return c == ' ' || c == '\t';
}

// The field whose line it is, or FIELD_COUNT. *length: of the name as far as it is looked at.
static size_t field_of(const char *line, size_t size, size_t *length)
{
	const size_t dot = size > 0 && line[0] == '.';
	const char *colon = memchr(line, ':', size);
	size_t end = colon ? (size_t)(colon - line) : size;

	if (end >= HEADER_HELD_MAX)
		end = HEADER_HELD_MAX; // blanks so far: nobody reads further
	*length = end;
	while (end > dot && blank(line[end - 1]))
		end--;
	for (size_t i = 0; i < FIELD_COUNT; i++) {
		const size_t wanted = strlen(fields[i].name);
		const bool whole = fields[i].name[wanted - 1] != '-';

		if ((whole ? end - dot == wanted : end - dot >= wanted) &&
		    strncasecmp(line + dot, fields[i].name, wanted) == 0)
			return i;
	}
	return FIELD_COUNT;
}

// Word by word: how often "by FQDN" stands there.
static unsigned count_by(char *text)
{
	static const char blanks[] = " \t\r\n";
	const size_t length = strlen(fqdn);
	unsigned count = 0;
	char *rest = NULL;

	// The first word is what a blank does not precede.
	char *word = strtok_r(text, blanks, &rest);
	if (word == text)
		word = strtok_r(NULL, blanks, &rest);
	for (; word; word = strtok_r(NULL, blanks, &rest)) {
		if (strcasecmp(word, "by") != 0 || !(word = strtok_r(NULL, blanks, &rest)))
			continue;
		count += strncasecmp(word, fqdn, length) == 0 &&
			 (word[length] == '\0' || word[length] == ';' || word[length] == '(');
	}
	return count;
}

struct twin {
	struct text passed;
	unsigned hops, local_hops, removed;
	size_t octets;
	char *received; // text of the Received field that lasts
	size_t received_length;
};

static void end_received(struct twin *twin)
{
	twin->received[twin->received_length] = '\0';
	if (twin->received_length > 0)
		twin->local_hops += count_by(twin->received);
	twin->received_length = 0;
}

// One line with its CR LF. *removing, *received: of the field that lasts.
static void filter_line(struct twin *twin, const char *line, size_t size, unsigned options,
			bool *removing, bool *received)
{
	const size_t dot = line[0] == '.';
	size_t from = dot;

	if (!blank(line[dot])) {
		const size_t field = field_of(line, size - 2, &from);

		end_received(twin);
		*removing = field < FIELD_COUNT && !(options & fields[field].option);
		*received = field == 0;
		twin->removed += *removing;
		twin->hops += *received;
		from -= from == HEADER_HELD_MAX; // the byte that decides is part of what is read
	}
	if (*received) {
		memcpy(twin->received + twin->received_length, line + from, size - from);
		twin->received_length += size - from;
	}
	if (!*removing)
		append(&twin->passed, line, size);
}

static void filter(struct twin *twin, const struct text *message, unsigned options)
{
	bool header = true, removing = true, received = false;

	for (size_t at = 0; at < message->length;) {
		const char *line = (const char *)message->bytes + at;
		const char *end = memmem(line, message->length - at, "\r\n", 2);
		const size_t size = (size_t)(end - line) + 2;

		twin->octets += header ? size : 0;
		header = header && size > 2;
		if (header)
			filter_line(twin, line, size, options, &removing, &received);
		else
			append(&twin->passed, line, size);
		at += size;
	}
	end_received(twin);
}

// ---- The session ----------------------------------------------------------------------------

struct play {
	struct policy policy;
	struct connector connector;
	struct session session;
	struct session_step step;
	struct reply_buffer reply;
	struct text passed;
	unsigned seed;
	bool ended, closed;
};

static void note(struct play *play)
{
	for (unsigned i = 0; play->step.intent == SESSION_BODY && i < SESSION_BODY_PIECES; i++)
		append(&play->passed, play->step.body[i].data, play->step.body[i].length);
	play->ended |= play->step.intent == SESSION_END;
	play->closed |= play->step.intent == SESSION_CLOSE;
}

static void answer(struct play *play)
{
	const bool data = play->session.pending == SESSION_DATA;
	const struct session_answer yes = {
		.code = data ? 354 : 250,
		.reply = slice_of_text(data ? "354 go\r\n" : "250 ok\r\n")};

	session_answer(&play->session, &yes, (struct tick){0}, &play->reply, &play->step);
	note(play);
}

static void feed(struct play *play, struct slice in, bool pieces)
{
	while (!play->closed && !play->ended &&
	       (in.length > 0 || play->session.suspended || session_due(&play->session))) {
		if (play->session.suspended) {
			answer(play);
			continue;
		}
		const size_t size =
			pieces && in.length ? 1 + next(&play->seed) % in.length : in.length;
		const size_t room = pieces ? 2 + next(&play->seed) % 100 : SIZE_MAX;
		uint8_t *block = malloc(size ? size : 1); // exact, so that a read past it is found

		memcpy(block, in.data, size);
		session_input(&play->session, slice_of(block, size), room,
			      (struct session_servers){SMTP_EXTENSION_8BITMIME, 0},
			      (struct tick){0}, &play->reply, &play->step);
		assert(play->step.consumed <= size);
		note(play);
		in = slice_from(in, play->step.consumed);
		free(block);
	}
}

static void feed_text(struct play *play, const char *text)
{
	feed(play, slice_of_text(text), false);
}

static void feed_message(struct play *play, struct slice in, unsigned options)
{
	feed_text(play, "EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<a@own.test>\r\n");
	if (!(options & OPTION_CHUNKS)) {
		feed_text(play, "DATA\r\n");
		feed(play, in, true);
		return;
	}
	for (bool last = false; !last;) {
		const size_t size = next(&play->seed) % (in.length + 1);
		char command[40];

		last = size == in.length;
		snprintf(command, sizeof(command), "BDAT %zu%s\r\n", size, last ? " LAST" : "");
		feed_text(play, command);
		feed(play, slice_first(in, size), true);
		in = slice_from(in, size);
	}
}

static void open_session(struct play *play, unsigned options, struct pool *chunks)
{
	static struct accepted_domain domain = {.name = (char *)"own.test",
						.type = DOMAIN_AUTHORITATIVE};
	static const rights_mask rights[] = {RIGHT_ACCEPT_HEADERS_ROUTING,
					     RIGHT_ACCEPT_HEADERS_ORGANIZATION,
					     RIGHT_ACCEPT_HEADERS_FOREST};
	rights_mask granted = RIGHT_SUBMIT | RIGHT_ACCEPT_ANY_SENDER;

	for (unsigned i = 0; i < 3; i++)
		granted |= options & (1u << i) ? rights[i] : 0;
	play->policy = (struct policy){.domains = &domain, .domain_count = 1};
	play->connector = (struct connector){
		.fqdn = (char *)fqdn,
		.granted[PRINCIPAL_ANONYMOUS] = granted,
		.max_message_size = 1 << 30,
		.max_header_size = 1 << 30,
		.max_hop_count = UINT32_MAX,
		.chunking = true,
		.bare_linefeed_rejection = !(options & OPTION_BARE_LF),
		.max_recipients = 1,
		.max_protocol_errors = UINT32_MAX,
		.connection_timeout_ms = 1000,
		.inactivity_timeout_ms = 500,
	};
	struct session_peer peer = {.connector = &play->connector,
				    .policy = &play->policy,
				    .identities = 1u << PRINCIPAL_ANONYMOUS};
	peer.client.address.bytes[15] = 1;
	session_open(&play->session, &peer, chunks, (struct tick){0}, &play->reply);
}

static void compare(const struct play *play, const struct twin *twin)
{
	const struct header *header = &play->session.header;

	assert(play->ended);
	assert(play->passed.length == twin->passed.length);
	assert(memcmp(play->passed.bytes, twin->passed.bytes, twin->passed.length) == 0);
	assert(header->octets == twin->octets && header->removed == twin->removed);
	assert(header->hops == twin->hops && header->local_hops == twin->local_hops);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct play play;
	static struct pool chunks;
	static bool ready;

	if (size < 2 || size > 20000)
		return 0;
	if (!ready && chunk_pool_init(&chunks, 2048 * 8) != 0)
		abort();
	ready = true;
	const unsigned options = data[0];
	struct text in = {malloc(size + 5), 0}, whole = {malloc(2 * size + 10), 0};
	struct twin twin = {.passed = {malloc(2 * size + 10), 0},
			    .received = malloc(2 * size + 10)};
	append(&in, data + 2, size - 2);
	if (!(options & OPTION_CHUNKS))
		append(&in, "\r\n.\r\n", 5);

	play = (struct play){.passed = {malloc(2 * size + 10), 0}, .seed = data[1]};
	open_session(&play, options, &chunks);
	feed_message(&play, slice_of(in.bytes, in.length), options);
	if (data_form(slice_of(in.bytes, in.length), options, &whole)) {
		filter(&twin, &whole, options);
		compare(&play, &twin);
	} else {
		assert(play.closed && !play.ended);
	}
	session_close(&play.session);
	assert(pool_used(&chunks) == 0);
	free(in.bytes);
	free(whole.bytes);
	free(twin.passed.bytes);
	free(twin.received);
	free(play.passed.bytes);
	return 0;
}
