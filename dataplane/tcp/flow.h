// SPDX-License-Identifier: BSD-3-Clause
//
// The connection block (RFC 9293's TCB) and the endpoint that owns all of them, shared by the
// sources of this folder only; everybody else sees tcp.h. Sequence numbers are modulo 2^32 and
// compared with the seq_* helpers; the variables keep the RFC's names.
// A flow holds no memory beyond this block while nothing is queued in either direction.
#ifndef RELAYGATE_TCP_FLOW_H
#define RELAYGATE_TCP_FLOW_H

#include "dataplane/base/chunk.h"
#include "dataplane/base/pool.h"
#include "dataplane/tcp/options.h"
#include "dataplane/tcp/tcp.h"

#include <sys/queue.h>

#define FLOW_NONE  UINT32_MAX // end of a chain of indexes
#define FLOW_NEVER UINT64_MAX // a timer that does not run

// Smallest effective segment that a peer's MSS option can make us use: below it headers would be
// most of what we send. Every IPv4 host takes datagrams of 576 bytes (RFC 9293 3.7.1).
#define FLOW_MSS_MIN      88u
#define FLOW_MSS_DEFAULT4 536u  // no MSS option, IPv4 (RFC 9293 MUST-15)
#define FLOW_MSS_DEFAULT6 1220u // no MSS option, IPv6
#define FLOW_TS_BYTES     12u   // timestamps option in each segment, padded

enum flow_state {
	FLOW_CLOSED, // LISTEN is not here: the gate answers SYNs without a flow
	FLOW_SYN_SENT,
	FLOW_SYN_RECEIVED, // simultaneous open only
	FLOW_ESTABLISHED,
	FLOW_FIN_WAIT_1,
	FLOW_FIN_WAIT_2,
	FLOW_CLOSE_WAIT,
	FLOW_CLOSING,
	FLOW_LAST_ACK,
	FLOW_TIME_WAIT,
	FLOW_STATES
};

// What moves a flow from state to state (state.c has the table).
enum flow_step {
	STEP_CONNECT,   // the application opens actively
	STEP_ACCEPT,    // a SYN cookie completed a handshake
	STEP_PEER_SYN,  // SYN without ACK in SYN-SENT: simultaneous open
	STEP_ESTABLISH, // our SYN is acknowledged and theirs is known
	STEP_CLOSE,     // the application closed its side
	STEP_PEER_FIN,  // FIN received in order
	STEP_FIN_ACKED, // our FIN is acknowledged
	STEP_END,       // RST, abort or time-out
	STEP_COUNT
};

enum flow_timer {
	TIMER_NONE,
	TIMER_RETRANSMIT,
	TIMER_PERSIST,    // bytes wait for the peer's window, nothing is in flight
	TIMER_FIN_WAIT_2, // the peer owes its FIN
	TIMER_REORDERING, // what was overtaken counts as lost then (RFC 8985)
	TIMER_TAIL,       // a probe is due before the retransmission time-out (RFC 8985)
	TIMER_KEEPALIVE,  // nothing is owed by anybody
};

enum flow_flag {
	FLOW_TIMESTAMPS = 1 << 0,     // agreed in the handshake (RFC 7323)
	FLOW_CLOSE_WANTED = 1 << 1,   // FIN follows what is queued
	FLOW_FIN_ACKED = 1 << 2,      // our FIN was sent and acknowledged
	FLOW_PEER_FIN_KNOWN = 1 << 3, // peer_fin is valid, bytes before it may be missing
	FLOW_PEER_FIN = 1 << 4,       // the peer's FIN is in rcv_nxt
	FLOW_ACK_NOW = 1 << 5,        // a segment must go out, if only for its ACK and window
	FLOW_SEND_SYN = 1 << 6,       // SYN or SYN-ACK is due
	FLOW_SEND_RESET = 1 << 7,     // RST at reset_sequence is due; the flow lives on
	FLOW_RETRANSMIT = 1 << 8,     // a segment is due once more, whatever the window says
	FLOW_RECOVERY = 1 << 9,       // fast recovery until recover is acknowledged
	FLOW_PROBE = 1 << 10,    // the persist or keep-alive timer asks for a segment despite all
	FLOW_TIMING = 1 << 11,   // a segment is being timed (no timestamps)
	FLOW_SYN_LOST = 1 << 12, // our SYN had to be sent again by the timer
	FLOW_SCALED = 1 << 13,   // both sides offered a window scale
	FLOW_SACK = 1 << 14,     // agreed in the handshake (RFC 2018)
};

struct out_of_order; // out_of_order.c
struct scoreboard;   // scoreboard.c

struct flow {
	struct tuple tuple;
	uint32_t hash;
	uint32_t next; // in its bucket
	uint8_t state; // enum flow_state, written by flow_step only
	uint8_t timer; // enum flow_timer
	uint8_t send_scale;
	uint8_t receive_scale;
	void *user;

	uint16_t flags;          // bits of enum flow_flag
	uint16_t our_mss;        // that the link takes
	uint16_t mss;            // effective: payload bytes of a full segment that we send
	uint8_t backoff;         // doublings of the retransmission or persist timer
	uint8_t duplicates;      // duplicate ACKs in a row
	uint8_t ack_pending;     // segments received since the last ACK went out
	uint8_t duplicates_owed; // pure ACKs due for out-of-order segments, one each
	uint8_t challenge_count; // answers given in challenge_second
	uint8_t hurries;         // SYNs repeated early
	uint8_t reordering;      // the reordering window in quarters of min_rtt_us; 0 = none seen
	uint16_t challenge_second;

	// Sending. The queue holds [snd_una, snd_una + length); a FIN follows it.
	struct chunk_queue send;
	uint32_t send_limit;
	uint32_t iss;
	uint32_t snd_una;
	uint32_t snd_nxt; // without a scoreboard it goes back to snd_una with the time-out
	uint32_t snd_max; // highest ever sent, plus one
	uint32_t snd_wnd;
	uint32_t snd_wnd_max; // largest window that the peer ever offered
	uint32_t snd_wl1;     // sequence number of the segment that snd_wnd is from
	uint32_t reset_sequence;

	struct scoreboard *scoreboard; // NULL = recovery by duplicates and time-outs alone

	// Congestion control and round-trip time.
	uint32_t cwnd;
	uint32_t ssthresh;
	uint32_t cwnd_acked;   // bytes acknowledged towards the next step of cwnd
	uint32_t recover;      // snd_max when recovery began or the timer fired (RFC 6582)
	uint32_t previous_una; // snd_una before the last advance (RFC 6582 section 4.1)
	uint32_t bandwidth;    // delivered bytes a millisecond; 0 = not measured
	uint32_t min_rtt_us;   // 0 = no sample yet
	uint32_t srtt_us;      // 0 = no sample yet
	uint32_t rttvar_us;
	uint32_t rto_ms;
	uint32_t timed_end;      // the timed segment ends here
	uint32_t timed_start_us; // low 32 bits
	uint32_t last_send_ms;   // low 32 bits
	uint32_t keepalive_ms;   // 0 = off

	// Receiving. In order of sequence: unread, then front at rcv_nxt, then out_of_order.
	struct chunk_queue unread;
	struct slice front;                // in the current frame, not yet taken: starts at rcv_nxt
	struct out_of_order *out_of_order; // NULL = none held
	uint32_t irs;
	uint32_t rcv_nxt;
	uint32_t rcv_adv; // right edge of the window offered; never moves back
	uint32_t last_ack_sent;
	uint32_t peer_fin;
	uint32_t ts_recent;
	uint32_t ts_recent_s; // when ts_recent was taken, seconds
	uint32_t ts_offset;
	struct sack_block repeated; // came twice and not told yet (RFC 2883); empty = none

	uint64_t timer_at;
	uint64_t delayed_ack_at;
	uint64_t progress_at; // the peer last acknowledged something, or we began to wait for it
};
_Static_assert(sizeof(struct flow) <= 320, "a flow is five cache lines");

struct time_wait; // time_wait.c
TAILQ_HEAD(out_of_order_list, out_of_order);

struct tcp {
	struct tcp_settings settings;
	struct hash_key isn_key; // RFC 6528's secret
	uint8_t window_scale;
	struct pool flows;
	uint32_t *buckets;
	uint32_t bucket_mask;
	struct time_wait *time_wait;
	struct out_of_order_list gaps; // of all flows that hold bytes beyond one, the oldest first
};

static inline bool seq_before(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) < 0;
}
static inline bool seq_after(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) > 0;
}
static inline uint32_t min_u32(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}
static inline uint32_t max_u32(uint32_t a, uint32_t b)
{
	return a > b ? a : b;
}
static inline uint32_t flow_ts_now(const struct flow *flow, uint64_t now_us)
{
	return (uint32_t)(now_us / 1000) + flow->ts_offset;
}

// ---- state.c ---------------------------------------------------------------------------------
// The one writer of flow->state. A step that the state does not know is our own bug.
void flow_step(struct flow *flow, enum flow_step step);
bool flow_synchronized(const struct flow *flow); // both SYNs known: ESTABLISHED and later
bool flow_takes_data(const struct flow *flow);   // the peer's bytes are still wanted
bool flow_sends(const struct flow *flow);        // bytes or FIN of ours may be unacknowledged
bool flow_owes_reset(const struct flow *flow);   // an abort must tell the peer (RFC 9293 3.10.5)

// ---- flow_table.c -------------------------------------------------------------------------------
int flow_table_init(struct tcp *tcp);
void flow_table_fini(struct tcp *tcp);
void flow_table_insert(struct tcp *tcp, struct flow *flow); // by flow->tuple; must not be there yet
void flow_table_remove(struct tcp *tcp, struct flow *flow);

// ---- time_wait.c -----------------------------------------------------------------------------
// key: that of the flow table, so that flow->hash serves here, too.
struct time_wait *time_wait_create(uint32_t entries, const struct hash_key *key);
void time_wait_destroy(struct time_wait *time_wait);
// Remembers a flow that ends in TIME-WAIT; gives up the oldest record when full.
void time_wait_insert(struct time_wait *time_wait, const struct flow *flow, uint64_t now_us);
bool time_wait_holds(const struct time_wait *time_wait, const struct tuple *tuple);
void time_wait_remove(struct time_wait *time_wait, const struct flow *flow);
// Brings the place of a hash, as in flow->hash, into the cache.
void time_wait_prefetch(const struct time_wait *time_wait, uint32_t hash);
void time_wait_advance(struct time_wait *time_wait, uint64_t now_us);

struct scoreboard_news;

// ---- congestion.c ----------------------------------------------------------------------------
void congestion_init(struct flow *flow);
// An ACK moved snd_una by acked bytes, when in_flight bytes were between snd_una and snd_nxt.
void congestion_acknowledged(struct flow *flow, uint32_t acked, uint32_t in_flight);
// A duplicate ACK, of a flow without a scoreboard.
void congestion_duplicate(struct flow *flow);
// Bytes count as lost, by the scoreboard: recovery begins, unless it goes on already.
void congestion_lost(struct flow *flow);
// A loss was repaired before it was found out.
void congestion_repaired(struct flow *flow);
// The peer holds more bytes, of a flow with a scoreboard.
void congestion_delivered(struct flow *flow, const struct scoreboard_news *news, uint64_t now_us);
void congestion_timeout(struct flow *flow);
// Nothing was in flight for longer than the retransmission time-out (RFC 5681 4.1).
void congestion_restart(struct flow *flow, uint32_t idle_ms);
void congestion_rtt_sample(struct flow *flow, uint32_t rtt_us);
// Segments became smaller: what is in flight did not arrive, for no fault of the window's.
void congestion_resize(struct flow *flow);
// Bytes that may enter the network now, by the window and what is in flight.
uint32_t congestion_room(const struct flow *flow);

// ---- scoreboard.c ----------------------------------------------------------------------------
struct run; // scoreboard.h
// What one segment of the peer tells of bytes in flight.
struct scoreboard_news {
	uint32_t delivered; // bytes acknowledged or reported for the first time
	uint32_t rtt_us;    // least round trip of those that were sent once; 0 = none
	bool reported;      // something beyond a gap is new
	bool came_twice;    // the peer received bytes again (RFC 2883)
};
// Bytes from snd_nxt up to end go out for the first time. Begins a scoreboard if the peer speaks
// SACK and buffers are not short.
void scoreboard_sent(struct flow *flow, struct pool *pool, uint32_t end, uint64_t now_us);
// The first bytes that count as lost; empty when there are none.
struct sack_block scoreboard_lost(const struct flow *flow);
// The newest run in flight, of a flow with a scoreboard; empty when the peer holds it.
struct sack_block scoreboard_last(const struct flow *flow);
// These bytes went out once more.
void scoreboard_repeated(struct flow *flow, uint32_t start, uint32_t end, uint64_t now_us);
// The rest is for flows with a scoreboard only.
uint32_t scoreboard_pipe(const struct flow *flow); // bytes in the network
// After snd_una moved; then the blocks, if any; then scoreboard_settle, which ends the scoreboard
// when nothing is in flight any more. Blocks that cannot be true are skipped. Bytes that the peer
// went back on count as lost.
void scoreboard_acknowledged(struct flow *flow, uint64_t now_us, struct scoreboard_news *news);
void scoreboard_report(struct flow *flow, const struct sack_blocks *blocks, uint64_t now_us,
		       struct scoreboard_news *news);
void scoreboard_settle(struct flow *flow, struct pool *pool);
// Everything in flight counts as lost; also what was reported, or all but that.
void scoreboard_lose_all(struct flow *flow, bool reported_too);
// Marks the runs that the judge says are late: those whose *wait_us is over. *wait_us of this one:
// the longest wait of the others, 0 for none. True when some count as lost now.
typedef bool scoreboard_judge(const struct flow *flow, const struct run *run, uint64_t now_us,
			      int32_t *wait_us);
bool scoreboard_lose_older(struct flow *flow, scoreboard_judge *judge, uint64_t now_us,
			   uint32_t *wait_us);
void scoreboard_clear(struct flow *flow, struct pool *pool);

// ---- rack.c ----------------------------------------------------------------------------------
// All but rack_probe_us and rack_probe_due are for flows with a scoreboard.
// The peer holds bytes of a run; its state is that before (RFC 8985 section 6.2, steps 1 to 3).
void rack_delivered(struct flow *flow, const struct run *run, uint32_t bytes, uint64_t now_us,
		    struct scoreboard_news *news);
// What the news say of reordering and of a probe (steps 4, 7.4). True when a probe repaired a loss.
bool rack_heard(struct flow *flow, const struct scoreboard_news *news);
// Marks what is lost by now and starts the timer for what may be (step 5). True when some is lost.
bool rack_detect(struct flow *flow, uint64_t now_us);
// Microseconds until the tail should be probed (section 7.2); 0 = not at all.
uint64_t rack_probe_us(const struct flow *flow);
void rack_probe(struct flow *flow);                // that time has come
bool rack_probe_due(struct flow *flow);            // told once
void rack_probed(struct flow *flow, bool repeats); // the probe went out, with old bytes or new ones

// ---- out_of_order.c --------------------------------------------------------------------------
// Keeps bytes beyond a gap. Bytes that are held already stay as they were first received.
// REASON_NONE when nothing more of them is missing or some were kept.
enum reason out_of_order_insert(struct tcp *tcp, struct flow *flow, uint32_t sequence,
				struct slice bytes);
// Sequence number of the first byte held; false when none is.
bool out_of_order_first(const struct flow *flow, uint32_t *sequence);
// The blocks for a SACK option, at most max (up to SACK_BLOCKS_MAX): the one that the last segment
// belongs to first, then in the order of their segments (RFC 2018 section 4). Returns how many.
uint32_t out_of_order_blocks(const struct flow *flow, struct sack_block *blocks, uint32_t max);
// Moves runs that begin at rcv_nxt to unread and rcv_nxt with them.
void out_of_order_absorb(struct tcp *tcp, struct flow *flow);
void out_of_order_clear(struct tcp *tcp, struct flow *flow);

// ---- receive.c -------------------------------------------------------------------------------
// Takes the payload of an acceptable segment, already cut to the window, and its FIN.
enum reason receive_segment(struct tcp *tcp, struct flow *flow, uint32_t sequence,
			    struct slice payload, bool fin, unsigned *events);
// The window to put on the wire; moves the right edge unless the ACK must look like the last one.
uint16_t receive_window(const struct tcp *tcp, struct flow *flow, bool keep_edge);
// What the next segment tells of bytes beyond a gap and of bytes that came twice (RFC 2018, 2883).
void receive_sack(const struct flow *flow, struct sack_blocks *blocks);
// Appends as much of bytes as leaves `reserve` chunks free for those who need them more.
size_t receive_append(struct chunk_queue *queue, struct pool *pool, struct slice bytes,
		      uint32_t reserve);

// ---- acknowledge.c ---------------------------------------------------------------------------
// What the ACK number and window of an acceptable segment mean to what we sent.
struct acknowledgment {
	uint32_t sequence;
	uint32_t number;
	uint32_t window; // scaled
	bool occupies;   // the segment has payload or FIN: never a duplicate ACK
	bool has_echo;
	uint32_t echo; // TSecr
	struct sack_blocks sack;
};
// False when the number is outside of what a peer could send (RFC 5961 section 5).
bool acknowledge_plausible(const struct flow *flow, uint32_t number);
void acknowledge(struct tcp *tcp, struct flow *flow, const struct acknowledgment *ack,
		 uint64_t now_us, unsigned *events);

// ---- timers.c --------------------------------------------------------------------------------
uint64_t timer_interval_us(const struct flow *flow); // retransmission time-out, backed off
// (Re)starts the timer; when none ran before, the peer's silence is measured from now.
void timer_start(struct flow *flow, enum flow_timer timer, uint64_t now_us);
void timer_start_at(struct flow *flow, enum flow_timer timer, uint64_t now_us, uint64_t at_us);
void timer_stop(struct flow *flow);
// Does the timer wait for the answer to what is in flight?
bool timer_waits(const struct flow *flow);
// Something is in flight: the tail's probe if there may be one, else the retransmission time-out.
// The probe comes no later than the time-out that began with what was sent before (RFC 8985 7.2).
void timer_start_flight(struct flow *flow, uint64_t now_us);
// The peer spoke: what only waits for a sign of life waits anew.
void timer_heard(struct flow *flow, uint64_t now_us);
// snd_una moved: the retransmission timer begins anew, or stops when all is acknowledged. Without
// a round-trip sample the back-off stays (RFC 6298 section 5), but not all of it: a peer without
// timestamps that acknowledges repeated segments only would be left at a minute each.
void timer_progress(struct flow *flow, uint64_t now_us);

// ---- tcp.c -----------------------------------------------------------------------------------
// What both SYNs said, once both are known: options and the window that ours offered. After
// rcv_nxt is set.
void flow_apply_options(const struct tcp *tcp, struct flow *flow, const struct tcp_options *options,
			uint64_t now_us);
// Common to both roles when the handshake ends.
void flow_establish(struct flow *flow, enum flow_step step);
// The sequence number of a segment without payload: inside the peer's window even when we sent past
// it (a window probe, a window that shrank), or the peer would discard it unread.
uint32_t flow_bare_sequence(const struct flow *flow);

#endif
