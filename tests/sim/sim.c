// SPDX-License-Identifier: BSD-3-Clause
//
// The whole gate against simulated peers over an imaginary wire, in virtual time. One seed is one
// run, exactly repeatable: topology, weather, mails and mischief are drawn from it. This file runs
// seeds and reports; the rest of the folder is in tests/README.md.

#include "tests/sim/faults.h"
#include "tests/sim/judge.h"

#include <argp.h>
#include <malloc.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

struct totals {
	unsigned long long frames, mails, acknowledged, virtual_s;
};

static void print_plan(const struct plan *plan)
{
	static const char *const climates[] = {"calm", "fair", "rough"};
	static const char *const nics[] = {"right", "wrong", "first", "fickle"};

	printf("%s%s, %u clients, %s server%s%s%s, bound %llu ms\n", climates[plan->climate],
	       plan->crowded ? ", crowded" : "", plan->client_count,
	       plan->server_literal ? "literal" : "own", plan->chain ? ", two gates" : "",
	       plan->filtered ? ", filter" : "", plan->filter_ends_early ? " that ends early" : "",
	       (unsigned long long)plan->bound_us / 1000);
	for (unsigned i = 0; i < (plan->chain ? 2 : 1); i++) {
		const struct crew_plan *crew = &plan->gates[i].crew;

		printf("gate %u: %u workers, NIC %s, rings of %u, look within %u us, bursts of %u, "
		       "full %u, asleep %u permille\n",
		       i, crew->workers, nics[crew->nic], crew->ring, crew->look_us, crew->burst,
		       crew->full_permille, crew->sleep_permille);
	}
	for (unsigned i = 0; i < STATIONS; i++) {
		const struct weather *w = &plan->weather[i];

		printf("towards %u: loss %u, burst %u/%u, double %u, reorder %u, corrupt %u "
		       "permille, delay %u+%u us, then %u, dark %llu to %llu ms\n",
		       i, w->loss_permille, w->burst_permille, w->burst_end_permille,
		       w->duplicate_permille, w->reorder_permille, w->corrupt_permille, w->delay_us,
		       w->jitter_us, w->later_delay_us, (unsigned long long)w->dark_us / 1000,
		       (unsigned long long)w->dark_until / 1000);
	}
	for (unsigned i = 0; i < plan->client_count; i++)
		printf("client %u: %s%s, %u mails, piece %u, window %u\n", i,
		       plan->clients[i].literal ? "literal" : "own",
		       plan->clients[i].script.rushed ? ", rushed" : "",
		       plan->clients[i].script.count, plan->clients[i].quirks.piece,
		       plan->clients[i].quirks.window);
}

static void print_run(const struct world *world)
{
	static const char *const reasons[REASON_COUNT] = {
#define X(name, kind, help) [REASON_##name] = #name,
		REASONS(X)
#undef X
	};

	print_plan(&world->plan);
	for (unsigned i = 0; i < world->ledger.count; i++) {
		const struct mail *mail = &world->ledger.mails[i];

		printf("mail %u%s: kind %d, %zu bytes, %s, answer %u, delivered %u\n", i,
		       mail->first ? " (first)" : "", mail->kind, mail->length,
		       mail->finished ? "finished" : "unfinished", mail->code, mail->delivered);
	}
	for (unsigned i = 0; i < world->gate_count; i++)
		for (unsigned j = 0; j < REASON_COUNT; j++)
			if (gate_reason(&world->gates[i], (enum reason)j))
				printf("gate %u: %s %llu\n", i, reasons[j],
				       gate_reason(&world->gates[i], (enum reason)j));
	printf("clients over after %llu ms, all after %llu ms\n",
	       (unsigned long long)(world->clients_over_us - PLAN_START_US) / 1000,
	       (unsigned long long)(world->now.now_us - PLAN_START_US) / 1000);
}

struct arguments {
	unsigned long seeds, first, step;
	bool trace, frames, until_failure, verbose;
};

static const char *run_seed(uint64_t seed, const struct arguments *arguments, char text[JUDGE_TEXT],
			    struct totals *totals)
{
	static struct world world;
	const char *verdict;

	world_build(&world, seed, arguments->frames);
	verdict = judge_run(&world, text);
	if (verdict != text && verdict) { // it may lie in the world
		snprintf(text, JUDGE_TEXT, "%s", verdict);
		verdict = text;
	}
	totals->frames += world.wire.sent;
	totals->virtual_s += (world.now.now_us - PLAN_START_US) / 1000000;
	for (unsigned i = 0; i < world.ledger.count; i++) {
		totals->mails++;
		totals->acknowledged += world.ledger.mails[i].code == 250;
	}
	if (arguments->trace)
		print_run(&world);
	world_destroy(&world);
	return verdict;
}

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
	struct arguments *arguments = state->input;

	switch (key) {
	case 'n':
		arguments->seeds = strtoul(argument, NULL, 10);
		return 0;
	case 'f':
		arguments->first = strtoul(argument, NULL, 10);
		return 0;
	case 's':
		arguments->step = strtoul(argument, NULL, 10);
		return 0;
	case 't':
		arguments->trace = true;
		return 0;
	case 'w':
		arguments->frames = true;
		return 0;
	case 'v':
		arguments->verbose = true;
		return 0;
	case 'u':
		arguments->until_failure = true;
		return 0;
	case 'p':
		if (!faults_use(argument))
			argp_error(state, "no such fault: %s", argument);
		return 0;
	case 'l':
		faults_list();
		exit(0);
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

int main(int argc, char **argv)
{
	static const struct argp_option options[] = {
		{"seeds", 'n', "N", 0, "how many runs (200)", 0},
		{"first-seed", 'f', "S", 0, "seed of the first (1)", 0},
		{"step", 's', "K", 0, "from one seed to the next (1)", 0},
		{"trace", 't', NULL, 0, "print each run's plan, mails and counters", 0},
		{"frames", 'w', NULL, 0, "print each segment that a gate sends or gets", 0},
		{"until-failure", 'u', NULL, 0, "stop at the first seed that fails", 0},
		{"verbose", 'v', NULL, 0, "name each seed before it runs", 0},
		{"fault", 'p', "NAME", 0, "plant a fault (sim_faults only)", 0},
		{"list-faults", 'l', NULL, 0, "their names", 0},
		{0}};
	static const struct argp argp = {
		options, parse_option, NULL, "The gate in virtual time against simulated peers.",
		NULL,    NULL,         NULL};
	struct arguments arguments = {.seeds = 200, .first = 1, .step = 1};
	struct totals totals = {0};
	unsigned long failed = 0;
	char text[JUDGE_TEXT];

	argp_parse(&argp, argc, argv, 0, NULL, &arguments);
	if (sodium_init() < 0)
		return 1;
	// Each run takes the same few megabytes again: let them stay mapped.
	mallopt(M_MMAP_THRESHOLD, 1 << 30);
	mallopt(M_TRIM_THRESHOLD, 1 << 30);
	setlinebuf(stdout);
	for (unsigned long i = 0; i < arguments.seeds; i++) {
		unsigned long seed = arguments.first + i * arguments.step;
		const char *verdict;

		if (arguments.verbose)
			printf("running seed %lu\n", seed);
		verdict = run_seed(seed, &arguments, text, &totals);
		if (!verdict)
			continue;
		failed++;
		printf("seed %lu: %s\n", seed, verdict);
		if (arguments.until_failure)
			break;
	}
	printf("%lu seeds, %lu failed; %llu mails, %llu acknowledged, %llu frames, %llu virtual "
	       "s\n",
	       arguments.seeds, failed, totals.mails, totals.acknowledged, totals.frames,
	       totals.virtual_s);
	return failed ? 1 : 0;
}
