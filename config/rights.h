// SPDX-License-Identifier: BSD-3-Clause
//
// The extended rights of a receive connector, the permission groups that grant them and the
// principals that hold them: names, bits, and which grants which (Exchange "Receive connectors",
// permission groups table). Constant data and pure functions.
// This version enforces the five rights below for anonymous sessions; a name of Exchange that is
// not yet enforced is known (rights_parse says -ENOTSUP), so that the loader can refuse it in clear
// words.
#ifndef RELAYGATE_CONFIG_RIGHTS_H
#define RELAYGATE_CONFIG_RIGHTS_H

#include <stdbool.h>
#include <stdint.h>

enum right {
	RIGHT_SUBMIT = 1u << 0,                      // ms-Exch-SMTP-Submit
	RIGHT_ACCEPT_ANY_RECIPIENT = 1u << 1,        // ms-Exch-SMTP-Accept-Any-Recipient
	RIGHT_ACCEPT_ANY_SENDER = 1u << 2,           // ms-Exch-SMTP-Accept-Any-Sender
	RIGHT_ACCEPT_AUTHORITATIVE_SENDER = 1u << 3, // ...-Accept-Authoritative-Domain-Sender
	RIGHT_BYPASS_MESSAGE_SIZE_LIMIT = 1u << 4,   // ms-Exch-Bypass-Message-Size-Limit
};

typedef uint32_t rights_mask; // bits of enum right

enum permission_group {
	PERMISSION_GROUP_ANONYMOUS_USERS = 1u << 0,
	PERMISSION_GROUP_EXCHANGE_USERS = 1u << 1,
	PERMISSION_GROUP_EXCHANGE_SERVERS = 1u << 2,
	PERMISSION_GROUP_EXCHANGE_LEGACY_SERVERS = 1u << 3,
	PERMISSION_GROUP_PARTNERS = 1u << 4,
};

// A right by any spelling that Exchange's documents use (connector reference, section 2.5), without
// regard to case. 0, -ENOTSUP (a right of Exchange that this version does not enforce) or -EINVAL.
int rights_parse(const char *text, enum right *out);
// Canonical spelling, e.g. "ms-Exch-SMTP-Submit".
const char *right_name(enum right right);

// A group by its cmdlet or prose name, without regard to case. 0 or -EINVAL. "None" yields 0.
int permission_group_parse(const char *text, uint32_t *out);
const char *permission_group_name(enum permission_group group);
// What a set of groups grants to an anonymous session.
rights_mask permission_groups_anonymous_rights(uint32_t groups);

#endif
