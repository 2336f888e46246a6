// SPDX-License-Identifier: BSD-3-Clause
//
// A point in time as RFC 5322 section 3.3 writes it, in UTC, computed from the number alone: no
// clock, no time zone database.
#ifndef RELAYGATE_SMTP_DATE_H
#define RELAYGATE_SMTP_DATE_H

#include <stdint.h>

#define DATE_TEXT_MAX 40

// "Tue, 2 Jan 2024 03:04:05 +0000", NUL-terminated. Returns buffer.
char *date_format(uint64_t wall_us, char buffer[DATE_TEXT_MAX]);

#endif
