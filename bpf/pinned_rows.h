// SPDX-License-Identifier: BSD-3-Clause
//
// A pinned array of an instance as memory of this process: what all readers of the pins begin with.
#ifndef RELAYGATE_BPF_PINNED_ROWS_H
#define RELAYGATE_BPF_PINNED_ROWS_H

#include "bpf/export.h"
#include <stddef.h>
#include <stdint.h>

struct pinned_rows {
	void *rows; // NULL: not mapped
	size_t bytes;
	uint32_t entries;
	uint32_t id; // of the map
};

// protection: as mmap takes it. -EPROTO when it is no array of such rows, else -errno, as
// pins_open_map() has it; *mapped is then as it was.
int pinned_rows_map(const char *directory, const char *name, size_t row_bytes, int protection,
		    struct pinned_rows *mapped);
// Nothing happens when it is not mapped.
void pinned_rows_unmap(struct pinned_rows *mapped);
// The line for a person, and the code for the caller, when what a reader needs could not be mapped.
// message_capture() was called before. what: "open the capture".
int pinned_rows_failed(char error[EXPORT_ERROR_MAX], int result, const char *directory,
		       const char *what);

#endif
