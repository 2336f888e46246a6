// SPDX-License-Identifier: BSD-3-Clause
//
// ConvertTo-Json -> tree: kinds and texts of values, malformed texts with their places, every
// beginning of a text, bounds.
#include "tests/unit/control/import_tree.h"

static void test_kinds(void **state)
{
	static const char text[] = "{\"a\": null, \"B\": true, \"c\": -12, \"d\": 1.5, \"e\": "
				   "\"x\\u00e9\\n\", \"f\": [1, [], {}], \"g\": {\"h\": \"\"}}";
	static const struct {
		const char *name;
		enum import_kind kind;
		const char *text;
	} rows[] = {
		{"a", IMPORT_NULL, NULL},    {"B", IMPORT_BOOLEAN, "true"},
		{"c", IMPORT_NUMBER, "-12"}, {"d", IMPORT_NUMBER, "1.5"},
		{"e", IMPORT_TEXT, "xé\n"},  {"f", IMPORT_LIST, NULL},
		{"g", IMPORT_OBJECT, NULL},
	};
	struct import_fault fault;
	struct import_tree tree;
	size_t i = 0;

	assert_int_equal(tree_read(import_json, text, strlen(text), &tree, &fault), 0);
	assert_int_equal(tree.root->kind, IMPORT_OBJECT);
	for (const struct import_value *value = tree.root->first; value; value = value->next, i++) {
		assert_true(i < COUNT(rows));
		assert_string_equal(value->name, rows[i].name);
		assert_int_equal(value->kind, rows[i].kind);
		if (rows[i].text)
			assert_string_equal(value->text, rows[i].text);
		else
			assert_null(value->text);
	}
	assert_int_equal(i, COUNT(rows));
	// null is no property, and case does not count.
	assert_null(import_member(tree.root, "A"));
	assert_string_equal(import_member(tree.root, "b")->text, "true");
	// A list of a list is flat to nobody; what is no list counts as one of itself.
	const struct import_value *item = import_first_item(import_member(tree.root, "f"));
	assert_string_equal(item->text, "1");
	assert_int_equal(import_next_item(item)->kind, IMPORT_LIST);
	item = import_first_item(import_member(tree.root, "c"));
	assert_string_equal(item->text, "-12");
	assert_null(import_next_item(item));
	import_tree_fini(&tree);
}

static void test_malformed(void **state)
{
	static const struct tree_fault rows[] = {
		{"{", "ends in the middle", 1, 2},
		{"[1,\n2", "ends in the middle", 2, 2},
		{"\"abc", "ends in the middle", 1, 5},
		{"{\"a\": 1,}", "not JSON", 1, 9},
		{"[1 2]", "not JSON", 1, 4},
		{"{a: 1}", "not JSON", 1, 2},
		{"[01]", "not JSON", 1, 4},
		{"[.5]", "not JSON", 1, 2},
		{"[+1]", "not JSON", 1, 2},
		{"[nul]", "not JSON", 1, 5},
		{"[1] // a comment", "something follows", 1, 5},
		{"{}\n\n{}", "something follows", 3, 1},
		{"[1]]", "something follows", 1, 4},
		{"[\"\\x41\"]", "not JSON", 1, 4},
		{"[\"\xff\"]", "not UTF-8", 1, 3},
		{"[\"a\\u0000b\"]", "a NUL inside", 0, 0},
	};
	tree_refuses(import_json, rows, COUNT(rows));
}

static void test_cut_everywhere(void **state)
{
	tree_cut_everywhere(import_json,
			    "[\n{\"Name\": \"C\\u00e9\xc3\xa9\", \"Bindings\": [\"0.0.0.0:25\"], "
			    "\"Size\": {\"IsUnlimited\": false, \"Value\": 1.5e3},\r\n"
			    "\"x\": [true, false, null, -1, {}]}]");
}

static void test_bounds(void **state)
{
	char deep[2 * IMPORT_DEPTH_MAX];
	struct import_fault fault;
	struct import_tree tree;

	memset(deep, '[', IMPORT_DEPTH_MAX);
	memset(deep + IMPORT_DEPTH_MAX, ']', IMPORT_DEPTH_MAX);
	assert_int_equal(tree_read(import_json, deep, 2 * IMPORT_DEPTH_MAX, &tree, &fault), 0);
	import_tree_fini(&tree);
	deep[IMPORT_DEPTH_MAX] = '[';
	assert_int_equal(tree_read(import_json, deep, 2 * IMPORT_DEPTH_MAX, &tree, &fault), -1);
	assert_non_null(strstr(fault.text, "inside one another"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kinds),
		cmocka_unit_test(test_malformed),
		cmocka_unit_test(test_cut_everywhere),
		cmocka_unit_test(test_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
