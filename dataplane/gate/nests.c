// SPDX-License-Identifier: BSD-3-Clause
//
// Source classes by hash-consing: equal nests get equal numbers, so that intervals of one class
// merge and a class is made in O(1) however deep it is. Used while a ruleset is built; the finished
// ruleset keeps only what bindings make of the classes.
#include "dataplane/gate/nests.h"

#include <errno.h>
#include <stdlib.h>

#define FIRST_CAPACITY 64 // a power of two

int nests_init(struct nests *nests)
{
	*nests = (struct nests){.count = 1, .capacity = FIRST_CAPACITY};
	nests->list = calloc(nests->capacity, sizeof(*nests->list));
	nests->table_mask = 2 * FIRST_CAPACITY - 1;
	nests->table = calloc(nests->table_mask + 1, sizeof(*nests->table));
	return nests->list && nests->table ? 0 : -ENOMEM;
}

void nests_fini(struct nests *nests)
{
	free(nests->list);
	free(nests->table);
	*nests = (struct nests){0};
}

// Where {outer, connector} is or belongs.
static uint32_t *place_of(const struct nests *nests, uint32_t outer, uint16_t connector)
{
	uint64_t hash = ((uint64_t)outer << 16 | connector) * 0x9e3779b97f4a7c15ull;
	for (uint32_t i = (uint32_t)(hash >> 32);; i++) {
		uint32_t *place = &nests->table[i & nests->table_mask];
		const struct nest *nest = &nests->list[*place];
		if (*place == 0 || (nest->outer == outer && nest->connector == connector))
			return place;
	}
}

static int grow(struct nests *nests)
{
	if (nests->capacity > UINT32_MAX / 4)
		return -ENOMEM;
	uint32_t capacity = nests->capacity * 2;
	struct nest *list = reallocarray(nests->list, capacity, sizeof(*list));
	if (!list)
		return -ENOMEM;
	nests->list = list;
	uint32_t *table = calloc((size_t)capacity * 2, sizeof(*table));
	if (!table)
		return -ENOMEM;
	free(nests->table);
	nests->table = table;
	nests->table_mask = capacity * 2 - 1;
	nests->capacity = capacity;
	for (uint32_t i = 1; i < nests->count; i++)
		*place_of(nests, list[i].outer, list[i].connector) = i;
	return 0;
}

uint32_t nests_inside(struct nests *nests, uint32_t outer, uint16_t connector)
{
	if (outer && nests->list[outer].connector == connector)
		return outer;
	uint32_t *place = place_of(nests, outer, connector);
	if (*place)
		return *place;
	if (nests->count == nests->capacity) {
		if (grow(nests) != 0)
			return 0;
		place = place_of(nests, outer, connector);
	}
	nests->list[nests->count] = (struct nest){outer, connector};
	*place = nests->count++;
	return *place;
}
