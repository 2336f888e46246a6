// SPDX-License-Identifier: BSD-3-Clause
//
// What the XDP program of an af_xdp port must take off the interface, made from the policy.
#ifndef RELAYGATE_CONTROL_STEERING_H
#define RELAYGATE_CONTROL_STEERING_H

#include "bpf/export.h"
#include "config/policy.h"

// The interface of an af_xdp port; NULL for other devices, which need no steering.
const char *steering_interface(const struct port_settings *port);
// Fills the program's maps for policy->ports[port], whose own addresses are given; nothing to do
// for other devices. As export_xdp_adopt.
int steering_adopt(const struct policy *policy, unsigned port, const struct address *addresses,
		   unsigned address_count, struct export *export, char error[EXPORT_ERROR_MAX]);

#endif
