// SPDX-License-Identifier: BSD-3-Clause
//
// The output of ConvertTo-Json -> tree. json-c parses, strictly; here its objects are taken over
// and its errors get a line and a column.
#include "control/import_value.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>

static void place(struct import_fault *fault, const char *bytes, size_t offset)
{
	fault->line = 1;
	fault->column = 1;
	for (size_t i = 0; i < offset; i++) {
		fault->column++;
		if (bytes[i] == '\n') {
			fault->line++;
			fault->column = 1;
		}
	}
}

static int add(struct import_tree *tree, struct import_value *parent, const char *name,
	       struct json_object *object);

static int add_scalar(struct import_tree *tree, struct import_value *parent, const char *name,
		      struct json_object *object)
{
	static const enum import_kind kinds[] = {
		[json_type_boolean] = IMPORT_BOOLEAN, [json_type_double] = IMPORT_NUMBER,
		[json_type_int] = IMPORT_NUMBER,      [json_type_string] = IMPORT_TEXT,
		[json_type_null] = IMPORT_NULL,
	};
	enum json_type type = json_object_get_type(object);
	struct import_value *value = import_value_add(tree, parent, kinds[type], name);
	const char *text;
	size_t length;

	if (!value)
		return -E2BIG;
	if (type == json_type_null)
		return 0;
	text = json_object_get_string(object);
	length = strlen(text);
	// A NUL would hide what follows it.
	if (type == json_type_string && length != (size_t)json_object_get_string_len(object))
		return -EILSEQ;
	return import_value_set_text(tree, value, text, length);
}

static int add_array(struct import_tree *tree, struct import_value *parent, const char *name,
		     struct json_object *object)
{
	struct import_value *value = import_value_add(tree, parent, IMPORT_LIST, name);
	int status = value ? 0 : -E2BIG;

	for (size_t i = 0; i < json_object_array_length(object) && !status; i++)
		status = add(tree, value, NULL, json_object_array_get_idx(object, i));
	return status;
}

static int add(struct import_tree *tree, struct import_value *parent, const char *name,
	       struct json_object *object)
{
	struct json_object_iterator at, end;
	struct import_value *value;
	int status = 0;

	if (json_object_is_type(object, json_type_array))
		return add_array(tree, parent, name, object);
	if (!json_object_is_type(object, json_type_object))
		return add_scalar(tree, parent, name, object);
	value = import_value_add(tree, parent, IMPORT_OBJECT, name);
	if (!value)
		return -E2BIG;
	at = json_object_iter_begin(object);
	end = json_object_iter_end(object);
	while (!status && !json_object_iter_equal(&at, &end)) {
		status = add(tree, value, json_object_iter_peek_name(&at),
			     json_object_iter_peek_value(&at));
		json_object_iter_next(&at);
	}
	return status;
}

// Names the fault of a parse that ended at an offset.
static int parse_fault(struct json_tokener *tokener, const char *bytes, size_t length, size_t end,
		       struct import_fault *fault)
{
	enum json_tokener_error error = json_tokener_get_error(tokener);

	if (error == json_tokener_success) {
		while (end < length && strchr(" \t\r\n", bytes[end]) && bytes[end])
			end++;
		if (end == length)
			return 0;
		snprintf(fault->text, sizeof(fault->text), "something follows the JSON value");
	} else if (end == length) {
		snprintf(fault->text, sizeof(fault->text),
			 "the JSON ends in the middle: was the file cut?");
	} else if (error == json_tokener_error_parse_utf8_string) {
		snprintf(fault->text, sizeof(fault->text),
			 "not UTF-8: save it with Out-File -Encoding utf8");
	} else if (error == json_tokener_error_depth) {
		snprintf(fault->text, sizeof(fault->text), "more than %d values inside one another",
			 IMPORT_DEPTH_MAX);
	} else {
		snprintf(fault->text, sizeof(fault->text), "not JSON: %s",
			 json_tokener_error_desc(error));
	}
	place(fault, bytes, end < length ? end : length);
	return -1;
}

int import_json(const char *bytes, size_t length, struct import_tree *tree,
		struct import_fault *fault)
{
	struct json_tokener *tokener = json_tokener_new_ex(IMPORT_DEPTH_MAX);
	struct json_object *object;
	size_t end;
	int status;

	if (!tokener) {
		snprintf(fault->text, sizeof(fault->text), "out of memory");
		return -1;
	}
	json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8 |
						JSON_TOKENER_ALLOW_TRAILING_CHARS);
	object = json_tokener_parse_ex(tokener, bytes, (int)length);
	end = json_tokener_get_parse_end(tokener);
	if (json_tokener_get_error(tokener) == json_tokener_continue) {
		// A bare number ends where something else begins.
		object = json_tokener_parse_ex(tokener, "\n", 1);
		end = length;
	}
	status = parse_fault(tokener, bytes, length, end, fault);
	json_tokener_free(tokener);
	if (!status) {
		status = add(tree, NULL, NULL, object);
		if (status)
			snprintf(fault->text, sizeof(fault->text), "%s",
				 status == -EILSEQ ? "a text with a NUL inside"
						   : "more values than this command takes");
	}
	json_object_put(object);
	return status ? -1 : 0;
}
