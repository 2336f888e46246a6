// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/gate/ruleset.h"
