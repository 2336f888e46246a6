// SPDX-License-Identifier: BSD-3-Clause
//
// One frame of `relaygate top` as lines of plain text: rates between two snapshots, in sections
// that share the lines there are. Knows no terminal.
#ifndef RELAYGATE_CONTROL_TOP_FRAME_H
#define RELAYGATE_CONTROL_TOP_FRAME_H

#include "bpf/view_reader.h"

// The lines, each of at most `columns` columns of a terminal (columns.h) and ended by '\n', at most
// `lines` of them; the caller frees it. NULL when out of memory. Both snapshots are of one
// instance, `before` the older one; their rows are found in one another by name.
char *top_frame(const struct view_snapshot *before, const struct view_snapshot *now, unsigned lines,
		unsigned columns);

#endif
