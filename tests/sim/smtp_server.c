// SPDX-License-Identifier: BSD-3-Clause
//
// A simulated backend server, as unreliable as its script says, and strict about the order of
// commands, and about PIPELINING if it has none.

#include "tests/sim/mail.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct server_mind {
	struct server_script *script;
	char line[2048];
	size_t line_length;
	bool in_transaction, in_data, data_ended;
	bool chunk_ended, chunk_last, refused; // BDAT; a chunk was refused: so are all behind it
	size_t chunk_left;
	uint8_t *text;
	size_t length, room;
	unsigned recipients;
	bool hang_up;
	bool thought; // about what it answers next
	uint64_t busy_until_us;
};

static bool mischief(struct server_mind *mind)
{
	return dice_permille(&mind->script->dice, mind->script->mischief_permille);
}

static void say(struct connection *connection, const char *text)
{
	connection->transport->send(connection, slice_of_text(text));
}

static void opened(struct connection *connection)
{
	struct server_mind *mind = calloc(1, sizeof(*mind));

	mind->script = connection->state;
	connection->state = mind;
	if (mischief(mind)) {
		say(connection, "421 4.3.2 too busy\r\n");
		mind->hang_up = dice_one_in(&mind->script->dice, 2);
	} else {
		say(connection, "220 server.test ESMTP\r\n");
	}
}

// One of the ways in which a server says no, or something else.
static void refuse(struct connection *connection, struct server_mind *mind)
{
	static const char *const ways[] = {"550 5.1.1 no such user\r\n", "451 4.3.0 try later\r\n",
					   "421 4.3.2 going down\r\n", "", "garbage\r\n"};
	uint32_t way = dice_below(&mind->script->dice, 6);

	if (way == 5) {
		connection->transport->abort(connection);
		return;
	}
	say(connection, ways[way]);
	mind->hang_up = way >= 2;
}

static void recipient(struct connection *connection, struct server_mind *mind)
{
	if (!strstr(mind->line, "accepted.test"))
		mind->script->ledger->foreign = true;
	if (!mind->in_transaction) {
		say(connection, "503 5.5.1 MAIL first\r\n");
		return;
	}
	mind->recipients++;
	say(connection, "250 2.1.5 ok\r\n");
}

static void mail(struct connection *connection, struct server_mind *mind)
{
	if (mind->in_transaction) {
		say(connection, "503 5.5.1 nested MAIL\r\n");
		return;
	}
	mind->in_transaction = true;
	mind->refused = false;
	mind->length = 0;
	mind->recipients = 0;
	say(connection, "250 2.1.0 ok\r\n");
}

static void hello(struct connection *connection, const struct server_script *script)
{
	say(connection, "250-server.test\r\n");
	if (script->pipelining)
		say(connection, "250-PIPELINING\r\n");
	if (script->chunking)
		say(connection, "250-CHUNKING\r\n");
	if (script->binary_mime)
		say(connection, "250-BINARYMIME\r\n");
	say(connection, "250 8BITMIME\r\n");
}

static void command(struct connection *connection, struct server_mind *mind)
{
	const char *line = mind->line;

	if (mischief(mind)) {
		refuse(connection, mind);
	} else if (strncmp(line, "EHLO", 4) == 0) {
		hello(connection, mind->script);
	} else if (strncmp(line, "MAIL", 4) == 0) {
		mail(connection, mind);
	} else if (strncmp(line, "RCPT", 4) == 0) {
		recipient(connection, mind);
	} else if (strncmp(line, "DATA", 4) == 0) {
		mind->in_data = mind->recipients > 0;
		mind->length = 0;
		say(connection, mind->in_data ? "354 go on\r\n" : "503 no recipient\r\n");
	} else if (strncmp(line, "QUIT", 4) == 0) {
		say(connection, "221 bye\r\n");
		mind->hang_up = true;
	} else {
		if (strncmp(line, "RSET", 4) == 0)
			mind->in_transaction = mind->refused = false;
		say(connection, "250 ok\r\n");
	}
}

static void end_of_data(struct connection *connection, struct server_mind *mind)
{
	mind->in_data = mind->data_ended = mind->in_transaction = false;
	mind->recipients = 0;
	if (mischief(mind)) {
		refuse(connection, mind);
		return;
	}
	ledger_delivered(mind->script->ledger, slice_of(mind->text, mind->length - 3));
	say(connection, "250 2.0.0 queued as 4711\r\n");
}

// What came in chunks, as DATA would have carried it.
static void delivered_in_chunks(const struct server_mind *mind)
{
	uint8_t *stuffed = malloc(2 * mind->length + 1);
	size_t length = 0;

	for (size_t i = 0; i < mind->length; i++) {
		if (mind->text[i] == '.' && (i == 0 || mind->text[i - 1] == '\n'))
			stuffed[length++] = '.';
		stuffed[length++] = mind->text[i];
	}
	ledger_delivered(mind->script->ledger, slice_of(stuffed, length));
	free(stuffed);
}

// Nothing is kept of a message of which a chunk was refused.
static void end_of_chunk(struct connection *connection, struct server_mind *mind)
{
	bool possible = mind->script->chunking && mind->recipients > 0 && !mind->refused;

	mind->chunk_ended = false;
	if (!possible) {
		mind->refused = true;
		say(connection, "503 5.5.1 no transaction, or a chunk was refused\r\n");
	} else if (mischief(mind)) {
		mind->refused = true;
		refuse(connection, mind);
	} else if (!mind->chunk_last) {
		say(connection, "250 2.0.0 chunk taken\r\n");
	} else {
		delivered_in_chunks(mind);
		mind->in_transaction = false;
		mind->recipients = 0;
		say(connection, "250 2.0.0 queued as 4712\r\n");
	}
}

static void keep(struct server_mind *mind, uint8_t byte)
{
	if (mind->length == mind->room) {
		mind->room = mind->room ? 2 * mind->room : 4096;
		mind->text = realloc(mind->text, mind->room);
	}
	mind->text[mind->length++] = byte;
}

// True when a command or a message is complete.
static bool read_byte(struct server_mind *mind, uint8_t byte)
{
	if (mind->in_data) {
		keep(mind, byte);
		mind->data_ended = byte == '\n' && mind->length >= 5 &&
				   memcmp(mind->text + mind->length - 5, "\r\n.\r\n", 5) == 0;
		return mind->data_ended;
	}
	if (mind->chunk_left > 0) {
		keep(mind, byte);
		mind->chunk_ended = --mind->chunk_left == 0;
		return mind->chunk_ended;
	}
	if (mind->line_length < sizeof(mind->line) - 1)
		mind->line[mind->line_length++] = (char)byte;
	if (byte != '\n')
		return false;
	mind->line[mind->line_length] = '\0';
	mind->line_length = 0;
	if (strncmp(mind->line, "BDAT ", 5) != 0)
		return true;
	mind->chunk_left = strtoul(mind->line + 5, NULL, 10);
	mind->chunk_last = strstr(mind->line, " LAST\r\n");
	mind->chunk_ended = mind->chunk_left == 0;
	return mind->chunk_ended;
}

// The answer to what is complete; not before it thought about it.
static void answer(struct connection *connection, struct server_mind *mind)
{
	if (mind->data_ended)
		end_of_data(connection, mind);
	else if (mind->chunk_ended)
		end_of_chunk(connection, mind);
	else
		command(connection, mind);
	mind->thought = false;
}

static void think(struct connection *connection, struct server_mind *mind)
{
	mind->thought = true;
	if (mind->script->think_ms)
		mind->busy_until_us =
			connection->now_us +
			1000ull * dice_below(&mind->script->dice, mind->script->think_ms);
}

// A reply in the middle of the body, or a reset.
static void interrupt(struct connection *connection, struct server_mind *mind)
{
	if ((!mind->in_data && !mind->chunk_left) ||
	    !dice_permille(&mind->script->dice, mind->script->early_permille))
		return;
	if (dice_one_in(&mind->script->dice, 2)) {
		connection->transport->abort(connection);
		return;
	}
	say(connection, "452 4.3.1 no room for the rest\r\n");
	mind->hang_up = true;
}

static void read_some(struct connection *connection, struct server_mind *mind, struct slice in)
{
	size_t used = 0;

	while (used < in.length && !mind->thought)
		if (read_byte(mind, in.data[used++]))
			think(connection, mind);
	// After the greeting's reply nothing is said before the last thing was answered.
	mind->script->ledger->rushed |= used < in.length && !mind->script->pipelining;
	connection->transport->consume(connection, used);
	interrupt(connection, mind);
	if (dice_permille(&mind->script->dice, mind->script->stall_permille))
		mind->busy_until_us = connection->now_us + 1000000;
}

static void moved(struct connection *connection)
{
	struct server_mind *mind = connection->state;
	struct slice in;

	while (!mind->hang_up && !connection->aborted &&
	       mind->busy_until_us <= connection->now_us) {
		if (mind->thought)
			answer(connection, mind);
		else if ((in = connection->transport->received(connection)).length)
			read_some(connection, mind, in);
		else
			break;
	}
	if (connection->aborted)
		return;
	if (mind->hang_up) {
		while ((in = connection->transport->received(connection)).length)
			connection->transport->consume(connection, in.length);
		connection->transport->close(connection);
	}
	if (connection->peer_closed && !mind->thought)
		connection->transport->close(connection);
}

static void ended(struct connection *connection)
{
	struct server_mind *mind = connection->state;

	free(mind->text);
	free(mind);
}

static uint64_t deadline(const struct connection *connection)
{
	const struct server_mind *mind = connection->state;

	return mind->busy_until_us > connection->now_us ? mind->busy_until_us : UINT64_MAX;
}

const struct application server_application = {opened, moved, ended, deadline};
