// SPDX-License-Identifier: BSD-3-Clause
//
// A file of an export: its bytes, their encoding, and which of the two forms it has. Windows
// PowerShell writes UTF-16 with a byte order mark unless told otherwise.
#include "control/import_value.h"

#include <errno.h>
#include <iconv.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int refuse(const char *path, const char *why)
{
	fprintf(stderr, "relaygate: %s: %s\n", path, why);
	return -1;
}

static char *read_whole(const char *path, size_t *length)
{
	FILE *file = fopen(path, "re");
	char *bytes = NULL;
	size_t room = 0;
	int error = 0;

	*length = 0;
	if (!file) {
		refuse(path, strerror(errno));
		return NULL;
	}
	do {
		if (*length == room) {
			room = room ? 2 * room : 1 << 16;
			bytes = import_grow(bytes, room / 2, 1);
		}
		*length += fread(bytes + *length, 1, room - *length, file);
		error = ferror(file) ? errno : *length > IMPORT_FILE_MAX ? EFBIG : 0;
	} while (!error && !feof(file));
	fclose(file);
	if (error) {
		refuse(path, error == EFBIG ? "larger than 64 MiB: no export is" : strerror(error));
		free(bytes);
		return NULL;
	}
	return bytes;
}

// UTF-16 -> UTF-8, which takes at most half as much again.
static char *from_utf16(const char *path, const char *encoding, char *bytes, size_t *length)
{
	iconv_t converter = iconv_open("UTF-8", encoding);
	size_t room = *length + *length / 2 + 4, left = room, rest = *length;
	char *out = import_allocate(room), *to = out, *from = bytes;

	if (converter == (iconv_t)-1 || iconv(converter, &from, &rest, &to, &left) == (size_t)-1) {
		refuse(path, "not UTF-16, although it begins with its byte order mark");
		free(out);
		out = NULL;
	}
	if (converter != (iconv_t)-1)
		iconv_close(converter);
	*length = room - left;
	return out;
}

// The text in UTF-8 without its mark: *owned is what to free, NULL on failure.
static const char *decode(const char *path, char **owned, size_t *length)
{
	unsigned char *bytes = (unsigned char *)*owned;
	const char *encoding = NULL;
	char *converted;

	if (*length >= 3 && memcmp(bytes, "\xef\xbb\xbf", 3) == 0) {
		*length -= 3;
		return *owned + 3;
	}
	if (*length >= 2 && bytes[0] == 0xff && bytes[1] == 0xfe)
		encoding = "UTF-16LE";
	else if (*length >= 2 && bytes[0] == 0xfe && bytes[1] == 0xff)
		encoding = "UTF-16BE";
	if (!encoding)
		return *owned;
	*length -= 2;
	converted = from_utf16(path, encoding, *owned + 2, length);
	free(*owned);
	*owned = converted;
	return converted;
}

int import_file_read(const char *path, struct import_tree *tree)
{
	struct import_fault fault = {0};
	size_t length, blank = 0;
	char *owned = read_whole(path, &length);
	const char *text = owned ? decode(path, &owned, &length) : NULL;
	int status = -1;

	if (!text)
		return -1;
	while (blank < length && text[blank] && strchr(" \t\r\n", text[blank]))
		blank++;
	if (blank == length)
		refuse(path, "the file is empty");
	else if (text[blank] == '<')
		status = import_clixml(text, length, tree, &fault);
	else
		status = import_json(text, length, tree, &fault);
	if (fault.line)
		fprintf(stderr, "relaygate: %s:%lu:%lu: %s\n", path, fault.line, fault.column,
			fault.text);
	else if (fault.text[0])
		refuse(path, fault.text);
	if (status)
		import_tree_fini(tree);
	free(owned);
	return status;
}
