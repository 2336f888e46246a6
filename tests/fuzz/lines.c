// SPDX-License-Identifier: BSD-3-Clause
//
// See lines.h.
#include "tests/fuzz/lines.h"

#include <stdlib.h>
#include <string.h>

uint32_t lines_seed(unsigned seed)
{
	const uint32_t state = seed * 2654435761u + 1;

	return state ? state : 1; // the generator's only fixed point
}

uint32_t lines_draw(uint32_t *seed, uint32_t bound)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 17;
	*seed ^= *seed << 5;
	return *seed % bound;
}

size_t lines_some(const struct lines *lines, uint32_t *seed)
{
	size_t at = lines_draw(seed, (uint32_t)lines->size + 1);

	while (at > 0 && at < lines->size && lines->bytes[at - 1] != '\n')
		at++;
	return at;
}

size_t lines_end(const struct lines *lines, size_t at)
{
	const char *end = memchr(lines->bytes + at, '\n', lines->size - at);

	return end ? (size_t)(end - lines->bytes) + 1 : lines->size;
}

void lines_insert(struct lines *lines, size_t at, const char *text, size_t length)
{
	if (length > lines->room - lines->size)
		return;
	memmove(lines->bytes + at + length, lines->bytes + at, lines->size - at);
	memcpy(lines->bytes + at, text, length);
	lines->size += length;
}

void lines_erase(struct lines *lines, uint32_t *seed)
{
	const size_t at = lines_some(lines, seed), end = lines_end(lines, at);

	memmove(lines->bytes + at, lines->bytes + end, lines->size - end);
	lines->size -= end - at;
}

void lines_repeat(struct lines *lines, uint32_t *seed)
{
	const size_t from = lines_some(lines, seed), to = lines_some(lines, seed);
	size_t end = from;
	char *copy;

	for (unsigned count = 1 + lines_draw(seed, 6); count > 0; count--)
		end = lines_end(lines, end);
	copy = malloc(end - from + 1);
	memcpy(copy, lines->bytes + from, end - from);
	lines_insert(lines, to, copy, end - from);
	free(copy);
}
