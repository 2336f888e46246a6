// SPDX-License-Identifier: BSD-3-Clause
//
// See twins.h.
#include "tests/unit/pipeline/twins.h"

#include "config/load.h"
#include "dataplane/base/cursor.h"
#include "dataplane/net/checksum.h"
#include "dataplane/net/wire.h"
#include "dataplane/relay/servers.h"
#include "tests/unit/net/vectors.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#define FRAME_MAX 128
#define VLAN      42

static void report(void *context, enum diagnostic_severity severity, const char *text)
{
	if (severity == DIAGNOSTIC_ERROR)
		fprintf(stderr, "%s\n", text);
}

static struct policy *load(const char *gate, bool bound)
{
	struct diagnostics diagnostics = {.report = report};
	char text[2048];

	snprintf(text, sizeof(text),
		 "[gate]\nName = mx.test\nMaxSessions = 16\nHalfOpenEntries = 64\n"
		 "TimeWaitEntries = 64\nSourceEntries = 64\nBufferMemory = 1MB\n"
		 "SendBuffer = 16KB\nReceiveBuffer = 16KB\n%s"
		 "[ban]\nBanEntries = 16\n"
		 "[port plain]\nDevice = vdev:net_null0\n"
		 "Address = 192.0.2.10/24, 2001:db8::10/64\n"
		 "[port tagged]\nDevice = vdev:net_null1\nVlan = %u\n"
		 "Address = 203.0.113.10/24, 2001:db8:7::10/64\n"
		 "[connector some]\nBindings = %s\n"
		 "RemoteIPRanges = 198.51.100.0/24, 2001:db8:5::/48\nBackend = b\n"
		 "[connector others]\nBindings = 203.0.113.10:25\n"
		 "RemoteIPRanges = 192.0.2.32/27\nBackend = b\n"
		 "[backend b]\nServers = 192.0.2.99\n",
		 gate, VLAN, bound ? "192.0.2.10:25, [2001:db8::10]:25" : "[2001:db8:7::10]:25");
	struct policy *policy = policy_load_text(text, &diagnostics);

	assert(policy && policy->connector_count == TWINS_CONNECTORS);
	return policy;
}

// Large ones that no twin uses, made once.
static struct rates *unused_rates(void)
{
	static struct rates *rates;

	if (!rates)
		rates = rates_create(1, &(struct hash_key){{0}});
	assert(rates);
	return rates;
}

// ---- One gate --------------------------------------------------------------------------------

static uint8_t *reserve(struct outbox *outbox, uint16_t port)
{
	struct twin *twin = (struct twin *)outbox;

	twin->sent = twin->sent * 31 + port;
	return twin->frame;
}

// What the frame said is gone at once, whatever is written there.
static uint8_t *answer(struct outbox *outbox, unsigned index)
{
	struct twin *twin = (struct twin *)outbox;

	if (!twin->received)
		return NULL;
	memset((uint8_t *)twin->received[index].data, 0xee, twin->received[index].length);
	twin->answered++;
	return reserve(outbox, 0);
}

static void commit(struct outbox *outbox, uint16_t length)
{
	struct twin *twin = (struct twin *)outbox;

	for (unsigned i = 0; i < length; i++)
		twin->sent = (twin->sent ^ twin->frame[i]) * UINT64_C(0x100000001b3);
}

static struct generation *next_generation(struct twin *twin, struct policy *policy)
{
	struct generation *generation =
		generation_create(policy, twin->servers, 1, twin->generation_count + 1);
	struct connector_counters **rows = calloc(TWINS_CONNECTORS, sizeof(*rows));

	assert(generation && rows);
	for (unsigned i = 0; i < TWINS_CONNECTORS; i++)
		rows[i] = &twin->connectors[i];
	generation->shares[0].connectors = rows;
	generation_publish(generation);
	return twin->generations[twin->generation_count++] = generation;
}

static void open_twin(struct twins *twins, struct twin *twin, const char *gate, bool watched)
{
	struct policy *policy = load(gate, true);
	struct pipeline_settings settings = {.ports = twins->ports};

	twin->outbox = (struct outbox){.reserve = reserve, .commit = commit, .answer = answer};
	twin->offenders = offenders_create(42, twins->now.now_us);
	assert(twin->offenders);
	twin->servers = servers_shared_create(policy, 1);
	assert(twin->servers);
	settings.servers = twin->servers;
	settings.rates = unused_rates();
	settings.generation = next_generation(twin, policy);
	for (unsigned i = 0; i < TWINS_PORTS; i++)
		twin->port_rows[i] = &twin->ports[i];
	settings.counters = (struct pipeline_counters){.ports = twin->port_rows,
						       .reasons = twin->reasons,
						       .log = twin->log,
						       .log_records = TWINS_LOG,
						       .offenders = twin->offenders};
	if (watched) {
		settings.counters.capture = &twins->order;
		settings.counters.captured = twins->captured;
	}
	twin->pipeline = pipeline_create(&settings, twins->now);
	assert(twin->pipeline);
	pipeline_start(twin->pipeline, twins->now, &twin->outbox);
}

static void close_twin(struct twin *twin)
{
	pipeline_destroy(twin->pipeline);
	for (unsigned i = 0; i < twin->generation_count; i++)
		generation_destroy(twin->generations[i]);
	servers_shared_destroy(twin->servers);
	offenders_destroy(twin->offenders);
}

// ---- Both ------------------------------------------------------------------------------------

struct twins *twins_open(const char *gate)
{
	static struct capture_record captured[CAPTURE_RECORDS]; // nobody looks there
	struct twins *twins = calloc(1, sizeof(*twins));

	assert(twins && sodium_init() >= 0);
	twins->now = (struct tick){10000000, 1790000000000000ull};
	twins->captured = captured;
	for (uint16_t i = 0; i < TWINS_PORTS; i++)
		twins->ports[i] = (struct packet_port){.mac = {2, 0, 0, 0, 0, 1},
						       .index = i,
						       .vlan = i ? VLAN : 0,
						       .trust_checksums = true};
	// Of what it looks at it keeps nothing.
	twins->order = (struct capture_order){
		.serial = 1, .lease_us = UINT64_MAX, .snap = 1, .reason = REASON_gate_stopped};
	open_twin(twins, &twins->watched, gate, true);
	open_twin(twins, &twins->other, gate, false);
	twins_pass(twins, 1);
	assert(twins->watched.pipeline->capture.on && !twins->other.pipeline->capture.on);
	return twins;
}

void twins_close(struct twins *twins)
{
	twins_compare_offenders(twins);
	close_twin(&twins->watched);
	close_twin(&twins->other);
	free(twins);
}

static void compare(const struct twins *twins)
{
	const struct twin *a = &twins->watched, *b = &twins->other;

	for (unsigned i = 0; i < REASON_COUNT; i++)
		if (a->reasons[i].count != b->reasons[i].count) {
			fprintf(stderr, "reason %u: %llu and %llu\n", i,
				(unsigned long long)a->reasons[i].count,
				(unsigned long long)b->reasons[i].count);
			abort();
		}
	assert(memcmp(a->ports, b->ports, sizeof(a->ports)) == 0);
	assert(memcmp(a->connectors, b->connectors, sizeof(a->connectors)) == 0);
	assert(memcmp(a->log, b->log, sizeof(a->log)) == 0);
	assert(a->sent == b->sent);
}

static int by_source(const void *a, const void *b)
{
	return memcmp(&((const struct offender *)a)->source, &((const struct offender *)b)->source,
		      sizeof(struct address));
}

void twins_compare_offenders(const struct twins *twins)
{
	static struct offender a[OFFENDERS_ENTRIES], b[OFFENDERS_ENTRIES];
	uint64_t now_us = twins->now.now_us;
	unsigned count = offenders_read(twins->watched.offenders, now_us, a);
	bool full = false;

	assert(offenders_read(twins->other.offenders, now_us, b) == count);
	qsort(a, count, sizeof(a[0]), by_source);
	qsort(b, count, sizeof(b[0]), by_source);
	// Where one had to make room for another, their order within a burst shows.
	for (unsigned i = 0; i < count; i++)
		full |= a[i].over || b[i].over;
	for (unsigned i = 0; i < count && !full; i++)
		assert(memcmp(&a[i].source, &b[i].source, sizeof(a[i].source)) == 0 &&
		       a[i].frames == b[i].frames && a[i].seen_us == b[i].seen_us);
}

void twins_pass(struct twins *twins, uint64_t us)
{
	twins->now.now_us += us;
	twins->now.wall_us += us;
	pipeline_turn(twins->watched.pipeline, twins->now, &twins->watched.outbox);
	pipeline_turn(twins->other.pipeline, twins->now, &twins->other.outbox);
	compare(twins);
}

void twins_input(struct twins *twins, uint16_t port, const struct slice frames[], unsigned count)
{
	pipeline_input(twins->watched.pipeline, port, frames, count, twins->now,
		       &twins->watched.outbox);
	pipeline_input(twins->other.pipeline, port, frames, count, twins->now,
		       &twins->other.outbox);
	compare(twins);
}

void twins_input_apart(struct twins *twins, uint16_t port, struct slice frames[], unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		pipeline_input(twins->watched.pipeline, port, &frames[i], 1, twins->now,
			       &twins->watched.outbox);
	assert(port == 0); // answers are compared as those of this one
	twins->other.received = frames;
	pipeline_input(twins->other.pipeline, port, frames, count, twins->now,
		       &twins->other.outbox);
	twins->other.received = NULL;
	compare(twins);
}

static void reload(struct twins *twins, struct twin *twin, const char *gate, bool bound)
{
	pipeline_adopt(twin->pipeline, next_generation(twin, load(gate, bound)), twins->now,
		       &twin->outbox);
}

void twins_reload(struct twins *twins, const char *gate, bool bound)
{
	reload(twins, &twins->watched, gate, bound);
	reload(twins, &twins->other, gate, bound);
}

// ---- A story ---------------------------------------------------------------------------------

struct frame {
	uint8_t bytes[FRAME_MAX];
	unsigned length;
};

// Listed, unlisted, a server's, and those that cannot be.
static const uint8_t sources4[16][4] = {
	{198, 51, 100, 7}, {198, 51, 101, 7}, {198, 51, 99, 255}, {192, 0, 2, 99},
	{192, 0, 2, 10},   {127, 0, 0, 1},    {0, 0, 0, 1},       {224, 0, 0, 1},
	{8, 8, 8, 8},      {9, 9, 9, 9},      {192, 0, 2, 55},    {223, 255, 255, 255},
	{1, 0, 0, 0},      {126, 0, 0, 1},    {192, 0, 2, 33},    {255, 255, 255, 255},
};
static const uint8_t sources6[16][16] = {
	{0x20, 1, 0x0d, 0xb8, 0, 5, [15] = 7},
	{0x20, 1, 0x0d, 0xb8, 0, 6, [15] = 7},
	{0x20, 1, 0x0d, 0xb8, 0, 4, [15] = 7},
	{0x20, 1, 0x0d, 0xb8, [15] = 0x10},
	{[15] = 1},
	{[10] = 0xff, [11] = 0xff, [12] = 8, [15] = 8},
	{[12] = 8, [15] = 8},
	{0xff, 2, [15] = 1},
	{0},
	{0x20, 2, [15] = 1},
	{0x2a, 0, [15] = 1},
	{0xfe, 0x80, [15] = 1},
	{0x2a, 0, [15] = 2},
	{0x2a, 1, [15] = 1},
	{[8] = 1},
	{[9] = 1},
};

static void append(struct frame *frame, const void *bytes, size_t length)
{
	memcpy(frame->bytes + frame->length, bytes, length);
	frame->length += (unsigned)length;
}

static struct frame make_frame(uint16_t port, uint8_t kind, uint8_t source)
{
	static const struct slice bases[] = {{tcp4_syn, sizeof(tcp4_syn)},
					     {tcp4_data, sizeof(tcp4_data)},
					     {tcp6_syn, sizeof(tcp6_syn)},
					     {tcp6_data, sizeof(tcp6_data)}};
	static const uint8_t tag[4] = {0x81, 0, 0x20, VLAN}, padding[6];
	struct slice base = bases[kind % 4];
	struct frame frame = {.length = 0};
	uint8_t *ip;

	append(&frame, base.data, 12);
	if (port)
		append(&frame, tag, sizeof(tag));
	append(&frame, base.data + 12, base.length - 12);
	append(&frame, padding, kind & 64 ? sizeof(padding) : 0);
	ip = frame.bytes + 14 + (port ? 4 : 0);
	if (kind % 4 < 2)
		memcpy(ip + 12, sources4[source % 16], 4);
	else
		memcpy(ip + 8, sources6[source % 16], 16);
	return frame;
}

static void change_frames(struct frame frames[], unsigned count, uint8_t changes,
			  struct cursor *cursor)
{
	while (changes--) {
		struct frame *frame = &frames[cursor_u8(cursor) % count];
		uint8_t offset = cursor_u8(cursor), value = cursor_u8(cursor);

		if (frame->length == 0 || (offset & value) == UINT8_MAX)
			frame->length = 0; // an mbuf that cannot be made whole
		else if (offset == UINT8_MAX)
			frame->length -= value % 24 % frame->length;
		else
			frame->bytes[offset % frame->length] = value;
	}
}

// The sum of an IPv4 header becomes right: else no changed one goes further than that.
static void mend(struct frame *frame, uint16_t port)
{
	uint8_t *ip = frame->bytes + 14 + (port ? 4 : 0);

	ip[10] = ip[11] = 0;
	checksum_store(ip + 10, checksum_add(0, ip, 20));
}

static void play_burst(struct twins *twins, struct cursor *cursor, uint8_t how)
{
	static struct frame frames[PIPELINE_BURST];
	struct slice slices[PIPELINE_BURST];
	uint16_t port = how & 1;
	uint8_t kind = cursor_u8(cursor), other_kind = cursor_u8(cursor);
	uint8_t first = cursor_u8(cursor), step = cursor_u8(cursor), size = cursor_u8(cursor);
	unsigned count = size & 1 ? PIPELINE_BURST : 1 + size / 2 % PIPELINE_BURST;

	for (unsigned i = 0; i < count; i++)
		frames[i] = make_frame(port, how & 2 && i % 3 == 0 ? other_kind : kind,
				       (uint8_t)(first + i * (step % 8)));
	change_frames(frames, count, how & 4 ? how / 16 : 0, cursor);
	for (unsigned i = 0; i < count; i++) {
		uint8_t *block = frames[i].length ? malloc(frames[i].length) : NULL;

		if (frames[i].bytes[12 + (port ? 4 : 0)] == 8)
			mend(&frames[i], port);
		if (block)
			memcpy(block, frames[i].bytes, frames[i].length);
		slices[i] = slice_of(block, frames[i].length);
	}
	twins_input(twins, port, slices, count);
	for (unsigned i = 0; i < count; i++)
		free((void *)slices[i].data);
}

void twins_play(struct slice story)
{
	static const uint64_t times_us[] = {0, 1, 3, 8, 100, 20000, 999999, 1000000};
	struct cursor cursor = cursor_of(story);
	const char *gate = cursor_u8(&cursor) & 1 ? "Refuse = reset\n" : "";
	struct twins *twins = twins_open(gate);

	while (cursor.rest.length) {
		uint8_t how = cursor_u8(&cursor);

		if (how & 8)
			play_burst(twins, &cursor, how);
		else if (how == 0x77 && twins->other.generation_count < TWINS_POLICIES)
			twins_reload(twins, gate, cursor_u8(&cursor) & 1);
		else
			twins_pass(twins, times_us[how / 16 % 8]);
	}
	twins_close(twins);
}
