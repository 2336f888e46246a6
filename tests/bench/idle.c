// SPDX-License-Identifier: BSD-3-Clause
//
// What idle sessions cost: memory, and the speed of everything beside them. A real pipeline is
// driven from memory: so many clients complete a handshake (with the cookie that they were given),
// read the banner and say nothing more. Measured: resident memory for each of them, by the system's
// count and by the sizes of their objects; the drop of unlisted SYNs before and beside them, a turn
// of the pipeline after each burst as a worker does it; their timers; a NOOP of each. Fails when a
// session is above its ceiling, when one of them is not there any more at the end, or when the drop
// path lost more than a tenth of its speed.

#include "config/load.h"
#include "dataplane/gate/ruleset.h"
#include "dataplane/net/wire.h"
#include "dataplane/pipeline/worker.h"
#include "dataplane/tcp/flow.h"

#include <argp.h>
#include <malloc.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include <x86intrin.h>

#define GOAL_BYTES    1024
#define CEILING_BYTES 1536
#define SPEED_KEPT    0.9
// From so many sessions on the system's count and the speed are judged, too.
#define JUDGED_FROM 100000

#define RANGES      20000 // of the connector, beside the clients' own
#define STRANGERS   16384
#define ROUNDS      64
#define CLIENTS     0x64400000u // 100.64.0.0/10, behind the gateway
#define PORTS       16          // of one client's address
#define STEP_US     30          // between two clients
#define KEEP_S      240
#define KEEP_ROUNDS 2 // within ConnectionTimeout
#define CHUNKS_TEXT "64MB"

struct figures {
	double fixed_bytes, banner_bytes, ehlo_bytes, total_bytes;
	uint64_t by_size;
	uint32_t chunks_banner, chunks_ehlo;
	double before_min, before_median, beside_min, beside_median;
	double handshake_cycles, noop_cycles, timers_percent;
};

struct bench {
	struct outbox outbox; // first
	uint32_t sessions;
	struct policy *policy;
	struct ruleset *ruleset;
	struct packet_port ports[1];
	struct connector_counters row, *rows[1];
	struct port_counters port_row, *port_rows[1];
	struct reason_counter reasons[REASON_COUNT];
	struct offenders *offenders;
	struct pipeline *pipeline;
	struct tick now;
	// The generator's: what the gate sent last, and where each client stands.
	struct packet_port client_port;
	uint8_t frame[OUTBOX_FRAME_MAX], heard_frame[OUTBOX_FRAME_MAX];
	struct view answer; // in heard_frame
	bool answered;
	uint32_t *said, *heard; // next sequence number to say and to hear
	uint64_t turn_cycles;   // of pipeline_turn, by the clock: other work on the core counts
	double cycles_a_ns;
	struct pool chunk; // for what a client says
	uint8_t strangers[STRANGERS][60];
};

static struct bench bench;

// ---- The wire --------------------------------------------------------------------------------

static uint8_t *reserve(struct outbox *outbox, uint16_t port)
{
	return ((struct bench *)outbox)->frame;
}

static void give(const uint8_t *frame, size_t length)
{
	struct slice slice = slice_of(frame, length);

	pipeline_input(bench.pipeline, 0, &slice, 1, bench.now, &bench.outbox);
}

static void commit(struct outbox *outbox, uint16_t length)
{
	struct view view;

	if (length == 0)
		return;
	if (packet_parse(&bench.client_port, slice_of(bench.frame, length), &view) != REASON_NONE ||
	    view.kind != VIEW_TCP)
		return;
	memcpy(bench.heard_frame, bench.frame, length);
	packet_parse(&bench.client_port, slice_of(bench.heard_frame, length), &bench.answer);
	bench.answered = true;
}

// The gateway says where it is, unasked: all clients are behind it.
static void announce_gateway(void)
{
	uint8_t frame[60] = {0};
	uint8_t *arp = frame + ETHERNET_HEADER_BYTES;
	static const uint8_t gateway[4] = {192, 0, 2, 1}, gate[4] = {192, 0, 2, 10};

	memcpy(frame, bench.ports[0].mac, 6);
	memcpy(frame + 6, bench.client_port.mac, 6);
	put_u16(frame + 12, ETHERTYPE_ARP);
	memcpy(arp, (uint8_t[]){0, 1, 8, 0, 6, 4, 0, ARP_REPLY}, 8);
	memcpy(arp + 8, bench.client_port.mac, 6);
	memcpy(arp + 14, gateway, 4);
	memcpy(arp + 18, bench.ports[0].mac, 6);
	memcpy(arp + 24, gate, 4);
	give(frame, sizeof(frame));
}

static struct address ipv4(uint32_t number)
{
	uint8_t bytes[4];

	put_u32(bytes, number);
	return address_from_ipv4(bytes);
}

static uint16_t build(uint8_t *frame, uint32_t source, uint16_t port, struct segment *segment)
{
	struct link link = {.port = 0};

	memcpy(link.peer, bench.ports[0].mac, sizeof(link.peer));
	segment->tuple = (struct tuple){.local = ipv4(source),
					.remote = ipv4(0xc000020au),
					.local_port = port,
					.remote_port = 25};
	segment->window = 64240;
	return build_segment(frame, &bench.client_port, &link, segment);
}

// Client i's next segment: flags, and a text behind an empty queue.
static void say(uint32_t i, uint8_t flags, const char *text)
{
	uint8_t frame[256];
	struct segment segment = {
		.sequence = bench.said[i], .acknowledgment = bench.heard[i], .flags = flags};
	struct chunk_queue queue;

	chunk_queue_init(&queue);
	if (text) {
		segment.payload_length =
			(uint16_t)chunk_queue_append(&queue, &bench.chunk, slice_of_text(text));
		segment.payload = &queue;
	}
	bench.answered = false;
	give(frame, build(frame, CLIENTS + i / PORTS, (uint16_t)(10000 + i % PORTS), &segment));
	chunk_queue_clear(&queue, &bench.chunk);
	bench.said[i] += segment.payload_length + ((flags & TCP_SYN) != 0);
}

static void hear(uint32_t i, const char *code)
{
	const struct slice *payload = &bench.answer.payload;

	if (!bench.answered || payload->length < 3 || memcmp(payload->data, code, 3) != 0) {
		fprintf(stderr, "client %u did not hear %s\n", i, code);
		exit(1);
	}
	bench.heard[i] = bench.answer.sequence + (uint32_t)payload->length;
}

// ---- The gate --------------------------------------------------------------------------------

static void report(void *context, enum diagnostic_severity severity, const char *text)
{
	if (severity == DIAGNOSTIC_ERROR)
		fprintf(stderr, "%s\n", text);
}

static char *policy_text(uint32_t sessions)
{
	char *text;
	size_t length;
	FILE *out = open_memstream(&text, &length);

	fprintf(out,
		"[gate]\nName = mx.test\nMaxSessions = %u\nBufferMemory = " CHUNKS_TEXT "\n"
		"[port outside]\nDevice = vdev:net_null0\nAddress = 192.0.2.10/24\n"
		"Gateway = 192.0.2.1\n[accepted-domain accepted.test]\n"
		"[backend cluster]\nServers = 192.0.2.11:25\nProbeInterval = 1h\n"
		"[connector clients]\nBindings = 192.0.2.10:25\nPermissionGroups = AnonymousUsers\n"
		"MaxInboundConnection = unlimited\nMaxInboundConnectionPerSource = unlimited\n"
		"MaxInboundConnectionPercentagePerSource = 100\n"
		"RemoteIPRanges = 100.64.0.0/10\n",
		sessions);
	for (uint32_t i = 0; i < RANGES; i++)
		fprintf(out, "\t10.%u.%u.%u\n", i >> 11 & 255, i >> 3 & 255, i << 5 & 255);
	fclose(out);
	return text;
}

static void open_gate(uint32_t sessions)
{
	char *text = policy_text(sessions);
	struct diagnostics diagnostics = {.report = report};
	struct pipeline_settings settings = {.ports = bench.ports};

	bench.policy = policy_load_text(text, &diagnostics);
	free(text);
	if (!bench.policy)
		exit(1);
	bench.ruleset = ruleset_create(bench.policy);
	settings.policy = bench.policy;
	settings.ruleset = bench.ruleset;
	settings.counters = (struct pipeline_counters){
		.connectors = bench.rows,
		.ports = bench.port_rows,
		.reasons = bench.reasons,
		.offenders = offenders_create(0x9d2c5680a8f1ec35u, bench.now.now_us)};
	bench.offenders = settings.counters.offenders;
	bench.pipeline = pipeline_create(&settings, bench.now);
	if (!bench.pipeline) {
		fprintf(stderr, "not enough memory for %u sessions\n", sessions);
		exit(1);
	}
}

static void close_gate(void)
{
	pipeline_destroy(bench.pipeline);
	offenders_destroy(bench.offenders);
	ruleset_destroy(bench.ruleset);
	policy_destroy(bench.policy);
}

// ---- Measuring -------------------------------------------------------------------------------

static double resident_bytes(void)
{
	unsigned long pages = 0;
	FILE *file = fopen("/proc/self/statm", "r");

	if (!file || fscanf(file, "%*u %lu", &pages) != 1)
		exit(1);
	fclose(file);
	return (double)pages * (double)sysconf(_SC_PAGESIZE);
}

// Of this thread on its core: what else has it meanwhile does not count.
static double cpu_cycles(void)
{
	struct timespec time;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
	return ((double)time.tv_sec * 1e9 + (double)time.tv_nsec) * bench.cycles_a_ns;
}

static uint64_t elapsed_us(const struct timespec *since)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)((now.tv_sec - since->tv_sec) * 1000000 +
			  (now.tv_nsec - since->tv_nsec) / 1000);
}

static double measure_cycles_a_ns(void)
{
	struct timespec start;
	uint64_t begin = __rdtsc();

	clock_gettime(CLOCK_MONOTONIC, &start);
	while (elapsed_us(&start) < 20000)
		;
	return (double)(__rdtsc() - begin) / ((double)elapsed_us(&start) * 1e3);
}

// What a session takes of each pool and table that grows with their number.
static uint64_t bytes_by_size(void)
{
	const struct pipeline *pipeline = bench.pipeline;
	const struct pool *flows = &pipeline->tcp->flows;
	uint64_t buckets = ((uint64_t)pipeline->tcp->bucket_mask + 1) * sizeof(uint32_t);

	return pipeline->clients.object_size + flows->object_size + 2 * sizeof(uint32_t) +
	       (buckets + flows->count - 1) / flows->count;
}

static void pass(uint64_t us)
{
	uint64_t begin = __rdtsc();

	bench.now.now_us += us;
	bench.now.wall_us += us;
	pipeline_turn(bench.pipeline, bench.now, &bench.outbox);
	bench.turn_cycles += __rdtsc() - begin;
}

static void build_strangers(void)
{
	for (uint32_t i = 0; i < STRANGERS; i++) {
		uint8_t frame[OUTBOX_FRAME_MAX] = {0};
		struct segment segment = {.sequence = i, .flags = TCP_SYN};

		build(frame, 0xcb007100u + i * 7, (uint16_t)(1024 + i), &segment);
		memcpy(bench.strangers[i], frame, sizeof(bench.strangers[i]));
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
				frames[k] = slice_of(bench.strangers[i + k], 60);
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

static void shake_hands(struct figures *figures)
{
	double begin = cpu_cycles();

	for (uint32_t i = 0; i < bench.sessions; i++) {
		bench.said[i] = i * 2654435761u;
		say(i, TCP_SYN, NULL);
		if (!bench.answered)
			exit(1);
		bench.heard[i] = bench.answer.sequence + 1;
		say(i, TCP_ACK, NULL);
		hear(i, "220");
		say(i, TCP_ACK, NULL);
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

	open_gate(1);
	figures->fixed_bytes = resident_bytes() - empty;
	close_gate();
	malloc_trim(0);
	before = resident_bytes();
	open_gate(bench.sessions);
	figures->by_size = bytes_by_size();
	pipeline_start(bench.pipeline, bench.now, &bench.outbox);
	announce_gateway();
	drop_strangers(&figures->before_min, &figures->before_median);
	shake_hands(figures);
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

static void prepare(void)
{
	size_t bytes = bench.sessions * sizeof(uint32_t);

	bench.outbox = (struct outbox){reserve, commit};
	bench.now = (struct tick){10000000, 1790000000000000ull};
	bench.ports[0] = (struct packet_port){.mac = {2, 0, 0, 0, 0, 1}};
	bench.client_port = (struct packet_port){.mac = {2, 0, 0, 0, 0, 2}};
	bench.rows[0] = &bench.row;
	bench.port_rows[0] = &bench.port_row;
	bench.said = malloc(bytes);
	bench.heard = malloc(bytes);
	// What the first gate gave back must not be there for the second one to use.
	mallopt(M_MMAP_THRESHOLD, 65536);
	if (sodium_init() < 0 || chunk_pool_init(&bench.chunk, 2048) != 0 || !bench.said ||
	    !bench.heard)
		exit(1);
	// There before anything is measured.
	explicit_bzero(bench.said, bytes);
	explicit_bzero(bench.heard, bytes);
	build_strangers();
	bench.cycles_a_ns = measure_cycles_a_ns();
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
	prepare();
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
