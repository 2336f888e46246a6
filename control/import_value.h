// SPDX-License-Identifier: BSD-3-Clause
//
// The tree that both forms of an export (ConvertTo-Json, Export-Clixml) become: null, boolean,
// number, text, list, object, with the names that PowerShell gives to an object's properties. How
// big it may grow is bounded here, whatever the file repeats or refers to.
// Knows nothing of connectors; what the values mean is in import_read.h.
#ifndef RELAYGATE_CONTROL_IMPORT_VALUE_H
#define RELAYGATE_CONTROL_IMPORT_VALUE_H

#include <stddef.h>

#define IMPORT_FILE_MAX  (64u << 20)  // bytes of a file
#define IMPORT_NODES_MAX 2000000u     // values of a tree
#define IMPORT_BYTES_MAX (256u << 20) // bytes of all its texts
#define IMPORT_DEPTH_MAX 128          // objects inside one another

enum import_kind {
	IMPORT_NULL,
	IMPORT_BOOLEAN,
	IMPORT_NUMBER,
	IMPORT_TEXT,
	IMPORT_LIST,
	IMPORT_OBJECT,
};

struct import_value {
	enum import_kind kind;
	char *name; // of the property, NULL for an item of a list
	char *text; // as written; "true" or "false"; of an object or list, what ToString() gave, or
		    // NULL
	struct import_value *first, *last, *next; // properties and items; the next of its parent's
};

struct import_tree {
	struct import_value *root;
	unsigned nodes;
	size_t bytes;
};

// A new value at the end of parent's (the root when parent is NULL). name is copied and may be
// NULL. NULL when the tree would grow beyond its bounds.
struct import_value *import_value_add(struct import_tree *tree, struct import_value *parent,
				      enum import_kind kind, const char *name);
// Its text; -E2BIG beyond the bounds of the tree.
int import_value_set_text(struct import_tree *tree, struct import_value *value, const char *text,
			  size_t length);
// A copy of `source`, with another name, at the end of parent's; NULL beyond the bounds.
struct import_value *import_value_copy(struct import_tree *tree, struct import_value *parent,
				       const struct import_value *source, const char *name);
void import_tree_fini(struct import_tree *tree);

// The property of that name, without regard to case, unless it is null; NULL when there is none.
const struct import_value *import_member(const struct import_value *value, const char *name);
// The first item of a list, and the one behind an item: NULL at the end. A value that is no list
// counts as a list of itself, as PowerShell unrolls lists of one; null as an empty one.
const struct import_value *import_first_item(const struct import_value *value);
const struct import_value *import_next_item(const struct import_value *item);

// A file's tree: JSON or CLIXML by its first character; UTF-8 or, with a byte order mark, UTF-16,
// as Windows PowerShell writes. 0, or -1 after a line on stderr that names file and place. The
// caller owns the tree.
int import_file_read(const char *path, struct import_tree *tree);

// The two forms, UTF-8 without a mark; on failure -1 with a text for a person and where it is.
struct import_fault {
	char text[256];
	unsigned long line, column; // from 1; 0 = not known
};
int import_json(const char *bytes, size_t length, struct import_tree *tree,
		struct import_fault *fault);
int import_clixml(const char *bytes, size_t length, struct import_tree *tree,
		  struct import_fault *fault);

// Memory of a command that reads, writes and ends: out of it, the process says so and exits.
void *import_allocate(size_t size); // zeroed
void *import_grow(void *array, size_t count, size_t size);
char *import_copy(const char *text, size_t length);
char *import_format(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
