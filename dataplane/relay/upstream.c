// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/relay/upstream.h"
