// SPDX-License-Identifier: BSD-3-Clause
//
// Where a right of a connector comes from: for those who explain and audit. The answer agrees with
// connector_rights().
#ifndef RELAYGATE_CONFIG_GRANTS_H
#define RELAYGATE_CONFIG_GRANTS_H

#include "config/policy.h"

struct grant {
	bool held;                // granted and not denied
	bool granted, denied;     // a denial wins
	enum principal to;        // of the grant, or of the denial when there is one
	enum permission_group by; // of the grant; 0 = ExtendedRights
	unsigned line;            // of the grant, or of the denial; a connector's own where a
				  // default of its Usage grants
};

// identities: bits (1 << enum principal) of the session.
struct grant grant_find(const struct connector *connector, unsigned identities, enum right right);

#endif
