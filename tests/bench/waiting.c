// SPDX-License-Identifier: BSD-3-Clause
//
// What clients cost that are made to wait: so many whose refusal the tarpit keeps back, and as many
// that wait for the greeting. Driven from memory (crowd.h). Measured: memory and payload buffers
// for each, what a turn of the pipeline takes while all of them wait, and when their time comes;
// dialogues of others before and beside them. Fails when one of them holds a payload buffer, when
// not every one reads its reply in the end, or when the others' dialogues take half as long again.

#include "tests/bench/crowd.h"

#include <argp.h>

#define WAIT_MS     60000
#define OTHERS      2000
#define ROUNDS      5
#define TOLERATED   1.5
#define JUDGED_FROM 100000

struct figures {
	double tarpitted_bytes, delayed_bytes;
	uint32_t tarpitted_chunks, delayed_chunks;
	uint64_t timers;
	double alone_cycles, beside_cycles; // a dialogue
	double idle_percent;                // of a core, for turns while all wait
	double release_cycles;              // for each whose time has come, its ACK included
	uint32_t greeted, refused;
};

// What timers made the gate say: acknowledged behind the turn, as clients would.
static struct {
	uint32_t others;   // of those that do not wait, next
	uint32_t *clients; // [2 * waiting]
	uint32_t count, waiting, greeted, refused;
} heard;

static uint32_t client_of(const struct view *view)
{
	const uint8_t *octets = view->destination.bytes + 12;
	uint32_t address = (uint32_t)octets[0] << 24 | (uint32_t)octets[1] << 16 |
			   (uint32_t)octets[2] << 8 | octets[3];

	return (address - CLIENTS) * PORTS + (view->destination_port - 10000u);
}

static void on_frame(const struct view *view)
{
	uint32_t client = client_of(view);

	if (view->payload.length < 4 || heard.count == 2 * heard.waiting)
		return;
	heard.greeted += memcmp(view->payload.data, "220 ", 4) == 0;
	heard.refused += memcmp(view->payload.data, "550 ", 4) == 0;
	bench.heard[client] = view->sequence + (uint32_t)view->payload.length;
	heard.clients[heard.count++] = client;
}

static void acknowledge_all(void)
{
	for (uint32_t i = 0; i < heard.count; i++)
		say(heard.clients[i], TCP_ACK, NULL);
	heard.count = 0;
}

static void converse(uint32_t i, const char *text, const char *code)
{
	say(i, TCP_ACK | TCP_PSH, text);
	hear(i, code);
	say(i, TCP_ACK, NULL);
}

// A refused MAIL is the whole of it: no server is needed.
static double dialogues(void)
{
	double begin = cpu_cycles();

	bench.policy->connectors[0].greet_delay_ms = 0;
	bench.policy->connectors[0].tarpit_interval_ms = 0;
	for (uint32_t n = 0; n < OTHERS; n++) {
		uint32_t i = 2 * heard.waiting + heard.others++;

		shake_hands(i);
		converse(i, "EHLO client.example\r\n", "250");
		converse(i, "MAIL FROM:<a@b.test>\r\n", "250");
		converse(i, "RCPT TO:<c@foreign.test>\r\n", "550");
		converse(i, "QUIT\r\n", "221");
		say(i, TCP_ACK | TCP_FIN, NULL);
		bench.said[i]++;
		pass(STEP_US);
	}
	bench.policy->connectors[0].greet_delay_ms = WAIT_MS;
	bench.policy->connectors[0].tarpit_interval_ms = WAIT_MS;
	return (cpu_cycles() - begin) / OTHERS;
}

// Beside a machine's other work the least of some rounds counts.
static double least_of_rounds(void)
{
	double least = 0;

	for (unsigned round = 0; round < ROUNDS; round++) {
		double cycles = dialogues();

		if (round == 0 || cycles < least)
			least = cycles;
	}
	return least;
}

static void tarpit_all(void)
{
	bench.policy->connectors[0].greet_delay_ms = 0;
	for (uint32_t i = 0; i < heard.waiting; i++) {
		shake_hands(i);
		converse(i, "EHLO client.example\r\n", "250");
		converse(i, "MAIL FROM:<a@b.test>\r\n", "250");
		say(i, TCP_ACK | TCP_PSH, "RCPT TO:<c@foreign.test>\r\n");
		pass(STEP_US);
	}
	// What is still in buffers is acknowledged by the delayed ACK's time.
	pass(300000);
}

static void delay_all(void)
{
	bench.policy->connectors[0].greet_delay_ms = WAIT_MS;
	for (uint32_t i = heard.waiting; i < 2 * heard.waiting; i++) {
		shake_hands(i);
		pass(STEP_US);
	}
	pass(300000);
}

// Until all have read what they wait for; a turn each millisecond, as an idle worker takes them.
static void wait_for_all(struct figures *figures)
{
	const uint64_t quiet_us = 10000000;
	double begin;

	bench.turn_cycles = 0;
	for (uint64_t us = 0; us < quiet_us; us += 1000)
		pass(1000);
	figures->idle_percent =
		100.0 * (double)bench.turn_cycles / (quiet_us * 1e3) / bench.cycles_a_ns;
	begin = cpu_cycles();
	bench.on_frame = on_frame;
	for (unsigned ms = 0; ms < 2 * WAIT_MS; ms++) {
		pass(1000);
		acknowledge_all();
	}
	bench.on_frame = NULL;
	figures->release_cycles = (cpu_cycles() - begin) / (2 * heard.waiting);
	figures->greeted = heard.greeted;
	figures->refused = heard.refused;
}

static void measure(struct figures *figures)
{
	double before;

	open_gate(3 * heard.waiting + OTHERS, "ConnectionTimeout = 1h\nMaxProtocolErrors = 100\n");
	pipeline_start(bench.pipeline, bench.now, &bench.outbox);
	announce_gateway();
	figures->alone_cycles = least_of_rounds();
	before = resident_bytes();
	tarpit_all();
	figures->tarpitted_chunks = pipeline_levels(bench.pipeline).chunks_used;
	figures->tarpitted_bytes = (resident_bytes() - before) / heard.waiting;
	before = resident_bytes();
	delay_all();
	figures->delayed_chunks =
		pipeline_levels(bench.pipeline).chunks_used - figures->tarpitted_chunks;
	figures->delayed_bytes = (resident_bytes() - before) / heard.waiting;
	figures->timers = pipeline_levels(bench.pipeline).timers;
	figures->beside_cycles = least_of_rounds();
	wait_for_all(figures);
}

static bool judge(const struct figures *f)
{
	bool buffers = f->delayed_chunks == 0 && f->tarpitted_chunks == 0;
	bool all = f->greeted == heard.waiting && f->refused == heard.waiting;
	bool fast = heard.waiting < JUDGED_FROM || f->beside_cycles < TOLERATED * f->alone_cycles;

	printf("%u clients tarpitted, %u waiting for the greeting, on one worker\n", heard.waiting,
	       heard.waiting);
	printf("  bytes a session, by the sizes of its parts %7lu, all taken at the start\n",
	       (unsigned long)bytes_by_size());
	printf("  bytes more for each in the tarpit         %8.0f, %u payload buffers in all\n",
	       f->tarpitted_bytes, f->tarpitted_chunks);
	printf("  bytes more for each before its greeting   %8.0f, %u payload buffers in all\n",
	       f->delayed_bytes, f->delayed_chunks);
	printf("  timers armed                              %8lu\n", (unsigned long)f->timers);
	printf("  %% of a core while all of them wait        %8.3f\n", f->idle_percent);
	printf("  cycles for each whose time has come       %8.0f, its ACK included\n",
	       f->release_cycles);
	printf("  cycles a dialogue of others, alone        %8.0f\n", f->alone_cycles);
	printf("  cycles a dialogue of others, beside them  %8.0f\n", f->beside_cycles);
	if (!buffers)
		printf("FAILED: who waits holds payload buffers\n");
	if (!all)
		printf("FAILED: %u greeted, %u refused\n", f->greeted, f->refused);
	if (!fast)
		printf("FAILED: others are too slow beside them\n");
	return buffers && all && fast;
}

static const char *json_path;

static bool write_json(const struct figures *f)
{
	FILE *json = fopen(json_path, "w");

	if (!json)
		return false;
	fprintf(json,
		"{\"waiting\": %u, \"bytes_by_size\": %lu, \"tarpitted_bytes\": %.1f, "
		"\"delayed_bytes\": %.1f, \"timers\": %lu, \"idle_percent\": %.4f, "
		"\"release_cycles\": %.0f, \"alone_cycles\": %.0f, \"beside_cycles\": %.0f}\n",
		heard.waiting, (unsigned long)bytes_by_size(), f->tarpitted_bytes, f->delayed_bytes,
		(unsigned long)f->timers, f->idle_percent, f->release_cycles, f->alone_cycles,
		f->beside_cycles);
	return fclose(json) == 0;
}

static error_t option(int key, char *argument, struct argp_state *state)
{
	if (key == 'j')
		json_path = argument;
	if (key != 'w')
		return key == 'j' ? 0 : ARGP_ERR_UNKNOWN;
	heard.waiting = (uint32_t)strtoul(argument, NULL, 10);
	if (heard.waiting < 1 || heard.waiting > 1000000)
		argp_error(state, "--waiting takes 1 to 1000000");
	return 0;
}

int main(int argc, char **argv)
{
	static const struct argp_option options[] = {
		{"waiting", 'w', "N", 0, "clients of each kind (100000)", 0},
		{"json", 'j', "FILE", 0, "figures as JSON, too", 0},
		{0}};
	static const struct argp argp = {.options = options, .parser = option};
	struct figures figures = {0};
	bool good;

	heard.waiting = 100000;
	argp_parse(&argp, argc, argv, 0, NULL, NULL);
	heard.clients = calloc(2 * heard.waiting, sizeof(*heard.clients));
	bench.sessions = 2 * heard.waiting + 2 * ROUNDS * OTHERS;
	prepare_crowd();
	measure(&figures);
	good = judge(&figures);
	if (json_path && !write_json(&figures))
		good = false;
	close_gate();
	pool_fini(&bench.chunk);
	free(heard.clients);
	free(bench.said);
	free(bench.heard);
	return good ? 0 : 1;
}
