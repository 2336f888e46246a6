// SPDX-License-Identifier: BSD-3-Clause
#include "config/policy.h"
