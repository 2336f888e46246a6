// SPDX-License-Identifier: BSD-3-Clause
//
// See protocol_log.h. Owns the rings and the files; a line has the fields of Exchange's
// (connector reference, section 5.3): date-time, connector-id, session-id, sequence-number,
// local-endpoint, remote-endpoint, event, data, context.

#include "control/protocol_log.h"

#include "config/address.h"
#include "config/policy.h"
#include "config/value.h"
#include "dataplane/base/protocol_record.h"
#include "dataplane/base/record_ring.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

// Between two drains, 100 ms apart, a worker may write so much: some 30,000 lines.
#define RING_BYTES (4u << 20)
// One drain takes no more, lest signals wait for a flood's end.
#define DRAIN_MAX     200000
#define DATA_TEXT_MAX (2 * PROTOCOL_DATA_MAX + 3)

struct protocol_log {
	char *gate; // our own name
	char *path;
	char (*names)[POLICY_NAME_MAX + 1]; // of connectors, by slot
	unsigned name_count;
	struct protocol_files *files;
	bool failing; // and said so
	unsigned workers;
	struct record_ring *rings[];
};

static const char *const context_texts[PROTOCOL_CONTEXT_COUNT] = {
#define X(name, kind, help) [REASON_##name] = #name,
	REASONS(X)
#undef X
		[PROTOCOL_CONTEXT_NONE] = "",
	[PROTOCOL_CONTEXT_LOCAL] = "Local",
	[PROTOCOL_CONTEXT_REMOTE] = "Remote",
	[PROTOCOL_CONTEXT_PERMISSIONS] = "Set Session Permissions",
	[PROTOCOL_CONTEXT_OCTETS] = "Octets of the message",
};

static int make_names(struct protocol_log *log, unsigned count)
{
	void *grown;

	if (count <= log->name_count)
		return 0;
	grown = realloc(log->names, count * sizeof(log->names[0]));
	if (!grown)
		return -ENOMEM;
	log->names = grown;
	memset(log->names + log->name_count, 0, (count - log->name_count) * sizeof(log->names[0]));
	log->name_count = count;
	return 0;
}

int protocol_log_adopt(struct protocol_log *log, const struct policy *policy, const uint16_t *slots)
{
	char *gate;
	int result = 0;

	if (!log)
		return 0;
	gate = strdup(policy->gate.name);
	if (!gate)
		return -ENOMEM;
	free(log->gate);
	log->gate = gate;
	for (unsigned i = 0; i < policy->connector_count && result == 0; i++) {
		unsigned slot = slots ? slots[i] : i;

		result = make_names(log, slot + 1);
		if (result == 0)
			snprintf(log->names[slot], sizeof(log->names[slot]), "%s",
				 policy->connectors[i].name);
	}
	return result;
}

bool protocol_log_wanted(const struct policy *policy)
{
	for (unsigned i = 0; i < policy->connector_count; i++)
		if (policy->connectors[i].enabled &&
		    policy->connectors[i].protocol_logging == PROTOCOL_LOGGING_VERBOSE)
			return true;
	return false;
}

struct protocol_log *protocol_log_create(const struct policy *policy, unsigned workers,
					 const char *version, char error[PROTOCOL_FILES_ERROR_MAX])
{
	const struct gate_settings *gate = &policy->gate;
	struct protocol_files_settings settings = {
		.version = version,
		.file_size = gate->protocol_log_file_size,
		.directory_size = gate->protocol_log_directory_size,
		.age_us = gate->protocol_log_age_ms * 1000,
	};
	struct protocol_log *log = calloc(1, sizeof(*log) + workers * sizeof(log->rings[0]));

	snprintf(error, PROTOCOL_FILES_ERROR_MAX, "out of memory");
	if (!log)
		return NULL;
	log->path = strdup(gate->protocol_log_path ? gate->protocol_log_path : "");
	if (!log->path)
		goto destroy;
	for (; log->workers < workers; log->workers++) {
		log->rings[log->workers] = record_ring_create(RING_BYTES);
		if (!log->rings[log->workers])
			goto destroy;
	}
	settings.path = log->path; // the policy may go first
	log->files = protocol_files_open(&settings, error);
	if (!log->files)
		goto destroy;
	return log;

destroy:
	protocol_log_destroy(log);
	return NULL;
}

void protocol_log_destroy(struct protocol_log *log)
{
	if (!log)
		return;
	protocol_files_close(log->files);
	while (log->workers > 0)
		record_ring_destroy(log->rings[--log->workers]);
	free(log->names);
	free(log->path);
	free(log->gate);
	free(log);
}

struct record_ring *protocol_log_ring(struct protocol_log *log, unsigned worker)
{
	return log ? log->rings[worker] : NULL;
}

struct protocol_files *protocol_log_files(struct protocol_log *log)
{
	return log->files;
}

// ---- A line ----------------------------------------------------------------------------------

// Not what a terminal would obey, or show as something else: control characters, those of C1 (which
// begin escape sequences) too, and what turns the direction of the text. length: of the UTF-8
// sequence, 0 = it is none.
static bool is_shown(const char *text, size_t length)
{
	const unsigned char *byte = (const unsigned char *)text;

	if (length == 0 || byte[0] < ' ' || byte[0] == 0x7f)
		return false;
	if (byte[0] == 0xc2)
		return byte[1] >= 0xa0; // U+0080 to U+009F
	if (byte[0] == 0xd8)
		return byte[1] != 0x9c; // U+061C
	if (byte[0] != 0xe2)
		return true;
	// U+200E, U+200F, U+2028 to U+202E, U+2066 to U+2069.
	if (byte[1] == 0x80)
		return byte[2] < 0x8e || (byte[2] > 0x8f && byte[2] < 0xa8) || byte[2] > 0xae;
	return byte[1] != 0x81 || byte[2] < 0xa6 || byte[2] > 0xa9;
}

// A field that may hold anything: in quotes where it must be (RFC 4180 section 2).
static size_t put_field(char *to, const char *text)
{
	const bool quoted = strpbrk(text, ",\"") != NULL;
	char *at = to;

	if (quoted)
		*at++ = '"';
	while (*text != '\0') {
		size_t length = value_utf8_length(text);

		if (!is_shown(text, length)) {
			*at++ = '?';
			text += length ? length : 1;
			continue;
		}
		if (*text == '"')
			*at++ = '"';
		memcpy(at, text, length);
		at += length;
		text += length;
	}
	if (quoted)
		*at++ = '"';
	*at = '\0';
	return (size_t)(at - to);
}

static size_t put_data(char *to, const struct protocol_record *record)
{
	char text[PROTOCOL_DATA_MAX + 1];

	for (size_t i = 0; i < record->length; i++)
		text[i] = record->data[i] ? (char)record->data[i] : '?';
	text[record->length] = '\0';
	return put_field(to, text);
}

// SERVER\NAME, the server being the first label of our own name, as Exchange writes it.
static void put_connector(const char *gate, const char *connector, char *to)
{
	char text[2 * POLICY_NAME_MAX + 4];

	snprintf(text, sizeof(text), "%.*s\\%s", (int)strcspn(gate, "."), gate, connector);
	put_field(to, text);
}

size_t protocol_log_format(const char *gate, const char *connector,
			   const struct protocol_record *record, char line[PROTOCOL_FILES_LINE_MAX])
{
	const time_t seconds = (time_t)(record->wall_us / 1000000);
	char date[32], local[ENDPOINT_TEXT_MAX], remote[ENDPOINT_TEXT_MAX];
	char names[4 * POLICY_NAME_MAX + 12], data[DATA_TEXT_MAX];
	struct tm parts;

	gmtime_r(&seconds, &parts);
	strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &parts);
	put_connector(gate, connector, names);
	put_data(data, record);
	return (size_t)snprintf(line, PROTOCOL_FILES_LINE_MAX,
				"%s.%03uZ,%s,%016" PRIX64 ",%" PRIu32 ",%s,%s,%c,%s,%s\r\n", date,
				(unsigned)(record->wall_us / 1000 % 1000), names, record->session,
				record->sequence, endpoint_format(&record->local, local),
				endpoint_format(&record->remote, remote), record->event, data,
				context_texts[record->context]);
}

// ---- Out of the rings ------------------------------------------------------------------------

// The ring whose next record is the oldest; NULL when all are empty.
static struct record_ring *oldest(struct protocol_log *log, const struct protocol_record **record)
{
	struct record_ring *found = NULL;

	for (unsigned i = 0; i < log->workers; i++) {
		size_t length;
		const struct protocol_record *next = record_ring_peek(log->rings[i], &length);

		if (!next || (found && (*record)->wall_us <= next->wall_us))
			continue;
		found = log->rings[i];
		*record = next;
	}
	return found;
}

static void tell_failure(struct protocol_log *log, bool failing, int error)
{
	if (failing && !log->failing)
		fprintf(stderr,
			"relaygate: the protocol log in %s cannot be written: %s; its lines are "
			"lost and counted as protocol_log_unwritten\n",
			log->path, strerror(error));
	else if (!failing && log->failing)
		fprintf(stderr, "relaygate: the protocol log in %s is written again\n", log->path);
	log->failing = failing;
}

uint64_t protocol_log_drain(struct protocol_log *log, uint64_t now_wall_us)
{
	const struct protocol_record *record;
	char line[PROTOCOL_FILES_LINE_MAX];
	struct record_ring *ring;
	unsigned count = 0;
	int error;
	uint64_t lost = protocol_files_lost(log->files, &error);

	while (count < DRAIN_MAX && (ring = oldest(log, &record))) {
		protocol_files_add(log->files, record->wall_us, line,
				   protocol_log_format(log->gate, log->names[record->connector],
						       record, line));
		record_ring_release(ring);
		count++;
	}
	protocol_files_flush(log->files, now_wall_us);
	lost = protocol_files_lost(log->files, &error) - lost;
	if (count > 0)
		tell_failure(log, lost > 0, error);
	return lost;
}
