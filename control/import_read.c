// SPDX-License-Identifier: BSD-3-Clause
//
// The readers of scalars and names behind import_read.h; addresses are in import_address.c.
#include "control/import_read.h"
#include "config/value.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

const char *import_read_text(const struct import_value *value)
{
	static const char *const members[] = {"Name",        "Address",           "Domain",
					      "RawIdentity", "IPAddressToString", "Value"};

	if (value->text)
		return value->text;
	for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
		const struct import_value *member = import_member(value, members[i]);

		if (member && member->text)
			return member->text;
	}
	return NULL;
}

int import_read_boolean(const struct import_value *value, bool *out)
{
	const struct import_value *present = import_member(value, "IsPresent");
	const char *why;

	if (present)
		value = present;
	return value->text && !value_boolean(value->text, out, &why) ? 0 : -1;
}

// Of an Unlimited: whether it is, or else its value.
static const struct import_value *limited(const struct import_value *value, bool *unlimited)
{
	const struct import_value *flag = import_member(value, "IsUnlimited");
	const struct import_value *inner = import_member(value, "Value");

	*unlimited = false;
	if (flag && import_read_boolean(flag, unlimited))
		*unlimited = false;
	if (value->text && strcasecmp(value->text, "Unlimited") == 0)
		*unlimited = true;
	return flag && inner ? inner : value;
}

// UINT64_MAX is unlimited, and what json-c makes of numbers beyond it.
static int bounded(int status, const uint64_t *number)
{
	return status || *number == UINT64_MAX ? -1 : 0;
}

int import_read_number(const struct import_value *value, uint64_t *out)
{
	bool unlimited;
	const char *why;

	value = limited(value, &unlimited);
	if (unlimited) {
		*out = UINT64_MAX;
		return 0;
	}
	return value->text ? bounded(value_number(value->text, out, &why), out) : -1;
}

// "(37,748,736 bytes)": the digits, whatever the language puts between them.
static int bytes_in_parentheses(const char *text, uint64_t *out)
{
	char digits[24];
	size_t count = 0;
	const char *why;

	for (text++; *text && !(*text >= 'A' && *text <= 'z') && count < sizeof(digits) - 1; text++)
		if (*text >= '0' && *text <= '9')
			digits[count++] = *text;
	digits[count] = '\0';
	if (strncasecmp(text, "bytes)", 6) != 0 && strncasecmp(text, "octets)", 7) != 0)
		return -1;
	return bounded(value_number(digits, out, &why), out);
}

int import_read_size(const struct import_value *value, uint64_t *out)
{
	const char *exact, *why;
	bool unlimited;

	value = limited(value, &unlimited);
	if (unlimited) {
		*out = UINT64_MAX;
		return 0;
	}
	if (!value->text)
		return -1;
	exact = strchr(value->text, '(');
	if (exact)
		return bytes_in_parentheses(exact, out);
	return bounded(value_size(value->text, out, &why), out);
}

// ISO 8601, as XML has it: P[nD][T[nH][nM][n[.n]S]]. Fractions of a second are cut.
static int iso_time(const char *text, uint64_t *out)
{
	static const struct {
		char letter;
		bool clock; // stands behind the T
		uint64_t milliseconds;
	} units[] = {
		{'D', false, 86400000},
		{'H', true, 3600000},
		{'M', true, 60000},
		{'S', true, 1000},
	};
	uint64_t sum = 0;
	bool clock = false, any = false;

	for (text++; *text; text++) {
		uint64_t number;
		char *end;
		size_t i = 0;

		if (*text == 'T' && !clock) {
			clock = true;
			continue;
		}
		if (*text < '0' || *text > '9')
			return -1;
		number = strtoull(text, &end, 10);
		if (*end == '.')
			end += 1 + strspn(end + 1, "0123456789");
		while (i < 4 && (units[i].letter != *end || units[i].clock != clock))
			i++;
		if (i == 4 || __builtin_mul_overflow(number, units[i].milliseconds, &number) ||
		    __builtin_add_overflow(sum, number, &sum))
			return -1;
		text = end;
		any = true;
	}
	*out = sum;
	return any ? 0 : -1;
}

int import_read_time(const struct import_value *value, uint64_t *out)
{
	const struct import_value *ticks = import_member(value, "Ticks");
	char text[32];
	char *fraction;
	const char *why;

	if (ticks) { // of 100 ns
		if (!ticks->text || value_number(ticks->text, out, &why))
			return -1;
		*out /= 10000;
		return 0;
	}
	if (!value->text || strlen(value->text) >= sizeof(text))
		return -1;
	strcpy(text, value->text);
	if (text[0] == 'P')
		return iso_time(text, out);
	fraction = strrchr(text, '.');
	if (fraction && !strchr(fraction, ':'))
		*fraction = '\0';
	return strchr(text, ':') && !value_time(text, out, &why) ? 0 : -1;
}

// ---- Enumerations ----------------------------------------------------------------------------

static void append(char **list, const char *name, size_t length)
{
	char *longer = *list ? import_format("%s, %.*s", *list, (int)length, name)
			     : import_copy(name, length);

	free(*list);
	*list = longer;
}

static int names_of_number(uint64_t number, const struct import_name *names, bool flags, char **out)
{
	for (; names->name; names++) {
		bool has = flags && names->number ? (number & names->number) != 0
						  : number == names->number;

		if (!has || (flags && !names->number && *out))
			continue;
		append(out, names->name, strlen(names->name));
		number &= ~names->number;
		if (!flags)
			return 0;
	}
	return number == 0 && *out ? 0 : -1;
}

// "Tls, Integrated": in the spelling of the table where it has the name.
static int names_of_text(const char *text, const struct import_name *names, char **out)
{
	while (*text) {
		size_t length;

		text += strspn(text, ", \t");
		length = strcspn(text, ",");
		while (length && (text[length - 1] == ' ' || text[length - 1] == '\t'))
			length--;
		if (length > 64)
			return -1;
		for (const struct import_name *row = names; row->name && length; row++)
			if (strlen(row->name) == length &&
			    strncasecmp(row->name, text, length) == 0) {
				append(out, row->name, length);
				text += length;
				length = 0;
			}
		if (length)
			append(out, text, length);
		text += strcspn(text, ",");
	}
	return 0;
}

int import_read_names(const struct import_value *value, const struct import_name *names, bool flags,
		      char **out)
{
	int status = 0;

	*out = NULL;
	for (const struct import_value *item = import_first_item(value); item && !status;
	     item = import_next_item(item)) {
		uint64_t number;
		const char *why;

		if (!item->text || strlen(item->text) > 1000)
			status = -1;
		else if (!value_number(item->text, &number, &why))
			status = names_of_number(number, names, flags, out);
		else
			status = names_of_text(item->text, names, out);
	}
	if (!*out || status) {
		free(*out);
		*out = NULL;
		return -1;
	}
	return 0;
}
