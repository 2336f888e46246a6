// SPDX-License-Identifier: BSD-3-Clause
//
// Something between TCP and the applications of a gate, as TLS will be: it hands bytes on in pieces
// of its own, later, after errands, or ends before they do. The linker puts it there (--wrap), so
// that nothing of the product knows of it.
#ifndef RELAYGATE_SIM_FILTER_H
#define RELAYGATE_SIM_FILTER_H

#include "tests/sim/dice.h"

#include <stdbool.h>

struct pipeline;

struct filter_settings {
	bool on;
	bool ends_early; // now and then it says that the peer closed while bytes are on their way
	struct dice dice;
};

// For all gates from now on; forgets what it knew.
void filter_use(const struct filter_settings *settings);
// Answers the errands that are due, behind pipeline_turn; returns when the next one is.
uint64_t filter_turn(struct pipeline *pipeline);

#endif
