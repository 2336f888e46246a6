// SPDX-License-Identifier: BSD-3-Clause
//
// The rules about who gets a client when several connectors list it: ranges on one binding must be
// nested or disjoint, and a specific binding hides a wider one. O(n log n) in the number of ranges.
#ifndef RELAYGATE_CONFIG_OVERLAP_H
#define RELAYGATE_CONFIG_OVERLAP_H

#include "config/diagnostics.h"

struct policy;

// Judges the enabled connectors. Errors: a binding twice in one connector, equal ranges and partial
// overlaps on one binding. Warnings: the sources that a specific binding takes from a wider one. Of
// a knot of overlaps, one pair a range is told. Returns 0 or -ENOMEM.
int overlap_check(const struct policy *policy, struct diagnostics *diagnostics);

#endif
