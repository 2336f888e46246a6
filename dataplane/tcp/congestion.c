// SPDX-License-Identifier: BSD-3-Clause
//
// How much may be in flight and how long to wait for its acknowledgment: slow start and congestion
// avoidance (RFC 5681, byte counting after RFC 3465), fast retransmit with recovery by SACK (RFC
// 6675) or, with a peer that has none, NewReno (RFC 6582), limited transmit (RFC 3042), initial
// window (RFC 6928), time-out (RFC 6298).
// Decides numbers only; what is sent when is segment_out's and timers' part.
#include "dataplane/tcp/scoreboard.h"

#define DUPLICATES_FOR_LOSS 3
#define RTO_MIN_MS          200u
#define RTO_MAX_MS          60000u
#define RTO_INITIAL_MS      1000u
#define BANDWIDTH_ROUND_US  1000u // shorter rounds measure our turns, not the path
// Of queueing delay (RFC 9406 section 4.3), and the share of a flight that may be lost without.
#define QUEUE_MIN_US    4000u
#define QUEUE_MAX_US    16000u
#define MILD_LOSS_SHARE 50
#define VALID_MS        300000u // what was measured of a path that lies idle
#define GROWTH_SHARE    8       // of the window, each round trip while there is no queue
#define RTO_SYN_LOST_MS 3000u   // RFC 6298 5.7

static uint32_t initial_window(const struct flow *flow)
{
	return min_u32(10u * flow->mss, max_u32(2u * flow->mss, 14600));
}

void congestion_init(struct flow *flow)
{
	// A lost SYN is a lost segment: begin with one (RFC 5681 3.1).
	flow->cwnd = flow->flags & FLOW_SYN_LOST ? flow->mss : initial_window(flow);
	flow->ssthresh = UINT32_MAX;
	flow->recover = flow->iss;
	flow->previous_una = flow->iss;
	if (flow->srtt_us == 0)
		flow->rto_ms = flow->flags & FLOW_SYN_LOST ? RTO_SYN_LOST_MS : RTO_INITIAL_MS;
}

void congestion_rtt_sample(struct flow *flow, uint32_t rtt_us)
{
	// No sample may be 0: that means "none yet".
	rtt_us = max_u32(min_u32(rtt_us, RTO_MAX_MS * 1000), 1);
	if (flow->srtt_us == 0) {
		flow->srtt_us = rtt_us;
		flow->rttvar_us = rtt_us / 2;
	} else {
		uint32_t error =
			rtt_us > flow->srtt_us ? rtt_us - flow->srtt_us : flow->srtt_us - rtt_us;
		flow->rttvar_us = flow->rttvar_us - flow->rttvar_us / 4 + error / 4;
		flow->srtt_us = flow->srtt_us - flow->srtt_us / 8 + rtt_us / 8;
		flow->srtt_us = max_u32(flow->srtt_us, 1);
	}
	// The floor goes under the variance: a peer that delays its ACK by 200 ms once in a while
	// must not look like a loss.
	uint32_t rto_us = flow->srtt_us + max_u32(RTO_MIN_MS * 1000, 4 * flow->rttvar_us);
	flow->rto_ms = min_u32(rto_us / 1000, RTO_MAX_MS);
	flow->backoff = 0; // only a valid sample ends the back-off (RFC 6298 section 5)
}

static void leave_recovery(struct flow *flow)
{
	uint32_t in_flight = flow->snd_max - flow->snd_una;

	flow->flags &= ~FLOW_RECOVERY;
	flow->duplicates = 0;
	if (flow->scoreboard != NULL) // the window was that of the network all the time
		return;
	// RFC 6582 3.2 step 3, first option: no burst when little is in flight.
	flow->cwnd = min_u32(flow->ssthresh, max_u32(in_flight, flow->mss) + flow->mss);
	flow->cwnd_acked = 0;
}

// One hole is filled, the next one begins at snd_una: send it, and take what left the network out
// of the inflated window.
static void partial_acknowledgment(struct flow *flow, uint32_t acked)
{
	flow->flags |= FLOW_RETRANSMIT;
	flow->cwnd -= min_u32(flow->cwnd, acked);
	if (acked >= flow->mss)
		flow->cwnd += flow->mss;
	flow->cwnd = max_u32(flow->cwnd, flow->mss);
}

// Was some answer of this round trip or the last one as quick as without a queue? The threshold is
// RFC 9406's. Without a scoreboard nobody knows.
static bool no_queue(const struct flow *flow)
{
	const struct scoreboard *board = flow->scoreboard;

	if (board == NULL || flow->min_rtt_us == 0)
		return false;
	uint32_t slack_us = min_u32(max_u32(flow->min_rtt_us / 8, QUEUE_MIN_US), QUEUE_MAX_US);
	uint32_t quickest_us = min_u32(board->round_rtt_us - 1, board->last_rtt_us - 1);
	return quickest_us < flow->min_rtt_us + slack_us;
}

// Slow start, or a segment each round trip.
static void grow(struct flow *flow, uint32_t acked, uint32_t in_flight)
{
	// A window that is not used says nothing about the path: let it not grow.
	if (in_flight < flow->cwnd / 2)
		return;
	if (flow->cwnd < flow->ssthresh) {
		flow->cwnd += min_u32(acked, 2u * flow->mss);
		return;
	}
	// Where no queue builds up there is room for more than that.
	uint32_t step = no_queue(flow) ? flow->cwnd / GROWTH_SHARE : 0;
	uint32_t acked_for_one = flow->cwnd / max_u32(step / flow->mss, 1);
	flow->cwnd_acked += acked;
	if (flow->cwnd_acked >= acked_for_one) {
		flow->cwnd_acked -= acked_for_one;
		flow->cwnd += flow->mss;
	}
}

void congestion_acknowledged(struct flow *flow, uint32_t acked, uint32_t in_flight)
{
	if (flow->flags & FLOW_RECOVERY) {
		if (!seq_before(flow->snd_una, flow->recover))
			leave_recovery(flow);
		else if (flow->scoreboard == NULL)
			partial_acknowledgment(flow, acked);
		return;
	}
	flow->duplicates = 0;
	// It follows snd_una, or after 2 GB without a loss it would seem to lie ahead.
	if (seq_after(flow->snd_una, flow->recover))
		flow->recover = flow->snd_una - 1;
	grow(flow, acked, in_flight);
}

static uint32_t half_of_flight(const struct flow *flow)
{
	return max_u32((flow->snd_max - flow->snd_una) / 2, 2u * flow->mss);
}

// Bytes in flight that the path carries without a queue, as far as it was measured.
static uint32_t carried(const struct flow *flow)
{
	uint64_t bytes = (uint64_t)flow->bandwidth * flow->min_rtt_us / 1000;

	return bytes < UINT32_MAX ? (uint32_t)bytes : UINT32_MAX;
}

// The window after a loss: half of the flight, or what the path was seen to carry without a queue
// if that is more. So a loss that comes from no queue costs little, as on a bad wire, and one from
// a full queue empties it (Westwood+).
static uint32_t window_after_loss(const struct flow *flow)
{
	return max_u32(half_of_flight(flow), min_u32(carried(flow), flow->cwnd));
}

// After recovery or a time-out, duplicates may come from our own needless repetitions: then
// snd_una has just jumped far (RFC 6582 section 4.1).
static bool duplicates_mean_loss(const struct flow *flow)
{
	if (seq_after(flow->snd_una, flow->recover))
		return true;
	return flow->snd_una == flow->recover && flow->cwnd > flow->mss &&
	       flow->snd_una - flow->previous_una <= 4u * flow->mss;
}

void congestion_duplicate(struct flow *flow)
{
	if (flow->duplicates < UINT8_MAX)
		flow->duplicates++;
	if (flow->flags & FLOW_RECOVERY) {
		// Each duplicate is a segment that left the network. No more of them than there
		// can be in flight: a peer may not open the window by inventing duplicates.
		uint32_t in_flight = flow->snd_max - flow->snd_una;
		flow->cwnd = min_u32(flow->cwnd + flow->mss, flow->ssthresh + in_flight);
		return;
	}
	if (flow->duplicates != DUPLICATES_FOR_LOSS || !duplicates_mean_loss(flow))
		return;
	flow->ssthresh = half_of_flight(flow);
	flow->cwnd = flow->ssthresh + DUPLICATES_FOR_LOSS * flow->mss;
	flow->cwnd_acked = 0;
	flow->recover = flow->snd_max;
	flow->flags |= FLOW_RECOVERY | FLOW_RETRANSMIT;
}

static void reduce(struct flow *flow)
{
	flow->ssthresh = window_after_loss(flow);
	flow->cwnd = min_u32(flow->cwnd, flow->ssthresh);
	flow->cwnd_acked = 0;
}

// Do these losses come from a bad wire? Not if a queue builds up, nor if more of the flight is
// lost.
static bool is_mild(const struct flow *flow)
{
	uint32_t flight = flow->snd_max - flow->snd_una;

	return no_queue(flow) &&
	       flow->scoreboard->recovery_lost <= max_u32(flight / MILD_LOSS_SHARE, 2u * flow->mss);
}

void congestion_lost(struct flow *flow)
{
	struct scoreboard *board = flow->scoreboard;

	if (flow->flags & FLOW_RECOVERY) {
		// One reaction to each flight.
		if (board->mild && !is_mild(flow)) {
			board->mild = false;
			reduce(flow);
		}
		return;
	}
	// After a time-out the window has shrunk already.
	if (seq_before(flow->snd_una, flow->recover))
		return;
	board->recovery_lost = board->lost;
	board->mild = is_mild(flow);
	if (!board->mild)
		reduce(flow);
	flow->recover = flow->snd_max;
	flow->flags |= FLOW_RECOVERY | FLOW_RETRANSMIT;
}

void congestion_repaired(struct flow *flow)
{
	if (!is_mild(flow))
		reduce(flow);
}

void congestion_delivered(struct flow *flow, const struct scoreboard_news *news, uint64_t now_us)
{
	struct scoreboard *board = flow->scoreboard;
	uint32_t elapsed_us = (uint32_t)now_us - board->round_start_us;

	if ((flow->flags & FLOW_RECOVERY) && board->mild)
		grow(flow, news->delivered, flow->snd_nxt - flow->snd_una);
	board->round_bytes += news->delivered;
	if (news->rtt_us > 0 && news->rtt_us - 1 < board->round_rtt_us - 1)
		board->round_rtt_us = news->rtt_us;
	if (elapsed_us < flow->srtt_us || elapsed_us < BANDWIDTH_ROUND_US)
		return;
	uint32_t rate = (uint32_t)((uint64_t)board->round_bytes * 1000 / elapsed_us);
	// It rises at once and falls slowly: a round that had little to send says little.
	if (rate > flow->bandwidth)
		flow->bandwidth = rate;
	else
		flow->bandwidth -= (flow->bandwidth - rate) / 8;
	board->round_bytes = 0;
	board->last_rtt_us = board->round_rtt_us;
	board->round_rtt_us = 0;
	board->round_start_us = (uint32_t)now_us;
}

void congestion_timeout(struct flow *flow)
{
	// The second time-out of the same segment says nothing new about the path.
	if (flow->backoff == 0)
		flow->ssthresh = window_after_loss(flow);
	flow->cwnd = flow->mss;
	flow->cwnd_acked = 0;
	flow->recover = flow->snd_max;
	flow->duplicates = 0;
	flow->flags &= ~(FLOW_RECOVERY | FLOW_RETRANSMIT | FLOW_TIMING);
	if (flow->scoreboard != NULL)
		flow->flags |= FLOW_RETRANSMIT;
}

void congestion_resize(struct flow *flow)
{
	// A recovery is over: its repetitions were too large as well, or are cheap to repeat.
	if (flow->flags & FLOW_RECOVERY)
		flow->cwnd = min_u32(flow->cwnd, flow->ssthresh);
	flow->recover = flow->snd_max; // duplicates of what did arrive are no losses
	flow->duplicates = 0;
	flow->flags &= ~(FLOW_RECOVERY | FLOW_RETRANSMIT | FLOW_TIMING);
	if (flow->scoreboard != NULL)
		scoreboard_lose_all(flow, false);
	else
		flow->snd_nxt = flow->snd_una;
}

void congestion_restart(struct flow *flow, uint32_t idle_ms)
{
	uint32_t window = initial_window(flow);

	// Half of what the path carried a short while ago is no burst that it did not see before
	// (RFC 7661's thought; there the whole window stays).
	if (idle_ms < VALID_MS)
		window = max_u32(window, carried(flow) / 2);
	flow->cwnd = min_u32(flow->cwnd, window);
	flow->cwnd_acked = 0;
	flow->min_rtt_us = 0; // the path may have become longer
}

uint32_t congestion_room(const struct flow *flow)
{
	uint32_t window = flow->cwnd;
	uint32_t in_flight = flow->snd_nxt - flow->snd_una;

	if (flow->scoreboard != NULL) // each report makes room: limited transmit
		in_flight = scoreboard_pipe(flow);
	else if (!(flow->flags & FLOW_RECOVERY)) // two segments more after the first duplicates
		window += min_u32(flow->duplicates, 2) * flow->mss;
	return window > in_flight ? window - in_flight : 0;
}
