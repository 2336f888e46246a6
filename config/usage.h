// SPDX-License-Identifier: BSD-3-Clause
//
// What a connector's Usage gives to keys that its section does not have ("New-ReceiveConnector",
// -Usage; connector reference, section 1.5).
#ifndef RELAYGATE_CONFIG_USAGE_H
#define RELAYGATE_CONFIG_USAGE_H

#include "config/policy.h"

// The text that a usage gives to a key, as it would be written; NULL when it gives none.
const char *usage_preset(enum connector_usage usage, const char *key);

#endif
