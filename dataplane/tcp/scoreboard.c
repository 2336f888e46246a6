// SPDX-License-Identifier: BSD-3-Clause
//
// What the peer says it holds beyond its ACK number (RFC 2018), and what follows from it after
// RFC 6675: which bytes count as lost, how much is in the network, where the next hole begins. The
// ranges are sorted, do not touch, and lie between snd_una and snd_max. They live in a chunk of the
// worker's pool, so a flow without losses pays nothing, and their number is fixed: the work that a
// peer can cause by reporting crumbs is bounded, and what finds no place is merely sent once more.
// Nothing here frees bytes: the peer may discard what it reported (RFC 2018 section 8), so only the
// ACK number does that.
#include "dataplane/tcp/flow.h"

#include <string.h>

#define RANGES_MAX          64
#define DUPLICATES_FOR_LOSS 3 // DupThresh of RFC 6675

struct scoreboard {
	uint32_t count; // never 0
	struct sack_block ranges[RANGES_MAX];
};
_Static_assert(sizeof(struct scoreboard) <= CHUNK_BYTES, "the scoreboard fits into one chunk");

static uint32_t later(uint32_t a, uint32_t b)
{
	return seq_after(a, b) ? a : b;
}

void scoreboard_clear(struct flow *flow, struct pool *pool)
{
	if (flow->scoreboard != NULL)
		pool_put(pool, flow->scoreboard);
	flow->scoreboard = NULL;
}

// ---- Reports ---------------------------------------------------------------------------------

// Below the ACK number it is a report of bytes that came twice (RFC 2883), at it no gap would be
// before it; beyond snd_max it speaks of bytes that were never sent, and believing that would leave
// them unsent.
static bool plausible(const struct flow *flow, const struct sack_block *block)
{
	return seq_before(block->start, block->end) && seq_after(block->start, flow->snd_una) &&
	       !seq_after(block->end, flow->snd_max);
}

// Chunks are for bytes first: the scoreboard comes as little before them as the out-of-order list.
static bool begin(struct flow *flow, struct pool *pool)
{
	if (flow->scoreboard != NULL)
		return true;
	if (pool->free_count <= pool->count / 4)
		return false;
	flow->scoreboard = pool_get(pool);
	flow->scoreboard->count = 0;
	return true;
}

// Puts a block among the ranges, which may join several of them. False when it says nothing new, or
// when there is no place for one range more.
static bool add(struct scoreboard *board, struct sack_block block)
{
	uint32_t first = 0, after;

	while (first < board->count && seq_before(board->ranges[first].end, block.start))
		first++;
	for (after = first; after < board->count; after++) {
		const struct sack_block *range = &board->ranges[after];

		if (seq_after(range->start, block.end))
			break;
		if (!seq_after(range->start, block.start) && !seq_before(range->end, block.end))
			return false;
		if (seq_before(range->start, block.start))
			block.start = range->start;
		block.end = later(block.end, range->end);
	}
	if (first == after && board->count == RANGES_MAX)
		return false;
	memmove(&board->ranges[first + 1], &board->ranges[after],
		(board->count - after) * sizeof(board->ranges[0]));
	board->count = board->count - (after - first) + 1;
	board->ranges[first] = block;
	return true;
}

enum scoreboard_news scoreboard_report(struct flow *flow, struct pool *pool,
				       const struct sack_blocks *blocks)
{
	enum scoreboard_news news = SCOREBOARD_NOTHING;

	for (uint32_t i = 0; i < blocks->count; i++) {
		if (!plausible(flow, &blocks->block[i]))
			continue;
		if (!begin(flow, pool))
			return SCOREBOARD_NO_MEMORY;
		if (add(flow->scoreboard, blocks->block[i]))
			news = SCOREBOARD_NEW;
	}
	return news;
}

bool scoreboard_advance(struct flow *flow, struct pool *pool)
{
	struct scoreboard *board = flow->scoreboard;
	uint32_t gone = 0;

	if (board == NULL)
		return true;
	while (gone < board->count && !seq_after(board->ranges[gone].end, flow->snd_una))
		gone++;
	// An ACK that ends where reported bytes begin, or among them: the peer has discarded them.
	bool kept = gone == board->count || seq_after(board->ranges[gone].start, flow->snd_una);
	if (gone == board->count || !kept) {
		scoreboard_clear(flow, pool);
		return kept;
	}
	board->count -= gone;
	memmove(&board->ranges[0], &board->ranges[gone], board->count * sizeof(board->ranges[0]));
	return true;
}

// ---- What follows ----------------------------------------------------------------------------

uint32_t scoreboard_held_below(const struct flow *flow, uint32_t sequence)
{
	const struct scoreboard *board = flow->scoreboard;
	uint32_t held = 0;

	for (uint32_t i = 0; board != NULL && i < board->count; i++) {
		const struct sack_block *range = &board->ranges[i];

		if (!seq_before(range->start, sequence))
			break;
		held += (seq_before(range->end, sequence) ? range->end : sequence) - range->start;
	}
	return held;
}

// Bytes that are not reported, in [snd_una, sequence).
static uint32_t missing_below(const struct flow *flow, uint32_t sequence)
{
	return sequence - flow->snd_una - scoreboard_held_below(flow, sequence);
}

// IsLost of RFC 6675 for all bytes at once: what is missing below the result counts as lost, for
// three ranges or more than two segments' bytes are held above it.
static uint32_t lost_until(const struct flow *flow)
{
	const struct scoreboard *board = flow->scoreboard;
	uint32_t bytes = 0;

	for (uint32_t i = board != NULL ? board->count : 0; i > 0; i--) {
		const struct sack_block *range = &board->ranges[i - 1];

		bytes += range->end - range->start;
		if (board->count - i + 1 >= DUPLICATES_FOR_LOSS ||
		    bytes > (DUPLICATES_FOR_LOSS - 1) * (uint32_t)flow->mss)
			return range->start;
	}
	return flow->snd_una;
}

bool scoreboard_first_is_lost(const struct flow *flow)
{
	return lost_until(flow) != flow->snd_una;
}

uint32_t scoreboard_pipe(const struct flow *flow)
{
	uint32_t repeated_until = later(flow->high_rxt, flow->snd_una);

	return missing_below(flow, flow->snd_max) - missing_below(flow, lost_until(flow)) +
	       missing_below(flow, repeated_until);
}

struct sack_block scoreboard_hole(const struct flow *flow, uint32_t from)
{
	const struct scoreboard *board = flow->scoreboard;
	struct sack_block hole = {later(from, flow->snd_una), flow->snd_max};

	for (uint32_t i = 0; board != NULL && i < board->count; i++) {
		const struct sack_block *range = &board->ranges[i];

		if (seq_before(hole.start, range->start)) {
			hole.end = range->start;
			break;
		}
		hole.start = later(hole.start, range->end);
	}
	return hole;
}

struct sack_block scoreboard_next_hole(const struct flow *flow, bool lost)
{
	const struct scoreboard *board = flow->scoreboard;
	uint32_t limit = flow->snd_una;

	if (lost)
		limit = lost_until(flow);
	else if (board != NULL)
		limit = board->ranges[board->count - 1].start;
	struct sack_block hole = scoreboard_hole(flow, flow->high_rxt);
	// A hole below the limit ends below it, for the limit is the start of a range.
	return seq_before(hole.start, limit) ? hole : (struct sack_block){limit, limit};
}

struct sack_block scoreboard_last_hole(const struct flow *flow)
{
	const struct scoreboard *board = flow->scoreboard;
	struct sack_block hole = {flow->snd_una, flow->snd_max};

	for (uint32_t i = board != NULL ? board->count : 0; i > 0; i--) {
		const struct sack_block *range = &board->ranges[i - 1];

		if (range->end != hole.end) {
			hole.start = range->end;
			break;
		}
		hole.end = range->start;
	}
	return hole;
}
