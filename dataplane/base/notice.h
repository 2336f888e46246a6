// SPDX-License-Identifier: BSD-3-Clause
//
// An event that the main thread noticed, on its way to worker 0, which writes it into the log and
// counts it: each ring of the log has one writer. Records of a record_ring.
#ifndef RELAYGATE_BASE_NOTICE_H
#define RELAYGATE_BASE_NOTICE_H

#include "config/address.h"
#include "dataplane/base/record_ring.h"

#include <stdint.h>
#include <stdio.h>

struct notice {
	struct address source; // all zero = none
	uint16_t reason;       // enum reason
	char detail[126];      // NUL-terminated
};

// From the main thread. source: NULL = none. What finds no room is lost: so many at once that the
// log could not keep them either.
static inline void notice_tell(struct record_ring *notices, const struct address *source,
			       uint16_t reason, const char *detail)
{
	struct notice *notice =
		(struct notice *)record_ring_reserve(notices, sizeof(struct notice));

	if (!notice)
		return;
	*notice = (struct notice){.source = source ? *source : (struct address){{0}},
				  .reason = reason};
	snprintf(notice->detail, sizeof(notice->detail), "%.*s", (int)sizeof(notice->detail) - 1,
		 detail);
	record_ring_commit(notices, sizeof(*notice));
}

#endif
