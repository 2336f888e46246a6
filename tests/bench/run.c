// SPDX-License-Identifier: BSD-3-Clause
//
// The gate in memory, the two ways to drive it, and the figures. Cycles are the thread's CPU time
// at the rate of the time stamp counter: what else runs on the core does not count, but what it
// does to the caches does. Hence the median of many windows, and the best one beside it.
#include "tests/bench/run.h"

#include "config/load.h"
#include "config/policy.h"
#include "dataplane/gate/ruleset.h"
#include "dataplane/pipeline/pipeline.h"
#include "tests/bench/ring.h"
#include "tests/bench/sample.h"

#include <argp.h>
#include <assert.h>
#include <pthread.h>
#include <sched.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <x86intrin.h>

#define WINDOWS    40
#define LOG_RING   4096
#define OUT_FRAMES 4096
#define RING       2048
#define STUCK_US   20000000

const uint8_t run_gate_mac[2][6] = {{2, 0, 0, 0, 0, 0}, {2, 0, 0, 0, 0, 1}};
const uint8_t run_peer_mac[2][6] = {{2, 0, 0, 0, 1, 0}, {2, 0, 0, 0, 1, 1}};

struct peer run_client(uint32_t number, bool timestamps)
{
	struct peer peer = {.local = RUN_CLIENTS + number,
			    .remote = RUN_GATE_OUTSIDE,
			    .local_port = (uint16_t)(1024 + number * 7919 % 60000),
			    .remote_port = 25,
			    .sequence = number * 2654435761u,
			    .timestamps = timestamps};

	memcpy(peer.local_mac, run_peer_mac[0], 6);
	memcpy(peer.remote_mac, run_gate_mac[0], 6);
	return peer;
}

static const char policy_text[] =
	"[gate]\nName = mx.example.com\nMaxSessions = %u\nBufferMemory = 256MB\n"
	"[port outside]\nDevice = vdev:net_null0\nAddress = 192.0.2.10/24\nGateway = 192.0.2.1\n"
	"[port inside]\nDevice = vdev:net_null1\nAddress = 10.0.0.1/24\n"
	"[accepted-domain accepted.test]\n"
	"[connector clients]\nBindings = 192.0.2.10:25\nRemoteIPRanges = 100.64.0.0/10\n"
	"PermissionGroups = AnonymousUsers\nTarpitInterval = 0s\n"
	"MaxInboundConnection = unlimited\nMaxInboundConnectionPerSource = unlimited\n"
	"MaxInboundConnectionPercentagePerSource = 100\n"
	"[backend cluster]\nServers = 10.0.0.11:25\nMaxConnections = %u\nMaxWaiting = 100000\n";

struct gate {
	struct outbox outbox; // first
	struct policy *policy;
	struct ruleset *ruleset;
	struct packet_port ports[2];
	struct connector_counters connector, *connectors[1];
	struct port_counters port_rows[2], *port_row[2];
	struct reason_counter reasons[REASON_COUNT];
	struct log_record log[LOG_RING];
	struct pipeline *pipeline;
	uint16_t reserved_port;
	struct run_frame *out; // [OUT_FRAMES], one core
	unsigned out_count;
	struct ring to_gate, from_gate; // two cores
	bool two_cores;
};

// Cycles of the pipeline and units that were done in them.
struct window {
	double cycles;
	uint64_t units;
};

struct figures {
	double tsc_mhz;
	struct window windows[WINDOWS];
	unsigned window_count;
	double median, best; // cycles a unit
	double seconds;      // two cores: wall clock
	double busy;         // two cores: share of the time in which the pipeline had frames
	uint64_t units;
	uint64_t frames_in, frames_out;
};

// ---- The gate --------------------------------------------------------------------------------

static uint8_t *reserve(struct outbox *outbox, uint16_t port)
{
	struct gate *gate = (struct gate *)outbox;

	gate->reserved_port = port;
	if (!gate->two_cores)
		return gate->out_count < OUT_FRAMES ? gate->out[gate->out_count].bytes : NULL;
	return ring_wait(&gate->from_gate)->bytes; // the load always empties it
}

static void commit(struct outbox *outbox, uint16_t length)
{
	struct gate *gate = (struct gate *)outbox;
	struct run_frame *frame;

	if (!length)
		return;
	frame = gate->two_cores ? ring_wait(&gate->from_gate) : &gate->out[gate->out_count++];
	frame->port = gate->reserved_port;
	frame->length = length;
	if (gate->two_cores)
		ring_push(&gate->from_gate);
}

static void report(void *context, enum diagnostic_severity severity, const char *text)
{
	if (severity == DIAGNOSTIC_ERROR)
		fprintf(stderr, "%s\n", text);
}

static struct gate *gate_open(const struct run_options *options, struct tick now)
{
	struct gate *gate = calloc(1, sizeof(*gate));
	struct diagnostics diagnostics = {.report = report};
	struct pipeline_settings settings = {.ports = gate->ports};
	char text[2048];

	assert(sodium_init() >= 0);
	gate->outbox = (struct outbox){.reserve = reserve, .commit = commit};
	gate->two_cores = options->two_cores;
	snprintf(text, sizeof(text), policy_text, 2 * options->concurrent + 64,
		 options->concurrent < 500 ? options->concurrent + 2 : 500);
	gate->policy = policy_load_text(text, &diagnostics);
	assert(gate->policy);
	gate->ruleset = ruleset_create(gate->policy);
	for (uint16_t i = 0; i < 2; i++) {
		gate->ports[i] = (struct packet_port){.index = i,
						      .trust_checksums = options->trust_checksums};
		memcpy(gate->ports[i].mac, run_gate_mac[i], 6);
		gate->port_row[i] = &gate->port_rows[i];
	}
	gate->connectors[0] = &gate->connector;
	settings.policy = gate->policy;
	settings.ruleset = gate->ruleset;
	settings.counters = (struct pipeline_counters){.connectors = gate->connectors,
						       .ports = gate->port_row,
						       .reasons = gate->reasons,
						       .log = gate->log,
						       .log_records = LOG_RING};
	gate->pipeline = pipeline_create(&settings, now);
	gate->out = calloc(OUT_FRAMES, sizeof(*gate->out));
	assert(gate->ruleset && gate->pipeline && gate->out);
	if (options->two_cores) {
		ring_init(&gate->to_gate, RING);
		ring_init(&gate->from_gate, RING);
	}
	pipeline_start(gate->pipeline, now, &gate->outbox);
	return gate;
}

static void gate_close(struct gate *gate)
{
	pipeline_destroy(gate->pipeline);
	ruleset_destroy(gate->ruleset);
	policy_destroy(gate->policy);
	ring_fini(&gate->to_gate);
	ring_fini(&gate->from_gate);
	free(gate->out);
	free(gate);
}

// The frames of one loop turn, as a worker's loop hands them on.
static void input(struct gate *gate, const struct run_frame *const frames[], unsigned count,
		  struct tick now)
{
	struct slice slices[2][PIPELINE_BURST];
	unsigned counts[2] = {0};

	for (unsigned i = 0; i < count; i++) {
		unsigned port = frames[i]->port;

		slices[port][counts[port]++] = slice_of(frames[i]->bytes, frames[i]->length);
	}
	for (uint16_t port = 0; port < 2; port++) {
		if (counts[port])
			pipeline_input(gate->pipeline, port, slices[port], counts[port], now,
				       &gate->outbox);
	}
	pipeline_turn(gate->pipeline, now, &gate->outbox);
}

// ---- Time ------------------------------------------------------------------------------------

static uint64_t monotonic_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static double measure_tsc_mhz(void)
{
	uint64_t start_us = monotonic_us(), start = __rdtsc(), now_us;

	while ((now_us = monotonic_us()) < start_us + 50000)
		;
	return (double)(__rdtsc() - start) / (double)(now_us - start_us);
}

static struct tick tick_at(uint64_t us)
{
	return (struct tick){us, 1790000000000000ull + us};
}

static uint64_t thread_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

// ---- One core --------------------------------------------------------------------------------

struct turns {
	struct gate *gate;
	struct load *load;
	unsigned burst;
	uint64_t ns; // of the pipeline, since the start
	struct run_frame *frames;
};

// Returns how many frames the gate was given.
static unsigned turn(struct turns *turns)
{
	const struct run_frame *frames[PIPELINE_BURST];
	uint64_t now_us = 1000000 + turns->ns / 1000;
	uint32_t now_ms = (uint32_t)(now_us / 1000);
	unsigned count = 0;
	uint64_t start;

	while (count < turns->burst &&
	       turns->load->next(turns->load, &turns->frames[count], now_ms)) {
		frames[count] = &turns->frames[count];
		count++;
	}
	sample_inside = true;
	start = thread_ns();
	input(turns->gate, frames, count, tick_at(now_us));
	turns->ns += thread_ns() - start;
	sample_inside = false;
	for (unsigned i = 0; i < turns->gate->out_count; i++)
		turns->load->take(turns->load, &turns->gate->out[i], now_ms);
	turns->gate->out_count = 0;
	return count;
}

static void run_until(struct turns *turns, uint64_t units)
{
	uint64_t last = monotonic_us(), done = turns->load->done;

	while (turns->load->done < units) {
		turn(turns);
		if (turns->load->done != done) {
			done = turns->load->done;
			last = monotonic_us();
		} else if (monotonic_us() - last > STUCK_US) {
			fprintf(stderr, "no %s ended for 20 s\n", turns->load->unit);
			exit(1);
		}
	}
}

static void run_one_core(struct gate *gate, struct load *load, const struct run_options *options,
			 struct figures *figures)
{
	struct turns turns = {gate, load, options->burst, 0, NULL};
	uint64_t warm = options->count / 8 + 3 * options->concurrent;
	uint64_t before = 0, frames_in, frames_out;

	turns.frames = calloc(PIPELINE_BURST, sizeof(*turns.frames));
	run_until(&turns, warm);
	frames_in = gate->port_rows[0].frames_in + gate->port_rows[1].frames_in;
	frames_out = gate->port_rows[0].frames_out + gate->port_rows[1].frames_out;
	before = load->done;
	if (options->samples)
		sample_start();
	for (unsigned i = 0; i < WINDOWS; i++) {
		uint64_t ns = turns.ns, done = load->done;

		run_until(&turns, before + options->count * (i + 1) / WINDOWS);
		if (load->done > done)
			figures->windows[figures->window_count++] =
				(struct window){(double)(turns.ns - ns) * figures->tsc_mhz / 1000,
						load->done - done};
	}
	if (options->samples && sample_write(options->samples))
		perror(options->samples);
	figures->units = load->done - before;
	figures->frames_in =
		gate->port_rows[0].frames_in + gate->port_rows[1].frames_in - frames_in;
	figures->frames_out =
		gate->port_rows[0].frames_out + gate->port_rows[1].frames_out - frames_out;
	free(turns.frames);
}

// ---- Two cores -------------------------------------------------------------------------------

struct gate_thread {
	struct gate *gate;
	unsigned burst;
	_Atomic bool stop;
	uint64_t busy_cycles, cycles;
};

// As the loop of io/worker.c: take what is there, one turn, look again.
static void *gate_main(void *argument)
{
	struct gate_thread *thread = argument;
	struct gate *gate = thread->gate;
	uint64_t begin = __rdtsc();

	while (!thread->stop) {
		const struct run_frame *frames[PIPELINE_BURST];
		uint64_t start = __rdtsc();
		unsigned count = ring_peek(&gate->to_gate, frames, thread->burst);

		input(gate, frames, count, tick_at(monotonic_us()));
		ring_drop(&gate->to_gate, count);
		if (count)
			thread->busy_cycles += __rdtsc() - start;
	}
	thread->cycles = __rdtsc() - begin;
	return NULL;
}

static void exchange_until(struct gate *gate, struct load *load, uint64_t units)
{
	uint64_t last = monotonic_us(), done = load->done, now_us;

	while (load->done < units) {
		const struct run_frame *frames[PIPELINE_BURST];
		unsigned count = ring_peek(&gate->from_gate, frames, PIPELINE_BURST);
		uint32_t now_ms = (uint32_t)((now_us = monotonic_us()) / 1000);
		struct run_frame *room;

		for (unsigned i = 0; i < count; i++)
			load->take(load, frames[i], now_ms);
		ring_drop(&gate->from_gate, count);
		for (unsigned i = 0; i < PIPELINE_BURST && (room = ring_room(&gate->to_gate)) &&
				     load->next(load, room, now_ms);
		     i++)
			ring_push(&gate->to_gate);
		if (load->done != done) {
			done = load->done;
			last = now_us;
		} else if (now_us - last > STUCK_US) {
			fprintf(stderr, "no %s ended for 20 s\n", load->unit);
			exit(1);
		}
	}
}

static void run_two_cores(struct gate *gate, struct load *load, const struct run_options *options,
			  struct figures *figures)
{
	struct gate_thread thread = {.gate = gate, .burst = options->burst};
	uint64_t start_us, before;
	pthread_t id;
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	CPU_SET(1, &cpus);
	assert(pthread_create(&id, NULL, gate_main, &thread) == 0);
	pthread_setaffinity_np(id, sizeof(cpus), &cpus); // on one core alone it is only slow
	CPU_ZERO(&cpus);
	CPU_SET(0, &cpus);
	pthread_setaffinity_np(pthread_self(), sizeof(cpus), &cpus);
	exchange_until(gate, load, options->count / 8 + 3 * options->concurrent);
	before = load->done;
	start_us = monotonic_us();
	exchange_until(gate, load, before + options->count);
	figures->seconds = (double)(monotonic_us() - start_us) / 1e6;
	figures->units = load->done - before;
	thread.stop = true;
	pthread_join(id, NULL);
	figures->busy = (double)thread.busy_cycles / (double)thread.cycles;
}

// ---- Figures ---------------------------------------------------------------------------------

static int compare_windows(const void *a, const void *b)
{
	const struct window *x = a, *y = b;
	double left = x->cycles / (double)x->units;
	double right = y->cycles / (double)y->units;

	return left < right ? -1 : left > right;
}

static double of_window(const struct window *window)
{
	return window->cycles / (double)window->units;
}

static void evaluate(struct figures *figures)
{
	qsort(figures->windows, figures->window_count, sizeof(figures->windows[0]),
	      compare_windows);
	figures->best = of_window(&figures->windows[0]);
	figures->median = of_window(&figures->windows[figures->window_count / 2]);
}

static void print_one_core(const struct load *load, const struct figures *figures, FILE *json)
{
	double units = (double)figures->units;

	printf("%s, one core: median %.0f cycles = %.0f/s, best %.0f cycles = %.0f/s; "
	       "frames %.2f in, %.2f out\n",
	       load->unit, figures->median, figures->tsc_mhz * 1e6 / figures->median, figures->best,
	       figures->tsc_mhz * 1e6 / figures->best, (double)figures->frames_in / units,
	       (double)figures->frames_out / units);
	if (json)
		fprintf(json,
			"\"cycles_median\": %.1f, \"cycles_best\": %.1f, \"per_second_median\": "
			"%.0f, \"per_second_best\": %.0f, \"frames_in\": %.3f, \"frames_out\": "
			"%.3f",
			figures->median, figures->best, figures->tsc_mhz * 1e6 / figures->median,
			figures->tsc_mhz * 1e6 / figures->best, (double)figures->frames_in / units,
			(double)figures->frames_out / units);
}

static void print_two_cores(const struct load *load, const struct figures *figures, FILE *json)
{
	double rate = (double)figures->units / figures->seconds;

	printf("%s, two cores: %.0f/s by the wall clock, pipeline busy %.0f %% of it\n", load->unit,
	       rate, figures->busy * 100);
	if (json)
		fprintf(json, "\"per_second_wall\": %.0f, \"busy\": %.3f", rate, figures->busy);
}

static void print_drops(const struct gate *gate)
{
	static const char *const names[REASON_COUNT] = {
#define X(name, kind, help) [REASON_##name] = #name,
		REASONS(X)
#undef X
	};

	for (unsigned i = 0; i < REASON_COUNT; i++)
		if (gate->reasons[i].count)
			printf("  counted: %s %llu\n", names[i],
			       (unsigned long long)gate->reasons[i].count);
}

int run(struct load *load, const struct run_options *options)
{
	struct figures figures = {.tsc_mhz = measure_tsc_mhz()};
	struct gate *gate =
		gate_open(options, tick_at(options->two_cores ? monotonic_us() : 1000000));
	FILE *json = options->json ? fopen(options->json, "w") : NULL;

	if (options->json && !json) {
		perror(options->json);
		return 1;
	}
	if (json)
		fprintf(json,
			"{\"unit\": \"%s\", \"concurrent\": %u, \"burst\": %u, \"timestamps\": %s, "
			"\"bare_acks\": %s, \"count\": %llu, \"tsc_mhz\": %.1f, ",
			load->unit, options->concurrent, options->burst,
			options->timestamps ? "true" : "false",
			options->bare_acks ? "true" : "false", (unsigned long long)options->count,
			figures.tsc_mhz);
	if (options->two_cores) {
		run_two_cores(gate, load, options, &figures);
		print_two_cores(load, &figures, json);
	} else {
		run_one_core(gate, load, options, &figures);
		evaluate(&figures);
		print_one_core(load, &figures, json);
	}
	if (json) {
		fprintf(json, ", \"wrong\": %llu}\n", (unsigned long long)load->wrong);
		fclose(json);
	}
	print_drops(gate);
	if (load->wrong)
		printf("  WRONG: %llu\n", (unsigned long long)load->wrong);
	gate_close(gate);
	return load->wrong ? 1 : 0;
}

// ---- Options ---------------------------------------------------------------------------------

enum {
	KEY_JSON = 1000,
	KEY_NO_TIMESTAMPS,
	KEY_BARE_ACKS,
	KEY_TWO_CORES,
	KEY_MESSAGES,
	KEY_BYTES,
	KEY_TRUST,
	KEY_DATA,
	KEY_SAMPLES
};

static const struct argp_option arguments[] = {
	{"count", 'n', "N", 0, "units to measure", 0},
	{"concurrent", 'c', "N", 0, "client sessions at once", 0},
	{"burst", 'b', "N", 0, "most frames in a burst, up to 64", 0},
	{"messages", KEY_MESSAGES, "N", 0, "messages of one session", 0},
	{"bytes", KEY_BYTES, "N", 0, "size of one message", 0},
	{"data", KEY_DATA, NULL, 0, "the server has no CHUNKING", 0},
	{"no-timestamps", KEY_NO_TIMESTAMPS, NULL, 0, "peers offer none", 0},
	{"bare-acks", KEY_BARE_ACKS, NULL, 0, "peers acknowledge each reply by itself", 0},
	{"trust-checksums", KEY_TRUST, NULL, 0, "as if the card had verified them", 0},
	{"two-cores", KEY_TWO_CORES, NULL, 0, "the load runs on the other core", 0},
	{"json", KEY_JSON, "FILE", 0, "figures as JSON, too", 0},
	{"samples", KEY_SAMPLES, "FILE", 0, "addresses at which the time is spent", 0},
	{0},
};

static error_t parse(int key, char *value, struct argp_state *state)
{
	struct run_options *options = state->input;
	unsigned long number = value ? strtoul(value, NULL, 10) : 0;

	switch (key) {
	case 'n':
		options->count = number;
		break;
	case 'c':
		options->concurrent = (uint32_t)number;
		break;
	case 'b':
		options->burst = (unsigned)number;
		break;
	case KEY_MESSAGES:
		options->messages = (uint32_t)number;
		break;
	case KEY_BYTES:
		options->bytes = (uint32_t)number;
		break;
	case KEY_DATA:
		options->without_bdat = true;
		break;
	case KEY_NO_TIMESTAMPS:
		options->timestamps = false;
		break;
	case KEY_BARE_ACKS:
		options->bare_acks = true;
		break;
	case KEY_TRUST:
		options->trust_checksums = true;
		break;
	case KEY_TWO_CORES:
		options->two_cores = true;
		break;
	case KEY_JSON:
		options->json = value;
		break;
	case KEY_SAMPLES:
		options->samples = value;
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

struct run_options run_options_of(int argc, char **argv, struct run_options defaults)
{
	static const struct argp argp = {arguments, parse, NULL, NULL, NULL, NULL, NULL};
	struct run_options options = defaults;

	argp_parse(&argp, argc, argv, 0, NULL, &options);
	if (options.count < WINDOWS || options.concurrent == 0 || options.concurrent > 60000 ||
	    options.burst == 0 || options.burst > PIPELINE_BURST || options.messages == 0 ||
	    options.bytes < 16 || options.bytes > 1000000) {
		fprintf(stderr, "an option is out of range\n");
		exit(1);
	}
	return options;
}
