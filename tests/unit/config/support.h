// SPDX-License-Identifier: BSD-3-Clause
//
// For the tests of config/: collects what load and check tell, and finds files of the source tree.
#ifndef RELAYGATE_TESTS_CONFIG_SUPPORT_H
#define RELAYGATE_TESTS_CONFIG_SUPPORT_H

#include "config/diagnostics.h"
#include "config/load.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

// Findings, one a line: "E text\n" or "W text\n".
struct findings {
	char *text;
	size_t length, room;
	struct diagnostics diagnostics;
};

static inline void findings_add(void *context, enum diagnostic_severity severity, const char *text)
{
	struct findings *findings = context;
	char letter = severity == DIAGNOSTIC_ERROR ? 'E' : 'W';
	int length = snprintf(NULL, 0, "%c %s\n", letter, text);
	char *grown = findings->text;

	if (findings->length + (size_t)length >= findings->room) {
		findings->room = 2 * (findings->room + (size_t)length) + 1;
		grown = realloc(grown, findings->room);
	}
	if (grown == NULL)
		abort();
	snprintf(grown + findings->length, (size_t)length + 1, "%c %s\n", letter, text);
	findings->text = grown;
	findings->length += (size_t)length;
}

static inline void findings_init(struct findings *findings)
{
	memset(findings, 0, sizeof(*findings));
	findings->text = calloc(1, 1);
	findings->room = 1;
	findings->diagnostics.report = findings_add;
	findings->diagnostics.context = findings;
}

static inline void findings_fini(struct findings *findings)
{
	free(findings->text);
}

// A finding on that line of that severity whose text holds the fragment.
static inline bool findings_have(const struct findings *findings, char severity, unsigned line,
				 const char *fragment)
{
	char place[32];

	if (line != 0)
		snprintf(place, sizeof(place), ":%u: ", line);
	else
		strcpy(place, ": ");
	for (const char *at = findings->text; *at != '\0'; at = strchr(at, '\n') + 1) {
		char *copy = strndup(at, (size_t)(strchr(at, '\n') - at));
		// The text proper begins behind "E FILE:LINE: "; FILE has no ": " in it.
		char *colon = strstr(copy, ": ");
		char *start = colon;
		bool hit;

		while (start > copy && start[-1] >= '0' && start[-1] <= '9')
			start--;
		if (start > copy && start[-1] == ':' && start != colon)
			start--;
		else
			start = colon;
		hit = copy[0] == severity && strncmp(start, place, strlen(place)) == 0 &&
		      strstr(start, fragment) != NULL;
		free(copy);
		if (hit)
			return true;
	}
	return false;
}

// The source tree's file: tests run in the build root, where the compiler ran as well.
static inline char *source_path(const char *test_file, const char *path)
{
	static const char here[] = "tests/unit/config/";
	const char *end = strstr(test_file, here);
	char *text;

	assert_non_null(end);
	assert_true(asprintf(&text, "%.*s%s", (int)(end - test_file), test_file, path) > 0);
	return text;
}

static inline char *read_source(const char *test_file, const char *path)
{
	char *name = source_path(test_file, path);
	FILE *file = fopen(name, "rb");
	char *text;
	long length;

	if (file == NULL)
		fail_msg("cannot open %s", name);
	fseek(file, 0, SEEK_END);
	length = ftell(file);
	rewind(file);
	text = calloc(1, (size_t)length + 1);
	assert_int_equal(fread(text, 1, (size_t)length, file), length);
	fclose(file);
	free(name);
	return text;
}

#endif
