// SPDX-License-Identifier: BSD-3-Clause
//
// Sources that waited for the greeting and for the reply to EHLO, as they should: for a time they
// need not wait again (GreetPassTime). One table of fixed size shared by all workers: relaxed
// atomics, touched when a session begins and once more when its tests are over. An IPv6 source is
// its /64. A note that is lost, in a race or because its set is full of younger ones, makes a good
// client wait once more and never lets a bad one through.
#ifndef RELAYGATE_GATE_PASSED_H
#define RELAYGATE_GATE_PASSED_H

#include "dataplane/base/hash.h"

#include <stdbool.h>

struct passed;

// entries: sources that are remembered, rounded up to a power of two. NULL when out of memory.
struct passed *passed_create(uint32_t entries, const struct hash_key *key);
void passed_destroy(struct passed *passed); // NULL is fine

// The source need not wait until then.
void passed_note(struct passed *passed, const struct address *source, uint64_t until_us);
bool passed_find(const struct passed *passed, const struct address *source, uint64_t now_us);

#endif
