// SPDX-License-Identifier: BSD-3-Clause
//
// See date.h. The civil calendar from a day number, by way of 400-year cycles that begin on March
// 1, so that the leap day is the last one of its year. Years above 9999 are not handled: the text
// then has five digits.
#include "dataplane/smtp/date.h"

#include <string.h>

static const char *const weekdays[7] = {"Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"};
static const char *const months[12] = {"Mar", "Apr", "May", "Jun", "Jul", "Aug",
				       "Sep", "Oct", "Nov", "Dec", "Jan", "Feb"};

static char *put_text(char *at, const char *text)
{
	const size_t length = strlen(text);
	memcpy(at, text, length);
	return at + length;
}

// At least so many digits. By hand: every session's banner has a date, and printf takes longer than
// the rest of its handshake.
static char *put_number(char *at, unsigned number, unsigned digits)
{
	char reversed[10];
	unsigned count = 0;
	for (; number || count < digits; number /= 10)
		reversed[count++] = (char)('0' + number % 10);
	while (count)
		*at++ = reversed[--count];
	return at;
}

char *date_format(uint64_t wall_us, char buffer[DATE_TEXT_MAX])
{
	const uint64_t seconds = wall_us / 1000000;
	const uint64_t days = seconds / 86400; // since 1970-01-01, a Thursday
	const unsigned of_day = (unsigned)(seconds % 86400);

	const uint64_t shifted = days + 719468; // since 0000-03-01
	const unsigned of_cycle = (unsigned)(shifted % 146097);
	const unsigned year_of_cycle =
		(of_cycle - of_cycle / 1460 + of_cycle / 36524 - of_cycle / 146096) / 365;
	const unsigned of_year =
		of_cycle - (365 * year_of_cycle + year_of_cycle / 4 - year_of_cycle / 100);
	const unsigned month = (5 * of_year + 2) / 153; // 0 = March
	const unsigned day = of_year - (153 * month + 2) / 5 + 1;
	const unsigned year =
		(unsigned)(shifted / 146097 % 100) * 400 + year_of_cycle + (month >= 10);

	char *at = put_text(put_text(buffer, weekdays[days % 7]), ", ");
	at = put_text(put_number(at, day, 1), " ");
	at = put_text(put_text(at, months[month]), " ");
	at = put_text(put_number(at, year, 1), " ");
	at = put_text(put_number(at, of_day / 3600, 2), ":");
	at = put_text(put_number(at, of_day / 60 % 60, 2), ":");
	at = put_text(put_number(at, of_day % 60, 2), " +0000");
	*at = '\0';
	return buffer;
}
