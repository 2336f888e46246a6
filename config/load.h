// SPDX-License-Identifier: BSD-3-Clause
//
// INI text -> struct policy. Every fault of a file is reported, not just the first, each as one
// line "FILE:LINE: text" (or "FILE: text"); then no policy comes back.
// inih does the parsing behind a line reader of ours that sees each raw line first; reader.c
// says why.
#ifndef RELAYGATE_CONFIG_LOAD_H
#define RELAYGATE_CONFIG_LOAD_H

#include "config/diagnostics.h"

#include <stddef.h>

struct policy;

// The file's policy, syntax and values checked, rules across keys checked (check.h), defaults
// filled in; the caller owns it. NULL after at least one DIAGNOSTIC_ERROR.
struct policy *policy_load(const char *path, struct diagnostics *diagnostics);

// The same, and the PinDirectory that the file names, even if it has errors: NULL where they may
// concern it, or the file cannot be read. The caller frees it.
struct policy *policy_load_with_directory(const char *path, struct diagnostics *diagnostics,
					  char **directory);
struct policy *policy_load_bytes_with_directory(const char *file, const char *bytes, size_t length,
						struct diagnostics *diagnostics, char **directory);

// policy_load from memory; file is the name for messages, bytes need no NUL at the end.
struct policy *policy_load_bytes(const char *file, const char *bytes, size_t length,
				 struct diagnostics *diagnostics);
// The same from a text; messages call the file "(text)".
struct policy *policy_load_text(const char *text, struct diagnostics *diagnostics);

#endif
