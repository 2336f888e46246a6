// SPDX-License-Identifier: BSD-3-Clause
//
// See explain_ban.h. The entry is the one that the gate and its XDP programs obey; who is exempt
// and what is done with the others is judged as the data path does.
#include "control/explain_ban.h"

#include "bpf/ban_map.h"
#include "bpf/instance_reader.h"
#include "control/ban_text.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct explain_ban explain_ban_find(const char *directory, const struct policy *policy,
				    const struct address *from, uint64_t wall_us)
{
	struct explain_ban found = {.source = ban_text_source_of(from)};
	struct range range = range_from_prefix(from, address_is_ipv4(from) ? 32 : 64);
	char error[EXPORT_ERROR_MAX];
	int map, result;

	if (!export_instance_owner(directory))
		return found;
	map = ban_map_open(directory, error);
	if (map < 0) {
		fprintf(stderr, "relaygate: not known whether the client is banned: %s\n", error);
		return found;
	}
	result = ban_map_get(map, &found.source, &found.ban);
	close(map);
	if (result && result != -ENOENT) {
		fprintf(stderr, "relaygate: not known whether the client is banned: %s\n",
			strerror(-result));
		return found;
	}
	found.known = true;
	// What is over, or must not be, the gate takes out within 100 ms.
	found.banned = result == 0 &&
		       (found.ban.until == 0 || wall_us / 1000000 < found.ban.until) &&
		       !policy_never_banned(policy, &range, wall_us);
	return found;
}

enum reason explain_ban_reason(const struct explain_ban *ban, const struct policy *policy)
{
	if (!ban->banned)
		return REASON_NONE;
	return policy->ban.action == ABOVE_TARPIT || policy->ban.action == ABOVE_REPLY
		       ? REASON_smtp_limit_ban
		       : REASON_banned;
}

void explain_ban_print(const struct explain_ban *ban)
{
	char source[BAN_TEXT_SOURCE_MAX], until[BAN_TEXT_TIME_MAX];

	if (ban->banned)
		printf("  banned by the gate that runs: %s, %s%s, level %u, reason: %s\n",
		       ban_text_source(&ban->source, source), ban->ban.until ? "until " : "",
		       ban_text_time(ban->ban.until, until), ban->ban.level,
		       ban_text_reason(&ban->ban));
}

void explain_ban_json(const struct explain_ban *ban, struct json_object *object)
{
	struct json_object *row = NULL;
	char source[BAN_TEXT_SOURCE_MAX];

	if (!ban->known)
		return;
	if (ban->banned) {
		row = json_object_new_object();
		json_object_object_add(
			row, "source",
			json_object_new_string(ban_text_source(&ban->source, source)));
		json_object_object_add(row, "until", json_object_new_uint64(ban->ban.until));
		json_object_object_add(row, "level", json_object_new_int64(ban->ban.level));
		json_object_object_add(row, "reason",
				       json_object_new_string(ban_text_reason(&ban->ban)));
	}
	json_object_object_add(object, "ban", row);
}
