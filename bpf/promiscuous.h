// SPDX-License-Identifier: BSD-3-Clause
//
// An interface's promiscuous mode outlives the process that switched it on. A small map pinned
// beside the counters remembers how the mode was before the gate, so that a clean stop, or the next
// start after a crash, restores it.
#ifndef RELAYGATE_BPF_PROMISCUOUS_H
#define RELAYGATE_BPF_PROMISCUOUS_H

#include "bpf/export.h"

// Restores what a dead instance left on according to the pin in directory, then pins what is found.
int promiscuous_remember(const char *interface, const char *directory, const char *pin,
			 char error[EXPORT_ERROR_MAX]);
// Restores and removes the pin; keeps it when the mode could not be restored. 0 or -errno.
int promiscuous_restore(const char *interface, const char *directory, const char *pin);

#endif
