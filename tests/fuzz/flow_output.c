// SPDX-License-Identifier: BSD-3-Clause
//
// What a peer relies on, asserted of every segment that a flow sends: the bytes are the
// application's, nothing beyond the peer's window but a probe's byte, neither the ACK number nor
// the window's right edge ever moves back, and the flow comes to an end of its output.
#include "tests/fuzz/flow_lab.h"

#include <assert.h>

#define SEGMENTS_MAX 4000 // in a row: more than any send queue has in smallest segments

void lab_note_offer(struct lab *lab, const struct view *view)
{
	uint32_t scale = view->flags & TCP_SYN ? 0 : lab->flow->send_scale;
	uint32_t edge = view->acknowledgment + ((uint32_t)view->window << scale);

	if (!(view->flags & TCP_ACK) || !lab->sent_any ||
	    seq_after(view->acknowledgment, lab->sent_end) ||
	    seq_before(view->acknowledgment, lab->first_sent))
		return;
	if (seq_after(edge, lab->peer_edge))
		lab->peer_edge = edge;
}

static void judge_payload(const struct lab *lab, const struct segment *segment)
{
	uint8_t bytes[UINT16_MAX];
	uint32_t offset = segment->sequence - lab->first_sent - 1;

	assert(segment->payload_length + segment->options_length <= lab->our_mss);
	assert(segment->payload_length + segment->options_length <= lab->peer_mss);
	assert(offset <= lab->written && segment->payload_length <= lab->written - offset);
	// A probe is one byte beyond the edge.
	assert(!seq_after(segment->sequence + segment->payload_length, lab->peer_edge + 1));
	chunk_queue_copy(segment->payload, segment->payload_offset, bytes, segment->payload_length);
	for (uint32_t i = 0; i < segment->payload_length; i++)
		assert(bytes[i] == our_byte(offset + i));
}

static void judge_blocks(const struct lab *lab, const struct segment *segment)
{
	struct sack_blocks blocks;

	options_parse_sack(slice_of(segment->options, segment->options_length), &blocks);
	assert(blocks.count == 0 || (lab->flow->flags & FLOW_SACK));
	for (unsigned i = 0; i < blocks.count; i++) {
		const struct sack_block *block = &blocks.block[i];

		assert(seq_before(block->start, block->end));
		// The first may be a report of what came twice.
		if (i == 0 && !seq_after(block->end, segment->acknowledgment))
			continue;
		assert(seq_after(block->start, segment->acknowledgment));
		assert(!seq_after(block->end, lab->flow->rcv_adv));
	}
}

static void judge_acknowledgment(struct lab *lab, const struct segment *segment)
{
	uint8_t scale = segment->flags & TCP_SYN ? 0 : lab->flow->receive_scale;
	uint32_t edge = segment->acknowledgment + ((uint32_t)segment->window << scale);

	if (lab->told_any) {
		assert(!seq_before(segment->acknowledgment, lab->told_ack));
		// A SYN-ACK that is repeated cannot say more than 65,535.
		if (!(segment->flags & TCP_SYN))
			assert((int32_t)(edge - lab->told_edge) > -(1 << scale));
	}
	if (!lab->told_any || seq_after(edge, lab->told_edge))
		lab->told_edge = edge;
	lab->told_ack = segment->acknowledgment;
	lab->told_any = true;
	judge_blocks(lab, segment);
}

static void judge(struct lab *lab, const struct segment *segment)
{
	struct tcp_options options;
	uint32_t end = segment->sequence + segment->payload_length + !!(segment->flags & TCP_SYN) +
		       !!(segment->flags & TCP_FIN);

	assert(options_parse(slice_of(segment->options, segment->options_length),
			     segment->flags & TCP_SYN, &options));
	assert(segment->options_length % 4 == 0 && segment->options_length <= 40);
	if (segment->flags & TCP_RST)
		return;
	if (!lab->sent_any) {
		lab->first_sent = segment->sequence;
		lab->sent_end = lab->peer_edge = segment->sequence + 1;
		lab->sent_any = true;
	}
	assert(!seq_after(segment->sequence, lab->sent_end)); // without holes
	assert(!seq_before(segment->sequence, lab->first_sent));
	if (segment->payload_length)
		judge_payload(lab, segment);
	if (segment->flags & TCP_FIN)
		assert(lab->closed && end == lab->first_sent + 1 + lab->written + 1);
	if (seq_after(end, lab->sent_end))
		lab->sent_end = end;
	if (segment->flags & TCP_ACK)
		judge_acknowledgment(lab, segment);
}

void lab_output(struct lab *lab)
{
	struct segment segment;

	for (unsigned count = 0; tcp_output(lab->tcp, lab->flow, lab->now, &segment); count++) {
		assert(count < SEGMENTS_MAX);
		judge(lab, &segment);
	}
}
