// SPDX-License-Identifier: BSD-3-Clause
//
// Frames for those who watch from outside (bpf/capture.h): while somebody asks, each received frame
// that the filter takes is copied into the worker's ring with what became of it, each sent one when
// it leaves. The filter is classic BPF, checked before it runs on a copy of our own. Never waits,
// and never knows whether anybody reads. Received frames are written when their burst is done, so
// answers stand before them: all of a burst have one time, and readers put them in order.

#include "dataplane/pipeline/worker.h"

#include <sys/types.h> // before the next one, which needs it

#include <pcap/bpf.h>

_Static_assert(sizeof(struct capture_instruction) == sizeof(struct bpf_insn), "the same bytes");

void capture_init(struct pipeline *pipeline)
{
	pipeline->capture.sequence = pipeline->counters.captured_sequence;
}

static const struct bpf_insn *program_of(const struct capture_order *order)
{
	return (const struct bpf_insn *)order->program;
}

// The instructions that bpf_filter knows; at any other it ends the process, and bpf_validate lets
// some of those pass.
#define BOTH(code)  [(code) | BPF_K] = true, [(code) | BPF_X] = true
#define SIZES(code) [(code) | BPF_W] = true, [(code) | BPF_H] = true, [(code) | BPF_B] = true
static const bool known_codes[UINT8_MAX + 1] = {
	SIZES(BPF_LD | BPF_ABS),
	SIZES(BPF_LD | BPF_IND),
	[BPF_LD | BPF_W | BPF_LEN] = true,
	[BPF_LD | BPF_IMM] = true,
	[BPF_LD | BPF_MEM] = true,
	[BPF_LDX | BPF_W | BPF_LEN] = true,
	[BPF_LDX | BPF_B | BPF_MSH] = true,
	[BPF_LDX | BPF_IMM] = true,
	[BPF_LDX | BPF_MEM] = true,
	[BPF_ST] = true,
	[BPF_STX] = true,
	[BPF_JMP | BPF_JA] = true,
	BOTH(BPF_JMP | BPF_JGT),
	BOTH(BPF_JMP | BPF_JGE),
	BOTH(BPF_JMP | BPF_JEQ),
	BOTH(BPF_JMP | BPF_JSET),
	BOTH(BPF_ALU | BPF_ADD),
	BOTH(BPF_ALU | BPF_SUB),
	BOTH(BPF_ALU | BPF_MUL),
	BOTH(BPF_ALU | BPF_DIV),
	BOTH(BPF_ALU | BPF_MOD),
	BOTH(BPF_ALU | BPF_AND),
	BOTH(BPF_ALU | BPF_OR),
	BOTH(BPF_ALU | BPF_XOR),
	BOTH(BPF_ALU | BPF_LSH),
	BOTH(BPF_ALU | BPF_RSH),
	[BPF_ALU | BPF_NEG] = true,
	[BPF_RET | BPF_K] = true,
	[BPF_RET | BPF_A] = true,
	[BPF_MISC | BPF_TAX] = true,
	[BPF_MISC | BPF_TXA] = true,
};

static bool is_sound(const struct capture_order *order)
{
	if (order->program_length > CAPTURE_PROGRAM_MAX)
		return false;
	for (unsigned i = 0; i < order->program_length; i++)
		if (order->program[i].code > UINT8_MAX || !known_codes[order->program[i].code])
			return false;
	return order->program_length == 0 ||
	       bpf_validate(program_of(order), (int)order->program_length);
}

// What another process wrote is only used when it is sound. False: it is being written.
static bool copy_order(struct capture *capture, const struct capture_order *from, uint64_t serial)
{
	struct capture_order *order = &capture->order;

	memcpy(order, from, sizeof(*order));
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	if (__atomic_load_n(&from->serial, __ATOMIC_RELAXED) != serial)
		return false;
	order->serial = serial;
	if (order->snap > CAPTURE_DATA_BYTES)
		order->snap = CAPTURE_DATA_BYTES;
	if (!is_sound(order)) // nothing is captured
		order->snap = 0;
	return true;
}

void capture_look(struct pipeline *pipeline)
{
	const struct capture_order *order = pipeline->counters.capture;
	struct capture *capture = &pipeline->capture;
	uint64_t serial;

	if (!order)
		return;
	serial = __atomic_load_n(&order->serial, __ATOMIC_ACQUIRE);
	// 0: nothing was ordered, or it is being written
	if (serial && serial != capture->order.serial && !copy_order(capture, order, serial))
		return;
	capture->on = serial && capture->order.snap &&
		      __atomic_load_n(&order->lease_us, __ATOMIC_RELAXED) > pipeline->now.now_us;
}

static const char *name_of(const struct connector_counters *connector)
{
	static const char none[COUNTERS_NAME_BYTES];

	return connector ? connector->name : none;
}

static bool wanted(const struct pipeline *pipeline, struct slice frame, enum reason reason,
		   const struct connector_counters *connector)
{
	const struct capture_order *order = &pipeline->capture.order;

	if ((order->reason && order->reason != reason) || (order->dropped && !reason))
		return false;
	if (order->connector[0] &&
	    memcmp(order->connector, name_of(connector), COUNTERS_NAME_BYTES) != 0)
		return false;
	return order->program_length == 0 ||
	       bpf_filter(program_of(order), frame.data, (u_int)frame.length,
			  (u_int)frame.length) != 0;
}

struct fate {
	uint16_t port;
	const struct connector_counters *connector; // NULL = none
	uint16_t reason;
	bool sent;
};

static void write_record(struct pipeline *pipeline, const struct fate *fate, struct slice frame)
{
	struct capture *capture = &pipeline->capture;
	uint64_t sequence = ++capture->sequence;
	struct capture_record *record = &pipeline->counters.captured[sequence % CAPTURE_RECORDS];
	size_t kept = frame.length < capture->order.snap ? frame.length : capture->order.snap;

	// A reader that sees 0, or a sequence that changed under it, discards the record.
	__atomic_store_n(&record->sequence, 0, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_RELEASE);
	record->wall_us = pipeline->now.wall_us;
	record->serial = (uint32_t)capture->order.serial;
	record->length = (uint32_t)frame.length;
	record->captured = (uint16_t)kept;
	record->reason = fate->reason;
	record->port = fate->port;
	record->sent = fate->sent;
	memcpy(record->port_name, pipeline->counters.ports[fate->port]->name, COUNTERS_NAME_BYTES);
	memcpy(record->connector, name_of(fate->connector), COUNTERS_NAME_BYTES);
	if (kept)
		memcpy(record->data, frame.data, kept);
	__atomic_store_n(&record->sequence, sequence, __ATOMIC_RELEASE);
}

static void capture(struct pipeline *pipeline, const struct fate *fate, struct slice frame)
{
	if (wanted(pipeline, frame, (enum reason)fate->reason, fate->connector))
		write_record(pipeline, fate, frame);
}

void capture_received(struct pipeline *pipeline, uint16_t port, struct slice frame,
		      enum reason reason, const struct connector_counters *connector)
{
	capture(pipeline,
		&(struct fate){.port = port, .connector = connector, .reason = (uint16_t)reason},
		frame);
}

void capture_sent(struct pipeline *pipeline, uint16_t port, struct slice frame)
{
	capture(pipeline,
		&(struct fate){
			.port = port, .connector = pipeline->capture.connector, .sent = true},
		frame);
}
