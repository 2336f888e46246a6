// SPDX-License-Identifier: BSD-3-Clause
//
// The protocol log as Exchange's SMTP Receive Protocol Log: takes the records out of the workers'
// rings, in the order of their times, and makes lines of comma-separated values of them. Only for
// the main thread: it writes files, and a slow disk is not to be a worker's matter.
#ifndef RELAYGATE_CONTROL_PROTOCOL_LOG_H
#define RELAYGATE_CONTROL_PROTOCOL_LOG_H

#include "control/protocol_files.h"

#include <stdbool.h>

struct policy;
struct protocol_log;
struct protocol_record;
struct record_ring;

// Does any connector ask for one?
bool protocol_log_wanted(const struct policy *policy);

// A log in ReceiveProtocolLogPath, with a ring for each of so many workers. NULL, with a line for a
// person, when there is no memory or no directory. protocol_log_adopt is due before records come.
struct protocol_log *protocol_log_create(const struct policy *policy, unsigned workers,
					 const char *version, char error[PROTOCOL_FILES_ERROR_MAX]);
// No worker runs any more, and what is in the rings is lost. NULL is fine.
void protocol_log_destroy(struct protocol_log *log);
// Names of the policy's connectors by what records call them (slots; NULL: their places), beside
// those of policies before, which records may still name. 0 or -ENOMEM; log NULL is fine.
int protocol_log_adopt(struct protocol_log *log, const struct policy *policy,
		       const uint16_t *slots);
// The worker's ring; NULL when log is.
struct record_ring *protocol_log_ring(struct protocol_log *log, unsigned worker);
// Of the files: for those who give root up.
struct protocol_files *protocol_log_files(struct protocol_log *log);

// Writes what is in the rings. Returns how many lines were lost in this call because no file took
// them; the first of them is told on stderr.
uint64_t protocol_log_drain(struct protocol_log *log, uint64_t now_wall_us);

// The record as a line, CR LF included, of the gate and the connector of these names. Bytes that
// are neither printable nor valid UTF-8 become
// '?'. Returns its length.
size_t protocol_log_format(const char *gate, const char *connector,
			   const struct protocol_record *record,
			   char line[PROTOCOL_FILES_LINE_MAX]);

#endif
