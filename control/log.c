// SPDX-License-Identifier: BSD-3-Clause
#include "control/commands.h"
