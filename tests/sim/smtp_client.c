// SPDX-License-Identifier: BSD-3-Clause
//
// A simulated SMTP client.

#include "tests/sim/mail.h"

#include <stdio.h>
#include <stdlib.h>

#define PATIENCE_US 600000000ull // without a reply (RFC 5321 4.5.3.2)
#define DROP_US     1000000ull   // between two octets of a slow mail

enum stage { GREETING, HELLO, MAIL, RCPT, DATA, BODY, FINAL, QUIT, DONE };

// A mail that goes by BDAT.
struct chunks {
	bool used;
	uint8_t *text; // without the dots that DATA puts before others
	size_t length;
	size_t left;         // octets of the chunk on its way
	bool last;           // it is, or was, the last one
	unsigned unanswered; // chunks
	unsigned refused;    // the code; no further chunk is begun
};

struct client_mind {
	struct client_script script;
	enum stage stage;
	unsigned current;
	size_t sent; // of the mail's text
	size_t cut_at;
	unsigned dropped; // octets of a slow mail that came one by one
	uint64_t drop_us; // when the next one may come; 0 = none is due
	bool dot_sent;
	unsigned code; // of the reply being read
	unsigned column;
	char separator;
	bool skip;         // an envelope command was refused: go on to the next mail
	bool left;         // it sent its FIN
	uint64_t heard_us; // last reply, or last byte of a body that went out
	unsigned answers;  // of a rushed client
	char out[1024];
	size_t out_length;
	char keyword[12]; // of EHLO's reply: the line's beginning
	bool has_chunking, has_binary;
	struct chunks chunks;
};

void *client_state(const struct client_script *script)
{
	struct client_mind *mind = calloc(1, sizeof(*mind));

	mind->script = *script;
	return mind;
}

static void say(struct client_mind *mind, const char *text)
{
	size_t length = strlen(text);

	memcpy(mind->out + mind->out_length, text, length);
	mind->out_length += length;
}

static struct mail *mail_of(struct client_mind *mind)
{
	return &mind->script.ledger->mails[mind->script.first + mind->current];
}

static void say_recipient(struct client_mind *mind)
{
	say(mind, mail_of(mind)->kind == MAIL_FOREIGN ? "RCPT TO:<bob@foreign.test>\r\n"
						      : "RCPT TO:<bob@accepted.test>\r\n");
}

// Some mails only mean something to DATA.
static bool may_go_in_chunks(const struct client_mind *mind, enum mail_kind kind)
{
	return mind->script.chunks && mind->has_chunking && kind != MAIL_BARE_LINE_FEED &&
	       kind != MAIL_HALF_CLOSED;
}

static void prepare_chunks(struct client_mind *mind, const struct mail *mail)
{
	struct chunks *chunks = &mind->chunks;

	free(chunks->text);
	*chunks = (struct chunks){0};
	if (!may_go_in_chunks(mind, mail->kind) || dice_one_in(&mind->script.dice, 4))
		return;
	chunks->used = true;
	chunks->text = malloc(mail->length);
	for (size_t i = 0; i < mail->length; i++)
		if (mail->text[i] != '.' || (i > 0 && mail->text[i - 1] != '\n'))
			chunks->text[chunks->length++] = mail->text[i];
}

static void begin_mail(struct client_mind *mind)
{
	if (mind->current == mind->script.count) {
		say(mind, "QUIT\r\n");
		mind->stage = QUIT;
		return;
	}
	mind->sent = 0;
	mind->dropped = 0;
	mind->dot_sent = false;
	prepare_chunks(mind, mail_of(mind));
	mind->cut_at = dice_below(
		&mind->script.dice,
		(uint32_t)(mind->chunks.used ? mind->chunks.length : mail_of(mind)->length));
	mind->stage = MAIL;
	say(mind, "MAIL FROM:<alice@client.test>");
	mail_of(mind)->binary = mind->chunks.used && mind->has_binary && mind->script.binary;
	if (mail_of(mind)->binary)
		say(mind, " BODY=BINARYMIME");
	say(mind, "\r\n");
	if (mind->script.pipelining) {
		say_recipient(mind);
		if (mail_of(mind)->kind != MAIL_WITHDRAWN && !mind->chunks.used)
			say(mind, "DATA\r\n");
	}
}

static void next_mail(struct client_mind *mind)
{
	mind->current++;
	begin_mail(mind);
}

static void give_mail_up(struct client_mind *mind, unsigned code)
{
	mail_of(mind)->code = code;
	say(mind, "RSET\r\n");
	mind->skip = true;
}

static void envelope_reply(struct client_mind *mind, unsigned code)
{
	bool good = code < 400;

	switch (mind->stage) {
	case MAIL:
		mind->stage = RCPT;
		if (!mind->script.pipelining && good)
			say_recipient(mind);
		break;
	case RCPT:
		if (good && mail_of(mind)->kind == MAIL_WITHDRAWN) {
			give_mail_up(mind, code);
			return;
		}
		mind->stage = DATA;
		if (!mind->script.pipelining && good)
			say(mind, "DATA\r\n");
		break;
	default:
		if (good)
			mind->stage = BODY;
		break;
	}
	// Pipelined DATA answers too: only its refusal ends the envelope.
	if (!good && (!mind->script.pipelining || mind->stage == DATA)) {
		if (!mail_of(mind)->code)
			mail_of(mind)->code = code;
		if (!mind->script.pipelining)
			give_mail_up(mind, code);
	}
}

// The chunks follow the answer to RCPT.
static void chunked_envelope_reply(struct client_mind *mind, unsigned code)
{
	struct mail *mail = mail_of(mind);

	if (code >= 400 && !mail->code)
		mail->code = code;
	if (mind->stage == MAIL && (mind->script.pipelining || !mail->code)) {
		mind->stage = RCPT;
		if (!mind->script.pipelining)
			say_recipient(mind);
	} else if (mail->code || mail->kind == MAIL_WITHDRAWN) {
		give_mail_up(mind, mail->code ? mail->code : code);
	} else {
		mind->stage = BODY;
	}
}

// A refused chunk is still sent to its end; then RSET.
static void give_chunks_up(struct client_mind *mind)
{
	if (!mind->chunks.refused || mind->chunks.left || mind->chunks.unanswered)
		return;
	mind->stage = FINAL;
	give_mail_up(mind, mind->chunks.refused);
}

static void chunk_reply(struct client_mind *mind, unsigned code)
{
	struct chunks *chunks = &mind->chunks;

	if (chunks->unanswered > 0)
		chunks->unanswered--;
	if (code >= 400 && !chunks->refused)
		chunks->refused = code;
	if (chunks->last && !chunks->unanswered && !chunks->refused) {
		ledger_answered(mind->script.ledger, mail_of(mind), code);
		next_mail(mind);
		return;
	}
	give_chunks_up(mind);
}

// Greeting, EHLO, MAIL, RCPT, DATA, end of data: the first refusal is the answer, else the sixth.
static void rushed_reply(struct client_mind *mind, unsigned code)
{
	mind->answers++;
	if (!mail_of(mind)->code && (code >= 400 || mind->answers == 6))
		ledger_answered(mind->script.ledger, mail_of(mind), code);
}

static void on_reply(struct client_mind *mind, unsigned code)
{
	if (mind->script.rushed) {
		rushed_reply(mind, code);
		return;
	}
	if (mind->skip) {
		mind->skip = false;
		next_mail(mind);
		return;
	}
	switch (mind->stage) {
	case GREETING:
		say(mind, "EHLO client.test\r\n");
		mind->stage = HELLO;
		break;
	case HELLO:
		begin_mail(mind);
		break;
	case MAIL:
	case RCPT:
		if (mind->chunks.used)
			chunked_envelope_reply(mind, code);
		else
			envelope_reply(mind, code);
		break;
	case DATA:
		envelope_reply(mind, code);
		if (mind->stage != BODY && mind->script.pipelining)
			give_mail_up(mind, code);
		break;
	case BODY:
	case FINAL:
		if (mind->chunks.used) {
			chunk_reply(mind, code);
			break;
		}
		ledger_answered(mind->script.ledger, mail_of(mind), code);
		next_mail(mind);
		break;
	case QUIT:
	case DONE:
		mind->stage = DONE;
		break;
	}
}

static void read_replies(struct client_mind *mind, struct slice in)
{
	for (size_t i = 0; i < in.length; i++) {
		uint8_t byte = in.data[i];

		if (mind->column == 0)
			mind->code = 0;
		if (mind->column < 3)
			mind->code = mind->code * 10 + byte - '0';
		else if (mind->column == 3)
			mind->separator = (char)byte;
		if (mind->column < sizeof(mind->keyword))
			mind->keyword[mind->column] = (char)byte;
		mind->column++;
		if (byte != '\n')
			continue;
		mind->column = 0;
		mind->has_chunking |=
			mind->stage == HELLO && memcmp(mind->keyword + 4, "CHUNKING", 8) == 0;
		mind->has_binary |=
			mind->stage == HELLO && memcmp(mind->keyword + 4, "BINARYMI", 8) == 0;
		if (mind->separator == ' ')
			on_reply(mind, mind->code);
	}
}

// False when the client ended itself.
static bool misbehave(struct connection *connection, struct client_mind *mind, enum mail_kind kind)
{
	switch (kind) {
	case MAIL_CUT:
		connection->transport->abort(connection);
		return false;
	case MAIL_LEFT:
		mind->left = true;
		connection->transport->close(connection);
		return false;
	case MAIL_VANISH:
		connection->transport->vanish(connection);
		return false;
	default:
		return true;
	}
}

// How many octets may be sent at once now.
static size_t most_now(const struct connection *connection, const struct client_mind *mind,
		       const struct mail *mail)
{
	if (mail->kind != MAIL_SLOW || mind->sent < mind->cut_at ||
	    mind->dropped >= mind->script.drops)
		return mind->script.most;
	return connection->now_us >= mind->drop_us;
}

static void note_sent(const struct connection *connection, struct client_mind *mind,
		      const struct mail *mail, size_t octets)
{
	mind->heard_us = connection->now_us;
	mind->sent += octets;
	mind->drop_us = 0;
	if (mail->kind != MAIL_SLOW || mind->sent < mind->cut_at ||
	    mind->dropped >= mind->script.drops)
		return;
	mind->dropped++;
	mind->drop_us = connection->now_us + DROP_US;
}

static bool send_body(struct connection *connection, struct client_mind *mind)
{
	struct mail *mail = mail_of(mind);

	while (mind->sent < mail->length) {
		struct slice rest = slice_of(mail->text + mind->sent, mail->length - mind->sent);
		size_t taken = connection->transport->send(
			connection, slice_first(rest, most_now(connection, mind, mail)));

		if (taken == 0)
			return true;
		note_sent(connection, mind, mail, taken);
		if (mind->sent >= mind->cut_at && !misbehave(connection, mind, mail->kind))
			return false;
	}
	if (!mind->dot_sent && connection->transport->room(connection) > 16) {
		mind->dot_sent = true;
		mail->finished = true;
		connection->transport->send(connection, slice_of(".\r\n", 3));
		mind->stage = FINAL;
		if (mail->kind == MAIL_HALF_CLOSED || mind->script.rushed) {
			if (mind->script.rushed)
				connection->transport->send(connection, slice_of("QUIT\r\n", 6));
			mind->left = true;
			connection->transport->close(connection);
		}
	}
	return true;
}

// False when it has to wait.
static bool begin_chunk(struct connection *connection, struct client_mind *mind)
{
	struct chunks *chunks = &mind->chunks;
	size_t rest = chunks->length - mind->sent;
	size_t size =
		1 + dice_below(&mind->script.dice, 1u << dice_between(&mind->script.dice, 8, 15));
	char line[48];

	if (chunks->last || chunks->refused ||
	    (!mind->script.pipelining && chunks->unanswered > 0) ||
	    connection->transport->room(connection) <= sizeof(line))
		return false;
	chunks->left = size < rest ? size : rest;
	chunks->last = rest == 0 || (chunks->left == rest && dice_one_in(&mind->script.dice, 2));
	chunks->unanswered++;
	snprintf(line, sizeof(line), "BDAT %zu%s\r\n", chunks->left, chunks->last ? " LAST" : "");
	connection->transport->send(connection, slice_of_text(line));
	return true;
}

static void send_chunks(struct connection *connection, struct client_mind *mind)
{
	struct chunks *chunks = &mind->chunks;
	struct mail *mail = mail_of(mind);

	do {
		while (chunks->left > 0) {
			struct slice rest = slice_of(chunks->text + mind->sent, chunks->left);
			size_t taken;

			// Ahead of the last octet, with which the message would be whole.
			if (mind->sent >= mind->cut_at && !misbehave(connection, mind, mail->kind))
				return;
			if (mind->sent < mind->cut_at)
				rest = slice_first(rest, mind->cut_at - mind->sent);
			taken = connection->transport->send(
				connection, slice_first(rest, most_now(connection, mind, mail)));
			if (taken == 0)
				return;
			note_sent(connection, mind, mail, taken);
			chunks->left -= taken;
		}
		mail->finished |= chunks->last;
	} while (begin_chunk(connection, mind));
	give_chunks_up(mind);
}

static void opened(struct connection *connection)
{
	struct client_mind *mind = connection->state;

	mind->heard_us = connection->now_us;
	if (!mind->script.rushed)
		return;
	say(mind, "EHLO client.test\r\nMAIL FROM:<alice@client.test>\r\n"
		  "RCPT TO:<bob@accepted.test>\r\nDATA\r\n");
	mind->cut_at = SIZE_MAX;
	mind->stage = BODY;
}

static uint64_t patience_ends(const struct client_mind *mind)
{
	return mind->heard_us + PATIENCE_US;
}

static uint64_t deadline(const struct connection *connection)
{
	const struct client_mind *mind = connection->state;

	return mind->drop_us > connection->now_us ? mind->drop_us : patience_ends(mind);
}

static void moved(struct connection *connection)
{
	struct client_mind *mind = connection->state;
	const struct transport *transport = connection->transport;
	struct slice in;

	while ((in = transport->received(connection)).length) {
		read_replies(mind, in);
		transport->consume(connection, in.length);
		mind->heard_us = connection->now_us;
	}
	if (connection->now_us >= patience_ends(mind)) {
		transport->abort(connection);
		return;
	}
	if (mind->left) {
		mind->out_length = 0;
		return;
	}
	if (mind->out_length && transport->room(connection) > sizeof(mind->out)) {
		transport->send(connection, slice_of(mind->out, mind->out_length));
		mind->out_length = 0;
	}
	if (mind->stage == BODY && mind->chunks.used && !mind->out_length)
		send_chunks(connection, mind);
	else if (mind->stage == BODY && !mind->out_length && !send_body(connection, mind))
		return;
	if (connection->aborted)
		return;
	if (mind->stage == DONE || connection->peer_closed)
		transport->close(connection);
}

static void ended(struct connection *connection)
{
	struct client_mind *mind = connection->state;

	free(mind->chunks.text);
	free(mind);
}

const struct application client_application = {opened, moved, ended, deadline};
