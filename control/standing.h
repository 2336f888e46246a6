// SPDX-License-Identifier: BSD-3-Clause
//
// The running gate's side of the pinned maps `instance` and `requests`: what the main thread tells
// of the process, and what it is asked. One thread only. Does not obey requests (run.c does).
#ifndef RELAYGATE_CONTROL_STANDING_H
#define RELAYGATE_CONTROL_STANDING_H

#include "bpf/counters.h"

#include <stdbool.h>
#include <stdint.h>

struct standing {
	struct instance_record *row; // shared with whoever reads the pin
	const struct request_record *requests;
	struct instance_record next; // what standing_publish writes; the owner changes it
	uint64_t reload_seen, drain_seen;
};

// Takes the rows over: whatever was asked before now counts as answered. Publishes state starting.
void standing_init(struct standing *standing, struct instance_record *row,
		   const struct request_record *requests);
// Says that the main thread is alive, and whatever changed in `next`.
void standing_publish(struct standing *standing);
// Sets the state (see counters.h) and publishes.
void standing_enter(struct standing *standing, const char *state);

// A reload was asked for since the last call; standing_answer_reload once it is done.
bool standing_reload_asked(struct standing *standing);
void standing_answer_reload(struct standing *standing);
// A drain, or its end, was asked for since the last call.
bool standing_drain_asked(struct standing *standing, bool *drain);
void standing_answer_drain(struct standing *standing);

#endif
