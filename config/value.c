// SPDX-License-Identifier: BSD-3-Clause
//
// Scalars as an operator writes them. Pure functions over a NUL-terminated text.
// Owns the forms (units, Exchange's time spans, what a name is); does not know keys or ranges.
#include "config/value.h"
#include "config/policy.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

struct unit {
	const char *name;
	uint64_t factor;
};

// Largest first: printing takes the first that divides.
static const struct unit size_units[] = {
	{"TB", 1ull << 40}, {"GB", 1ull << 30}, {"MB", 1ull << 20}, {"KB", 1ull << 10}, {"B", 1},
};
static const struct unit time_units[] = {
	{"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1},
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

int value_boolean(const char *text, bool *out, const char **why)
{
	static const char *const words[][2] = {
		{"no", "yes"},
		{"false", "true"},
		{"$false", "$true"},
		{"off", "on"},
	};

	for (size_t i = 0; i < COUNT(words); i++)
		for (unsigned value = 0; value < 2; value++)
			if (strcasecmp(text, words[i][value]) == 0) {
				*out = value != 0;
				return 0;
			}
	*why = "write yes or no";
	return -EINVAL;
}

// Reads the digits at *text and moves behind them.
static int digits(const char **text, uint64_t *out, const char **why)
{
	const char *at = *text;
	uint64_t value = 0;

	if (*at < '0' || *at > '9') {
		*why = *at == '-' ? "negative numbers are not allowed" : "a number is wanted";
		return -EINVAL;
	}
	for (; *at >= '0' && *at <= '9'; at++) {
		if (__builtin_mul_overflow(value, 10, &value) ||
		    __builtin_add_overflow(value, (uint64_t)(*at - '0'), &value)) {
			*why = "the number is too large";
			return -EINVAL;
		}
	}
	*text = at;
	*out = value;
	return 0;
}

int value_number(const char *text, uint64_t *out, const char **why)
{
	if (digits(&text, out, why) != 0)
		return -EINVAL;
	if (*text != '\0') {
		*why = "a number is digits only, without unit, sign or fraction";
		return -EINVAL;
	}
	return 0;
}

static int scaled(const char *unit, const struct unit *units, size_t count, uint64_t *value,
		  const char **why)
{
	for (size_t i = 0; i < count; i++) {
		if (strcasecmp(unit, units[i].name) != 0)
			continue;
		if (!__builtin_mul_overflow(*value, units[i].factor, value))
			return 0;
		*why = "the number is too large";
		return -EINVAL;
	}
	return -EINVAL;
}

int value_size(const char *text, uint64_t *out, const char **why)
{
	if (digits(&text, out, why) != 0)
		return -EINVAL;
	if (*text == '\0')
		return 0;
	*why = "write a whole number and a unit B, KB, MB, GB or TB";
	text += strspn(text, " \t");
	return scaled(text, size_units, COUNT(size_units), out, why);
}

// Two digits at *text, at most maximum; moves behind them.
static bool two_digits(const char **text, uint64_t maximum, uint64_t *out)
{
	const char *at = *text;

	if (at[0] < '0' || at[0] > '9' || at[1] < '0' || at[1] > '9')
		return false;
	*out = (uint64_t)(at[0] - '0') * 10 + (uint64_t)(at[1] - '0');
	*text = at + 2;
	return *out <= maximum;
}

// [d.]hh:mm:ss
static int time_span(const char *text, uint64_t *out, const char **why)
{
	const char *dot = strchr(text, '.');
	uint64_t days = 0, hours, minutes, seconds;

	*why = "a time span is hh:mm:ss or d.hh:mm:ss, hours to 23, minutes and seconds to 59";
	if (dot != NULL) {
		if (digits(&text, &days, why) != 0 || text != dot)
			return -EINVAL;
		text = dot + 1;
	}
	if (!two_digits(&text, 23, &hours) || *text++ != ':' || !two_digits(&text, 59, &minutes) ||
	    *text++ != ':' || !two_digits(&text, 59, &seconds) || *text != '\0')
		return -EINVAL;
	if (days > 100000) {
		*why = "the number is too large";
		return -EINVAL;
	}
	*out = (((days * 24 + hours) * 60 + minutes) * 60 + seconds) * 1000;
	return 0;
}

int value_time(const char *text, uint64_t *out, const char **why)
{
	if (strchr(text, ':') != NULL)
		return time_span(text, out, why);
	if (digits(&text, out, why) != 0)
		return -EINVAL;
	*why = *text == '\0' ? "unit missing: write for example 30s, 5m, 500ms or 00:05:00"
			     : "write a whole number and a unit ms, s, m, h or d, or hh:mm:ss";
	text += strspn(text, " \t");
	return scaled(text, time_units, COUNT(time_units), out, why);
}

// ---- Names -----------------------------------------------------------------------------------

static bool is_digit(char byte)
{
	return byte >= '0' && byte <= '9';
}

static bool is_letter(char byte)
{
	return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z');
}

int value_instant(const char *text, uint64_t *out, const char **why)
{
	struct tm tm = {0}, written;
	const char *end = strptime(text, "%Y-%m-%d", &tm);
	time_t when;

	*why = "a date is written as 2026-12-31 or 2026-12-31T18:00Z, in UTC";
	if (end != NULL && *end == 'T')
		end = strptime(end, "T%H:%MZ", &tm);
	// strptime() takes signs, blanks and single digits as well.
	if (end == NULL || *end != '\0' || (strlen(text) != 10 && strlen(text) != 17) ||
	    strspn(text, "0123456789-T:Z") != strlen(text))
		return -EINVAL;
	written = tm;
	when = timegm(&tm); // makes 2 March of 30 February
	if (when < 0 || written.tm_mday != tm.tm_mday) {
		*why = "there is no such day";
		return -EINVAL;
	}
	*out = (uint64_t)when;
	return 0;
}

const char *value_domain_fault(const char *text)
{
	size_t length = strlen(text), label = 0;
	bool all_digits = true;

	if (length == 0)
		return "the name is missing";
	if (length > 253)
		return "a domain name has at most 253 characters";
	for (size_t i = 0; i <= length; i++) {
		if (i < length && text[i] != '.') {
			if (text[i] == '*')
				return "a wildcard may only stand first, as in *.contoso.com";
			if (text[i] & 0x80)
				return "write an international name in its ASCII form (xn--...)";
			if (!is_letter(text[i]) && !is_digit(text[i]) && text[i] != '-')
				return "only letters, digits, hyphens and dots make a domain name";
			all_digits = (label == 0 || all_digits) && is_digit(text[i]);
			label++;
			continue;
		}
		if (label == 0)
			return "empty label: two dots in a row, or one at an end";
		if (label > 63)
			return "a label has at most 63 characters";
		if (text[i - 1] == '-' || text[i - label] == '-')
			return "a label must not begin or end with a hyphen";
		if (i < length)
			label = 0;
	}
	return all_digits ? "the last label must not be a number: an address is no name" : NULL;
}

const char *value_fqdn_fault(const char *text)
{
	const char *fault = value_domain_fault(text);

	if (fault == NULL && strchr(text, '.') == NULL)
		return "a fully qualified name is wanted, such as mx.example.com";
	return fault;
}

size_t value_utf8_length(const char *sequence)
{
	const unsigned char *text = (const unsigned char *)sequence;
	unsigned char low = 0x80, high = 0xbf;
	size_t length;

	if (text[0] < 0x80)
		return 1;
	if (text[0] < 0xc2 || text[0] > 0xf4)
		return 0;
	length = text[0] < 0xe0 ? 2 : text[0] < 0xf0 ? 3 : 4;
	if (text[0] == 0xe0)
		low = 0xa0; // no overlong forms
	else if (text[0] == 0xed)
		high = 0x9f; // no surrogates
	else if (text[0] == 0xf0)
		low = 0x90;
	else if (text[0] == 0xf4)
		high = 0x8f; // nothing above U+10FFFF
	for (size_t i = 1; i < length; i++) {
		if (text[i] < low || text[i] > high)
			return 0;
		low = 0x80;
		high = 0xbf;
	}
	return length;
}

const char *value_name_fault(const char *text)
{
	const char *at = text;

	if (text[0] == '\0')
		return "the name is missing";
	if (strlen(text) > POLICY_NAME_MAX)
		return "the name is longer than 64 bytes";
	while (*at != '\0') {
		size_t length = value_utf8_length(at);

		if (length == 0)
			return "the name is not valid UTF-8";
		at += length;
	}
	return NULL;
}

// ---- Printing --------------------------------------------------------------------------------

static char *format(uint64_t value, const struct unit *units, size_t count, char *buffer)
{
	size_t i = 0;

	while (i + 1 < count && (value == 0 || value % units[i].factor != 0))
		i++;
	snprintf(buffer, VALUE_TEXT_MAX, "%" PRIu64 "%s", value / units[i].factor, units[i].name);
	return buffer;
}

char *value_format_size(uint64_t bytes, char buffer[VALUE_TEXT_MAX])
{
	return format(bytes, size_units, COUNT(size_units), buffer);
}

char *value_format_time(uint64_t milliseconds, char buffer[VALUE_TEXT_MAX])
{
	if (milliseconds == 0)
		return strcpy(buffer, "0s");
	return format(milliseconds, time_units, COUNT(time_units), buffer);
}
