// SPDX-License-Identifier: BSD-3-Clause
//
// What `relaygate explain` says of the tests while a session begins: the delay, what an offence
// costs, the names that DNS lists would be asked for. Asks nobody.
#ifndef RELAYGATE_CONTROL_EXPLAIN_GREETING_H
#define RELAYGATE_CONTROL_EXPLAIN_GREETING_H

#include "control/choice.h"

struct json_object;

// choice: with a connector. identities: of the session, bits (1 << enum principal).
void explain_greeting_print(const struct policy *policy, const struct choice *choice,
			    unsigned identities);
// The same, into an object of the whole answer.
void explain_greeting_json(const struct policy *policy, const struct choice *choice,
			   unsigned identities, struct json_object *object);

#endif
