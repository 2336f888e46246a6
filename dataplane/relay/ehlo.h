// SPDX-License-Identifier: BSD-3-Clause
//
// What a server's EHLO reply offers (RFC 5321 section 4.1.1.1). Pure function over a reply that the
// reply parser has found well formed; keywords that do not pass through the gate are skipped.
#ifndef RELAYGATE_RELAY_EHLO_H
#define RELAYGATE_RELAY_EHLO_H

#include "dataplane/base/slice.h"

struct ehlo {
	unsigned extensions; // bits of enum smtp_extension
	uint64_t size;       // RFC 1870 section 3: the server's fixed limit in octets, 0 = none
};

// reply: "250-host\r\n250-KEYWORD arguments\r\n250 KEYWORD\r\n". Keywords count without regard to
// case; a SIZE argument that is no number of 64 bits says nothing, and SIZE stands without it.
struct ehlo ehlo_parse(struct slice reply);

#endif
