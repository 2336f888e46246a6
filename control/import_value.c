// SPDX-License-Identifier: BSD-3-Clause
//
// The tree behind import_value.h, and the memory of the command. Bounds are counted per tree: a
// file of references to references cannot make it larger than they allow.
#include "control/import_value.h"
#include "control/commands.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

// ---- Memory ----------------------------------------------------------------------------------

static void *checked(void *memory)
{
	if (!memory) {
		fprintf(stderr, "relaygate: out of memory\n");
		exit(EXIT_WRONG);
	}
	return memory;
}

void *import_allocate(size_t size)
{
	return checked(calloc(1, size));
}

void *import_grow(void *array, size_t count, size_t size)
{
	// Doubles at powers of two.
	if (count & (count - 1))
		return array;
	return checked(reallocarray(array, count ? 2 * count : 1, size));
}

char *import_copy(const char *text, size_t length)
{
	return checked(strndup(text, length));
}

char *import_format(const char *format, ...)
{
	va_list arguments;
	char *text = NULL;

	va_start(arguments, format);
	if (vasprintf(&text, format, arguments) < 0)
		text = NULL;
	va_end(arguments);
	return checked(text);
}

// ---- The tree --------------------------------------------------------------------------------

struct import_value *import_value_add(struct import_tree *tree, struct import_value *parent,
				      enum import_kind kind, const char *name)
{
	size_t length = name ? strlen(name) : 0;
	struct import_value *value;

	if (tree->nodes == IMPORT_NODES_MAX || IMPORT_BYTES_MAX - tree->bytes < length)
		return NULL;
	tree->nodes++;
	tree->bytes += length;
	value = import_allocate(sizeof(*value));
	value->kind = kind;
	value->name = name ? import_copy(name, length) : NULL;
	if (!parent)
		tree->root = value;
	else if (!parent->last)
		parent->first = value;
	else
		parent->last->next = value;
	if (parent)
		parent->last = value;
	return value;
}

int import_value_set_text(struct import_tree *tree, struct import_value *value, const char *text,
			  size_t length)
{
	if (IMPORT_BYTES_MAX - tree->bytes < length)
		return -E2BIG;
	tree->bytes += length;
	free(value->text);
	value->text = import_copy(text, length);
	return 0;
}

struct import_value *import_value_copy(struct import_tree *tree, struct import_value *parent,
				       const struct import_value *source, const char *name)
{
	struct import_value *value = import_value_add(tree, parent, source->kind, name);

	if (!value)
		return NULL;
	if (source->text && import_value_set_text(tree, value, source->text, strlen(source->text)))
		return NULL;
	for (const struct import_value *child = source->first; child; child = child->next)
		if (!import_value_copy(tree, value, child, child->name))
			return NULL;
	return value;
}

static void destroy(struct import_value *value)
{
	while (value) {
		struct import_value *next = value->next;

		destroy(value->first);
		free(value->name);
		free(value->text);
		free(value);
		value = next;
	}
}

void import_tree_fini(struct import_tree *tree)
{
	destroy(tree->root);
	*tree = (struct import_tree){0};
}

const struct import_value *import_member(const struct import_value *value, const char *name)
{
	for (const struct import_value *child = value->first; child; child = child->next)
		if (child->name && strcasecmp(child->name, name) == 0)
			return child->kind == IMPORT_NULL ? NULL : child;
	return NULL;
}

static const struct import_value *unnamed(const struct import_value *value)
{
	while (value && value->name)
		value = value->next;
	return value;
}

const struct import_value *import_first_item(const struct import_value *value)
{
	const struct import_value *wrapped;

	if (!value || value->kind == IMPORT_NULL)
		return NULL;
	if (value->kind == IMPORT_LIST)
		return unnamed(value->first);
	// Windows PowerShell 5 writes some lists as {"value": [...], "Count": n}.
	wrapped = value->kind == IMPORT_OBJECT ? import_member(value, "value") : NULL;
	if (wrapped && wrapped->kind == IMPORT_LIST && import_member(value, "Count"))
		return unnamed(wrapped->first);
	return value;
}

const struct import_value *import_next_item(const struct import_value *item)
{
	// A property that stands for a list of itself has siblings, but they are not its own.
	return item->name ? NULL : unnamed(item->next);
}
