// SPDX-License-Identifier: BSD-3-Clause
//
// The runs of bytes in flight and what is known of each: when it went out, whether the peer
// reported it (RFC 2018), whether it counts as lost. Their number is fixed: the work that a peer
// can cause by reporting crumbs is bounded, and what finds no place is merely sent once more. A
// flow without a scoreboard (its peer has no SACK, one segment in flight, buffers short) recovers
// by duplicates and time-outs alone. Nothing here frees bytes: the peer may discard what it
// reported (RFC 2018 section 8), so only the ACK number does that. What follows from the times is
// rack.c's.
#include "dataplane/tcp/scoreboard.h"

#include <stddef.h>
#include <string.h>

#define SAME_TIME_SHIFT 6 // segments sent within 1/64 of a round trip count as sent together

void scoreboard_clear(struct flow *flow, struct pool *pool)
{
	if (flow->scoreboard != NULL)
		pool_put(pool, flow->scoreboard);
	flow->scoreboard = NULL;
}

// ---- Runs ------------------------------------------------------------------------------------

static uint32_t run_start(const struct scoreboard *board, uint32_t index)
{
	return index == board->first ? board->start : board->runs[index - 1].end;
}

static uint32_t run_bytes(const struct scoreboard *board, uint32_t index)
{
	return board->runs[index].end - run_start(board, index);
}

static void set_state(struct scoreboard *board, uint32_t index, uint8_t state)
{
	struct run *run = &board->runs[index];
	uint32_t bytes = run_bytes(board, index);

	board->held += (state & RUN_HELD ? bytes : 0) - (run->state & RUN_HELD ? bytes : 0);
	board->lost += (state & RUN_LOST ? bytes : 0) - (run->state & RUN_LOST ? bytes : 0);
	run->state = state;
}

// Joins neighbours that differ in their times at most, which then count as sent when the later one
// was, and that is no measure of a round trip any more.
static void join_neighbours(struct scoreboard *board)
{
	uint32_t to = 0;

	for (uint32_t i = board->first; i < board->end; i++) {
		struct run run = board->runs[i];
		struct run *last = to > 0 ? &board->runs[to - 1] : NULL;

		if (last == NULL || ((last->state ^ run.state) & (RUN_HELD | RUN_LOST))) {
			board->runs[to++] = run;
			continue;
		}
		last->end = run.end;
		last->state |= run.state | RUN_REPEATED;
		if ((int32_t)(run.sent_us - last->sent_us) > 0)
			last->sent_us = run.sent_us;
	}
	board->first = 0;
	board->end = (uint16_t)to;
}

// What is held needs no times: one run for all of it, up to the end of run index + 1.
static void join_held(struct scoreboard *board, uint32_t index)
{
	struct run *run = &board->runs[index];

	if (index < board->first || index + 1 >= board->end || !(run->state & RUN_HELD) ||
	    !(run[1].state & RUN_HELD))
		return;
	memmove(run, run + 1, (board->end - index - 1) * sizeof(*run));
	board->end--;
}

// Room for `wanted` runs more behind the last one. False when there is none.
static bool make_room(struct scoreboard *board, uint32_t wanted)
{
	if (board->end + wanted <= SCOREBOARD_RUNS)
		return true;
	if (board->first >= SCOREBOARD_RUNS / 4) {
		memmove(board->runs, board->runs + board->first,
			(board->end - board->first) * sizeof(board->runs[0]));
		board->end -= board->first;
		board->first = 0;
		return true;
	}
	join_neighbours(board);
	return board->end + wanted <= SCOREBOARD_RUNS;
}

// Makes a run begin at a byte inside of run `index`: it becomes run index + 1. There is room.
static void split(struct scoreboard *board, uint32_t index, uint32_t at)
{
	memmove(&board->runs[index + 1], &board->runs[index],
		(board->end - index) * sizeof(board->runs[0]));
	board->end++;
	board->runs[index].end = at;
}

// ---- Sending ---------------------------------------------------------------------------------

// Chunks are for bytes first: the scoreboard comes as little before them as the out-of-order list.
// Inside of a recovery without one that recovery goes on.
static struct scoreboard *begin(struct flow *flow, struct pool *pool, uint32_t from,
				uint64_t now_us)
{
	if (!(flow->flags & FLOW_SACK) || (flow->flags & FLOW_RECOVERY) || from != flow->snd_max ||
	    pool->free_count <= pool->count / 4)
		return NULL;
	struct scoreboard *board = pool_get(pool);
	memset(board, 0, offsetof(struct scoreboard, runs));
	board->start = board->fack = board->reordering_until = flow->snd_una;
	board->round_start_us = (uint32_t)now_us;
	// What may be in flight already: nobody knows since when.
	if (from != flow->snd_una)
		board->runs[board->end++] = (struct run){from, (uint32_t)now_us, RUN_REPEATED};
	flow->scoreboard = board;
	return board;
}

void scoreboard_sent(struct flow *flow, struct pool *pool, uint32_t end, uint64_t now_us)
{
	struct scoreboard *board = flow->scoreboard;
	uint32_t now = (uint32_t)now_us;

	if (board == NULL)
		board = begin(flow, pool, flow->snd_nxt, now_us);
	if (board == NULL)
		return;
	struct run *last = board->end > board->first ? &board->runs[board->end - 1] : NULL;
	if (last != NULL && last->state == 0 &&
	    now - last->sent_us <= flow->srtt_us >> SAME_TIME_SHIFT) {
		last->end = end;
		return;
	}
	if (!make_room(board, 1)) { // full of crumbs: one of them is forgotten
		set_state(board, board->end - 1u, 0);
		board->end--;
	}
	board->runs[board->end++] = (struct run){end, now, 0};
}

struct sack_block scoreboard_lost(const struct flow *flow)
{
	const struct scoreboard *board = flow->scoreboard;

	if (board == NULL || board->lost == 0)
		return (struct sack_block){0};
	uint32_t i = board->first;
	while (!(board->runs[i].state & RUN_LOST))
		i++;
	struct sack_block lost = {run_start(board, i), board->runs[i].end};
	// However it was sent the first time, now it may be cut anew.
	while (++i < board->end && (board->runs[i].state & RUN_LOST))
		lost.end = board->runs[i].end;
	return lost;
}

struct sack_block scoreboard_last(const struct flow *flow)
{
	const struct scoreboard *board = flow->scoreboard;
	uint32_t last = board->end - 1u;

	if (board->runs[last].state & RUN_HELD)
		return (struct sack_block){0};
	return (struct sack_block){run_start(board, last), board->runs[last].end};
}

void scoreboard_repeated(struct flow *flow, uint32_t start, uint32_t end, uint64_t now_us)
{
	struct scoreboard *board = flow->scoreboard;

	make_room(board, 2);
	for (uint32_t i = board->first; i < board->end; i++) {
		uint32_t from = run_start(board, i);

		if (!seq_after(board->runs[i].end, start))
			continue;
		if (!seq_before(from, end))
			return;
		if (seq_before(from, start) && board->end < SCOREBOARD_RUNS) {
			split(board, i, start);
			continue;
		}
		// Without room for the pieces the whole run counts as sent again.
		if (seq_after(board->runs[i].end, end) && board->end < SCOREBOARD_RUNS)
			split(board, i, end);
		if (board->runs[i].state & RUN_HELD)
			continue;
		set_state(board, i, RUN_REPEATED);
		board->runs[i].sent_us = (uint32_t)now_us;
	}
}

uint32_t scoreboard_pipe(const struct flow *flow)
{
	const struct scoreboard *board = flow->scoreboard;

	return board->runs[board->end - 1].end - board->start - board->held - board->lost;
}

// ---- What the peer says ----------------------------------------------------------------------

// Below the ACK number it is a report of bytes that came twice (RFC 2883), at it no gap would be
// before it; beyond what was sent it speaks of bytes that never were, and believing that would
// leave them unsent.
static bool plausible(const struct flow *flow, const struct sack_block *block)
{
	const struct scoreboard *board = flow->scoreboard;

	return seq_before(block->start, block->end) && seq_after(block->start, flow->snd_una) &&
	       !seq_after(block->end, board->runs[board->end - 1].end);
}

// RFC 2883 section 4: the first block lies below the ACK number, or inside of the second one.
static bool tells_repetition(const struct flow *flow, const struct sack_blocks *blocks)
{
	const struct sack_block *block = blocks->block;

	if (blocks->count == 0 || !seq_before(block[0].start, block[0].end))
		return false;
	if (!seq_after(block[0].end, flow->snd_una))
		return !seq_before(block[0].start, flow->snd_una - flow->snd_wnd_max);
	return blocks->count > 1 && !seq_before(block[0].start, block[1].start) &&
	       !seq_after(block[0].end, block[1].end);
}

// Marks what the block newly reports. Stops where there is no room for the pieces.
static void hold(struct flow *flow, const struct sack_block *block, uint64_t now_us,
		 struct scoreboard_news *news)
{
	struct scoreboard *board = flow->scoreboard;

	for (uint32_t i = board->first; i < board->end; i++) {
		uint32_t from = run_start(board, i);

		if (!seq_before(from, block->end))
			return;
		if (!seq_after(board->runs[i].end, block->start) ||
		    (board->runs[i].state & RUN_HELD))
			continue;
		if (seq_before(from, block->start)) {
			if (board->end == SCOREBOARD_RUNS)
				return;
			split(board, i, block->start);
			continue;
		}
		if (seq_after(board->runs[i].end, block->end)) {
			if (board->end == SCOREBOARD_RUNS)
				return;
			split(board, i, block->end);
		}
		rack_delivered(flow, &board->runs[i], run_bytes(board, i), now_us, news);
		news->reported = true;
		set_state(board, i, RUN_HELD);
		join_held(board, i);
		if (i > board->first && (board->runs[i - 1].state & RUN_HELD))
			join_held(board, --i);
	}
}

void scoreboard_report(struct flow *flow, const struct sack_blocks *blocks, uint64_t now_us,
		       struct scoreboard_news *news)
{
	news->came_twice = tells_repetition(flow, blocks);
	for (uint32_t i = news->came_twice; i < blocks->count; i++) {
		if (!plausible(flow, &blocks->block[i]))
			continue;
		make_room(flow->scoreboard, 2);
		hold(flow, &blocks->block[i], now_us, news);
	}
}

// The peer holds nothing of what it reported.
static void forget_reports(struct scoreboard *board)
{
	for (uint32_t i = board->first; i < board->end; i++) {
		if (board->runs[i].state & RUN_HELD)
			set_state(board, i, RUN_LOST);
	}
}

void scoreboard_acknowledged(struct flow *flow, uint64_t now_us, struct scoreboard_news *news)
{
	struct scoreboard *board = flow->scoreboard;

	while (board->first < board->end && seq_after(flow->snd_una, board->start)) {
		struct run *run = &board->runs[board->first];
		uint32_t end = seq_after(run->end, flow->snd_una) ? flow->snd_una : run->end;
		uint32_t bytes = end - board->start;
		struct run piece = {end, run->sent_us, run->state};

		if (run->state & RUN_HELD)
			board->held -= bytes;
		else
			rack_delivered(flow, &piece, bytes, now_us, news);
		if (run->state & RUN_LOST)
			board->lost -= bytes;
		board->start = end;
		if (end == run->end)
			board->first++;
	}
	// An ACK that ends where reported bytes begin, or among them: the peer has discarded them.
	if (board->first < board->end && (board->runs[board->first].state & RUN_HELD)) {
		forget_reports(board);
		flow->flags |= FLOW_RETRANSMIT;
	}
}

void scoreboard_settle(struct flow *flow, struct pool *pool)
{
	if (flow->scoreboard->first == flow->scoreboard->end)
		scoreboard_clear(flow, pool);
}

void scoreboard_lose_all(struct flow *flow, bool reported_too)
{
	struct scoreboard *board = flow->scoreboard;

	for (uint32_t i = board->first; i < board->end; i++) {
		if (reported_too || !(board->runs[i].state & RUN_HELD))
			set_state(board, i, RUN_LOST);
	}
}

bool scoreboard_lose_older(struct flow *flow, scoreboard_judge *judge, uint64_t now_us,
			   uint32_t *wait_us)
{
	struct scoreboard *board = flow->scoreboard;
	uint32_t lost = board->lost;

	*wait_us = 0;
	for (uint32_t i = board->first; i < board->end; i++) {
		const struct run *run = &board->runs[i];
		int32_t wait;

		if ((run->state & (RUN_HELD | RUN_LOST)) || !judge(flow, run, now_us, &wait))
			continue;
		if (wait <= 0)
			set_state(board, i, RUN_LOST);
		else
			*wait_us = max_u32(*wait_us, (uint32_t)wait);
	}
	board->recovery_lost += board->lost - lost;
	return board->lost > lost;
}
