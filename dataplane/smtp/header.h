// SPDX-License-Identifier: BSD-3-Clause
//
// The header of a message (RFC 5322 section 2.2) while it streams by: the header firewall removes
// fields that the session has no right to send (connector reference, section 7.1), and the size of
// the header and its Received fields are counted. Works on bytes in DATA form (a dot that begins a
// line is none of the line's, RFC 5321 section 4.5.2: ".Received:" is Received to whoever reads
// it), of one line at a time, however they are cut; what may still turn out to be a removed field's
// name is kept back, at most HEADER_HELD_MAX bytes. Knows no end of data and no limits. Where
// readers of a header could disagree, the firewall takes the reading that removes: any mixture of
// CR and LF ends a line, blanks may stand before the colon, and a malformed line ends nothing.
// Folded lines before the first field are removed, too: behind our own fields they would go on with
// the last of these, a stamp.
#ifndef RELAYGATE_SMTP_HEADER_H
#define RELAYGATE_SMTP_HEADER_H

#include "config/rights.h"
#include "dataplane/base/slice.h"

// A stuffed dot, the longest name, or beginning of names, that is looked for, and a blank behind
// it.
#define HEADER_HELD_MAX 29

struct header {
	uint8_t state;  // enum header_state of header.c
	uint8_t keep;   // bits: which groups of fields pass
	uint8_t length; // bytes of name[] in use
	uint8_t by;     // progress of the search for "by FQDN" in a Received field
	bool removing;  // the field that the line belongs to, if it is a continuation, or there is
			// none
	bool received;  // that field is Received
	uint16_t hops;  // Received fields so far
	uint16_t local_hops;
	uint32_t octets;  // of the header so far; stays at its maximum
	uint32_t removed; // fields
	char name[HEADER_HELD_MAX];
};

// rights: of the session; they say which fields pass.
void header_init(struct header *header, rights_mask rights);
// The empty line was seen: everything from here on is body and not this file's.
bool header_ended(const struct header *header);
// Bytes of an unfinished line are kept back: with a CR LF they go on, or are removed.
bool header_keeps_back(const struct header *header);

// A piece of one line: `in` holds no byte behind a CR or LF but the LF of CR LF. *before and
// *passed are what goes on, in this order: bytes kept back earlier (valid until the next call), and
// a part of `in`. fqdn: whose Received fields are local.
void header_input(struct header *header, struct slice in, const char *fqdn, struct slice *before,
		  struct slice *passed);

#endif
