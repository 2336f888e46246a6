// SPDX-License-Identifier: BSD-3-Clause
//
// The imaginary wire as a binary heap of arrival times.

#include "tests/sim/wire.h"

#include "tests/sim/literal.h"

#include <stdlib.h>

void wire_init(struct wire *wire, struct dice dice)
{
	*wire = (struct wire){.dice = dice};
}

void wire_fini(struct wire *wire)
{
	for (size_t i = 0; i < wire->count; i++)
		free(wire->heap[i].bytes);
	free(wire->heap);
}

static bool earlier(const struct flying *a, const struct flying *b)
{
	return a->arrival_us != b->arrival_us ? a->arrival_us < b->arrival_us : a->order < b->order;
}

static void push(struct wire *wire, struct flying flying)
{
	size_t at = wire->count++;

	if (wire->count > wire->room) {
		wire->room = wire->room ? 2 * wire->room : 64;
		wire->heap = realloc(wire->heap, wire->room * sizeof(*wire->heap));
	}
	while (at > 0 && earlier(&flying, &wire->heap[(at - 1) / 2])) {
		wire->heap[at] = wire->heap[(at - 1) / 2];
		at = (at - 1) / 2;
	}
	wire->heap[at] = flying;
}

static struct flying pop(struct wire *wire)
{
	struct flying first = wire->heap[0];
	struct flying last = wire->heap[--wire->count];
	size_t at = 0, child;

	while ((child = 2 * at + 1) < wire->count) {
		if (child + 1 < wire->count && earlier(&wire->heap[child + 1], &wire->heap[child]))
			child++;
		if (!earlier(&wire->heap[child], &last))
			break;
		wire->heap[at] = wire->heap[child];
		at = child;
	}
	if (wire->count)
		wire->heap[at] = last;
	return first;
}

static bool resolves(struct slice frame)
{
	return !literal_is_tcp(frame.data, frame.length);
}

static void launch(struct wire *wire, enum station to, struct slice frame, uint64_t now_us)
{
	const struct weather *weather = &wire->weather[to];
	struct flying flying = {.to = to, .order = wire->order++, .length = frame.length};
	uint32_t delay = weather->change_us && now_us >= weather->change_us
				 ? weather->later_delay_us
				 : weather->delay_us;

	flying.arrival_us = now_us + delay;
	if (weather->jitter_us)
		flying.arrival_us += dice_below(&wire->dice, weather->jitter_us);
	if (dice_permille(&wire->dice, weather->reorder_permille))
		flying.arrival_us += dice_below(&wire->dice, 4 * delay + 1000);
	flying.bytes = malloc(frame.length);
	memcpy(flying.bytes, frame.data, frame.length);
	if (dice_permille(&wire->dice, weather->corrupt_permille) &&
	    !(weather->spares_resolution && resolves(frame))) {
		flying.bytes[dice_below(&wire->dice, (uint32_t)frame.length)] ^=
			(uint8_t)(1u << dice_below(&wire->dice, 8));
		wire->corrupted++;
	}
	push(wire, flying);
}

#define LOSS_IN_BURST_PERMILLE 800

static bool swallows(struct wire *wire, struct weather *weather, struct slice frame,
		     uint64_t now_us)
{
	if (now_us >= weather->dark_us && now_us < weather->dark_until)
		return true;
	if (dice_permille(&wire->dice, weather->in_burst ? weather->burst_end_permille
							 : weather->burst_permille))
		weather->in_burst = !weather->in_burst;
	if (weather->spares_resolution && resolves(frame))
		return false;
	return dice_permille(&wire->dice,
			     weather->in_burst ? LOSS_IN_BURST_PERMILLE : weather->loss_permille);
}

void wire_send(struct wire *wire, enum station to, struct slice frame, uint64_t now_us)
{
	struct weather *weather = &wire->weather[to];

	wire->sent++;
	if (swallows(wire, weather, frame, now_us)) {
		wire->lost++;
		return;
	}
	launch(wire, to, frame, now_us);
	if (dice_permille(&wire->dice, weather->duplicate_permille))
		launch(wire, to, frame, now_us);
}

uint64_t wire_next_us(const struct wire *wire)
{
	return wire->count ? wire->heap[0].arrival_us : UINT64_MAX;
}

bool wire_receive(struct wire *wire, uint64_t now_us, struct flying *out)
{
	if (wire_next_us(wire) > now_us)
		return false;
	*out = pop(wire);
	return true;
}
