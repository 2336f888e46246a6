// SPDX-License-Identifier: BSD-3-Clause
//
// The draws. The climate decides how much of it may happen; the bound on the time follows from what
// was drawn.

#include "tests/sim/plan.h"

#include <string.h>

#define SECOND 1000000ull

static bool calm(const struct plan *plan)
{
	return plan->climate == CLIMATE_CALM;
}

static bool rough(const struct plan *plan)
{
	return plan->climate == CLIMATE_ROUGH;
}

// ---- Weather ---------------------------------------------------------------------------------

static void draw_fair_weather(struct dice *dice, struct weather *weather)
{
	static const unsigned losses[] = {0, 0, 3, 10, 20};

	weather->loss_permille = losses[dice_below(dice, 5)];
	weather->duplicate_permille = dice_one_in(dice, 3) ? 20 : 0;
	weather->reorder_permille = dice_one_in(dice, 3) ? 50 : 0;
	weather->corrupt_permille = dice_one_in(dice, 4) ? 5 : 0;
	weather->jitter_us = dice_one_in(dice, 2) ? weather->delay_us / 2 : 0;
	weather->spares_resolution = true;
}

static void draw_rough_weather(struct dice *dice, struct weather *weather)
{
	static const unsigned losses[] = {0, 0, 0, 10, 30, 100};

	weather->loss_permille = losses[dice_below(dice, 6)];
	if (dice_one_in(dice, 4)) {
		weather->burst_permille = dice_between(dice, 1, 10);
		weather->burst_end_permille = dice_between(dice, 100, 400);
	}
	weather->duplicate_permille = dice_one_in(dice, 3) ? 20 : 0;
	weather->reorder_permille = dice_one_in(dice, 3) ? 50 : 0;
	weather->corrupt_permille = dice_one_in(dice, 4) ? 10 : 0;
	weather->jitter_us = dice_one_in(dice, 2) ? dice_below(dice, 2 * weather->delay_us) : 0;
	if (dice_one_in(dice, 6)) {
		weather->change_us = PLAN_START_US + dice_below(dice, 5000000);
		weather->later_delay_us = dice_below(dice, 300000);
	}
	if (dice_one_in(dice, 8)) {
		weather->dark_us = PLAN_START_US + dice_below(dice, 10000000);
		weather->dark_until = weather->dark_us + dice_below(dice, 30000000);
	}
}

static void draw_weather(struct plan *plan, struct dice *dice)
{
	// From 50 us to 20 ms, small ones as often as large ones.
	for (unsigned i = 0; i < STATIONS; i++) {
		struct weather *weather = &plan->weather[i];

		weather->delay_us = 50 + dice_below(dice, 156u << dice_below(dice, 8));
		if (plan->climate == CLIMATE_FAIR)
			draw_fair_weather(dice, weather);
		else if (rough(plan))
			draw_rough_weather(dice, weather);
	}
}

// ---- Gates -----------------------------------------------------------------------------------

// Mostly the roomy value; the tight one only where it may hurt.
static unsigned pick(struct dice *dice, bool may, unsigned tight, unsigned roomy)
{
	return may && dice_one_in(dice, 4) ? tight : roomy;
}

static unsigned at_least(unsigned value, unsigned least)
{
	return value > least ? value : least;
}

static void draw_gate(struct plan *plan, struct dice *dice, struct gate_plan *gate)
{
	static const uint16_t mtus[] = {1280, 1400, 1492};
	bool scarce = rough(plan);
	unsigned narrow = dice_below(dice, 8);

	gate->max_sessions = pick(dice, scarce, 3, 16);
	gate->receive_kb = pick(dice, true, 8, 64);
	gate->send_kb = pick(dice, true, 16, 64);
	gate->buffer_kb = pick(dice, scarce, 1024, 2048);
	gate->half_open = pick(dice, scarce, 16, 64);
	gate->max_connections = 20;
	// Where frames are lost they would wait too long for one another.
	if (plan->climate != CLIMATE_FAIR && dice_one_in(dice, 3))
		gate->max_connections = dice_between(dice, 1, 2);
	gate->max_waiting = pick(dice, scarce, 1, 100);
	for (unsigned i = 0; i < 2; i++) {
		gate->mtu[i] = narrow == i ? mtus[dice_below(dice, 3)] : 1500;
		gate->later_mtu[i] = narrow == 2 + i ? mtus[dice_below(dice, 3)] : gate->mtu[i];
	}
	gate->mtu_change_us = PLAN_START_US + dice_below(dice, 2000000);
}

// ---- Peers -----------------------------------------------------------------------------------

static void draw_quirks(struct plan *plan, struct dice *dice, struct quirks *quirks)
{
	static const uint16_t sizes[] = {1440, 1440, 1440, 1220, 536, 216};
	static const uint32_t windows[] = {65535, 65535, 262144, 16384, 4096, 1000};
	static const int scales[] = {-1, 0, 3, 7};

	*quirks = (struct quirks){
		.mss = dice_one_in(dice, 8) ? 0 : sizes[dice_below(dice, 6)],
		.scale = scales[dice_below(dice, 4)],
		.timestamps = !dice_one_in(dice, 3),
		.sack = !dice_one_in(dice, 3),
		.window = windows[dice_below(dice, 6)],
		.piece = dice_one_in(dice, 3) ? (uint16_t)dice_between(dice, 1, 700) : 1460,
		.flight = (uint16_t)dice_between(dice, 2, 30),
		.ack_each = dice_one_in(dice, 3),
		// Without them it takes minutes to make losses good.
		.keeps = plan->climate == CLIMATE_FAIR || !dice_one_in(dice, 3),
		.probes = !calm(plan) || dice_one_in(dice, 2),
	};
	quirks->sack &= quirks->keeps;
	if (dice_one_in(dice, 4)) {
		quirks->close_window_at = 1 + dice_below(dice, 20000);
		quirks->closed_window_ms = dice_below(dice, rough(plan) ? 40000 : 8000);
		if (rough(plan) && dice_one_in(dice, 4))
			quirks->closed_window_ms = UINT32_MAX;
		quirks->opens_silently = dice_one_in(dice, 2);
	}
	quirks->old_permille = dice_one_in(dice, 4) ? 30 : 0;
	quirks->again_permille = dice_one_in(dice, 4) ? 50 : 0;
	if (!rough(plan))
		return;
	if (dice_one_in(dice, 6))
		quirks->shrink_at = 1 + dice_below(dice, 20000);
	if (dice_one_in(dice, 6)) {
		quirks->stall_at = 1 + dice_below(dice, 20000);
		quirks->stall_ms = dice_below(dice, 30000);
	}
}

static enum mail_kind draw_kind(const struct plan *plan, struct dice *dice, bool last)
{
	uint32_t draw = dice_below(dice, 24);

	if (draw < 13)
		return MAIL_ORDINARY;
	if (draw < 15)
		return MAIL_FOREIGN;
	if (draw < 17)
		return MAIL_WITHDRAWN;
	if (draw == 17)
		return MAIL_BARE_LINE_FEED;
	if (draw == 18)
		return MAIL_TOO_LARGE;
	if (draw == 19 && last)
		return MAIL_HALF_CLOSED;
	if (draw == 20)
		return MAIL_CUT;
	if (draw == 21)
		return MAIL_LEFT;
	return draw == 22 && rough(plan) ? MAIL_VANISH : MAIL_ORDINARY;
}

static void draw_client(struct plan *plan, struct dice *dice, struct client_plan *client)
{
	client->literal = dice_one_in(dice, 2);
	client->ipv6 = dice_one_in(dice, 2);
	draw_quirks(plan, dice, &client->quirks);
	client->script = (struct client_script){
		.count = dice_between(dice, 1, PLAN_MAILS),
		.pipelining = dice_one_in(dice, 2),
		.most = 1 + dice_below(dice, 1u << dice_between(dice, 0, 15)),
	};
	client->script.rushed = dice_one_in(dice, 12);
	if (client->script.rushed)
		client->script.count = 1;
	for (unsigned i = 0; i < client->script.count; i++) {
		enum mail_kind kind = draw_kind(plan, dice, i + 1 == client->script.count);
		uint32_t size = dice_below(dice, 1u << dice_between(dice, 11, 16));

		client->kinds[i] = client->script.rushed ? MAIL_ORDINARY : kind;
		// Byte by byte it takes a frame each.
		if (client->literal && client->quirks.piece < 32)
			size = dice_below(dice, 1000);
		client->sizes[i] = client->kinds[i] == MAIL_TOO_LARGE ? 140000 : size;
	}
	// What is too large must not be sent byte by byte.
	if (client->quirks.piece < 200)
		for (unsigned i = 0; i < client->script.count; i++)
			if (client->kinds[i] == MAIL_TOO_LARGE)
				client->quirks.piece = 200;
	// Our own TCP waits a minute for the answer to a FIN, no longer.
	for (unsigned i = 0; i < client->script.count; i++)
		client->literal |= client->script.rushed || client->kinds[i] == MAIL_HALF_CLOSED;
	client->script.dice = dice_split(dice);
}

static bool closes_windows(const struct plan *plan)
{
	bool closes = plan->server_quirks.close_window_at;

	for (unsigned i = 0; i < plan->client_count; i++)
		closes |= plan->clients[i].quirks.close_window_at != 0;
	return closes;
}

static void draw_server(struct plan *plan, struct dice *dice)
{
	plan->server_literal = dice_one_in(dice, 2);
	draw_quirks(plan, dice, &plan->server_quirks);
	plan->server = (struct server_script){
		.mischief_permille = rough(plan) && dice_one_in(dice, 2) ? 40 : 0,
		.stall_permille = rough(plan) && dice_one_in(dice, 3) ? 20 : 0,
		.early_permille = rough(plan) && dice_one_in(dice, 3) ? 10 : 0,
		.think_ms = dice_one_in(dice, 3) ? dice_below(dice, rough(plan) ? 8000 : 300) : 0,
		.pipelining = dice_one_in(dice, 2),
		.dice = dice_split(dice),
	};
}

// ---- Workers ---------------------------------------------------------------------------------

static void draw_crew(const struct plan *plan, struct dice *dice, struct gate_plan *gate)
{
	struct crew_plan *crew = &gate->crew;
	unsigned factor = rough(plan) && dice_one_in(dice, 2) ? 1 : crew->workers;
	unsigned each_kb = 2 * (gate->send_kb + gate->receive_kb);

	crew->nic = (enum nic)dice_below(dice, calm(plan) ? NIC_FICKLE : NIC_FICKLE + 1);
	crew->ring = rough(plan) && dice_one_in(dice, 2) ? dice_between(dice, 1, 8) : 1024;
	crew->look_us = dice_below(dice, calm(plan) ? 2000 : 20000);
	// All may come to one of them. What is scarce must suffice for each (config/check.c).
	gate->max_sessions = at_least(gate->max_sessions * factor, crew->workers);
	gate->half_open = at_least(gate->half_open * factor, 16 * crew->workers);
	gate->buffer_kb = at_least(gate->buffer_kb * factor, each_kb * crew->workers);
	gate->max_connections = at_least(gate->max_connections, crew->workers);
}

// Everybody comes at once, and there is hardly a connection for each worker: they wait for one
// another. Nobody holds one for long.
static void draw_crowd(struct plan *plan, struct dice *dice)
{
	while (plan->client_count < PLAN_CLIENTS)
		draw_client(plan, dice, &plan->clients[plan->client_count++]);
	for (unsigned i = 0; i < PLAN_CLIENTS; i++)
		plan->clients[i].quirks.close_window_at = 0;
	plan->server_quirks.close_window_at = 0;
	for (unsigned i = 0; i < 2; i++) {
		plan->gates[i].max_connections = plan->gates[i].crew.workers;
		plan->gates[i].one_server = dice_one_in(dice, 2);
	}
}

// From a stream of its own, so that the world around is that of one worker and calls of one frame.
static void draw_crews(struct plan *plan, uint64_t seed)
{
	struct dice dice = {seed * 0x5851f42d4c957f2dull + 2};
	bool several = dice_one_in(&dice, 3) || plan->crowded,
	     bursts = !calm(plan) && dice_one_in(&dice, 2);
	bool full = rough(plan) && dice_one_in(&dice, 6);
	bool sleepy = rough(plan) && dice_one_in(&dice, 6);

	for (unsigned i = 0; i < 2; i++) {
		struct crew_plan *crew = &plan->gates[i].crew;

		crew->workers = several ? dice_between(&dice, 2, dice_one_in(&dice, 2) ? 3 : 8) : 1;
		crew->burst = bursts ? dice_between(&dice, 2, 32) : 1;
		crew->full_permille = full ? dice_between(&dice, 1, 30) : 0;
		crew->sleep_permille = sleepy ? dice_between(&dice, 1, 50) : 0;
		if (several)
			draw_crew(plan, &dice, &plan->gates[i]);
	}
	if (several && plan->climate != CLIMATE_FAIR && dice_one_in(&dice, 3))
		draw_crowd(plan, &dice);
}

// From a stream of its own as well. Rushed clients talk early: where all must go well that is only
// counted.
static void draw_greetings(struct plan *plan, uint64_t seed)
{
	static const char *const actions[] = {"count", "reject", "close"};
	struct dice dice = {seed * 0x5851f42d4c957f2dull + 6};

	for (unsigned i = 0; i < 2; i++) {
		struct gate_plan *gate = &plan->gates[i];

		gate->greet_delay_ms = dice_one_in(&dice, 3) ? dice_between(&dice, 1, 3000) : 0;
		// Nobody lets a gate of his own wait, which has few connections for all.
		if (i == 1 && !rough(plan))
			gate->greet_delay_ms = 0;
		gate->greet_teaser = dice_one_in(&dice, 2);
		gate->offence_action = actions[rough(plan) ? dice_below(&dice, 3) : 0];
	}
}

// From a stream of its own, so that what else a seed means does not depend on it.
static void draw_reloads(struct plan *plan, uint64_t seed)
{
	struct dice dice = {seed * 0x5851f42d4c957f2dull + 5};

	if (!dice_one_in(&dice, 3) && !plan->crowded)
		return;
	for (unsigned i = 0; i < 2; i++) {
		plan->gates[i].reload_us = 1000ull << dice_below(&dice, 12);
		plan->gates[i].reloads = dice_one_in(&dice, 2) ? dice_between(&dice, 1, 3) : 1000;
		plan->gates[i].rude_reloads = rough(plan) && dice_one_in(&dice, 2);
	}
}

// What the server has beside PIPELINING, and which clients use it; from a stream of its own, too.
static void draw_extensions(struct plan *plan, uint64_t seed)
{
	struct dice dice = {seed * 0x5851f42d4c957f2dull + 4};

	plan->server.chunking = !dice_one_in(&dice, 3) || plan->crowded;
	plan->server.binary_mime = plan->server.chunking && dice_one_in(&dice, 2);
	for (unsigned i = 0; i < plan->client_count; i++) {
		struct client_script *script = &plan->clients[i].script;

		script->chunks = !script->rushed && dice_one_in(&dice, 2);
		script->binary = dice_one_in(&dice, 2);
	}
}

// From a stream of its own: clients that each take a server's connection and then hardly send
// anything. In a good world there are not more of them than can be waited for.
static void draw_slow(struct plan *plan, uint64_t seed)
{
	struct dice dice = {seed * 0x5851f42d4c957f2dull + 7};
	unsigned most = 0;

	if (!dice_one_in(&dice, 5) || (!rough(plan) && (plan->chain || closes_windows(plan))) ||
	    plan->climate == CLIMATE_FAIR)
		return;
	for (unsigned i = 0; i < 2; i++) {
		struct gate_plan *gate = &plan->gates[i];

		gate->one_server = true;
		gate->max_connections = at_least(gate->crew.workers, dice_between(&dice, 1, 2));
		most = 2 * gate->max_connections;
	}
	for (unsigned i = 1; i < plan->client_count && (rough(plan) || i <= most); i++) {
		struct client_script *script = &plan->clients[i].script;

		if (script->rushed)
			continue;
		script->drops = dice_between(&dice, 5, 90);
		plan->clients[i].kinds[script->count - 1] = MAIL_SLOW;
		plan->clients[i].sizes[script->count - 1] = dice_between(&dice, 100, 1000);
	}
}

// From a stream of its own. In a good world nobody is above a limit, or banned.
static void draw_limits(struct plan *plan, uint64_t seed)
{
	static const char *const actions[] = {"reply", "tarpit", "reset", "drop"};
	struct dice dice = {seed * 0x5851f42d4c957f2dull + 3};

	for (unsigned i = 0; i < 2; i++) {
		struct limits_plan *limits = &plan->gates[i].limits;
		bool limited = rough(plan) && (dice_one_in(&dice, 3) || plan->crowded);

		*limits = (struct limits_plan){10000, 10000, 100,
					       10000, 10000, actions[dice_below(&dice, 4)]};
		if (limited && dice_one_in(&dice, 2))
			limits->connections = dice_between(&dice, 1, 4);
		if (limited && dice_one_in(&dice, 2))
			limits->per_source = dice_between(&dice, 1, 2);
		if (limited && dice_one_in(&dice, 3))
			limits->percentage = dice_between(&dice, 1, 50);
		if (limited && dice_one_in(&dice, 2))
			limits->per_prefix = dice_between(&dice, 1, 3);
		if (limited && dice_one_in(&dice, 3))
			limits->prefix_rate = dice_between(&dice, 1, 4);
		if (rough(plan) && (dice_one_in(&dice, 3) || plan->crowded))
			plan->gates[i].ban_s = dice_between(&dice, 1, 8);
	}
}

// ---- Time ------------------------------------------------------------------------------------

// How long all of it may take when nothing is lost. Each client by itself, and all after one
// another, for there may be one connection to the server only.
static uint64_t calm_bound(const struct plan *plan)
{
	uint64_t round_trip = 4000, bound = 12 * SECOND, pause = 0;

	for (unsigned i = 0; i < STATIONS; i++)
		round_trip += plan->weather[i].delay_us + plan->weather[i].jitter_us;
	for (unsigned i = 0; i < 2; i++) {
		round_trip += 2 * plan->gates[i].crew.look_us;
		// Each client waits, and each connection to a gate behind the first one.
		bound += 1000ull * plan->gates[i].greet_delay_ms * 2 * PLAN_CLIENTS;
	}
	for (unsigned i = 0; i < plan->client_count; i++) {
		const struct client_plan *client = &plan->clients[i];

		// Its slow mail, and others wait so long for its place.
		bound += 2 * client->script.drops * SECOND;
		for (unsigned j = 0; j < client->script.count; j++) {
			// Windows of 1,000 bytes, pieces of one byte, ACKs that wait 40 or 200 ms.
			uint64_t turns = 20 + client->sizes[j] / 500;

			if (client->literal && client->quirks.piece < 500)
				turns += client->sizes[j] / client->quirks.piece / 2;
			bound += turns * (round_trip + 220000) + 8 * 1000 * plan->server.think_ms;
			// To see that another worker made room.
			bound += plan->gates[0].crew.workers > 1 ? 200000 : 0;
		}
		if (client->literal && client->quirks.close_window_at)
			pause += 2000ull * client->quirks.closed_window_ms + 10 * SECOND;
	}
	if (plan->server_literal && plan->server_quirks.close_window_at)
		pause += (2000ull * plan->server_quirks.closed_window_ms + 10 * SECOND) * 24;
	return bound + pause;
}

void plan_draw(struct plan *plan, uint64_t seed)
{
	struct dice dice = {seed * 0x5851f42d4c957f2dull + 1};
	uint32_t draw = dice_below(&dice, 4);

	memset(plan, 0, sizeof(*plan));
	plan->climate = draw == 0 ? CLIMATE_CALM : draw == 1 ? CLIMATE_FAIR : CLIMATE_ROUGH;
	plan->chain = dice_one_in(&dice, 6);
	plan->crowded = rough(plan) && seed % 4 == 0;
	plan->filtered = dice_one_in(&dice, 5);
	plan->filter_ends_early = plan->filtered && rough(plan) && dice_one_in(&dice, 2);
	draw_weather(plan, &dice);
	for (unsigned i = 0; i < 2; i++)
		draw_gate(plan, &dice, &plan->gates[i]);
	draw_server(plan, &dice);
	plan->client_count = 1 + dice_below(&dice, PLAN_CLIENTS);
	for (unsigned i = 0; i < plan->client_count; i++)
		draw_client(plan, &dice, &plan->clients[i]);
	// Waiting for a connection must not take too long in a good world.
	if (!rough(plan) && closes_windows(plan))
		plan->gates[0].max_connections = plan->gates[1].max_connections = 20;
	draw_crews(plan, seed);
	draw_extensions(plan, seed);
	draw_greetings(plan, seed);
	draw_slow(plan, seed);
	draw_limits(plan, seed);
	draw_reloads(plan, seed);
	plan->forgeries = dice_one_in(&dice, 4) ? dice_between(&dice, 1, 5) : 0;
	plan->bound_us = calm(plan) ? calm_bound(plan) : 1800 * SECOND;
	plan->dice = dice_split(&dice);
}
