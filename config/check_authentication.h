// SPDX-License-Identifier: BSD-3-Clause
//
// The rules about AuthMechanism, RequireTLS and Usage (connector reference, section 4.2), and what
// of them this version does not offer.
#ifndef RELAYGATE_CONFIG_CHECK_AUTHENTICATION_H
#define RELAYGATE_CONFIG_CHECK_AUTHENTICATION_H

#include "config/diagnostics.h"

struct policy;

void check_authentication(const struct policy *policy, struct diagnostics *diagnostics);

#endif
