// SPDX-License-Identifier: BSD-3-Clause
//
// Tests of smtp/foreign: first lines of other protocols, and of mail clients that look alike.
#include "dataplane/smtp/foreign.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void test_lines(void **state)
{
	static const struct {
		const char *line;
		bool foreign;
	} lines[] = {
		{"GET / HTTP/1.0", true},
		{"get / http/1.1", true},
		{"GET /", true},
		{"POST /a HTTP/1.1", true},
		{"CONNECT mx.own.test:25 HTTP/1.1", true},
		{"OPTIONS * HTTP/1.1", true},
		{"PROPFIND / HTTP/1.1", true},
		{"PRI * HTTP/2.0", true},
		{"SSH-2.0-OpenSSH_9.2", true},
		{"\x16\x03\x01", true},
		{"\x16\x03", true},
		{"\x16", false},
		{"", false},
		{"GET", false},
		{"GETX / ", false},
		{"EHLO client", false},
		{"HEADER", false},
		{"MAIL FROM:<a@b>", false},
		{"HTTP/1.", false},
		{"HELO HTTP/x.1", false},
	};
	for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++)
		if (foreign_protocol(slice_of_text(lines[i].line)) != lines[i].foreign)
			fail_msg("%s", lines[i].line);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_lines)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
