// SPDX-License-Identifier: BSD-3-Clause
//
// Bindings of all enabled connectors, compiled: every (address, port) of ours that a connector is
// bound to, any-address bindings spelled out over the addresses of the policy's ports. An exact
// binding owns its address and port alone, whatever any-address bindings of the port there are
// (design: binding before range, the most specific one). Endpoints with the same set of connectors
// share a *binding class*.
#ifndef RELAYGATE_GATE_BINDINGS_H
#define RELAYGATE_GATE_BINDINGS_H

#include "dataplane/gate/endpoints.h"

struct policy;

// Number of an address of ours under port 0; no binding class is as large.
#define BINDINGS_OUR_ADDRESS (UINT32_MAX - 1)

struct bindings {
	struct endpoints endpoints; // (address, port) -> class; (address, 0) -> our address
	uint32_t class_count;
	uint32_t *class_start; // class_count + 1 places in connectors
	uint16_t *connectors;  // of each class, ascending
};

// 0 or -ENOMEM; bindings_fini is due in both cases.
int bindings_build(struct bindings *bindings, const struct policy *policy);
void bindings_fini(struct bindings *bindings);

#endif
