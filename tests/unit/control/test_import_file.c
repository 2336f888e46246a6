// SPDX-License-Identifier: BSD-3-Clause
//
// A file's encoding: UTF-8 and UTF-16 of both orders, with and without their marks, give the same
// tree; cut anywhere, or with a byte too many, they are refused. So are a directory, a file that is
// not there, and one without any text.
#include "tests/unit/control/import_tree.h"

#include <stdbool.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#define TEXT "[{\"Name\": \"C\xc3\xa9\xe2\x82\xac\"}]"

// Returns what import_file_read() does; the name's text in *name, the caller's.
static int read_bytes(const char *bytes, size_t length, char **name)
{
	int descriptor = memfd_create("export", 0);
	struct import_tree tree = {0};
	char path[32];
	int status;

	assert_true(descriptor >= 0);
	assert_int_equal(write(descriptor, bytes, length), length);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", descriptor);
	status = import_file_read(path, &tree);
	*name = NULL;
	if (!status) {
		const struct import_value *value =
			import_member(import_first_item(tree.root), "Name");

		*name = value ? strdup(value->text) : NULL;
		import_tree_fini(&tree);
	}
	close(descriptor);
	return status;
}

// UTF-8 of the basic plane -> UTF-16 behind its mark.
static size_t utf16(const char *text, bool big, char *out)
{
	size_t used = 0;

	for (int code = 0xfeff; code;) {
		out[used + big] = (char)(code & 0xff);
		out[used + !big] = (char)(code >> 8);
		used += 2;
		const unsigned char c = (unsigned char)*text++;
		code = c;
		if (c >= 0xe0) {
			code = (c & 0xf) << 12 | (text[0] & 0x3f) << 6 | (text[1] & 0x3f);
			text += 2;
		} else if (c >= 0xc0) {
			code = (c & 0x1f) << 6 | (text[0] & 0x3f);
			text++;
		}
	}
	return used;
}

static void check_encoding(const char *bytes, size_t length)
{
	char longer[256], *name;

	assert_int_equal(read_bytes(bytes, length, &name), 0);
	assert_string_equal(name, "C\xc3\xa9\xe2\x82\xac");
	free(name);
	for (size_t cut = 0; cut < length; cut++)
		if (!read_bytes(bytes, cut, &name))
			fail_msg("taken: %zu bytes of %zu", cut, length);
	memcpy(longer, bytes, length);
	longer[length] = ']';
	assert_int_equal(read_bytes(longer, length + 1, &name), -1);
}

static void test_encodings(void **state)
{
	char wide[256];

	check_encoding(TEXT, strlen(TEXT));
	check_encoding("\xef\xbb\xbf" TEXT, strlen(TEXT) + 3);
	check_encoding(wide, utf16(TEXT, false, wide));
	check_encoding(wide, utf16(TEXT, true, wide));
}

static void test_no_export(void **state)
{
	static const struct {
		const char *bytes;
		size_t length;
	} rows[] = {
		{"", 0},
		{" \r\n\t", 4},
		{"\xef\xbb\xbf", 3},
		{"\xef\xbb\xbf\xef\xbb\xbf[]", 8}, // one mark is enough
		{"\xff\xfe", 2},
		{"\xff\xfe\x00\xd8", 4}, // half a pair
		{"\xfe\xff\xdc\x00\x00[", 6},
		{"\xff\xfe\x00\x00", 4},
		{"[\x00]", 3},
		{"[]\x00", 3},
		{"\x00[]", 3},
		{"\x1f\x8b\x08", 3}, // compressed
		{"PK\x03\x04", 4},
		{"Name : C\r\nBindings : {0.0.0.0:25}\r\n", 35}, // Format-List
		{"<", 1},
	};
	struct import_tree tree = {0};
	char *name;

	for (size_t i = 0; i < COUNT(rows); i++)
		if (!read_bytes(rows[i].bytes, rows[i].length, &name))
			fail_msg("row %zu: taken", i);
	assert_int_equal(import_file_read("/", &tree), -1);
	assert_int_equal(import_file_read("/nonexistent/file", &tree), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_encodings),
		cmocka_unit_test(test_no_export),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
