// SPDX-License-Identifier: BSD-3-Clause
//
// A session that did not happen: the session machine of the data path (smtp/session) fed with what
// a client would say, and what it answers. The backend says yes to everything.
#ifndef RELAYGATE_CONTROL_REHEARSAL_H
#define RELAYGATE_CONTROL_REHEARSAL_H

#include "control/choice.h"
#include "dataplane/base/tick.h"

struct rehearsal_line {
	bool by_client;
	bool may_be_refused;     // the backend's own answer takes its place
	uint32_t delay_ms;       // of the tarpit
	bool if_servers_have_it; // a keyword of EHLO that the live servers decide on
	char *text;              // without CR LF
};

struct rehearsal {
	struct rehearsal_line *lines;
	unsigned count;
	bool accepted; // every recipient was, and DATA
};

struct rehearsal_envelope {
	const char *hello;       // argument of EHLO
	const char *sender;      // address without brackets; "" = the null sender; NULL: no MAIL
	const char **recipients; // likewise, NULL-ended; may be NULL
	unsigned identities;     // bits (1 << enum principal) of the session
};

// choice: with a connector. 0, or -ENOMEM.
int rehearsal_play(const struct policy *policy, const struct choice *choice,
		   const struct rehearsal_envelope *envelope, struct tick now,
		   struct rehearsal *rehearsal);
void rehearsal_fini(struct rehearsal *rehearsal);

#endif
