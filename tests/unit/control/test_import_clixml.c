// SPDX-License-Identifier: BSD-3-Clause
//
// Export-Clixml -> tree: elements, references, escapes, malformed texts with their places, every
// beginning of a text, and texts that grow.
#include "tests/unit/control/import_tree.h"

#include <stdio.h>

#define OBJS(body)                                                                                 \
	"<Objs Version=\"1.1.0.1\" "                                                               \
	"xmlns=\"http://schemas.microsoft.com/powershell/2004/04\">" body "</Objs>"

static void read_good(const char *text, struct import_tree *tree)
{
	struct import_fault fault;

	if (tree_read(import_clixml, text, strlen(text), tree, &fault))
		fail_msg("%s: %lu:%lu: %s", text, fault.line, fault.column, fault.text);
}

static void test_elements(void **state)
{
	static const struct {
		const char *element, *text; // of the value N="a"; NULL = it is not there, or null
	} rows[] = {
		{"<S N=\"a\">x</S>", "x"},
		{"<S N=\"a\"></S>", ""},
		{"<S N=\"a\"/>", ""},
		{"<S N=\"a\">x&amp;<![CDATA[<y>]]></S>", "x&<y>"},
		{"<S N=\"a\">_x0041__x000a_</S>", "A\n"},
		{"<S N=\"a\">_x00e9_</S>", "é"},
		{"<S N=\"a\">_x20AC_</S>", "€"},
		{"<S N=\"a\">_x0000_</S>", "\xef\xbf\xbd"}, // NUL is no text
		{"<S N=\"a\">_xD83D_</S>", "\xef\xbf\xbd"}, // half a pair
		{"<S N=\"a\">_xDE00_</S>", "\xef\xbf\xbd"},
		{"<S N=\"a\">_xD83D__xDE00_</S>", "😀"},
		{"<S N=\"a\">_xdbff__xdfff_</S>", "\xf4\x8f\xbf\xbf"},
		{"<S N=\"a\">_xD83D__x0041_</S>", "\xef\xbf\xbd\x41"},
		{"<S N=\"a\">_xD83D__xD83D__xDE00_</S>", "\xef\xbf\xbd😀"},
		{"<S N=\"a\">_x004_</S>", "_x004_"}, // no escape
		{"<S N=\"a\">_x00g1_</S>", "_x00g1_"},
		{"<S N=\"a\">_x004</S>", "_x004"},
		{"<S N=\"b\">xxxxxx_</S><S N=\"a\">_x0041</S>", "_x0041"},
		{"<I32 N=\"a\">-5</I32>", "-5"},
		{"<B N=\"a\">true</B>", "true"},
		{"<TS N=\"a\">PT10M</TS>", "PT10M"},
		{"<Nil N=\"a\"/>", NULL},
		{"<Nil N=\"a\">x</Nil>", NULL},
		{"<BA N=\"a\">AAAA</BA>", NULL}, // binary data is skipped
		{"<S N=\"b\">x</S>", NULL},
		// With a text of its own, with what it wraps, and with a type
		{"<Obj N=\"a\" RefId=\"1\"><TN "
		 "RefId=\"0\"><T>x</T></TN><ToString>y</ToString></Obj>",
		 "y"},
		{"<Obj N=\"a\" RefId=\"1\"><I32>16</I32></Obj>", "16"},
		{"<Obj N=\"a\" RefId=\"1\"><ToString>y</ToString><I32>16</I32></Obj>", "y"},
		{"<Obj N=\"b\" RefId=\"1\"><ToString>y</ToString></Obj><Ref N=\"a\" RefId=\"1\"/>",
		 "y"},
		{"<Ref N=\"a\" RefId=\"7\"/>", NULL}, // to nothing
		{"<Ref N=\"a\" RefId=\"0\"/>", NULL}, // to what it stands in
		{"<Ref N=\"a\" RefId=\"-1\"/>", NULL},
		{"<Ref N=\"a\" RefId=\"4294967296\"/>", NULL},
		{"<Ref N=\"a\"/>", NULL},
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		char text[1024];
		struct import_tree tree;
		const struct import_value *value;

		snprintf(text, sizeof(text), OBJS("<Obj RefId=\"0\"><Props>%s</Props></Obj>"),
			 rows[i].element);
		read_good(text, &tree);
		value = import_member(import_first_item(tree.root), "a");
		if (!rows[i].text != !(value && value->text) ||
		    (rows[i].text && strcmp(rows[i].text, value->text) != 0))
			fail_msg("%s: %s", rows[i].element,
				 value && value->text ? value->text : "(null)");
		import_tree_fini(&tree);
	}
}

static void test_lists(void **state)
{
	static const char *const rows[] = {
		"<LST><S>x</S><I32>2</I32></LST>",
		"<QUE><S>x</S><I32>2</I32></QUE>",
		"<TNRef RefId=\"0\"/><LST><S>x</S><DCT><S>no</S></DCT><I32>2</I32></LST>",
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		char text[512];
		struct import_tree tree;
		const struct import_value *item;

		snprintf(text, sizeof(text), OBJS("<Obj RefId=\"0\">%s</Obj>"), rows[i]);
		read_good(text, &tree);
		assert_int_equal(tree.root->first->kind, IMPORT_LIST);
		item = import_first_item(tree.root->first);
		assert_string_equal(item->text, "x");
		item = import_next_item(item);
		assert_string_equal(item->text, "2");
		assert_null(import_next_item(item));
		import_tree_fini(&tree);
	}
}

static void test_malformed(void **state)
{
	static const struct tree_fault rows[] = {
		{"<Objs>", "not XML: no element found", 1, 7},
		{"<Objs>\n<S>x</T></Objs>", "not XML: mismatched tag", 2, 7},
		{"<Objs><S>&e;</S></Objs>", "not XML: undefined entity", 1, 10},
		{"<Objs><S>\x01</S></Objs>", "not XML: not well-formed", 1, 10},
		{"<Objs><S>\xff</S></Objs>", "not XML: not well-formed", 1, 10},
		{"<Objs/><Objs/>", "not XML: junk after", 1, 8},
		{"<Objs a=\"1\" a=\"2\"/>", "not XML: duplicate attribute", 1, 13},
		{"<html></html>", "not the output of Export-Clixml", 1, 7},
		{"<Obj RefId=\"0\"/>", "not the output of Export-Clixml", 1, 17},
		{"<Objs><Objs/></Objs>", "not the output of Export-Clixml", 1, 14},
		{"<!DOCTYPE Objs [<!ENTITY e \"x\">]><Objs><S>&e;</S></Objs>", "document type", 1,
		 16},
		{"<!DOCTYPE Objs SYSTEM \"file:///etc/passwd\"><Objs/>", "document type", 1, 43},
	};
	tree_refuses(import_clixml, rows, COUNT(rows));
}

static void test_cut_everywhere(void **state)
{
	tree_cut_everywhere(
		import_clixml,
		"<?xml version=\"1.0\"?>\n" OBJS(
			"<Obj RefId=\"0\"><ToString>C\xc3\xa9</ToString><Props>"
			"<S N=\"Name\">a&lt;_x000D_</S><B N=\"b\">true</B><Nil N=\"c\"/>"
			"<Obj N=\"d\" RefId=\"1\"><LST><S>0.0.0.0:25</S></LST></Obj>"
			"<Ref N=\"e\" RefId=\"1\"/></Props></Obj>"));
}

// Each object refers twice to the one before it: of 2^n values only so many are made.
static void test_references_that_double(void **state)
{
	char text[64 * 128] = "<Objs><Obj RefId=\"0\"><LST><S>x</S></LST></Obj>";
	struct import_fault fault;
	struct import_tree tree;

	for (unsigned i = 1; i < 60; i++)
		snprintf(
			text + strlen(text), 128,
			"<Obj RefId=\"%u\"><LST><Ref RefId=\"%u\"/><Ref RefId=\"%u\"/></LST></Obj>",
			i, i - 1, i - 1);
	strcat(text, "</Objs>");
	assert_int_equal(tree_read(import_clixml, text, strlen(text), &tree, &fault), -1);
	assert_non_null(strstr(fault.text, "more values"));
}

static void test_depth(void **state)
{
	char text[32 * IMPORT_DEPTH_MAX] = "<Objs>";
	struct import_fault fault;
	struct import_tree tree;

	for (unsigned i = 0; i < IMPORT_DEPTH_MAX; i++)
		strcat(text, "<Obj>");
	for (unsigned i = 0; i < IMPORT_DEPTH_MAX; i++)
		strcat(text, "</Obj>");
	strcat(text, "</Objs>");
	assert_int_equal(tree_read(import_clixml, text, strlen(text), &tree, &fault), -1);
	assert_non_null(strstr(fault.text, "inside one another"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_elements),
		cmocka_unit_test(test_lists),
		cmocka_unit_test(test_malformed),
		cmocka_unit_test(test_cut_everywhere),
		cmocka_unit_test(test_references_that_double),
		cmocka_unit_test(test_depth),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
