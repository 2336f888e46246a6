// SPDX-License-Identifier: BSD-3-Clause
//
// Puts the plan together and turns it. Things happen in steps of a millisecond or more: frames that
// arrive within one are dealt with together.

#include "tests/sim/world.h"

#include "tests/sim/filter.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#define STEP_US     1000u
#define STEP_MAX_US 1000000u

static struct interface_address parse(const char *text)
{
	struct interface_address address;
	const char *why;

	assert(interface_address_parse(text, &address, &why) == 0);
	return address;
}

// ---- Peers -----------------------------------------------------------------------------------

static void build_machine(struct world *world, struct machine *machine, enum station towards,
			  const struct quirks *quirks, const uint8_t gate_mac[6])
{
	if (!machine->literal) {
		host_init(&machine->host, &world->wire, towards, machine->addresses, 2,
			  machine->mac);
		return;
	}
	peer_init(&machine->peer, &world->wire, towards, dice_split(&world->plan.dice));
	memcpy(machine->peer.mac, machine->mac, 6);
	memcpy(machine->peer.gate_mac, gate_mac, 6);
	machine->peer.quirks = *quirks;
	for (unsigned i = 0; i < 2; i++)
		memcpy(machine->peer.addresses[i], machine->addresses[i].address.bytes, 16);
}

static void build_server(struct world *world)
{
	struct machine *server = &world->server;
	struct gate *gate = &world->gates[world->gate_count - 1];

	world->plan.server.ledger = &world->ledger;
	server->literal = world->plan.server_literal;
	server->addresses[0] = parse(world->plan.chain ? "10.1.0.11/24" : "10.0.0.11/24");
	server->addresses[1] = parse(world->plan.chain ? "2001:db8:3::11/64" : "2001:db8:2::11/64");
	memcpy(server->mac, (uint8_t[]){2, 0, 0, 0, 2, 0}, 6);
	build_machine(world, server, gate->place->here[GATE_INSIDE], &world->plan.server_quirks,
		      gate->ports[GATE_INSIDE].mac);
	server->host.listen_port = server->peer.listen_port = 25;
	server->host.listen_application = server->peer.listen_application = &server_application;
	server->host.listen_state = server->peer.listen_state = &world->plan.server;
}

static void connect_client(struct world *world, struct machine *client, unsigned index,
			   const struct client_plan *plan, void *state)
{
	const struct address *local = &client->addresses[plan->ipv6].address;
	const struct address *remote =
		&world->gates[0].policy->ports[0].addresses[plan->ipv6].address;
	uint16_t port = (uint16_t)(40000 + index);

	if (client->literal) {
		struct literal_ends ends;

		memset(&ends, 0, sizeof(ends));
		memcpy(ends.source, local->bytes, 16);
		memcpy(ends.destination, remote->bytes, 16);
		ends.source_port = port;
		ends.destination_port = 25;
		peer_connect(&client->peer, &ends, &client_application, state, world->now.now_us);
	} else {
		struct tuple tuple = {*local, *remote, port, 25};

		host_connect(&client->host, &tuple, &client_application, state, world->now);
	}
}

static void build_client(struct world *world, unsigned index)
{
	struct machine *client = &world->clients[index];
	struct client_plan *plan = &world->plan.clients[index];
	char text[64];

	plan->script.ledger = &world->ledger;
	plan->script.first = world->ledger.count;
	for (unsigned i = 0; i < plan->script.count; i++)
		world->ledger.mails[ledger_add(&world->ledger, plan->kinds[i], plan->sizes[i])]
			.first = i == 0;
	client->literal = plan->literal;
	snprintf(text, sizeof(text), "192.0.2.%u/24", 20 + index);
	client->addresses[0] = parse(text);
	snprintf(text, sizeof(text), "2001:db8:1::%u/64", 20 + index);
	client->addresses[1] = parse(text);
	memcpy(client->mac, (uint8_t[]){2, 0, 0, 0, 1, (uint8_t)index}, 6);
	build_machine(world, client, STATION_GATE_OUTSIDE, &plan->quirks,
		      world->gates[0].ports[GATE_OUTSIDE].mac);
	connect_client(world, client, index, plan, client_state(&plan->script));
}

static uint64_t turn_machine(struct machine *machine, struct tick now)
{
	if (machine->next_us <= now.now_us)
		machine->next_us = machine->literal ? peer_turn(&machine->peer, now.now_us)
						    : host_turn(&machine->host, now);
	return machine->next_us;
}

// A frame to one station concerns that one, a frame to many all of them. A flipped bit in the
// address brings it to nobody, or to a neighbour.
static void hear(struct machine *machine, struct slice frame, struct tick now)
{
	if (!(frame.data[0] & 1) && memcmp(frame.data, machine->mac, 6) != 0)
		return;
	if (machine->literal)
		peer_receive(&machine->peer, frame.data, frame.length, now.now_us);
	else
		host_receive(&machine->host, frame, now);
	machine->next_us = now.now_us;
}

static void destroy_machine(struct machine *machine)
{
	if (machine->literal)
		peer_fini(&machine->peer);
	else
		host_fini(&machine->host);
}

// ---- The whole -------------------------------------------------------------------------------

// A segment from nowhere that claims to complete a handshake.
static void forge(struct world *world)
{
	const struct gate *gate = &world->gates[0];
	struct literal segment = {.flags = LITERAL_ACK | LITERAL_PSH,
				  .window = 65535,
				  .scale = -1,
				  .payload = (const uint8_t *)"EHLO forger.test\r\n",
				  .length = 18};
	uint8_t frame[LITERAL_FRAME_MAX];

	memcpy(segment.source_mac, (uint8_t[]){2, 0, 0, 0, 3, 0}, 6);
	memcpy(segment.destination_mac, gate->ports[GATE_OUTSIDE].mac, 6);
	memcpy(segment.ends.source, parse("192.0.2.99/24").address.bytes, 16);
	memcpy(segment.ends.destination, gate->policy->ports[0].addresses[0].address.bytes, 16);
	segment.ends.source_port = (uint16_t)dice_between(&world->plan.dice, 1024, 65535);
	segment.ends.destination_port = 25;
	segment.sequence = (uint32_t)dice_u64(&world->plan.dice);
	segment.acknowledgment = (uint32_t)dice_u64(&world->plan.dice);
	wire_send(&world->wire, STATION_GATE_OUTSIDE,
		  slice_of(frame, literal_write(&segment, frame)), world->now.now_us);
}

void world_build(struct world *world, uint64_t seed, bool print_frames)
{
	struct plan *plan = &world->plan;

	memset(world, 0, sizeof(*world));
	plan_draw(plan, seed);
	plan->print_frames = print_frames;
	world->now = (struct tick){PLAN_START_US, 1790000000000000ull};
	wire_init(&world->wire, dice_split(&plan->dice));
	memcpy(world->wire.weather, plan->weather, sizeof(plan->weather));
	world->ledger.dice = dice_split(&plan->dice);
	filter_use(&(struct filter_settings){plan->filtered, plan->filter_ends_early,
					     dice_split(&plan->dice)});
	gate_create(&world->gates[0], plan->chain ? &gate_first : &gate_single, plan,
		    &plan->gates[0], &world->wire, world->now);
	if (plan->chain)
		gate_create(&world->gates[1], &gate_second, plan, &plan->gates[1], &world->wire,
			    world->now);
	world->gate_count = plan->chain ? 2 : 1;
	build_server(world);
	for (unsigned i = 0; i < plan->client_count; i++)
		build_client(world, i);
	for (unsigned i = 0; i < plan->forgeries; i++)
		forge(world);
}

void world_destroy(struct world *world)
{
	for (unsigned i = 0; i < world->plan.client_count; i++)
		destroy_machine(&world->clients[i]);
	destroy_machine(&world->server);
	for (unsigned i = 0; i < world->gate_count; i++)
		gate_destroy(&world->gates[i]);
	wire_fini(&world->wire);
	ledger_fini(&world->ledger);
}

static void deliver(struct world *world, const struct flying *flying)
{
	struct slice frame = slice_of(flying->bytes, flying->length);

	switch (flying->to) {
	case STATION_GATE_OUTSIDE:
	case STATION_GATE_INSIDE:
		gate_input(&world->gates[0], flying->to == STATION_GATE_INSIDE, frame, world->now);
		break;
	case STATION_SECOND_OUTSIDE:
	case STATION_SECOND_INSIDE:
		gate_input(&world->gates[1], flying->to == STATION_SECOND_INSIDE, frame,
			   world->now);
		break;
	case STATION_SERVER:
		hear(&world->server, frame, world->now);
		break;
	default:
		for (unsigned i = 0; i < world->plan.client_count; i++)
			hear(&world->clients[i], frame, world->now);
		break;
	}
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

void world_turn(struct world *world)
{
	uint64_t next = UINT64_MAX, now_us = world->now.now_us;
	struct flying flying;

	while (wire_receive(&world->wire, now_us, &flying)) {
		deliver(world, &flying);
		free(flying.bytes);
	}
	for (unsigned i = 0; i < world->gate_count; i++)
		next = earlier(next, gate_turn(&world->gates[i], world->now));
	next = earlier(next, turn_machine(&world->server, world->now));
	for (unsigned i = 0; i < world->plan.client_count; i++)
		next = earlier(next, turn_machine(&world->clients[i], world->now));
	next = earlier(next, wire_next_us(&world->wire));
	next = next < now_us + STEP_US ? now_us + STEP_US : earlier(next, now_us + STEP_MAX_US);
	world->now.wall_us += next - now_us;
	world->now.now_us = next;
}

bool world_clients_done(const struct world *world)
{
	for (unsigned i = 0; i < world->plan.client_count; i++) {
		const struct machine *client = &world->clients[i];

		if (client->literal ? peer_busy(&client->peer)
				    : client->host.connections && !client->host.deaf)
			return false;
	}
	return true;
}

const char *world_fault(const struct world *world)
{
	for (unsigned i = 0; i < world->gate_count; i++)
		if (world->gates[i].watch.fault[0])
			return world->gates[i].watch.fault;
	return NULL;
}
