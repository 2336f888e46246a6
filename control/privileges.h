// SPDX-License-Identifier: BSD-3-Clause
//
// Giving root up after start-up.
#ifndef RELAYGATE_CONTROL_PRIVILEGES_H
#define RELAYGATE_CONTROL_PRIVILEGES_H

#include <stddef.h>
#include <stdint.h>

// The ids of a user by name. 0 or -ENOENT.
int privileges_lookup(const char *user, uint32_t *uid, uint32_t *gid);
// Becomes that user, all threads of the process, with no capability but CAP_NET_ADMIN (detaching
// the XDP program needs it) in the calling thread. 0 or -errno; error gets one line.
int privileges_drop(const char *user, char *error, size_t error_size);
// No capability at all in the calling thread, whoever its user is. Only for a thread that begins
// after privileges_drop, which changes the ids of all threads. 0 or -errno.
int privileges_none(void);

#endif
