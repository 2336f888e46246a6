// SPDX-License-Identifier: BSD-3-Clause
//
// Fuzzes `relaygate import`: hostile bytes as the export of connectors and, behind a byte 1 each,
// of permissions and of accepted domains. The whole command runs; what it prints is not looked at.
//
// runs: 2000
#include "control/commands.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FILES 3

// A file of memory with a path of its own.
static int file_of(const uint8_t *data, size_t size, char path[32])
{
	int descriptor = memfd_create("export", 0);

	if (descriptor < 0 || write(descriptor, data, size) != (ssize_t)size)
		abort();
	snprintf(path, 32, "/proc/self/fd/%d", descriptor);
	return descriptor;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct command_options options = {.output = "/dev/null"};
	const char **slots[FILES] = {&options.file, &options.permissions, &options.domains};
	char paths[FILES][32];
	int descriptors[FILES];
	unsigned count = 0;

	while (count < FILES && (size || count == 0)) {
		const uint8_t *end = count + 1 < FILES && size ? memchr(data, 1, size) : NULL;
		size_t length = end ? (size_t)(end - data) : size;

		descriptors[count] = file_of(data, length, paths[count]);
		*slots[count] = paths[count];
		count++;
		data += length + (end != NULL);
		size -= length + (end != NULL);
	}
	command_import(&options);
	while (count > 0)
		close(descriptors[--count]);
	return 0;
}
