// SPDX-License-Identifier: BSD-3-Clause
//
// The tool's side of bpf/capture.h: gives the order, keeps its lease, and reads the workers' rings
// through the pins. One capture at a time. Never waits; whoever captures asks again soon, as a ring
// holds CAPTURE_RECORDS frames only. Does not print.
#ifndef RELAYGATE_BPF_CAPTURE_READER_H
#define RELAYGATE_BPF_CAPTURE_READER_H

#include "bpf/capture.h"
#include "bpf/export.h"

struct capture_reader;

// 0, or -errno with a line for a person (-ENOENT: nothing is pinned there; -EPROTO: the maps of
// another version).
int capture_reader_open(const char *directory, struct capture_reader **out,
			char error[EXPORT_ERROR_MAX]);
// Ends the capture, if one was begun. NULL is fine.
void capture_reader_close(struct capture_reader *reader);

// Begins: serial, owner and lease of the order are filled in here. -EBUSY, with a line, while
// another process captures.
int capture_reader_begin(struct capture_reader *reader, const struct capture_order *order,
			 char error[EXPORT_ERROR_MAX]);
// To be called at least twice a CAPTURE_LEASE_US. False: another process took the capture over.
bool capture_reader_renew(struct capture_reader *reader);
// The next record of any worker: *record is a copy. false: no further one now.
bool capture_reader_next(struct capture_reader *reader, struct capture_record *record,
			 unsigned *worker);
// Records that were overwritten before they could be read, since it began.
uint64_t capture_reader_lost(const struct capture_reader *reader);

#endif
