// SPDX-License-Identifier: BSD-3-Clause
//
// A message's way to a server that has CHUNKING (RFC 3030). Its bytes are staged in the server's
// leg until there are enough for a chunk, until the client was silent for a while, or until its end
// was seen: BDAT and the octets that it counts are queued together, so that a chunk is never left
// half sent, and an abandoned message costs a RSET and not the connection. What is staged counts as
// queued: both together never exceed SendBuffer. Does not know when a message ends, nor what
// answers mean (exchange.c).

#include "dataplane/pipeline/worker.h"

// The longest BDAT line there may be.
#define LINE_BYTES (sizeof("BDAT 4294967295 LAST\r\n") - 1)
// Octets that make a chunk; less if the send buffer is small. A larger one only waits longer.
#define CHUNK_OCTETS 32768u
// How long a slow client's bytes wait for more of them: the server's own patience runs meanwhile.
#define STAGED_US (10ull * 1000 * 1000)

void chunks_begin(struct pipeline *pipeline, struct server_leg *leg)
{
	assert(leg->staged.length == 0);
	leg->ending = false;
	upstream_chunks(&leg->upstream, pipeline->policy, pipeline->now.now_us);
}

size_t chunks_room(const struct server_leg *leg)
{
	size_t room = tcp_send_room(leg->leg.flow), taken = leg->staged.length + LINE_BYTES;

	return room > taken ? room - taken : 0;
}

bool chunks_stage(struct pipeline *pipeline, struct server_leg *leg, struct slice bytes)
{
	if (leg->staged.length == 0)
		leg->staged_until_us = pipeline->now.now_us + STAGED_US;
	return chunk_queue_append(&leg->staged, &pipeline->chunks, bytes) == bytes.length;
}

void chunks_forget(struct pipeline *pipeline, struct server_leg *leg)
{
	chunk_queue_clear(&leg->staged, &pipeline->chunks);
	leg->ending = false;
}

static bool is_due(const struct pipeline *pipeline, const struct server_leg *leg)
{
	size_t half = pipeline->policy->gate.send_buffer / 2;

	return leg->ending || leg->staged.length >= (half < CHUNK_OCTETS ? half : CHUNK_OCTETS) ||
	       (leg->staged.length > 0 && leg->staged_until_us <= pipeline->now.now_us);
}

// False when buffers ended in it.
static bool queue_staged(struct pipeline *pipeline, struct server_leg *leg)
{
	while (leg->staged.length > 0) {
		struct slice run = chunk_queue_peek(&leg->staged, 0);

		if (tcp_send(pipeline->tcp, leg->leg.flow, run) < run.length)
			return false;
		chunk_queue_drop(&leg->staged, &pipeline->chunks, (uint32_t)run.length);
	}
	return true;
}

void chunks_send(struct pipeline *pipeline, struct server_leg *leg)
{
	if (!is_due(pipeline, leg) || !upstream_chunk_allowed(&leg->upstream, leg->ending))
		return;
	upstream_chunk(&leg->upstream, pipeline->policy, leg->staged.length, leg->ending,
		       pipeline->now.now_us, &pipeline->commands);
	leg->ending = false;
	if (server_leg_queue(pipeline, leg) && queue_staged(pipeline, leg))
		return;
	chunks_forget(pipeline, leg);
	server_leg_give_up(pipeline, leg);
}

uint64_t chunks_deadline(const struct server_leg *leg)
{
	return leg->staged.length > 0 && upstream_chunk_allowed(&leg->upstream, false)
		       ? leg->staged_until_us
		       : UINT64_MAX;
}
