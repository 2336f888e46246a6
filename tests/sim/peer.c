// SPDX-License-Identifier: BSD-3-Clause
//
// What the peer hears, and when it does something by itself.

#include "tests/sim/line.h"

#include <stdlib.h>
#include <string.h>

#define REPEAT_MAX_US 6000000u
#define TRIES_MAX     25
#define DELAYED_US    200000u
#define LINGER_US     2000000u

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
	if (at == LINE_PIECES)
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

	if (number > line_end(line))
		return;
	if (number + window > line->edge)
		line->edge = number + window;
	if (number <= line->confirmed)
		return;
	line->confirmed = number;
	if (line->sent < number)
		line->sent = number;
	line->tries = 0;
	line->interval_us = LINE_REPEAT_US;
	line->timer_us = line->sent > line->confirmed ? line->peer->now_us + LINE_REPEAT_US : 0;
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
	line->interval_us = LINE_REPEAT_US;
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
	line->interval_us = LINE_REPEAT_US;
	line->confirmed = line->sent = line->out_end = 1;
	line->base.transport = &line_transport;
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
	line_transmit_syn(line);
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

		line_window(line);
		if ((line->offered - before) >> scale &&
		    (before == line->in_end ||
		     line->offered - before >= 2 * line->peer->quirks.mss) &&
		    !(line->closed_until_us && line->peer->quirks.opens_silently))
			line->ack_now = true;
	}
	if (!(line->stalled_until_us > line->peer->now_us))
		line_output(line);
	if (line->base.peer_closed && line->closing && line->confirmed == line_end(line)) {
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
	line_transmit(&stray, &reset);
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
			line_transmit_syn(line);
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
		line->interval_us = LINE_REPEAT_US;
	}
	if (segment->timestamps && position <= line->in_end)
		line->echo = segment->timestamp;
	take_acknowledgment(line, segment);
	take_payload(line, segment);
	if (line->over && line->ack_now)
		line_transmit_at(line, line_end(line), 0, 0);
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
	line_transmit_syn(line);
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
		line_transmit_syn(line);
		return;
	}
	if (line->sent == line->confirmed) { // a probe of a closed window
		if (line->sent < line->out_end)
			line_transmit_at(line, line->sent, 1, 0);
		return;
	}
	// Everything again: the gate takes what it lacks.
	line->sent = line->confirmed;
	if (line->edge <= line->sent && line->sent < line->out_end) {
		line_transmit_at(line, line->sent, 1, 0);
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
