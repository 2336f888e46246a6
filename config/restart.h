// SPDX-License-Identifier: BSD-3-Clause
//
// What a reload cannot change, because memory, devices and privileges were chosen by it at the
// start: the keys whose row says so (keys.h), and which ports and DNS lists there
// are in which order.
#ifndef RELAYGATE_CONFIG_RESTART_H
#define RELAYGATE_CONFIG_RESTART_H

#include "config/diagnostics.h"

#include <stdbool.h>

struct policy;

// Each key in which `next` differs from what `running` was started with is an error at its place in
// the file of `next`: "Workers: needs a restart". True when there is none.
bool restart_not_needed(const struct policy *running, const struct policy *next,
			struct diagnostics *diagnostics);

#endif
