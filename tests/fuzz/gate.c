// SPDX-License-Identifier: BSD-3-Clause
//
// The gate of fuzz_pipeline: see gate.h.
#include "tests/fuzz/gate.h"

#include <assert.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#define ROUNDS_MAX  40 // of frames to and fro in one operation
#define AT_ONCE_MAX 4
#define TURNS_MAX   5000 // of the gate while time passes

// The last byte of the configuration.
enum {
	CHUNKING = 1, // the servers take chunks
	WATCHFUL = 2, // greetings are delayed, and who misbehaves is banned
};

static const char watchful_text[] =
	"[ban]\nEnabled = yes\nThreshold = 40\nBanTime = 5s\nBanEntries = 16\n"
	"[ip-block]\nAddresses = 192.0.2.58\n";
static const char delays_text[] = "GreetDelay = 2s\nGreetTeaser = yes\nEarlyTalkerAction = reject\n"
				  "EarlyPipeliningAction = close\n";

// %s: the text above when it is watchful.
static const char policy_text[] =
	"[gate]\nName = mx.test\nMaxSessions = 6\nHalfOpenEntries = 64\nTimeWaitEntries = 64\n"
	"SourceEntries = 64\n"
	"BufferMemory = 1MB\nSendBuffer = 16KB\nReceiveBuffer = 16KB\n"
	"[port outside]\nDevice = vdev:net_null0\nAddress = 192.0.2.10/24, 2001:db8::10/64\n"
	"Gateway = 192.0.2.1, 2001:db8::1\n"
	"[port inside]\nDevice = vdev:net_null1\nAddress = 10.0.0.1/24, 2001:db8:1::1/64\nVlan = "
	"7\n"
	"[accepted-domain own.test]\nMatchSubDomains = yes\n"
	"[connector clients]\nBindings = 192.0.2.10:25, [2001:db8::10]:25\n"
	"RemoteIPRanges = 192.0.2.0/24, 2001:db8::/32\nPermissionGroups = AnonymousUsers\n"
	"Backend = cluster\nMaxInboundConnectionPerSource = unlimited\n"
	"MaxInboundConnectionPercentagePerSource = 100\n%s"
	"[connector relay]\nBindings = 192.0.2.10:25\nRemoteIPRanges = 198.51.100.0/24\n"
	"PermissionGroups = AnonymousUsers\nBackend = cluster\n"
	"ExtendedRights = anonymous: ms-Exch-SMTP-Accept-Any-Recipient\n"
	"[connector tight]\nBindings = 192.0.2.10:25\nRemoteIPRanges = 192.0.2.56\n"
	"PermissionGroups = AnonymousUsers\nBackend = single\nMaxMessageSize = 100KB\n"
	"MaxRecipientsPerMessage = 2\nMaxProtocolErrors = 2\nConnectionTimeout = 2m\n"
	"ConnectionInactivityTimeout = 30s\nBanner = 220 tight\n"
	"MaxInboundConnection = 3\nMaxInboundConnectionPerSource = 1\n"
	"MaxInboundConnectionPerSourceAction = tarpit\nMaxConnectionRatePerSource = 5\n"
	"[connector unlimited]\nBindings = 192.0.2.10:25\nRemoteIPRanges = 192.0.2.57\n"
	"PermissionGroups = AnonymousUsers\nBackend = single\n"
	"ExtendedRights = anonymous: ms-Exch-Bypass-Message-Size-Limit\n"
	"[connector rightless]\nBindings = 192.0.2.10:25\nRemoteIPRanges = 192.0.2.58\n"
	"Backend = cluster\n"
	"[backend cluster]\nServers = 10.0.0.11, [2001:db8:1::12]:25\nMaxConnections = 2\n"
	"MaxWaiting = 2\nWaitTimeout = 5s\nIdleTimeout = 20s\nProbeInterval = 30s\n"
	"[backend single]\nServers = 10.0.0.13\nMaxConnections = 1\nMaxWaiting = 1\n%s";

// ---- Frames out ------------------------------------------------------------------------------

static uint8_t *reserve(struct outbox *outbox, uint16_t port)
{
	struct gate *gate = (struct gate *)outbox;

	assert(port < 2 && !gate->reserved);
	if (gate->device_full)
		return NULL;
	gate->reserved_port = port;
	gate->reserved = malloc(gate->policy.ports[port].mtu + 18u);
	return gate->reserved;
}

static void commit(struct outbox *outbox, uint16_t length)
{
	struct gate *gate = (struct gate *)outbox;

	assert(gate->reserved && length <= gate->policy.ports[gate->reserved_port].mtu + 18u);
	if (length)
		frames_add(&gate->sent, gate->reserved_port, slice_of(gate->reserved, length));
	free(gate->reserved);
	gate->reserved = NULL;
}

// ---- Making one ------------------------------------------------------------------------------

static void report(void *context, enum diagnostic_severity severity, const char *text)
{
	if (severity == DIAGNOSTIC_ERROR)
		fprintf(stderr, "%s\n", text);
}

// Loaded once; the rulesets live as long as the process.
static const struct policy *loaded(bool watchful, const struct ruleset **ruleset)
{
	static struct policy *policies[2];
	static struct ruleset *rulesets[2];
	struct policy **policy = &policies[watchful];
	struct diagnostics diagnostics = {.report = report};
	char text[sizeof(policy_text) + sizeof(delays_text) + sizeof(watchful_text)];

	if (!*policy) {
		assert(sodium_init() >= 0);
		snprintf(text, sizeof(text), policy_text, watchful ? delays_text : "",
			 watchful ? watchful_text : "");
		*policy = policy_load_text(text, &diagnostics);
		assert(*policy && (*policy)->connector_count == GATE_CONNECTORS);
		rulesets[watchful] = ruleset_create(*policy);
	}
	*ruleset = rulesets[watchful];
	return *policy;
}

// What the configuration bytes say about the sizes of things, within what a file may say.
static void resize(struct gate_settings *settings, const uint8_t bytes[])
{
	static const uint32_t memories[] = {1 << 20, 64 << 10, 128 << 10, 256 << 10};
	static const uint32_t buffers[] = {16384, 8192, 65536, 16384};
	static const uint32_t entries[] = {64, 1, 3, 16};

	settings->receive_buffer = settings->send_buffer = buffers[bytes[1] / 4 % 4];
	settings->buffer_memory = memories[bytes[1] % 4];
	if (settings->buffer_memory < 4ull * settings->send_buffer)
		settings->buffer_memory = 4ull * settings->send_buffer;
	settings->half_open_entries = entries[bytes[1] / 16 % 4];
	settings->time_wait_entries = entries[bytes[1] / 64 % 4];
	settings->refuse = bytes[2] & 1 ? REFUSE_RESET : REFUSE_DROP;
	settings->dialect = bytes[2] & 2 ? REPLY_DIALECT_2016 : REPLY_DIALECT_2007;
	settings->max_sessions = bytes[2] & 4 ? 2 : 6;
}

static struct pipeline *pipeline_of(struct gate *gate, const struct ruleset *ruleset)
{
	struct pipeline_settings settings = {
		.policy = &gate->policy,
		.ruleset = ruleset,
		.ports = gate->ports,
		.counters = {.connectors = gate->connector_rows,
			     .ports = gate->port_rows,
			     .reasons = gate->reasons,
			     .log = gate->log,
			     .log_records = GATE_LOG},
	};

	for (unsigned i = 0; i < GATE_CONNECTORS; i++)
		gate->connector_rows[i] = &gate->connectors[i];
	for (uint16_t i = 0; i < 2; i++) {
		gate->port_rows[i] = &gate->port_counters[i];
		gate->ports[i] = (struct packet_port){.index = i, .vlan = i == 1 ? 7 : 0};
		memcpy(gate->ports[i].mac, frame_gate_mac[i], LINK_ADDRESS_BYTES);
		gate->peers.ports[i] = gate->ports[i];
	}
	return pipeline_create(&settings, gate->now);
}

struct gate *gate_new(const uint8_t configuration[OPERATION_CONFIGURATION])
{
	struct gate *gate = calloc(1, sizeof(*gate));
	const struct ruleset *ruleset;

	gate->policy = *loaded(configuration[3] & WATCHFUL, &ruleset);
	resize(&gate->policy.gate, configuration);
	gate->outbox = (struct outbox){.reserve = reserve, .commit = commit};
	gate->now = (struct tick){10000000, 1790000000000000ull};
	// Well-behaved peers unless the input says otherwise.
	peers_init(&gate->peers, (uint8_t)~configuration[0], configuration[3] & CHUNKING);
	gate->pipeline = pipeline_of(gate, ruleset);
	assert(gate->pipeline);
	pipeline_start(gate->pipeline, gate->now, &gate->outbox);
	gate_pass(gate, 1000);
	gate_move(gate);
	return gate;
}

// ---- Moving frames ---------------------------------------------------------------------------

// A copy of each frame in a block of its own goes in, with others of its port.
static void deliver(struct gate *gate, struct frames *frames)
{
	struct slice burst[PIPELINE_BURST];
	unsigned done = 0;

	while (done < frames->count) {
		uint16_t port = frames->frame[done].port;
		unsigned count = 0;
		unsigned limit = gate->burst ? PIPELINE_BURST : 1;

		while (done + count < frames->count && count < limit &&
		       frames->frame[done + count].port == port) {
			burst[count] = slice_of(frames->frame[done + count].bytes,
						frames->frame[done + count].length);
			count++;
		}
		pipeline_input(gate->pipeline, port, burst, count, gate->now, &gate->outbox);
		done += count;
	}
	frames_clear(frames);
}

static void hear(struct gate *gate)
{
	for (unsigned i = 0; i < gate->sent.count; i++) {
		const struct frame *frame = &gate->sent.frame[i];

		peers_hear(&gate->peers, frame->port, slice_of(frame->bytes, frame->length));
	}
	frames_clear(&gate->sent);
}

void gate_move(struct gate *gate)
{
	struct frames *frames;

	if (gate->burst > gate->peers.out.count)
		return; // they wait for more
	frames = malloc(sizeof(*frames));
	for (unsigned round = 0; round < ROUNDS_MAX; round++) {
		pipeline_turn(gate->pipeline, gate->now, &gate->outbox);
		hear(gate);
		peers_react(&gate->peers);
		if (gate->peers.out.count == 0)
			break;
		*frames = gate->peers.out;
		gate->peers.out.count = 0;
		deliver(gate, frames);
		gate->burst = 0;
		hear(gate);
	}
	free(frames);
}

void gate_pass(struct gate *gate, uint64_t us)
{
	uint64_t end = gate->now.now_us + us;
	unsigned at_once = 0;

	for (unsigned turns = 0; turns < TURNS_MAX; turns++) {
		uint64_t next = pipeline_turn(gate->pipeline, gate->now, &gate->outbox);

		hear(gate);
		if (gate->now.now_us >= end)
			break;
		// At once is fine, but not again and again: its worker would spin.
		at_once = next > gate->now.now_us ? 0 : at_once + 1;
		assert(at_once < AT_ONCE_MAX);
		if (at_once)
			continue;
		next = next < end && turns < TURNS_MAX - 2 ? next : end;
		gate->now.wall_us += next - gate->now.now_us;
		gate->now.now_us = next;
		gate->peers.now_ms = (uint32_t)(gate->now.now_us / 1000);
	}
}

void gate_drain(struct gate *gate, bool force)
{
	pipeline_drain(gate->pipeline, force, gate->now, &gate->outbox);
}

void gate_exhaust(struct gate *gate, uint32_t left)
{
	struct pool *chunks = &gate->pipeline->chunks;

	while (left && chunks->free_count > left && gate->taken_count < 1024)
		gate->taken[gate->taken_count++] = pool_get(chunks);
	while (!left && gate->taken_count > 0)
		pool_put(chunks, gate->taken[--gate->taken_count]);
}

void gate_set_mode(struct gate *gate, uint8_t mode)
{
	gate->device_full = mode & 128;
	gate->peers.mode = (uint8_t)~mode;
	for (unsigned i = 0; i < SERVERS; i++)
		gate->peers.servers[i].scripted = true; // they may miss lines
}

void gate_set_reply(struct gate *gate, uint8_t which, struct slice text)
{
	uint8_t *bytes = gate->reply_bytes[which % REPLIES];

	memcpy(bytes, text.data, text.length);
	gate->peers.replies[which % REPLIES] = slice_of(bytes, text.length);
}

// ---- The books -------------------------------------------------------------------------------

static uint64_t drops(const struct gate *gate)
{
	uint64_t sum = 0;

#define drop                1
#define refusal             0
#define fault               0
#define X(name, kind, help) sum += kind ? gate->reasons[REASON_##name].count : 0;
	REASONS(X)
#undef X
#undef drop
#undef refusal
#undef fault
	return sum;
}

void gate_check(struct gate *gate)
{
	const struct gate_settings *settings = &gate->policy.gate;
	const struct port_counters *ports = gate->port_counters;
	struct pipeline_levels levels = pipeline_levels(gate->pipeline);
	uint64_t open = 0;

	assert(ports[0].frames_in + ports[1].frames_in ==
	       ports[0].frames_accepted + ports[1].frames_accepted + drops(gate));
	assert(levels.clients <= settings->max_sessions);
	assert(levels.flows == levels.clients + levels.servers);
	assert(levels.half_open <= settings->half_open_entries);
	assert(levels.time_wait <= settings->time_wait_entries);
	for (unsigned i = 0; i < GATE_CONNECTORS; i++) {
		open += gate->connectors[i].sessions_open;
		assert(gate->connectors[i].sessions_open <= gate->connectors[i].sessions);
		assert(gate->connectors[i].sessions_open ==
		       sources_connector_sessions(gate->pipeline->sources, (uint16_t)i));
	}
	assert(open <= levels.clients); // others are above a limit
	if (levels.flows == 0)
		assert(levels.chunks_used == gate->taken_count);
}

void gate_finish(struct gate *gate)
{
	struct pipeline_levels levels;

	gate_exhaust(gate, 0);
	gate->device_full = false;
	gate->peers.mode = 0;
	frames_clear(&gate->peers.out);
	for (unsigned i = 0; i < 2; i++) {
		gate_drain(gate, true);
		gate_pass(gate, 70000000);
		frames_clear(&gate->peers.out);
	}
	gate_check(gate);
	levels = pipeline_levels(gate->pipeline);
	assert(pipeline_drained(gate->pipeline));
	assert(levels.clients + levels.servers + levels.flows + levels.chunks_used == 0);
	assert(levels.time_wait + levels.half_open == 0);
	pipeline_stop(gate->pipeline, gate->now);
	pipeline_destroy(gate->pipeline);
	peers_fini(&gate->peers);
	frames_clear(&gate->sent);
	free(gate);
}
