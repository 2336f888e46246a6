// SPDX-License-Identifier: BSD-3-Clause
//
// Who may open a connection at all, asked once at a SYN and once at a completed handshake, in this
// order: the IP Block list, then the limits of the connector. Counts what is refused, and answers
// for those limits whose action is RST or silence; for a 421 the handshake is completed and
// client_create opens a session for it that counts for nothing (evict.c bounds how many). Does not
// know how limits are counted (gate/admission).

#include "dataplane/pipeline/worker.h"

#define SECOND_US 1000000u
// A table of sources that is full is told in the log so often.
#define FULL_INTERVAL_US (10 * SECOND_US)

static const struct {
	enum reason dropped, refused;
} reasons[LIMIT_COUNT] = {
	[LIMIT_SYN_RATE] = {REASON_limit_syn_rate, REASON_NONE},
	[LIMIT_CONNECTIONS] = {REASON_limit_connections, REASON_smtp_limit_connections},
	[LIMIT_PER_SOURCE] = {REASON_limit_per_source, REASON_smtp_limit_per_source},
	[LIMIT_PERCENTAGE] = {REASON_limit_percentage, REASON_smtp_limit_percentage},
	[LIMIT_PER_PREFIX] = {REASON_limit_per_prefix, REASON_smtp_limit_per_prefix},
	[LIMIT_SOURCE_RATE] = {REASON_limit_source_rate, REASON_smtp_limit_source_rate},
	[LIMIT_PREFIX_RATE] = {REASON_limit_prefix_rate, REASON_smtp_limit_prefix_rate},
};

bool admit_refused(enum reason reason)
{
	return reason >= REASON_limit_syn_rate && reason <= REASON_limit_prefix_rate;
}

enum reason admit_reason(enum connection_limit_kind limit)
{
	return reasons[limit].refused;
}

// On the IP Block list and not on the IP Allow list. Asked once a connection: whoever is in stays.
static bool is_blocked(const struct pipeline *pipeline, const struct view *view)
{
	const struct policy *policy = pipeline->policy;
	const uint64_t wall_us = pipeline->now.wall_us;

	return policy->ip_block.action == BLOCK_LIST_DROP &&
	       ip_list_find(&policy->ip_block, &view->source, wall_us) &&
	       !ip_list_find(&policy->ip_allow, &view->source, wall_us);
}

// Who is not served at all, whatever his connector says; before any limit.
enum reason admit_source(const struct pipeline *pipeline, const struct view *view)
{
	return is_blocked(pipeline, view) ? REASON_ip_blocked : REASON_NONE;
}

static struct admission_request request_of(const struct pipeline *pipeline, const struct view *view,
					   uint16_t connector)
{
	const struct policy *policy = pipeline->policy;

	return (struct admission_request){
		.connector = &policy->connectors[connector],
		.index = connector,
		.address = &view->source,
		.exempt = ip_list_find(&policy->ip_allow, &view->source, pipeline->now.wall_us) ||
			  ruleset_is_server(pipeline->ruleset, &view->source),
		.max_sessions = policy->gate.max_sessions,
		.now_us = pipeline->now.now_us,
	};
}

static enum limit_action action_of(const struct admission_request *request,
				   enum connection_limit_kind limit)
{
	return request->connector->limits[limit].action;
}

// Silence or RST.
static enum reason turn_away(struct pipeline *pipeline, const struct view *view,
			     const struct admission_request *request,
			     enum connection_limit_kind limit)
{
	pipeline->counters.connectors[request->index]->connections_refused++;
	log_drop(pipeline, view, reasons[limit].dropped);
	if (action_of(request, limit) == ABOVE_RESET)
		send_reset_for(pipeline, view);
	return reasons[limit].dropped;
}

static bool is_quiet(enum limit_action action)
{
	return action == ABOVE_DROP || action == ABOVE_RESET;
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
		struct syn_limits *syns = &pipeline->syns[i];
		const uint32_t most = connector->limits[LIMIT_SYN_RATE].most;

		syns->looks = looks_at_syns(connector);
		// Each worker's part, but never nothing: whose SYNs come to which worker nobody
		// chooses.
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
	struct syn_limits *syns = &pipeline->syns[connector];
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
	if (limit == LIMIT_WITHIN || !is_quiet(action_of(&request, limit)))
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

	*result = admission_open(pipeline->sources, &request);
	if (result->uncounted)
		tell_full(pipeline, view);
	if (result->limit == LIMIT_WITHIN)
		return REASON_NONE;
	if (is_quiet(action_of(&request, result->limit)))
		return turn_away(pipeline, view, &request, result->limit);
	return REASON_NONE;
}
