// SPDX-License-Identifier: BSD-3-Clause
//
// Reverse- and forward-paths (RFC 5321 section 4.1.2), with UTF-8 in them
// (RFC 6531 section 3.3) where the caller allows it. A path is parsed, never
// repaired: what is judged are exactly the bytes that go on to the backend. Since some servers act
// on source routes, on user%domain and domain!user, and on the same inside quotes, a path yields
// *every* domain that it could be delivered to; a relay decision must hold for all of them.
// Names are taken a little wider than the RFC where that is harmless: underscores are letters.
#ifndef RELAYGATE_SMTP_PATH_H
#define RELAYGATE_SMTP_PATH_H

#include "dataplane/base/slice.h"

// Octets, RFC 5321 section 4.5.3.1: the local part as written, the path with its brackets.
#define PATH_LOCAL_MAX  64
#define PATH_DOMAIN_MAX 255
#define PATH_MAX_OCTETS 256
// With XLONGADDR (connector reference, section 5.2): of an address, all of which may be local part.
#define PATH_LONG_ADDRESS 1860
// More routing domains than anyone has a use for: such a path is refused.
#define PATH_DOMAINS_MAX 8

// Slices point into the input or into `local`: valid as long as both; not to be copied.
struct path {
	struct slice text; // "<...>" as it was given
	bool null;         // <>
	bool postmaster;   // <postmaster>, the one mailbox that needs no domain
	bool utf8;         // holds bytes above 127, all of them well-formed UTF-8
	unsigned domain_count;
	struct slice domains[PATH_DOMAINS_MAX]; // the one behind the last @ first
	uint8_t local[PATH_LONG_ADDRESS];       // the local part without its quoting
	uint16_t local_length;
};

// Parses the path at the front of `in`; *used says how many bytes it has. False when it is none.
// <> and <postmaster> are parsed; whether they may stand where they do is the caller's question.
bool path_parse(struct slice in, struct path *path, size_t *used);
// The same within PATH_LONG_ADDRESS.
bool path_parse_long(struct slice in, struct path *path, size_t *used);

// A domain name: labels of 1-63 letters, digits, - and _, no - at either end of one.
bool path_domain_name(struct slice text);
// What a client may call itself in EHLO: a domain name, perhaps with a final dot, or anything in
// brackets that looks like an address.
bool path_hello_name(struct slice text);

#endif
