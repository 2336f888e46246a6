// SPDX-License-Identifier: BSD-3-Clause
//
// See limit_names.h: finds the row whose field it is. There is no second list.
#include "config/limit_names.h"

#include "config/keys.h"

#include <assert.h>

static const struct key *row_of(size_t offset)
{
	for (unsigned i = 0; i < keys_count(); i++)
		if (keys_at(i)->section == SECTION_CONNECTOR && keys_at(i)->size > 0 &&
		    keys_at(i)->offset == offset)
			return keys_at(i);
	return NULL;
}

static size_t offset_of(enum connection_limit_kind kind)
{
	return offsetof(struct connector, limits) + kind * sizeof(struct connection_limit);
}

const char *limit_name(enum connection_limit_kind kind)
{
	const struct key *row = row_of(offset_of(kind) + offsetof(struct connection_limit, most));

	assert(row != NULL);
	return row->name;
}

const char *limit_action_name(enum limit_action action)
{
	const struct key *row =
		row_of(offset_of(LIMIT_CONNECTIONS) + offsetof(struct connection_limit, action));

	assert(row != NULL);
	return row->choices[action];
}
