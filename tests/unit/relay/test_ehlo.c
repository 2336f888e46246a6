// SPDX-License-Identifier: BSD-3-Clause
//
// EHLO replies of real and of odd servers.
#include "dataplane/relay/ehlo.h"
#include "dataplane/smtp/extension.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <setjmp.h>

#include <cmocka.h>
#include <stdlib.h>

#define BIT8     SMTP_EXTENSION_8BITMIME
#define PIPELINE SMTP_EXTENSION_PIPELINING
#define SIZED    SMTP_EXTENSION_SIZE
#define DSN      SMTP_EXTENSION_DSN
#define UTF8     SMTP_EXTENSION_SMTPUTF8
#define BINARY   SMTP_EXTENSION_BINARYMIME
#define CHUNKING SMTP_EXTENSION_CHUNKING

static const struct {
	const char *reply;
	unsigned extensions;
	uint64_t size;
} cases[] = {
	{"250 s\r\n", 0, 0},
	{"250\r\n", 0, 0},
	{"250-s\r\n250\r\n", 0, 0},
	{"250-s Hello [192.0.2.1]\r\n250-SIZE 37748736\r\n250-PIPELINING\r\n250-DSN\r\n"
	 "250-ENHANCEDSTATUSCODES\r\n250-8BITMIME\r\n250-BINARYMIME\r\n250 CHUNKING\r\n",
	 BIT8 | PIPELINE | SIZED | DSN | BINARY | CHUNKING, 37748736},
	{"250-s\r\n250-SMTPUTF8\r\n250 dsn\r\n", UTF8 | DSN, 0},
	{"250-s\r\n250-XLONGADDRS\r\n250 XLONGADDR\r\n", SMTP_EXTENSION_XLONGADDR, 0},
	{"250-s\r\n250-XORARS\r\n250 XORAR\r\n", SMTP_EXTENSION_XORAR, 0},
	{"250-s\r\n250-pipelining\r\n250-8BitMime\r\n250 size 5\r\n", BIT8 | PIPELINE | SIZED, 5},
	{"250-s\r\n250 SIZE\r\n", SIZED, 0},
	{"250-s\r\n250 SIZE \r\n", SIZED, 0},
	{"250-s\r\n250 SIZE 0\r\n", SIZED, 0},
	{"250-s\r\n250 SIZE 12 34\r\n", SIZED, 12},
	{"250-s\r\n250 SIZE 18446744073709551615\r\n", SIZED, UINT64_MAX},
	{"250-s\r\n250 SIZE 18446744073709551616\r\n", SIZED, 0},
	{"250-s\r\n250 SIZE 99999999999999999999999\r\n", SIZED, 0},
	{"250-s\r\n250 SIZE -1\r\n", SIZED, 0},
	{"250-s\r\n250 SIZE 10k\r\n", SIZED, 0},
	{"250-s\r\n250 SIZE=10\r\n", 0, 0},
	{"250-s\r\n250 SIZES 10\r\n", 0, 0},
	{"250-s\r\n250 SIZ\r\n", 0, 0},
	{"250-s\r\n250-PIPELINING2\r\n250 X8BITMIME\r\n", 0, 0},
	// The first line is a name and a greeting.
	{"250-PIPELINING\r\n250 8BITMIME\r\n", BIT8, 0},
	{"250 SIZE 5\r\n", 0, 0},
};

static void keywords(void **state)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		size_t length = strlen(cases[i].reply);
		uint8_t *exact = malloc(length);
		struct ehlo ehlo;

		memcpy(exact, cases[i].reply, length);
		ehlo = ehlo_parse(slice_of(exact, length));
		free(exact);
		if (ehlo.extensions != cases[i].extensions || ehlo.size != cases[i].size)
			fail_msg("%s: %#x, %llu", cases[i].reply, ehlo.extensions,
				 (unsigned long long)ehlo.size);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(keywords)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
