// SPDX-License-Identifier: BSD-3-Clause
//
// The SMTP service extensions (RFC 5321 section 2.2) that the gate knows, as bits. Set from a
// server's EHLO reply on the backend's side; offered in ours on the client's side only if every
// live server of the connector's backend has them, but for those that are the gate's own business.
// Constants only; includes nothing, because both sides of a transaction include it.
#ifndef RELAYGATE_SMTP_EXTENSION_H
#define RELAYGATE_SMTP_EXTENSION_H

enum smtp_extension {
	SMTP_EXTENSION_8BITMIME = 1 << 0,   // RFC 6152
	SMTP_EXTENSION_PIPELINING = 1 << 1, // RFC 2920
	SMTP_EXTENSION_SIZE = 1 << 2,       // RFC 1870
	SMTP_EXTENSION_DSN = 1 << 3,        // RFC 3461
	SMTP_EXTENSION_SMTPUTF8 = 1 << 4,   // RFC 6531
	SMTP_EXTENSION_CHUNKING = 1 << 5,   // RFC 3030
	SMTP_EXTENSION_BINARYMIME = 1 << 6, // RFC 3030
	SMTP_EXTENSION_XLONGADDR = 1 << 7,  // of Exchange: addresses of up to 1,860 octets
	SMTP_EXTENSION_XORAR = 1 << 8,      // of Exchange: ORAR=, another recipient instead
};

#endif
