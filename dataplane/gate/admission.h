// SPDX-License-Identifier: BSD-3-Clause
//
// May this source have one more connection at this connector? The limits of the policy
// (enum connection_limit_kind, in that order) over what gate/sources has counted; the first one
// that says no decides. Asked at a SYN, where nothing is written and nothing is made (a SYN may
// come from anybody in anybody's name), and at a completed handshake, which is counted. MaxSynRate
// is not here: it needs no source and is each worker's own (pipeline/admit.c). Does not answer,
// count reasons or know sessions.
#ifndef RELAYGATE_GATE_ADMISSION_H
#define RELAYGATE_GATE_ADMISSION_H

#include "config/policy.h"
#include "dataplane/gate/sources.h"

struct admission_request {
	const struct connector *connector;
	uint16_t index; // of the connector
	const struct address *address;
	bool exempt;           // counted, but never above a limit
	uint32_t max_sessions; // of the gate: what "unlimited" leaves
	uint64_t now_us;
};

// What a session holds of the table, until admission_close.
struct admission {
	sources_hold source, prefix; // SOURCES_NO_HOLD: nothing
};

struct admission_result {
	enum connection_limit_kind limit; // LIMIT_WITHIN: come in
	struct admission admission;       // then
	bool uncounted;                   // the table was full: some limit does not know of it
};

// The limit that a connection would be above now.
enum connection_limit_kind admission_look(const struct sources *sources,
					  const struct admission_request *request);
// A handshake is complete: counts the session, or names the limit and counts nothing.
struct admission_result admission_open(struct sources *sources,
				       const struct admission_request *request);
// The session is over. Once for each admission_open that said LIMIT_WITHIN.
void admission_close(struct sources *sources, uint16_t connector,
		     const struct admission *admission);

#endif
