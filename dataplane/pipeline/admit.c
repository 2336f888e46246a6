// SPDX-License-Identifier: BSD-3-Clause
//
// Who may open a connection at all, asked once at a SYN and once at a completed handshake, in this
// order: the IP Block list, bans, then the limits of the connector. Counts what is refused, and
// answers where the action is RST or silence; for a 421 the handshake is completed and
// client_create opens a session for it that counts for nothing (evict.c bounds how many). Does not
// know how limits are counted (gate/admission).

#include "dataplane/pipeline/worker.h"

#define SECOND_US 1000000u
// A table of sources that is full is told in the log so often.
#define FULL_INTERVAL_US (10 * SECOND_US)

static const struct {
	enum reason dropped, refused;
} reasons[] = {
	[LIMIT_SYN_RATE] = {REASON_limit_syn_rate, REASON_NONE},
	[LIMIT_CONNECTIONS] = {REASON_limit_connections, REASON_smtp_limit_connections},
	[LIMIT_PER_SOURCE] = {REASON_limit_per_source, REASON_smtp_limit_per_source},
	[LIMIT_PERCENTAGE] = {REASON_limit_percentage, REASON_smtp_limit_percentage},
	[LIMIT_PER_PREFIX] = {REASON_limit_per_prefix, REASON_smtp_limit_per_prefix},
	[LIMIT_SOURCE_RATE] = {REASON_limit_source_rate, REASON_smtp_limit_source_rate},
	[LIMIT_PREFIX_RATE] = {REASON_limit_prefix_rate, REASON_smtp_limit_prefix_rate},
	[LIMIT_BLOCK_LIST] = {REASON_ip_blocked, REASON_smtp_limit_block_list},
	[LIMIT_BAN] = {REASON_banned, REASON_smtp_limit_ban},
};

bool admit_refused(enum reason reason)
{
	return reason >= REASON_limit_syn_rate && reason <= REASON_limit_prefix_rate;
}

enum reason admit_reason(enum connection_limit_kind limit)
{
	return reasons[limit].refused;
}

enum limit_action admit_action(const struct policy *policy, const struct connector *connector,
			       enum connection_limit_kind limit)
{
	switch (limit) {
	case LIMIT_BLOCK_LIST:
		return policy->ip_block.action;
	case LIMIT_BAN:
		return policy->ban.action;
	default:
		return connector->limits[limit].action;
	}
}

static bool is_quiet(enum limit_action action)
{
	return action == ABOVE_DROP || action == ABOVE_RESET;
}

// On the IP Block list and not on the IP Allow list. Asked once a connection: whoever is in stays.
static bool is_blocked(const struct pipeline *pipeline, const struct address *source)
{
	const struct policy *policy = pipeline->policy;
	const uint64_t wall_us = pipeline->now.wall_us;

	return policy->ip_block.action != ABOVE_REJECT &&
	       ip_list_find(&policy->ip_block, source, wall_us) &&
	       !ip_list_find(&policy->ip_allow, source, wall_us);
}

// Who is not served at all, whatever his connector says; before any limit.
static enum connection_limit_kind not_served(const struct pipeline *pipeline,
					     const struct address *source)
{
	if (is_blocked(pipeline, source))
		return LIMIT_BLOCK_LIST;
	return ban_refuses(pipeline, source) ? LIMIT_BAN : LIMIT_WITHIN;
}

enum reason admit_source(struct pipeline *pipeline, const struct view *view)
{
	const enum connection_limit_kind limit = not_served(pipeline, &view->source);
	enum limit_action action;

	if (limit == LIMIT_WITHIN)
		return REASON_NONE;
	action = admit_action(pipeline->policy, NULL, limit);
	if (action == ABOVE_RESET)
		send_reset_for(pipeline, view);
	return is_quiet(action) ? reasons[limit].dropped : REASON_NONE;
}

static struct admission_request request_of(const struct pipeline *pipeline, const struct view *view,
					   uint16_t connector)
{
	const struct policy *policy = pipeline->policy;

	return (struct admission_request){
		.connector = &policy->connectors[connector],
		.index = generation_slot(pipeline->generation, connector),
		.address = &view->source,
		.exempt = ip_list_find(&policy->ip_allow, &view->source, pipeline->now.wall_us) ||
			  ruleset_is_server(pipeline->ruleset, &view->source),
		.max_sessions = policy->gate.max_sessions,
		.now_us = pipeline->now.now_us,
	};
}

// Silence or RST.
static enum reason turn_away(struct pipeline *pipeline, const struct view *view,
			     const struct admission_request *request,
			     enum connection_limit_kind limit)
{
	pipeline->counters.connectors[request->connector - pipeline->policy->connectors]
		->connections_refused++;
	log_drop(pipeline, view, reasons[limit].dropped);
	if (request->connector->limits[limit].action == ABOVE_RESET)
		send_reset_for(pipeline, view);
	return reasons[limit].dropped;
}

// Does any limit on sessions end at the SYN?
static bool looks_at_syns(const struct connector *connector)
{
	for (unsigned i = LIMIT_CONNECTIONS; i < LIMIT_COUNT; i++)
		if (limit_is_set(connector, i) && is_quiet(connector->limits[i].action))
			return true;
	return false;
}

void admit_init(struct pipeline *pipeline, unsigned workers)
{
	for (unsigned i = 0; i < pipeline->policy->connector_count; i++) {
		const struct connector *connector = &pipeline->policy->connectors[i];
		struct syn_limits *syns =
			&pipeline->syns[generation_slot(pipeline->generation, (uint16_t)i)];
		const uint32_t most = connector->limits[LIMIT_SYN_RATE].most;

		syns->looks = looks_at_syns(connector);
		// Each worker's part, but never nothing: whose SYNs come to which worker nobody
		// chooses. The slot may have had a limit in a former generation.
		syns->rate = 0;
		if (limit_is_set(connector, LIMIT_SYN_RATE))
			syns->rate = most / workers ? most / workers : 1;
	}
}

static bool within_syn_rate(struct pipeline *pipeline, struct syn_limits *syns)
{
	return !syns->rate ||
	       allowance_take(&syns->allowance, syns->rate, SECOND_US, pipeline->now.now_us);
}

enum reason admit_syn(struct pipeline *pipeline, const struct view *view, uint16_t connector)
{
	struct syn_limits *syns = &pipeline->syns[generation_slot(pipeline->generation, connector)];
	enum connection_limit_kind limit = LIMIT_WITHIN;
	struct admission_request request;

	if (!syns->rate && !syns->looks)
		return REASON_NONE;
	request = request_of(pipeline, view, connector);
	if (request.exempt)
		return REASON_NONE;
	if (!within_syn_rate(pipeline, syns))
		limit = LIMIT_SYN_RATE;
	else if (syns->looks)
		limit = admission_look(pipeline->sources, &request);
	if (limit == LIMIT_WITHIN || !is_quiet(request.connector->limits[limit].action))
		return REASON_NONE;
	return turn_away(pipeline, view, &request, limit);
}

static void tell_full(struct pipeline *pipeline, const struct view *view)
{
	count_reason(pipeline, REASON_sources_full);
	if (allowance_take(&pipeline->logged_full, 1, FULL_INTERVAL_US, pipeline->now.now_us))
		log_write(pipeline,
			  &(struct log_entry){.reason = REASON_sources_full,
					      .source = {view->source, view->source_port}});
}

enum reason admit_handshake(struct pipeline *pipeline, const struct view *view, uint16_t connector,
			    struct admission_result *result)
{
	const struct admission_request request = request_of(pipeline, view, connector);

	result->limit = not_served(pipeline, &view->source);
	if (result->limit != LIMIT_WITHIN)
		return REASON_NONE; // of the others admit_source has let nobody come so far
	*result = admission_open(pipeline->sources, &request);
	if (result->uncounted)
		tell_full(pipeline, view);
	if (result->limit == LIMIT_WITHIN)
		return REASON_NONE;
	if (is_quiet(request.connector->limits[result->limit].action))
		return turn_away(pipeline, view, &request, result->limit);
	return REASON_NONE;
}
