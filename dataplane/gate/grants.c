// SPDX-License-Identifier: BSD-3-Clause
//
// The sparse table as an open-addressing hash table, at most half full. A nest is walked from its
// innermost connector outwards; the first that is bound to a binding class is granted that pair.
#include "dataplane/gate/grants.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_BITS 6

struct grant {
	uint32_t source_class; // 0 = free
	uint32_t binding_class;
	uint16_t connector;
};

// The binding classes of each connector, side by side.
struct classes_of {
	uint32_t *start; // connector_count + 1 places
	uint32_t *classes;
};

static uint32_t place_of(const struct grants *grants, uint32_t binding_class, uint32_t source_class)
{
	uint64_t key = (uint64_t)binding_class << 32 | source_class;
	return (uint32_t)(key * 0x9e3779b97f4a7c15ull >> grants->shift);
}

static struct grant *find(const struct grants *grants, uint32_t binding_class,
			  uint32_t source_class)
{
	struct grant *table = grants->table.data;
	for (uint32_t i = place_of(grants, binding_class, source_class);; i++) {
		struct grant *grant = &table[i & grants->mask];
		if (grant->source_class == 0 ||
		    (grant->source_class == source_class && grant->binding_class == binding_class))
			return grant;
	}
}

static int table_map(struct grants *grants, unsigned bits)
{
	if (bits > 31)
		return -ENOMEM;
	grants->shift = 64 - bits;
	grants->mask = (1u << bits) - 1;
	return memory_map(&grants->table, sizeof(struct grant) << bits);
}

static int grow(struct grants *grants)
{
	struct grants grown = {.count = grants->count};
	if (table_map(&grown, 64 - grants->shift + 1) != 0)
		return -ENOMEM;
	const struct grant *table = grants->table.data;
	for (uint32_t i = 0; i <= grants->mask; i++)
		if (table[i].source_class)
			*find(&grown, table[i].binding_class, table[i].source_class) = table[i];
	memory_unmap(&grants->table);
	*grants = grown;
	return 0;
}

static int invert(struct classes_of *of, const struct bindings *bindings, uint32_t connector_count)
{
	uint32_t total = bindings->class_count ? bindings->class_start[bindings->class_count] : 0;
	of->start = calloc((size_t)connector_count + 2, sizeof(*of->start));
	of->classes = calloc((size_t)total + 1, sizeof(*of->classes));
	if (!of->start || !of->classes)
		return -ENOMEM;
	// Counted two places ahead; filling moves each place to its own start.
	for (uint32_t i = 0; i < total; i++)
		of->start[bindings->connectors[i] + 2]++;
	for (uint32_t i = 2; i < connector_count + 2; i++)
		of->start[i] += of->start[i - 1];
	for (uint32_t class = 0; class < bindings->class_count; class ++)
		for (uint32_t i = bindings->class_start[class];
		     i < bindings->class_start[class + 1]; i++)
			of->classes[of->start[bindings->connectors[i] + 1]++] = class;
	return 0;
}

static int grant_class(struct grants *grants, const struct classes_of *of,
		       const struct nests *nests, uint32_t source_class)
{
	for (uint32_t nest = source_class; nest; nest = nests->list[nest].outer) {
		uint16_t connector = nests->list[nest].connector;
		for (uint32_t i = of->start[connector]; i < of->start[connector + 1]; i++) {
			if (grants->count > grants->mask / 2 && grow(grants) != 0)
				return -ENOMEM;
			struct grant *grant = find(grants, of->classes[i], source_class);
			if (grant->source_class)
				continue; // a connector further inside has it
			*grant = (struct grant){source_class, of->classes[i], connector};
			grants->count++;
		}
	}
	return 0;
}

int grants_build(struct grants *grants, const struct bindings *bindings, const struct nests *nests,
		 uint32_t connector_count)
{
	struct classes_of of = {0};
	*grants = (struct grants){0};
	int result = table_map(grants, FIRST_BITS);
	if (result == 0)
		result = invert(&of, bindings, connector_count);
	for (uint32_t class = 1; result == 0 && class < nests->count; class ++)
		result = grant_class(grants, &of, nests, class);
	if (result == 0)
		memory_seal(&grants->table);
	free(of.start);
	free(of.classes);
	return result;
}

void grants_fini(struct grants *grants)
{
	memory_unmap(&grants->table);
}

uint16_t grants_get(const struct grants *grants, uint32_t binding_class, uint32_t source_class)
{
	const struct grant *grant = find(grants, binding_class, source_class);
	return grant->source_class ? grant->connector : GRANT_NONE;
}

void grants_prefetch(const struct grants *grants, uint32_t binding_class, uint32_t source_class)
{
	const struct grant *table = grants->table.data;
	__builtin_prefetch(&table[place_of(grants, binding_class, source_class) & grants->mask]);
}
