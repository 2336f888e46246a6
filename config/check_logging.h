// SPDX-License-Identifier: BSD-3-Clause
//
// The rules of the protocol log: who asks for one, and where it goes.
#ifndef RELAYGATE_CONFIG_CHECK_LOGGING_H
#define RELAYGATE_CONFIG_CHECK_LOGGING_H

#include "config/diagnostics.h"

struct policy;

// Errors: a connector that is to be logged, and no directory for it; a file that may grow larger
// than its directory.
void check_logging(const struct policy *policy, struct diagnostics *diagnostics);

#endif
