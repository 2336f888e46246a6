// SPDX-License-Identifier: BSD-3-Clause
//
// A banned source as a person reads and writes it. Reads no map.
#ifndef RELAYGATE_CONTROL_BAN_TEXT_H
#define RELAYGATE_CONTROL_BAN_TEXT_H

#include "bpf/counters.h"
#include "config/address.h"

// The source that an address belongs to: itself, or its /64.
struct ban_source ban_text_source_of(const struct address *address);

// "192.0.2.7", "2001:db8:9::/64". Returns text.
#define BAN_TEXT_SOURCE_MAX (ADDRESS_TEXT_MAX + 4)
const char *ban_text_source(const struct ban_source *source, char text[BAN_TEXT_SOURCE_MAX]);
// "2026-11-22T04:55:03Z" of seconds since 1970; "for ever" for 0. Returns text, or a constant.
#define BAN_TEXT_TIME_MAX 32
const char *ban_text_time(uint64_t until_s, char text[BAN_TEXT_TIME_MAX]);
// The name of the reason for which it was made; "by hand"; "?": of another version.
const char *ban_text_reason(const struct ban *ban);

#endif
