// SPDX-License-Identifier: BSD-3-Clause
//
// A simulated backend server, as unreliable as its script says.

#include "tests/sim/mail.h"

#include <stdio.h>
#include <stdlib.h>

struct server_mind {
	char line[2048];
	size_t line_length;
	bool in_data;
	uint8_t *text;
	size_t length, room;
	unsigned recipients;
	bool hang_up;
	uint64_t stalled_until_us;
};

static struct server_script script;

void server_use(const struct server_script *chosen)
{
	script = *chosen;
}

static bool mischief(void)
{
	return random_below(script.ledger->random, 1000) < script.mischief_permille;
}

static void say(struct connection *connection, const char *text)
{
	tcp_send(connection->host->tcp, connection->flow, slice_of_text(text));
}

static void opened(struct connection *connection)
{
	connection->state = calloc(1, sizeof(struct server_mind));
	say(connection, mischief() ? "421 4.3.2 too busy\r\n" : "220 server.test ESMTP\r\n");
}

// One of the ways in which a server says no, or something else.
static void refuse(struct connection *connection, struct server_mind *mind)
{
	static const char *const ways[] = {"550 5.1.1 no such user\r\n", "451 4.3.0 try later\r\n",
					   "421 4.3.2 going down\r\n", "", "garbage\r\n"};
	uint32_t way = random_below(script.ledger->random, 5);

	say(connection, ways[way]);
	mind->hang_up = way >= 2;
}

static void command(struct connection *connection, struct server_mind *mind)
{
	const char *line = mind->line;

	if (mischief()) {
		refuse(connection, mind);
		return;
	}
	if (strncmp(line, "EHLO", 4) == 0) {
		say(connection, script.pipelining
					? "250-server.test\r\n250-PIPELINING\r\n250 8BITMIME\r\n"
					: "250-server.test\r\n250 8BITMIME\r\n");
	} else if (strncmp(line, "RCPT", 4) == 0) {
		mind->recipients++;
		say(connection, "250 2.1.5 ok\r\n");
	} else if (strncmp(line, "DATA", 4) == 0) {
		mind->in_data = mind->recipients > 0;
		mind->length = 0;
		say(connection, mind->in_data ? "354 go on\r\n" : "503 no recipient\r\n");
	} else if (strncmp(line, "QUIT", 4) == 0) {
		say(connection, "221 bye\r\n");
		mind->hang_up = true;
	} else {
		if (strncmp(line, "RSET", 4) == 0 || strncmp(line, "MAIL", 4) == 0)
			mind->recipients = 0;
		say(connection, "250 ok\r\n");
	}
}

static void end_of_data(struct connection *connection, struct server_mind *mind)
{
	mind->in_data = false;
	mind->recipients = 0;
	if (mischief()) {
		refuse(connection, mind);
		return;
	}
	ledger_delivered(script.ledger, slice_of(mind->text, mind->length - 3));
	say(connection, "250 2.0.0 queued as 4711\r\n");
}

static void keep(struct server_mind *mind, uint8_t byte)
{
	if (mind->length == mind->room) {
		mind->room = mind->room ? 2 * mind->room : 4096;
		mind->text = realloc(mind->text, mind->room);
	}
	mind->text[mind->length++] = byte;
}

static void read_byte(struct connection *connection, struct server_mind *mind, uint8_t byte)
{
	if (mind->in_data) {
		keep(mind, byte);
		if (mind->length >= 5 && memcmp(mind->text + mind->length - 5, "\r\n.\r\n", 5) == 0)
			end_of_data(connection, mind);
		return;
	}
	if (mind->line_length < sizeof(mind->line) - 1)
		mind->line[mind->line_length++] = (char)byte;
	if (byte != '\n')
		return;
	mind->line[mind->line_length] = '\0';
	mind->line_length = 0;
	command(connection, mind);
}

static void moved(struct connection *connection, uint64_t now_us)
{
	struct server_mind *mind = connection->state;
	struct slice in;

	while (!mind->hang_up && mind->stalled_until_us <= now_us &&
	       (in = tcp_received(connection->flow)).length) {
		size_t used = 0;

		while (used < in.length && !mind->hang_up)
			read_byte(connection, mind, in.data[used++]);
		tcp_consume(connection->host->tcp, connection->flow, used);
		if (random_below(script.ledger->random, 1000) < script.stall_permille)
			mind->stalled_until_us = now_us + 1000000;
	}
	if (mind->hang_up) {
		tcp_consume(connection->host->tcp, connection->flow,
			    tcp_received(connection->flow).length);
		tcp_close(connection->host->tcp, connection->flow);
	}
	if (connection->peer_closed)
		tcp_close(connection->host->tcp, connection->flow);
}

static void ended(struct connection *connection, unsigned events)
{
	struct server_mind *mind = connection->state;

	free(mind->text);
	free(mind);
}

static uint64_t deadline(const struct connection *connection)
{
	const struct server_mind *mind = connection->state;

	return mind->stalled_until_us > connection->host->now.now_us ? mind->stalled_until_us
								     : UINT64_MAX;
}

const struct application server_application = {opened, moved, ended, deadline};
