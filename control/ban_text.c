// SPDX-License-Identifier: BSD-3-Clause
//
// See ban_text.h.
#include "control/ban_text.h"

#include <stdbool.h>
#include <string.h>
#include <time.h>

static const char *const reason_names[REASON_COUNT] = {[REASON_NONE] = "by hand",
#define X(name, kind, help) [REASON_##name] = #name,
						       REASONS(X)
#undef X
};

static bool is_ipv4(const struct ban_source *source)
{
	return source->prefix[0] == 0xff;
}

struct ban_source ban_text_source_of(const struct address *address)
{
	struct ban_source source = {{0xff}};

	if (address_is_ipv4(address))
		memcpy(source.prefix + 4, address_ipv4_bytes(address), 4);
	else
		memcpy(source.prefix, address->bytes, sizeof(source.prefix));
	return source;
}

const char *ban_text_source(const struct ban_source *source, char text[BAN_TEXT_SOURCE_MAX])
{
	uint8_t bytes[16] = {0};
	struct address address;

	memcpy(bytes, source->prefix, sizeof(source->prefix));
	address =
		is_ipv4(source) ? address_from_ipv4(source->prefix + 4) : address_from_ipv6(bytes);
	address_format(&address, text);
	if (!is_ipv4(source))
		strcat(text, "/64");
	return text;
}

const char *ban_text_time(uint64_t until_s, char text[BAN_TEXT_TIME_MAX])
{
	time_t seconds = (time_t)until_s;
	struct tm parts;

	if (until_s == 0)
		return "for ever";
	if (!gmtime_r(&seconds, &parts))
		return "?";
	strftime(text, BAN_TEXT_TIME_MAX, "%Y-%m-%dT%H:%M:%SZ", &parts);
	return text;
}

const char *ban_text_reason(const struct ban *ban)
{
	return ban->reason < REASON_COUNT ? reason_names[ban->reason] : "?";
}
