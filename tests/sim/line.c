// SPDX-License-Identifier: BSD-3-Clause
//
// What a line says. There is no congestion control: so many segments in flight, repeated from the
// first unconfirmed one after a fixed time that doubles.

#include "tests/sim/line.h"

#include <stdlib.h>
#include <string.h>

#define PROBE_US 1000000u
#define BUFFER   65536u // bytes that the application may have unconfirmed

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

const struct transport line_transport = {received,   consume,    room,  send_bytes,
					 close_line, abort_line, vanish};

// ---- Segments --------------------------------------------------------------------------------

static uint32_t clock_of(const struct line *line)
{
	return (uint32_t)(line->peer->now_us / 1000) + line->clock;
}

// The right edge moves back only if the quirk says so.
uint16_t line_window(struct line *line)
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

void line_transmit(struct line *line, struct literal *segment)
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

void line_transmit_at(struct line *line, uint32_t position, uint32_t length, uint8_t flags)
{
	struct literal segment = {
		.sequence = line->isn + position,
		.acknowledgment = line->gate_isn + line->in_end + (line->base.peer_closed ? 1 : 0),
		.flags = (uint8_t)(LITERAL_ACK | flags),
		.window = line_window(line),
		.scale = -1,
		.timestamps = line->timestamps,
		.timestamp = clock_of(line),
		.echo = line->echo,
		.payload = line->out + position,
		.length = length,
	};

	fill_blocks(line, &segment);
	line_transmit(line, &segment);
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
		line_transmit(line, &segment);
	}
}

static void abort_line(struct connection *connection)
{
	struct line *line = (struct line *)connection;

	line_transmit_at(line, line->sent, 0, LITERAL_RST);
	connection->aborted = true;
}

void line_transmit_syn(struct line *line)
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
	line_transmit(line, &segment);
	line->timer_us = line->peer->now_us + line->interval_us;
}

uint32_t line_end(const struct line *line)
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
	line_transmit_at(line, position, bytes, flags);
	return position + bytes + (flags & LITERAL_FIN ? 1 : 0);
}

void line_output(struct line *line)
{
	uint32_t most = line->peer->quirks.flight * largest_piece(line);

	while (line->sent < line_end(line) && line->sent - line->confirmed < most) {
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
	if (line->sent < line_end(line) && line->sent == line->confirmed &&
	    line->peer->quirks.probes && !line->timer_us)
		line->timer_us = line->peer->now_us + PROBE_US;
	if (line->ack_now)
		line_transmit_at(line, line->sent, 0, 0);
}
