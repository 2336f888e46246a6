// SPDX-License-Identifier: BSD-3-Clause
//
// The INI file's bytes, for the loader (load.c): from whatever can be opened and read, pipes too.
// Owns the buffer. Knows nothing of what stands in it.
#include "config/load.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FILE_MAX_BYTES (1ul << 30)

// Everything that a descriptor yields; pipes too, so that `-c <(...)` works. Returns NULL and
// errno.
static char *read_all(int descriptor, size_t *length)
{
	size_t room = 1 << 16;
	char *bytes = malloc(room);

	*length = 0;
	while (bytes != NULL) {
		ssize_t got;
		char *grown;

		if (*length == room) {
			room *= 2;
			if (room > 2 * FILE_MAX_BYTES) {
				errno = EFBIG;
				break;
			}
			grown = realloc(bytes, room);
			if (grown == NULL)
				break;
			bytes = grown;
		}
		got = read(descriptor, bytes + *length, room - *length);
		if (got == 0)
			return bytes;
		if (got > 0)
			*length += (size_t)got;
		else if (errno != EINTR)
			break;
	}
	free(bytes);
	return NULL;
}

struct policy *policy_load_with_directory(const char *path, struct diagnostics *diagnostics,
					  char **directory)
{
	int descriptor = open(path, O_RDONLY | O_CLOEXEC);
	struct place place = {path, 0};
	struct policy *policy;
	char *bytes;
	size_t length;

	*directory = NULL;
	if (descriptor < 0) {
		diagnostics_error(diagnostics, place, "cannot open the file: %s", strerror(errno));
		return NULL;
	}
	bytes = read_all(descriptor, &length);
	if (bytes == NULL) {
		diagnostics_error(diagnostics, place, "%s: %s",
				  errno == EISDIR ? "a file is wanted" : "cannot read the file",
				  strerror(errno));
		close(descriptor);
		return NULL;
	}
	close(descriptor);
	policy = policy_load_bytes_with_directory(path, bytes, length, diagnostics, directory);
	free(bytes);
	return policy;
}

struct policy *policy_load(const char *path, struct diagnostics *diagnostics)
{
	char *directory;
	struct policy *policy = policy_load_with_directory(path, diagnostics, &directory);

	free(directory);
	return policy;
}
