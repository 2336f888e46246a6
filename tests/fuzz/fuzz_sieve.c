// SPDX-License-Identifier: BSD-3-Clause
//
// libFuzzer: two gates, of which one looks at each frame of a flood by itself and the other may
// take the short way (pipeline/sieve.c): counters, log, offenders and answers are the same after
// each burst. What the bytes mean is in tests/unit/pipeline/twins.c.
//
// runs: 400
#include "tests/unit/pipeline/twins.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	twins_play(slice_of(data, size));
	return 0;
}
