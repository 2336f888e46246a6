// SPDX-License-Identifier: BSD-3-Clause
//
// Rules across keys and sections: errors refuse the file, warnings do not. Static: no root, no
// device, no network. A policy without errors keeps what the gate's ruleset relies on: on one
// binding, the ranges of all enabled connectors are nested or disjoint, never equal.
#ifndef RELAYGATE_CONFIG_CHECK_H
#define RELAYGATE_CONFIG_CHECK_H

#include "config/diagnostics.h"

struct policy;

// faulty_sections: a bit (1 << enum section_kind) for each kind of section of which something could
// not be read. Rules that look at such sections are left out, since what they would tell may follow
// from what is missing. 0 for a policy that was read whole.
// Returns 0 or -ENOMEM.
int check_policy(const struct policy *policy, unsigned faulty_sections,
		 struct diagnostics *diagnostics);

#endif
