// SPDX-License-Identifier: BSD-3-Clause
//
// The readers of IPRange and IPBinding behind import_read.h. Exchange writes a netmask in
// parentheses and IPv6 zone ids (%11); both become what our file has.
#include "config/address.h"
#include "control/import_read.h"

#include <stdio.h>
#include <string.h>

// The text without blanks and zone ids; -1 when it is too long for any address.
static int tidy(const char *text, char out[IMPORT_ITEM_MAX], bool *zone)
{
	size_t used = 0;

	while (*text) {
		if (*text == '%') {
			*zone = true;
			text += strcspn(text, "-/]");
			continue;
		}
		if (*text != ' ' && *text != '\t') {
			if (used == IMPORT_ITEM_MAX - 1)
				return -1;
			out[used++] = *text;
		}
		text++;
	}
	out[used] = '\0';
	return 0;
}

// 255.255.255.0 -> 24; -1 for what is no netmask.
static int prefix_of_mask(const char *text)
{
	struct address mask;
	const uint8_t *bytes;
	const char *why;
	uint32_t bits;

	if (address_parse(text, &mask, &why) || !address_is_ipv4(&mask))
		return -1;
	bytes = address_ipv4_bytes(&mask);
	bits = (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 |
	       bytes[3];
	return ~bits & (~bits + 1) ? -1 : __builtin_popcount(bits);
}

// a(mask) and a/mask -> a/n, in place.
static int mask_to_prefix(char text[IMPORT_ITEM_MAX], const char **why)
{
	char *mask = strpbrk(text, "(/");
	size_t length = mask ? strlen(mask) : 0;
	int prefix;

	if (!mask || (*mask == '/' && !strchr(mask, '.')))
		return 0;
	if (*mask == '(') {
		if (mask[length - 1] != ')') {
			*why = "a netmask stands in parentheses: 192.168.1.1(255.255.255.0)";
			return -1;
		}
		mask[length - 1] = '\0';
	}
	prefix = prefix_of_mask(mask + 1);
	if (prefix < 0) {
		*why = "this is no netmask";
		return -1;
	}
	snprintf(mask, IMPORT_ITEM_MAX - (size_t)(mask - text), "/%d", prefix);
	return 0;
}

static const char *member_text(const struct import_value *value, const char *name)
{
	const struct import_value *member = import_member(value, name);

	return member ? import_read_text(member) : NULL;
}

// An IPRange whose text is not in the export: its bounds say it all, and a prefix only how it was
// written.
static int range_of_bounds(const struct import_value *value, char out[IMPORT_ITEM_MAX], bool *zone,
			   const char **why)
{
	const char *lower = member_text(value, "LowerBound");
	const char *upper = member_text(value, "UpperBound");
	char low[IMPORT_ITEM_MAX], high[IMPORT_ITEM_MAX];
	int length;

	*why = "an address, a range or an object with LowerBound and UpperBound is wanted";
	if (!lower || !upper || tidy(lower, low, zone) || tidy(upper, high, zone))
		return -1;
	length = snprintf(out, IMPORT_ITEM_MAX, "%s-%s", low, high);
	return length < IMPORT_ITEM_MAX ? 0 : -1;
}

int import_read_range(const struct import_value *value, char out[IMPORT_ITEM_MAX], bool *zone,
		      const char **why)
{
	const char *text = value->text ? value->text : member_text(value, "Expression");
	struct range range;

	if (!text) {
		if (range_of_bounds(value, out, zone, why))
			return -1;
	} else if (tidy(text, out, zone)) {
		*why = "too long for a range";
		return -1;
	}
	if (mask_to_prefix(out, why) || range_parse(out, &range, why))
		return -1;
	range_format(&range, out);
	return 0;
}

int import_read_binding(const struct import_value *value, char out[IMPORT_ITEM_MAX], bool *zone,
			const char **why)
{
	const char *address = member_text(value, "Address");
	const char *port = member_text(value, "Port");
	char bare[IMPORT_ITEM_MAX];
	struct endpoint endpoint;

	*why = "IPV4:PORT or [IPV6]:PORT is wanted";
	if (value->text) {
		if (tidy(value->text, out, zone))
			return -1;
	} else {
		if (!address || !port || tidy(address, bare, zone) ||
		    snprintf(out, IMPORT_ITEM_MAX, strchr(bare, ':') ? "[%s]:%s" : "%s:%s", bare,
			     port) >= IMPORT_ITEM_MAX)
			return -1;
	}
	if (endpoint_parse(out, 0, &endpoint, why))
		return -1;
	endpoint_format(&endpoint, out);
	return 0;
}
