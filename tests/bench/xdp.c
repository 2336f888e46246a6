// SPDX-License-Identifier: BSD-3-Clause
//
// bench_gate's flood and tables, judged by an XDP program (xdp.bpf.c) under BPF_PROG_TEST_RUN: what
// the program costs, without any receiving and freeing of frames. Short runs, of which the fastest
// twentieth counts, as others may have the core meanwhile. Needs CAP_BPF and CAP_NET_ADMIN;
// attaches nothing.
#include "tests/bench/xdp.h"
#include "tests/bench/syns.h"
#include "xdp.skel.h"

#include <argp.h>
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define RUNS_MAX 2000
#define REPEAT   XDP_SOURCES_MAX

struct options {
	struct syns syns;
	unsigned runs;
	const char *json, *live;
};

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

static void set_one(int map, const void *key, const void *value)
{
	if (bpf_map_update_elem(map, key, value, BPF_ANY))
		fail("map");
}

static void set_ranges(struct xdp_bpf *bpf, const struct syns *syns)
{
	struct address *ranges = calloc(syns->ranges, sizeof(*ranges));
	uint32_t connector;

	if (!ranges)
		fail("ranges");
	syns_ranges(syns, ranges);
	for (uint32_t i = 0; i < syns->ranges; i++) {
		struct xdp_range4 range4 = {.prefix_length = 32};
		struct xdp_range6 range6 = {.prefix_length = 64};

		connector = i % syns->connectors;
		memcpy(range4.bytes, ranges[i].bytes + 12, 4);
		memcpy(range6.bytes, ranges[i].bytes, 16);
		if (syns->family == 4)
			set_one(bpf_map__fd(bpf->maps.ranges4), &range4, &connector);
		else
			set_one(bpf_map__fd(bpf->maps.ranges6), &range6, &connector);
	}
	free(ranges);
}

static void set_tables(struct xdp_bpf *bpf, const struct syns *syns)
{
	struct address *sources = calloc(syns->frames, sizeof(*sources));
	struct address gate = syns_gate(syns->family);
	uint32_t zero = 0;

	if (!sources)
		fail("sources");
	for (uint32_t i = 0; i <= syns->connectors / syns->ranges; i++) {
		struct xdp_binding binding = {.port = htons((uint16_t)(SYNS_PORT + i))};

		memcpy(binding.address.bytes, gate.bytes, 16);
		set_one(bpf_map__fd(bpf->maps.bindings), &binding, &zero);
	}
	syns_sources(syns, sources);
	for (uint32_t i = 0; i < syns->frames; i++)
		set_one(bpf_map__fd(bpf->maps.sources), &i, &sources[i]);
	free(sources);
	set_ranges(bpf, syns);
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

// Nanoseconds a run of a program.
static double measure(struct bpf_program *program, const uint8_t *frame, unsigned length,
		      unsigned runs)
{
	static double rounds[RUNS_MAX];
	uint8_t out[256];

	for (unsigned i = 0; i < runs; i++) {
		LIBBPF_OPTS(bpf_test_run_opts, test, .data_in = frame, .data_size_in = length,
			    .data_out = out, .data_size_out = sizeof(out), .repeat = REPEAT);

		if (bpf_prog_test_run_opts(bpf_program__fd(program), &test))
			fail("BPF_PROG_TEST_RUN");
		if (test.retval == XDP_ABORTED)
			fail("the program gave up");
		rounds[i] = test.duration;
	}
	qsort(rounds, runs, sizeof(rounds[0]), by_value);
	return rounds[runs / 20];
}

static double thread_ns(void)
{
	struct timespec time;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
	return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

// Nanoseconds of this thread for a frame that the interface seems to receive; the stack takes it
// before the call returns.
static double measure_live(struct bpf_program *program, const uint8_t *frame, unsigned length,
			   const struct options *options)
{
	static double rounds[RUNS_MAX];
	struct xdp_md context = {.data_end = length,
				 .ingress_ifindex = if_nametoindex(options->live)};

	if (!context.ingress_ifindex)
		fail(options->live);
	for (unsigned i = 0; i < options->runs; i++) {
		LIBBPF_OPTS(bpf_test_run_opts, test, .data_in = frame, .data_size_in = length,
			    .ctx_in = &context, .ctx_size_in = sizeof(context), .repeat = REPEAT,
			    .flags = BPF_F_TEST_XDP_LIVE_FRAMES, .batch_size = 64);
		double begin = thread_ns();

		if (bpf_prog_test_run_opts(bpf_program__fd(program), &test))
			fail("BPF_PROG_TEST_RUN with live frames");
		rounds[i] = (thread_ns() - begin) / REPEAT;
	}
	qsort(rounds, options->runs, sizeof(rounds[0]), by_value);
	return rounds[options->runs / 20];
}

static void run_live(struct xdp_bpf *bpf, const uint8_t *frame, unsigned length,
		     const struct options *options, FILE *json)
{
	double ns = measure_live(options->syns.family == 4 ? bpf->progs.generate4
							   : bpf->progs.generate6,
				 frame, length, options);

	printf("into the stack of %s: %.1f ns a frame\n", options->live, ns);
	if (json)
		fprintf(json, "{\"ns\": %.2f, \"frames\": %u}\n", ns, options->runs * REPEAT);
}

static void run_alone(struct xdp_bpf *bpf, const uint8_t *frame, unsigned length,
		      const struct options *options, FILE *json)
{
	const struct syns *syns = &options->syns;
	uint64_t expected = (uint64_t)REPEAT * options->runs, seen;
	struct bpf_program *gate, *feed;
	double fed, judged;

	gate = syns->listed        ? bpf->progs.cookie4
	       : syns->family == 4 ? bpf->progs.gate4
				   : bpf->progs.gate6;
	feed = syns->listed ? bpf->progs.feed_syn : bpf->progs.feed;
	fed = measure(feed, frame, length, options->runs);
	judged = measure(gate, frame, length, options->runs);
	printf("IPv%u, %u ranges, XDP, %s: %.1f ns a frame, of which %.1f for the test's own "
	       "source: %.2f Mpps\n",
	       syns->family, syns->ranges, syns->listed ? "listed" : "unlisted", judged, fed,
	       1e3 / (judged - fed));
	if (json)
		fprintf(json,
			"{\"family\": %u, \"ranges\": %u, \"listed\": %s, \"ns\": %.2f, "
			"\"feed_ns\": %.2f, \"mpps\": %.3f}\n",
			syns->family, syns->ranges, syns->listed ? "true" : "false", judged, fed,
			1e3 / (judged - fed));
	seen = syns->listed ? bpf->bss->listed : bpf->bss->dropped;
	if (seen != expected) {
		fprintf(stderr, "bench_xdp: %llu of %llu runs ended as they should\n",
			(unsigned long long)seen, (unsigned long long)expected);
		exit(1);
	}
}

static int run(const struct options *options)
{
	static const uint8_t gate_mac[6] = {0x02, 0, 0, 0, 0, 1};
	struct xdp_bpf *bpf = xdp_bpf__open_and_load();
	struct syns one = options->syns;
	struct address source;
	uint8_t frame[SYNS_FRAME_MAX];
	unsigned length;
	FILE *json = options->json ? fopen(options->json, "w") : NULL;

	if (!bpf)
		fail("BPF object");
	set_tables(bpf, &options->syns);
	one.frames = 1;
	syns_sources(&one, &source);
	length = syns_frame(&one, &source, 0, gate_mac, frame);
	memcpy(bpf->bss->syn, frame, SYN_BYTES); // of IPv4
	if (options->live)
		run_live(bpf, frame, length, options, json);
	else
		run_alone(bpf, frame, length, options, json);
	if (json)
		fclose(json);
	xdp_bpf__destroy(bpf);
	return 0;
}

enum { KEY_LISTED = 1000, KEY_JSON, KEY_LIVE };

static const struct argp_option arguments[] = {
	{"runs", 'n', "N", 0, "of 16,384 frames each", 0},
	{"listed", KEY_LISTED, NULL, 0, "sources are: each SYN is answered (IPv4)", 0},
	{"live", KEY_LIVE, "INTERFACE", 0, "send to the kernel's stack", 0},
	{"json", KEY_JSON, "FILE", 0, "figures as JSON, too", 0},
	{0},
};

static error_t parse(int key, char *value, struct argp_state *state)
{
	struct options *options = state->input;
	uint32_t number = value ? (uint32_t)strtoul(value, NULL, 10) : 0;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &options->syns;
		break;
	case 'n':
		options->runs = number;
		break;
	case KEY_LISTED:
		options->syns.listed = true;
		break;
	case KEY_LIVE:
		options->live = value;
		break;
	case KEY_JSON:
		options->json = value;
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

int main(int argc, char **argv)
{
	static const struct argp_child children[] = {{&syns_argp, 0, NULL, 0}, {0}};
	static const struct argp argp = {arguments, parse, NULL, NULL, children, NULL, NULL};
	struct options options = {.syns = {.family = 4,
					   .connectors = 100,
					   .ranges = 100000,
					   .frames = XDP_SOURCES_MAX},
				  .runs = 200};

	argp_parse(&argp, argc, argv, 0, NULL, &options);
	if (options.syns.ranges > XDP_RANGES_MAX || !options.runs || options.runs > RUNS_MAX ||
	    (options.syns.listed && options.syns.family != 4)) {
		fprintf(stderr, "bench_xdp: an option is out of range\n");
		return 1;
	}
	return run(&options);
}
