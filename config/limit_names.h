// SPDX-License-Identifier: BSD-3-Clause
//
// The names of the limits on connections, as their keys have them (keys.h), for those who print
// them.
#ifndef RELAYGATE_CONFIG_LIMIT_NAMES_H
#define RELAYGATE_CONFIG_LIMIT_NAMES_H

#include "config/policy.h"

// "MaxInboundConnection"; never LIMIT_WITHIN.
const char *limit_name(enum connection_limit_kind kind);
// "drop", "reset", "tarpit", "reply"; never ABOVE_REJECT.
const char *limit_action_name(enum limit_action action);

#endif
