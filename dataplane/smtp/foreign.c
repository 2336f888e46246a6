// SPDX-License-Identifier: BSD-3-Clause
//
// See foreign.h. A list of beginnings, and the one ending that every HTTP/1 request line has. Does
// not try to name what it saw.
#include "dataplane/smtp/foreign.h"

#include <strings.h>

static const char *const beginnings[] = {
	"GET ",   "HEAD ",  "POST ",  "PUT ", "DELETE ",  "CONNECT ", "OPTIONS ",
	"TRACE ", "PATCH ", "PRI * ", "SSH-", "\x16\x03", // TLS record: handshake, version 3.x
};

static bool digit(uint8_t c)
{
	return c >= '0' && c <= '9';
}

// Ends in HTTP/ digit . digit
static bool http_version_ends(struct slice line)
{
	static const char text[] = "HTTP/";
	const size_t length = sizeof("HTTP/1.1") - 1;
	if (line.length < length)
		return false;
	const uint8_t *end = line.data + line.length - length;
	return strncasecmp((const char *)end, text, sizeof(text) - 1) == 0 && digit(end[5]) &&
	       end[6] == '.' && digit(end[7]);
}

// Every line of a session comes by here, and nearly none begins like one of these.
static bool may_begin_with(struct slice line, const char *beginning)
{
	const uint8_t caseless = 'a' - 'A';
	return line.length > 0 && (line.data[0] | caseless) == ((uint8_t)*beginning | caseless);
}

bool foreign_protocol(struct slice line)
{
	for (size_t i = 0; i < sizeof(beginnings) / sizeof(*beginnings); i++) {
		if (!may_begin_with(line, beginnings[i]))
			continue;
		const size_t length = strlen(beginnings[i]);
		if (line.length >= length &&
		    strncasecmp((const char *)line.data, beginnings[i], length) == 0)
			return true;
	}
	return http_version_ends(line);
}
