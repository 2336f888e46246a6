// SPDX-License-Identifier: BSD-3-Clause
//
// A sampling profiler of one thread; see sample.h.
#include "tests/bench/sample.h"

#include <dlfcn.h>
#include <link.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <ucontext.h>

#define SAMPLES     262144
#define INTERVAL_NS 203000 // in step with nothing

volatile sig_atomic_t sample_inside;

static uintptr_t samples[SAMPLES];
static volatile unsigned sample_count;
static timer_t timer;

static void take(int number, siginfo_t *info, void *context)
{
	const ucontext_t *at = context;

	if (sample_inside && sample_count < SAMPLES)
		samples[sample_count++] = (uintptr_t)at->uc_mcontext.gregs[REG_RIP];
}

void sample_start(void)
{
	struct sigaction action = {.sa_sigaction = take, .sa_flags = SA_SIGINFO | SA_RESTART};
	struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGPROF};
	struct itimerspec interval = {{0, INTERVAL_NS}, {0, INTERVAL_NS}};

	sample_count = 0;
	sigaction(SIGPROF, &action, NULL);
	timer_create(CLOCK_MONOTONIC, &event, &timer);
	timer_settime(timer, 0, &interval, NULL);
}

static void write_place(FILE *out, uintptr_t address)
{
	struct link_map *map;
	Dl_info info;

	if (!dladdr1((void *)address, &info, (void **)&map, RTLD_DL_LINKMAP))
		fprintf(out, "1 other\n");
	else if (map->l_name[0] == '\0')
		fprintf(out, "1 %#zx\n", (size_t)(address - map->l_addr));
	else
		fprintf(out, "1 %s\n",
			strrchr(map->l_name, '/') ? strrchr(map->l_name, '/') + 1 : map->l_name);
}

int sample_write(const char *file)
{
	FILE *out;

	timer_delete(timer);
	out = fopen(file, "w");
	if (!out)
		return -1;
	for (unsigned i = 0; i < sample_count; i++)
		write_place(out, samples[i]);
	return fclose(out);
}
