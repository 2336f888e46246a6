// SPDX-License-Identifier: BSD-3-Clause
//
// See columns.h. Characters and their widths are the C library's.
#include "control/columns.h"

#include <assert.h>
#include <locale.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

// The first character: its bytes, and the columns it takes; false when it is none that can be
// shown.
static bool first_character(const char *text, size_t *bytes, unsigned *width)
{
	mbstate_t state = {0};
	wchar_t character;
	size_t length = mbrtowc(&character, text, MB_CUR_MAX, &state);
	bool is_one = length != (size_t)-1 && length != (size_t)-2;
	int columns = is_one ? wcwidth(character) : -1;

	*bytes = is_one && length ? length : 1;
	*width = columns < 0 ? 1 : (unsigned)columns;
	return columns >= 0;
}

// The calling thread reads UTF-8 from now on. Returns what restores it.
static locale_t read_utf8(void)
{
	static locale_t utf8;

	if (!utf8)
		utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", NULL);
	return uselocale(utf8);
}

size_t columns_cut(const char *text, unsigned columns, unsigned *used)
{
	locale_t before = read_utf8();
	size_t at = 0, bytes;
	unsigned width;

	*used = 0;
	for (; text[at]; at += bytes, *used += width) {
		first_character(text + at, &bytes, &width);
		if (*used + width > columns)
			break;
	}
	uselocale(before);
	return at;
}

size_t columns_put(char *out, size_t size, const char *text, unsigned columns)
{
	locale_t before = read_utf8();
	unsigned used = 0, width;
	size_t length = 0, bytes;

	for (; *text; text += bytes, used += width) {
		bool shown = first_character(text, &bytes, &width);

		// Characters without a width may come in any number.
		if (used + width > columns || length + bytes + (columns - used - width) >= size)
			break;
		memcpy(out + length, shown ? text : "?", shown ? bytes : 1);
		length += shown ? bytes : 1;
	}
	uselocale(before);
	assert(length + (columns - used) < size);
	memset(out + length, ' ', columns - used);
	length += columns - used;
	out[length] = '\0';
	return length;
}
