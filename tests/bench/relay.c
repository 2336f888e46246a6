// SPDX-License-Identifier: BSD-3-Clause
//
// The load of a mail cluster's clients: messages of 4 KB, many in a session, MAIL, RCPT and DATA
// sent as one group, to a server in memory that takes everything, in BDAT chunks unless it is told
// to have no CHUNKING. Both ends are here. A message
// counts when the client has its final 250; the server checks that as many octets arrived as the
// client sent, behind the gate's header.
#include "tests/bench/run.h"

#include <assert.h>
#include <stdlib.h>

#define SAY_MAX 512

// What a client waits for.
enum step { STEP_HANDSHAKE, STEP_BANNER, STEP_HELLO, STEP_GO_ON, STEP_FINAL, STEP_QUIT, STEP_END };

// Either end of a connection.
struct end {
	struct peer peer;
	bool is_server, is_ready, open, greeted;
	bool owes_ack;
	uint8_t flags;        // to be sent with the next segment
	unsigned unanswered;  // segments since our last
	struct slice speech;  // to be said
	char say[SAY_MAX];    // where the server's speech is
	enum step step;       // client
	uint32_t left;        // client: messages of this session
	bool in_data;         // server
	uint32_t octets;      // server: of the message so far
	uint32_t chunk_left;  // server: octets of a chunk that are still to come
	bool chunk_last;      // server
	char last[5];         // server: its last bytes
	char line[SAY_MAX];   // server: a command's beginning
	uint32_t line_length; // likewise
};

struct world {
	struct load load; // first
	struct end *clients;
	struct end *servers; // by the gate's port
	struct end **ready;  // ring of those who have something to say, each at most once
	uint32_t first, waiting, room;
	uint32_t count, begun;
	struct run_frame arp;
	uint8_t *message; // with its final dot
	size_t message_length;
	uint32_t messages;
	bool bare_acks, timestamps, without_bdat;
};

static void make_ready(struct world *world, struct end *end)
{
	if (end->is_ready)
		return;
	end->is_ready = true;
	world->ready[(world->first + world->waiting++) % world->room] = end;
}

static void say(struct world *world, struct end *end, struct slice speech)
{
	end->speech = speech;
	end->owes_ack = false;
	make_ready(world, end);
}

// ---- The client ------------------------------------------------------------------------------

#define ENVELOPE "MAIL FROM:<reports@sender.test>\r\nRCPT TO:<colleague@accepted.test>\r\nDATA\r\n"

static void begin(struct world *world, struct end *client)
{
	client->step = STEP_HANDSHAKE;
	client->peer.local_port++;
	client->peer.sequence += 0x01234567;
	client->peer.acknowledgment = client->peer.echo = 0;
	client->left = world->messages;
	client->flags = TCP_SYN;
	client->open = true;
	make_ready(world, client);
}

// The code of the reply that ends the payload.
static const char *last_line(struct slice payload)
{
	size_t at = payload.length < 2 ? 0 : payload.length - 2;

	while (at > 0 && payload.data[at - 1] != '\n')
		at--;
	return (const char *)payload.data + at;
}

static void client_heard(struct world *world, struct end *client, struct slice payload)
{
	static const char *const expected[] = {[STEP_BANNER] = "220",
					       [STEP_HELLO] = "250",
					       [STEP_GO_ON] = "354",
					       [STEP_FINAL] = "250",
					       [STEP_QUIT] = "221"};
	const char *reply = last_line(payload);

	// MAIL and RCPT may be answered before DATA is.
	if (client->step == STEP_GO_ON && memcmp(reply, "250", 3) == 0)
		return;
	if (memcmp(reply, expected[client->step], 3) != 0) {
		world->load.wrong++;
		return;
	}
	switch (client->step) {
	case STEP_BANNER:
		say(world, client, slice_of_text("EHLO host.sender.test\r\n"));
		client->step = STEP_HELLO;
		return;
	case STEP_FINAL:
		world->load.done++;
		if (--client->left == 0) {
			say(world, client, slice_of_text("QUIT\r\n"));
			client->step = STEP_QUIT;
			return;
		}
		// fall through
	case STEP_HELLO:
		say(world, client, slice_of_text(ENVELOPE));
		client->step = STEP_GO_ON;
		return;
	case STEP_GO_ON:
		say(world, client, slice_of(world->message, world->message_length));
		client->step = STEP_FINAL;
		return;
	default:
		return;
	}
}

static void client_take(struct world *world, struct end *client, const struct peer_segment *segment)
{
	if (client->step == STEP_END) {
		begin(world, client);
		return;
	}
	if (client->step == STEP_HANDSHAKE && segment->flags & TCP_SYN) {
		client->step = STEP_BANNER;
		client->owes_ack = true;
		make_ready(world, client);
		return;
	}
	if (segment->payload.length)
		client_heard(world, client, segment->payload);
	if (segment->flags & TCP_FIN) {
		world->load.wrong += client->step != STEP_QUIT;
		client->step = STEP_END;
		client->flags = TCP_FIN;
		make_ready(world, client);
	}
}

// ---- The server ------------------------------------------------------------------------------

static void reply(struct world *world, struct end *server, const char *text)
{
	size_t length = strlen(text), used = server->speech.length;

	assert(used + length <= SAY_MAX);
	memcpy(server->say + used, text, length);
	say(world, server, slice_of(server->say, used + length));
}

static void server_line(struct world *world, struct end *server)
{
	const char *line = server->line;

	if (memcmp(line, "EHLO", 4) == 0) {
		reply(world, server, "250-server.test\r\n250-PIPELINING\r\n");
		reply(world, server,
		      world->without_bdat ? "250 8BITMIME\r\n"
					  : "250-CHUNKING\r\n250 8BITMIME\r\n");
	} else if (memcmp(line, "DATA", 4) == 0) {
		server->in_data = true;
		server->octets = 0;
		reply(world, server, "354 go on\r\n");
	} else if (memcmp(line, "BDAT", 4) == 0) {
		server->chunk_left = (uint32_t)strtoul(line + 5, NULL, 10);
		server->chunk_last = memchr(line, 'L', server->line_length) != NULL;
	} else if (memcmp(line, "MAIL", 4) == 0) {
		server->octets = 0;
		reply(world, server, "250 2.1.0 ok\r\n");
	} else if (memcmp(line, "QUIT", 4) == 0) {
		reply(world, server, "221 bye\r\n");
		server->flags = TCP_FIN;
	} else {
		reply(world, server, "250 2.0.0 ok\r\n");
	}
}

static void server_body(struct world *world, struct end *server, struct slice payload)
{
	size_t tail = payload.length < 5 ? payload.length : 5;

	server->octets += (uint32_t)payload.length;
	memmove(server->last, server->last + tail, 5 - tail);
	memcpy(server->last + 5 - tail, payload.data + payload.length - tail, tail);
	if (memcmp(server->last, "\r\n.\r\n", 5) != 0)
		return;
	server->in_data = false;
	world->load.wrong += server->octets < world->message_length;
	reply(world, server, "250 2.0.0 queued as 4711\r\n");
}

// The octets of a chunk at the front of the payload; returns how many.
static size_t server_chunk(struct world *world, struct end *server, struct slice payload)
{
	size_t length = slice_first(payload, server->chunk_left).length;

	server->octets += (uint32_t)length;
	server->chunk_left -= (uint32_t)length;
	if (server->chunk_left > 0)
		return length;
	// The client's final dot is none of the message's.
	world->load.wrong += server->chunk_last && server->octets + 3 < world->message_length;
	reply(world, server,
	      server->chunk_last ? "250 2.0.0 queued as 4711\r\n" : "250 2.0.0 taken\r\n");
	return length;
}

static void server_commands(struct world *world, struct end *server, struct slice payload)
{
	for (size_t i = 0; i < payload.length; i++) {
		if (server->chunk_left > 0) {
			i += server_chunk(world, server, slice_from(payload, i)) - 1;
			continue;
		}
		assert(server->line_length < SAY_MAX);
		server->line[server->line_length++] = (char)payload.data[i];
		if (payload.data[i] != '\n')
			continue;
		server_line(world, server);
		server->line_length = 0;
	}
}

static void server_take(struct world *world, struct end *server, const struct peer_segment *segment)
{
	if (segment->flags & TCP_RST) {
		server->open = false;
		return;
	}
	if (segment->flags & TCP_SYN) {
		server->flags = TCP_SYN;
		make_ready(world, server);
		return;
	}
	if (!server->greeted) { // its SYN-ACK is acknowledged
		server->greeted = true;
		reply(world, server, "220 server.test ESMTP\r\n");
	}
	if (segment->payload.length && server->in_data)
		server_body(world, server, segment->payload);
	else if (segment->payload.length)
		server_commands(world, server, segment->payload);
	if (segment->flags & TCP_FIN) {
		server->flags = TCP_FIN;
		make_ready(world, server);
	}
}

// ---- The wire --------------------------------------------------------------------------------

static bool next(struct load *load, struct run_frame *out, uint32_t now_ms)
{
	struct world *world = (struct world *)load;
	struct end *end;
	struct slice part;

	if (world->arp.length) {
		*out = world->arp;
		world->arp.length = 0;
		return true;
	}
	if (world->begun < world->count)
		begin(world, &world->clients[world->begun++]);
	if (world->waiting == 0)
		return false;
	end = world->ready[world->first];
	part = slice_first(end->speech, peer_segment_bytes(&end->peer));
	end->speech = slice_from(end->speech, part.length);
	if (end->speech.length == 0) {
		world->first = (world->first + 1) % world->room;
		world->waiting--;
		end->is_ready = false;
	}
	out->port = end->is_server;
	out->length = peer_build(out->bytes, &end->peer, end->speech.length ? 0 : end->flags, part,
				 now_ms);
	if (end->speech.length == 0)
		end->flags = 0;
	end->owes_ack = false;
	end->unanswered = 0;
	return true;
}

static struct end *end_of(struct world *world, const struct run_frame *frame,
			  const struct peer_segment *segment)
{
	struct end *end;

	if (frame->port == 0) {
		uint32_t number = segment->destination - RUN_CLIENTS;

		end = number < world->count ? &world->clients[number] : NULL;
		return end && end->peer.local_port == segment->destination_port ? end : NULL;
	}
	end = &world->servers[segment->source_port];
	if (segment->flags & TCP_SYN) {
		*end = (struct end){.is_server = true, .open = true};
		end->peer = (struct peer){.local = RUN_SERVER,
					  .remote = RUN_GATE_INSIDE,
					  .local_port = 25,
					  .remote_port = segment->source_port,
					  .sequence = 25,
					  .timestamps = world->timestamps};
		memcpy(end->peer.local_mac, run_peer_mac[1], 6);
		memcpy(end->peer.remote_mac, run_gate_mac[1], 6);
	}
	return end->open ? end : NULL;
}

static void take(struct load *load, const struct run_frame *frame, uint32_t now_ms)
{
	struct world *world = (struct world *)load;
	struct slice bytes = slice_of(frame->bytes, frame->length);
	struct peer_segment segment;
	struct end *end;

	if (!peer_parse(bytes, &segment)) {
		world->arp.port = frame->port;
		world->arp.length =
			peer_answer_arp(bytes, run_peer_mac[frame->port], world->arp.bytes);
		return;
	}
	end = end_of(world, frame, &segment);
	if (!end || !peer_trim(&end->peer, &segment))
		return;
	if (load->done % 64 == 0 && !peer_checksums_good(bytes))
		load->wrong++;
	peer_take(&end->peer, &segment);
	if (end->is_server)
		server_take(world, end, &segment);
	else
		client_take(world, end, &segment);
	// An acknowledgment of its own: for each second segment, as a receiver owes.
	if (segment.payload.length && !end->is_ready &&
	    (++end->unanswered == 2 || world->bare_acks))
		make_ready(world, end);
}

// Lines of 78 octets, some of which begin with a dot.
static void write_message(struct world *world, uint32_t bytes)
{
	static const char head[] = "Subject: a report\r\n\r\n";
	size_t length = sizeof(head) - 1;

	world->message = malloc(bytes + 256);
	assert(world->message);
	memcpy(world->message, head, length);
	while (length < bytes) {
		memset(world->message + length, 'x', 76);
		memcpy(world->message + length + 76, "\r\n", 2);
		length += 78;
	}
	memcpy(world->message + length, ".\r\n", 3);
	world->message_length = length + 3;
}

int main(int argc, char **argv)
{
	struct run_options options = run_options_of(argc, argv,
						    (struct run_options){.count = 200000,
									 .concurrent = 256,
									 .burst = 64,
									 .messages = 100,
									 .bytes = 4096,
									 .timestamps = true});
	struct world world = {.load = {next, take, "message", 0, 0},
			      .count = options.concurrent,
			      .room = options.concurrent + 65536,
			      .messages = options.messages,
			      .timestamps = options.timestamps,
			      .bare_acks = options.bare_acks,
			      .without_bdat = options.without_bdat};
	int result;

	world.clients = calloc(world.count, sizeof(*world.clients));
	world.servers = calloc(65536, sizeof(*world.servers));
	world.ready = calloc(world.room, sizeof(*world.ready));
	assert(world.clients && world.servers && world.ready);
	write_message(&world, options.bytes);
	for (uint32_t i = 0; i < world.count; i++)
		world.clients[i].peer = run_client(i, options.timestamps);
	result = run(&world.load, &options);
	free(world.clients);
	free(world.servers);
	free(world.ready);
	free(world.message);
	return result;
}
