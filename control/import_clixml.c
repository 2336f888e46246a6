// SPDX-License-Identifier: BSD-3-Clause
//
// The output of Export-Clixml -> tree (MS-PSRP, section 2.2.5: serialization of objects). expat
// parses. A document type is refused, and with it every entity but XML's own five; types of .NET,
// dictionaries and binary data are skipped: no export of ours needs them.
#include "control/import_value.h"

#include <errno.h>
#include <expat.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// What an element is to the tree.
enum role {
	ROLE_SKIP,      // with all that is in it
	ROLE_ROOT,      // Objs
	ROLE_OBJECT,    // Obj
	ROLE_MEMBERS,   // Props, MS: its elements belong to the object around it
	ROLE_ITEMS,     // LST and its like: the object around it is a list of its elements
	ROLE_TO_STRING, // ToString: text of the object around it
	ROLE_REFERENCE, // Ref
	ROLE_SCALAR,
};

static const struct element {
	const char *name;
	enum role role;
	enum import_kind kind;
} elements[] = {
	{"Objs", ROLE_ROOT, IMPORT_LIST},
	{"Obj", ROLE_OBJECT, IMPORT_OBJECT},
	{"Props", ROLE_MEMBERS, IMPORT_OBJECT},
	{"MS", ROLE_MEMBERS, IMPORT_OBJECT},
	{"LST", ROLE_ITEMS, IMPORT_LIST},
	{"IE", ROLE_ITEMS, IMPORT_LIST},
	{"QUE", ROLE_ITEMS, IMPORT_LIST},
	{"STK", ROLE_ITEMS, IMPORT_LIST},
	{"ToString", ROLE_TO_STRING, IMPORT_TEXT},
	{"Ref", ROLE_REFERENCE, IMPORT_NULL},
	{"Nil", ROLE_SCALAR, IMPORT_NULL},
	{"B", ROLE_SCALAR, IMPORT_BOOLEAN},
	{"By", ROLE_SCALAR, IMPORT_NUMBER},
	{"SB", ROLE_SCALAR, IMPORT_NUMBER},
	{"I16", ROLE_SCALAR, IMPORT_NUMBER},
	{"U16", ROLE_SCALAR, IMPORT_NUMBER},
	{"I32", ROLE_SCALAR, IMPORT_NUMBER},
	{"U32", ROLE_SCALAR, IMPORT_NUMBER},
	{"I64", ROLE_SCALAR, IMPORT_NUMBER},
	{"U64", ROLE_SCALAR, IMPORT_NUMBER},
	{"Sg", ROLE_SCALAR, IMPORT_NUMBER},
	{"Db", ROLE_SCALAR, IMPORT_NUMBER},
	{"D", ROLE_SCALAR, IMPORT_NUMBER},
	{"S", ROLE_SCALAR, IMPORT_TEXT},
	{"C", ROLE_SCALAR, IMPORT_TEXT},
	{"TS", ROLE_SCALAR, IMPORT_TEXT}, // a time span as ISO 8601: PT10M
	{"DT", ROLE_SCALAR, IMPORT_TEXT},
	{"G", ROLE_SCALAR, IMPORT_TEXT},
	{"URI", ROLE_SCALAR, IMPORT_TEXT},
	{"Version", ROLE_SCALAR, IMPORT_TEXT},
};

// An element that is open.
struct level {
	enum role role;
	struct import_value *value; // that its elements belong to
	unsigned reference;         // its RefId, or NO_REFERENCE
};
#define NO_REFERENCE UINT_MAX

struct reference {
	struct import_value *value;
	bool closed; // complete: may be referred to
};

struct reader {
	XML_Parser parser;
	struct import_tree *tree;
	struct import_fault *fault;
	bool failed;
	struct level levels[IMPORT_DEPTH_MAX];
	unsigned depth, skipped; // open levels; and of them, skipped elements below
	char *text;              // of the scalar that is open
	size_t length, room;
	struct reference *references; // by RefId, which counts from 0
	unsigned reference_count;
};

static void fail(struct reader *reader, const char *text)
{
	if (reader->failed)
		return;
	reader->failed = true;
	snprintf(reader->fault->text, sizeof(reader->fault->text), "%s", text);
	XML_StopParser(reader->parser, XML_FALSE);
}

static const struct element *find_element(const char *name)
{
	for (size_t i = 0; i < sizeof(elements) / sizeof(elements[0]); i++)
		if (strcmp(elements[i].name, name) == 0)
			return &elements[i];
	return NULL;
}

static const char *attribute(const char **attributes, const char *name)
{
	for (; attributes[0]; attributes += 2)
		if (strcmp(attributes[0], name) == 0)
			return attributes[1];
	return NULL;
}

// RefIds count the objects of the file, so none can be larger than the bound of the tree.
static bool reference_number(const char *text, unsigned *out)
{
	char *end;
	unsigned long number;

	if (!text || text[0] < '0' || text[0] > '9')
		return false;
	number = strtoul(text, &end, 10);
	*out = (unsigned)number;
	return *end == '\0' && number < IMPORT_NODES_MAX;
}

// The number of an object that has one, from now on known.
static unsigned remember(struct reader *reader, const char *id, struct import_value *value)
{
	unsigned number;

	if (!reference_number(id, &number))
		return NO_REFERENCE;
	while (reader->reference_count <= number) {
		reader->references = import_grow(reader->references, reader->reference_count,
						 sizeof(*reader->references));
		reader->references[reader->reference_count++] = (struct reference){0};
	}
	reader->references[number] = (struct reference){value, false};
	return number;
}

static void refer(struct reader *reader, struct import_value *parent, const char **attributes)
{
	const char *name = attribute(attributes, "N");
	struct import_value *added;
	unsigned number;

	if (reference_number(attribute(attributes, "RefId"), &number) &&
	    number < reader->reference_count && reader->references[number].closed)
		added = import_value_copy(reader->tree, parent, reader->references[number].value,
					  name);
	else // to an object that it stands in, or to none
		added = import_value_add(reader->tree, parent, IMPORT_NULL, name);
	if (!added)
		fail(reader, "more values than this command takes");
}

// ---- Elements --------------------------------------------------------------------------------

static void start_value(struct reader *reader, const struct element *element,
			struct import_value *around, const char **attributes)
{
	struct import_value *value =
		import_value_add(reader->tree, around, element->kind, attribute(attributes, "N"));

	if (!value) {
		fail(reader, "more values than this command takes");
		return;
	}
	reader->levels[reader->depth++] =
		(struct level){element->role, value,
			       element->role == ROLE_OBJECT
				       ? remember(reader, attribute(attributes, "RefId"), value)
				       : NO_REFERENCE};
}

static void on_start(void *context, const char *name, const char **attributes)
{
	struct reader *reader = context;
	const struct element *element = find_element(name);
	struct import_value *around =
		reader->depth ? reader->levels[reader->depth - 1].value : NULL;

	if (reader->failed || reader->skipped) {
		reader->skipped++;
		return;
	}
	if ((reader->depth == 0) != (element && element->role == ROLE_ROOT)) {
		fail(reader, "not the output of Export-Clixml: <Objs> is wanted, once, around all");
		return;
	}
	if (reader->depth == IMPORT_DEPTH_MAX) {
		fail(reader, "more elements inside one another than any export has");
		return;
	}
	reader->length = 0;
	if (!element ||
	    (reader->depth && reader->levels[reader->depth - 1].role >= ROLE_TO_STRING)) {
		reader->skipped = 1;
	} else if (element->role == ROLE_REFERENCE) {
		refer(reader, around, attributes);
		reader->levels[reader->depth++] =
			(struct level){ROLE_REFERENCE, around, NO_REFERENCE};
	} else if (element->role == ROLE_MEMBERS || element->role == ROLE_ITEMS ||
		   element->role == ROLE_TO_STRING) {
		if (element->role == ROLE_ITEMS && reader->depth > 1)
			around->kind = IMPORT_LIST;
		reader->levels[reader->depth++] =
			(struct level){element->role, around, NO_REFERENCE};
	} else {
		start_value(reader, element, around, attributes);
	}
}

static void on_text(void *context, const char *bytes, int length)
{
	struct reader *reader = context;

	if (reader->failed || reader->skipped || !reader->depth ||
	    reader->levels[reader->depth - 1].role < ROLE_TO_STRING)
		return;
	// A file is bounded, and so is what of it stands between two tags.
	while (reader->room < reader->length + (size_t)length) {
		reader->room = reader->room ? 2 * reader->room : 256;
		reader->text = realloc(reader->text, reader->room);
		if (!reader->text) {
			reader->room = reader->length = 0;
			fail(reader, "out of memory");
			return;
		}
	}
	memcpy(reader->text + reader->length, bytes, (size_t)length);
	reader->length += (size_t)length;
}

#define ESCAPE_BYTES 7

// The value of _xHHHH_ at a text's beginning, -1 when there is none.
static long escape(const char *text, size_t length)
{
	char digits[5] = {0};

	if (length < ESCAPE_BYTES || text[0] != '_' || text[1] != 'x' || text[6] != '_' ||
	    strspn(memcpy(digits, text + 2, 4), "0123456789abcdefABCDEF") != 4)
		return -1;
	return strtol(digits, NULL, 16);
}

// The character that two halves of a pair stand for, 0 when they are none.
static long joined(long high, long low)
{
	if (high < 0xd800 || high > 0xdbff || low < 0xdc00 || low > 0xdfff)
		return 0;
	return 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
}

static size_t put_utf8(char *out, long code)
{
	if (code == 0 || (code >= 0xd800 && code < 0xe000))
		code = 0xfffd; // NUL and half a pair are no text
	if (code < 0x80) {
		out[0] = (char)code;
		return 1;
	}
	if (code < 0x800) {
		out[0] = (char)(0xc0 | code >> 6);
		out[1] = (char)(0x80 | (code & 0x3f));
		return 2;
	}
	if (code < 0x10000) {
		out[0] = (char)(0xe0 | code >> 12);
		out[1] = (char)(0x80 | (code >> 6 & 0x3f));
		out[2] = (char)(0x80 | (code & 0x3f));
		return 3;
	}
	out[0] = (char)(0xf0 | code >> 18);
	out[1] = (char)(0x80 | (code >> 12 & 0x3f));
	out[2] = (char)(0x80 | (code >> 6 & 0x3f));
	out[3] = (char)(0x80 | (code & 0x3f));
	return 4;
}

// What XML cannot hold is written as _xHHHH_, and each half of a pair; it never becomes longer than
// that.
static void unescape(struct reader *reader)
{
	size_t used = 0;

	for (size_t i = 0; i < reader->length;) {
		long code = escape(reader->text + i, reader->length - i), pair;

		if (code < 0) {
			reader->text[used++] = reader->text[i++];
			continue;
		}
		i += ESCAPE_BYTES;
		pair = joined(code, escape(reader->text + i, reader->length - i));
		if (pair)
			i += ESCAPE_BYTES;
		used += put_utf8(reader->text + used, pair ? pair : code);
	}
	reader->length = used;
}

static void end_text(struct reader *reader, struct import_value *value)
{
	unescape(reader);
	if (import_value_set_text(reader->tree, value, reader->text ? reader->text : "",
				  reader->length))
		fail(reader, "more text than this command takes");
}

// A value without a name that stands in an object, not in a list, is what the object wraps: a
// number of an enumeration, or a text with properties of its own.
static void unwrap(struct import_value *object)
{
	struct import_value *inner = object->last;

	if (object->kind != IMPORT_OBJECT || !inner || inner->name || inner->first)
		return;
	if (!object->text && inner->text) {
		object->text = inner->text;
		inner->text = NULL;
	}
	inner->kind = IMPORT_NULL;
}

static void on_end(void *context, const char *name)
{
	struct reader *reader = context;
	struct level level;

	if (reader->failed || reader->skipped) {
		reader->skipped -= reader->skipped > 0;
		return;
	}
	level = reader->levels[--reader->depth];
	if (level.role == ROLE_TO_STRING ||
	    (level.role == ROLE_SCALAR && level.value->kind != IMPORT_NULL))
		end_text(reader, level.value);
	if (level.role == ROLE_SCALAR && reader->depth > 1 &&
	    reader->levels[reader->depth - 1].role == ROLE_OBJECT)
		unwrap(reader->levels[reader->depth - 1].value);
	if (level.reference != NO_REFERENCE)
		reader->references[level.reference].closed = true;
	reader->length = 0;
}

static void on_document_type(void *context, const char *name, const char *system_id,
			     const char *public_id, int internal)
{
	fail(context, "a document type (<!DOCTYPE>) has no place in an export");
}

int import_clixml(const char *bytes, size_t length, struct import_tree *tree,
		  struct import_fault *fault)
{
	struct reader reader = {.tree = tree, .fault = fault};
	enum XML_Status status;

	// The bytes are UTF-8 by now, whatever the declaration says.
	reader.parser = XML_ParserCreate("UTF-8");
	if (!reader.parser) {
		snprintf(fault->text, sizeof(fault->text), "out of memory");
		return -1;
	}
	XML_SetUserData(reader.parser, &reader);
	XML_SetElementHandler(reader.parser, on_start, on_end);
	XML_SetCharacterDataHandler(reader.parser, on_text);
	XML_SetStartDoctypeDeclHandler(reader.parser, on_document_type);
	status = XML_Parse(reader.parser, bytes, (int)length, 1);
	if (status != XML_STATUS_OK) {
		if (!reader.failed)
			snprintf(fault->text, sizeof(fault->text), "not XML: %s",
				 XML_ErrorString(XML_GetErrorCode(reader.parser)));
		fault->line = XML_GetCurrentLineNumber(reader.parser);
		fault->column = XML_GetCurrentColumnNumber(reader.parser) + 1;
	}
	XML_ParserFree(reader.parser);
	free(reader.references);
	free(reader.text);
	return status == XML_STATUS_OK ? 0 : -1;
}
