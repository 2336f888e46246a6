// SPDX-License-Identifier: BSD-3-Clause
//
// Messages a minute, counted by connector and source address (MessageRateLimit, MessageRateSource =
// IPAddress). One table of fixed size shared by all workers, since one source's flows belong to any
// of them: relaxed atomics, touched at MAIL only. A count that is lost in a race, or because the
// table is full and its oldest entry gives way, lets a message more through and never one less.
#ifndef RELAYGATE_GATE_RATES_H
#define RELAYGATE_GATE_RATES_H

#include "dataplane/base/hash.h"

#include <stdbool.h>

#define RATES_INTERVAL_US 60000000u

struct rates;

// entries: sources that are told apart, rounded up to a power of two. NULL when out of memory.
struct rates *rates_create(uint32_t entries, const struct hash_key *key);
void rates_destroy(struct rates *rates); // NULL is fine

// Counts one message of the source. False, and not counted, when it had `limit` within the minute
// that began with its first one.
bool rates_take(struct rates *rates, const struct address *source, uint16_t connector,
		uint32_t limit, uint64_t now_us);

#endif
