// SPDX-License-Identifier: BSD-3-Clause
//
// `relaygate log`: the refusals and events that the gate remembers, one line each, oldest first:
// time (UTC), source, reason, connector, SMTP code, verb, detail, and what the reason means. Reads
// the pinned ring, so it works while the gate runs and after it died.

#include "bpf/log_reader.h"
#include "config/address.h"
#include "control/commands.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define FOLLOW_INTERVAL_NS 200000000

struct reason_text {
	const char *name;
	const char *help;
};

static const struct reason_text reason_texts[REASON_COUNT] = {
#define X(reason, kind, text) [REASON_##reason] = {#reason, text},
	REASONS(X)
#undef X
};

static void print_time(uint64_t wall_us)
{
	time_t seconds = (time_t)(wall_us / 1000000);
	struct tm parts;
	char text[32];

	gmtime_r(&seconds, &parts);
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &parts);
	printf("%s.%03uZ", text, (unsigned)(wall_us / 1000 % 1000));
}

// Events of bans are about an IPv6 /64, whose address in the record is one of them.
static bool is_about_prefix(const struct log_record *record)
{
	static const uint8_t ipv4[12] = {[10] = 0xff, [11] = 0xff};

	return (record->reason == REASON_source_banned ||
		record->reason == REASON_source_unbanned || record->reason == REASON_ban_exempt) &&
	       memcmp(record->source, ipv4, sizeof(ipv4)) != 0;
}

static void print_source(const struct log_record *record)
{
	static const uint8_t none[16];
	struct endpoint source = {.port = record->source_port};
	char text[ENDPOINT_TEXT_MAX];

	if (memcmp(record->source, none, sizeof(none)) == 0) {
		printf(" -");
		return;
	}
	memcpy(source.address.bytes, record->source, sizeof(record->source));
	printf(" %s", source.port ? endpoint_format(&source, text)
				  : address_format(&source.address, text));
	if (is_about_prefix(record))
		printf("/64");
}

static void print_record(const struct log_record *record)
{
	const struct reason_text *reason =
		&reason_texts[record->reason < REASON_COUNT ? record->reason : 0];

	print_time(record->wall_us);
	print_source(record);
	printf(" %s", reason->name ? reason->name : "?");
	if (record->connector[0])
		printf(" [%.*s]", COUNTERS_NAME_BYTES, record->connector);
	if (record->code)
		printf(" %u", record->code);
	if (record->verb[0])
		printf(" %.8s", record->verb);
	if (record->detail[0])
		printf(" %.*s", (int)sizeof(record->detail), record->detail);
	printf(" -- %s\n", reason->help ? reason->help : "a reason of another version");
}

static bool wanted(const struct log_record *record, const struct address *from)
{
	return !from || memcmp(record->source, from->bytes,
			       is_about_prefix(record) ? 8 : sizeof(record->source)) == 0;
}

static int print_log(struct log_reader *log, const struct address *from, bool follow)
{
	struct timespec interval = {.tv_nsec = FOLLOW_INTERVAL_NS};
	struct log_record record;
	uint64_t lost = 0;

	for (;;) {
		while (export_log_next(log, &record, NULL))
			if (wanted(&record, from))
				print_record(&record);
		if (export_log_lost(log) != lost)
			fprintf(stderr, "relaygate: %" PRIu64 " records were overwritten unread\n",
				export_log_lost(log) - lost);
		lost = export_log_lost(log);
		// A closed pipe ends a follower; a record that cannot be printed helps nobody.
		if (fflush(stdout))
			return EXIT_WRONG;
		if (!follow)
			return EXIT_FINE;
		if (export_log_replaced(log)) {
			fprintf(stderr, "relaygate: the gate was restarted with another log: start "
					"this command again\n");
			return EXIT_WRONG;
		}
		nanosleep(&interval, NULL);
	}
}

int command_log(const struct command_options *options)
{
	char error[EXPORT_ERROR_MAX];
	struct log_reader *log;
	struct address from;
	const char *why;
	char *directory;
	int result;

	if (options->from && address_parse(options->from, &from, &why)) {
		fprintf(stderr, "relaygate: --from %s: %s\n", options->from, why);
		return EXIT_WRONG;
	}
	directory = instance_directory(options);
	if (!directory)
		return EXIT_WRONG;
	result = export_log_open(directory, &log, error);
	free(directory);
	if (result) {
		fprintf(stderr, "relaygate: %s\n", error);
		return EXIT_WRONG;
	}
	result = print_log(log, options->from ? &from : NULL, options->follow);
	export_log_close(log);
	return result;
}
