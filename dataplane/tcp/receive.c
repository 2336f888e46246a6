// SPDX-License-Identifier: BSD-3-Clause
//
// The receiving side of a flow: bytes in order to the application, the window, when to acknowledge.
// Bytes in order are first lent to the application where they lie, in the frame (front), and copied
// only when it leaves them; rcv_nxt moves with what was taken or stored, so nothing is ever
// acknowledged that could still get lost. Bytes beyond a gap are out_of_order.c's.
#include "dataplane/tcp/flow.h"

#include <assert.h>

#define DELAYED_ACK_US       40000u
#define RECEIVE_MIN          65536u
#define SHARE_OF_FREE        32
#define DELAYED_ACK_SEGMENTS 2 // RFC 5681 4.2: at least every second full segment

size_t receive_append(struct chunk_queue *queue, struct pool *pool, struct slice bytes,
		      uint32_t reserve)
{
	uint64_t end = (uint64_t)queue->start + queue->length;
	uint64_t room = end % CHUNK_BYTES == 0 ? 0 : CHUNK_BYTES - end % CHUNK_BYTES;

	if (pool->free_count > reserve)
		room += (uint64_t)(pool->free_count - reserve) * CHUNK_BYTES;
	return chunk_queue_append(queue, pool, slice_first(bytes, room));
}

// Copies what the application left of the frame; what finds no chunk stays in front. The last
// eighth of the pool is for sending: what was received can only go away by being sent on, so unread
// bytes must never take the last chunk.
static void store_front(struct tcp *tcp, struct flow *flow)
{
	struct pool *pool = tcp->settings.chunks;
	size_t stored = receive_append(&flow->unread, pool, flow->front, pool->count / 8);

	flow->rcv_nxt += (uint32_t)stored;
	flow->front = slice_from(flow->front, stored);
	out_of_order_absorb(tcp, flow);
}

// Bytes that begin at rcv_nxt. They reach up to the first run held: what that run has came first.
static enum reason lend_payload(struct tcp *tcp, struct flow *flow, struct slice payload)
{
	enum reason reason = REASON_NONE;
	uint32_t held_from;

	flow->front = payload;
	if (flow->ack_pending < UINT8_MAX)
		flow->ack_pending++;
	if (!out_of_order_first(flow, &held_from))
		return reason;
	// It fills a gap, or a part of one: the sender waits for this ACK (RFC 5681 4.2).
	flow->flags |= FLOW_ACK_NOW;
	flow->front = slice_first(payload, held_from - flow->rcv_nxt);
	struct slice beyond = slice_from(payload, flow->front.length);
	if (beyond.length > 0)
		reason = out_of_order_insert(tcp, flow, held_from, beyond);
	return flow->front.length > 0 ? REASON_NONE : reason;
}

static void take_fin(struct tcp *tcp, struct flow *flow, unsigned *events)
{
	flow->rcv_nxt++;
	if (seq_before(flow->rcv_adv, flow->rcv_nxt))
		flow->rcv_adv = flow->rcv_nxt; // a FIN needs no buffer and may pass the edge
	flow->flags |= FLOW_PEER_FIN | FLOW_ACK_NOW;
	flow_step(flow, STEP_PEER_FIN);
	// Bytes after a FIN are a lie; they must not be absorbed as a continuation.
	out_of_order_clear(tcp, flow);
	*events |= TCP_EVENT_PEER_CLOSED;
	if (flow->state == FLOW_TIME_WAIT) {
		timer_stop(flow);
		*events |= TCP_EVENT_CLOSED;
	}
}

enum reason receive_segment(struct tcp *tcp, struct flow *flow, uint32_t sequence,
			    struct slice payload, bool fin, unsigned *events)
{
	enum reason reason = REASON_NONE;

	if (fin && !(flow->flags & FLOW_PEER_FIN_KNOWN)) {
		flow->flags |= FLOW_PEER_FIN_KNOWN;
		flow->peer_fin = sequence + (uint32_t)payload.length;
	}
	if (flow->flags & FLOW_PEER_FIN_KNOWN) {
		uint32_t until = flow->peer_fin - sequence;
		// Bytes after the FIN that came first: there is nothing after a FIN.
		payload = slice_first(payload, (int32_t)until > 0 ? until : 0);
	}
	if (payload.length > 0 && sequence == flow->rcv_nxt)
		reason = lend_payload(tcp, flow, payload);
	else if (payload.length > 0)
		reason = out_of_order_insert(tcp, flow, sequence, payload);
	if (sequence != flow->rcv_nxt && flow->duplicates_owed < UINT8_MAX)
		flow->duplicates_owed++; // one duplicate ACK each (RFC 5681 4.2)

	// The end of the stream is told only once every byte before it is stored. Without chunks
	// the bytes are lent as ever, and the peer will repeat its FIN.
	if (flow->flags & FLOW_PEER_FIN_KNOWN) {
		store_front(tcp, flow);
		if (flow->rcv_nxt == flow->peer_fin)
			take_fin(tcp, flow, events);
	}
	if (payload.length > 0 && tcp_received(flow).length > 0)
		*events |= TCP_EVENT_READABLE;
	return reason;
}

struct slice tcp_received(const struct flow *flow)
{
	if (flow->unread.length > 0)
		return chunk_queue_peek(&flow->unread, 0);
	return flow->front;
}

void tcp_consume(struct tcp *tcp, struct flow *flow, size_t length)
{
	struct pool *pool = tcp->settings.chunks;
	size_t old = length < flow->unread.length ? length : flow->unread.length;

	chunk_queue_drop(&flow->unread, pool, (uint32_t)old);
	length -= old;
	assert(length <= flow->front.length);
	flow->front = slice_from(flow->front, length);
	flow->rcv_nxt += (uint32_t)length;
	// What the gap held back is readable in the same turn, without a copy.
	if (flow->unread.length == 0 && flow->front.length == 0)
		out_of_order_absorb(tcp, flow);
}

// What a flow may hold unread: less than its buffer when free chunks run short, so that those who
// are slow to read leave some to the others, but always enough for a round trip nearby.
static uint32_t receive_limit(const struct tcp *tcp)
{
	uint64_t share = (uint64_t)tcp->settings.chunks->free_count * CHUNK_BYTES / SHARE_OF_FREE;

	if (share >= tcp->settings.receive_buffer)
		return tcp->settings.receive_buffer;
	return min_u32(tcp->settings.receive_buffer, max_u32((uint32_t)share, RECEIVE_MIN));
}

// The right edge that the buffer allows. Out-of-order bytes are not subtracted: they lie inside the
// window that was offered for them. Never left of what was offered (RFC 9293 3.8.6).
static uint32_t allowed_edge(const struct tcp *tcp, const struct flow *flow)
{
	uint32_t limit = receive_limit(tcp);
	uint32_t room = limit > flow->unread.length ? limit - flow->unread.length : 0;
	uint32_t edge = flow->rcv_nxt + min_u32(room, (uint32_t)UINT16_MAX << flow->receive_scale);

	return seq_after(edge, flow->rcv_adv) ? edge : flow->rcv_adv;
}

// Is the window worth a segment of its own? Not for less than the silly window limit
// (RFC 9293 3.8.6.2.2); twice that while the peer still has a full segment's room.
static bool update_due(const struct tcp *tcp, const struct flow *flow)
{
	uint32_t grows = allowed_edge(tcp, flow) - flow->rcv_adv;
	uint32_t left = flow->rcv_adv - flow->rcv_nxt;
	uint32_t segments = left < flow->our_mss ? 1 : 2;

	return grows > 0 &&
	       grows >= min_u32(tcp->settings.receive_buffer / 2, segments * flow->our_mss);
}

uint16_t receive_window(const struct tcp *tcp, struct flow *flow, bool keep_edge)
{
	uint32_t edge = allowed_edge(tcp, flow);

	if (!keep_edge &&
	    edge - flow->rcv_adv >= min_u32(tcp->settings.receive_buffer / 2, flow->our_mss))
		flow->rcv_adv = edge;
	// Rounded down to the scale: the peer may see the edge a few bytes early (RFC 7323 2.4), we
	// still take bytes up to rcv_adv. Rounding up would move the edge a little with every ACK.
	return (uint16_t)min_u32((flow->rcv_adv - flow->rcv_nxt) >> flow->receive_scale,
				 UINT16_MAX);
}

void receive_sack(const struct flow *flow, struct sack_blocks *blocks)
{
	uint32_t max = flow->flags & FLOW_TIMESTAMPS ? SACK_BLOCKS_MAX - 1 : SACK_BLOCKS_MAX;

	blocks->count = 0;
	if (!(flow->flags & FLOW_SACK))
		return;
	if (flow->repeated.start != flow->repeated.end)
		blocks->block[blocks->count++] = flow->repeated;
	blocks->count +=
		out_of_order_blocks(flow, &blocks->block[blocks->count], max - blocks->count);
}

void tcp_settle(struct tcp *tcp, struct flow *flow, uint64_t now_us)
{
	if (!flow_synchronized(flow))
		return;
	store_front(tcp, flow);
	flow->front = slice_of(NULL, 0); // the frame goes; what was not stored will come again
	if (flow->ack_pending >= DELAYED_ACK_SEGMENTS)
		flow->flags |= FLOW_ACK_NOW;
	else if (flow->ack_pending > 0 && flow->delayed_ack_at == FLOW_NEVER)
		flow->delayed_ack_at = now_us + DELAYED_ACK_US;
	if (!(flow->flags & FLOW_PEER_FIN) && update_due(tcp, flow))
		flow->flags |= FLOW_ACK_NOW;
}
