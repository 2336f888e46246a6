// SPDX-License-Identifier: BSD-3-Clause
//
// Who may relay, from where and by which grant, and what an administrator should worry about
// (connector reference, section 9.1). Judges a policy that loaded without errors; changes nothing.
#ifndef RELAYGATE_CONFIG_AUDIT_H
#define RELAYGATE_CONFIG_AUDIT_H

#include "config/exposure.h"
#include "config/grants.h"
#include "config/policy.h"

enum audit_severity {
	AUDIT_CRITICAL, // strangers may do what only friends should
	AUDIT_WARNING,  // more than most sites want, or not what the words say
	AUDIT_NOTICE,   // of no effect
};

struct audit_finding {
	enum audit_severity severity;
	const char *code; // constant, for tools: "open-relay"
	unsigned line;
	char *text;         // what is so
	const char *advice; // what to change
};

// A connector whose sessions may send to any recipient.
struct audit_relay {
	const struct connector *connector;
	struct exposure_width width;
	struct grant grant; // of Accept-Any-Recipient
};

struct audit {
	struct audit_relay *relays;
	unsigned relay_count;
	struct audit_finding *findings; // the worst first, then by line
	unsigned finding_count;
};

// wall_us: for entries of the lists that expire. NULL when out of memory.
struct audit *audit_make(const struct policy *policy, uint64_t wall_us);
void audit_destroy(struct audit *audit); // NULL is fine

// "critical", "warning", "notice".
const char *audit_severity_name(enum audit_severity severity);

#endif
