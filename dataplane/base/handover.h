// SPDX-License-Identifier: BSD-3-Clause
//
// The way to the other workers for a frame that came in at the wrong one: what the pipeline asks of
// whoever runs it (io/ by rings of mbufs, a test by copies). The other worker finds it through
// pipeline_input_handed.
#ifndef RELAYGATE_BASE_HANDOVER_H
#define RELAYGATE_BASE_HANDOVER_H

#include <stdbool.h>

struct handover {
	// Shows frame `index` of the burst that pipeline_input is working on to another worker;
	// the giver goes on reading it until its burst is done, and so may give it to several.
	// False when that worker takes no more now.
	bool (*frame)(struct handover *handover, unsigned worker, unsigned index);
};

#endif
