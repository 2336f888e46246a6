// SPDX-License-Identifier: BSD-3-Clause
//
// Faults to be planted into the gate, one at a time: the simulation must find each. In sim_faults
// the linker puts them before the product's functions (--wrap); sim has none.
#ifndef RELAYGATE_SIM_FAULTS_H
#define RELAYGATE_SIM_FAULTS_H

#include <stdbool.h>

// False when there is none of this name.
bool faults_use(const char *name);
// One name a line.
void faults_list(void);

#endif
