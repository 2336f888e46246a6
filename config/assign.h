// SPDX-License-Identifier: BSD-3-Clause
//
// One key's text -> its field in the policy. The key's row (keys.h) says how.
#ifndef RELAYGATE_CONFIG_ASSIGN_H
#define RELAYGATE_CONFIG_ASSIGN_H

#include "config/diagnostics.h"
#include "config/keys.h"

// object is the section's struct of policy.h. value is written into; a list's items stand between
// ',' and '\n', and each '\n' is one line further than place. Every bad item is told on its own
// line, the others are taken. 0, -EINVAL when something was told, or -ENOMEM.
int assign_value(const struct key *key, void *object, char *value, struct place place,
		 struct diagnostics *diagnostics);
// Every default of a section. 0 or -ENOMEM.
int assign_defaults(enum section_kind section, void *object);

#endif
