// SPDX-License-Identifier: BSD-3-Clause
//
// What the rules of the audit share. Internal to config/audit*.c.
#ifndef RELAYGATE_CONFIG_AUDIT_INTERNAL_H
#define RELAYGATE_CONFIG_AUDIT_INTERNAL_H

#include "config/audit.h"

struct auditor {
	const struct policy *policy;
	uint64_t wall_us;
	struct audit *audit;
	bool failed; // out of memory
};

// A row of the table of findings: severity, code and advice stay together.
struct audit_kind {
	enum audit_severity severity;
	const char *code;
	const char *advice;
};

void audit_tell(struct auditor *auditor, const struct audit_kind *kind, unsigned line,
		const char *format, ...) __attribute__((format(printf, 4, 5)));

// audit_connector.c: one connector by itself.
void audit_connector(struct auditor *auditor, const struct connector *connector);
// audit_reach.c: ranges that other connectors hide.
void audit_reach(struct auditor *auditor);

#endif
