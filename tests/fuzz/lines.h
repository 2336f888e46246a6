// SPDX-License-Identifier: BSD-3-Clause
//
// What mutators of texts have in common: a text is changed by whole lines, in place, within the
// room that libFuzzer gives. Draws only from the seed.
#ifndef RELAYGATE_TESTS_FUZZ_LINES_H
#define RELAYGATE_TESTS_FUZZ_LINES_H

#include <stddef.h>
#include <stdint.h>

struct lines {
	char *bytes;
	size_t size, room;
};

// The generator's state from libFuzzer's seed, and a number below bound.
uint32_t lines_seed(unsigned seed);
uint32_t lines_draw(uint32_t *seed, uint32_t bound);
#define DRAW_FROM(seed, table) (table)[lines_draw(seed, sizeof(table) / sizeof((table)[0]))]

// The beginning of some line, or the end of the text; and where the line at a place ends.
size_t lines_some(const struct lines *lines, uint32_t *seed);
size_t lines_end(const struct lines *lines, size_t at);
// Nothing happens when there is no room.
void lines_insert(struct lines *lines, size_t at, const char *text, size_t length);
void lines_erase(struct lines *lines, uint32_t *seed);
// Some lines once more, somewhere.
void lines_repeat(struct lines *lines, uint32_t *seed);

// libFuzzer's.
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed);

#endif
