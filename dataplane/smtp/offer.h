// SPDX-License-Identifier: BSD-3-Clause
//
// The keywords of our EHLO reply (RFC 5321 section 4.1.1.1): what the connector's switches and
// rights allow, as far as the servers must have it and do. Private to smtp/. Owns nothing; what was
// offered is kept in session->offered, and parameters of MAIL and RCPT are judged by it.
#ifndef RELAYGATE_SMTP_OFFER_H
#define RELAYGATE_SMTP_OFFER_H

#include "dataplane/smtp/command.h"

// Adds a line for each keyword to the reply, in Exchange's order (connector reference, section
// 4.4), and notes the extensions in the session.
void offer_extensions(struct turn *turn);

// The largest message in octets: the connector's limit or the servers', whichever is smaller;
// POLICY_SIZE_UNLIMITED when there is neither.
uint64_t offer_size_limit(const struct turn *turn);

#endif
