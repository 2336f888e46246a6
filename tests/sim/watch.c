// SPDX-License-Identifier: BSD-3-Clause
//
// Positions are relative to a side's initial sequence number: its SYN is 0, its first byte 1. A
// connection is forgotten when the gate releases it; what it says of it afterwards (TIME-WAIT, RST)
// carries no bytes.

#include "tests/sim/watch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RANGES     64
#define HANDSHAKES 8
#define ANSWERS    4

#define ACK_WITHIN_US    500000u   // RFC 9293 3.8.6.3
#define REPEAT_WITHIN_US 62000000u // the longest time-out that there is
#define REPEAT_SLACK_MS  1000u     // beside a time-out that doubles
#define PROBE_SLACK_MS   40u       // timers have a grain, and a full device holds a probe back
#define CHECK_EACH_US    50000u
#define COOKIE_US        130000000u // two epochs of a SYN cookie
#define KEEP_ALIVE_US    5000000u   // of silence, on idle connections to servers

struct range {
	uint32_t from, to;
};

// What a SYN-ACK of the gate offered.
struct handshake {
	uint32_t gate_isn, peer_isn;
	uint32_t window;
	int scale;
};

struct watched {
	struct literal_ends ends; // source = the gate's
	struct watched *next;
	bool active;          // the gate opened it
	bool open;            // both initial sequence numbers are known
	bool dead;            // reset by either side
	unsigned worker;      // that speaks for it, plus one; 0 = none spoke yet
	uint64_t released_us; // the gate gave it up; its ACK, come again, may still open a session
	// An ACK of this handshake came in the burst at again_us, perhaps behind the end of the
	// connection: what the gate says then may be a new one's.
	struct handshake again;
	uint64_t again_us;
	struct handshake handshakes[HANDSHAKES];
	unsigned handshake_count, oldest_handshake;
	struct literal answers[ANSWERS]; // SYN-ACKs to the gate
	unsigned answer_count;
	int peer_scale;
	uint16_t peer_mss, gate_mss;
	bool peer_sack;

	uint32_t gate_isn, peer_isn;
	int in_scale, out_scale; // of windows in segments of the peer, of the gate
	// What came.
	struct range came[RANGES];
	unsigned came_count;
	bool came_lost;        // too many pieces to remember: no judgment of blocks
	uint32_t edge;         // of the largest window offered to the gate
	uint32_t confirmed;    // largest acknowledgment of the gate's bytes
	uint64_t confirmed_us; // when that came: the time-out begins anew (RFC 6298 section 5.3)
	uint64_t segment_us;   // last segment of the peer
	uint64_t heard_us;     // the same, or a router's packet that may be about it
	uint64_t owed_us;      // bytes came that no segment of the gate answered; 0 = none
	unsigned owed_full;    // full segments of them
	uint32_t answer_due;   // a hint for the text: where they end
	// What went.
	uint8_t *bytes; // from position 1 on
	size_t bytes_room;
	uint32_t sent;         // end of what was ever sent
	uint32_t fin;          // its position; 0 = not sent
	uint32_t acknowledged; // of the peer's bytes
	uint32_t offered;      // right edge
	uint32_t timestamp;
	bool has_timestamp;
	uint64_t first_us;     // when the first unconfirmed byte was last sent
	uint32_t first_gap_ms; // between its last two sendings
	unsigned first_gaps;   // how many of them in a row the peer was silent
};

void watch_init(struct watch *watch, const struct watch_rules *rules)
{
	*watch = (struct watch){.rules = *rules};
}

static void forget(struct watch *watch, struct watched **link)
{
	struct watched *flow = *link;

	*link = flow->next;
	if (watch->last == flow)
		watch->last = NULL;
	if (watch->arrived == flow)
		watch->arrived = NULL;
	free(flow->bytes);
	free(flow);
}

void watch_fini(struct watch *watch)
{
	while (watch->flows)
		forget(watch, &watch->flows);
}

static void blame(struct watch *watch, const struct watched *flow, const char *text, uint32_t a,
		  uint32_t b)
{
	if (watch->fault[0])
		return;
	snprintf(watch->fault, sizeof(watch->fault), "port %u to %u%s: %s (%u, %u)",
		 flow->ends.source_port, flow->ends.destination_port,
		 flow->active ? " of a server" : "", text, a, b);
}

static struct watched *find(struct watch *watch, const struct literal_ends *ends)
{
	struct watched *flow = watch->last;

	if (flow && memcmp(&flow->ends, ends, sizeof(*ends)) == 0)
		return flow;
	for (flow = watch->flows; flow; flow = flow->next)
		if (memcmp(&flow->ends, ends, sizeof(*ends)) == 0)
			return watch->last = flow;
	return NULL;
}

static struct watched *add(struct watch *watch, const struct literal_ends *ends)
{
	struct watched *flow = calloc(1, sizeof(*flow));

	flow->ends = *ends;
	flow->peer_scale = -1;
	flow->next = watch->flows;
	watch->flows = flow;
	return flow;
}

void watch_released(struct watch *watch, const struct literal_ends *ends, uint64_t now_us)
{
	for (struct watched **link = &watch->flows; *link; link = &(*link)->next) {
		struct watched *flow = *link;

		if (memcmp(&flow->ends, ends, sizeof(*ends)) != 0)
			continue;
		flow->open = flow->dead = false;
		flow->released_us = now_us;
		if (flow->active)
			forget(watch, link);
		return;
	}
}

// Cookies do not live longer.
static void forget_released(struct watch *watch, uint64_t now_us)
{
	struct watched **link = &watch->flows;

	while (*link) {
		if (!(*link)->open && (*link)->released_us &&
		    now_us - (*link)->released_us > COOKIE_US)
			forget(watch, link);
		else
			link = &(*link)->next;
	}
}

static void print(const struct watch *watch, const struct literal *segment, bool out,
		  uint64_t now_us)
{
	const struct literal_ends *ends = &segment->ends;

	if (!watch->rules.print)
		return;
	printf("%10llu us %s %5u %s %5u %s%s%s%s%s seq %u+%zu ack %u win %u",
	       (unsigned long long)now_us, watch->rules.print,
	       out ? ends->source_port : ends->destination_port, out ? "->" : "<-",
	       out ? ends->destination_port : ends->source_port,
	       segment->flags & LITERAL_SYN ? "S" : "", segment->flags & LITERAL_FIN ? "F" : "",
	       segment->flags & LITERAL_RST ? "R" : "", segment->flags & LITERAL_PSH ? "P" : "",
	       segment->flags & LITERAL_ACK ? "." : "", segment->sequence, segment->length,
	       segment->acknowledgment, segment->window);
	for (unsigned i = 0; i < segment->blocks; i++)
		printf(" [%u,%u)", segment->block[i][0], segment->block[i][1]);
	putchar(' ');
	for (size_t i = 0; i < segment->length && i < 40 && segment->payload[i] >= ' '; i++)
		putchar(segment->payload[i]);
	putchar('\n');
}

// ---- What came -------------------------------------------------------------------------------

static void note_range(struct watched *flow, uint32_t from, uint32_t to)
{
	unsigned at = 0, after;

	while (at < flow->came_count && flow->came[at].to < from)
		at++;
	for (after = at; after < flow->came_count && flow->came[after].from <= to; after++) {
		from = flow->came[after].from < from ? flow->came[after].from : from;
		to = flow->came[after].to > to ? flow->came[after].to : to;
	}
	if (after == at && flow->came_count == RANGES) {
		flow->came_lost = true;
		return;
	}
	memmove(&flow->came[at + 1], &flow->came[after],
		(flow->came_count - after) * sizeof(flow->came[0]));
	flow->came_count = flow->came_count - (after - at) + 1;
	flow->came[at] = (struct range){from, to};
}

static bool all_came(const struct watched *flow, uint32_t from, uint32_t to)
{
	for (unsigned i = 0; i < flow->came_count; i++)
		if (flow->came[i].from <= from && to <= flow->came[i].to)
			return true;
	return false;
}

// The first byte that did not come.
static uint32_t whole_until(const struct watched *flow)
{
	return flow->came_count && flow->came[0].from == 0 ? flow->came[0].to : 0;
}

static void open_flow(struct watched *flow, const struct handshake *handshake)
{
	flow->open = true;
	flow->dead = flow->came_lost = flow->has_timestamp = false;
	flow->fin = flow->edge = flow->owed_full = 0;
	flow->owed_us = flow->first_us = flow->first_gaps = 0;
	flow->gate_isn = handshake->gate_isn;
	flow->peer_isn = handshake->peer_isn;
	flow->offered = 1 + handshake->window;
	flow->in_scale = flow->peer_scale >= 0 && handshake->scale >= 0 ? flow->peer_scale : 0;
	flow->out_scale = flow->peer_scale >= 0 && handshake->scale >= 0 ? handshake->scale : 0;
	flow->came_count = 0;
	note_range(flow, 0, 1);
	flow->acknowledged = 1;
	flow->sent = 1;
	flow->confirmed = 1;
}

static void peer_syn(struct watched *flow, const struct literal *segment)
{
	flow->peer_scale = segment->scale > 14 ? 14 : segment->scale;
	flow->peer_mss = segment->mss;
	flow->peer_sack = segment->sack_permitted;
	if (!flow->active || flow->open || !(segment->flags & LITERAL_ACK) ||
	    segment->acknowledgment != flow->handshakes[0].gate_isn + 1)
		return;
	flow->answers[flow->answer_count++ % ANSWERS] = *segment;
}

// The gate goes on with one of the SYN-ACKs that came for its SYN.
static void take_answer(struct watched *flow, const struct literal *segment)
{
	for (unsigned i = 0; i < ANSWERS && i < flow->answer_count; i++) {
		const struct literal *answer = &flow->answers[i];

		if (segment->acknowledgment != answer->sequence + 1)
			continue;
		flow->handshakes[0].peer_isn = answer->sequence;
		open_flow(flow, &flow->handshakes[0]);
		flow->edge = 1 + answer->window;
		return;
	}
}

static void note_acknowledgment(struct watched *flow, const struct literal *segment,
				uint64_t now_us)
{
	uint32_t number = segment->acknowledgment - flow->gate_isn;
	uint32_t window = (uint32_t)segment->window << flow->in_scale;

	if (number > flow->sent + (flow->fin != 0) + 1)
		return; // a lie: the gate may not believe it
	if (number + window > flow->edge)
		flow->edge = number + window;
	if (number > flow->confirmed) {
		flow->confirmed = number;
		flow->confirmed_us = now_us;
	}
}

static void note_bytes(struct watched *flow, const struct literal *segment, uint64_t now_us)
{
	uint32_t from = segment->sequence - flow->peer_isn;
	uint32_t span = literal_span(segment);
	uint32_t before = whole_until(flow);

	if (span == 0 || from > 0x40000000u)
		return;
	note_range(flow, from, from + span);
	if (whole_until(flow) == before || from + span > flow->offered)
		return;
	if (!flow->owed_us)
		flow->owed_us = now_us;
	flow->answer_due = whole_until(flow);
	if (flow->gate_mss && segment->length + 40 >= flow->gate_mss)
		flow->owed_full++;
}

// An empty segment left of all that the gate has acknowledged, so that it must answer (RFC 9293
// section 3.8.4).
static void note_keep_alive(struct watch *watch, const struct watched *flow,
			    const struct literal *segment)
{
	watch->keep_alives += literal_span(segment) == 0 &&
			      segment->sequence - flow->peer_isn == flow->acknowledged - 1;
}

// The SYN cookie of which this ACK makes a connection.
static const struct handshake *completed(const struct watched *flow, const struct literal *segment)
{
	for (unsigned i = 0; i < flow->handshake_count && !flow->active; i++) {
		const struct handshake *handshake = &flow->handshakes[i];

		if (segment->acknowledgment == handshake->gate_isn + 1 &&
		    segment->sequence == handshake->peer_isn + 1)
			return handshake;
	}
	return NULL;
}

static void complete_handshake(struct watched *flow, const struct literal *segment, uint64_t now_us)
{
	const struct handshake *handshake = completed(flow, segment);

	if (!handshake)
		return;
	flow->again = *handshake;
	flow->again_us = now_us;
	// A connection of which the gate said nothing was refused in silence: there may be another.
	if (!flow->open || (flow->sent == 1 && handshake->gate_isn != flow->gate_isn))
		open_flow(flow, handshake);
}

// The gate gave it up, or refused a stray segment, and opened it within one burst, whose segments
// all came before. False when nothing came that could have opened it.
static bool open_again(struct watched *flow, const struct literal *segment)
{
	const struct watched before = *flow;

	if (!flow->again_us || flow->again_us != flow->released_us ||
	    segment->sequence != flow->again.gate_isn + 1)
		return false;
	open_flow(flow, &before.again);
	flow->again_us = 0;
	memcpy(flow->came, before.came, sizeof(flow->came));
	flow->came_count = before.came_count;
	flow->edge = before.edge;
	return true;
}

void watch_in(struct watch *watch, const uint8_t *frame, size_t length, uint64_t now_us)
{
	struct literal *segment = &watch->arrival;
	struct literal_ends ends;
	struct watched *flow;

	watch->arrived = NULL;
	if (!literal_is_tcp(frame, length)) {
		// A router may make the gate send again.
		for (flow = watch->flows; flow && literal_is_icmp(frame, length); flow = flow->next)
			flow->heard_us = now_us;
		return;
	}
	if (!literal_read(frame, length, segment))
		return;
	print(watch, segment, false, now_us);
	memset(&ends, 0, sizeof(ends));
	memcpy(ends.source, segment->ends.destination, 16);
	memcpy(ends.destination, segment->ends.source, 16);
	ends.source_port = segment->ends.destination_port;
	ends.destination_port = segment->ends.source_port;
	flow = find(watch, &ends);
	if ((segment->flags & (LITERAL_SYN | LITERAL_ACK)) == LITERAL_SYN) {
		if (!flow)
			flow = add(watch, &ends);
		else if (flow->dead)
			flow->open = flow->dead = false;
	}
	if (!flow)
		return;
	flow->segment_us = flow->heard_us = now_us;
	watch->arrived = flow;
	if (segment->flags & LITERAL_SYN) {
		peer_syn(flow, segment);
		return;
	}
	if ((segment->flags & (LITERAL_ACK | LITERAL_RST)) == LITERAL_ACK)
		complete_handshake(flow, segment, now_us);
	if (!flow->open || flow->dead || segment->flags & LITERAL_RST)
		return;
	if (segment->flags & LITERAL_ACK)
		note_acknowledgment(flow, segment, now_us);
	note_keep_alive(watch, flow, segment);
	note_bytes(flow, segment, now_us);
}

void watch_done(struct watch *watch, bool accepted, uint64_t now_us)
{
	struct watched *flow = watch->arrived;

	watch->arrived = NULL;
	if (!flow || !flow->open)
		return;
	if (!accepted) {
		flow->owed_us = 0;
		flow->owed_full = 0;
		return;
	}
	// Before the greeting there is no session yet, and the cookie may still open one: the ACK
	// may have come while no connector listed its source.
	if (watch->arrival.flags & LITERAL_RST && flow->sent == 1)
		flow->open = false;
	else if (watch->arrival.flags & LITERAL_RST)
		flow->dead = true;
	if (watch->rules.prompt && !flow->dead && flow->owed_full >= 2)
		blame(watch, flow, "two full segments without an ACK, up to", flow->answer_due,
		      flow->acknowledged);
}

// ---- What went -------------------------------------------------------------------------------

static void gate_syn(struct watch *watch, struct watched *flow, const struct literal *segment)
{
	struct handshake handshake = {segment->sequence, segment->acknowledgment - 1,
				      segment->window, segment->scale};

	flow->gate_mss = segment->mss;
	if (!(segment->flags & LITERAL_ACK))
		flow->active = true;
	for (unsigned i = 0; i < flow->handshake_count; i++)
		if (flow->handshakes[i].gate_isn == handshake.gate_isn &&
		    (flow->active || flow->handshakes[i].peer_isn == handshake.peer_isn))
			return;
	if (flow->active && flow->handshake_count)
		blame(watch, flow, "a SYN with another sequence number", handshake.gate_isn,
		      flow->handshakes[0].gate_isn);
	flow->handshakes[flow->oldest_handshake++ % HANDSHAKES] = handshake;
	if (flow->handshake_count < HANDSHAKES)
		flow->handshake_count++;
}

static void judge_acknowledgment(struct watch *watch, struct watched *flow,
				 const struct literal *segment)
{
	uint32_t number = segment->acknowledgment - flow->peer_isn;
	uint32_t window = (uint32_t)segment->window << flow->out_scale;

	if (number > whole_until(flow))
		blame(watch, flow, "acknowledges what did not come", number, whole_until(flow));
	if (number < flow->acknowledged)
		blame(watch, flow, "its acknowledgment goes back", number, flow->acknowledged);
	flow->acknowledged = number;
	if (number + window + (1u << flow->out_scale) - 1 < flow->offered)
		blame(watch, flow, "its window shrinks", number + window, flow->offered);
	if (number + window > flow->offered)
		flow->offered = number + window;
	if (window > watch->rules.receive_buffer && window > 65535)
		blame(watch, flow, "its window is larger than its buffer", window, 0);
	for (unsigned i = 0; i < segment->blocks && !flow->came_lost; i++)
		if (!all_came(flow, segment->block[i][0] - flow->peer_isn,
			      segment->block[i][1] - flow->peer_isn))
			blame(watch, flow, "a SACK block of what did not come",
			      segment->block[i][0] - flow->peer_isn,
			      segment->block[i][1] - flow->peer_isn);
	flow->owed_us = 0;
	flow->owed_full = 0;
}

static void judge_bytes(struct watch *watch, struct watched *flow, const struct literal *segment)
{
	uint32_t from = segment->sequence - flow->gate_isn;
	uint32_t to = from + (uint32_t)segment->length;
	uint32_t mss = flow->peer_mss ? flow->peer_mss : 1220;

	if (from == 0 || from > flow->sent + 1) {
		blame(watch, flow, "leaves bytes out", from, flow->sent);
		return;
	}
	if (to > flow->edge && !(segment->length == 1 && from == flow->edge))
		blame(watch, flow, "sends beyond the peer's window", to, flow->edge);
	if (segment->length + segment->options > (mss > 216 ? mss : 216))
		blame(watch, flow, "a segment above the MSS", (uint32_t)segment->length, mss);
	if (flow->fin && to > flow->fin)
		blame(watch, flow, "bytes behind its FIN", to, flow->fin);
	if (to > flow->bytes_room) {
		flow->bytes_room = to < 4096 ? 8192 : 2 * (size_t)to;
		flow->bytes = realloc(flow->bytes, flow->bytes_room);
	}
	uint32_t old = flow->sent > from ? flow->sent - from : 0;
	old = old > segment->length ? (uint32_t)segment->length : old;
	if (memcmp(flow->bytes + from, segment->payload, old) != 0)
		blame(watch, flow, "repeats other bytes", from, to);
	memcpy(flow->bytes + from, segment->payload, segment->length);
	if (to > flow->sent)
		flow->sent = to;
}

static void judge_fin(struct watch *watch, struct watched *flow, const struct literal *segment)
{
	uint32_t at = segment->sequence - flow->gate_isn + (uint32_t)segment->length;

	if (!(segment->flags & LITERAL_FIN))
		return;
	if (flow->fin && flow->fin != at)
		blame(watch, flow, "a second FIN", at, flow->fin);
	if (at < flow->sent)
		blame(watch, flow, "a FIN before its own bytes", at, flow->sent);
	flow->fin = at;
}

// A server may be out of reach for want of its MAC address; a client is answered where it was last
// heard.
static bool must_repeat(const struct watch *watch, const struct watched *flow)
{
	return watch->rules.repeats || !flow->active;
}

// Each time-out is twice the one before. Ahead of the first a peer with SACK may get a tail loss
// probe, and it begins anew (RFC 8985 section 7): then the gap does not get shorter, no more.
static void judge_gap(struct watch *watch, const struct watched *flow, uint32_t ms)
{
	uint32_t before = flow->first_gap_ms;
	bool probed = flow->first_gaps == 2 && flow->peer_sack;

	if (before < 30000 && (probed ? ms + PROBE_SLACK_MS < before : ms < before * 3 / 2))
		blame(watch, flow, "repeats without backing off (ms)", before, ms);
	if (!probed && ms > 3 * before + REPEAT_SLACK_MS)
		blame(watch, flow, "backs off too far (ms)", before, ms);
}

// The first byte that is not confirmed: how long ago, and how patiently, it was sent.
static void judge_repetition(struct watch *watch, struct watched *flow,
			     const struct literal *segment, uint64_t now_us)
{
	uint32_t from = segment->sequence - flow->gate_isn;
	uint32_t ms = (uint32_t)((now_us - flow->first_us) / 1000);

	if (literal_span(segment) == 0 || from > flow->confirmed ||
	    from + literal_span(segment) <= flow->confirmed)
		return;
	if (flow->heard_us >= flow->first_us || !must_repeat(watch, flow))
		flow->first_gaps = 0;
	else if (flow->first_gaps++ > 0)
		judge_gap(watch, flow, ms);
	flow->first_gap_ms = ms;
	flow->first_us = now_us;
}

// Left of what the peer confirmed stands a keep-alive: only what is idle is kept alive, and servers
// alone.
static void judge_keep_alive(struct watch *watch, const struct watched *flow,
			     const struct literal *segment, uint64_t now_us)
{
	if (!watch->rules.prompt || segment->sequence - flow->gate_isn >= flow->confirmed)
		return;
	if (literal_span(segment) == 0 &&
	    (!flow->active || now_us - flow->segment_us < KEEP_ALIVE_US))
		blame(watch, flow, "keeps alive what is not idle (ms)",
		      (uint32_t)((now_us - flow->segment_us) / 1000), 0);
}

static void judge_timestamp(struct watch *watch, struct watched *flow,
			    const struct literal *segment)
{
	if (!segment->timestamps)
		return;
	if (flow->has_timestamp && literal_behind(segment->timestamp, flow->timestamp))
		blame(watch, flow, "its timestamps go back", segment->timestamp, flow->timestamp);
	flow->has_timestamp = true;
	flow->timestamp = segment->timestamp;
}

static void judge_segment(struct watch *watch, struct watched *flow, const struct literal *segment,
			  uint64_t now_us)
{
	if (flow->dead) {
		blame(watch, flow, "goes on after a reset", segment->sequence - flow->gate_isn, 0);
		return;
	}
	judge_acknowledgment(watch, flow, segment);
	if (segment->length)
		judge_bytes(watch, flow, segment);
	judge_fin(watch, flow, segment);
	judge_repetition(watch, flow, segment, now_us);
	judge_keep_alive(watch, flow, segment, now_us);
	judge_timestamp(watch, flow, segment);
}

void watch_out(struct watch *watch, const uint8_t *frame, size_t length, uint64_t now_us)
{
	struct literal segment;
	struct watched *flow;

	if (!literal_is_tcp(frame, length))
		return;
	if (!literal_read(frame, length, &segment)) {
		if (!watch->fault[0])
			snprintf(watch->fault, sizeof(watch->fault), "the gate sent a bad frame");
		return;
	}
	print(watch, &segment, true, now_us);
	flow = find(watch, &segment.ends);
	if (!flow && (segment.flags & LITERAL_SYN))
		flow = add(watch, &segment.ends);
	if (!flow && segment.length + (segment.flags & LITERAL_FIN) && !watch->fault[0])
		snprintf(watch->fault, sizeof(watch->fault), "bytes on no connection, to port %u",
			 segment.ends.destination_port);
	if (!flow)
		return;
	if (flow->worker && flow->worker != watch->worker + 1)
		blame(watch, flow, "two workers speak for it", flow->worker - 1, watch->worker);
	flow->worker = watch->worker + 1;
	if (segment.flags & LITERAL_SYN) {
		gate_syn(watch, flow, &segment);
		return;
	}
	if (segment.flags & LITERAL_RST) {
		// One behind its bytes ends the connection. Others answer stray segments, whose
		// number they carry, or refuse a handshake, which may be tried again.
		if (flow->open && flow->sent == 1 && !flow->active && flow->acknowledged == 1) {
			flow->open = false;
			flow->released_us = now_us;
		} else if (flow->open && segment.sequence - flow->gate_isn <= flow->sent + 1) {
			flow->dead = true;
		}
		return;
	}
	if (!flow->open && flow->active)
		take_answer(flow, &segment);
	if (!flow->open && !open_again(flow, &segment)) {
		// What is left of a connection: an ACK in TIME-WAIT.
		if (flow->released_us && segment.length == 0 && !(segment.flags & LITERAL_FIN))
			return;
		blame(watch, flow, "a session without a handshake", segment.sequence,
		      segment.acknowledgment);
		return;
	}
	judge_segment(watch, flow, &segment, now_us);
}

static uint64_t later(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

// ---- What did not happen ---------------------------------------------------------------------

void watch_time(struct watch *watch, uint64_t now_us)
{
	if (now_us < watch->next_check_us)
		return;
	watch->next_check_us = now_us + CHECK_EACH_US;
	forget_released(watch, now_us);
	for (struct watched *flow = watch->flows; flow; flow = flow->next) {
		if (!flow->open || flow->dead)
			continue;
		if (watch->rules.prompt && flow->owed_us && now_us - flow->owed_us > ACK_WITHIN_US)
			blame(watch, flow, "no ACK within half a second", flow->answer_due,
			      flow->acknowledged);
		if (must_repeat(watch, flow) && flow->confirmed < flow->sent + (flow->fin != 0) &&
		    now_us - later(flow->first_us, flow->confirmed_us) > REPEAT_WITHIN_US)
			blame(watch, flow, "does not repeat what was lost", flow->confirmed,
			      flow->sent);
	}
}
