// SPDX-License-Identifier: BSD-3-Clause
//
// Everything that a running gate consists of, started in order and unwound in reverse: counters,
// DPDK, ports, steering, ruleset, workers, privileges. One a process (DPDK allows no
// more).
#ifndef RELAYGATE_CONTROL_INSTANCE_H
#define RELAYGATE_CONTROL_INSTANCE_H

#include <stdbool.h>

struct policy;
struct instance;
struct standing;

#define INSTANCE_ERROR_MAX 512

// A gate that takes frames; the policy is its own from now on. NULL, with one line in error that
// says what to do, and everything that was touched left as it was found.
struct instance *instance_start(struct policy *policy, char error[INSTANCE_ERROR_MAX]);
// The policy in force; valid until the next instance_reload.
const struct policy *instance_policy(const struct instance *instance);
// Reads the file anew (control/reload.h). 0, or -1 and nothing changed.
int instance_reload(struct instance *instance, const char *cause);
// No new sessions while closed; those there are go on. instance_drained: there is none.
void instance_close_door(struct instance *instance, bool closed);
// Writes the protocol log, adds the workers' counters up and publishes the standing; every 100 ms.
void instance_sum(struct instance *instance);
// What others are told of the gate, and ask of it.
struct standing *instance_standing(struct instance *instance);
void instance_drain(struct instance *instance, bool force);
bool instance_drained(const struct instance *instance);
// Ends the workers and leaves the interfaces as they were found. Pins stay: counters go on at the
// next start.
void instance_stop(struct instance *instance);

#endif
