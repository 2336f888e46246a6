// SPDX-License-Identifier: BSD-3-Clause
//
// BDAT (RFC 3030): a message in chunks of counted octets. Private to smtp/. A chunk's octets never
// become commands: one that is refused is read to its end first, and a size that cannot be read
// ends the session. To a server that takes chunks the message goes on as it is, else in DATA form:
// dots are stuffed, a last line without CR LF gets one. Bare line ends are treated as in DATA, but
// for BODY=BINARYMIME, which goes on in chunks only and may hold any octets.
#ifndef RELAYGATE_SMTP_CHUNKING_H
#define RELAYGATE_SMTP_CHUNKING_H

#include "dataplane/smtp/command.h"

// The command; argument: what follows the verb.
void chunking_command(struct turn *turn, struct slice argument);
// XEXCH50 SIZE N: the properties that Exchange 2000 and 2003 send along with a message. Who has the
// right to may send them; they are read and go no further, no server of today knows what to do with
// them.
void chunking_exch50(struct turn *turn, struct slice argument);
// The octets of a chunk are awaited, or its answer is due.
bool chunking_active(const struct session *session);
// Input while chunking_active(); may be empty when the answer is due.
void chunking_input(struct turn *turn, struct slice in, size_t room);
// The backend agreed to take the message (or not: reason, with the reply or without).
void chunking_begin(struct turn *turn, bool chunked);
void chunking_refused(struct turn *turn, enum reason reason, struct slice reply);
// The backend leg is lost in the middle of the message.
void chunking_fail(struct session *session, enum reason reason, struct slice reply);

#endif
