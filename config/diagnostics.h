// SPDX-License-Identifier: BSD-3-Clause
//
// How load and check tell what they found: one line a finding, counted. Where the lines go is the
// caller's business; nothing here prints.
#ifndef RELAYGATE_CONFIG_DIAGNOSTICS_H
#define RELAYGATE_CONFIG_DIAGNOSTICS_H

enum diagnostic_severity { DIAGNOSTIC_ERROR, DIAGNOSTIC_WARNING };

// Called once a finding; text is "FILE:LINE: ..." without a newline, valid during the call only.
// report may be NULL: then findings are only counted.
struct diagnostics {
	void (*report)(void *context, enum diagnostic_severity severity, const char *text);
	void *context;
	unsigned errors; // counted by load and check
	unsigned warnings;
};

// Where a finding belongs; line 0 = the file as a whole.
struct place {
	const char *file;
	unsigned line;
};

void diagnostics_error(struct diagnostics *diagnostics, struct place place, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
void diagnostics_warning(struct diagnostics *diagnostics, struct place place, const char *format,
			 ...) __attribute__((format(printf, 3, 4)));

#define DIAGNOSTICS_QUOTE_MAX 160

// An operator's text for use inside a message: in quotes, control bytes as \xNN, long texts cut and
// marked with "...". Returns buffer.
char *diagnostics_quote(const char *text, char buffer[DIAGNOSTICS_QUOTE_MAX]);

#endif
