// SPDX-License-Identifier: BSD-3-Clause
//
// Policies for the ruleset's tests, made by hand: addresses, connectors and servers added one by
// one from texts, and a naive verdict that follows the rules word by word.
#ifndef RELAYGATE_TESTS_GATE_POLICIES_H
#define RELAYGATE_TESTS_GATE_POLICIES_H

#include "config/policy.h"
#include "dataplane/gate/ruleset.h"

struct address address_of(const char *text);

struct policy *policy_new(void);
void policy_add_address(struct policy *policy, const char *text);
// bindings and ranges: texts separated by commas. Returns the connector's index.
unsigned policy_add_connector(struct policy *policy, const char *bindings, const char *ranges);
void connector_add_range(struct connector *connector, struct range range);
void policy_add_server(struct policy *policy, const char *text);

// What the design says, by looking at every binding and every range.
struct verdict naive_verdict(const struct policy *policy, const struct view *view);

#endif
