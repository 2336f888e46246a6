// SPDX-License-Identifier: BSD-3-Clause
//
// Error lines for a person. libbpf prints to stderr by itself and keeps the useful part (what the
// kernel's verifier said, which map failed) out of its return codes: message_capture() silences it
// and keeps its last warning for our own line.
#ifndef RELAYGATE_BPF_MESSAGE_H
#define RELAYGATE_BPF_MESSAGE_H

#include "bpf/export.h"

// Takes libbpf's printing over for the whole process, and forgets the warning kept so far. Every
// public function that may fail calls it first.
void message_capture(void);

// The last warning since message_capture(), one line without libbpf's prefix; "" when none.
const char *message_last(void);

// Formats one line into error and returns code, so that a caller can `return message_set(...)`.
int message_set(char error[EXPORT_ERROR_MAX], int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

// The line for a failed step on subject: lack of privilege says what to run as; everything else
// says the step, the errno's text and, if there is one, libbpf's warning.
int message_failed(char error[EXPORT_ERROR_MAX], int code, const char *subject, const char *step);

#endif
