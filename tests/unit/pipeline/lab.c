// SPDX-License-Identifier: BSD-3-Clause
//
// The laboratory of the pipeline's tests.
#include "tests/unit/pipeline/lab.h"

#include "dataplane/gate/bans.h"
#include "tests/sim/narrow.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

static const char policy_text[] =
	"[gate]\nName = mx.test\n%sBufferMemory = 4MB\nSendBuffer = 16KB\n%s"
	"[port outside]\nDevice = vdev:net_null0\nAddress = %s\n"
	"[port inside]\nDevice = vdev:net_null1\nAddress = 10.0.0.1/24\n"
	"[accepted-domain accepted.test]\n"
	"[connector clients]\nBindings = %s\nRemoteIPRanges = %s\n"
	"PermissionGroups = AnonymousUsers\nBanner = 220 hello\nConnectionTimeout = 20m\n"
	"TarpitInterval = 0s\nMaxInboundConnection = unlimited\n"
	"MaxInboundConnectionPerSource = unlimited\nMaxInboundConnectionPercentagePerSource = 100\n"
	"[backend cluster]\nServers = 10.0.0.11:25\n%s%s";

const struct plan lab_good_plan = {
	.greeting = "220 server\r\n",
	.hello = "250-server\r\n250 PIPELINING\r\n",
	.mail = "250 sender\r\n",
	.recipient = "250 recipient\r\n",
	.data = "354 go on\r\n",
	.final = "250 queued as 1\r\n",
	.chunk = "250 chunk\r\n",
};

// ---- The peers -------------------------------------------------------------------------------

static struct peer *new_peer(struct peer peers[], unsigned *count, struct connection *connection)
{
	struct peer *peer = &peers[(*count)++];

	assert_true(*count <= LAB_PEERS);
	*peer = (struct peer){.connection = connection};
	connection->state = peer;
	return peer;
}

static struct host_connection *own(struct connection *connection)
{
	return (struct host_connection *)connection;
}

static void ended(struct connection *connection)
{
	struct peer *peer = connection->state;

	peer->connection = NULL;
	peer->reset = connection->reset;
}

static uint64_t never(const struct connection *connection)
{
	return UINT64_MAX;
}

static void client_opened(struct connection *connection)
{
}

static void client_moved(struct connection *connection)
{
	struct peer *peer = connection->state;
	struct slice in;

	while ((in = connection->transport->received(connection)).length) {
		size_t length = slice_first(in, sizeof(peer->heard) - 1 - peer->length).length;

		memcpy(peer->heard + peer->length, in.data, length);
		peer->length += length;
		peer->heard[peer->length] = '\0';
		connection->transport->consume(connection, in.length);
	}
	if (connection->peer_closed && !peer->stays)
		connection->transport->close(connection);
}

static const struct application client_application = {client_opened, client_moved, ended, never};

static struct lab *lab_of(struct connection *connection)
{
	return (struct lab *)((char *)own(connection)->host - offsetof(struct lab, server));
}

static void answer(struct connection *connection, const char *text)
{
	struct peer *peer = connection->state;
	size_t length = strcspn(text, "!");

	connection->transport->send(connection, slice_of(text, length));
	if (strcmp(text + length, "!FIN") == 0)
		connection->transport->close(connection);
	peer->reset_due = strcmp(text + length, "!RST") == 0;
}

static void server_opened(struct connection *connection)
{
	struct lab *lab = lab_of(connection);

	new_peer(lab->servers, &lab->server_count, connection);
	answer(connection, lab->plan.greeting);
}

static const char *end_of_chunk(struct lab *lab, const struct peer *peer)
{
	lab->chunks++;
	if (!peer->chunk_last)
		return lab->plan.chunk;
	lab->delivered += strncmp(lab->plan.final, "250", 3) == 0;
	return lab->plan.final;
}

static const char *reply_to(struct lab *lab, struct peer *peer, const char *line)
{
	if (strncmp(line, "EHLO", 4) == 0)
		return lab->plan.hello;
	if (strncmp(line, "RCPT", 4) == 0)
		return lab->plan.recipient;
	if (strncmp(line, "QUIT", 4) == 0)
		return "221 bye\r\n!FIN";
	if (strncmp(line, "DATA", 4) == 0) {
		lab->message_length = 0;
		peer->in_data = strncmp(lab->plan.data, "354", 3) == 0;
		return lab->plan.data;
	}
	if (strncmp(line, "BDAT ", 5) == 0) {
		peer->chunk_left = strtoul(line + 5, NULL, 10);
		peer->chunk_last = strstr(line, " LAST\r\n") != NULL;
		return peer->chunk_left ? "" : end_of_chunk(lab, peer);
	}
	if (strncmp(line, "RSET", 4) == 0)
		lab->resets++;
	if (strncmp(line, "MAIL FROM:", 10) != 0)
		return "250 ok\r\n"; // RSET
	lab->message_length = 0;
	strncat(lab->senders, line + 10, strcspn(line + 10, " \r"));
	if (lab->mails_reset == 0)
		return lab->plan.mail;
	lab->mails_reset--;
	return "!RST";
}

static void server_byte(struct lab *lab, struct peer *peer, char byte)
{
	struct connection *connection = peer->connection;

	if (peer->in_data || peer->chunk_left) {
		assert_true(lab->message_length < sizeof(lab->message) - 1);
		lab->message[lab->message_length++] = byte;
		lab->message[lab->message_length] = '\0';
		if (peer->chunk_left && --peer->chunk_left == 0)
			answer(connection, end_of_chunk(lab, peer));
		if (!peer->in_data || lab->message_length < 5 ||
		    strcmp(lab->message + lab->message_length - 5, "\r\n.\r\n") != 0)
			return;
		lab->message_length -= 3;
		lab->message[lab->message_length] = '\0';
		peer->in_data = false;
		lab->delivered += strncmp(lab->plan.final, "250", 3) == 0;
		answer(connection, lab->plan.final);
		return;
	}
	assert_true(peer->length < sizeof(peer->heard) - 1);
	peer->heard[peer->length++] = byte;
	peer->heard[peer->length] = '\0';
	if (byte != '\n')
		return;
	answer(connection, reply_to(lab, peer, peer->heard + peer->line));
	peer->line = peer->length;
}

static void server_moved(struct connection *connection)
{
	struct peer *peer = connection->state;
	struct slice in;

	while ((in = connection->transport->received(connection)).length) {
		for (size_t i = 0; i < in.length && !peer->reset_due; i++)
			server_byte(lab_of(connection), peer, (char)in.data[i]);
		connection->transport->consume(connection, in.length);
	}
	if (peer->reset_due && tcp_all_acknowledged(own(connection)->flow)) {
		connection->transport->abort(connection);
		return;
	}
	if (connection->peer_closed)
		connection->transport->close(connection);
}

static const struct application server_application = {server_opened, server_moved, ended, never};

// ---- The gate --------------------------------------------------------------------------------

static uint8_t *reserve(struct outbox *outbox, uint16_t port)
{
	struct lab *lab = (struct lab *)outbox;

	lab->frame_port = port;
	return lab->device_full ? NULL : lab->frame;
}

// An answer is a reply; an announcement names one address as asker and asked (RFC 5227).
static void note_arp(struct lab *lab)
{
	const uint8_t *arp = lab->frame + 14;

	if (lab->frame[12] != 8 || lab->frame[13] != 6)
		return;
	lab->arp_answers += arp[7] == 2;
	lab->announcements += arp[7] == 1 && memcmp(arp + 14, arp + 24, 4) == 0;
}

static bool hand(struct handover *handover, unsigned worker, unsigned index)
{
	struct lab *lab = ((struct lab_way *)handover)->lab;
	struct lab_handed *handed;

	assert_int_equal(index, 1); // see receive()
	assert_true(worker < lab->workers);
	if (lab->others_full)
		return false;
	handed = malloc(sizeof(*handed) + lab->received.length);
	handed->next = NULL;
	handed->worker = worker;
	handed->port = lab->received_port;
	handed->length = lab->received.length;
	memcpy(handed->bytes, lab->received.data, handed->length);
	*lab->handed_end = handed;
	lab->handed_end = &handed->next;
	return true;
}

static void commit(struct outbox *outbox, uint16_t length)
{
	struct lab *lab = (struct lab *)outbox;
	struct slice frame = slice_of(lab->frame, length);
	uint8_t answer[OUTBOX_FRAME_MAX];
	size_t answer_length;

	if (length == 0)
		return;
	note_arp(lab);
	if (lab->frame_port == 0 || lab->path_mtu == 0 ||
	    !narrow_refuses(frame, lab->path_mtu, answer, &answer_length))
		wire_send(&lab->wire, lab->frame_port == 0 ? STATION_CLIENT : STATION_SERVER, frame,
			  lab->now.now_us);
	else if (answer_length)
		wire_send(&lab->wire, STATION_GATE_INSIDE, slice_of(answer, answer_length),
			  lab->now.now_us);
}

static void report(void *context, enum diagnostic_severity severity, const char *text)
{
	if (severity == DIAGNOSTIC_ERROR)
		print_error("%s\n", text);
}

// The side of the clients, in each family.
static const struct side {
	const char *gate, *binding, *range, *client;
} sides[] = {
	{"192.0.2.10/24", "192.0.2.10:25", "192.0.2.0-192.0.7.255, 198.51.0.0/16", "192.0.2.20/24"},
	{"2001:db8:1::10/64", "[2001:db8:1::10]:25", "2001:db8:1::/64", "2001:db8:1::20/64"},
};

static const struct side *side_of(const char *gate)
{
	return &sides[strstr(gate, LAB_IPV6) != NULL];
}

static void build_spread(struct lab *lab)
{
	uint8_t key[SPREAD_KEY_BYTES];

	do {
		for (unsigned i = 0; i < sizeof(key); i++)
			key[i] = (uint8_t)random_u64(&lab->random);
	} while (!spread_init(&lab->spread, key, lab->workers));
	lab->shared = servers_shared_create(lab->policy, lab->workers);
	assert_non_null(lab->shared);
}

static void build_worker(struct lab *lab, struct pipeline_settings *settings, unsigned worker)
{
	settings->random_key[0] = (uint8_t)worker;
	if (lab->workers > 1) {
		lab->ways[worker] = (struct lab_way){{hand}, lab};
		settings->worker = worker;
		settings->spread = &lab->spread;
		settings->handover = &lab->ways[worker].handover;
		settings->servers = lab->shared;
	}
	settings->sources = lab->sources;
	settings->bans = lab->bans;
	lab->crew[worker] = pipeline_create(settings, lab->now);
	assert_non_null(lab->crew[worker]);
	pipeline_start(lab->crew[worker], lab->now, &lab->outbox);
}

static void build_gate(struct lab *lab, const char *gate, const char *backend)
{
	const struct side *side = side_of(gate);
	char text[2048];
	struct diagnostics diagnostics = {.report = report};
	struct pipeline_settings settings = {.ports = lab->ports};

	snprintf(text, sizeof(text), policy_text,
		 strstr(gate, "MaxSessions") ? "" : "MaxSessions = 32\n", gate, side->gate,
		 side->binding, side->range,
		 strstr(backend, "ProbeInterval") ? "" : "ProbeInterval = 1h\n", backend);
	lab->policy = policy_load_text(text, &diagnostics);
	assert_non_null(lab->policy);
	lab->ruleset = ruleset_create(lab->policy);
	lab->sources = pipeline_sources(lab->policy, &(struct hash_key){{1}});
	assert_non_null(lab->sources);
	lab->bans = bans_create(lab->policy->ban.entries, &(struct hash_key){{2}});
	assert_non_null(lab->bans);
	if (lab->workers > 1)
		build_spread(lab);
	for (uint16_t i = 0; i < 2; i++) {
		lab->ports[i] =
			(struct packet_port){.mac = {2, 0, 0, 0, 0, (uint8_t)i}, .index = i};
		lab->port_row[i] = &lab->port_rows[i];
	}
	lab->connectors[0] = &lab->connector;
	settings.policy = lab->policy;
	settings.ruleset = lab->ruleset;
	settings.counters = (struct pipeline_counters){.connectors = lab->connectors,
						       .ports = lab->port_row,
						       .reasons = lab->reasons,
						       .log = lab->log,
						       .log_records = LAB_LOG};
	for (unsigned i = 0; i < lab->workers; i++)
		build_worker(lab, &settings, i);
	lab->pipeline = lab->crew[0];
}

static struct lab *open_lab(const char *gate, const char *backend, unsigned workers,
			    enum lab_delivery delivery)
{
	struct lab *lab = calloc(1, sizeof(*lab));
	const char *why;

	assert_true(sodium_init() >= 0);
	lab->outbox = (struct outbox){.reserve = reserve, .commit = commit};
	lab->now = (struct tick){10000000, 1790000000000000ull};
	lab->plan = lab_good_plan;
	lab->next_port = 40000;
	lab->workers = workers;
	lab->delivery = delivery;
	lab->handed_end = &lab->handed;
	random_init(&lab->random, (const uint8_t[16]){1});
	wire_init(&lab->wire, (struct dice){1});
	for (unsigned i = 0; i < STATIONS; i++)
		lab->wire.weather[i].delay_us = 100;
	build_gate(lab, gate, backend);
	assert_int_equal(interface_address_parse(side_of(gate)->client, &lab->client_address, &why),
			 0);
	assert_int_equal(interface_address_parse("10.0.0.11/24", &lab->server_address, &why), 0);
	host_init(&lab->client, &lab->wire, STATION_GATE_OUTSIDE, &lab->client_address, 1,
		  (const uint8_t[]){2, 0, 0, 0, 1, 0});
	host_init(&lab->server, &lab->wire, STATION_GATE_INSIDE, &lab->server_address, 1,
		  (const uint8_t[]){2, 0, 0, 0, 2, 0});
	lab->server.listen_port = 25;
	lab->server.listen_application = &server_application;
	lab_run(lab, 100);
	assert_int_equal(lab->server_count, 1);
	lab->server_count = 0;
	return lab;
}

struct lab *lab_open(const char *gate, const char *backend)
{
	return open_lab(gate, backend, 1, LAB_RIGHT);
}

struct lab *lab_open_crew(const char *gate, const char *backend, enum lab_delivery delivery)
{
	return open_lab(gate, backend, LAB_CREW, delivery);
}

// The worker at whose queue the device puts a frame.
static unsigned receiver(const struct lab *lab, uint16_t port, struct slice frame)
{
	unsigned owner = 0, last = lab->workers - 1;
	struct tuple tuple;
	struct view view;

	if (lab->workers == 1 || lab->delivery == LAB_FIRST)
		return 0;
	if (lab->delivery == LAB_LAST)
		return last;
	if (packet_parse(&lab->ports[port], frame, &view) != REASON_NONE || view.kind != VIEW_TCP)
		return lab->delivery == LAB_RIGHT ? 0 : last;
	tuple = tcp_tuple_of(&view);
	owner = spread_owner(&lab->spread, &tuple);
	return lab->delivery == LAB_RIGHT ? owner : (owner + 1) % lab->workers;
}

// With several workers a frame that is nothing comes in front of it, in one burst.
static void receive(struct lab *lab, uint16_t port, struct slice frame)
{
	const struct slice burst[2] = {slice_of(NULL, 0), frame};
	struct pipeline *pipeline = lab->crew[receiver(lab, port, frame)];

	lab->received = frame;
	lab->received_port = port;
	if (lab->workers == 1)
		pipeline_input(pipeline, port, &frame, 1, lab->now, &lab->outbox);
	else
		pipeline_input(pipeline, port, burst, 2, lab->now, &lab->outbox);
}

static void receive_handed(struct lab *lab)
{
	struct lab_handed *handed;

	while ((handed = lab->handed)) {
		struct slice frame = slice_of(handed->bytes, handed->length);

		lab->handed = handed->next;
		if (!lab->handed)
			lab->handed_end = &lab->handed;
		pipeline_input_handed(lab->crew[handed->worker], handed->port, &frame, 1, lab->now,
				      &lab->outbox);
		free(handed);
	}
}

static uint64_t turn_crew(struct lab *lab)
{
	uint64_t next = UINT64_MAX;

	for (unsigned i = 0; i < lab->workers; i++) {
		uint64_t its = pipeline_turn(lab->crew[i], lab->now, &lab->outbox);

		next = its < next ? its : next;
	}
	return next;
}

static uint64_t turn(struct lab *lab)
{
	struct flying flying;
	uint64_t next, other;

	while (wire_receive(&lab->wire, lab->now.now_us, &flying)) {
		struct slice frame = slice_of(flying.bytes, flying.length);

		if (flying.to == STATION_CLIENT)
			host_receive(&lab->client, frame, lab->now);
		else if (flying.to == STATION_SERVER)
			host_receive(&lab->server, frame, lab->now);
		else
			receive(lab, flying.to == STATION_GATE_INSIDE, frame);
		receive_handed(lab);
		free(flying.bytes);
	}
	next = turn_crew(lab);
	other = host_turn(&lab->server, lab->now);
	next = other < next ? other : next;
	other = host_turn(&lab->client, lab->now);
	next = other < next ? other : next;
	other = wire_next_us(&lab->wire);
	return other < next ? other : next;
}

static void pass(struct lab *lab, uint64_t us)
{
	lab->now.now_us += us;
	lab->now.wall_us += us;
}

void lab_run(struct lab *lab, unsigned ms)
{
	uint64_t end = lab->now.now_us + ms * 1000ull;

	while (lab->now.now_us < end) {
		uint64_t next = turn(lab);
		uint64_t to = next < end ? next : end;

		// Peers whose next hop is unresolved ask again within this.
		if (to < lab->now.now_us + 100)
			to = lab->now.now_us + 100;
		pass(lab, to - lab->now.now_us);
	}
	turn(lab);
}

void lab_jump(struct lab *lab, unsigned ms)
{
	pass(lab, ms * 1000ull);
	turn_crew(lab);
}

static unsigned long long drops(const struct lab *lab)
{
	unsigned long long sum = 0;

#define drop                1
#define refusal             0
#define fault               0
#define X(name, kind, help) sum += kind ? lab->reasons[REASON_##name].count : 0;
	REASONS(X)
#undef X
#undef drop
#undef refusal
#undef fault
	return sum;
}

void lab_close(struct lab *lab)
{
	struct pipeline_levels levels;
	struct sources_totals totals;

	lab_replenish(lab);
	lab->client.deaf = lab->server.deaf = lab->device_full = lab->others_full = false;
	for (unsigned i = 0; i < 2; i++) {
		for (unsigned worker = 0; worker < lab->workers; worker++)
			pipeline_drain(lab->crew[worker], true, lab->now, &lab->outbox);
		lab_run(lab, 40000);
	}
	for (unsigned i = 0; i < lab->workers; i++) {
		assert_true(pipeline_drained(lab->crew[i]));
		levels = pipeline_levels(lab->crew[i]);
		assert_int_equal(
			levels.clients + levels.servers + levels.flows + levels.chunks_used, 0);
	}
	assert_int_equal(lab->connector.sessions_open, 0);
	totals = sources_totals(lab->sources, lab->now.now_us);
	assert_int_equal(totals.sessions + totals.connector_sessions, 0);
	assert_int_equal(lab->port_rows[0].frames_in + lab->port_rows[1].frames_in,
			 lab->port_rows[0].frames_accepted + lab->port_rows[1].frames_accepted +
				 drops(lab));
	host_fini(&lab->client);
	host_fini(&lab->server);
	for (unsigned i = 0; i < lab->workers; i++)
		pipeline_destroy(lab->crew[i]);
	servers_shared_destroy(lab->shared);
	sources_destroy(lab->sources);
	bans_destroy(lab->bans);
	ruleset_destroy(lab->ruleset);
	policy_destroy(lab->policy);
	wire_fini(&lab->wire);
	free(lab);
}

// ---- What a test does ------------------------------------------------------------------------

struct peer *lab_connecting(struct lab *lab)
{
	struct tuple tuple = {.local = lab->client_address.address,
			      .remote = lab->policy->ports[0].addresses[0].address,
			      .local_port = lab->next_port++,
			      .remote_port = 25};
	struct connection *connection;
	struct peer *peer;

	connection = host_connect(&lab->client, &tuple, &client_application, NULL, lab->now);
	peer = new_peer(lab->clients, &lab->client_count, connection);
	lab_run(lab, 1);
	return peer;
}

struct peer *lab_connect(struct lab *lab)
{
	struct peer *peer = lab_connecting(lab);

	lab_run(lab, LAB_MOMENT_MS);
	return peer;
}

void lab_say(struct lab *lab, struct peer *peer, const char *text)
{
	assert_non_null(peer->connection);
	assert_int_equal(peer->connection->transport->send(peer->connection, slice_of_text(text)),
			 strlen(text));
	lab_run(lab, LAB_MOMENT_MS);
}

const char *lab_heard(struct peer *peer)
{
	static char text[sizeof(peer->heard)];

	memcpy(text, peer->heard, peer->length);
	text[peer->length] = '\0';
	peer->length = 0;
	return text;
}

struct peer *lab_asking(struct lab *lab, const char *sender)
{
	struct peer *peer = lab_connect(lab);
	char text[128];

	lab_say(lab, peer, "EHLO c.test\r\n");
	snprintf(text, sizeof(text), "MAIL FROM:<%s@c.test>\r\n", sender);
	lab_say(lab, peer, text);
	assert_non_null(strstr(lab_heard(peer), "250 2.1.0 Sender OK"));
	lab_say(lab, peer, "RCPT TO:<x@accepted.test>\r\n");
	return peer;
}

struct peer *lab_server(struct lab *lab)
{
	assert_true(lab->server_count > 0);
	return &lab->servers[lab->server_count - 1];
}

void lab_exhaust(struct lab *lab, uint32_t left)
{
	while (lab->pipeline->chunks.free_count > left)
		lab->taken[lab->taken_count++] = pool_get(&lab->pipeline->chunks);
}

void lab_replenish(struct lab *lab)
{
	while (lab->taken_count > 0)
		pool_put(&lab->pipeline->chunks, lab->taken[--lab->taken_count]);
}
