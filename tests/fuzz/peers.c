// SPDX-License-Identifier: BSD-3-Clause
//
// Clients and servers around the gate: see peers.h.
#include "tests/fuzz/peers.h"

#include "dataplane/net/wire.h"
#include "dataplane/tcp/options.h"
#include "tests/fuzz/path.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

static struct address ipv6_of(uint8_t network, uint8_t host)
{
	return (struct address){{0x20, 1, 0x0d, 0xb8, 0, network, [15] = host}};
}

// Who the clients are: see the policy in fuzz_pipeline.c.
static void introduce_clients(struct peers *peers)
{
	const struct address gate4 = address_from_ipv4((const uint8_t[]){192, 0, 2, 10});
	const struct address gate6 = ipv6_of(0, 0x10);
	const struct address addresses[CLIENTS] = {
		address_from_ipv4((const uint8_t[]){192, 0, 2, 55}),
		ipv6_of(0, 0x55),
		address_from_ipv4((const uint8_t[]){198, 51, 100, 7}), // may relay
		ipv6_of(9, 7),
		address_from_ipv4((const uint8_t[]){192, 0, 2, 56}),  // small limits
		address_from_ipv4((const uint8_t[]){203, 0, 113, 9}), // not listed
		address_from_ipv4((const uint8_t[]){192, 0, 2, 57}),
		address_from_ipv4((const uint8_t[]){192, 0, 2, 58}), // no rights
	};

	for (unsigned i = 0; i < CLIENTS; i++) {
		struct peer *peer = &peers->clients[i];

		peer->used = true;
		peer->address = addresses[i];
		peer->gate = address_is_ipv4(&addresses[i]) ? gate4 : gate6;
		peer->port_number = (uint16_t)(40000 + i);
		peer->gate_port = 25;
	}
}

void peers_init(struct peers *peers, uint8_t mode, bool chunking)
{
	static const char *const good[REPLIES] = {
		"220 server\r\n", "250-server\r\n250-8BITMIME\r\n250 PIPELINING\r\n",
		"250 sender\r\n", "250 recipient\r\n",
		"354 go on\r\n",  "250 queued\r\n",
		"250 ok\r\n"};

	peers->mode = mode;
	for (unsigned i = 0; i < REPLIES; i++)
		peers->replies[i] = slice_of_text(good[i]);
	if (chunking)
		peers->replies[REPLY_EHLO] = slice_of_text(
			"250-server\r\n250-8BITMIME\r\n250-SIZE 200000\r\n250-DSN\r\n"
			"250-SMTPUTF8\r\n250-CHUNKING\r\n250-BINARYMIME\r\n250 PIPELINING\r\n");
	introduce_clients(peers);
}

void peers_fini(struct peers *peers)
{
	frames_clear(&peers->out);
}

struct peer *peers_client(struct peers *peers, uint8_t who)
{
	return &peers->clients[who % CLIENTS];
}

struct peer *peers_server(struct peers *peers, uint8_t who)
{
	unsigned count = peers->server_count < SERVERS ? peers->server_count : SERVERS;

	if (count == 0)
		return NULL;
	return &peers->servers[(peers->server_count - 1 - who % count) % SERVERS];
}

// ---- Saying ----------------------------------------------------------------------------------

static struct operation_time time_of(const struct peers *peers, const struct peer *peer)
{
	return (struct operation_time){peer->timestamps, peers->now_ms, peer->gate_time};
}

// A segment with what every segment of the connection carries.
static void send_plain(struct peers *peers, struct peer *peer, uint32_t sequence, uint8_t flags,
		       struct slice payload)
{
	static const struct operation usual = {.kind = 0};
	uint8_t options[40];
	uint8_t used = operation_write_options(&usual, false, time_of(peers, peer), 0, options);

	frame_tcp(peers, peer,
		  &(struct frame_segment){.sequence = sequence,
					  .acknowledgment = peer->expected,
					  .window = 65535,
					  .flags = flags,
					  .options = slice_of(options, used),
					  .payload = payload});
	peer->acknowledges = false;
}

static void send_syn(struct peers *peers, struct peer *peer, const struct operation *operation,
		     uint8_t flags)
{
	uint8_t options[40];
	struct operation_time time = time_of(peers, peer);
	uint8_t used;

	time.timestamps = flags == TCP_SYN || peer->timestamps;
	used = operation_write_options(operation, true, time, 0, options);
	frame_tcp(peers, peer,
		  &(struct frame_segment){.sequence = peer->isn,
					  .acknowledgment = peer->expected,
					  .window = operation->window,
					  .flags = flags,
					  .options = slice_of(options, used)});
}

void peer_connect(struct peers *peers, struct peer *peer, const struct operation *operation)
{
	uint32_t next = peer->next + 100000u; // beyond the old connection's, for TIME-WAIT

	peers->relays |= peer == &peers->clients[2];
	peer->open = peer->acknowledges = peer->gate_closed = peer->closed = false;
	peer->edge_known = peer->timestamps = false;
	peer->isn = operation->place % 4 == 3 ? 0xfffffff0u : next;
	peer->isn += (uint32_t)(int32_t)operation->delta;
	peer->next = peer->acked = peer->isn + 1;
	peer->gate_isn = peer->expected = peer->gate_end = 0;
	send_syn(peers, peer, operation, TCP_SYN);
}

// Bytes of the stream that are remembered.
static void remember(struct peer *peer, struct slice text)
{
	for (size_t i = 0; i < text.length; i++)
		peer->said[(peer->next + i) % SAID_BYTES] = text.data[i];
	peer->next += (uint32_t)text.length;
}

// Remembered bytes from sequence on, in full segments, as far as the gate's window goes.
static void send_stream(struct peers *peers, struct peer *peer, uint32_t sequence)
{
	uint8_t piece[1200];

	while (sequence != peer->next) {
		uint32_t length = peer->next - sequence;
		uint32_t room = peer->edge - sequence;

		length = length < sizeof(piece) ? length : sizeof(piece);
		if ((int32_t)room <= 0)
			return;
		length = length < room ? length : room;
		for (uint32_t i = 0; i < length; i++)
			piece[i] = peer->said[(sequence + i) % SAID_BYTES];
		send_plain(peers, peer, sequence, TCP_ACK | TCP_PSH, slice_of(piece, length));
		sequence += length;
	}
}

void peer_say(struct peers *peers, struct peer *peer, struct slice text)
{
	uint32_t from = peer->next;

	// What lies too far back could not be repeated.
	if (!peer->open || peer->closed || peer->next - peer->acked + text.length > SAID_BYTES)
		return;
	remember(peer, text);
	send_stream(peers, peer, from);
}

void peer_shut(struct peers *peers, struct peer *peer, uint8_t flags)
{
	if (!peer->open || peer->closed)
		return;
	send_plain(peers, peer, peer->next, flags, slice_of(NULL, 0));
	if (flags & TCP_FIN)
		peer->next++;
	peer->closed = true;
}

static uint32_t place(const struct peer *peer, const struct operation *operation)
{
	const uint32_t places[8] = {peer->next, peer->acked,  peer->isn,
				    peer->edge, peer->next,   peer->next + 0x80000000u,
				    0,          peer->isn + 1};

	return places[operation->place % 8] + (uint32_t)(int32_t)operation->delta;
}

static uint32_t ack_place(const struct peer *peer, const struct operation *operation)
{
	const uint32_t places[8] = {peer->expected,     peer->gate_end,
				    peer->gate_isn,     peer->gate_isn + 1,
				    peer->gate_end,     peer->gate_end + 0x80000000u,
				    peer->expected + 1, 0};

	return places[operation->ack_place % 8] + (uint32_t)(int32_t)operation->ack_delta;
}

void peer_segment(struct peers *peers, struct peer *peer, const struct operation *operation)
{
	uint8_t options[40];
	bool syn = operation->flags & TCP_SYN;
	struct operation_time time = time_of(peers, peer);
	struct frame_segment segment = {
		.sequence = place(peer, operation),
		.acknowledgment = ack_place(peer, operation),
		.window = operation->window,
		.flags = operation->flags,
		.payload = {NULL, operation->size % 1500},
		.bad_checksum = operation->options & OPERATION_BAD_CHECKSUM,
	};

	time.timestamps |= syn;
	segment.options = slice_of(
		options, operation_write_options(operation, syn, time, peer->expected, options));
	if (operation->length && !(operation->options & (OPERATION_SACK | OPERATION_RAW_OPTIONS)))
		segment.payload = operation->bytes;
	frame_tcp(peers, peer, &segment);
	peer->scripted = true;
	// What continues the stream is a part of it.
	if (segment.sequence == peer->next && peer->open && !syn)
		peer->next += (uint32_t)segment.payload.length + !!(segment.flags & TCP_FIN);
}

void peer_too_big(struct peers *peers, struct peer *peer, const struct operation *operation)
{
	frame_too_big(peers, peer, ack_place(peer, operation), operation->size);
}

void peers_repeat(struct peers *peers)
{
	for (unsigned i = 0; i < CLIENTS + SERVERS; i++) {
		struct peer *peer = i < CLIENTS ? &peers->clients[i] : &peers->servers[i - CLIENTS];

		if (peer->open && !peer->closed && peer->acked != peer->next &&
		    peer->next - peer->acked <= SAID_BYTES)
			send_stream(peers, peer, peer->acked);
	}
}

// ---- An SMTP server --------------------------------------------------------------------------

static enum server_reply reply_to(struct peer *peer)
{
	static const struct {
		const char *verb;
		enum server_reply reply;
	} verbs[] = {{"EHLO ", REPLY_EHLO},       {"HELO ", REPLY_EHLO},
		     {"MAIL FROM:<", REPLY_MAIL}, {"RCPT TO:<", REPLY_RCPT},
		     {"DATA\r\n", REPLY_DATA},    {"RSET\r\n", REPLY_OTHER},
		     {"QUIT\r\n", REPLY_OTHER}};

	for (unsigned i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		if (strncmp(peer->line, verbs[i].verb, strlen(verbs[i].verb)) == 0)
			return verbs[i].reply;
	return REPLIES;
}

// The gate's promise: nobody may relay whose connector does not say so.
static bool is_ours(const struct peer *peer)
{
	static const char ours[] = "own.test>";
	const size_t end = path_end(slice_of_text(peer->line)), length = sizeof(ours) - 1;

	return (end > length && strncasecmp(peer->line + end - length, ours, length) == 0) ||
	       strncasecmp(peer->line, "RCPT TO:<postmaster>", 20) == 0 ||
	       peer->line_length == sizeof(peer->line) - 1; // its end is not known
}

static void answer(struct peers *peers, struct peer *peer, enum server_reply reply)
{
	peer_say(peers, peer, peers->replies[reply]);
	if (reply == REPLY_DATA)
		peer->in_data = peers->replies[reply].length >= 3 &&
				memcmp(peers->replies[reply].data, "354", 3) == 0;
}

// The octets that a chunk still has are in; one of none is answered at once.
static void end_chunk(struct peers *peers, struct peer *peer)
{
	if (peer->chunk_left == 0)
		answer(peers, peer, peer->chunk_last ? REPLY_END : REPLY_OTHER);
}

// "BDAT 123 LAST", a BDAT that the server offered: the gate never sends another form.
static void begin_chunk(struct peers *peers, struct peer *peer)
{
	char *rest;

	peer->chunk_left = strtoull(peer->line + 5, &rest, 10);
	peer->chunk_last = strcmp(rest, " LAST\r\n") == 0;
	assert(peer->scripted || peer->chunk_last || strcmp(rest, "\r\n") == 0);
	end_chunk(peers, peer);
}

static void whole_line(struct peers *peers, struct peer *peer)
{
	enum server_reply reply;

	if (peer->in_data) {
		if (strcmp(peer->line, ".\r\n") == 0) {
			peer->in_data = false;
			answer(peers, peer, REPLY_END);
		}
		return;
	}
	reply = reply_to(peer);
	if (strncmp(peer->line, "BDAT ", 5) == 0) {
		begin_chunk(peers, peer);
		return;
	}
	if (!peer->scripted) {
		assert(reply != REPLIES); // nothing else is ever said to a server
		assert(reply != REPLY_RCPT || peers->relays || is_ours(peer));
	}
	answer(peers, peer, reply == REPLIES ? REPLY_OTHER : reply);
}

static void serve(struct peers *peers, struct peer *peer, struct slice bytes)
{
	for (size_t i = 0; i < bytes.length; i++) {
		if (peer->chunk_left > 0) {
			peer->chunk_left--;
			end_chunk(peers, peer);
			continue;
		}
		if (peer->line_length < sizeof(peer->line) - 1)
			peer->line[peer->line_length++] = (char)bytes.data[i];
		if (bytes.data[i] != '\n')
			continue;
		peer->line[peer->line_length] = '\0';
		whole_line(peers, peer);
		peer->line_length = 0;
	}
}

// ---- Hearing ---------------------------------------------------------------------------------

static struct peer *find(struct peers *peers, const struct view *view)
{
	for (unsigned i = 0; i < CLIENTS + SERVERS; i++) {
		struct peer *peer = i < CLIENTS ? &peers->clients[i] : &peers->servers[i - CLIENTS];

		if (peer->used && peer->port == view->link.port &&
		    peer->port_number == view->destination_port &&
		    peer->gate_port == view->source_port &&
		    wire_address_equal(&peer->address, &view->destination))
			return peer;
	}
	return NULL;
}

static struct peer *new_server(struct peers *peers, struct peer *old, const struct view *view)
{
	struct peer *peer = &peers->servers[peers->server_count++ % SERVERS];

	if (old)
		old->used = false;
	*peer = (struct peer){.used = true,
			      .server = true,
			      .port = view->link.port,
			      .address = view->destination,
			      .gate = view->source,
			      .port_number = view->destination_port,
			      .gate_port = view->source_port,
			      .isn = 0xffffff00u * peers->server_count,
			      .gate_isn = view->sequence,
			      .expected = view->sequence + 1,
			      .gate_end = view->sequence + 1};
	peer->next = peer->acked = peer->isn + 1;
	return peer;
}

static void learn_options(struct peer *peer, const struct view *view)
{
	struct tcp_options options;
	bool syn = view->flags & TCP_SYN;

	assert(options_parse(view->options, syn, &options));
	if (options.timestamps)
		peer->gate_time = options.timestamp_value;
	if (!syn)
		return;
	peer->timestamps = options.timestamps;
	peer->scale = options.window_scale == TCP_NO_WINDOW_SCALE ? 0 : options.window_scale;
}

// A connection to a server begins, or its SYN comes again.
static void hear_syn(struct peers *peers, struct peer *peer, const struct view *view)
{
	static const struct operation plain = {.size = 1460,
					       .choice = 7,
					       .window = 65535,
					       .options = OPERATION_MSS | OPERATION_SCALE |
							  OPERATION_SACK_PERMITTED};

	if (!peer || peer->gate_isn != view->sequence)
		peer = new_server(peers, peer, view);
	learn_options(peer, view);
	peer->edge = peer->isn + 1 + view->window;
	if (peers->mode & MODE_ACKNOWLEDGE) {
		peer->open = true;
		send_syn(peers, peer, &plain, TCP_SYN | TCP_ACK);
	}
}

static void hear_syn_ack(struct peers *peers, struct peer *peer, const struct view *view)
{
	if (peer->server || view->acknowledgment != peer->isn + 1)
		return;
	learn_options(peer, view);
	peer->gate_isn = view->sequence;
	if (!peer->open)
		peer->expected = peer->gate_end = view->sequence + 1;
	peer->edge = view->acknowledgment + view->window;
	peer->open = true;
	peer->acknowledges = true;
}

// The window's right edge never moves back but by the scale's rounding.
static void hear_window(struct peer *peer, const struct view *view)
{
	uint32_t edge = view->acknowledgment + ((uint32_t)view->window << peer->scale);

	if ((int32_t)(edge - peer->edge) > 0 || !peer->edge_known)
		peer->edge = edge;
	peer->edge_known = true;
	if ((int32_t)(view->acknowledgment - peer->acked) > 0 &&
	    (int32_t)(view->acknowledgment - peer->next) <= 0)
		peer->acked = view->acknowledgment;
}

static void hear_segment(struct peers *peers, struct peer *peer, const struct view *view)
{
	uint32_t end = view->sequence + (uint32_t)view->payload.length;
	struct slice fresh = view->payload;

	learn_options(peer, view);
	hear_window(peer, view);
	if ((int32_t)(end - peer->gate_end) > 0)
		peer->gate_end = end;
	if (view->payload.length || (view->flags & TCP_FIN))
		peer->acknowledges = true;
	if ((int32_t)(view->sequence - peer->expected) > 0 || peer->gate_closed)
		return;
	fresh = slice_from(fresh, peer->expected - view->sequence);
	peer->expected += (uint32_t)fresh.length;
	if (peer->server && (peers->mode & MODE_SERVE))
		serve(peers, peer, fresh);
	if ((view->flags & TCP_FIN) && peer->expected == end) {
		peer->gate_closed = true;
		peer->expected++;
	}
}

void peers_hear(struct peers *peers, uint16_t port, struct slice frame)
{
	struct packet_port *station = &peers->ports[port];
	struct view view;
	struct peer *peer;

	// Whom it is for is in the frame; every frame of the gate's is well formed.
	memcpy(station->mac, frame.data, LINK_ADDRESS_BYTES);
	if (frame.data[0] & 1)
		station->mac[0] = 2;
	enum reason reason = packet_parse(station, frame, &view);
	if ((frame.data[0] & 1) && reason != REASON_NONE)
		return; // what only other stations take: MLD reports, announcements
	assert(reason == REASON_NONE);
	assert(packet_verify(station, &view) == REASON_NONE);
	assert(mac_equal(view.link.peer, frame_gate_mac[port]));
	if (view.kind != VIEW_TCP) {
		if (peers->mode & MODE_NEIGHBOURS)
			frame_neighbour(peers, &view);
		return;
	}
	peer = find(peers, &view);
	if ((view.flags & (TCP_SYN | TCP_ACK | TCP_RST)) == TCP_SYN) {
		assert(port == 1); // to clients the gate never connects
		hear_syn(peers, peer, &view);
	} else if (!peer) {
		return; // an answer to a frame that was made up
	} else if (view.flags & TCP_RST) {
		peer->open = false;
	} else if (view.flags & TCP_SYN) {
		hear_syn_ack(peers, peer, &view);
	} else if (peer->open) {
		hear_segment(peers, peer, &view);
	}
}

void peers_react(struct peers *peers)
{
	for (unsigned i = 0; i < CLIENTS + SERVERS; i++) {
		struct peer *peer = i < CLIENTS ? &peers->clients[i] : &peers->servers[i - CLIENTS];

		if (!peer->open)
			continue;
		if (peer->server && !peer->greeted && (peers->mode & MODE_SERVE) &&
		    peer->edge_known) {
			peer->greeted = true;
			answer(peers, peer, REPLY_GREETING);
		}
		if (peer->acknowledges && (peers->mode & MODE_ACKNOWLEDGE))
			send_plain(peers, peer, peer->next, TCP_ACK, slice_of(NULL, 0));
		if (peer->gate_closed && (peers->mode & MODE_CLOSE))
			peer_shut(peers, peer, TCP_ACK | TCP_FIN);
	}
}
