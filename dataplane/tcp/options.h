// SPDX-License-Identifier: BSD-3-Clause
//
// TCP options on the wire (RFC 9293 3.1, RFC 7323, RFC 2018): parse and write.
#ifndef RELAYGATE_TCP_OPTIONS_H
#define RELAYGATE_TCP_OPTIONS_H

#include "dataplane/base/slice.h"
#include "dataplane/base/tcp_options.h"

// False when an option has length 0, 1 or runs past the end (parsing stops there; *out then holds
// what was read so far). Unknown options are skipped; of duplicates the first counts. syn: MSS,
// window scale and SACK-permitted count only on SYNs (RFC 7323 2.2).
bool options_parse(struct slice bytes, bool syn, struct tcp_options *out);

// What goes into a segment; fields at their "absent" values are left out. Returns the bytes
// written, padded with NOPs to a multiple of 4, at most 40.
uint8_t options_write(const struct tcp_options *options, uint8_t buffer[40]);

#endif
