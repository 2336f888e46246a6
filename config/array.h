// SPDX-License-Identifier: BSD-3-Clause
//
// Growing the policy's plain arrays: a pointer and a count, no capacity field.
#ifndef RELAYGATE_CONFIG_ARRAY_H
#define RELAYGATE_CONFIG_ARRAY_H

#include <stddef.h>

// Room for element number `count`, zeroed; array points at the array's pointer (NULL when count is
// 0), which must have grown through this function only. The caller counts. NULL when out of memory:
// the array is as before.
void *array_append(void *array, unsigned count, size_t size);

#endif
