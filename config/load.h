// SPDX-License-Identifier: BSD-3-Clause
//
// INI text -> struct policy. Every fault of a file is reported, not just the first, each as one
// line "FILE:LINE: text" (or "FILE: text"); then no policy comes back.
// inih does the parsing behind a line reader of ours that sees each raw line first (see load.c
// why).
#ifndef RELAYGATE_CONFIG_LOAD_H
#define RELAYGATE_CONFIG_LOAD_H

#include <stdbool.h>

struct policy;

enum diagnostic_severity { DIAGNOSTIC_ERROR, DIAGNOSTIC_WARNING };

// Called once a finding; text is "FILE:LINE: ..." without a newline, valid during the call only.
struct diagnostics {
	void (*report)(void *context, enum diagnostic_severity severity, const char *text);
	void *context;
	unsigned errors; // counted by load and check
	unsigned warnings;
};

// The file's policy, syntax and values checked, rules across keys checked (check.h), defaults
// filled in; the caller owns it. NULL after at least one DIAGNOSTIC_ERROR.
struct policy *policy_load(const char *path, struct diagnostics *diagnostics);

#endif
