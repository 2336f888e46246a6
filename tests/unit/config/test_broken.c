// SPDX-License-Identifier: BSD-3-Clause
//
// The corpus of broken files in tests/system/broken: each gives exactly the errors that
// expected.txt lists, on those lines, and no policy.
#include "config/load.h"
#include "tests/unit/config/support.h"

#include <dirent.h>

static void check_file(const char *path, char *const rows[], unsigned count)
{
	struct findings findings;

	findings_init(&findings);
	assert_null(policy_load(path, &findings.diagnostics));
	for (unsigned i = 0; i < count; i++) {
		unsigned line;
		int text = 0;

		assert_int_equal(sscanf(rows[i], "%*s %u %n", &line, &text), 1);
		if (!findings_have(&findings, 'E', line, rows[i] + text))
			fail_msg("%s\ngave\n%s", rows[i], findings.text);
	}
	if (findings.diagnostics.errors != count)
		fail_msg("%s: %u errors wanted\n%s", path, count, findings.text);
	findings_fini(&findings);
}

static void test_corpus(void **state)
{
	char *expected = read_source(__FILE__, "tests/system/broken/expected.txt");
	char *directory = source_path(__FILE__, "tests/system/broken/");
	char *rows[32], *save;
	unsigned count = 0, files = 0, present = 0;
	DIR *listing = opendir(directory);

	assert_non_null(listing);
	for (struct dirent *entry; (entry = readdir(listing)) != NULL;)
		present += strstr(entry->d_name, ".ini") != NULL;
	closedir(listing);

	for (char *row = strtok_r(expected, "\n", &save); row != NULL;) {
		char *next = strtok_r(NULL, "\n", &save);
		size_t name = strcspn(row, " ");
		char *path;

		if (row[0] != '#') {
			assert_true(count < COUNT(rows));
			rows[count++] = row;
		}
		// The last row of a file: the next one has another name.
		if (count > 0 && (next == NULL || strncmp(row, next, name + 1) != 0)) {
			assert_true(asprintf(&path, "%s%.*s", directory, (int)name, row) > 0);
			check_file(path, rows, count);
			free(path);
			count = 0;
			files++;
		}
		row = next;
	}
	// Every file has its rows.
	assert_int_equal(files, present);
	assert_true(files >= 140);
	free(expected);
	free(directory);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_corpus)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
