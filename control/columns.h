// SPDX-License-Identifier: BSD-3-Clause
//
// Texts of UTF-8 as a terminal shows them: in columns, of which a character takes none, one or two.
// The locale does not matter: names are UTF-8, as the configuration is.
#ifndef RELAYGATE_CONTROL_COLUMNS_H
#define RELAYGATE_CONTROL_COLUMNS_H

#include <stddef.h>

// How many bytes of text, whole characters, fit into so many columns; *used: columns that they
// take.
size_t columns_cut(const char *text, unsigned columns, unsigned *used);

// text, cut at a character or filled up with blanks to so many columns, into out, NUL-ended. What
// is no character, or would move a terminal's cursor, becomes '?'. Returns the bytes written; size
// is 4 * columns + 1 at least.
size_t columns_put(char *out, size_t size, const char *text, unsigned columns);

#endif
