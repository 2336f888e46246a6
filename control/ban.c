// SPDX-License-Identifier: BSD-3-Clause
//
// `relaygate ban`: shows and changes the map of banned sources that is pinned in PinDirectory. What
// is put there the XDP program drops at once, and a gate that runs adopts it within 100 ms; one
// that does not run, when it starts. Asks nobody else.

#include "bpf/ban_map.h"
#include "config/policy.h"
#include "config/value.h"
#include "control/ban_text.h"
#include "control/commands.h"

#include <errno.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct ban_row {
	struct ban_source source;
	struct ban ban;
};

struct ban_list {
	struct ban_row *rows;
	size_t count, room;
};

static uint64_t now_s(void)
{
	return (uint64_t)time(NULL);
}

// ---- Sources ---------------------------------------------------------------------------------

// ADDRESS, IPV4/32 or IPV6/64 -> the source and its addresses.
static int parse_source(const char *text, struct ban_source *source, struct range *range)
{
	char copy[ADDRESS_TEXT_MAX];
	const char *slash = strchr(text, '/'), *why = NULL;
	size_t length = slash ? (size_t)(slash - text) : strlen(text);
	struct address address;

	snprintf(copy, sizeof(copy), "%.*s", (int)length, text);
	if (length >= sizeof(copy) || address_parse(copy, &address, &why)) {
		fprintf(stderr, "relaygate: %s: %s\n", text, why ? why : "not an address");
		return -EINVAL;
	}
	if (slash && strcmp(slash, address_is_ipv4(&address) ? "/32" : "/64") != 0) {
		fprintf(stderr,
			"relaygate: %s: a source is one IPv4 address or an IPv6 /64; write ranges "
			"into [ip-block]\n",
			text);
		return -EINVAL;
	}
	if (address_is_any(&address) || address_is_multicast(&address) ||
	    address_is_loopback(&address)) {
		fprintf(stderr, "relaygate: %s: no source has such an address\n", text);
		return -EINVAL;
	}
	*source = ban_text_source_of(&address);
	*range = range_from_prefix(&address, address_is_ipv4(&address) ? 32 : 64);
	return 0;
}

// ---- ban list
// ------------------------------------------------------------------------------------

static int compare_rows(const void *a, const void *b)
{
	return memcmp(&((const struct ban_row *)a)->source, &((const struct ban_row *)b)->source,
		      sizeof(struct ban_source));
}

static int append(struct ban_list *list, const struct ban_source *source, const struct ban *ban)
{
	if (list->count == list->room) {
		size_t room = list->room ? 2 * list->room : 1024;
		struct ban_row *rows = realloc(list->rows, room * sizeof(*rows));

		if (!rows)
			return -ENOMEM;
		list->rows = rows;
		list->room = room;
	}
	list->rows[list->count++] = (struct ban_row){*source, *ban};
	return 0;
}

static int read_list(int map, struct ban_list *list)
{
	struct ban_map_rows *rows = malloc(sizeof(*rows));
	struct ban_map_cursor cursor = {0};
	int count = rows ? 0 : -ENOMEM, result = count;
	bool end = false;

	while (result == 0 && !end) {
		count = ban_map_read(map, &cursor, rows, &end);
		result = count < 0 ? count : 0;
		for (int i = 0; result == 0 && i < count; i++)
			result = append(list, &rows->sources[i], &rows->bans[i]);
	}
	free(rows);
	if (list->count)
		qsort(list->rows, list->count, sizeof(list->rows[0]), compare_rows);
	return result;
}

static void print_text(const struct ban_list *list)
{
	printf("%-24s %-20s %5s %15s  %s\n", "source", "until", "level", "packets", "reason");
	for (size_t i = 0; i < list->count; i++) {
		const struct ban *ban = &list->rows[i].ban;
		char source[BAN_TEXT_SOURCE_MAX], until[BAN_TEXT_TIME_MAX];

		printf("%-24s %-20s %5u %15llu  %s\n",
		       ban_text_source(&list->rows[i].source, source),
		       ban_text_time(ban->until, until), ban->level,
		       (unsigned long long)ban->packets, ban_text_reason(ban));
	}
}

static void print_json(const struct ban_list *list)
{
	struct json_object *array = json_object_new_array();

	for (size_t i = 0; i < list->count; i++) {
		const struct ban *ban = &list->rows[i].ban;
		struct json_object *row = json_object_new_object();
		char source[BAN_TEXT_SOURCE_MAX];

		json_object_object_add(
			row, "source",
			json_object_new_string(ban_text_source(&list->rows[i].source, source)));
		json_object_object_add(row, "until", json_object_new_uint64(ban->until));
		json_object_object_add(row, "level", json_object_new_int64(ban->level));
		json_object_object_add(row, "packets", json_object_new_uint64(ban->packets));
		json_object_object_add(row, "reason", json_object_new_string(ban_text_reason(ban)));
		json_object_array_add(array, row);
	}
	puts(json_object_to_json_string_ext(array, JSON_C_TO_STRING_PRETTY));
	json_object_put(array);
}

static int ban_list(int map, const struct command_options *options, const struct policy *policy)
{
	struct ban_list list = {0};
	int result = read_list(map, &list);

	if (result)
		fprintf(stderr, "relaygate: the map of bans cannot be read: %s\n",
			strerror(-result));
	else if (options->json)
		print_json(&list);
	else
		print_text(&list);
	free(list.rows);
	return result || fflush(stdout) ? EXIT_WRONG : EXIT_FINE;
}

// ---- ban add, ban del
// ----------------------------------------------------------------------------

// When a ban from now on ends, 0 = never. policy: NULL = there is no file, or it has errors.
static int parse_time(const char *text, const struct policy *policy, uint64_t *until)
{
	uint64_t milliseconds = policy ? policy->ban.time_ms : 0;
	const char *why;

	*until = 0;
	if (text && strcmp(text, "ever") == 0)
		return 0;
	if (!text && !policy) {
		fprintf(stderr, "relaygate: ban add needs --for TIME here: no file says BanTime\n");
		return -EINVAL;
	}
	if (text && value_time(text, &milliseconds, &why)) {
		fprintf(stderr, "relaygate: --for %s: %s\n", text, why);
		return -EINVAL;
	}
	if (milliseconds < 1000) {
		fprintf(stderr, "relaygate: --for %s: a second at least\n", text);
		return -EINVAL;
	}
	*until = now_s() + milliseconds / 1000;
	return 0;
}

static int ban_add(int map, const struct command_options *options, const struct policy *policy)
{
	struct ban_source source;
	struct range range;
	struct ban former, ban = {0};
	uint64_t until;
	int result;

	if (parse_source(options->source, &source, &range) ||
	    parse_time(options->time, policy, &until))
		return EXIT_WRONG;
	ban.until = until;
	// Without a file, the gate that runs takes such a ban out again.
	if (policy && policy_never_banned(policy, &range, now_s() * 1000000)) {
		fprintf(stderr,
			"relaygate: %s: never banned: it is a server of a backend or on the IP "
			"Allow list\n",
			options->source);
		return EXIT_WRONG;
	}
	if (ban_map_get(map, &source, &former) == 0)
		ban.packets = former.packets;
	result = ban_map_put(map, &source, &ban);
	if (result == 0)
		return EXIT_FINE;
	if (result == -E2BIG)
		fprintf(stderr,
			"relaygate: %s: not banned: the list is full: take one out with `relaygate "
			"ban del`, or raise BanEntries in [ban] and restart the gate\n",
			options->source);
	else
		fprintf(stderr, "relaygate: %s: %s\n", options->source, strerror(-result));
	return EXIT_WRONG;
}

static int ban_del(int map, const struct command_options *options, const struct policy *policy)
{
	struct ban_source source;
	struct range range;
	int result;

	if (parse_source(options->source, &source, &range))
		return EXIT_WRONG;
	result = ban_map_remove(map, &source);
	if (result == 0)
		return EXIT_FINE;
	fprintf(stderr, "relaygate: %s: %s\n", options->source,
		result == -ENOENT ? "is not banned" : strerror(-result));
	return EXIT_WRONG;
}

static const struct verb {
	const char *name;
	bool needs_source;
	int (*run)(int map, const struct command_options *options, const struct policy *policy);
} verbs[] = {
	{"list", false, ban_list},
	{"add", true, ban_add},
	{"del", true, ban_del},
};

static const struct verb *find_verb(const struct command_options *options)
{
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		if (strcmp(verbs[i].name, options->file) == 0) {
			if (verbs[i].needs_source == (options->source != NULL))
				return &verbs[i];
			fprintf(stderr, "relaygate: ban %s %s\n", verbs[i].name,
				verbs[i].needs_source ? "needs an address"
						      : "takes no further word");
			return NULL;
		}
	fprintf(stderr, "relaygate: ban %s: write list, add or del\n", options->file);
	return NULL;
}

int command_ban(const struct command_options *options)
{
	const struct verb *verb = find_verb(options);
	char error[EXPORT_ERROR_MAX];
	struct policy *policy;
	char *directory;
	int map, result = EXIT_WRONG;

	if (!verb)
		return EXIT_WRONG;
	directory = instance_place(options, &policy);
	if (!directory)
		return EXIT_WRONG;
	map = ban_map_open(directory, error);
	if (map < 0) {
		fprintf(stderr, "relaygate: %s\n", error);
	} else {
		result = verb->run(map, options, policy);
		close(map);
	}
	policy_destroy(policy);
	free(directory);
	return result;
}
