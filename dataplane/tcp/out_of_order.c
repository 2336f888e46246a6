// SPDX-License-Identifier: BSD-3-Clause
//
// Bytes that arrived beyond a gap: sorted runs that do not overlap, each a chunk queue. The list
// itself lives in one chunk of the worker's pool, so a flow without gaps pays nothing, and its size
// bounds the runs that a peer can make us keep. The lists of all flows are linked in the order of
// their making, so that the oldest can be given up when buffers are short. Of bytes that come twice
// the first stay, always: nobody can change text that the application has been promised. None of
// these bytes was acknowledged, so dropping them would only cost time.
#include "dataplane/tcp/flow.h"

#include <assert.h>
#include <string.h>

struct run {
	uint32_t start;
	uint32_t touched;         // list->turn when a segment last concerned it
	struct chunk_queue bytes; // never empty
};

#define RUNS_MAX ((CHUNK_BYTES - 32) / sizeof(struct run)) // 62

struct out_of_order {
	TAILQ_ENTRY(out_of_order) in_gaps;
	struct flow *flow;
	uint32_t count;
	uint32_t turn; // segments put in so far
	struct run runs[RUNS_MAX];
};
_Static_assert(sizeof(struct out_of_order) <= CHUNK_BYTES, "the list fits into one chunk");

static uint32_t run_end(const struct run *run)
{
	return run->start + run->bytes.length;
}

// Bytes in order and bytes to send need chunks more than bytes that wait for others.
static uint32_t reserve_of(const struct pool *pool)
{
	return pool->count / 4;
}

bool out_of_order_first(const struct flow *flow, uint32_t *sequence)
{
	if (flow->out_of_order == NULL)
		return false;
	*sequence = flow->out_of_order->runs[0].start;
	return true;
}

static bool begin_list(struct tcp *tcp, struct flow *flow)
{
	struct pool *pool = tcp->settings.chunks;

	if (flow->out_of_order != NULL)
		return true;
	if (pool->free_count <= reserve_of(pool))
		return false;
	flow->out_of_order = pool_get(pool);
	flow->out_of_order->count = 0;
	flow->out_of_order->turn = 0;
	flow->out_of_order->flow = flow;
	TAILQ_INSERT_TAIL(&tcp->gaps, flow->out_of_order, in_gaps);
	return true;
}

static void end_list(struct tcp *tcp, struct flow *flow)
{
	TAILQ_REMOVE(&tcp->gaps, flow->out_of_order, in_gaps);
	pool_put(tcp->settings.chunks, flow->out_of_order);
	flow->out_of_order = NULL;
}

static void remove_run(struct out_of_order *list, uint32_t index)
{
	list->count--;
	memmove(&list->runs[index], &list->runs[index + 1],
		(list->count - index) * sizeof(list->runs[0]));
}

// Keeps a piece that overlaps no run; index is the first run that begins after it. A piece that
// continues the run before it joins that one.
static enum reason keep_piece(struct out_of_order *list, uint32_t *index, struct pool *pool,
			      uint32_t sequence, struct slice piece)
{
	uint32_t at = *index;

	if (at > 0 && run_end(&list->runs[at - 1]) == sequence) {
		struct chunk_queue *bytes = &list->runs[at - 1].bytes;
		list->runs[at - 1].touched = list->turn;
		return receive_append(bytes, pool, piece, reserve_of(pool)) == piece.length
			       ? REASON_NONE
			       : REASON_tcp_no_buffer;
	}
	if (list->count == RUNS_MAX)
		return REASON_tcp_out_of_order_full;

	struct run run = {.start = sequence, .touched = list->turn};
	chunk_queue_init(&run.bytes);
	size_t kept = receive_append(&run.bytes, pool, piece, reserve_of(pool));
	if (kept == 0)
		return REASON_tcp_no_buffer;
	memmove(&list->runs[at + 1], &list->runs[at], (list->count - at) * sizeof(list->runs[0]));
	list->runs[at] = run;
	list->count++;
	(*index)++;
	return kept == piece.length ? REASON_NONE : REASON_tcp_no_buffer;
}

// First run that ends after sequence, found by halving: runs are sorted.
static uint32_t first_after(const struct out_of_order *list, uint32_t sequence)
{
	uint32_t low = 0, high = list->count;

	while (low < high) {
		uint32_t middle = (low + high) / 2;
		if (seq_after(run_end(&list->runs[middle]), sequence))
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

enum reason out_of_order_insert(struct tcp *tcp, struct flow *flow, uint32_t sequence,
				struct slice bytes)
{
	if (!begin_list(tcp, flow))
		return REASON_tcp_no_buffer;

	struct out_of_order *list = flow->out_of_order;
	uint32_t index = first_after(list, sequence);
	enum reason reason = REASON_NONE;

	list->turn++;
	while (bytes.length > 0 && reason == REASON_NONE) {
		size_t step = bytes.length;
		if (index < list->count) {
			struct run *next = &list->runs[index];
			if (!seq_before(sequence, next->start)) { // held already: skip it
				uint32_t held = run_end(next) - sequence;
				next->touched = list->turn;
				bytes = slice_from(bytes, held);
				sequence += held;
				index++;
				continue;
			}
			step = min_u32(next->start - sequence, (uint32_t)bytes.length);
		}
		reason = keep_piece(list, &index, tcp->settings.chunks, sequence,
				    slice_first(bytes, step));
		bytes = slice_from(bytes, step);
		sequence += (uint32_t)step;
	}
	if (list->count == 0)
		end_list(tcp, flow);
	return reason;
}

// Runs that touch are one block to the peer. Fills the block that begins with run `at` and how many
// segments ago it was last concerned; returns the first run after it.
static uint32_t block_at(const struct out_of_order *list, uint32_t at, struct sack_block *block,
			 uint32_t *age)
{
	*block = (struct sack_block){list->runs[at].start, list->runs[at].start};
	*age = UINT32_MAX;
	do {
		block->end = run_end(&list->runs[at]);
		*age = min_u32(*age, list->turn - list->runs[at].touched);
		at++;
	} while (at < list->count && list->runs[at].start == block->end);
	return at;
}

uint32_t out_of_order_blocks(const struct flow *flow, struct sack_block *blocks, uint32_t max)
{
	const struct out_of_order *list = flow->out_of_order;
	uint32_t ages[SACK_BLOCKS_MAX];
	uint32_t count = 0;

	assert(max <= SACK_BLOCKS_MAX);
	if (list == NULL || max == 0)
		return 0;
	for (uint32_t at = 0; at < list->count;) {
		struct sack_block block;
		uint32_t age;

		at = block_at(list, at, &block, &age);
		// Held, but in order: chunks ran out while it was absorbed. No gap before it.
		if (block.start == flow->rcv_nxt)
			continue;
		if (count == max && age >= ages[max - 1])
			continue;
		uint32_t place = count < max ? count++ : max - 1;
		for (; place > 0 && age < ages[place - 1]; place--) {
			ages[place] = ages[place - 1];
			blocks[place] = blocks[place - 1];
		}
		ages[place] = age;
		blocks[place] = block;
	}
	return count;
}

// Moves bytes of the first run to the end of unread. False when chunks ran out: the rest waits.
static bool move_run(struct flow *flow, struct pool *pool, struct run *run)
{
	while (run->bytes.length > 0) {
		struct slice bytes = chunk_queue_peek(&run->bytes, 0);
		uint32_t moved = (uint32_t)chunk_queue_append(&flow->unread, pool, bytes);

		chunk_queue_drop(&run->bytes, pool, moved);
		run->start += moved;
		flow->rcv_nxt += moved;
		if (moved < bytes.length)
			return false;
	}
	return true;
}

void out_of_order_absorb(struct tcp *tcp, struct flow *flow)
{
	struct out_of_order *list = flow->out_of_order;

	if (list == NULL)
		return;
	while (list->count > 0 && list->runs[0].start == flow->rcv_nxt) {
		struct run *run = &list->runs[0];

		if (flow->unread.length == 0) { // the chunks change hands, nothing is copied
			flow->unread = run->bytes;
			flow->rcv_nxt += run->bytes.length;
		} else if (!move_run(flow, tcp->settings.chunks, run)) {
			break;
		}
		remove_run(list, 0);
	}
	if (list->count == 0)
		end_list(tcp, flow);
}

void out_of_order_clear(struct tcp *tcp, struct flow *flow)
{
	struct out_of_order *list = flow->out_of_order;

	if (list == NULL)
		return;
	for (uint32_t i = 0; i < list->count; i++)
		chunk_queue_clear(&list->runs[i].bytes, tcp->settings.chunks);
	end_list(tcp, flow);
}

bool tcp_drop_out_of_order(struct tcp *tcp)
{
	struct out_of_order *oldest = TAILQ_FIRST(&tcp->gaps);

	if (oldest == NULL)
		return false;
	out_of_order_clear(tcp, oldest->flow);
	return true;
}
