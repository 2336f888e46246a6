// SPDX-License-Identifier: BSD-3-Clause
//
// The rules of DNS lists: who asks them, and what may come of it.
#ifndef RELAYGATE_CONFIG_CHECK_DNSBL_H
#define RELAYGATE_CONFIG_CHECK_DNSBL_H

#include "config/diagnostics.h"

struct policy;

// Errors: a connector that asks and no list; a threshold that no client can reach; too many lists;
// a NAME that cannot stand in a reply. A warning: lists that no connector asks.
void check_dnsbl(const struct policy *policy, struct diagnostics *diagnostics);

#endif
