// SPDX-License-Identifier: BSD-3-Clause
//
// The TCP endpoint (RFC 9293) in both roles: towards clients, whose handshake a SYN cookie already
// completed, and towards backends. Input is a parsed segment and the time; output is a reason,
// event bits and segments to build. It never sends, reads a clock, logs or uses the heap after
// tcp_create. Owns flows, their buffers (chunks of the worker's pool), the lookup table and
// TIME-WAIT records. Who owns the application side (pipeline) gets each flow's `user` back and
// decides when it dies.
//
// One turn for a segment:
//	reason = tcp_input(tcp, flow, view, now, &events);
//	while (bytes = tcp_received(flow)) ... tcp_consume(flow, n), tcp_send(other, bytes) ...
//	tcp_settle(tcp, flow, now);            keeps what nobody consumed; decides ACK and window
//	while (tcp_output(tcp, flow, now, &segment)) build and send
#ifndef RELAYGATE_TCP_TCP_H
#define RELAYGATE_TCP_TCP_H

#include "bpf/counters.h"
#include "dataplane/base/random.h"
#include "dataplane/base/segment.h"
#include "dataplane/base/tcp_options.h"
#include "dataplane/base/view.h"

struct tcp;
struct flow;

struct tcp_settings {
	uint32_t flows; // clients and backends together
	uint32_t time_wait_entries;
	uint32_t receive_buffer; // bytes received and not consumed, out-of-order ones included
	uint32_t send_buffer;    // bytes queued and not yet acknowledged
	struct hash_key hash_key;
	struct pool *chunks;
	struct random *random;
};

enum tcp_event {
	TCP_EVENT_ESTABLISHED = 1 << 0, // connect succeeded
	TCP_EVENT_READABLE = 1 << 1,    // tcp_received has new bytes
	TCP_EVENT_WRITABLE = 1 << 2,    // send room grew
	TCP_EVENT_PEER_CLOSED =
		1 << 3,               // FIN received, every byte before it is readable or was read
	TCP_EVENT_CLOSED = 1 << 4,    // both sides closed: release the flow
	TCP_EVENT_RESET = 1 << 5,     // RST by the peer: release the flow
	TCP_EVENT_TIMED_OUT = 1 << 6, // peer stopped answering: release the flow
};

// NULL when out of memory.
struct tcp *tcp_create(const struct tcp_settings *settings);
void tcp_destroy(struct tcp *tcp);
// Once a loop turn, also when nothing arrives: drops TIME-WAIT records whose time is over, so that
// tcp_tuple_free sees their ports again.
void tcp_advance(struct tcp *tcp, uint64_t now_us);

// ---- Finding ---------------------------------------------------------------------------------
// local = destination of the frame. Inlined: each field goes straight to where it is wanted, and is
// not read again in a wider piece than it was written in.
static inline struct tuple tcp_tuple_of(const struct view *view)
{
	return (struct tuple){
		.local = view->destination,
		.remote = view->source,
		.local_port = view->destination_port,
		.remote_port = view->source_port,
	};
}
struct flow *tcp_find(const struct tcp *tcp, const struct tuple *tuple);

// The same for a burst, one look-up ahead of the other. The hash serves all five; the first two
// bring the bucket, then the flow into the cache. tcp_likely_user, when the flow is there: the user
// of the flow that is most likely meant, or NULL. A hint, to be fetched and not to be believed.
uint32_t tcp_hash(const struct tcp *tcp, const struct tuple *tuple);
// tcp_hash of at most HASH_BURST tuples: the low half of each.
void tcp_hash_all(const struct tcp *tcp, const struct tuple *const tuples[], unsigned count,
		  uint64_t hashes[]);
void tcp_prefetch_bucket(const struct tcp *tcp, uint32_t hash);
void tcp_prefetch_flow(const struct tcp *tcp, uint32_t hash);
const void *tcp_likely_user(const struct tcp *tcp, uint32_t hash);
struct flow *tcp_find_hashed(const struct tcp *tcp, const struct tuple *tuple, uint32_t hash);
// False: no TIME-WAIT record has a tuple of this hash, so tcp_time_wait_input need not be asked.
bool tcp_time_wait_likely(const struct tcp *tcp, uint32_t hash);

enum tcp_time_wait {
	TCP_TIME_WAIT_NONE,   // no record of this tuple
	TCP_TIME_WAIT_ANSWER, // send *answer (an ACK), drop the segment: REASON_time_wait
	TCP_TIME_WAIT_DROP,   // drop the segment silently
	TCP_TIME_WAIT_REOPEN, // a SYN that may open a new connection (RFC 6191, RFC 9293 3.6.1);
			      // the record stays until the handshake completes
};
// Judges a segment whose tuple has no flow but may have a TIME-WAIT record. RST does not remove the
// record (RFC 1337).
enum tcp_time_wait tcp_time_wait_input(struct tcp *tcp, const struct view *view, uint64_t now_us,
				       struct segment *answer);

// Is the segment newer than everything of the connection that the tuple's TIME-WAIT record stands
// for, in its timestamp or its sequence number? Then an ACK may complete the handshake of a SYN
// that was allowed to reopen. False without a record.
bool tcp_time_wait_newer(const struct tcp *tcp, const struct view *view);

// ---- Opening ---------------------------------------------------------------------------------
struct tcp_accept {
	struct tuple tuple;
	uint32_t our_isn, peer_isn;
	struct tcp_options
		options; // as agreed in the handshake; our own scale is tcp_window_scale()
	uint32_t timestamp_offset; // our TSval = now in ms + offset
	uint16_t our_mss;          // that we may receive: MTU - 40 or - 60
	uint16_t peer_window;      // of the ACK that completed the handshake, unscaled
};
// A passive connection that is established at once. The ACK segment itself must then be given to
// tcp_input. NULL when no flow is free. Removes a TIME-WAIT record of the tuple.
struct flow *tcp_accept(struct tcp *tcp, const struct tcp_accept *accept, uint64_t now_us);

// An active connection; tcp_output yields its SYN. Initial sequence number after RFC 6528.
// NULL when no flow is free. The caller chose a tuple without a flow (tcp_tuple_free).
struct flow *tcp_connect(struct tcp *tcp, const struct tuple *tuple, uint16_t our_mss,
			 uint64_t now_us);
bool tcp_tuple_free(const struct tcp *tcp, const struct tuple *tuple); // neither flow nor TIME-WAIT

// The window scale that we offer, from receive_buffer.
uint8_t tcp_window_scale(const struct tcp *tcp);
// Options of our SYN-ACK for this handshake, into segment->options (MSS, and as agreed: window
// scale, SACK-permitted, timestamps with our_timestamp / the client's TSval), and its window into
// segment->window (never scaled in a SYN; tcp_accept counts on it).
void tcp_syn_ack_options(const struct tcp *tcp, const struct tcp_options *agreed, uint16_t our_mss,
			 uint32_t our_timestamp, struct segment *segment);

// ---- A flow's turn ---------------------------------------------------------------------------
// REASON_NONE when the segment had an effect, else why it was dropped (an ACK may still be owed:
// call tcp_output). *events: bits of enum tcp_event, 0 for none.
enum reason tcp_input(struct tcp *tcp, struct flow *flow, const struct view *view, uint64_t now_us,
		      unsigned *events);
// The next run of in-order bytes that the application has not consumed; empty when none. May point
// into the frame of the view last given to tcp_input: valid until tcp_settle.
struct slice tcp_received(const struct flow *flow);
void tcp_consume(struct tcp *tcp, struct flow *flow, size_t length);
// Must follow each tcp_input, and any tcp_consume outside of one. Copies unread bytes of the frame
// into chunks (bytes for which there is none are not acknowledged, the peer sends them again) and
// schedules an ACK or window update when one is due.
void tcp_settle(struct tcp *tcp, struct flow *flow, uint64_t now_us);

// Bytes that tcp_send takes now.
size_t tcp_send_room(const struct flow *flow);
// Copies bytes into the send queue; returns how many: fewer when the room or the pool ends.
size_t tcp_send(struct tcp *tcp, struct flow *flow, struct slice bytes);
// FIN after what is queued. Receiving goes on (half close). Idempotent.
void tcp_close(struct tcp *tcp, struct flow *flow);
// Keep-alive (RFC 9293 3.8.4), off (0) at first: while nothing is in flight and nothing was heard
// for interval_ms the peer is asked for a sign of life, three times; then TCP_EVENT_TIMED_OUT. Then
// tcp_output, which starts the timer.
void tcp_set_keepalive(struct flow *flow, uint32_t interval_ms);
// RST now: fills *reset (the caller sends it; false when the state owes the peer none). Then
// tcp_release.
bool tcp_abort(struct tcp *tcp, struct flow *flow, struct segment *reset);

// The next segment that may go out now; false when none. The flow counts it as sent.
bool tcp_output(struct tcp *tcp, struct flow *flow, uint64_t now_us, struct segment *segment);

// A router reports that it cannot pass on the flow's segment that began at quoted_sequence, only
// packets of mtu bytes, IP header included (RFC 1191, RFC 8201). REASON_NONE: segments are smaller
// from now on, and what is in flight goes out once more, cut anew (then tcp_output); the congestion
// window stays. REASON_icmp_too_big_unacceptable: the bytes are not in flight (RFC 5927), the
// flow's segments are no larger than that anyway, or mtu is below what IPv6 guarantees. In IPv4 the
// least that is believed is 552.
enum reason tcp_path_mtu(struct tcp *tcp, struct flow *flow, uint32_t quoted_sequence,
			 uint32_t mtu);

// When tcp_timeout wants to be called next; UINT64_MAX when never.
uint64_t tcp_deadline(const struct flow *flow);
// Runs due timers (retransmission RFC 6298, persist, delayed ACK, FIN-WAIT-2, keep-alive); then
// tcp_output.
void tcp_timeout(struct tcp *tcp, struct flow *flow, uint64_t now_us, unsigned *events);

// Gives up the bytes beyond a gap of the flow that has waited the longest for its gap to be filled;
// the peer sends them again (RFC 2018 section 8 allows it, whatever was reported). False when no
// flow holds any.
bool tcp_drop_out_of_order(struct tcp *tcp);

// Ends the flow and frees everything it holds; leaves a TIME-WAIT record when the state asks for
// one. The only way that a flow dies.
void tcp_release(struct tcp *tcp, struct flow *flow, uint64_t now_us);

// ---- Looking on ------------------------------------------------------------------------------
const struct tuple *tcp_tuple(const struct flow *flow);
void *tcp_user(const struct flow *flow);
void tcp_set_user(struct flow *flow, void *user);
bool tcp_is_established(const struct flow *flow); // SYN exchanged; closing states included
bool tcp_all_acknowledged(
	const struct flow *flow); // everything queued, FIN included, is acknowledged
// Everything queued, FIN included, went out at least once.
bool tcp_all_sent(const struct flow *flow);
bool tcp_holds_chunks(const struct flow *flow);
bool tcp_can_receive(const struct flow *flow); // peer's FIN not seen yet
uint32_t tcp_flows_used(const struct tcp *tcp);
uint32_t tcp_time_wait_used(const struct tcp *tcp);
// Oldest TIME-WAIT records given up for newer ones since the last call.
uint64_t tcp_take_evictions(struct tcp *tcp);
// Names for logs and tests: "ESTABLISHED", "FIN-WAIT-1" ...
const char *tcp_state_name(const struct flow *flow);

#endif
