// SPDX-License-Identifier: BSD-3-Clause
//
// A small read-mostly hash table from (address, port) to a number: which binding a destination is,
// and which peers are servers of our backends. Filled while a ruleset is built, then read-only.
// Its keys come from the policy alone, so a peer cannot make it slow.
#ifndef RELAYGATE_GATE_ENDPOINTS_H
#define RELAYGATE_GATE_ENDPOINTS_H

#include "config/address.h"
#include "dataplane/gate/memory.h"

#define ENDPOINT_ABSENT UINT32_MAX

struct endpoints {
	struct memory buckets;
	unsigned shift; // 64 - log2 of the number of buckets
	uint32_t mask;
};

// Room for `most` endpoints. 0 or -ENOMEM; endpoints_fini is due in both cases.
int endpoints_init(struct endpoints *endpoints, uint32_t most);
void endpoints_fini(struct endpoints *endpoints);
// Sets an endpoint's number, which is not ENDPOINT_ABSENT; a later call for the same one counts.
void endpoints_set(struct endpoints *endpoints, const struct address *address, uint16_t port,
		   uint32_t number);
// Read-only from here on.
void endpoints_seal(struct endpoints *endpoints);
// An endpoint's number or ENDPOINT_ABSENT. One cache line for nearly every call.
uint32_t endpoints_get(const struct endpoints *endpoints, const struct address *address,
		       uint16_t port);

#endif
