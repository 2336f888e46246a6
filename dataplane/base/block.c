// SPDX-License-Identifier: BSD-3-Clause
//
// See block.h.
#include "dataplane/base/block.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define LINE_BYTES      64
#define HUGE_PAGE_BYTES ((size_t)2 << 20)

void *block_allocate(size_t bytes)
{
	size_t alignment = bytes < HUGE_PAGE_BYTES ? LINE_BYTES : HUGE_PAGE_BYTES;
	void *memory;

	if (bytes > SIZE_MAX - alignment)
		return NULL;
	bytes = (bytes + alignment - 1) & ~(alignment - 1);
	memory = aligned_alloc(alignment, bytes);
	if (!memory)
		return NULL;
	// Advice only: without it the memory is slower, not wrong.
	if (bytes >= HUGE_PAGE_BYTES)
		madvise(memory, bytes, MADV_HUGEPAGE);
	// A compiler may turn memset behind an allocation into untouched zero pages.
	explicit_bzero(memory, bytes);
	return memory;
}
