// SPDX-License-Identifier: BSD-3-Clause
//
// Limits on connections that contradict one another: warnings, since the tighter one holds.
#ifndef RELAYGATE_CONFIG_CHECK_LIMITS_H
#define RELAYGATE_CONFIG_CHECK_LIMITS_H

#include "config/diagnostics.h"

struct policy;

void check_limits(const struct policy *policy, struct diagnostics *diagnostics);
// Realtime beside Spin: of a worker that never pauses nobody else would get that CPU.
void check_realtime(const struct policy *policy, struct diagnostics *diagnostics);

#endif
