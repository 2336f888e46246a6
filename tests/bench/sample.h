// SPDX-License-Identifier: BSD-3-Clause
//
// Where the time goes, seen from outside: a timer interrupts the thread some thousand times a
// second and the address it was at is kept, if it was inside the pipeline. scripts/bench turns
// addresses into source files and these into stages. The product knows nothing of it.
#ifndef RELAYGATE_BENCH_SAMPLE_H
#define RELAYGATE_BENCH_SAMPLE_H

#include <signal.h>

// Set around the calls of the pipeline.
extern volatile sig_atomic_t sample_inside;

// Samples the calling thread from now on.
void sample_start(void);
// Stops, and writes a line for each sample: 1, the address in this program ("0x1234") or the name
// of the library it is in. Returns 0, or -1 with errno.
int sample_write(const char *file);

#endif
