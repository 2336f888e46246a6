// SPDX-License-Identifier: BSD-3-Clause
//
// Tests of smtp/received: the header's form and its folds.
#include "dataplane/smtp/received.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static const char *format(struct received received, char *buffer, size_t size)
{
	const size_t length = received_format(&received, buffer, size - 1);
	buffer[length] = '\0';
	return buffer;
}

static void test_form(void **state)
{
	char buffer[1024];
	struct received received = {
		.hello = slice_of_text("client.example"),
		.literal = "192.0.2.7",
		.by = "mx.own.test",
		.protocol = "ESMTP",
		.id = "08D06729BA48D0CA",
		.date = "Tue, 2 Jan 2024 03:04:05 +0000",
	};
	assert_string_equal(format(received, buffer, sizeof(buffer)),
			    "Received: from client.example ([192.0.2.7]) by mx.own.test with ESMTP "
			    "id\r\n\t08D06729BA48D0CA; Tue, 2 Jan 2024 03:04:05 +0000\r\n");
}

// Whatever the names' lengths: words are whole, lines below 79 unless one word is longer.
static void test_folds(void **state)
{
	for (size_t hello = 1; hello <= 255; hello++) {
		for (size_t by = 1; by <= 255; by += 2) {
			char name[256], server[256], buffer[1024];
			memset(name, 'h', hello);
			memset(server, 's', by);
			server[by] = '\0';
			struct received received = {
				.hello = slice_of(name, hello),
				.literal = "IPv6:2001:db8:1111:2222:3333:4444:5555:6666",
				.by = server,
				.protocol = "SMTP",
				.id = "0000000000000001",
				.date = "Tue, 12 Jan 2024 03:04:05 +0000",
			};
			format(received, buffer, sizeof(buffer));
			for (char *line = buffer; *line;) {
				char *end = strstr(line, "\r\n");
				assert_non_null(end);
				// Folded lines begin with white space and hold a word.
				assert_true(line == buffer || (line[0] == '\t' && line[1] > ' '));
				assert_true(end - line <= 998);
				// A longer line is one word.
				if (end - line > 78)
					assert_null(memchr(line, ' ', (size_t)(end - line)));
				if (hello <= 60 && by <= 60)
					assert_true(end - line <= 78);
				line = end + 2;
			}
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_form),
		cmocka_unit_test(test_folds),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
