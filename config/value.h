// SPDX-License-Identifier: BSD-3-Clause
//
// One scalar of the INI file: text -> number, boolean, size, time span, name. Whole texts only,
// letters without regard to case. On failure -EINVAL with *why pointing at a constant text for a
// person that says what to write instead; *out is then undefined. Ranges are judged by the caller.
#ifndef RELAYGATE_CONFIG_VALUE_H
#define RELAYGATE_CONFIG_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// yes no, true false, $true $false, on off.
int value_boolean(const char *text, bool *out, const char **why);
// Decimal digits.
int value_number(const char *text, uint64_t *out, const char **why);
// Bytes: digits and an optional unit B KB MB GB TB, powers of 1,024; a blank before the unit is
// fine.
int value_size(const char *text, uint64_t *out, const char **why);
// Milliseconds: digits and a unit ms s m h d, or Exchange's hh:mm:ss and d.hh:mm:ss.
int value_time(const char *text, uint64_t *out, const char **why);

// Seconds since 1970: YYYY-MM-DD (that day's beginning) or YYYY-MM-DDThh:mmZ, UTC.
int value_instant(const char *text, uint64_t *out, const char **why);

// A domain name of RFC 1035 section 2.3.1 and RFC 1123 section 2.1: labels of letters, digits and
// inner hyphens, 1-63 bytes each, 253 in all, no trailing dot, the last label not all digits.
// Returns NULL or what is wrong.
const char *value_domain_fault(const char *text);
// A domain name of two labels or more.
const char *value_fqdn_fault(const char *text);
// A section's name: 1 to POLICY_NAME_MAX bytes of valid UTF-8. Control bytes never get here.
const char *value_name_fault(const char *text);

// The length of the UTF-8 sequence that a NUL-terminated text begins with (RFC 3629 section 4), 0
// when it is none.
size_t value_utf8_length(const char *sequence);

// Printed so that the parsers above read the same value back: the largest unit that divides it.
#define VALUE_TEXT_MAX 32
char *value_format_size(uint64_t bytes, char buffer[VALUE_TEXT_MAX]);
char *value_format_time(uint64_t milliseconds, char buffer[VALUE_TEXT_MAX]);

#endif
