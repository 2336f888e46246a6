// SPDX-License-Identifier: BSD-3-Clause
//
// (binding class, source class) -> connector: the sparse table behind the two look-ups. Of the
// connectors that are bound there, the one whose range lies innermost. Read-only once built.
#ifndef RELAYGATE_GATE_GRANTS_H
#define RELAYGATE_GATE_GRANTS_H

#include "dataplane/gate/bindings.h"
#include "dataplane/gate/nests.h"

#define GRANT_NONE UINT16_MAX

struct grants {
	struct memory table;
	unsigned shift; // 64 - log2 of the number of entries
	uint32_t mask;
	uint32_t count;
};

// 0 or -ENOMEM; grants_fini is due in both cases. connector_count: of the policy.
int grants_build(struct grants *grants, const struct bindings *bindings, const struct nests *nests,
		 uint32_t connector_count);
void grants_fini(struct grants *grants);
// The connector or GRANT_NONE. source_class > 0.
uint16_t grants_get(const struct grants *grants, uint32_t binding_class, uint32_t source_class);
void grants_prefetch(const struct grants *grants, uint32_t binding_class, uint32_t source_class);

#endif
