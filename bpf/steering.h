// SPDX-License-Identifier: BSD-3-Clause
//
// Fills the maps of steer.bpf.c with what a port is to take off its interface. Needs only the maps'
// descriptors, hence no privilege: a reload may do it after root was dropped.
#ifndef RELAYGATE_BPF_STEERING_H
#define RELAYGATE_BPF_STEERING_H

#include "bpf/export.h"

struct steering_maps {
	int addresses;
	int bindings;
	int servers;
	int config;
};

// Makes the maps hold exactly what steering says: what is new goes in before what is gone leaves,
// so that traffic that stays wanted is never passed by. 0 or -errno with a line about subject;
// -E2BIG names the list that is too long.
int steering_fill(const struct steering_maps *maps, const struct export_steering *steering,
		  const char *subject, char error[EXPORT_ERROR_MAX]);

#endif
