// SPDX-License-Identifier: BSD-3-Clause
//
// Makes the line of a finding: "FILE:LINE: text".
// Owns the form and the counting, not the words and not the place where they are printed.
#include "config/diagnostics.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define LINE_MAX_BYTES 4096

static void report(struct diagnostics *diagnostics, enum diagnostic_severity severity,
		   struct place place, const char *text)
{
	char line[LINE_MAX_BYTES];

	if (severity == DIAGNOSTIC_ERROR)
		diagnostics->errors++;
	else
		diagnostics->warnings++;
	if (diagnostics->report == NULL)
		return;
	if (place.line != 0)
		snprintf(line, sizeof(line), "%s:%u: %s", place.file, place.line, text);
	else
		snprintf(line, sizeof(line), "%s: %s", place.file, text);
	diagnostics->report(diagnostics->context, severity, line);
}

void diagnostics_error(struct diagnostics *diagnostics, struct place place, const char *format, ...)
{
	char text[LINE_MAX_BYTES];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	report(diagnostics, DIAGNOSTIC_ERROR, place, text);
}

void diagnostics_warning(struct diagnostics *diagnostics, struct place place, const char *format,
			 ...)
{
	char text[LINE_MAX_BYTES];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	report(diagnostics, DIAGNOSTIC_WARNING, place, text);
}

char *diagnostics_quote(const char *text, char buffer[DIAGNOSTICS_QUOTE_MAX])
{
	static const char ending[] = "...\"";
	size_t used = 0;

	buffer[used++] = '"';
	for (; *text != '\0'; text++) {
		unsigned char byte = (unsigned char)*text;

		// Room for the longest byte (\xNN) and the ending must remain.
		if (used + 4 + sizeof(ending) > DIAGNOSTICS_QUOTE_MAX) {
			// No character of UTF-8 is cut in two.
			for (; (byte & 0xc0) == 0x80 && used > 1; used--)
				byte = (unsigned char)buffer[used - 1];
			memcpy(buffer + used, ending, sizeof(ending));
			return buffer;
		}
		if (byte < 0x20 || byte == 0x7f)
			used += (size_t)snprintf(buffer + used, 5, "\\x%02x", byte);
		else
			buffer[used++] = (char)byte;
	}
	buffer[used++] = '"';
	buffer[used] = '\0';
	return buffer;
}
