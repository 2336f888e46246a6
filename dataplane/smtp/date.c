// SPDX-License-Identifier: BSD-3-Clause
//
// See date.h. The civil calendar from a day number, by way of 400-year cycles that begin on March
// 1, so that the leap day is the last one of its year. Years above 9999 are not handled: the text
// then has five digits.
#include "dataplane/smtp/date.h"

#include <stdio.h>

static const char *const weekdays[7] = {"Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"};
static const char *const months[12] = {"Mar", "Apr", "May", "Jun", "Jul", "Aug",
				       "Sep", "Oct", "Nov", "Dec", "Jan", "Feb"};

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

	snprintf(buffer, DATE_TEXT_MAX, "%s, %u %s %u %02u:%02u:%02u +0000", weekdays[days % 7],
		 day, months[month], year, of_day / 3600, of_day / 60 % 60, of_day % 60);
	return buffer;
}
