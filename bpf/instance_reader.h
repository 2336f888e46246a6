// SPDX-License-Identifier: BSD-3-Clause
//
// Reads from outside what a gate says of itself, and asks something of it, through the pins
// `instance` and `requests`. Whole records only. Never waits: whoever asked looks again until the
// number that was returned is answered.
#ifndef RELAYGATE_BPF_INSTANCE_READER_H
#define RELAYGATE_BPF_INSTANCE_READER_H

#include "bpf/counters.h"
#include "bpf/export.h"
#include <sys/types.h>

struct instance_reader {
	const struct instance_record *record;
	struct request_record *requests; // NULL: only to be read
};

// Maps directory/instance, and directory/requests if `ask`. 0, or -errno with a line for a person
// (-ENOENT: nothing is pinned there; -EPROTO: of another version). Close in both cases is fine.
int export_instance_open(const char *directory, bool ask, struct instance_reader *reader,
			 char error[EXPORT_ERROR_MAX]);
void export_instance_close(struct instance_reader *reader);
// The process of the gate that runs with this directory, 0 = none. Certain, whatever the record
// says and whose number has been given anew since: the gate's lock ends with its process. But one
// in a pid namespace that is not below the caller's is not seen.
pid_t export_instance_owner(const char *directory);
// A whole copy; false when the record was being written each time.
bool export_instance_read(const struct instance_reader *reader, struct instance_record *copy);
// Raises the number of a request; the answer is there when reload_answered, or drain_answered,
// has reached what is returned.
uint64_t export_instance_ask_reload(const struct instance_reader *reader);
uint64_t export_instance_ask_drain(const struct instance_reader *reader, bool drain);

#endif
