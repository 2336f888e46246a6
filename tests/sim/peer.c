// SPDX-License-Identifier: BSD-3-Clause
//
// Positions are relative to a side's initial sequence number, as in watch.c. All that was ever sent
// or received stays in memory. There is no congestion control: so many segments in flight, repeated
// from the first unconfirmed one after a fixed time that doubles.

#include "tests/sim/peer.h"

#include <stdlib.h>
#include <string.h>

#define REPEAT_US     400000u
#define REPEAT_MAX_US 6000000u
#define TRIES_MAX     25
#define PROBE_US      1000000u
#define DELAYED_US    200000u
#define BUFFER        65536u // bytes that the application may have unconfirmed
#define PIECES        16     // runs kept beyond a gap
#define LINGER_US     2000000u

struct piece {
	uint32_t from, to;
};

struct line {
	struct connection base; // first
	struct peer *peer;
	struct line *next;
	struct literal_ends ends; // source = the peer
	bool accepted;            // the gate opened it
	bool established, vanished, over;
	// Sending.
	uint32_t isn;
	uint8_t *out; // from position 1 on
	size_t out_room;
	uint32_t out_end;   // end of what the application gave
	uint32_t confirmed; // by the gate
	uint32_t sent;
	uint32_t edge; // of the gate's window
	bool closing;  // FIN at out_end
	uint64_t timer_us;
	uint32_t interval_us;
	unsigned tries;
	// Receiving.
	uint32_t gate_isn;
	uint8_t *in;
	size_t in_room;
	uint32_t in_end;  // end of what came in order
	uint32_t in_read; // by the application
	uint32_t in_fin;  // position; 0 = not known
	struct piece pieces[PIECES];
	unsigned piece_count;
	uint32_t offered; // right edge
	unsigned unanswered;
	uint64_t ack_us; // a delayed ACK is due; 0 = none
	bool ack_now;
	// Options agreed on.
	int gate_scale;
	bool scaled, timestamps, sack;
	uint16_t gate_mss;
	uint32_t echo;
	uint32_t clock; // offset of its timestamps
	// Quirks in progress.
	uint64_t closed_until_us; // the window; 0 = not closed yet
	uint64_t stalled_until_us;
	bool shrunk;
	uint64_t linger_us;
};

void peer_init(struct peer *peer, struct wire *wire, enum station towards, struct dice dice)
{
	*peer = (struct peer){.wire = wire, .towards = towards, .dice = dice};
}

static void drop(struct line **link)
{
	struct line *line = *link;

	*link = line->next;
	free(line->out);
	free(line->in);
	free(line);
}

void peer_fini(struct peer *peer)
{
	while (peer->lines) {
		if (!peer->lines->over)
			peer->lines->base.application->ended(&peer->lines->base);
		drop(&peer->lines);
	}
}

// ---- What the application sees ---------------------------------------------------------------

static struct slice received(const struct connection *connection)
{
	const struct line *line = (const struct line *)connection;

	return slice_of(line->in + line->in_read, line->in_end - line->in_read);
}

static void consume(struct connection *connection, size_t length)
{
	((struct line *)connection)->in_read += (uint32_t)length;
}

static size_t room(const struct connection *connection)
{
	const struct line *line = (const struct line *)connection;
	uint32_t used = line->out_end - line->confirmed;

	return line->closing || used >= BUFFER ? 0 : BUFFER - used;
}

static size_t send_bytes(struct connection *connection, struct slice bytes)
{
	struct line *line = (struct line *)connection;

	bytes = slice_first(bytes, room(connection));
	if (line->out_end + bytes.length > line->out_room) {
		line->out_room = 2 * (line->out_end + bytes.length) + 4096;
		line->out = realloc(line->out, line->out_room);
	}
	if (bytes.length)
		memcpy(line->out + line->out_end, bytes.data, bytes.length);
	line->out_end += (uint32_t)bytes.length;
	return bytes.length;
}

static void close_line(struct connection *connection)
{
	((struct line *)connection)->closing = true;
}

static void abort_line(struct connection *connection);

static void vanish(struct connection *connection)
{
	((struct line *)connection)->vanished = true;
}

static const struct transport transport = {received,   consume,    room,  send_bytes,
					   close_line, abort_line, vanish};

// ---- Segments --------------------------------------------------------------------------------

static uint32_t clock_of(const struct line *line)
{
	return (uint32_t)(line->peer->now_us / 1000) + line->clock;
}

// The right edge moves back only if the quirk says so.
static uint16_t window_of(struct line *line)
{
	const struct quirks *quirks = &line->peer->quirks;
	uint32_t unread = line->in_end - line->in_read;
	uint32_t open = quirks->window > unread ? quirks->window - unread : 0;
	uint32_t scale = line->scaled ? (uint32_t)quirks->scale : 0;

	if (quirks->close_window_at && line->in_end > quirks->close_window_at) {
		if (!line->closed_until_us)
			line->closed_until_us =
				quirks->closed_window_ms == UINT32_MAX
					? UINT64_MAX
					: line->peer->now_us + 1000ull * quirks->closed_window_ms;
		if (line->peer->now_us < line->closed_until_us)
			open = 0;
	}
	if (quirks->shrink_at && !line->shrunk && line->in_end > quirks->shrink_at) {
		line->shrunk = true;
		line->offered = line->in_end;
		open = 0;
	}
	if (open > 65535u << scale)
		open = 65535u << scale;
	if (literal_behind(line->offered, line->in_end + open))
		line->offered = line->in_end + open;
	return (uint16_t)((line->offered - line->in_end) >> scale);
}

static void transmit(struct line *line, struct literal *segment)
{
	struct peer *peer = line->peer;
	uint8_t frame[LITERAL_FRAME_MAX];
	size_t length;

	if (line->vanished || line->stalled_until_us > peer->now_us)
		return;
	segment->ends = line->ends;
	memcpy(segment->source_mac, peer->mac, 6);
	memcpy(segment->destination_mac, peer->gate_mac, 6);
	length = literal_write(segment, frame);
	wire_send(peer->wire, peer->towards, slice_of(frame, length), peer->now_us);
}

static void fill_blocks(const struct line *line, struct literal *segment)
{
	unsigned most = line->timestamps ? 3 : 4;

	for (unsigned i = 0; line->sack && i < line->piece_count && i < most; i++) {
		segment->block[i][0] = line->gate_isn + line->pieces[i].from;
		segment->block[i][1] = line->gate_isn + line->pieces[i].to;
		segment->blocks = i + 1;
	}
}

static void transmit_at(struct line *line, uint32_t position, uint32_t length, uint8_t flags)
{
	struct literal segment = {
		.sequence = line->isn + position,
		.acknowledgment = line->gate_isn + line->in_end + (line->base.peer_closed ? 1 : 0),
		.flags = (uint8_t)(LITERAL_ACK | flags),
		.window = window_of(line),
		.scale = -1,
		.timestamps = line->timestamps,
		.timestamp = clock_of(line),
		.echo = line->echo,
		.payload = line->out + position,
		.length = length,
	};

	fill_blocks(line, &segment);
	transmit(line, &segment);
	line->ack_now = false;
	line->ack_us = 0;
	line->unanswered = 0;
	// An old duplicate, from before the sequence numbers wrapped, seems to be what comes next.
	if (line->timestamps && length &&
	    dice_permille(&line->peer->dice, line->peer->quirks.old_permille)) {
		static const uint8_t garbage[64] = "\r\nOLD DUPLICATE THAT MUST NOT BE TAKEN\r\n";

		segment.sequence += length;
		segment.timestamp -= 100000;
		segment.payload = garbage;
		segment.length = sizeof(garbage);
		segment.blocks = 0;
		segment.flags = LITERAL_ACK | LITERAL_PSH;
		transmit(line, &segment);
	}
}

static void abort_line(struct connection *connection)
{
	struct line *line = (struct line *)connection;

	transmit_at(line, line->sent, 0, LITERAL_RST);
	connection->aborted = true;
}

static void transmit_syn(struct line *line)
{
	const struct quirks *quirks = &line->peer->quirks;
	struct literal segment = {
		.sequence = line->isn,
		.flags = LITERAL_SYN,
		.window = (uint16_t)(quirks->window < 65535 ? quirks->window : 65535),
		.mss = quirks->mss,
		.scale = !line->accepted || line->scaled ? quirks->scale : -1,
		.sack_permitted = line->accepted ? line->sack : quirks->sack,
		.timestamps = line->accepted ? line->timestamps : quirks->timestamps,
		.timestamp = clock_of(line),
		.echo = line->echo,
	};

	if (line->accepted) {
		segment.flags |= LITERAL_ACK;
		segment.acknowledgment = line->gate_isn + 1;
	}
	if (literal_behind(line->offered, 1 + segment.window))
		line->offered = 1 + segment.window;
	transmit(line, &segment);
	line->timer_us = line->peer->now_us + line->interval_us;
}

static uint32_t end_of_stream(const struct line *line)
{
	return line->out_end + (line->closing ? 1 : 0);
}

static uint32_t largest_piece(const struct line *line)
{
	uint32_t mss = line->gate_mss ? line->gate_mss : 536;
	uint32_t options = (line->timestamps ? 12 : 0) + (line->sack ? 28 : 0);

	mss = mss > options + 64 ? mss - options : 64;
	return line->peer->quirks.piece < mss ? line->peer->quirks.piece : mss;
}

// The next segment from `position` on; returns where it ends.
static uint32_t transmit_piece(struct line *line, uint32_t position, uint32_t limit)
{
	uint32_t bytes = line->out_end > position ? line->out_end - position : 0;
	uint32_t most = largest_piece(line);
	uint8_t flags = LITERAL_PSH;

	bytes = bytes < most ? bytes : most;
	bytes = bytes < limit ? bytes : limit;
	if (line->closing && position + bytes == line->out_end)
		flags |= LITERAL_FIN;
	transmit_at(line, position, bytes, flags);
	return position + bytes + (flags & LITERAL_FIN ? 1 : 0);
}

static void output(struct line *line)
{
	uint32_t most = line->peer->quirks.flight * largest_piece(line);

	while (line->sent < end_of_stream(line) && line->sent - line->confirmed < most) {
		uint32_t window = line->edge > line->sent ? line->edge - line->sent : 0;
		uint32_t start = line->sent;

		if (window == 0 && line->sent < line->out_end)
			break;
		line->sent = transmit_piece(line, start, window);
		if (dice_permille(&line->peer->dice, line->peer->quirks.again_permille) &&
		    start > line->confirmed)
			transmit_piece(line, line->confirmed + (start - line->confirmed) / 2,
				       window + 1);
		if (!line->timer_us)
			line->timer_us = line->peer->now_us + line->interval_us;
	}
	if (line->sent < end_of_stream(line) && line->sent == line->confirmed &&
	    line->peer->quirks.probes && !line->timer_us)
		line->timer_us = line->peer->now_us + PROBE_US;
	if (line->ack_now)
		transmit_at(line, line->sent, 0, 0);
}

// ---- Input -----------------------------------------------------------------------------------

static void keep_bytes(struct line *line, uint32_t from, const uint8_t *bytes, uint32_t length)
{
	if (from + length > line->in_room) {
		line->in_room = 2 * (size_t)(from + length) + 4096;
		line->in = realloc(line->in, line->in_room);
	}
	memcpy(line->in + from, bytes, length);
}

static void keep_piece(struct line *line, uint32_t from, uint32_t to)
{
	unsigned at = 0;

	for (unsigned i = 0; i < line->piece_count; i++) {
		const struct piece *piece = &line->pieces[i];

		if (piece->to < from || piece->from > to) {
			line->pieces[at++] = *piece;
			continue;
		}
		from = piece->from < from ? piece->from : from;
		to = piece->to > to ? piece->to : to;
	}
	if (at == PIECES)
		at--;
	// The newest first (RFC 2018 section 4).
	memmove(&line->pieces[1], &line->pieces[0], at * sizeof(line->pieces[0]));
	line->pieces[0] = (struct piece){from, to};
	line->piece_count = at + 1;
}

static void absorb_pieces(struct line *line)
{
	unsigned at = 0;

	for (unsigned i = 0; i < line->piece_count; i++)
		if (line->pieces[i].from <= line->in_end && line->pieces[i].to > line->in_end) {
			line->in_end = line->pieces[i].to;
			i = UINT32_MAX; // from the beginning: it may have joined another one
		}
	for (unsigned i = 0; i < line->piece_count; i++)
		if (line->pieces[i].to > line->in_end)
			line->pieces[at++] = line->pieces[i];
	line->piece_count = at;
}

static void take_payload(struct line *line, const struct literal *segment)
{
	const struct quirks *quirks = &line->peer->quirks;
	uint32_t from = segment->sequence - line->gate_isn;
	uint32_t length = (uint32_t)segment->length;
	uint32_t before = line->in_end;

	if (from > 0x40000000u)
		return;
	if (segment->flags & LITERAL_FIN)
		line->in_fin = from + length;
	if (from + length > line->offered) // beyond the window
		length = line->offered > from ? line->offered - from : 0;
	if (length && from <= line->in_end && from + length > line->in_end) {
		keep_bytes(line, from, segment->payload, length);
		line->in_end = from + length;
		absorb_pieces(line);
	} else if (length && from > line->in_end && quirks->keeps) {
		keep_bytes(line, from, segment->payload, length);
		keep_piece(line, from, from + length);
	}
	if (line->in_fin && line->in_fin == line->in_end)
		line->base.peer_closed = true;
	if (quirks->stall_at && before <= quirks->stall_at && line->in_end > quirks->stall_at)
		line->stalled_until_us = line->peer->now_us + 1000ull * quirks->stall_ms;
	if (literal_span(segment) == 0) {
		// Outside of the window: where are we? (RFC 9293 3.10.7.4; a keep-alive asks so.)
		line->ack_now |= from + 1 == line->in_end;
		return;
	}
	line->unanswered++;
	if (quirks->ack_each || line->unanswered >= 2 || line->in_end == before ||
	    line->piece_count || line->base.peer_closed)
		line->ack_now = true;
	else if (!line->ack_us)
		line->ack_us = line->peer->now_us + DELAYED_US;
}

static void take_acknowledgment(struct line *line, const struct literal *segment)
{
	uint32_t number = segment->acknowledgment - line->isn;
	uint32_t window =
		(uint32_t)segment->window
		<< (line->scaled && !(segment->flags & LITERAL_SYN) ? line->gate_scale : 0);

	if (number > end_of_stream(line))
		return;
	if (number + window > line->edge)
		line->edge = number + window;
	if (number <= line->confirmed)
		return;
	line->confirmed = number;
	if (line->sent < number)
		line->sent = number;
	line->tries = 0;
	line->interval_us = REPEAT_US;
	line->timer_us = line->sent > line->confirmed ? line->peer->now_us + REPEAT_US : 0;
}

static void take_options(struct line *line, const struct literal *segment)
{
	const struct quirks *quirks = &line->peer->quirks;

	line->gate_mss = segment->mss;
	line->gate_scale = segment->scale > 14 ? 14 : segment->scale;
	line->scaled = segment->scale >= 0 && quirks->scale >= 0;
	line->timestamps = segment->timestamps && quirks->timestamps;
	line->sack = segment->sack_permitted && quirks->sack;
	line->echo = segment->timestamp;
}

// The gate's SYN-ACK to our SYN.
static void take_syn_ack(struct line *line, const struct literal *segment)
{
	if (!(segment->flags & LITERAL_ACK) || segment->acknowledgment != line->isn + 1)
		return;
	line->gate_isn = segment->sequence;
	take_options(line, segment);
	line->established = true;
	line->in_end = line->in_read = 1;
	line->edge = 1 + segment->window;
	line->confirmed = line->sent = 1;
	line->timer_us = 0;
	line->interval_us = REPEAT_US;
	line->tries = 0;
	line->ack_now = true;
	line->base.application->opened(&line->base);
}

static struct line *new_line(struct peer *peer, const struct literal_ends *ends)
{
	struct line *line = calloc(1, sizeof(*line));

	line->peer = peer;
	line->ends = *ends;
	line->isn = (uint32_t)dice_u64(&peer->dice);
	line->clock = (uint32_t)dice_u64(&peer->dice);
	line->interval_us = REPEAT_US;
	line->confirmed = line->sent = line->out_end = 1;
	line->base.transport = &transport;
	line->base.now_us = peer->now_us;
	line->next = peer->lines;
	peer->lines = line;
	return line;
}

static void accept_line(struct peer *peer, const struct literal *segment,
			const struct literal_ends *ends)
{
	struct line *line = new_line(peer, ends);

	line->accepted = true;
	line->gate_isn = segment->sequence;
	line->in_end = line->in_read = 1;
	line->base.application = peer->listen_application;
	line->base.state = peer->listen_state;
	take_options(line, segment);
	line->edge = 1 + segment->window;
	line->base.application->opened(&line->base);
	transmit_syn(line);
}

static void end_line(struct line *line)
{
	if (!line->over)
		line->base.application->ended(&line->base);
	line->over = true;
}

static void after(struct line *line)
{
	line->base.now_us = line->peer->now_us;
	if (line->over || line->vanished || !line->established)
		return;
	line->base.application->moved(&line->base);
	if (line->base.aborted) {
		end_line(line);
		return;
	}
	// The application read: the window may have opened by enough to be told.
	if (!line->closed_until_us || line->peer->now_us >= line->closed_until_us) {
		uint32_t before = line->offered;
		uint32_t scale = line->scaled ? (uint32_t)line->peer->quirks.scale : 0;

		window_of(line);
		if ((line->offered - before) >> scale &&
		    (before == line->in_end ||
		     line->offered - before >= 2 * line->peer->quirks.mss) &&
		    !(line->closed_until_us && line->peer->quirks.opens_silently))
			line->ack_now = true;
	}
	if (!(line->stalled_until_us > line->peer->now_us))
		output(line);
	if (line->base.peer_closed && line->closing && line->confirmed == end_of_stream(line)) {
		if (!line->linger_us) // to acknowledge the gate's FIN again
			line->linger_us = line->peer->now_us + LINGER_US;
		end_line(line);
	}
}

static void reset_for(struct peer *peer, const struct literal *segment,
		      const struct literal_ends *ends)
{
	struct line stray = {.peer = peer, .ends = *ends};
	struct literal reset = {.scale = -1, .flags = LITERAL_RST};

	if (segment->flags & LITERAL_RST)
		return;
	if (segment->flags & LITERAL_ACK) {
		reset.sequence = segment->acknowledgment;
	} else {
		reset.flags |= LITERAL_ACK;
		reset.acknowledgment = segment->sequence + literal_span(segment);
	}
	transmit(&stray, &reset);
}

static void reset_line(struct line *line)
{
	line->base.reset = true;
	line->linger_us = line->peer->now_us;
	end_line(line);
}

static void line_input(struct line *line, const struct literal *segment)
{
	uint32_t position = segment->sequence - line->gate_isn;

	if (line->vanished || line->stalled_until_us > line->peer->now_us)
		return;
	if (segment->flags & LITERAL_RST) {
		// RFC 5961: only the exact one; the gate's come behind all that it sent.
		if (!line->established || position >= line->in_end)
			reset_line(line);
		return;
	}
	if (segment->flags & LITERAL_SYN) {
		if (!line->established && !line->accepted)
			take_syn_ack(line, segment);
		else if (line->accepted && !line->established)
			transmit_syn(line);
		else
			line->ack_now = true;
		after(line);
		return;
	}
	if (!(segment->flags & LITERAL_ACK) || (!line->established && !line->accepted))
		return;
	if (!line->established) {
		line->established = true;
		line->timer_us = 0;
		line->interval_us = REPEAT_US;
	}
	if (segment->timestamps && position <= line->in_end)
		line->echo = segment->timestamp;
	take_acknowledgment(line, segment);
	take_payload(line, segment);
	if (line->over && line->ack_now)
		transmit_at(line, end_of_stream(line), 0, 0);
	after(line);
}

static bool is_ours(const struct peer *peer, const uint8_t address[16])
{
	return memcmp(address, peer->addresses[0], 16) == 0 ||
	       memcmp(address, peer->addresses[1], 16) == 0;
}

void peer_receive(struct peer *peer, const uint8_t *frame, size_t length, uint64_t now_us)
{
	struct literal segment;
	struct literal_ends ends;
	uint8_t answer[LITERAL_FRAME_MAX];

	peer->now_us = now_us;
	for (unsigned i = 0; i < 2; i++) {
		size_t bytes =
			literal_resolve(frame, length, peer->addresses[i], peer->mac, answer);

		if (bytes)
			wire_send(peer->wire, peer->towards, slice_of(answer, bytes), now_us);
	}
	if (!literal_is_tcp(frame, length) || !literal_read(frame, length, &segment) ||
	    memcmp(segment.destination_mac, peer->mac, 6) != 0 ||
	    !is_ours(peer, segment.ends.destination))
		return;
	memset(&ends, 0, sizeof(ends));
	memcpy(ends.source, segment.ends.destination, 16);
	memcpy(ends.destination, segment.ends.source, 16);
	ends.source_port = segment.ends.destination_port;
	ends.destination_port = segment.ends.source_port;
	for (struct line *line = peer->lines; line; line = line->next)
		if (memcmp(&line->ends, &ends, sizeof(ends)) == 0) {
			line_input(line, &segment);
			return;
		}
	if (peer->listen_port && peer->listen_port == ends.source_port &&
	    (segment.flags & (LITERAL_SYN | LITERAL_ACK | LITERAL_RST)) == LITERAL_SYN)
		accept_line(peer, &segment, &ends);
	else
		reset_for(peer, &segment, &ends);
}

void peer_connect(struct peer *peer, const struct literal_ends *ends,
		  const struct application *application, void *state, uint64_t now_us)
{
	struct line *line;

	peer->now_us = now_us;
	line = new_line(peer, ends);
	line->base.application = application;
	line->base.state = state;
	transmit_syn(line);
}

// ---- Time ------------------------------------------------------------------------------------

static void repeat(struct line *line)
{
	line->timer_us = 0;
	if (++line->tries > TRIES_MAX) {
		end_line(line);
		line->linger_us = line->peer->now_us;
		return;
	}
	line->interval_us =
		2 * line->interval_us < REPEAT_MAX_US ? 2 * line->interval_us : REPEAT_MAX_US;
	if (!line->established) {
		transmit_syn(line);
		return;
	}
	if (line->sent == line->confirmed) { // a probe of a closed window
		if (line->sent < line->out_end)
			transmit_at(line, line->sent, 1, 0);
		return;
	}
	// Everything again: the gate takes what it lacks.
	line->sent = line->confirmed;
	if (line->edge <= line->sent && line->sent < line->out_end) {
		transmit_at(line, line->sent, 1, 0);
		line->sent++;
	}
}

static bool is_due(const struct line *line, uint64_t now_us, uint64_t *next)
{
	const uint64_t times[] = {line->timer_us, line->ack_us, line->stalled_until_us,
				  line->closed_until_us, line->linger_us};
	bool due = false;

	for (unsigned i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
		if (times[i] > now_us && times[i] < *next)
			*next = times[i];
		due |= times[i] && times[i] <= now_us;
	}
	return due;
}

static void run_timers(struct line *line)
{
	uint64_t now_us = line->peer->now_us;

	if (line->stalled_until_us && line->stalled_until_us <= now_us)
		line->stalled_until_us = 0;
	if (line->ack_us && line->ack_us <= now_us)
		line->ack_now = true;
	if (line->timer_us && line->timer_us <= now_us)
		repeat(line);
}

uint64_t peer_turn(struct peer *peer, uint64_t now_us)
{
	uint64_t next = UINT64_MAX;
	struct line **link = &peer->lines;

	peer->now_us = now_us;
	while (*link) {
		struct line *line = *link;
		uint64_t deadline;

		if (!line->over && !line->vanished) {
			run_timers(line);
			after(line);
		}
		if (line->over && line->linger_us <= now_us) {
			drop(link);
			continue;
		}
		is_due(line, now_us, &next);
		if (!line->over && line->established) {
			deadline = line->base.application->deadline(&line->base);
			next = deadline < next ? deadline : next;
		}
		link = &line->next;
	}
	return next;
}

bool peer_busy(const struct peer *peer)
{
	for (const struct line *line = peer->lines; line; line = line->next)
		if (!line->over && !line->vanished)
			return true;
	return false;
}
