// SPDX-License-Identifier: BSD-3-Clause
//
// The mutator for lists of operations, called by libFuzzer: an input is read into a program, the
// program is changed, and written back. Draws only from the seed that libFuzzer gives.
#include "tests/fuzz/operations.h"

#include "dataplane/net/wire.h"

#include <stdlib.h>

#define PROGRAM_MAX 200 // operations
#define BYTES_MAX   255 // behind one of them

struct step {
	struct operation operation;
	uint8_t bytes[BYTES_MAX];
};

struct program {
	uint8_t configuration[OPERATION_CONFIGURATION];
	unsigned count;
	struct step steps[PROGRAM_MAX];
};

static uint32_t draw(uint32_t *seed, uint32_t bound)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 17;
	*seed ^= *seed << 5;
	return *seed % bound;
}

#define DRAW_FROM(seed, table) (table)[draw(seed, sizeof(table) / sizeof((table)[0]))]

// ---- The form on disk ------------------------------------------------------------------------

static struct program *read_program(const uint8_t *data, size_t size)
{
	struct program *program = calloc(1, sizeof(*program));
	struct cursor cursor = cursor_of(slice_of(data, size));
	struct slice configuration = cursor_take(
		&cursor, size < OPERATION_CONFIGURATION ? size : OPERATION_CONFIGURATION);
	struct operation operation;

	if (!program)
		abort();
	memcpy(program->configuration, configuration.data, configuration.length);
	while (program->count < PROGRAM_MAX && operation_next(&cursor, &operation)) {
		struct step *step = &program->steps[program->count++];

		step->operation = operation;
		memcpy(step->bytes, operation.bytes.data, operation.length);
	}
	return program;
}

static void write_step(const struct step *step, uint8_t *at)
{
	const struct operation *operation = &step->operation;

	at[0] = operation->kind;
	at[1] = operation->who;
	at[2] = operation->choice;
	at[3] = operation->flags;
	at[4] = operation->place;
	at[5] = operation->ack_place;
	at[6] = operation->options;
	at[7] = operation->length;
	put_u16(at + 8, (uint16_t)operation->delta);
	put_u16(at + 10, (uint16_t)operation->ack_delta);
	put_u16(at + 12, operation->window);
	put_u16(at + 14, operation->size);
	memcpy(at + OPERATION_BYTES, step->bytes, operation->length);
}

static size_t write_program(struct program *program, uint8_t *data, size_t max_size)
{
	size_t size = OPERATION_CONFIGURATION;

	if (max_size < size) {
		free(program);
		return 0;
	}
	memcpy(data, program->configuration, OPERATION_CONFIGURATION);
	for (unsigned i = 0; i < program->count; i++) {
		const struct step *step = &program->steps[i];
		size_t needs = OPERATION_BYTES + (size_t)step->operation.length;

		if (needs > max_size - size)
			break;
		write_step(step, data + size);
		size += needs;
	}
	free(program);
	return size;
}

// ---- Changes ---------------------------------------------------------------------------------

static int16_t draw_delta(uint32_t *seed)
{
	static const int16_t edges[] = {0,    0,    0,     0,     0,     1,      -1,
					2,    -2,   100,   -100,  536,   1460,   -1460,
					2920, 8192, 16384, 32767, -8192, -32768, -32767};

	return draw(seed, 4) ? DRAW_FROM(seed, edges) : (int16_t)draw(seed, 65536);
}

static uint16_t draw_size(uint32_t *seed)
{
	static const uint16_t edges[] = {0,   0,   1,    2,    20,   88,   100,   215,   216,
					 536, 987, 1000, 1440, 1460, 4096, 16384, 32768, 65535};

	return draw(seed, 4) ? DRAW_FROM(seed, edges) : (uint16_t)draw(seed, 65536);
}

static uint16_t draw_window(uint32_t *seed)
{
	static const uint16_t edges[] = {0,    0,    1,     2,     500,   536,
					 1460, 4096, 32768, 65534, 65535, 65535};

	return draw(seed, 4) ? DRAW_FROM(seed, edges) : (uint16_t)draw(seed, 65536);
}

static uint8_t draw_flags(uint32_t *seed)
{
	static const uint8_t usual[] = {TCP_ACK,           TCP_ACK,           TCP_ACK,
					TCP_ACK | TCP_PSH, TCP_SYN,           TCP_ACK | TCP_FIN,
					TCP_ACK | TCP_SYN, TCP_RST,           TCP_FIN,
					TCP_ACK | TCP_RST, TCP_ACK | TCP_URG, 0};

	return draw(seed, 8) ? DRAW_FROM(seed, usual) : (uint8_t)draw(seed, 256);
}

static uint8_t draw_options(uint32_t *seed)
{
	static const uint8_t usual[] = {0,
					0,
					0,
					OPERATION_MSS | OPERATION_SCALE | OPERATION_SACK_PERMITTED,
					OPERATION_MSS | OPERATION_NO_TIMESTAMPS,
					OPERATION_MSS | OPERATION_SACK_PERMITTED,
					OPERATION_NO_TIMESTAMPS | OPERATION_SACK_PERMITTED |
						OPERATION_SCALE,
					OPERATION_SACK,
					OPERATION_SACK,
					OPERATION_RAW_OPTIONS,
					OPERATION_OLD_TIME};

	return draw(seed, 8) ? DRAW_FROM(seed, usual) : (uint8_t)draw(seed, 256);
}

static void change_bytes(struct step *step, uint32_t *seed)
{
	const struct operation_grammar *grammar = &operation_grammar;
	uint8_t *length = &step->operation.length;
	const char *text;
	size_t size;

	switch (draw(seed, 4)) {
	case 0:
		*length = (uint8_t)LLVMFuzzerMutate(step->bytes, *length, BYTES_MAX);
		break;
	case 1: // a text in place of all, or behind
		if (draw(seed, 2))
			*length = 0;
		text = grammar->texts[draw(seed, grammar->text_count)];
		size = strlen(text);
		if (size > (size_t)BYTES_MAX - *length)
			size = (size_t)BYTES_MAX - *length;
		memcpy(step->bytes + *length, text, size);
		*length = (uint8_t)(*length + size);
		break;
	case 2: // SACK blocks
		*length = (uint8_t)(4 * (1 + draw(seed, 4)));
		for (unsigned i = 0; i < *length; i += 4) {
			put_u16(step->bytes + i, (uint16_t)draw_delta(seed));
			put_u16(step->bytes + i + 2, draw_size(seed));
		}
		break;
	default:
		*length = 0;
	}
}

static void change_field(struct step *step, uint32_t *seed)
{
	struct operation *operation = &step->operation;

	switch (draw(seed, 12)) {
	case 0:
		operation->kind = operation_grammar.kinds[draw(seed, operation_grammar.kind_count)];
		break;
	case 1:
		operation->who = (uint8_t)draw(seed, draw(seed, 4) ? 4 : 256);
		break;
	case 2:
		operation->choice = (uint8_t)draw(seed, draw(seed, 2) ? 16 : 256);
		break;
	case 3:
		operation->flags = draw_flags(seed);
		break;
	case 4:
		operation->place = (uint8_t)draw(seed, 8);
		break;
	case 5:
		operation->ack_place = (uint8_t)draw(seed, 8);
		break;
	case 6:
		operation->options = draw_options(seed);
		break;
	case 7:
		operation->delta = draw_delta(seed);
		break;
	case 8:
		operation->ack_delta = draw_delta(seed);
		break;
	case 9:
		operation->window = draw_window(seed);
		break;
	case 10:
		operation->size = draw_size(seed);
		break;
	default:
		change_bytes(step, seed);
	}
}

static void insert(struct program *program, unsigned at, const struct step *step)
{
	if (program->count == PROGRAM_MAX)
		return;
	memmove(&program->steps[at + 1], &program->steps[at],
		(program->count - at) * sizeof(program->steps[0]));
	program->steps[at] = *step;
	program->count++;
}

static void insert_new(struct program *program, uint32_t *seed)
{
	struct step step = {
		.operation = {
			.kind = operation_grammar.kinds[draw(seed, operation_grammar.kind_count)],
			.who = (uint8_t)draw(seed, 4),
			.choice = (uint8_t)draw(seed, 64),
			.flags = TCP_ACK,
			.window = draw(seed, 3) ? 65535 : draw_window(seed),
			.size = draw_size(seed)}};

	for (unsigned changes = draw(seed, 5); changes > 0; changes--)
		change_field(&step, seed);
	insert(program, draw(seed, program->count + 1), &step);
}

static void erase(struct program *program, unsigned at, unsigned count)
{
	memmove(&program->steps[at], &program->steps[at + count],
		(program->count - at - count) * sizeof(program->steps[0]));
	program->count -= count;
}

// A run of operations once more, somewhere.
static void repeat(struct program *program, uint32_t *seed)
{
	struct step run[4];
	unsigned from = draw(seed, program->count);
	unsigned count = 1 + draw(seed, sizeof(run) / sizeof(run[0]));
	unsigned to = draw(seed, program->count + 1);

	if (count > program->count - from)
		count = program->count - from;
	memcpy(run, &program->steps[from], count * sizeof(run[0]));
	for (unsigned i = 0; i < count; i++)
		insert(program, to + i, &run[i]);
}

static void swap(struct program *program, uint32_t *seed)
{
	struct step *a = &program->steps[draw(seed, program->count)];
	struct step *b = &program->steps[draw(seed, program->count)];
	struct step kept = *a;

	*a = *b;
	*b = kept;
}

static void change(struct program *program, uint32_t *seed)
{
	unsigned kind = draw(seed, 16);

	if (program->count == 0 || kind < 4) {
		insert_new(program, seed);
	} else if (kind < 11) {
		change_field(&program->steps[draw(seed, program->count)], seed);
	} else if (kind < 13) {
		unsigned at = draw(seed, program->count);
		unsigned count = 1 + draw(seed, 3);

		erase(program, at, count < program->count - at ? count : program->count - at);
	} else if (kind == 13) {
		repeat(program, seed);
	} else if (kind == 14) {
		swap(program, seed);
	} else {
		program->configuration[draw(seed, OPERATION_CONFIGURATION)] =
			(uint8_t)draw(seed, 256);
	}
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
	struct program *program = read_program(data, size);
	uint32_t state = seed * 2654435761u + 1;

	if (state == 0)
		state = 1; // the generator's only fixed point
	for (unsigned changes = 1 + draw(&state, 4); changes > 0; changes--)
		change(program, &state);
	return write_program(program, data, max_size);
}

// The beginning of one, then the end of the other.
size_t LLVMFuzzerCustomCrossOver(const uint8_t *a, size_t a_size, const uint8_t *b, size_t b_size,
				 uint8_t *out, size_t max_size, unsigned seed)
{
	struct program *first = read_program(a, a_size);
	struct program *second = read_program(b, b_size);
	uint32_t state = seed * 2654435761u + 1;

	if (state == 0)
		state = 1;
	unsigned from = draw(&state, second->count + 1);

	first->count = draw(&state, first->count + 1);
	while (from < second->count && first->count < PROGRAM_MAX)
		first->steps[first->count++] = second->steps[from++];
	free(second);
	return write_program(first, out, max_size);
}
