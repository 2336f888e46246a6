// SPDX-License-Identifier: BSD-3-Clause
//
// Blocks of memory by mmap. Cold path only: called while a ruleset is built or destroyed, never by
// a worker's loop. Owns nothing between calls.
#include "dataplane/gate/memory.h"

#include <errno.h>
#include <sys/mman.h>

#define PAGE_BYTES 4096

int memory_map(struct memory *memory, size_t bytes)
{
	size_t mapped = bytes ? bytes : 1;
	if (mapped > (size_t)-PAGE_BYTES)
		return -ENOMEM;
	mapped = (mapped + PAGE_BYTES - 1) & ~(size_t)(PAGE_BYTES - 1);
	void *data = mmap(NULL, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (data == MAP_FAILED)
		return -ENOMEM;
	// Advice only: without it the table is slower, not wrong.
	madvise(data, mapped, MADV_HUGEPAGE);
	*memory = (struct memory){data, mapped};
	return 0;
}

void memory_seal(struct memory *memory)
{
	if (memory->data)
		mprotect(memory->data, memory->bytes, PROT_READ);
}

void memory_unmap(struct memory *memory)
{
	if (memory->data)
		munmap(memory->data, memory->bytes);
	*memory = (struct memory){0};
}
