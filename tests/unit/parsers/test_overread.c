// SPDX-License-Identifier: BSD-3-Clause
//
// Every parser of untrusted bytes, told that its input is one byte longer than it is: the sanitizer
// build must see the read. So the same mistake inside a parser would be found by the tests that
// hand it exact-size blocks. (Frames: tests/unit/net/test_packet.c and test_discovery.c.)

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "config/load.h"
#include "config/policy.h"
#include "dataplane/relay/ehlo.h"
#include "dataplane/smtp/body.h"
#include "dataplane/smtp/foreign.h"
#include "dataplane/smtp/line.h"
#include "dataplane/smtp/parameters.h"
#include "dataplane/smtp/path.h"
#include "dataplane/smtp/reply_parser.h"
#include "dataplane/tcp/options.h"
#include "tests/unit/overread.h"

static void tcp_options(struct slice in, void *context)
{
	struct tcp_options options;

	options_parse(in, true, &options);
}

static void body(struct slice in, void *context)
{
	struct body_scan scan;
	uint8_t state;

	body_init(&state);
	body_input(&state, in, SIZE_MAX, 0, &scan);
	body_input(&state, in, SIZE_MAX, BODY_TAKE_BARE_LF, &scan);
}

static void line(struct slice in, void *context)
{
	struct line_scan result;
	struct line partial;
	struct pool chunks;

	if (chunk_pool_init(&chunks, 65536))
		_exit(0);
	line_init(&partial);
	line_input(&partial, &chunks, in, &result);
}

static void path(struct slice in, void *context)
{
	struct path parsed;
	size_t used;

	path_parse(in, &parsed, &used);
}

static void parameters(struct slice in, void *context)
{
	struct parameters out;
	struct slice culprit;

	parameters_parse(in, PARAMETERS_OF_MAIL, true, UINT_MAX, &out, &culprit);
	parameters_parse(in, PARAMETERS_OF_RCPT, true, UINT_MAX, &out, &culprit);
}

static void foreign(struct slice in, void *context)
{
	foreign_protocol(in);
}

static void hello(struct slice in, void *context)
{
	path_hello_name(in);
}

static void reply(struct slice in, void *context)
{
	struct reply_parser parser;
	size_t used;

	reply_parser_init(&parser);
	reply_parser_input(&parser, in, &used);
}

static void ehlo(struct slice in, void *context)
{
	ehlo_parse(in);
}

static void ini(struct slice in, void *context)
{
	struct diagnostics diagnostics = {0};

	policy_destroy(policy_load_bytes("t", (const char *)in.data, in.length, &diagnostics));
}

#define INPUT(text) text, sizeof(text) - 1

static const struct {
	const char *name;
	void (*parse)(struct slice in, void *context);
	const char *bytes;
	size_t length;
} parsers[] = {
	{"tcp options", tcp_options, INPUT("\x02\x04\x05\xb4")},
	{"message body", body, INPUT("hello\r\nworld")},
	{"command line", line, INPUT("NOOP argument")},
	{"path", path, INPUT("<alice@contoso.com>")},
	{"parameters", parameters, INPUT(" BODY=7BIT SIZE=100")},
	{"first line", foreign, INPUT("BREW / HTTP/1.1")},
	{"hello name", hello, INPUT("mail.contoso.com")},
	{"reply", reply, INPUT("250-mail.contoso.com")},
	{"ehlo", ehlo, INPUT("250-mail\r\n250 SIZE 1234")},
	{"ini file", ini, INPUT("[gate]\nName = mx.example.com\n")},
};

static void overreads_would_be_seen(void **state)
{
	for (unsigned i = 0; i < sizeof(parsers) / sizeof(parsers[0]); i++)
		if (!overread_is_seen(parsers[i].parse, NULL, parsers[i].bytes, parsers[i].length))
			fail_msg("%s: a byte too far went unseen", parsers[i].name);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(overreads_would_be_seen)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
