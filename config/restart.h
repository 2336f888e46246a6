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

#define RESTART_KEPT_MAX 1024

// Each key of `next` that a reload cannot change gets the value that it has in `running`, and is a
// warning at its place in the file with both values; kept: "Workers (1 -> 2), [port outside] Mtu
// (1500 -> 1400)", "" when there is none, ending in "..." when there are too many. False, and next
// is of no use, after an error: other ports or DNS lists, or a rest of the file that does not go
// with what stays.
bool restart_keep(const struct policy *running, struct policy *next,
		  struct diagnostics *diagnostics, char kept[RESTART_KEPT_MAX]);

#endif
