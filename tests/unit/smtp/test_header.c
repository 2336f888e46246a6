// SPDX-License-Identifier: BSD-3-Clause
//
// The header firewall: which fields pass with which rights, however the message is cut, and what is
// counted. The expected texts are what a reader of the message at the backend would see.
#include "dataplane/smtp/header.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <strings.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define ALL                                                                                        \
	(RIGHT_ACCEPT_HEADERS_ROUTING | RIGHT_ACCEPT_HEADERS_ORGANIZATION |                        \
	 RIGHT_ACCEPT_HEADERS_FOREST)

static const struct {
	rights_mask rights;
	const char *in, *out;
	unsigned hops, local_hops, removed;
} cases[] = {
	{0, "Subject: a\r\n\r\n", "Subject: a\r\n\r\n", 0, 0, 0},
	{0, "\r\n", "\r\n", 0, 0, 0},
	{0, "Received: by mx.example.com\r\nA: b\r\n\r\n", "A: b\r\n\r\n", 1, 1, 1},
	{ALL, "Received: by mx.example.com\r\nA: b\r\n\r\n",
	 "Received: by mx.example.com\r\nA: b\r\n\r\n", 1, 1, 0},
	// Folded: all its lines go, the next field stays.
	{0, "Received: from a\r\n\tby b\r\n ; date\r\nA: b\r\n c\r\n\r\n", "A: b\r\n c\r\n\r\n", 1,
	 0, 1},
	{0, "A: b\r\n Received: c\r\n\r\n", "A: b\r\n Received: c\r\n\r\n", 0, 0, 0},
	// Nobody's continuation: it would be one of what the gate puts before the message.
	{0, " a\r\n\t\r\n b\r\nA: b\r\n c\r\n\r\n", "A: b\r\n c\r\n\r\n", 0, 0, 0},
	{ALL, ". a\r\n.\tb\r\n c\rA: b\r\n\r\n", "A: b\r\n\r\n", 0, 0, 0},
	{ALL, "\ta\r\n\r\n", "\r\n", 0, 0, 0},
	{0, "rEcEiVeD: x\r\n\r\n", "\r\n", 1, 0, 1},
	{0, "Received : x\r\n\r\n", "\r\n", 1, 0, 1},
	{0, "Received \t : x\r\n\r\n", "\r\n", 1, 0, 1},
	{0, "Received                                          : x\r\n\r\n", "\r\n", 1, 0, 1},
	{0, "Received\r\n\r\n", "\r\n", 1, 0, 1}, // no colon: some readers may take it
	{0, "Received-SPF: pass\r\n\r\n", "Received-SPF: pass\r\n\r\n", 0, 0, 0},
	{0, "Receive: x\r\n\r\n", "Receive: x\r\n\r\n", 0, 0, 0},
	{0, "Received x: y\r\n\r\n", "Received x: y\r\n\r\n", 0, 0, 0},
	{0, "R\r\n\r\n", "R\r\n\r\n", 0, 0, 0},
	{RIGHT_ACCEPT_HEADERS_ORGANIZATION | RIGHT_ACCEPT_HEADERS_FOREST,
	 "Resent-Date: 1\r\nResent-From: 2\r\nResent-Sender: 3\r\nResent-To: 4\r\nResent-Cc: 5\r\n"
	 "Resent-Bcc: 6\r\nResent-Message-ID: 7\r\nResent-Reply-To: 8\r\n\r\n",
	 "Resent-Reply-To: 8\r\n\r\n", 0, 0, 7},
	{RIGHT_ACCEPT_HEADERS_ROUTING,
	 "X-MS-Exchange-Organization-AuthAs: Internal\r\nX-MS-Exchange-Forest-Foo: 1\r\n"
	 "x-ms-exchange-organization-scl: -1\r\nX-MS-Exchange-Organizatio: 1\r\n"
	 "X-MS-Exchange-Organization: 2\r\nX-MS-Exchange-Organization-: 3\r\n\r\n",
	 "X-MS-Exchange-Organizatio: 1\r\nX-MS-Exchange-Organization: 2\r\n\r\n", 0, 0, 4},
	{RIGHT_ACCEPT_HEADERS_ORGANIZATION,
	 "X-MS-Exchange-Organization-AuthAs: Internal\r\nX-MS-Exchange-Forest-Foo: 1\r\n\r\n",
	 "X-MS-Exchange-Organization-AuthAs: Internal\r\n\r\n", 0, 0, 1},
	{RIGHT_ACCEPT_HEADERS_FOREST,
	 "X-MS-Exchange-Organization-AuthAs: Internal\r\nX-MS-Exchange-Forest-Foo: 1\r\n\r\n",
	 "X-MS-Exchange-Forest-Foo: 1\r\n\r\n", 0, 0, 1},
	// A malformed line ends no header for us: what follows is judged all the same.
	{0, "no header\r\nReceived: x\r\n\r\n", "no header\r\n\r\n", 1, 0, 1},
	// A stuffed dot hides nothing from whoever takes it away.
	{0, ".Received: x\r\n y\r\n. z\r\nA: b\r\n. c\r\n..Received: d\r\n\r\n",
	 "A: b\r\n. c\r\n..Received: d\r\n\r\n", 1, 0, 1},
	{0, ".X-MS-Exchange-Organization-AuthAs: Internal\r\n.\tx\r\n\r\n", "\r\n", 0, 0, 1},
	// Bare line ends, which only a body in chunks may hold.
	{0, "A: b\rReceived: x\rC: d\nReceived: y\n\n", "A: b\rC: d\n\n", 2, 0, 2},
	{ALL,
	 "Received: from b by mx.example.com with SMTP\r\nReceived: by MX.Example.COM;\r\n"
	 "Received: by\r\n mx.example.com\r\n\r\n",
	 "Received: from b by mx.example.com with SMTP\r\nReceived: by MX.Example.COM;\r\n"
	 "Received: by\r\n mx.example.com\r\n\r\n",
	 3, 3, 0},
	{ALL,
	 "Received: by mx.example.com.evil.test\r\nReceived: by xmx.example.com\r\n"
	 "Received: from standby mx.example.com\r\nReceived: by by mx.example.com\r\n"
	 "Subject: by mx.example.com \r\n\r\n",
	 "Received: by mx.example.com.evil.test\r\nReceived: by xmx.example.com\r\n"
	 "Received: from standby mx.example.com\r\nReceived: by by mx.example.com\r\n"
	 "Subject: by mx.example.com \r\n\r\n",
	 4, 0, 0},
};

struct output {
	char text[2048];
	size_t length;
};

static void append(struct output *output, struct slice slice)
{
	assert_true(output->length + slice.length < sizeof(output->text));
	memcpy(output->text + output->length, slice.data, slice.length);
	output->length += slice.length;
}

// Gives `in` in pieces of at most `most` bytes, each of one line, in blocks of their exact size.
static void filter(struct header *header, struct slice in, size_t most, struct output *output)
{
	while (in.length > 0 && !header_ended(header)) {
		size_t length = 0;
		struct slice before, passed;
		uint8_t *block;

		while (length < in.length && length < most) {
			uint8_t c = in.data[length++];

			if (c == '\n' ||
			    (c == '\r' && (length == in.length || in.data[length] != '\n')))
				break;
		}
		block = malloc(length);
		memcpy(block, in.data, length);
		header_input(header, slice_of(block, length), "mx.example.com", &before, &passed);
		append(output, before);
		append(output, passed);
		free(block);
		in = slice_from(in, length);
	}
}

static void test_cases(void **state)
{
	for (size_t i = 0; i < COUNT(cases); i++) {
		size_t length = strlen(cases[i].in);

		for (size_t most = 1; most <= length; most++) {
			struct header header;
			struct output output = {.length = 0};

			header_init(&header, cases[i].rights);
			filter(&header, slice_of(cases[i].in, length), most, &output);
			output.text[output.length] = '\0';
			if (strcmp(output.text, cases[i].out) != 0)
				fail_msg("case %zu, pieces of %zu:\n%s\nnot\n%s", i, most,
					 output.text, cases[i].out);
			assert_true(header_ended(&header));
			assert_int_equal(header.hops, cases[i].hops);
			assert_int_equal(header.local_hops, cases[i].local_hops);
			assert_int_equal(header.removed, cases[i].removed);
			assert_int_equal(header.octets, length);
		}
	}
}

// The plain reading, line by line, of headers drawn from pieces that are near the edges.
static void test_against_a_slow_twin(void **state)
{
	static const char *const pieces[] = {
		"Received",
		"X-MS-Exchange-Organization-",
		"X-MS-Exchange-Forest-a",
		"Resent-To",
		"Subject",
		":",
		" ",
		"\t",
		"by mx.example.com",
		"\r\n",
		"\r\n",
		"\r\n ",
		"X",
		"R",
		"Received:",
	};
	static const char *const removed[] = {"received", "resent-to"};
	static const char *const beginnings[] = {"x-ms-exchange-organization-",
						 "x-ms-exchange-forest-"};

	srandom(7);
	for (unsigned round = 0; round < 20000; round++) {
		char in[512] = "";
		struct header header;
		struct output output = {.length = 0}, expected = {.length = 0};
		bool gone = true; // nobody's continuation
		unsigned count = 1 + (unsigned)random() % 12;

		for (unsigned i = 0; i < count; i++)
			strcat(in, pieces[(unsigned)random() % COUNT(pieces)]);
		strcat(in, "\r\n\r\n");
		for (char *line = in, *end; (end = strstr(line, "\r\n")) != NULL; line = end + 2) {
			size_t length = (size_t)(end - line), name = 0;

			if (length == 0)
				gone = false;
			else if (line[0] != ' ' && line[0] != '\t') {
				gone = false;
				while (name < length && line[name] != ':')
					name++;
				while (name > 0 &&
				       (line[name - 1] == ' ' || line[name - 1] == '\t'))
					name--;
				for (size_t i = 0; i < COUNT(removed); i++)
					gone |= name == strlen(removed[i]) &&
						strncasecmp(line, removed[i], name) == 0;
				for (size_t i = 0; i < COUNT(beginnings); i++)
					gone |= strncasecmp(line, beginnings[i],
							    strlen(beginnings[i])) == 0;
			}
			if (!gone)
				append(&expected, slice_of(line, length + 2));
			if (length == 0)
				break;
		}
		header_init(&header, 0);
		filter(&header, slice_of(in, strlen(in)), 1 + (unsigned)random() % 40, &output);
		output.text[output.length] = expected.text[expected.length] = '\0';
		if (strcmp(output.text, expected.text) != 0)
			fail_msg("%s\ngave\n%s\nnot\n%s", in, output.text, expected.text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cases),
		cmocka_unit_test(test_against_a_slow_twin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
