// SPDX-License-Identifier: BSD-3-Clause
//
// The whole gate against simulated peers over an imaginary wire, in virtual time. One seed is one
// run, exactly repeatable: topology, weather, mails and mischief are drawn from it. After every
// run: the relay rules held, all sessions ended within the bound, every pool is full again, the
// counters add up.
//
//   client host --- port 0 [gate] port 1 --- server host
//   192.0.2.20/24   192.0.2.10    10.0.0.1   10.0.0.11/24     (and IPv6)

#include "config/load.h"
#include "dataplane/gate/ruleset.h"
#include "dataplane/pipeline/pipeline.h"
#include "tests/sim/mail.h"
#include "tests/sim/narrow.h"

#include <argp.h>
#include <assert.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#define BOUND_US (1800ull * 1000 * 1000)
#define CLIENTS  6
#define LOG_RING 64

static const char policy_text[] =
	"[gate]\nName = mx.example.com\nMaxSessions = %u\nBufferMemory = %uKB\n"
	"ReceiveBuffer = %uKB\nSendBuffer = %uKB\nHalfOpenEntries = %u\nTimeWaitEntries = 256\n"
	"[port outside]\nDevice = vdev:net_null0\nAddress = 192.0.2.10/24, 2001:db8:1::10/64\n"
	"[port inside]\nDevice = vdev:net_null1\nAddress = 10.0.0.1/24, 2001:db8:2::1/64\n"
	"[accepted-domain accepted.test]\n"
	"[connector clients]\nBindings = 192.0.2.10:25, [2001:db8:1::10]:25\n"
	"RemoteIPRanges = 192.0.2.0/24, 2001:db8:1::/64\nPermissionGroups = AnonymousUsers\n"
	"MaxMessageSize = 128KB\n"
	"[backend cluster]\nServers = 10.0.0.11:25, [2001:db8:2::11]:25\nProbeInterval = 10s\n"
	"MaxConnections = %u\nMaxWaiting = %u\n";

struct world {
	struct outbox outbox; // first
	struct policy *policy;
	struct ruleset *ruleset;
	struct packet_port ports[2];
	struct connector_counters connector;
	struct connector_counters *connectors[1];
	struct port_counters port_rows[2];
	struct port_counters *port_row[2];
	struct reason_counter reasons[REASON_COUNT];
	struct log_record log[LOG_RING];
	struct pipeline *pipeline;
	struct wire wire;
	struct host clients[CLIENTS];
	struct host server;
	struct random random;
	struct ledger ledger;
	struct tick now;
	uint8_t frame[OUTBOX_FRAME_MAX];
	uint16_t frame_port;
	uint16_t path_mtu[2]; // from the gate, behind each port's own link
	unsigned client_count;
	bool calm; // nothing is lost, late, refused or scarce: everything must go well, and soon
};

static uint8_t *reserve(struct outbox *outbox, uint16_t port)
{
	struct world *world = (struct world *)outbox;

	world->frame_port = port;
	return world->frame;
}

static void commit(struct outbox *outbox, uint16_t length)
{
	struct world *world = (struct world *)outbox;
	bool outside = world->frame_port == 0;
	struct slice frame = slice_of(world->frame, length);
	uint8_t answer[OUTBOX_FRAME_MAX];
	size_t answer_length;

	if (!length)
		return;
	if (!narrow_refuses(frame, world->path_mtu[world->frame_port], answer, &answer_length))
		wire_send(&world->wire, outside ? STATION_CLIENT : STATION_SERVER, frame,
			  world->now.now_us);
	else if (answer_length)
		wire_send(&world->wire, outside ? STATION_GATE_OUTSIDE : STATION_GATE_INSIDE,
			  slice_of(answer, answer_length), world->now.now_us);
}

static void report(void *context, enum diagnostic_severity severity, const char *text)
{
	if (severity == DIAGNOSTIC_ERROR)
		fprintf(stderr, "%s\n", text);
}

static struct interface_address at(const char *text)
{
	struct interface_address address;
	const char *why;

	assert(interface_address_parse(text, &address, &why) == 0);
	return address;
}

// Mostly the roomy value, sometimes the tight one.
static unsigned pick(struct world *world, unsigned tight, unsigned roomy)
{
	return world->calm || random_below(&world->random, 4) ? roomy : tight;
}

static void build_gate(struct world *world)
{
	char text[2048];
	struct diagnostics diagnostics = {.report = report};
	struct pipeline_settings settings = {.ports = world->ports};

	snprintf(text, sizeof(text), policy_text, pick(world, 3, 64), pick(world, 1024, 4096),
		 pick(world, 8, 64), pick(world, 16, 64), pick(world, 16, 64), pick(world, 1, 20),
		 pick(world, 1, 100));
	world->policy = policy_load_text(text, &diagnostics);
	assert(world->policy);
	world->ruleset = ruleset_create(world->policy);
	for (uint16_t i = 0; i < 2; i++) {
		world->ports[i] =
			(struct packet_port){.mac = {2, 0, 0, 0, 0, (uint8_t)i}, .index = i};
		world->port_row[i] = &world->port_rows[i];
	}
	world->connectors[0] = &world->connector;
	settings.policy = world->policy;
	settings.ruleset = world->ruleset;
	settings.counters = (struct pipeline_counters){.connectors = world->connectors,
						       .ports = world->port_row,
						       .reasons = world->reasons,
						       .log = world->log,
						       .log_records = LOG_RING};
	settings.random_key[0] = (uint8_t)random_u64(&world->random);
	world->pipeline = pipeline_create(&settings, world->now);
	assert(world->pipeline);
	pipeline_start(world->pipeline, world->now, &world->outbox);
}

static void draw_weather(struct world *world)
{
	static const unsigned losses[] = {0, 0, 0, 10, 30, 100};

	world->calm = random_below(&world->random, 4) == 0;

	for (unsigned i = 0; i < STATIONS; i++) {
		struct weather *weather = &world->wire.weather[i];

		weather->delay_us = 50 + random_below(&world->random, 20000);
		if (world->calm)
			continue;
		weather->loss_permille = losses[random_below(&world->random, 6)];
		weather->duplicate_permille = random_below(&world->random, 3) ? 0 : 20;
		weather->reorder_permille = random_below(&world->random, 3) ? 0 : 50;
		weather->corrupt_permille = random_below(&world->random, 4) ? 0 : 10;
		weather->jitter_us = random_below(&world->random, 2) ? 0 : weather->delay_us / 2;
	}
}

// One run in four has a narrow link somewhere. IPv6 guarantees 1,280 bytes.
static void draw_paths(struct world *world, uint64_t seed)
{
	static const uint16_t mtus[] = {1280, 1400, 1492};

	world->path_mtu[0] = world->path_mtu[1] = 1500;
	if (seed % 4 == 0)
		world->path_mtu[seed / 4 % 2] = mtus[seed / 8 % 3];
}

static void start_client(struct world *world, unsigned index)
{
	static struct interface_address addresses[CLIENTS][2];
	struct host *host = &world->clients[index];
	bool ipv6 = random_below(&world->random, 2);
	char text[64];
	struct client_script script = {.ledger = &world->ledger,
				       .first = world->ledger.count,
				       .pipelining = random_below(&world->random, 2),
				       .most = 1 + random_below(&world->random, 20000)};
	struct tuple tuple = {.local_port = (uint16_t)(40000 + index), .remote_port = 25};

	script.count = 1 + random_below(&world->random, 4);
	for (unsigned i = 0; i < script.count; i++) {
		uint32_t draw = random_below(&world->random, 20);
		enum mail_kind kind = draw < 12   ? MAIL_ORDINARY
				      : draw < 15 ? MAIL_FOREIGN
						  : (enum mail_kind)(draw - 13);
		uint32_t size =
			kind == MAIL_TOO_LARGE
				? 200000
				: random_below(&world->random,
					       1u << (random_below(&world->random, 6) + 11));

		if (kind == MAIL_KINDS || (kind == MAIL_VANISH && world->calm))
			kind = MAIL_ORDINARY;
		world->ledger.mails[ledger_add(&world->ledger, kind, size)].first = i == 0;
	}
	snprintf(text, sizeof(text), "192.0.2.%u/24", 20 + index);
	addresses[index][0] = at(text);
	snprintf(text, sizeof(text), "2001:db8:1::%u/64", 20 + index);
	addresses[index][1] = at(text);
	host_init(host, &world->wire, STATION_GATE_OUTSIDE, addresses[index], 2, &world->random);
	memcpy(host->port.mac, (uint8_t[]){2, 0, 0, 0, 1, (uint8_t)index}, 6);
	net_destroy(host->net);
	host->net = net_create(&host->policy, &host->port, &world->random);
	host->now = world->now;
	tuple.local = addresses[index][ipv6].address;
	tuple.remote = world->policy->ports[0].addresses[ipv6].address;
	host_connect(host, &tuple, &client_application, client_state(&script));
}

static void build_world(struct world *world, uint64_t seed)
{
	static struct interface_address server_addresses[2];
	static struct server_script script;
	uint8_t key[16] = {0};

	memset(world, 0, sizeof(*world));
	memcpy(key, &seed, sizeof(seed));
	random_init(&world->random, key);
	world->outbox = (struct outbox){reserve, commit};
	world->now = (struct tick){1000000, 1790000000000000ull};
	wire_init(&world->wire, &world->random);
	draw_weather(world);
	draw_paths(world, seed);
	world->ledger.random = &world->random;
	script = (struct server_script){
		.ledger = &world->ledger,
		.mischief_permille = world->calm || random_below(&world->random, 2) ? 0 : 40,
		.stall_permille = world->calm || random_below(&world->random, 3) ? 0 : 20,
		.pipelining = random_below(&world->random, 2),
	};
	server_use(&script);
	server_addresses[0] = at("10.0.0.11/24");
	server_addresses[1] = at("2001:db8:2::11/64");
	build_gate(world);
	host_init(&world->server, &world->wire, STATION_GATE_INSIDE, server_addresses, 2,
		  &world->random);
	world->server.listen_port = 25;
	world->server.listen_application = &server_application;
	world->client_count = 1 + random_below(&world->random, CLIENTS);
	for (unsigned i = 0; i < world->client_count; i++)
		start_client(world, i);
}

static void deliver(struct world *world, const struct flying *flying)
{
	struct slice frame = slice_of(flying->bytes, flying->length);

	switch (flying->to) {
	case STATION_GATE_OUTSIDE:
	case STATION_GATE_INSIDE:
		pipeline_input(world->pipeline, flying->to == STATION_GATE_INSIDE, &frame, 1,
			       world->now, &world->outbox);
		break;
	case STATION_SERVER:
		host_receive(&world->server, frame, world->now);
		break;
	default:
		for (unsigned i = 0; i < world->client_count; i++)
			host_receive(&world->clients[i], frame, world->now);
		break;
	}
}

static uint64_t turn(struct world *world)
{
	struct flying flying;
	uint64_t next, other;

	while (wire_receive(&world->wire, world->now.now_us, &flying)) {
		deliver(world, &flying);
		free(flying.bytes);
	}
	next = pipeline_turn(world->pipeline, world->now, &world->outbox);
	other = host_turn(&world->server, world->now);
	next = other < next ? other : next;
	for (unsigned i = 0; i < world->client_count; i++) {
		other = host_turn(&world->clients[i], world->now);
		next = other < next ? other : next;
	}
	other = wire_next_us(&world->wire);
	return other < next ? other : next;
}

static void advance(struct world *world, uint64_t next)
{
	// A peer whose next hop is unresolved asks again by itself within this.
	uint64_t step = world->now.now_us + 1000;
	uint64_t to = next > step ? next : step;

	if (to - world->now.now_us > 1000000)
		to = world->now.now_us + 1000000;
	world->now.wall_us += to - world->now.now_us;
	world->now.now_us = to;
}

static bool clients_done(const struct world *world)
{
	for (unsigned i = 0; i < world->client_count; i++)
		if (world->clients[i].connections && !world->clients[i].deaf)
			return false;
	return true;
}

// Sum of all drops and accepted frames against frames in.
static bool counters_add_up(const struct world *world)
{
	unsigned long long in = 0, sum = 0;

	for (unsigned i = 0; i < 2; i++) {
		in += world->port_rows[i].frames_in;
		sum += world->port_rows[i].frames_accepted;
	}
#define drop                1
#define refusal             0
#define fault               0
#define X(name, kind, help) sum += kind ? world->reasons[REASON_##name].count : 0;
	REASONS(X)
#undef X
#undef drop
#undef refusal
#undef fault
	return in == sum;
}

// In a calm world nobody waits in vain, and every ordinary mail is acknowledged that does not come
// behind one which ends its session.
static const char *judge_calm(const struct world *world)
{
	static const enum reason in_vain[] = {
		REASON_smtp_timeout, REASON_smtp_session_timeout, REASON_backend_timeout,
		REASON_backend_busy, REASON_retransmit_exhausted, REASON_linger_expired,
	};
	bool open = true;

	if (!world->calm)
		return NULL;
	for (unsigned i = 0; i < sizeof(in_vain) / sizeof(in_vain[0]); i++)
		if (world->reasons[in_vain[i]].count)
			return "somebody waited in vain in a calm world";
	for (unsigned i = 0; i < world->ledger.count; i++) {
		const struct mail *mail = &world->ledger.mails[i];

		open |= mail->first;
		if (open && mail->kind == MAIL_ORDINARY && mail->code != 250)
			return "an ordinary mail was not acknowledged in a calm world";
		open &= mail->kind != MAIL_BARE_LINE_FEED && mail->kind != MAIL_CUT;
	}
	return NULL;
}

static const char *judge(struct world *world, char text[128])
{
	struct pipeline_levels levels;
	uint64_t until = world->now.now_us + BOUND_US;
	const char *verdict = ledger_verdict(&world->ledger, text);

	if (!verdict)
		verdict = judge_calm(world);
	if (verdict)
		return verdict;
	pipeline_drain(world->pipeline, false, world->now, &world->outbox);
	while (!pipeline_drained(world->pipeline) && world->now.now_us < until)
		advance(world, turn(world));
	if (!pipeline_drained(world->pipeline))
		return "the drain did not end within the bound";
	levels = pipeline_levels(world->pipeline);
	if (levels.clients || levels.servers || levels.flows || levels.chunks_used) {
		snprintf(text, 128, "left over: %u clients, %u servers, %u flows, %u chunks",
			 levels.clients, levels.servers, levels.flows, levels.chunks_used);
		return text;
	}
	if (world->connector.sessions_open)
		return "sessions_open is not zero at the end";
	if (!counters_add_up(world))
		return "frames in are not frames accepted plus drops";
	return NULL;
}

static void print_run(const struct world *world)
{
	static const char *const reasons[REASON_COUNT] = {
#define X(name, kind, help) [REASON_##name] = #name,
		REASONS(X)
#undef X
	};

	for (unsigned i = 0; i < world->ledger.count; i++) {
		const struct mail *mail = &world->ledger.mails[i];

		printf("mail %u: kind %d, %zu bytes, %s, answer %u, delivered %u\n", i, mail->kind,
		       mail->length, mail->finished ? "finished" : "unfinished", mail->code,
		       mail->delivered);
	}
	for (unsigned i = 0; i < REASON_COUNT; i++)
		if (world->reasons[i].count)
			printf("%s %llu\n", reasons[i], world->reasons[i].count);
}

struct totals {
	unsigned long long frames, mails, acknowledged, virtual_s;
};

static const char *run_seed(uint64_t seed, bool trace, char text[128], struct totals *totals)
{
	static struct world world;
	const char *verdict = NULL;
	uint64_t start;

	build_world(&world, seed);
	start = world.now.now_us;
	while (!clients_done(&world)) {
		if (world.now.now_us - start > BOUND_US) {
			verdict = "a session did not end within the bound";
			break;
		}
		advance(&world, turn(&world));
	}
	if (!verdict)
		verdict = judge(&world, text);
	totals->frames += world.wire.sent;
	totals->virtual_s += (world.now.now_us - start) / 1000000;
	for (unsigned i = 0; i < world.ledger.count; i++) {
		totals->mails++;
		totals->acknowledged += world.ledger.mails[i].code == 250;
	}
	if (trace)
		print_run(&world);
	for (unsigned i = 0; i < world.client_count; i++)
		host_fini(&world.clients[i]);
	host_fini(&world.server);
	pipeline_destroy(world.pipeline);
	ruleset_destroy(world.ruleset);
	policy_destroy(world.policy);
	wire_fini(&world.wire);
	ledger_fini(&world.ledger);
	return verdict;
}

struct arguments {
	unsigned long seeds, first;
	bool trace;
};

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
	struct arguments *arguments = state->input;

	if (key == 'n')
		arguments->seeds = strtoul(argument, NULL, 10);
	else if (key == 'f')
		arguments->first = strtoul(argument, NULL, 10);
	else if (key == 't')
		arguments->trace = true;
	else
		return ARGP_ERR_UNKNOWN;
	return 0;
}

int main(int argc, char **argv)
{
	static const struct argp_option options[] = {
		{"seeds", 'n', "N", 0, "how many runs (200)", 0},
		{"first-seed", 'f', "S", 0, "seed of the first (1)", 0},
		{"trace", 't', NULL, 0, "print each run's mails and counters", 0},
		{0}};
	static const struct argp argp = {
		options, parse_option, NULL, "The gate in virtual time against simulated peers.",
		NULL,    NULL,         NULL};
	struct arguments arguments = {200, 1, false};
	struct totals totals = {0};
	unsigned long failed = 0;
	char text[128];

	argp_parse(&argp, argc, argv, 0, NULL, &arguments);
	assert(sodium_init() >= 0);
	for (unsigned long i = 0; i < arguments.seeds; i++) {
		const char *verdict = run_seed(arguments.first + i, arguments.trace, text, &totals);

		if (!verdict)
			continue;
		failed++;
		printf("seed %lu: %s\n  again: %s --seeds 1 --first-seed %lu\n",
		       arguments.first + i, verdict, argv[0], arguments.first + i);
	}
	printf("%lu seeds, %lu failed; %llu mails, %llu acknowledged, %llu frames, %llu virtual "
	       "s\n",
	       arguments.seeds, failed, totals.mails, totals.acknowledged, totals.frames,
	       totals.virtual_s);
	return failed ? 1 : 0;
}
