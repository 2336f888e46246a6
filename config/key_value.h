// SPDX-License-Identifier: BSD-3-Clause
//
// The value that a key has in a policy: as it would be written in the file, compared, and copied
// from one policy into another. By the rows of keys.h; not for the lists of connectors and
// backends.
#ifndef RELAYGATE_CONFIG_KEY_VALUE_H
#define RELAYGATE_CONFIG_KEY_VALUE_H

#include "config/keys.h"

// object, from, to, a, b: the section's structs of policy.h.

// "none" where it has none; cut, and then ending in "...", where it is longer. Returns buffer.
#define KEY_VALUE_MAX 128
char *key_value_format(const struct key *key, const void *object, char buffer[KEY_VALUE_MAX]);
bool key_value_same(const struct key *key, const void *a, const void *b);
// 0, or -ENOMEM: `to` has what it had.
int key_value_copy(const struct key *key, void *to, const void *from);

#endif
