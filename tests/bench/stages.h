// SPDX-License-Identifier: BSD-3-Clause
//
// Where a burst's cycles go: the clock (rdtsc) is read where one folder of the product calls the
// next, once a burst. The linker puts these readings in (--wrap, see meson.build): the product's
// objects are the same as everywhere else. The processor works on several stages at a time, so the
// borders are not sharp; the sum is. Only in bench_gate_stages; bench_gate has none of it.
#ifndef RELAYGATE_BENCH_STAGES_H
#define RELAYGATE_BENCH_STAGES_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

// True in the program that has the readings.
bool stages_present(void);
// Starts over: what was seen before does not count.
void stages_reset(void);
// ,"stages": {"name": cycles a frame, ...}: the mean of the fastest quarter of the rounds (a round
// is some hundred bursts), so that what else runs on the core does not count.
void stages_print(FILE *json);

#endif
