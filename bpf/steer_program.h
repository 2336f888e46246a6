// SPDX-License-Identifier: BSD-3-Clause
//
// The embedded XDP object, and what program sits on an interface: is it one of ours, and does a
// live process still hold it?
#ifndef RELAYGATE_BPF_STEER_PROGRAM_H
#define RELAYGATE_BPF_STEER_PROGRAM_H

#include "bpf/export.h"
#include <sys/types.h>

struct steer_attached {
	int fd;         // -1 = no program there
	uint32_t id;    // of the program
	uint32_t flags; // XDP_FLAGS_*_MODE to detach it with
	char name[16];
	bool several; // one in each mode: nothing we would do
	bool same;    // name and tag of the embedded program
};

// What is attached to the interface now. 0 or -errno with a line; the caller closes ->fd.
int steer_program_find(const char *interface, struct steer_attached *attached,
		       char error[EXPORT_ERROR_MAX]);
// Detaches that very program; nothing happens when another took its place. 0 or -errno.
int steer_program_detach(const char *interface, const struct steer_attached *attached);
// A process other than this one with a descriptor of the program; 0 when none is seen.
pid_t steer_program_holder(uint32_t id);

// A new descriptor of the map that the program open as fd uses under this name, or -errno.
int steer_program_map(int fd, const char *name);

#endif
