// SPDX-License-Identifier: BSD-3-Clause
//
// libFuzzer: segments into one flow of each role, through tcp.h alone, between an application that
// reads, writes and closes, and time. Segments are relative to where the flow stands. Their bytes
// are a function of their sequence numbers, and so are the application's, so that whatever comes
// out on either side can be judged. What a peer relies on is asserted of each segment
// (flow_output.c); at the end the peer becomes a good one, or falls silent, and the flow must come
// to its end.
//
// runs: 6000
#include "tests/fuzz/flow_lab.h"

#include <assert.h>

enum kind {
	SEGMENT,
	READ,
	WRITE,
	CLOSE,
	TIME,
	DEADLINE,
	PATH_MTU,
	EXHAUST,
	REPLENISH,
	OPEN,
	ABORT,
	ACKNOWLEDGE, // all that was sent, with an open window
	KINDS
};

static const uint8_t kinds[] = {SEGMENT, SEGMENT,  SEGMENT,     SEGMENT,    SEGMENT, SEGMENT,
				READ,    READ,     WRITE,       WRITE,      WRITE,   CLOSE,
				TIME,    DEADLINE, DEADLINE,    PATH_MTU,   EXHAUST, REPLENISH,
				OPEN,    ABORT,    ACKNOWLEDGE, ACKNOWLEDGE};
static const char *const texts[] = {
	"\x02\x04\x05\xb4", "\x03\x03\x0e", "\x04\x02", "\x08\x0a\x01\x01\x01\x01\x01\x01\x01\x01",
	"\x05\x0a",         "\x05\x12",     "\x05\x22", "\x01\x01",
	"\xfe\x02",         "\x13\x12",
};
const struct operation_grammar operation_grammar = {
	.kinds = kinds,
	.kind_count = sizeof(kinds),
	.texts = texts,
	.text_count = sizeof(texts) / sizeof(texts[0]),
};

static void run(struct lab *lab, const struct operation *operation)
{
	switch (operation->kind % KINDS) {
	case SEGMENT:
		lab_segment(lab, operation);
		break;
	case READ:
		lab_read(lab, operation->size ? operation->size : UINT32_MAX);
		break;
	case WRITE:
		lab_write(lab, operation->size);
		break;
	case CLOSE:
		lab_shut(lab);
		break;
	case TIME:
		lab->now += operation->choice & 1 ? operation->size * 1000ull : operation->size;
		lab_fire(lab);
		break;
	case DEADLINE:
		lab_next_deadline(lab);
		break;
	case PATH_MTU:
		lab_path_mtu(lab, operation);
		break;
	case EXHAUST:
		lab_exhaust(lab, operation->choice % 16);
		break;
	case REPLENISH:
		lab_replenish(lab);
		break;
	case OPEN:
		if (!lab->flow)
			lab_open_flow(lab);
		break;
	case ABORT:
		lab_abort(lab);
		break;
	case ACKNOWLEDGE:
		lab_acknowledge(lab);
		break;
	}
	lab_check(lab);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cursor cursor = cursor_of(slice_of(data, size));
	struct slice configuration = cursor_take(&cursor, OPERATION_CONFIGURATION);
	struct operation operation;

	if (cursor.failed)
		return 0;
	struct lab *lab = lab_new(configuration.data);
	for (unsigned count = 0; count < 200 && operation_next(&cursor, &operation); count++)
		run(lab, &operation);
	lab_finish(lab);
	lab_free(lab);
	return 0;
}
