// SPDX-License-Identifier: BSD-3-Clause
//
// A simulated SMTP client.

#include "tests/sim/mail.h"

#include <stdio.h>
#include <stdlib.h>

enum stage { GREETING, HELLO, MAIL, RCPT, DATA, BODY, FINAL, QUIT, DONE };

struct client_mind {
	struct client_script script;
	enum stage stage;
	unsigned current;
	size_t sent; // of the mail's text
	size_t cut_at;
	bool dot_sent;
	unsigned code; // of the reply being read
	unsigned column;
	char separator;
	bool skip; // an envelope command was refused: go on to the next mail
	char out[1024];
	size_t out_length;
};

void *client_state(const struct client_script *script)
{
	struct client_mind *mind = calloc(1, sizeof(*mind));

	mind->script = *script;
	mind->script.ledger->sessions_open++;
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

static void begin_mail(struct client_mind *mind)
{
	if (mind->current == mind->script.count) {
		say(mind, "QUIT\r\n");
		mind->stage = QUIT;
		return;
	}
	mind->sent = 0;
	mind->dot_sent = false;
	mind->cut_at = random_below(mind->script.ledger->random, (uint32_t)mail_of(mind)->length);
	mind->stage = MAIL;
	say(mind, "MAIL FROM:<alice@client.test>\r\n");
	if (mind->script.pipelining) {
		say_recipient(mind);
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

static void on_reply(struct client_mind *mind, unsigned code)
{
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
		envelope_reply(mind, code);
		break;
	case DATA:
		envelope_reply(mind, code);
		if (mind->stage != BODY && mind->script.pipelining)
			give_mail_up(mind, code);
		break;
	case BODY:
	case FINAL:
		mail_of(mind)->code = code;
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
		mind->column++;
		if (byte != '\n')
			continue;
		mind->column = 0;
		if (mind->separator == ' ')
			on_reply(mind, mind->code);
	}
}

// False when the client ended itself.
static bool send_body(struct connection *connection, struct client_mind *mind)
{
	struct mail *mail = mail_of(mind);
	struct tcp *tcp = connection->host->tcp;

	while (mind->sent < mail->length) {
		struct slice rest = slice_of(mail->text + mind->sent, mail->length - mind->sent);
		size_t taken =
			tcp_send(tcp, connection->flow, slice_first(rest, mind->script.most));

		if (taken == 0)
			return true;
		mind->sent += taken;
		if (mind->sent < mind->cut_at)
			continue;
		if (mail->kind == MAIL_CUT) {
			host_abort(connection);
			return false;
		}
		if (mail->kind == MAIL_VANISH) {
			connection->host->deaf = true;
			return true;
		}
	}
	if (!mind->dot_sent && tcp_send_room(connection->flow) > 8) {
		mind->dot_sent = tcp_send(tcp, connection->flow, slice_of(".\r\n", 3)) == 3;
		mail->finished = mind->dot_sent;
		mind->stage = FINAL;
	}
	return true;
}

static void opened(struct connection *connection)
{
}

static void moved(struct connection *connection, uint64_t now_us)
{
	struct client_mind *mind = connection->state;
	struct tcp *tcp = connection->host->tcp;
	struct slice in;

	while ((in = tcp_received(connection->flow)).length) {
		read_replies(mind, in);
		tcp_consume(tcp, connection->flow, in.length);
	}
	if (mind->out_length && tcp_send_room(connection->flow) > sizeof(mind->out)) {
		tcp_send(tcp, connection->flow, slice_of(mind->out, mind->out_length));
		mind->out_length = 0;
	}
	if (mind->stage == BODY && !send_body(connection, mind))
		return;
	if (mind->stage == DONE || connection->peer_closed)
		tcp_close(tcp, connection->flow);
}

static void ended(struct connection *connection, unsigned events)
{
	struct client_mind *mind = connection->state;

	mind->script.ledger->sessions_open--;
	free(mind);
}

static uint64_t deadline(const struct connection *connection)
{
	return UINT64_MAX;
}

const struct application client_application = {opened, moved, ended, deadline};
