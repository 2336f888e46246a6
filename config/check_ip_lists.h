// SPDX-License-Identifier: BSD-3-Clause
//
// The rules about [ip-allow] and [ip-block].
#ifndef RELAYGATE_CONFIG_CHECK_IP_LISTS_H
#define RELAYGATE_CONFIG_CHECK_IP_LISTS_H

#include "config/diagnostics.h"

struct policy;

// Warning: who is on both lists.
void check_ip_lists(const struct policy *policy, struct diagnostics *diagnostics);

#endif
