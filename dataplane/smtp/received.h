// SPDX-License-Identifier: BSD-3-Clause
//
// The trace header that the gate puts in front of every message (RFC 5321 section 4.4).
#ifndef RELAYGATE_SMTP_RECEIVED_H
#define RELAYGATE_SMTP_RECEIVED_H

#include "dataplane/base/slice.h"

struct received {
	struct slice hello;   // what the client called itself; its form was checked at EHLO
	const char *literal;  // the client's address, in the form of an address literal's inside
	const char *by;       // our name
	const char *protocol; // "ESMTP" or "SMTP"
	const char *id;
	const char *date;
};

// Writes "Received: ...", CR LF ended, folded so that lines stay within 78 characters unless one
// word alone is longer. Returns the length; asserts that size suffices.
size_t received_format(const struct received *received, char *buffer, size_t size);

#endif
