// SPDX-License-Identifier: BSD-3-Clause
//
// The capacity is implied: the array doubles whenever its count is a power of two.
#include "config/array.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

void *array_append(void *array, unsigned count, size_t size)
{
	char *elements;

	memcpy(&elements, array, sizeof(elements)); // a pointer to whatever element type
	if ((count & (count - 1)) == 0) {
		if (count > UINT_MAX / 2)
			return NULL;
		elements = reallocarray(elements, count == 0 ? 1 : 2 * (size_t)count, size);
		if (elements == NULL)
			return NULL;
		memcpy(array, &elements, sizeof(elements));
	}
	return memset(elements + count * size, 0, size);
}
