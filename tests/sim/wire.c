// SPDX-License-Identifier: BSD-3-Clause
//
// The imaginary wire as a binary heap of arrival times.

#include "tests/sim/wire.h"

#include <stdlib.h>

void wire_init(struct wire *wire, struct random *random)
{
	*wire = (struct wire){.random = random};
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

static bool chance(struct wire *wire, unsigned permille)
{
	return permille && random_below(wire->random, 1000) < permille;
}

static void launch(struct wire *wire, enum station to, struct slice frame, uint64_t now_us)
{
	const struct weather *weather = &wire->weather[to];
	struct flying flying = {.to = to, .order = wire->order++, .length = frame.length};

	flying.arrival_us = now_us + weather->delay_us;
	if (weather->jitter_us)
		flying.arrival_us += random_below(wire->random, weather->jitter_us);
	if (chance(wire, weather->reorder_permille))
		flying.arrival_us += random_below(wire->random, 4 * weather->delay_us + 1000);
	flying.bytes = malloc(frame.length);
	memcpy(flying.bytes, frame.data, frame.length);
	if (chance(wire, weather->corrupt_permille)) {
		flying.bytes[random_below(wire->random, (uint32_t)frame.length)] ^=
			(uint8_t)(1u << random_below(wire->random, 8));
		wire->corrupted++;
	}
	push(wire, flying);
}

void wire_send(struct wire *wire, enum station to, struct slice frame, uint64_t now_us)
{
	wire->sent++;
	if (chance(wire, wire->weather[to].loss_permille)) {
		wire->lost++;
		return;
	}
	launch(wire, to, frame, now_us);
	if (chance(wire, wire->weather[to].duplicate_permille))
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
