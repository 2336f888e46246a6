// SPDX-License-Identifier: BSD-3-Clause
//
// Loss detection by time, RACK-TLP (RFC 8985): bytes are lost when others that were sent later have
// arrived and some time for reordering is over, repetitions as well; the tail of a flight is probed
// before the retransmission time-out would end it. The reordering window adapts to what the peer
// says came twice. Decides which bytes count as lost and when to look again; congestion.c reacts.
#include "dataplane/tcp/scoreboard.h"

#define DUPLICATES_FOR_LOSS 3
#define REORDERING_MAX      64    // quarters of the least round trip; the smoothed one bounds it
#define PROBE_SLACK_US      2000u // our timers and the peer's have a grain
// TLP.max_ack_delay, for a second segment that does not come. Today's systems wait 40 ms; where one
// waits longer, a needless probe costs one segment.
#define PROBE_DELAYED_ACK_US 60000u

// RACK_sent_after: of bytes sent at once, the later ones.
static bool sent_after(uint32_t sent_us, uint32_t end, uint32_t other_us, uint32_t other_end)
{
	return (int32_t)(sent_us - other_us) > 0 ||
	       (sent_us == other_us && seq_after(end, other_end));
}

void rack_delivered(struct flow *flow, const struct run *run, uint32_t bytes, uint64_t now_us,
		    struct scoreboard_news *news)
{
	struct scoreboard *board = flow->scoreboard;
	uint32_t rtt_us = max_u32((uint32_t)now_us - run->sent_us, 1);

	news->delivered += bytes;
	if (!(run->state & RUN_REPEATED)) {
		news->rtt_us = news->rtt_us == 0 ? rtt_us : min_u32(news->rtt_us, rtt_us);
		if (flow->min_rtt_us == 0 || rtt_us < flow->min_rtt_us)
			flow->min_rtt_us = rtt_us;
		// Step 3: bytes sent once arrive behind later ones.
		if (seq_before(run->end, board->fack) && flow->reordering == 0)
			flow->reordering = 1;
	} else if (rtt_us < flow->min_rtt_us) {
		return; // step 2: the answer is to the first sending
	}
	if (seq_after(run->end, board->fack))
		board->fack = run->end;
	if (board->rack_valid &&
	    !sent_after(run->sent_us, run->end, board->rack_sent_us, board->rack_end))
		return;
	board->rack_valid = true;
	board->rack_sent_us = run->sent_us;
	board->rack_end = run->end;
	board->rack_rtt_us = rtt_us;
}

// Step 4. Until reordering was seen three segments' duplicates are proof enough.
static uint32_t reordering_window(const struct flow *flow)
{
	if (flow->reordering == 0 &&
	    ((flow->flags & FLOW_RECOVERY) || seq_before(flow->snd_una, flow->recover) ||
	     flow->scoreboard->held > (DUPLICATES_FOR_LOSS - 1) * (uint32_t)flow->mss))
		return 0;
	uint64_t window_us = (uint64_t)max_u32(flow->reordering, 1) * flow->min_rtt_us / 4;
	uint32_t bound_us = flow->srtt_us > 0 ? flow->srtt_us : flow->min_rtt_us;
	return window_us < bound_us ? (uint32_t)window_us : bound_us;
}

// What the peer got twice was repeated too early.
static void widen(struct flow *flow, const struct scoreboard_news *news)
{
	struct scoreboard *board = flow->scoreboard;

	if (!news->came_twice || seq_before(flow->snd_una, board->reordering_until))
		return;
	board->reordering_until = flow->snd_max;
	if (flow->reordering < REORDERING_MAX)
		flow->reordering++;
}

// How long the run may still be on its way. False when nothing speaks against it.
static bool overtaken(const struct flow *flow, const struct run *run, uint64_t now_us,
		      int32_t *wait_us)
{
	const struct scoreboard *board = flow->scoreboard;

	if (!sent_after(board->rack_sent_us, board->rack_end, run->sent_us, run->end))
		return false;
	*wait_us = (int32_t)(run->sent_us + board->rack_rtt_us + reordering_window(flow) -
			     (uint32_t)now_us);
	return true;
}

bool rack_detect(struct flow *flow, uint64_t now_us)
{
	uint32_t wait_us;

	// Nothing arrived out of order, and no repetition is on its way.
	if (flow->scoreboard->held == 0 && !seq_before(flow->snd_una, flow->recover))
		return false;
	if (!flow->scoreboard->rack_valid)
		return false;
	bool lost = scoreboard_lose_older(flow, overtaken, now_us, &wait_us);
	if (wait_us > 0)
		timer_start_at(flow, TIMER_REORDERING, now_us, now_us + wait_us);
	return lost;
}

// ---- The tail loss probe ---------------------------------------------------------------------

// Section 7.2. Where reports or a recovery tell of losses no probe is needed.
uint64_t rack_probe_us(const struct flow *flow)
{
	const struct scoreboard *board = flow->scoreboard;

	if (board == NULL || board->probe_out || board->held > 0 || flow->srtt_us == 0 ||
	    (flow->flags & FLOW_RECOVERY) || seq_before(flow->snd_una, flow->recover))
		return 0;
	uint64_t wait_us = 2ull * flow->srtt_us + PROBE_SLACK_US;
	if (scoreboard_pipe(flow) <= flow->mss)
		wait_us += PROBE_DELAYED_ACK_US;
	return wait_us < timer_interval_us(flow) ? wait_us : timer_interval_us(flow);
}

void rack_probe(struct flow *flow)
{
	flow->scoreboard->probe_due = true;
}

bool rack_probe_due(struct flow *flow)
{
	bool due = flow->scoreboard != NULL && flow->scoreboard->probe_due;

	if (due)
		flow->scoreboard->probe_due = false;
	return due;
}

void rack_probed(struct flow *flow, bool repeats)
{
	struct scoreboard *board = flow->scoreboard;

	board->probe_out = true;
	board->probe_repeats = repeats;
	board->probe_end = flow->snd_max;
}

// Section 7.4: the probe is answered, and what it repeated did not come twice.
static bool probe_repaired(struct flow *flow, const struct scoreboard_news *news)
{
	struct scoreboard *board = flow->scoreboard;

	if (!board->probe_out || seq_before(flow->snd_una, board->probe_end))
		return false;
	board->probe_out = false;
	return board->probe_repeats && !news->came_twice;
}

bool rack_heard(struct flow *flow, const struct scoreboard_news *news)
{
	widen(flow, news);
	return probe_repaired(flow, news);
}
