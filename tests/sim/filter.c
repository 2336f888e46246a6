// SPDX-License-Identifier: BSD-3-Clause
//
// What the pipeline reads of a flow goes through here; what a host reads does not. The end of the
// peer's bytes is told when all of them were handed on.

#include "tests/sim/filter.h"

#include "dataplane/pipeline/worker.h"

#define LEGS_MAX       256
#define ERRAND_US      60000u
#define EARLY_PERMILLE 3

struct filtered {
	struct leg *leg; // NULL = free
	struct pipeline *pipeline;
	uint32_t most, left;    // bytes of a piece, of this one
	uint64_t busy_until_us; // 0 = no errand
	bool closed_held;       // the peer closed; not told yet
	bool ended;             // early: what still comes is thrown away
};

static struct filter_settings filter;
static struct filtered legs[LEGS_MAX];
static unsigned legs_used;

struct slice __real_tcp_received(const struct flow *flow);
void __real_tcp_consume(struct tcp *tcp, struct flow *flow, size_t length);
void __real_client_events(struct pipeline *pipeline, struct client *client, unsigned events);
void __real_server_leg_events(struct pipeline *pipeline, struct server_leg *leg, unsigned events);
void __real_client_destroy(struct pipeline *pipeline, struct client *client);
void __real_server_leg_destroy(struct pipeline *pipeline, struct server_leg *leg);
struct slice __wrap_tcp_received(const struct flow *flow);
void __wrap_tcp_consume(struct tcp *tcp, struct flow *flow, size_t length);
void __wrap_client_events(struct pipeline *pipeline, struct client *client, unsigned events);
void __wrap_server_leg_events(struct pipeline *pipeline, struct server_leg *leg, unsigned events);
void __wrap_client_destroy(struct pipeline *pipeline, struct client *client);
void __wrap_server_leg_destroy(struct pipeline *pipeline, struct server_leg *leg);

// The linker does not look at types.
#define SAME_TYPE(name)                                                                            \
	_Static_assert(                                                                            \
		__builtin_types_compatible_p(__typeof__(&name), __typeof__(&__wrap_##name)),       \
		#name " has another type")
SAME_TYPE(tcp_received);
SAME_TYPE(tcp_consume);
SAME_TYPE(client_events);
SAME_TYPE(server_leg_events);
SAME_TYPE(client_destroy);
SAME_TYPE(server_leg_destroy);

void filter_use(const struct filter_settings *settings)
{
	filter = *settings;
	memset(legs, 0, sizeof(legs));
	legs_used = 0;
}

static struct filtered *find(const struct flow *flow)
{
	for (unsigned i = 0; filter.on && i < legs_used; i++)
		if (legs[i].leg && legs[i].leg->flow == flow)
			return &legs[i];
	return NULL;
}

static struct filtered *find_or_add(struct pipeline *pipeline, struct leg *leg)
{
	static const uint32_t pieces[] = {1, 9, 300, 4000};
	struct filtered *filtered = find(leg->flow);
	unsigned i = 0;

	if (filtered || !filter.on)
		return filtered;
	while (i < legs_used && legs[i].leg)
		i++;
	assert(i < LEGS_MAX);
	legs_used += i == legs_used;
	legs[i] = (struct filtered){
		.leg = leg, .pipeline = pipeline, .most = pieces[dice_below(&filter.dice, 4)]};
	return &legs[i];
}

static void forget(const struct leg *leg)
{
	struct filtered *filtered = find(leg->flow);

	if (filtered)
		filtered->leg = NULL;
}

static void tell(struct filtered *filtered, unsigned events)
{
	if (filtered->leg->kind == LEG_CLIENT)
		__real_client_events(filtered->pipeline, (struct client *)filtered->leg, events);
	else
		__real_server_leg_events(filtered->pipeline, (struct server_leg *)filtered->leg,
					 events);
}

// True when it was told now.
static bool tell_end(struct filtered *filtered)
{
	if (!filtered->closed_held || filtered->leg->doomed || filtered->busy_until_us ||
	    (!filtered->ended && __real_tcp_received(filtered->leg->flow).length))
		return false;
	filtered->closed_held = false;
	tell(filtered, TCP_EVENT_PEER_CLOSED);
	return true;
}

// The answer to an errand that is due. False when there is none.
static bool answer(struct filtered *filtered, uint64_t now_us)
{
	if (!filtered->busy_until_us || filtered->busy_until_us > now_us || filtered->leg->doomed)
		return false;
	filtered->busy_until_us = 0;
	tell(filtered, 0);
	return true;
}

static void events_of(struct pipeline *pipeline, struct leg *leg, unsigned events)
{
	struct filtered *filtered = find_or_add(pipeline, leg);

	if (events & TCP_EVENT_PEER_CLOSED)
		filtered->closed_held = true;
	tell(filtered, events & ~(unsigned)TCP_EVENT_PEER_CLOSED);
	tell_end(filtered);
}

uint64_t filter_turn(struct pipeline *pipeline)
{
	uint64_t next = UINT64_MAX;
	bool worked = false;

	for (unsigned i = 0; filter.on && i < legs_used; i++) {
		struct filtered *filtered = &legs[i];

		if (!filtered->leg || filtered->pipeline != pipeline || filtered->leg->doomed)
			continue;
		worked |= answer(filtered, pipeline->now.now_us);
		worked |= tell_end(filtered); // its bytes may be used up without an event
		if (filtered->busy_until_us && filtered->busy_until_us < next)
			next = filtered->busy_until_us;
	}
	if (worked)
		send_flush(pipeline);
	return worked ? pipeline->now.now_us : next;
}

// ---- What the linker puts before the product's functions ---------------------------------------

struct slice __wrap_tcp_received(const struct flow *flow)
{
	struct slice bytes = __real_tcp_received(flow);
	struct filtered *filtered = find(flow);

	if (!filtered)
		return bytes;
	if (filtered->ended) {
		for (; bytes.length; bytes = __real_tcp_received(flow))
			__real_tcp_consume(filtered->pipeline->tcp, filtered->leg->flow,
					   bytes.length);
		return bytes;
	}
	if (filtered->busy_until_us || bytes.length == 0)
		return slice_of(NULL, 0);
	if (filtered->left == 0)
		filtered->left = dice_between(&filter.dice, 1, filtered->most);
	return slice_first(bytes, filtered->left);
}

void __wrap_tcp_consume(struct tcp *tcp, struct flow *flow, size_t length)
{
	struct filtered *filtered = find(flow);

	__real_tcp_consume(tcp, flow, length);
	if (!filtered || length == 0)
		return;
	filtered->left -= (uint32_t)length;
	if (filtered->left)
		return;
	// The piece is used up: what comes next may need an errand.
	if (dice_permille(&filter.dice, filtered->most < 300 ? 2 : 100))
		filtered->busy_until_us =
			filtered->pipeline->now.now_us + 1 + dice_below(&filter.dice, ERRAND_US);
	if (filter.ends_early && dice_permille(&filter.dice, EARLY_PERMILLE)) {
		filtered->ended = filtered->closed_held = true;
		filtered->busy_until_us = filtered->pipeline->now.now_us + 1;
	}
}

void __wrap_client_events(struct pipeline *pipeline, struct client *client, unsigned events)
{
	if (filter.on)
		events_of(pipeline, &client->leg, events);
	else
		__real_client_events(pipeline, client, events);
}

void __wrap_server_leg_events(struct pipeline *pipeline, struct server_leg *leg, unsigned events)
{
	if (filter.on)
		events_of(pipeline, &leg->leg, events);
	else
		__real_server_leg_events(pipeline, leg, events);
}

void __wrap_client_destroy(struct pipeline *pipeline, struct client *client)
{
	forget(&client->leg);
	__real_client_destroy(pipeline, client);
}

void __wrap_server_leg_destroy(struct pipeline *pipeline, struct server_leg *leg)
{
	forget(&leg->leg);
	__real_server_leg_destroy(pipeline, leg);
}
