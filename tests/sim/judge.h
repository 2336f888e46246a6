// SPDX-License-Identifier: BSD-3-Clause
//
// Judgment over a world: while it runs, and after everybody left.
#ifndef RELAYGATE_SIM_JUDGE_H
#define RELAYGATE_SIM_JUDGE_H

#include "tests/sim/world.h"

#define JUDGE_TEXT 200

// Runs the world to its end. NULL when nothing was wrong, else what; text holds it if needed.
const char *judge_run(struct world *world, char text[JUDGE_TEXT]);

#endif
