// SPDX-License-Identifier: BSD-3-Clause
//
// The form of the file, without any meaning: what is a section, a key, a value, on which line; and
// that nothing is cut at any length, which inih alone would do.
#include "config/reader.h"
#include "tests/unit/config/support.h"

// Writes the events down, one a line. Keys that begin with L are lists, with X are skipped.
struct script {
	char *text;
	size_t length;
};

static void script_add(struct script *script, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static void script_add(struct script *script, const char *format, ...)
{
	va_list arguments;
	char *line;
	int length;

	va_start(arguments, format);
	length = vasprintf(&line, format, arguments);
	va_end(arguments);
	assert_true(length >= 0);
	script->text = realloc(script->text, script->length + (size_t)length + 1);
	memcpy(script->text + script->length, line, (size_t)length + 1);
	script->length += (size_t)length;
	free(line);
}

static void on_section(void *context, const char *kind, const char *name, unsigned line)
{
	script_add(context, "%u section %s '%s'\n", line, kind, name);
}

static void on_broken_section(void *context)
{
	script_add(context, "broken\n");
}

static enum reader_take on_key(void *context, const char *key, unsigned line)
{
	script_add(context, "%u key %s\n", line, key);
	return key[0] == 'L' ? READER_LIST : key[0] == 'X' ? READER_SKIP : READER_SCALAR;
}

static void on_value(void *context, char *value, unsigned line)
{
	// Line ends inside a value as /.
	for (char *at = value; *at != '\0'; at++)
		if (*at == '\n')
			*at = '/';
	script_add(context, "%u value '%s'\n", line, value);
}

static void on_fault(void *context, unsigned line, const char *text)
{
	script_add(context, "%u fault %.24s\n", line, text);
}

static char *run(const char *bytes, size_t length)
{
	struct script script = {calloc(1, 1), 0};
	const struct reader_listener listener = {on_section, on_broken_section, on_key,
						 on_value,   on_fault,          &script};
	char *exact = malloc(length + (length == 0));

	memcpy(exact, bytes, length); // the sanitizer sees a read past the end
	assert_int_equal(reader_run(exact, length, &listener), 0);
	free(exact);
	return script.text;
}

static const struct {
	const char *text;
	const char *events;
} scripts[] = {
	{"[gate]\n", "1 section gate ''\n"},
	{"[gate]", "1 section gate ''\n"},
	{"[ connector  Anonymous Relay ]\n", "1 section connector 'Anonymous Relay'\n"},
	{"[a]\n[b]\n[c x]\n", "1 section a ''\n2 section b ''\n3 section c 'x'\n"},
	{"[a x=y:z]\n", "1 section a 'x=y:z'\n"},
	{"[a] ; comment\n", "1 section a ''\n"},
	{"[a]\t; comment ]\n", "1 section a ''\n"},
	{"[a];x\n", "1 fault nothing but a comment (a\nbroken\n"},
	{"k = v\n", "1 key k\n1 value 'v'\n"},
	{"k=v", "1 key k\n1 value 'v'\n"},
	{"k: v\n", "1 key k\n1 value 'v'\n"},
	{"k =\n", "1 key k\n1 value ''\n"},
	{"k = a = b : c [x]\n", "1 key k\n1 value 'a = b : c [x]'\n"},
	{"k = a;b\n", "1 key k\n1 value 'a;b'\n"},
	{"k = a ;b\n", "1 key k\n1 value 'a'\n"},
	{"k = a\t;b\n", "1 key k\n1 value 'a'\n"},
	{"k = a #b\n", "1 key k\n1 value 'a #b'\n"},
	{"# c\n; c\n\n \n\t\nk = v\n", "6 key k\n6 value 'v'\n"},
	{"  # indented comment\nk = v\n", "2 key k\n2 value 'v'\n"},
	{"k = v\r\nm = w\r\n", "1 key k\n1 value 'v'\n2 key m\n2 value 'w'\n"},
	{"\xef\xbb\xbfk = v\n", "1 key k\n1 value 'v'\n"},
	{"\xef\xbb\xbf# c\nk = v\n", "2 key k\n2 value 'v'\n"},
	{"\xef\xbb\xbf\xef\xbb\xbf[a]\nk = v\n",
	 "1 fault a byte order mark inside\nbroken\n2 key k\n2 value 'v'\n"},
	{"@ = x\n", "1 key @\n1 value 'x'\n"},
	{"[a]\n@ = x\n", "1 section a ''\n2 key @\n2 value 'x'\n"},
	{"k = <x>\n", "1 key k\n1 value '<x>'\n"},
	// Lists
	{"L = a\n  b\n\tc\n", "1 key L\n1 value 'a/  b/\tc'\n"},
	{"L =\n a\n", "1 key L\n1 value '/ a'\n"},
	{"L = a ; x\n b ; y\n ; z\n\n c\n", "1 key L\n1 value 'a/ b/// c'\n"},
	{"L = a\n# c\n b\nk = v\n", "1 key L\n1 value 'a// b'\n4 key k\n4 value 'v'\n"},
	{"L = a\r\n b\r\n", "1 key L\n1 value 'a/ b'\n"},
	{"L = a\n\n\n", "1 key L\n1 value 'a'\n"},
	{"L = a\n [::1]\n <b>\n", "1 key L\n1 value 'a/ [::1]/ <b>'\n"},
	{"L = a\n k = v\n b\n", "1 key L\n2 fault an indented line continu\n1 value 'a// b'\n"},
	{"L = a\n [b c]\nk = v\n",
	 "1 key L\n2 fault a section header must be\n1 value 'a'\nbroken\n3 key k\n3 value 'v'\n"},
	{"L = a\n\x01\n b\n", "1 key L\n2 fault the line holds a control\n1 value 'a'\n"},
	// What does not continue
	{" k = v\n", "1 fault an indented line continu\n"},
	{"k = v\n w\n", "1 key k\n2 fault an indented line continu\n1 value 'v'\n"},
	{"[a]\n w\n", "1 section a ''\n2 fault an indented line continu\n"},
	{"X = a\n b\n c = d\n", "1 key X\n"},
	// What is nothing
	{"word\n", "1 fault neither [section], Key =\n"},
	{"word\n more\nk = v\n", "1 fault neither [section], Key =\n3 key k\n3 value 'v'\n"},
	{"word ; = x\n", "1 fault neither [section], Key =\n"},
	{"= v\n", "1 fault the key before the '=' i\n"},
	{"= v\n w\n", "1 fault the key before the '=' i\n"},
	{"[a\nk = v\n", "1 fault the section header has n\nbroken\n2 key k\n2 value 'v'\n"},
	{"[]\n", "1 fault the section header is em\nbroken\n"},
	{"[a]b]\n", "1 fault nothing but a comment (a\nbroken\n"},
	{"L = a\nk \rv\n b\n", "1 key L\n2 fault a carriage return inside\n1 value 'a'\n"},
	{"", ""},
	{"\n", ""},
};

static void test_scripts(void **state)
{
	for (size_t i = 0; i < COUNT(scripts); i++) {
		char *events = run(scripts[i].text, strlen(scripts[i].text));

		if (strcmp(events, scripts[i].events) != 0)
			fail_msg("%s\ngave\n%s", scripts[i].text, events);
		free(events);
	}
}

static void test_bytes_that_no_text_has(void **state)
{
	char *events = run("k = a\0b\nm = w\n", 14);

	assert_string_equal(events, "1 fault the line holds a NUL byt\n2 key m\n2 value 'w'\n");
	free(events);
	events = run("[a\0]\nk = v\n", 11);
	assert_string_equal(events,
			    "1 fault the line holds a NUL byt\nbroken\n2 key k\n2 value 'v'\n");
	free(events);
	events = run("\xff\xfe[\0g\0", 6);
	assert_string_equal(events, "1 fault the file is UTF-16: save\n");
	free(events);
}

// Every length over inih's limits (49, 197, 200) and a few beyond, with blanks at every cut.
static void test_nothing_is_cut(void **state)
{
	static const size_t more[] = {1000, 4095, 4096, 4097, 65000, 65500};

	for (size_t i = 0; i < 1000 + COUNT(more); i++) {
		size_t length = i < 1000 ? i + 1 : more[i - 1000];
		char *text, *value = malloc(length + 1);
		char *events, *wanted;

		if (value == NULL)
			abort();

		for (size_t at = 0; at < length; at++)
			value[at] = at % 7 == 3 || at % 11 > 8 ? ' ' : (char)('a' + at % 26);
		value[0] = '<';
		value[length - 1] = '>';
		value[length] = '\0';

		assert_true(asprintf(&text, "k =  %s  \nm = w\n", value) > 0);
		events = run(text, strlen(text));
		assert_true(asprintf(&wanted, "1 key k\n1 value '%s'\n2 key m\n2 value 'w'\n",
				     value) > 0);
		assert_string_equal(events, wanted);
		free(events);
		free(wanted);

		free(text);
		assert_true(asprintf(&text, "[kind  %s ]\nm = w\n", value) > 0);
		events = run(text, strlen(text));
		assert_true(asprintf(&wanted, "1 section kind '%s'\n2 key m\n2 value 'w'\n",
				     value) > 0);
		assert_string_equal(events, wanted);
		free(events);
		free(wanted);

		free(text);
		assert_true(asprintf(&text, "L = x\n  %s\nm = w\n", value) > 0);
		events = run(text, strlen(text));
		assert_true(asprintf(&wanted, "1 key L\n1 value 'x/  %s'\n3 key m\n3 value 'w'\n",
				     value) > 0);
		assert_string_equal(events, wanted);
		free(events);
		free(wanted);
		free(text);
		free(value);
	}
}

static void test_line_limit(void **state)
{
	char *text = malloc((1 << 20) + 16);
	char *events;

	memset(text, 'x', 1 << 20);
	memcpy(text, "k = ", 4);
	text[READER_LINE_MAX] = '\n';
	text[READER_LINE_MAX + 1] = '\0';
	events = run(text, strlen(text)); // exactly the limit
	assert_int_equal(strncmp(events, "1 key k\n1 value 'xxx", 20), 0);
	assert_int_equal(strlen(events), READER_LINE_MAX - 4 + strlen("1 key k\n1 value ''\n"));
	free(events);

	text[READER_LINE_MAX] = 'x';
	text[READER_LINE_MAX + 1] = 'x';
	strcpy(text + (1 << 20), "\nm = w\n");
	events = run(text, strlen(text)); // 1 MiB in one line
	assert_string_equal(events, "1 fault the line is longer than \n2 key m\n2 value 'w'\n");
	free(events);
	free(text);
}

static void test_long_keys(void **state)
{
	char text[1000], wanted[1000];
	char *events;

	// A key that inih would cut in its memory of the name, with continuation lines behind it.
	memset(text, 'L', 60);
	strcpy(text + 60, " = a\n b\n");
	events = run(text, strlen(text));
	snprintf(wanted, sizeof(wanted), "1 key %.60s\n1 value 'a/ b'\n", text);
	assert_string_equal(events, wanted);
	free(events);

	// One whose '=' is out of inih's sight.
	memset(text, 'L', 600);
	strcpy(text + 600, " = a\n b\nk = v\n");
	events = run(text, strlen(text));
	assert_string_equal(events, "1 fault neither [section], Key =\n3 key k\n3 value 'v'\n");
	free(events);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_scripts),
		cmocka_unit_test(test_bytes_that_no_text_has),
		cmocka_unit_test(test_nothing_is_cut),
		cmocka_unit_test(test_line_limit),
		cmocka_unit_test(test_long_keys),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
