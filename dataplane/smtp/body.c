// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/smtp/session.h"
