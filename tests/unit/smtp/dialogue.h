// SPDX-License-Identifier: BSD-3-Clause
//
// Scripts for SMTP sessions: the client's bytes, the backend's answers in order, and the transcript
// that must come of it. The same script is run with the bytes in one piece, in two pieces cut at
// every place, and one by one; the transcript may not differ.
//
// A transcript holds each reply (CR LF shown as \n, NUL as ^@), each refusal's reason as "!reason"
// before its reply, intents as [RECIPIENT sender recipient], [DATA], {message bytes}, [END octets],
// [RESET], [ABORT], [CLOSE], and "left" in front of the intent that ends a transaction at the
// client's doing.
#ifndef RELAYGATE_TEST_DIALOGUE_H
#define RELAYGATE_TEST_DIALOGUE_H

#include "dataplane/smtp/session.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define DIALOGUE_WALL_US 1704164645000000ull // Tue, 2 Jan 2024 03:04:05 +0000

#define BANNER                                                                                     \
	"220 mx.own.test Microsoft ESMTP MAIL Service ready at Tue, 2 Jan 2024 03:04:05 +0000\n"
#define EHLO_REPLY                                                                                 \
	"250-mx.own.test Hello [192.0.2.7]\n"                                                      \
	"250-SIZE 65536\n"                                                                         \
	"250-PIPELINING\n"                                                                         \
	"250-ENHANCEDSTATUSCODES\n"                                                                \
	"250 8BITMIME\n"

// Zero fields mean what a plain connector for anonymous senders has.
struct dialogue_setup {
	rights_mask granted, denied;
	uint32_t max_recipients;      // 200
	uint32_t max_protocol_errors; // 5
	uint64_t max_message_size;    // 65536
	uint64_t max_header_size;     // 65536
	uint32_t max_hop_count;       // 60
	uint32_t max_local_hop_count; // 0
	enum reply_dialect dialect;
	char *banner;
	uint32_t mechanisms;
	bool blocked;
	bool chunking;
	bool binary_mime;
	bool long_addresses;
	bool orar;
	bool chunked;          // the server takes chunks
	uint64_t servers_size; // 0
	bool accept_bare_lf;
	unsigned extensions; // of the servers, beside 8BITMIME and SIZE
	bool without_8bitmime;
	bool require_ehlo_domain;
	bool reject_reserved;
	bool ipv6;
	size_t room; // body bytes that the backend takes at a time; unlimited
};

struct script {
	const char *name;
	struct dialogue_setup setup;
	const char *client;
	size_t client_length;
	const char *const *answers; // replies without the last CR LF, or "!reason"; NULL-ended
	const char *expect;
};

#define CLIENT(text) .client = text, .client_length = sizeof(text) - 1
#define ANSWERS(...)                                                                               \
	.answers = (const char *const[])                                                           \
	{                                                                                          \
		__VA_ARGS__, NULL                                                                  \
	}
#define HELLO          "EHLO client.example\r\n"
#define MAIL           "MAIL FROM:<a@foreign.test>\r\n"
#define RCPT           "RCPT TO:<b@own.test>\r\n"
#define MAIL_REPLY     "250 2.1.0 Sender OK\n"
#define RCPT_INTENT    "[RECIPIENT <a@foreign.test> <b@own.test>]\n"
#define RCPT_REPLY     "250 2.1.5 Recipient OK\n"
#define DATA_REPLY     "354 Start mail input; end with <CRLF>.<CRLF>\n"
#define ACCEPTED       "250 2.6.0 <1@own.test> Queued mail for delivery\n"
#define ENVELOPE_REPLY BANNER EHLO_REPLY MAIL_REPLY RCPT_INTENT RCPT_REPLY

struct dialogue {
	struct policy policy;
	struct connector connector;
	struct pool chunks;
	struct session session;
	struct reply_buffer reply;
	struct session_step step;
	struct tick now;
	size_t room;
	unsigned extensions;
	uint64_t servers_size;
	bool chunked;
	const char *const *answers;
	bool in_body; // the transcript has an open {
	bool closed;
	size_t length;
	char transcript[32768];
};

static struct accepted_domain dialogue_domains[] = {
	{.name = (char *)"own.test", .type = DOMAIN_AUTHORITATIVE},
	{.name = (char *)"relay.test", .type = DOMAIN_INTERNAL_RELAY, .match_subdomains = true},
	{.name = (char *)"external.test", .type = DOMAIN_EXTERNAL_RELAY},
};

static const char *dialogue_reason_name(enum reason reason)
{
	static const char *const names[] = {"none",
#define X(name, kind, help) #name,
					    REASONS(X)
#undef X
	};
	return names[reason];
}

static enum reason dialogue_reason(const char *name)
{
	for (unsigned i = 0; i < REASON_COUNT; i++)
		if (strcmp(dialogue_reason_name((enum reason)i), name) == 0)
			return (enum reason)i;
	fail_msg("no reason is called %s", name);
	return REASON_NONE;
}

static void dialogue_put(struct dialogue *dialogue, const void *bytes, size_t length)
{
	const char *text = bytes;
	for (size_t i = 0; i < length; i++) {
		if (text[i] == '\r' && i + 1 < length && text[i + 1] == '\n')
			continue;
		assert_true(dialogue->length + 2 < sizeof(dialogue->transcript));
		if (text[i] == '\0')
			dialogue->transcript[dialogue->length++] = '^';
		dialogue->transcript[dialogue->length++] = text[i] ? text[i] : '@';
	}
	dialogue->transcript[dialogue->length] = '\0';
}

static void dialogue_say(struct dialogue *dialogue, const char *text)
{
	dialogue_put(dialogue, text, strlen(text));
}

static void dialogue_note_body(struct dialogue *dialogue)
{
	const struct session_step *step = &dialogue->step;
	size_t length = 0;
	for (int i = 0; i < SESSION_BODY_PIECES; i++)
		length += step->body[i].length;
	assert_true(length > 0 && length <= dialogue->room);
	if (!dialogue->in_body)
		dialogue_say(dialogue, "{");
	dialogue->in_body = true;
	// CR is shown: the message must arrive byte for byte.
	for (int i = 0; i < SESSION_BODY_PIECES; i++)
		for (size_t k = 0; k < step->body[i].length; k++)
			dialogue_put(dialogue, step->body[i].data + k, 1);
}

static void dialogue_note_intent(struct dialogue *dialogue)
{
	static const char *const texts[] = {
		[SESSION_DATA] = "[DATA]\n",
		[SESSION_ABORT] = "[ABORT]\n",
		[SESSION_RESET] = "[RESET]\n",
		[SESSION_CLOSE] = "[CLOSE]\n",
	};
	char line[2 * SESSION_COMMAND_MAX];
	char sender[SESSION_COMMAND_MAX], recipient[SESSION_COMMAND_MAX];
	bool possible;
	switch (dialogue->step.intent) {
	case SESSION_MORE:
	case SESSION_NEXT:
	case SESSION_BODY:
		return;
	case SESSION_RECIPIENT: {
		const struct slice from = session_sender(&dialogue->session, dialogue->extensions,
							 sender, sizeof(sender), &possible);
		const struct slice to =
			session_recipient(&dialogue->session, recipient, sizeof(recipient));
		snprintf(line, sizeof(line), "[RECIPIENT %.*s %.*s]\n", (int)from.length, from.data,
			 (int)to.length, to.data);
		dialogue_say(dialogue, line);
		return;
	}
	case SESSION_END:
		snprintf(line, sizeof(line), "[END %llu]\n",
			 (unsigned long long)dialogue->session.message_octets);
		dialogue_say(dialogue, line);
		return;
	default:
		dialogue_say(dialogue, texts[dialogue->step.intent]);
		dialogue->closed = dialogue->step.intent == SESSION_CLOSE;
	}
}

static void dialogue_note(struct dialogue *dialogue)
{
	const struct session_step *step = &dialogue->step;
	char line[100];
	if (step->intent == SESSION_BODY) {
		dialogue_note_body(dialogue);
		return;
	}
	const bool event = step->intent != SESSION_MORE && step->intent != SESSION_NEXT;
	if (dialogue->in_body && (event || dialogue->reply.length)) {
		dialogue_say(dialogue, "}\n");
		dialogue->in_body = false;
	}
	assert_int_equal(step->code, reply_code(&dialogue->reply));
	if (step->reason != REASON_NONE) {
		snprintf(line, sizeof(line), "!%s\n", dialogue_reason_name(step->reason));
		dialogue_say(dialogue, line);
	}
	dialogue_put(dialogue, dialogue->reply.text, dialogue->reply.length);
	if (step->transaction_ended_by_client)
		dialogue_say(dialogue, "left ");
	dialogue_note_intent(dialogue);
}

static inline void dialogue_answer(struct dialogue *dialogue, const char *text)
{
	char reply[REPLY_MAX];
	struct session_answer answer = {.chunked = dialogue->chunked};
	if (text[0] == '!') {
		answer.failure = dialogue_reason(text + 1);
	} else {
		answer.code = (uint16_t)atoi(text);
		snprintf(reply, sizeof(reply), "%s\r\n", text);
		answer.reply = slice_of_text(reply);
	}
	session_answer(&dialogue->session, &answer, dialogue->now, &dialogue->reply,
		       &dialogue->step);
	dialogue_note(dialogue);
}

static void dialogue_open(struct dialogue *dialogue, const struct dialogue_setup *setup)
{
	const char *why;
	memset(dialogue, 0, sizeof(*dialogue));
	dialogue->policy.domains = dialogue_domains;
	dialogue->policy.domain_count = sizeof(dialogue_domains) / sizeof(*dialogue_domains);
	dialogue->policy.gate.dialect = setup->dialect;
	dialogue->connector = (struct connector){
		.name = (char *)"test",
		.fqdn = (char *)"mx.own.test",
		.banner = setup->banner,
		.permission_groups = PERMISSION_GROUP_ANONYMOUS_USERS,
		.granted[PRINCIPAL_ANONYMOUS] = setup->granted,
		.denied[PRINCIPAL_ANONYMOUS] = setup->denied,
		.max_recipients = setup->max_recipients ? setup->max_recipients : 200,
		.max_protocol_errors = setup->max_protocol_errors ? setup->max_protocol_errors : 5,
		.max_message_size = setup->max_message_size ? setup->max_message_size : 65536,
		.max_header_size = setup->max_header_size ? setup->max_header_size : 65536,
		.max_hop_count = setup->max_hop_count ? setup->max_hop_count : 60,
		.max_local_hop_count = setup->max_local_hop_count,
		.pipelining = true,
		.chunking = setup->chunking,
		.binary_mime = setup->binary_mime,
		.long_addresses = setup->long_addresses,
		.orar = setup->orar,
		.enhanced_status_codes = true,
		.eight_bit_mime = true,
		.delivery_status_notification = true,
		.smtp_utf8 = true,
		.bare_linefeed_rejection = !setup->accept_bare_lf,
		.mechanisms = setup->mechanisms,
		.require_ehlo_domain = setup->require_ehlo_domain,
		.reject_reserved_top_level = setup->reject_reserved,
		.reject_reserved_second_level = setup->reject_reserved,
		.reject_single_label = setup->reject_reserved,
		.connection_timeout_ms = 600000,
		.inactivity_timeout_ms = 300000,
	};
	dialogue->now = (struct tick){1000, DIALOGUE_WALL_US};
	dialogue->room = setup->room ? setup->room : SIZE_MAX;
	dialogue->chunked = setup->chunked;
	dialogue->servers_size = setup->servers_size;
	dialogue->extensions =
		setup->extensions |
		(setup->without_8bitmime ? 0 : SMTP_EXTENSION_8BITMIME | SMTP_EXTENSION_SIZE);
	assert_int_equal(chunk_pool_init(&dialogue->chunks, 8 * 2048), 0);
	struct session_peer peer = {
		.connector = &dialogue->connector,
		.identities = connector_identities(&dialogue->connector),
		.policy = &dialogue->policy,
		.id = 0x08D06729BA48D0CA,
		.blocked = setup->blocked,
	};
	assert_int_equal(address_parse(setup->ipv6 ? "2001:db8::7" : "192.0.2.7",
				       &peer.client.address, &why),
			 0);
	session_open(&dialogue->session, &peer, &dialogue->chunks, dialogue->now, &dialogue->reply);
	dialogue_put(dialogue, dialogue->reply.text, dialogue->reply.length);
}

static void dialogue_end(struct dialogue *dialogue)
{
	session_close(&dialogue->session);
	// Whatever happened, no chunk is left behind.
	assert_int_equal(pool_used(&dialogue->chunks), 0);
	pool_fini(&dialogue->chunks);
}

static struct session_servers dialogue_servers(const struct dialogue *dialogue)
{
	return (struct session_servers){dialogue->extensions, dialogue->servers_size};
}

// Feeds one piece from a block of exactly its size, so that a read past its end is found.
static void dialogue_send(struct dialogue *dialogue, const void *bytes, size_t length)
{
	uint8_t *block = malloc(length ? length : 1);
	memcpy(block, bytes, length);
	struct slice rest = slice_of(block, length);
	while (!dialogue->closed) {
		session_input(&dialogue->session, rest, dialogue->room, dialogue_servers(dialogue),
			      dialogue->now, &dialogue->reply, &dialogue->step);
		assert_true(dialogue->step.consumed <= rest.length);
		rest = slice_from(rest, dialogue->step.consumed);
		const bool more = dialogue->step.intent == SESSION_MORE;
		dialogue_note(dialogue);
		if (dialogue->session.suspended) {
			if (!dialogue->answers || !*dialogue->answers)
				break;
			dialogue_answer(dialogue, *dialogue->answers++);
		} else if (more) {
			assert_int_equal(rest.length, 0);
			break;
		}
	}
	free(block);
}

static inline void dialogue_send_text(struct dialogue *dialogue, const char *text)
{
	dialogue_send(dialogue, text, strlen(text));
}

// Empties the transcript: what follows is compared alone.
static inline void dialogue_expect(struct dialogue *dialogue, const char *expect)
{
	assert_string_equal(dialogue->transcript, expect);
	dialogue->length = 0;
	dialogue->transcript[0] = '\0';
}

// cut: length of the first piece; 0 = byte by byte.
static void dialogue_play(const struct script *script, size_t cut)
{
	struct dialogue *dialogue = malloc(sizeof(*dialogue));
	dialogue_open(dialogue, &script->setup);
	dialogue->answers = script->answers;
	if (cut == 0) {
		for (size_t i = 0; i < script->client_length && !dialogue->closed; i++)
			dialogue_send(dialogue, script->client + i, 1);
	} else {
		dialogue_send(dialogue, script->client, cut);
		if (!dialogue->closed)
			dialogue_send(dialogue, script->client + cut, script->client_length - cut);
	}
	if (dialogue->in_body)
		dialogue_say(dialogue, "}\n");
	if (strcmp(dialogue->transcript, script->expect) != 0)
		fail_msg("%s, cut at %zu:\n--- expected\n%s\n--- seen\n%s\n---", script->name, cut,
			 script->expect, dialogue->transcript);
	dialogue_end(dialogue);
	free(dialogue);
}

static inline void dialogue_play_all(const struct script *scripts, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		dialogue_play(&scripts[i], scripts[i].client_length);
		dialogue_play(&scripts[i], 0);
		for (size_t cut = 1; cut < scripts[i].client_length; cut++)
			dialogue_play(&scripts[i], cut);
	}
}

#endif
