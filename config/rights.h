// SPDX-License-Identifier: BSD-3-Clause
//
// The extended rights of a receive connector, the permission groups that grant them, the principals
// that hold them and the authentication mechanisms that make a session one of these: names, bits,
// and which grants which (Exchange "Receive connectors", permission groups table; connector
// reference, sections 2.2 to 2.5 and 4.1). Constant data and pure functions.
#ifndef RELAYGATE_CONFIG_RIGHTS_H
#define RELAYGATE_CONFIG_RIGHTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum right {
	RIGHT_SUBMIT = 1u << 0,                      // ms-Exch-SMTP-Submit
	RIGHT_ACCEPT_ANY_RECIPIENT = 1u << 1,        // ms-Exch-SMTP-Accept-Any-Recipient
	RIGHT_ACCEPT_ANY_SENDER = 1u << 2,           // ms-Exch-SMTP-Accept-Any-Sender
	RIGHT_ACCEPT_AUTHORITATIVE_SENDER = 1u << 3, // ...-Accept-Authoritative-Domain-Sender
	RIGHT_ACCEPT_AUTHENTICATION_FLAG = 1u << 4,  // ...-Accept-Authentication-Flag
	RIGHT_ACCEPT_EXCH50 = 1u << 5,               // ms-Exch-SMTP-Accept-Exch50
	RIGHT_ACCEPT_HEADERS_ROUTING = 1u << 6,      // ms-Exch-Accept-Headers-Routing
	RIGHT_ACCEPT_HEADERS_ORGANIZATION = 1u << 7, // ms-Exch-Accept-Headers-Organization
	RIGHT_ACCEPT_HEADERS_FOREST = 1u << 8,       // ms-Exch-Accept-Headers-Forest
	RIGHT_BYPASS_ANTI_SPAM = 1u << 9,            // ms-Exch-Bypass-Anti-Spam
	RIGHT_BYPASS_MESSAGE_SIZE_LIMIT = 1u << 10,  // ms-Exch-Bypass-Message-Size-Limit
};
#define RIGHT_FIRST RIGHT_SUBMIT
#define RIGHT_LAST  RIGHT_BYPASS_MESSAGE_SIZE_LIMIT

typedef uint32_t rights_mask; // bits of enum right

// Who a session is. It may be several: it begins as anonymous and keeps that.
enum principal {
	PRINCIPAL_ANONYMOUS,          // NT AUTHORITY\ANONYMOUS LOGON
	PRINCIPAL_AUTHENTICATED,      // NT AUTHORITY\Authenticated Users
	PRINCIPAL_EXTERNALLY_SECURED, // MS Exchange\Externally Secured Servers
	PRINCIPAL_PARTNER,            // MS Exchange\Partner Servers
	PRINCIPAL_COUNT
};

enum permission_group {
	PERMISSION_GROUP_ANONYMOUS_USERS = 1u << 0,
	PERMISSION_GROUP_EXCHANGE_USERS = 1u << 1,
	PERMISSION_GROUP_EXCHANGE_SERVERS = 1u << 2,
	PERMISSION_GROUP_EXCHANGE_LEGACY_SERVERS = 1u << 3,
	PERMISSION_GROUP_PARTNERS = 1u << 4,
};

enum mechanism {
	MECHANISM_TLS = 1u << 0,
	MECHANISM_INTEGRATED = 1u << 1,
	MECHANISM_BASIC_AUTH = 1u << 2,
	MECHANISM_BASIC_AUTH_REQUIRE_TLS = 1u << 3,
	MECHANISM_EXCHANGE_SERVER = 1u << 4,
	MECHANISM_EXTERNAL_AUTHORITATIVE = 1u << 5,
};

// A right by any spelling that Exchange's documents use (connector reference, section 2.5), without
// regard to case. 0, -ENOTSUP (a right that Exchange gives to its own servers only, for verbs that
// the gate does not have) or -EINVAL.
int rights_parse(const char *text, enum right *out);
// Canonical spelling, e.g. "ms-Exch-SMTP-Submit".
const char *right_name(enum right right);
// As Exchange's protocol log spells it (section 2.6), e.g. "SMTPSubmit".
const char *right_token(enum right right);

// A principal by our word, its name in Windows (English or German) or its SID, without regard to
// case; text need not be NUL-terminated. 0 or -EINVAL.
int principal_parse(const char *text, size_t length, enum principal *out);
// Our word: "anonymous", "authenticated", "externally-secured", "partner".
const char *principal_name(enum principal principal);

// A group by its cmdlet or prose name, without regard to case. 0 or -EINVAL. "None" yields 0.
int permission_group_parse(const char *text, uint32_t *out);
const char *permission_group_name(enum permission_group group);
// What a set of groups grants to a principal (section 2.3).
rights_mask permission_groups_rights(uint32_t groups, enum principal principal);

// A value of AuthMechanism, without regard to case. 0 or -EINVAL. "None" yields 0.
int mechanism_parse(const char *text, uint32_t *out);
const char *mechanism_name(enum mechanism mechanism);

#endif
