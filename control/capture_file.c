// SPDX-License-Identifier: BSD-3-Clause
//
// See capture_file.h. Blocks are in the byte order of this machine, as the format's first block
// says.
#include "control/capture_file.h"

#include "bpf/counters.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PORTS_MAX 64
#define BLOCK_MAX 4096

enum block_type { SECTION = 0x0a0d0d0a, INTERFACE = 1, STATISTICS = 5, PACKET = 6 };
enum option {
	OPTION_END = 0,
	OPTION_COMMENT = 1,
	OPTION_INTERFACE_NAME = 2,
	OPTION_PACKET_FLAGS = 2,
	OPTION_APPLICATION = 4,
	OPTION_DROPPED = 5,
};
enum { FLAG_IN = 1, FLAG_OUT = 2, LINKTYPE_ETHERNET = 1 };

struct capture_file {
	FILE *out;
	uint32_t snap;
	unsigned ports;
	char port_names[PORTS_MAX][COUNTERS_NAME_BYTES];
	uint64_t last_us;
	uint8_t block[BLOCK_MAX];
	size_t length; // of the block so far
};

static const struct {
	const char *name, *help;
} reason_texts[REASON_COUNT] = {
#define X(reason, kind, text) [REASON_##reason] = {#reason, text},
	REASONS(X)
#undef X
};

static void put(struct capture_file *file, const void *bytes, size_t length)
{
	if (length)
		memcpy(file->block + file->length, bytes, length);
	file->length += length;
	while (file->length % 4)
		file->block[file->length++] = 0;
}

static void put_u32(struct capture_file *file, uint32_t value)
{
	put(file, &value, sizeof(value));
}

static void put_option(struct capture_file *file, uint16_t code, const void *bytes, size_t length)
{
	uint16_t head[2] = {code, (uint16_t)length};

	put(file, head, sizeof(head));
	put(file, bytes, length);
}

static void begin(struct capture_file *file, enum block_type type)
{
	file->length = 0;
	put_u32(file, type);
	put_u32(file, 0); // its length, once it is known
}

static int end(struct capture_file *file)
{
	uint32_t length = (uint32_t)file->length + 4;

	put_u32(file, length);
	memcpy(file->block + 4, &length, sizeof(length));
	return fwrite(file->block, 1, file->length, file->out) == file->length ? 0 : -1;
}

static int write_section(struct capture_file *file)
{
	static const char application[] = "relaygate " RELAYGATE_VERSION;
	uint16_t version[2] = {1, 0};
	int64_t unknown = -1;

	begin(file, SECTION);
	put_u32(file, 0x1a2b3c4d);
	put(file, version, sizeof(version));
	put(file, &unknown, sizeof(unknown));
	put_option(file, OPTION_APPLICATION, application, sizeof(application) - 1);
	put_option(file, OPTION_END, NULL, 0);
	return end(file);
}

struct capture_file *capture_file_open(const char *path, uint32_t snap)
{
	struct capture_file *file = calloc(1, sizeof(*file));

	if (!file)
		return NULL;
	file->snap = snap;
	file->out = strcmp(path, "-") == 0 ? stdout : fopen(path, "we");
	if (file->out && write_section(file) == 0)
		return file;
	if (file->out && file->out != stdout)
		fclose(file->out);
	free(file);
	return NULL;
}

static int write_interface(struct capture_file *file, const char name[COUNTERS_NAME_BYTES])
{
	uint16_t link[2] = {LINKTYPE_ETHERNET, 0};

	begin(file, INTERFACE);
	put(file, link, sizeof(link));
	put_u32(file, file->snap);
	put_option(file, OPTION_INTERFACE_NAME, name, strnlen(name, COUNTERS_NAME_BYTES));
	put_option(file, OPTION_END, NULL, 0);
	return end(file);
}

// The number of the port's interface, which is written when it is met first; -1 on failure.
static int interface_of(struct capture_file *file, const char name[COUNTERS_NAME_BYTES])
{
	for (unsigned i = 0; i < file->ports; i++)
		if (memcmp(file->port_names[i], name, COUNTERS_NAME_BYTES) == 0)
			return (int)i;
	if (file->ports == PORTS_MAX || write_interface(file, name))
		return -1;
	memcpy(file->port_names[file->ports], name, COUNTERS_NAME_BYTES);
	return (int)file->ports++;
}

// What became of it, as a person reads it.
static size_t comment_of(const struct capture_record *record, unsigned worker, char *text,
			 size_t size)
{
	unsigned reason = record->reason < REASON_COUNT ? record->reason : 0;
	int length;

	if (record->sent)
		length = snprintf(text, size, "sent");
	else if (reason == REASON_NONE)
		length = snprintf(text, size, "accepted");
	else
		length = snprintf(text, size, "%s: %s", reason_texts[reason].name,
				  reason_texts[reason].help);
	if (record->connector[0])
		length += snprintf(text + length, size - (size_t)length, "; connector %.*s",
				   COUNTERS_NAME_BYTES, record->connector);
	length += snprintf(text + length, size - (size_t)length, "; worker %u", worker);
	return (size_t)length;
}

int capture_file_write(struct capture_file *file, const struct capture_record *record,
		       unsigned worker)
{
	int interface = interface_of(file, record->port_name);
	uint32_t flags = record->sent ? FLAG_OUT : FLAG_IN;
	char comment[512];

	if (interface < 0)
		return -1;
	file->last_us = record->wall_us;
	begin(file, PACKET);
	put_u32(file, (uint32_t)interface);
	put_u32(file, (uint32_t)(record->wall_us >> 32));
	put_u32(file, (uint32_t)record->wall_us);
	put_u32(file, record->captured);
	put_u32(file, record->length);
	put(file, record->data, record->captured);
	put_option(file, OPTION_COMMENT, comment,
		   comment_of(record, worker, comment, sizeof(comment)));
	put_option(file, OPTION_PACKET_FLAGS, &flags, sizeof(flags));
	put_option(file, OPTION_END, NULL, 0);
	return end(file);
}

int capture_file_flush(struct capture_file *file)
{
	return fflush(file->out) ? -1 : 0;
}

// Rings are not a port's: what was lost stands at the first one.
static int write_statistics(struct capture_file *file, unsigned interface, uint64_t lost)
{
	begin(file, STATISTICS);
	put_u32(file, interface);
	put_u32(file, (uint32_t)(file->last_us >> 32));
	put_u32(file, (uint32_t)file->last_us);
	put_option(file, OPTION_DROPPED, &lost, sizeof(lost));
	put_option(file, OPTION_END, NULL, 0);
	return end(file);
}

int capture_file_close(struct capture_file *file, uint64_t lost)
{
	int result = 0;

	for (unsigned i = 0; i < file->ports; i++)
		result |= write_statistics(file, i, i == 0 ? lost : 0);
	result |= fflush(file->out) ? -1 : 0;
	if (file->out != stdout && fclose(file->out))
		result = -1;
	free(file);
	return result;
}
