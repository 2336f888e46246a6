// SPDX-License-Identifier: BSD-3-Clause
//
// Reads the log rings of an instance from outside, through the pin: while it runs, and after it
// died. Copies whole records only, each worker's in its order, workers merged by time. Never waits;
// whoever follows a log asks again later. Does not print.
#ifndef RELAYGATE_BPF_LOG_READER_H
#define RELAYGATE_BPF_LOG_READER_H

#include "bpf/counters.h"
#include "bpf/export.h"

struct log_reader;

// Maps directory/log read-only and starts at the oldest record. 0, or -errno with a line for a
// person
// (-ENOENT: nothing is pinned there; -EPROTO: a log of another version).
int export_log_open(const char *directory, struct log_reader **out, char error[EXPORT_ERROR_MAX]);
// The next record: *record is a copy, *worker (may be NULL) the worker that wrote it. false: no
// further record now.
bool export_log_next(struct log_reader *log, struct log_record *record, unsigned *worker);
// Goes on behind the newest record, as `tail -n 0` does.
void export_log_skip(struct log_reader *log);
// Records that were overwritten before they could be read, since the log was opened.
uint64_t export_log_lost(const struct log_reader *log);
// True when the pin is gone or names another map (the gate was restarted with another shape): no
// further record will come here. Costs two system calls.
bool export_log_replaced(const struct log_reader *log);
void export_log_close(struct log_reader *log); // NULL is fine

#endif
