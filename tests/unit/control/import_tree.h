// SPDX-License-Identifier: BSD-3-Clause
//
// For the tests of `relaygate import`: texts in heap blocks of exactly their length (a build with
// sanitizers sees a read past them) -> trees.
#ifndef RELAYGATE_TESTS_UNIT_CONTROL_IMPORT_TREE_H
#define RELAYGATE_TESTS_UNIT_CONTROL_IMPORT_TREE_H

#include "control/import_value.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

typedef int (*tree_reader)(const char *bytes, size_t length, struct import_tree *tree,
			   struct import_fault *fault);

// As the command does: after a failure the tree is given back.
static inline int tree_read(tree_reader reader, const char *bytes, size_t length,
			    struct import_tree *tree, struct import_fault *fault)
{
	char *block = malloc(length);
	int status;

	assert_non_null(block);
	memcpy(block, bytes, length);
	*tree = (struct import_tree){0};
	*fault = (struct import_fault){0};
	status = reader(block, length, tree, fault);
	free(block);
	if (status)
		import_tree_fini(tree);
	return status;
}

// A text that is refused, with words and a place.
struct tree_fault {
	const char *text, *why;
	unsigned line, column;
};

static inline void tree_refuses(tree_reader reader, const struct tree_fault *rows, size_t count)
{
	struct import_fault fault;
	struct import_tree tree;

	for (size_t i = 0; i < count; i++) {
		if (!tree_read(reader, rows[i].text, strlen(rows[i].text), &tree, &fault))
			fail_msg("taken: %s", rows[i].text);
		if (!strstr(fault.text, rows[i].why) || fault.line != rows[i].line ||
		    fault.column != rows[i].column)
			fail_msg("%s: %lu:%lu: %s", rows[i].text, fault.line, fault.column,
				 fault.text);
	}
}

// Every beginning of a good text is refused with words, but the whole and what only lacks blanks;
// the whole with any one byte more is read, or refused with words and a place.
static inline void tree_cut_everywhere(tree_reader reader, const char *text)
{
	const size_t length = strlen(text);
	struct import_tree tree;
	struct import_fault fault;
	char *longer = malloc(length + 1);

	for (size_t cut = 1; cut < length; cut++) {
		if (!tree_read(reader, text, cut, &tree, &fault))
			fail_msg("taken: the first %zu bytes of %s", cut, text);
		assert_true(fault.text[0] && memchr(fault.text, '\0', sizeof(fault.text)));
	}
	assert_non_null(longer);
	memcpy(longer, text, length);
	for (int byte = 0; byte <= UINT8_MAX; byte++) {
		longer[length] = (char)byte;
		if (tree_read(reader, longer, length + 1, &tree, &fault)) {
			assert_true(fault.text[0] && fault.line > 0);
		} else {
			if (!byte || !strchr(" \t\r\n", byte))
				fail_msg("taken: byte %d behind %s", byte, text);
			import_tree_fini(&tree);
		}
	}
	free(longer);
}

#endif
