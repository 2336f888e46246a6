// SPDX-License-Identifier: BSD-3-Clause
//
// What one core drops, or answers, of SYNs, or of ACKs without a connection: the real worker
// (io/worker) polls a DPDK port whose driver repeats a capture from memory for ever, and its
// pipeline does with each frame what it does in service. Measured: frames and SYN-ACKs in the
// worker's CPU time, in many short windows, so that what else runs on the core is left out. Fails
// when a frame was not counted as what it is. The packet pool differs from the product's in size
// alone: the driver keeps the capture in it.

#include "bpf/state.h"
#include "config/load.h"
#include "config/policy.h"
#include "dataplane/base/tick.h"
#include "dataplane/gate/offenders.h"
#include "dataplane/gate/ruleset.h"
#include "dataplane/io/worker.h"
#include "dataplane/pipeline/generation.h"
#include "dataplane/pipeline/pipeline.h"
#include "tests/bench/sample.h"
#include "tests/bench/stages.h"
#include "tests/bench/syns.h"

#include <argp.h>
#include <pthread.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_launch.h>
#include <rte_rcu_qsbr.h>
#include <signal.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <x86intrin.h>

#define DESCRIPTORS 2048
// As many as io/port.c makes for one queue, beside the capture.
#define BUFFERS     (4 * DESCRIPTORS - 1)
#define CACHE       256
#define LOG_RECORDS 4096
#define WINDOWS_MAX 4096
#define WINDOW_US   10000
#define WARM_US     100000
#define DEVICE      "net_pcap0"
#define LCORE       1

struct options {
	struct syns syns;
	bool huge_pages;
	unsigned milliseconds;
	const char *json, *samples, *write_capture, *write_ranges, *write_sources;
};

struct gate {
	struct generation *generation;
	struct worker_source source;
	struct port port;
	struct port_counters port_row, *port_rows[1];
	struct worker_counters state;
	struct connector_counters *rows, **row_list;
	struct reason_counter reasons[REASON_COUNT];
	struct log_record log[LOG_RECORDS];
	struct pipeline *pipeline;
	struct worker *worker;
};

struct figures {
	double cycles[WINDOWS_MAX]; // a frame
	unsigned count;
	double tsc_mhz;
	uint64_t frames, answers;
};

static struct gate gate;
static const uint8_t gate_mac[6] = {0x02, 'p', 'c', 'a', 'p', 0}; // of the driver's first device

static void fail(const char *what, const char *why)
{
	fprintf(stderr, "bench_gate: %s: %s\n", what, why);
	exit(1);
}

// ---- DPDK ------------------------------------------------------------------------------------

// As dataplane/io/environment.c has it, but for the cores.
static void start_dpdk(const struct options *options, const char *capture)
{
	char device[256], cores[64], memory[32];
	long last = sysconf(_SC_NPROCESSORS_ONLN) - 1;
	const char *pages = options->huge_pages ? "--in-memory" : "--no-huge";
	const char *arguments[] = {"bench_gate",  cores,      "--no-telemetry",
				   "--no-shconf", "--no-pci", pages,
				   memory,        device,     "--log-level=error"};

	snprintf(device, sizeof(device), "--vdev=" DEVICE ",rx_pcap=%s,infinite_rx=1", capture);
	snprintf(cores, sizeof(cores), "--lcores=0@0,%u@%ld", LCORE, last);
	snprintf(memory, sizeof(memory), "-m%u",
		 64 + (BUFFERS + options->syns.frames) * 4096 / 1048576);
	if (rte_eal_init(sizeof(arguments) / sizeof(arguments[0]), (char **)arguments) < 0)
		fail("DPDK does not start", rte_strerror(rte_errno));
}

static void open_port(const struct options *options)
{
	const struct rte_eth_conf configuration = {0};
	struct rte_ether_addr mac;
	struct port *port = &gate.port;

	port->queues = 1;
	port->group_socket = -1;
	port->buffers = rte_pktmbuf_pool_create("frames0", BUFFERS + options->syns.frames, CACHE, 0,
						RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
	if (!port->buffers || rte_eth_dev_get_port_by_name(DEVICE, &port->device) ||
	    rte_eth_dev_configure(port->device, 1, 1, &configuration) ||
	    rte_eth_rx_queue_setup(port->device, 0, DESCRIPTORS, 0, NULL, port->buffers) ||
	    rte_eth_tx_queue_setup(port->device, 0, DESCRIPTORS, 0, NULL) ||
	    rte_eth_dev_start(port->device))
		fail(DEVICE, rte_strerror(rte_errno));
	rte_eth_macaddr_get(port->device, &mac);
	if (memcmp(mac.addr_bytes, gate_mac, sizeof(gate_mac)))
		fail(DEVICE, "its MAC address is another than the capture's");
	memcpy(port->packet.mac, gate_mac, sizeof(gate_mac));
}

// ---- The gate --------------------------------------------------------------------------------

static void report(void *context, enum diagnostic_severity severity, const char *text)
{
	if (severity == DIAGNOSTIC_ERROR)
		fprintf(stderr, "%s\n", text);
}

static void compile_policy(const struct syns *syns, const char *device)
{
	struct diagnostics diagnostics = {.report = report};
	char *text = syns_policy(syns, device);
	struct policy *policy = policy_load_text(text, &diagnostics);

	free(text);
	gate.generation = policy ? generation_create(policy, NULL, 1, 1) : NULL;
	if (!gate.generation)
		fail("policy", "not usable");
	generation_publish(gate.generation);
}

// As control/ gives the worker its policy; there will be no other one.
static void follow_policy(void)
{
	size_t size = RTE_ALIGN(rte_rcu_qsbr_get_memsize(1), RTE_CACHE_LINE_SIZE);

	gate.source.readers = aligned_alloc(RTE_CACHE_LINE_SIZE, size);
	if (!gate.source.readers || rte_rcu_qsbr_init(gate.source.readers, 1))
		fail("worker", "out of memory");
	gate.source.newest = gate.generation;
	worker_follow(gate.worker, &gate.source);
}

static void open_gate(void)
{
	const struct hash_key key = {{7}};
	unsigned connectors = gate.generation->policy->connector_count;
	struct pipeline_settings settings = {.generation = gate.generation,
					     .ports = &gate.port.packet};

	gate.rows = aligned_alloc(64, connectors * sizeof(*gate.rows));
	gate.row_list = calloc(connectors, sizeof(*gate.row_list));
	if (!gate.rows || !gate.row_list)
		fail("counters", "out of memory");
	memset(gate.rows, 0, connectors * sizeof(*gate.rows));
	for (unsigned i = 0; i < connectors; i++)
		gate.row_list[i] = &gate.rows[i];
	gate.generation->shares[0].connectors = gate.row_list;
	gate.port_rows[0] = &gate.port_row;
	settings.counters = (struct pipeline_counters){.ports = gate.port_rows,
						       .reasons = gate.reasons,
						       .log = gate.log,
						       .log_records = LOG_RECORDS};
	randombytes_buf(&settings.cookie_secret, sizeof(settings.cookie_secret));
	randombytes_buf(settings.random_key, sizeof(settings.random_key));
	settings.counters.offenders = offenders_create(0x9d2c5680a8f1ec35u, worker_now().now_us);
	settings.sources = pipeline_sources(gate.generation->policy, &key);
	if (!settings.counters.offenders || !settings.sources)
		fail("tables of sources", "out of memory");
	gate.worker = worker_create(&(struct worker_settings){
		.ports = &gate.port, .port_count = 1, .spin = true, .state = &gate.state});
	if (gate.worker)
		settings.handover = worker_handover(gate.worker);
	gate.pipeline = pipeline_create(&settings, worker_now());
	if (!gate.worker || !gate.pipeline)
		fail("pipeline", "out of memory");
	follow_policy();
}

// ---- Measuring -------------------------------------------------------------------------------

static uint64_t nanoseconds(clockid_t clock)
{
	struct timespec time;

	clock_gettime(clock, &time);
	return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

static double measure_tsc_mhz(void)
{
	uint64_t begin = nanoseconds(CLOCK_MONOTONIC), cycles = __rdtsc();

	usleep(50000);
	return (double)(__rdtsc() - cycles) * 1e3 / (double)(nanoseconds(CLOCK_MONOTONIC) - begin);
}

// In the worker's thread, which alone takes the sampler's signals.
static int find_clock(void *argument)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGPROF);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	return pthread_getcpuclockid(pthread_self(), argument);
}

static uint64_t frames_in(void)
{
	return *(volatile counters_u64 *)&gate.port_row.frames_in;
}

static void measure(const struct options *options, clockid_t clock, struct figures *figures)
{
	unsigned windows = options->milliseconds * 1000 / WINDOW_US;
	uint64_t first, frames, cpu;

	windows = windows < WINDOWS_MAX ? windows : WINDOWS_MAX;
	figures->tsc_mhz = measure_tsc_mhz();
	usleep(WARM_US);
	stages_reset();
	if (options->samples) {
		sample_inside = true;
		sample_start();
	}
	first = frames = frames_in();
	cpu = nanoseconds(clock);
	// Longer when others have the core.
	for (unsigned i = 0; i < 20 * windows && figures->count < windows; i++) {
		uint64_t frames_now, cpu_now;

		usleep(WINDOW_US);
		cpu_now = nanoseconds(clock);
		frames_now = frames_in();
		// A window in which it hardly ran says little.
		if (frames_now > frames && cpu_now - cpu > WINDOW_US * 1000 / 10)
			figures->cycles[figures->count++] = (double)(cpu_now - cpu) *
							    figures->tsc_mhz / 1e3 /
							    (double)(frames_now - frames);
		frames = frames_now;
		cpu = cpu_now;
	}
	figures->frames = frames - first;
	if (options->samples && sample_write(options->samples))
		fail(options->samples, "cannot be written");
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

// Every frame was dropped for the one reason, or answered.
static bool accounted_for(const struct options *options, struct figures *figures)
{
	uint64_t all = gate.port_row.frames_in;

	for (unsigned i = 0; i < gate.generation->policy->connector_count; i++)
		figures->answers += gate.rows[i].syns;
	if (options->syns.listed && options->syns.acks)
		return gate.reasons[REASON_cookie_invalid].count == all;
	if (options->syns.listed)
		return figures->answers == all && gate.port_row.frames_accepted == all &&
		       gate.port_row.frames_out >= all;
	return gate.reasons[REASON_no_connector].count == all;
}

static void print(const struct options *options, struct figures *figures, FILE *json)
{
	const struct syns *syns = &options->syns;
	double median, best;

	if (!figures->count)
		fail("measurement", "the worker hardly ran");
	qsort(figures->cycles, figures->count, sizeof(figures->cycles[0]), by_value);
	median = figures->cycles[figures->count / 2];
	best = figures->cycles[figures->count / 20];
	printf("IPv%u, %u connectors, %u ranges, %s pages, %s: median %.1f cycles = %.2f Mpps, "
	       "best %.1f = %.2f\n",
	       syns->family, syns->connectors, syns->ranges, options->huge_pages ? "huge" : "4 KB",
	       !syns->listed ? "unlisted"
	       : syns->acks  ? "listed, ACKs"
			     : "listed",
	       median, figures->tsc_mhz / median, best, figures->tsc_mhz / best);
	if (stages_present())
		stages_print(stdout);
	if (!json)
		return;
	fprintf(json,
		"{\"family\": %u, \"connectors\": %u, \"ranges\": %u, \"frames\": %u, "
		"\"listed\": %s, \"acks\": %s, \"huge_pages\": %s, \"tsc_mhz\": %.1f, \"counted\": "
		"%llu, "
		"\"cycles_median\": %.2f, \"cycles_best\": %.2f, \"mpps_median\": %.3f, "
		"\"mpps_best\": %.3f, \"ruleset_bytes\": %zu",
		syns->family, syns->connectors, syns->ranges, syns->frames,
		syns->listed ? "true" : "false", syns->acks ? "true" : "false",
		options->huge_pages ? "true" : "false", figures->tsc_mhz,
		(unsigned long long)figures->frames, median, best, figures->tsc_mhz / median,
		figures->tsc_mhz / best, ruleset_memory(gate.generation->ruleset));
	if (stages_present())
		stages_print(json);
	fprintf(json, "}\n");
}

static int run(const struct options *options)
{
	static struct figures figures;
	char capture[] = "/tmp/bench_gate.XXXXXX";
	int handle = mkstemp(capture);
	FILE *json = options->json ? fopen(options->json, "w") : NULL;
	clockid_t clock;
	sigset_t set;
	bool good;

	if (handle < 0 || !syns_write_capture(&options->syns, gate_mac, capture))
		fail(capture, "cannot be written");
	close(handle);
	sigemptyset(&set);
	sigaddset(&set, SIGPROF);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	start_dpdk(options, capture);
	compile_policy(&options->syns, "vdev:" DEVICE);
	open_port(options);
	unlink(capture);
	open_gate();
	if (rte_eal_remote_launch(find_clock, &clock, LCORE) || rte_eal_wait_lcore(LCORE) ||
	    worker_launch(gate.worker, gate.pipeline, LCORE))
		fail("worker", "does not start");
	measure(options, clock, &figures);
	worker_order(gate.worker, WORKER_STOP);
	worker_wait(gate.worker);
	port_close(&gate.port);
	good = accounted_for(options, &figures);
	if (!good)
		fprintf(stderr, "bench_gate: %llu frames, but %llu dropped, %llu answered\n",
			(unsigned long long)gate.port_row.frames_in,
			(unsigned long long)gate.reasons[REASON_no_connector].count,
			(unsigned long long)figures.answers);
	print(options, &figures, json);
	if (json)
		fclose(json);
	return good ? 0 : 1;
}

// ---- For the peers ---------------------------------------------------------------------------

static void write_addresses(const struct syns *syns, const char *file, bool ranges)
{
	uint32_t count = ranges ? syns->ranges : syns->frames;
	struct address *list = calloc(count, sizeof(*list));
	FILE *out = fopen(file, "w");
	char text[ADDRESS_TEXT_MAX];

	if (!list || !out)
		fail(file, "cannot be written");
	if (ranges)
		syns_ranges(syns, list);
	else
		syns_sources(syns, list);
	for (uint32_t i = 0; i < count; i++)
		fprintf(out, "%s%s\n", address_format(&list[i], text),
			ranges && syns->family == 6 ? "/64" : "");
	fclose(out);
	free(list);
}

static bool write_files(const struct options *options)
{
	if (options->write_capture &&
	    !syns_write_capture(&options->syns, gate_mac, options->write_capture))
		fail(options->write_capture, "cannot be written");
	if (options->write_ranges)
		write_addresses(&options->syns, options->write_ranges, true);
	if (options->write_sources)
		write_addresses(&options->syns, options->write_sources, false);
	return options->write_capture || options->write_ranges || options->write_sources;
}

// ---- Options ---------------------------------------------------------------------------------

enum {
	KEY_LISTED = 1000,
	KEY_ACKS,
	KEY_HALF_OPEN,
	KEY_HUGE,
	KEY_JSON,
	KEY_CAPTURE,
	KEY_RANGES,
	KEY_SOURCES,
	KEY_SAMPLES
};

static const struct argp_option arguments[] = {
	{"frames", 'n', "N", 0, "distinct ones in the capture", 0},
	{"milliseconds", 'm', "N", 0, "to measure", 0},
	{"listed", KEY_LISTED, NULL, 0, "sources are: each SYN is answered", 0},
	{"acks", KEY_ACKS, NULL, 0, "ACKs without a connection instead of SYNs", 0},
	{"half-open", KEY_HALF_OPEN, "N", 0, "HalfOpenEntries of the policy", 0},
	{"huge", KEY_HUGE, NULL, 0, "packets in huge pages", 0},
	{"json", KEY_JSON, "FILE", 0, "figures as JSON, too", 0},
	{"samples", KEY_SAMPLES, "FILE", 0, "addresses at which the time is spent", 0},
	{"write-capture", KEY_CAPTURE, "FILE", 0, "write the flood and end", 0},
	{"write-ranges", KEY_RANGES, "FILE", 0, "write the ranges and end", 0},
	{"write-sources", KEY_SOURCES, "FILE", 0, "write the flood's sources and end", 0},
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
		options->syns.frames = number;
		break;
	case 'm':
		options->milliseconds = number;
		break;
	case KEY_LISTED:
		options->syns.listed = true;
		break;
	case KEY_ACKS:
		options->syns.acks = true;
		break;
	case KEY_HUGE:
		options->huge_pages = true;
		break;
	case KEY_HALF_OPEN:
		options->syns.half_open = number;
		break;
	case KEY_JSON:
		options->json = value;
		break;
	case KEY_SAMPLES:
		options->samples = value;
		break;
	case KEY_CAPTURE:
		options->write_capture = value;
		break;
	case KEY_RANGES:
		options->write_ranges = value;
		break;
	case KEY_SOURCES:
		options->write_sources = value;
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
	struct options options = {
		.syns = {.family = 4, .connectors = 100, .ranges = 100000, .frames = 16384},
		.milliseconds = 2000};

	argp_parse(&argp, argc, argv, 0, NULL, &options);
	if (!options.syns.frames || options.syns.frames > 1000000 || sodium_init() < 0)
		fail("options", "out of range");
	return write_files(&options) ? 0 : run(&options);
}
