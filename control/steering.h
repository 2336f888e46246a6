// SPDX-License-Identifier: BSD-3-Clause
//
// What the XDP program of an af_xdp port must take off the interface, made from the policy.
#ifndef RELAYGATE_CONTROL_STEERING_H
#define RELAYGATE_CONTROL_STEERING_H

#include "bpf/export.h"
#include "config/policy.h"

// The interface of an af_xdp port; NULL for other devices, which need no steering.
const char *steering_interface(const struct port_settings *port);
// The policies whose bindings and servers an interface has to be taken off for: the newest, and
// older ones that still have connections. All have the same ports.
struct steering_policies {
	const struct policy *const *all;
	unsigned count;
};

// Fills the program's maps for this port, whose own addresses are given; nothing to do for other
// devices. Interrupts nothing, if the maps were filled before. As export_xdp_adopt.
int steering_adopt(const struct steering_policies *policies, unsigned port,
		   const struct address *addresses, unsigned address_count, struct export *export,
		   char error[EXPORT_ERROR_MAX]);

#endif
