// SPDX-License-Identifier: BSD-3-Clause
//
// Telling what an export has that the gate does not. The same words about several connectors are
// one line: an Exchange server has five connectors that differ in little.
#include "config/diagnostics.h"
#include "control/commands.h"
#include "control/import.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

static char *format_text(const char *format, va_list arguments)
{
	char *text = NULL;

	if (vasprintf(&text, format, arguments) < 0)
		text = import_format("out of memory");
	return text;
}

// More than this many are of no use to anybody.
#define NOTES_MAX 5000

static struct import_note *find(struct import *import, const char *parameter, const char *text)
{
	for (unsigned i = 0; i < import->note_count; i++)
		if (strcmp(import->notes[i].parameter, parameter) == 0 &&
		    strcmp(import->notes[i].text, text) == 0)
			return &import->notes[i];
	return NULL;
}

bool import_note_concerns(const struct import_note *note, unsigned connector)
{
	for (unsigned i = 0; i < note->count; i++)
		if (note->connectors[i] == connector)
			return true;
	return false;
}

void import_note(struct import *import, unsigned connector, const char *parameter,
		 const char *format, ...)
{
	struct import_note *note;
	va_list arguments;
	char *text;

	va_start(arguments, format);
	text = format_text(format, arguments);
	va_end(arguments);
	if (import->note_count == NOTES_MAX) {
		free(text);
		text = import_format("there is more to tell than %d lines", NOTES_MAX);
		parameter = "and so on";
		connector = IMPORT_WHOLE;
	}
	note = find(import, parameter, text);
	if (note || import->note_count > NOTES_MAX) {
		free(text);
	} else {
		import->notes =
			import_grow(import->notes, import->note_count, sizeof(*import->notes));
		note = &import->notes[import->note_count++];
		*note = (struct import_note){.parameter = import_copy(parameter, strlen(parameter)),
					     .text = text};
	}
	if (!note || connector == IMPORT_WHOLE || import_note_concerns(note, connector))
		return;
	note->connectors = import_grow(note->connectors, note->count, sizeof(*note->connectors));
	note->connectors[note->count++] = connector;
}

void import_error(struct import *import, unsigned connector, const char *parameter,
		  const char *format, ...)
{
	char quote[DIAGNOSTICS_QUOTE_MAX];
	va_list arguments;
	char *text;

	va_start(arguments, format);
	text = format_text(format, arguments);
	va_end(arguments);
	import->errors++;
	if (connector == IMPORT_WHOLE)
		fprintf(stderr, "relaygate: %s: %s\n", parameter, text);
	else
		fprintf(stderr, "relaygate: %s: connector %s: %s: %s\n", import->options->file,
			diagnostics_quote(import->connectors[connector].origin, quote), parameter,
			text);
	free(text);
}

// Names in one line; the file has all of them.
#define NAMES_MAX 8

void import_notes_print(const struct import *import, FILE *stream)
{
	char quote[DIAGNOSTICS_QUOTE_MAX];

	for (unsigned i = 0; i < import->note_count; i++) {
		const struct import_note *note = &import->notes[i];

		for (unsigned j = 0; j < note->count && j < NAMES_MAX; j++)
			fprintf(stream, "%s%s", j ? ", " : "connector ",
				diagnostics_quote(import->connectors[note->connectors[j]].origin,
						  quote));
		if (note->count > NAMES_MAX)
			fprintf(stream, " and %u more", note->count - NAMES_MAX);
		fprintf(stream, "%s%s: %s (warning)\n", note->count ? ": " : "", note->parameter,
			note->text);
	}
}

void import_notes_fini(struct import *import)
{
	for (unsigned i = 0; i < import->note_count; i++) {
		free(import->notes[i].parameter);
		free(import->notes[i].text);
		free(import->notes[i].connectors);
	}
	free(import->notes);
	import->notes = NULL;
	import->note_count = 0;
}
