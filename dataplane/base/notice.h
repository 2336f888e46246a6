// SPDX-License-Identifier: BSD-3-Clause
//
// An event that the main thread noticed, on its way to worker 0, which writes it into the log and
// counts it: each ring of the log has one writer. Records of a record_ring.
#ifndef RELAYGATE_BASE_NOTICE_H
#define RELAYGATE_BASE_NOTICE_H

#include "config/address.h"

#include <stdint.h>

struct notice {
	struct address source; // all zero = none
	uint16_t reason;       // enum reason
	char detail[62];       // NUL-terminated
};

#endif
