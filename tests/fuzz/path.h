// SPDX-License-Identifier: BSD-3-Clause
//
// Where the path of a MAIL or RCPT ends, found apart from the product's own parser.
#ifndef RELAYGATE_TESTS_FUZZ_PATH_H
#define RELAYGATE_TESTS_FUZZ_PATH_H

#include "dataplane/base/slice.h"

#include <stdbool.h>

// Up to the '>' that no quotes hold, in bytes; 0 when there is none. Parameters may follow.
static inline size_t path_end(struct slice text)
{
	bool quoted = false;

	for (size_t i = 0; i < text.length; i++) {
		if (quoted && text.data[i] == '\\')
			i++;
		else if (text.data[i] == '"')
			quoted = !quoted;
		else if (text.data[i] == '>' && !quoted)
			return i + 1;
	}
	return 0;
}

#endif
