// SPDX-License-Identifier: BSD-3-Clause
//
// The simulation of the product as it is.

#include "tests/sim/faults.h"

bool faults_use(const char *name)
{
	return false;
}

void faults_list(void)
{
}
