// SPDX-License-Identifier: BSD-3-Clause
//
// Proof that the sanitizer build would see a parser read one byte too far: a child process gives
// the parser a slice that claims one byte more than its heap block has, and must die of an
// AddressSanitizer report. Input of the tests sits in exact-size blocks for this reason; a pool, a
// stack array or an mbuf would hide the same mistake.
// Builds without AddressSanitizer have nothing to prove: overread_is_seen then answers true.
#ifndef RELAYGATE_TESTS_OVERREAD_H
#define RELAYGATE_TESTS_OVERREAD_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dataplane/base/slice.h"

#if defined(__SANITIZE_ADDRESS__)
#define OVERREAD_CHECKED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define OVERREAD_CHECKED 1
#endif
#endif
#ifndef OVERREAD_CHECKED
#define OVERREAD_CHECKED 0
#endif

// Runs parse(input, context) in a child, input claiming all length bytes while the heap block holds
// the first length - 1. True when AddressSanitizer reports the byte behind the block.
static inline bool overread_is_seen(void (*parse)(struct slice input, void *context), void *context,
				    const void *bytes, size_t length)
{
	if (!OVERREAD_CHECKED)
		return true;
	int report[2];
	if (pipe(report) < 0)
		return false;
	fflush(NULL);
	pid_t child = fork();
	if (child < 0)
		return false;
	if (child == 0) {
		dup2(report[1], STDERR_FILENO);
		uint8_t *block = malloc(length - 1);
		memcpy(block, bytes, length - 1);
		parse((struct slice){block, length}, context);
		_exit(0);
	}
	close(report[1]);
	char text[4096];
	size_t used = 0;
	ssize_t got;
	char rest[512];
	while ((got = used < sizeof(text) - 1
			      ? read(report[0], text + used, sizeof(text) - 1 - used)
			      : read(report[0], rest, sizeof(rest))) > 0) {
		if (used < sizeof(text) - 1)
			used += (size_t)got;
	}
	text[used] = '\0';
	close(report[0]);
	int status;
	waitpid(child, &status, 0);
	bool died = !(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	// the byte right behind the block; the kind of error differs with the width of the read
	return died && strstr(text, "AddressSanitizer") && strstr(text, "located 0 bytes");
}

#endif
