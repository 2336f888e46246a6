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

// A gate that takes frames. The policy must outlive it. NULL, with one line in error that says what
// to do, and everything that was touched left as it was found.
struct instance *instance_start(const struct policy *policy, char error[INSTANCE_ERROR_MAX]);
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
