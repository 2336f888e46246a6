// SPDX-License-Identifier: BSD-3-Clause
//
// What idle sessions cost: memory, and the speed of everything beside them. A real pipeline is
// driven from memory: so many clients complete a handshake (with the cookie that they were given),
// read the banner and say nothing more. Measured: resident memory for each of them, by the system's
// count and by the sizes of their objects; the drop of unlisted SYNs before and beside them, a turn
// of the pipeline after each burst as a worker does it; their timers; a NOOP of each. Fails when a
// session is above its ceiling, when one of them is not there any more at the end, or when the drop
// path lost more than a tenth of its speed.

#include "tests/bench/crowd.h"

#include <argp.h>

#define GOAL_BYTES    1024
#define CEILING_BYTES 1536
#define SPEED_KEPT    0.9
// From so many sessions on the system's count and the speed are judged, too.
#define JUDGED_FROM 100000

#define STRANGERS   16384
#define ROUNDS      64
#define KEEP_S      240
#define KEEP_ROUNDS 2 // within ConnectionTimeout

struct figures {
	double fixed_bytes, banner_bytes, ehlo_bytes, total_bytes;
	uint64_t by_size;
	uint32_t chunks_banner, chunks_ehlo;
	double before_min, before_median, beside_min, beside_median;
	double handshake_cycles, noop_cycles, timers_percent;
};

static uint8_t strangers[STRANGERS][60];

static void build_strangers(void)
{
	for (uint32_t i = 0; i < STRANGERS; i++) {
		uint8_t frame[OUTBOX_FRAME_MAX] = {0};
		struct segment segment = {.sequence = i, .flags = TCP_SYN};

		build(frame, 0xcb007100u + i * 7, (uint16_t)(1024 + i), &segment);
		memcpy(strangers[i], frame, sizeof(strangers[i]));
	}
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

// Cycles for one unlisted SYN: all strangers once a round, in bursts, the time read and a turn
// taken after each, as in a worker's loop.
static void drop_strangers(double *least, double *median)
{
	double rounds[ROUNDS];
	uint64_t dropped = bench.reasons[REASON_no_connector].count;
	struct timespec start;
	uint64_t base_us = bench.now.now_us;

	clock_gettime(CLOCK_MONOTONIC, &start);
	for (unsigned round = 0; round < ROUNDS; round++) {
		double begin = cpu_cycles();

		for (unsigned i = 0; i < STRANGERS; i += PIPELINE_BURST) {
			struct slice frames[PIPELINE_BURST];

			for (unsigned k = 0; k < PIPELINE_BURST; k++)
				frames[k] = slice_of(strangers[i + k], 60);
			bench.now.now_us = base_us + elapsed_us(&start);
			pipeline_input(bench.pipeline, 0, frames, PIPELINE_BURST, bench.now,
				       &bench.outbox);
			pipeline_turn(bench.pipeline, bench.now, &bench.outbox);
		}
		rounds[round] = (cpu_cycles() - begin) / STRANGERS;
	}
	if (bench.reasons[REASON_no_connector].count - dropped != ROUNDS * STRANGERS)
		exit(1);
	qsort(rounds, ROUNDS, sizeof(rounds[0]), by_value);
	*least = rounds[0];
	*median = rounds[ROUNDS / 2];
}

// ---- The phases ------------------------------------------------------------------------------

static void shake_all_hands(struct figures *figures)
{
	double begin = cpu_cycles();

	for (uint32_t i = 0; i < bench.sessions; i++) {
		shake_hands(i);
		pass(STEP_US);
	}
	figures->handshake_cycles = (cpu_cycles() - begin) / bench.sessions;
}

// Each client says it once, far from the one before, hears the answer and acknowledges it.
static double all_say(const char *text, const char *code, uint64_t step_us)
{
	double begin = cpu_cycles();
	uint32_t i = 0, step = 7919;

	while (bench.sessions % step == 0)
		step += 2;
	for (uint32_t n = 0; n < bench.sessions; n++) {
		say(i, TCP_ACK | TCP_PSH, text);
		hear(i, code);
		say(i, TCP_ACK, NULL);
		pass(step_us);
		i = (uint32_t)(((uint64_t)i + step) % bench.sessions);
	}
	return (cpu_cycles() - begin) / bench.sessions;
}

// A client says something each KEEP_S, in turn, which keeps them all: what a turn costs beside that
// is their timers.
static void keep_all(struct figures *figures)
{
	bench.turn_cycles = 0;
	for (unsigned round = 0; round < KEEP_ROUNDS; round++)
		figures->noop_cycles =
			all_say("NOOP\r\n", "250", KEEP_S * 1000000ull / bench.sessions);
	figures->timers_percent = 100.0 * (double)bench.turn_cycles / (KEEP_ROUNDS * KEEP_S) /
				  (bench.cycles_a_ns * 1e9);
}

static void measure(struct figures *figures)
{
	double before, empty = resident_bytes();

	open_gate(1, "");
	figures->fixed_bytes = resident_bytes() - empty;
	close_gate();
	malloc_trim(0);
	before = resident_bytes();
	open_gate(bench.sessions, "");
	figures->by_size = bytes_by_size();
	pipeline_start(bench.pipeline, bench.now, &bench.outbox);
	announce_gateway();
	drop_strangers(&figures->before_min, &figures->before_median);
	shake_all_hands(figures);
	figures->total_bytes = (resident_bytes() - before) / bench.sessions;
	figures->banner_bytes = (resident_bytes() - before - figures->fixed_bytes) / bench.sessions;
	figures->chunks_banner = pipeline_levels(bench.pipeline).chunks_used;
	drop_strangers(&figures->beside_min, &figures->beside_median);
	all_say("EHLO client.example\r\n", "250", STEP_US);
	figures->ehlo_bytes = (resident_bytes() - before - figures->fixed_bytes) / bench.sessions;
	figures->chunks_ehlo = pipeline_levels(bench.pipeline).chunks_used;
	keep_all(figures);
}

// ---- The outcome -----------------------------------------------------------------------------

static void print(const struct figures *f, FILE *json)
{
	printf("%u idle sessions on one worker\n", bench.sessions);
	printf("  bytes a session, banner read (resident)     %8.0f   goal %u, ceiling %u\n",
	       f->banner_bytes, GOAL_BYTES, CEILING_BYTES);
	printf("  bytes a session, EHLO answered (resident)   %8.0f\n", f->ehlo_bytes);
	printf("  bytes a session, by the sizes of its parts  %8lu\n", f->by_size);
	printf("  all the gate's memory / sessions            %8.0f   %.0f MB do not grow with "
	       "them\n",
	       f->total_bytes, f->fixed_bytes / 1e6);
	printf("  payload buffers held, banner read / EHLO    %8u / %u\n", f->chunks_banner,
	       f->chunks_ehlo);
	printf("  cycles an unlisted SYN, before them         %8.1f   (least %.1f)\n",
	       f->before_median, f->before_min);
	printf("  cycles an unlisted SYN, beside them         %8.1f   (least %.1f: %.1f %% "
	       "of the speed)\n",
	       f->beside_median, f->beside_min, 100 * f->before_min / f->beside_min);
	printf("  %% of a core for the timers of all           %8.3f   a command each every %u s\n",
	       f->timers_percent, KEEP_S);
	printf("  cycles a handshake, with its client's side  %8.0f\n", f->handshake_cycles);
	printf("  cycles a NOOP, with its client's side       %8.0f\n", f->noop_cycles);
	if (json)
		fprintf(json,
			"{\"name\": \"idle\", \"sessions\": %u, \"bytes_banner\": %.1f, "
			"\"bytes_ehlo\": %.1f, \"bytes_by_size\": %lu, \"bytes_total\": %.1f, "
			"\"drop_cycles_before\": %.2f, \"drop_cycles_before_min\": %.2f, "
			"\"drop_cycles_beside\": %.2f, \"drop_cycles_beside_min\": %.2f, "
			"\"timers_percent\": %.4f, \"handshake_cycles\": %.0f, "
			"\"noop_cycles\": %.0f}\n",
			bench.sessions, f->banner_bytes, f->ehlo_bytes, f->by_size, f->total_bytes,
			f->before_median, f->before_min, f->beside_median, f->beside_min,
			f->timers_percent, f->handshake_cycles, f->noop_cycles);
}

static bool judge(const struct figures *figures)
{
	bool all = pipeline_levels(bench.pipeline).clients == bench.sessions;
	bool small = figures->by_size <= CEILING_BYTES;
	bool fast = true;

	if (bench.sessions >= JUDGED_FROM) {
		small = small && figures->banner_bytes <= CEILING_BYTES &&
			figures->ehlo_bytes <= CEILING_BYTES;
		fast = figures->before_min >= SPEED_KEPT * figures->beside_min;
	}
	if (!all)
		printf("FAILED: sessions are gone\n");
	if (!small)
		printf("FAILED: a session is above its ceiling\n");
	if (!fast)
		printf("FAILED: the drop path is too slow beside them\n");
	return all && small && fast;
}

static const char *json_path;

static error_t option(int key, char *argument, struct argp_state *state)
{
	switch (key) {
	case 's':
		bench.sessions = (uint32_t)strtoul(argument, NULL, 10);
		if (bench.sessions < 1 || bench.sessions > 10000000)
			argp_error(state, "--sessions takes 1 to 10000000");
		return 0;
	case 'j':
		json_path = argument;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

int main(int argc, char **argv)
{
	static const struct argp_option options[] = {
		{"sessions", 's', "N", 0, "idle sessions (1000000)", 0},
		{"json", 'j', "FILE", 0, "write the figures as one line of JSON, too", 0},
		{0}};
	static const struct argp argp = {.options = options, .parser = option};
	struct figures figures = {0};
	FILE *json = NULL;
	bool good;

	bench.sessions = 1000000;
	argp_parse(&argp, argc, argv, 0, NULL, NULL);
	if (json_path && !(json = fopen(json_path, "w"))) {
		perror(json_path);
		return 1;
	}
	prepare_crowd();
	build_strangers();
	measure(&figures);
	print(&figures, json);
	good = judge(&figures);
	if (json && fclose(json) != 0)
		good = false;
	close_gate();
	pool_fini(&bench.chunk);
	free(bench.said);
	free(bench.heard);
	return good ? 0 : 1;
}
