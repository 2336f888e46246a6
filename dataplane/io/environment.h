// SPDX-License-Identifier: BSD-3-Clause
//
// DPDK's environment (EAL), with every argument derived from the policy: the operator types none.
// One per process. Cold path; errors are -errno and one line for a person.
#ifndef RELAYGATE_IO_ENVIRONMENT_H
#define RELAYGATE_IO_ENVIRONMENT_H

#include <sched.h>
#include <stdbool.h>
#include <stddef.h>

struct policy;

#define ENVIRONMENT_ERROR_MAX 320

// Whether the interfaces that the policy names are there. To be asked before anything is touched.
int environment_check(const struct policy *policy, char error[ENVIRONMENT_ERROR_MAX]);

// Starts the EAL with a device for each port of the policy. xdp_object: path of the object for
// af_xdp ports; lives as long as the process. workers: lcores besides the main one, realtime
// threads if the policy says so.
int environment_start(const struct policy *policy, const char *xdp_object, unsigned workers,
		      char error[ENVIRONMENT_ERROR_MAX]);

// DPDK's name of this instance (its --file-prefix): the last part of PinDirectory.
const char *environment_prefix(const struct policy *policy);
// Whether DPDK's telemetry can have its socket, in /var/run/dpdk/PREFIX, which is made if it can
// be.
bool environment_telemetry(const struct policy *policy);

// The interface name inside an af_xdp: or af_packet: device, NULL for others.
const char *environment_interface(const char *device);
// The CPUs as DPDK reads them: "0-3,8,10-11". Cut where the text ends.
void environment_cpu_list(const cpu_set_t *set, char *text, size_t size);
// DPDK's name of the device of policy->ports[port].
void environment_device_name(const struct policy *policy, unsigned port, char name[64]);

#endif
