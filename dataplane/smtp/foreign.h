// SPDX-License-Identifier: BSD-3-Clause
//
// Lines that belong to another protocol: a browser or scanner was led to this port, and whatever
// follows must not be read as mail commands.
#ifndef RELAYGATE_SMTP_FOREIGN_H
#define RELAYGATE_SMTP_FOREIGN_H

#include "dataplane/base/slice.h"

// True for an HTTP request line (method at the front or version at the end), an SSH greeting and
// the beginning of a TLS record. `line` is a line without CR LF, or the beginning of one.
bool foreign_protocol(struct slice line);

#endif
