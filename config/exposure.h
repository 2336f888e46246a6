// SPDX-License-Identifier: BSD-3-Clause
//
// Warnings about single connectors: of no use to anybody, or open to the world.
#ifndef RELAYGATE_CONFIG_EXPOSURE_H
#define RELAYGATE_CONFIG_EXPOSURE_H

#include "config/diagnostics.h"

struct policy;

// No connector is refused here: an open relay may be meant, but never goes without a word.
void exposure_check(const struct policy *policy, struct diagnostics *diagnostics);

#endif
