// SPDX-License-Identifier: BSD-3-Clause
//
// What `relaygate explain` says of bans: whether the gate that runs has banned the client now. Of a
// gate that does not run it says nothing.
#ifndef RELAYGATE_CONTROL_EXPLAIN_BAN_H
#define RELAYGATE_CONTROL_EXPLAIN_BAN_H

#include "bpf/counters.h"
#include "config/policy.h"

struct json_object;

struct explain_ban {
	bool known;  // a gate runs, and its list could be read
	bool banned; // and refuses this client for it
	struct ban_source source;
	struct ban ban;
};

// Looks into the list of the gate in this directory. A list that cannot be read is told on stderr.
struct explain_ban explain_ban_find(const char *directory, const struct policy *policy,
				    const struct address *from, uint64_t wall_us);
// What becomes of a banned client's SYN or session, REASON_NONE: he is not banned.
enum reason explain_ban_reason(const struct explain_ban *ban, const struct policy *policy);
void explain_ban_print(const struct explain_ban *ban);
void explain_ban_json(const struct explain_ban *ban, struct json_object *object);

#endif
