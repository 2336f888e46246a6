// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/net/net.h"
