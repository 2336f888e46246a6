// SPDX-License-Identifier: BSD-3-Clause
//
// The other workers, as far as the path of a frame meets them: whose flow it is, giving it there,
// and showing link frames to all. The way itself is the caller's (struct handover); rings, threads
// and queues are unknown here.

#include "dataplane/base/handover.h"
#include "dataplane/base/spread.h"
#include "dataplane/pipeline/worker.h"

bool others_own(const struct pipeline *pipeline, const struct tuple *tuple)
{
	return pipeline->spread && spread_owner(pipeline->spread, tuple) != pipeline->worker;
}

enum reason others_take(struct pipeline *pipeline, const struct tuple *tuple, uint16_t port,
			unsigned index)
{
	// Whoever got it knows the same table: it does not wander on.
	assert(!pipeline->handed);
	if (!pipeline->handover->frame(pipeline->handover, spread_owner(pipeline->spread, tuple),
				       index))
		return REASON_handover_full;
	pipeline->counters.ports[port]->frames_handed++;
	return REASON_NONE;
}

// Worth showing: what we understood, what is for the one who speaks, and an answer, as the question
// may have been another worker's. What others shout to everybody is not.
static bool concerns_all(const struct view *view, enum reason reason)
{
	switch (reason) {
	case REASON_NONE:
	case REASON_address_claimed:
		return true;
	case REASON_arp_not_ours:
	case REASON_nd_not_ours:
		return !view->link_broadcast;
	default:
		return false;
	}
}

enum reason others_learn(struct pipeline *pipeline, const struct view *view, unsigned index,
			 enum reason reason)
{
	bool all = true;

	if (!pipeline->spread || !net_teaches(view) || !concerns_all(view, reason))
		return reason;
	for (unsigned i = 0; i < pipeline->spread->workers; i++)
		if (i != pipeline->worker)
			all &= pipeline->handover->frame(pipeline->handover, i, index);
	if (!all)
		return REASON_handover_full;
	return reason == REASON_address_claimed ? reason : REASON_NONE;
}
