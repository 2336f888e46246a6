// SPDX-License-Identifier: BSD-3-Clause
//
// A crowd of clients in memory around a real pipeline: each completes a handshake (with the cookie
// that it was given), says one thing and hears the answer. For benchmarks of many sessions that do
// little: memory, timers, the speed of everything beside them. One gate at a time.
#ifndef RELAYGATE_BENCH_CROWD_H
#define RELAYGATE_BENCH_CROWD_H

#include "config/load.h"
#include "dataplane/gate/ruleset.h"
#include "dataplane/net/wire.h"
#include "dataplane/pipeline/worker.h"
#include "dataplane/tcp/flow.h"

#include <malloc.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include <x86intrin.h>

#define RANGES      20000       // of the connector, beside the clients' own
#define CLIENTS     0x64400000u // 100.64.0.0/10, behind the gateway
#define PORTS       16          // of one client's address
#define STEP_US     30          // between two clients
#define CHUNKS_TEXT "64MB"

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
	void (*on_frame)(const struct view *view); // NULL: nobody else listens
	uint32_t *said, *heard;                    // next sequence number to say and to hear
	uint64_t turn_cycles; // of pipeline_turn, by the clock: other work on the core counts
	double cycles_a_ns;
	struct pool chunk; // for what a client says
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
	if (bench.on_frame)
		bench.on_frame(&bench.answer);
}

// The gateway says where it is, unasked: all clients are behind it.
static inline void announce_gateway(void)
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
static inline void say(uint32_t i, uint8_t flags, const char *text)
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

static inline void hear(uint32_t i, const char *code)
{
	const struct slice *payload = &bench.answer.payload;

	if (!bench.answered || payload->length < 3 || memcmp(payload->data, code, 3) != 0) {
		fprintf(stderr, "client %u did not hear %s\n", i, code);
		exit(1);
	}
	bench.heard[i] = bench.answer.sequence + (uint32_t)payload->length +
			 ((bench.answer.flags & TCP_FIN) != 0);
}

// A handshake, with the cookie that was given, and the greeting read.
static inline void shake_hands(uint32_t i)
{
	bench.said[i] = i * 2654435761u;
	say(i, TCP_SYN, NULL);
	if (!bench.answered)
		exit(1);
	bench.heard[i] = bench.answer.sequence + 1;
	say(i, TCP_ACK, NULL);
	hear(i, "220");
	say(i, TCP_ACK, NULL);
}

// ---- The gate --------------------------------------------------------------------------------

static void report(void *context, enum diagnostic_severity severity, const char *text)
{
	if (severity == DIAGNOSTIC_ERROR)
		fprintf(stderr, "%s\n", text);
}

static char *policy_text(uint32_t sessions, const char *keys)
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
		"%sRemoteIPRanges = 100.64.0.0/10\n",
		sessions, keys);
	for (uint32_t i = 0; i < RANGES; i++)
		fprintf(out, "\t10.%u.%u.%u\n", i >> 11 & 255, i >> 3 & 255, i << 5 & 255);
	fclose(out);
	return text;
}

// keys: more lines of the connector.
static inline void open_gate(uint32_t sessions, const char *keys)
{
	char *text = policy_text(sessions, keys);
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

static inline void close_gate(void)
{
	pipeline_destroy(bench.pipeline);
	offenders_destroy(bench.offenders);
	ruleset_destroy(bench.ruleset);
	policy_destroy(bench.policy);
}

// ---- Measuring -------------------------------------------------------------------------------

static inline double resident_bytes(void)
{
	unsigned long pages = 0;
	FILE *file = fopen("/proc/self/statm", "r");

	if (!file || fscanf(file, "%*u %lu", &pages) != 1)
		exit(1);
	fclose(file);
	return (double)pages * (double)sysconf(_SC_PAGESIZE);
}

// Of this thread on its core: what else has it meanwhile does not count.
static inline double cpu_cycles(void)
{
	struct timespec time;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
	return ((double)time.tv_sec * 1e9 + (double)time.tv_nsec) * bench.cycles_a_ns;
}

static inline uint64_t elapsed_us(const struct timespec *since)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)((now.tv_sec - since->tv_sec) * 1000000 +
			  (now.tv_nsec - since->tv_nsec) / 1000);
}

static inline double measure_cycles_a_ns(void)
{
	struct timespec start;
	uint64_t begin = __rdtsc();

	clock_gettime(CLOCK_MONOTONIC, &start);
	while (elapsed_us(&start) < 20000)
		;
	return (double)(__rdtsc() - begin) / ((double)elapsed_us(&start) * 1e3);
}

// What a session takes of each pool and table that grows with their number.
static inline uint64_t bytes_by_size(void)
{
	const struct pipeline *pipeline = bench.pipeline;
	const struct pool *flows = &pipeline->tcp->flows;
	uint64_t buckets = ((uint64_t)pipeline->tcp->bucket_mask + 1) * sizeof(uint32_t);

	return pipeline->clients.object_size + flows->object_size + 2 * sizeof(uint32_t) +
	       (buckets + flows->count - 1) / flows->count;
}

static inline void pass(uint64_t us)
{
	uint64_t begin = __rdtsc();

	bench.now.now_us += us;
	bench.now.wall_us += us;
	pipeline_turn(bench.pipeline, bench.now, &bench.outbox);
	bench.turn_cycles += __rdtsc() - begin;
}

// For so many clients as bench.sessions says.
static inline void prepare_crowd(void)
{
	size_t bytes = bench.sessions * sizeof(uint32_t);

	bench.outbox = (struct outbox){.reserve = reserve, .commit = commit};
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
	bench.cycles_a_ns = measure_cycles_a_ns();
}

#endif
