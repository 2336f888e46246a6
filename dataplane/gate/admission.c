// SPDX-License-Identifier: BSD-3-Clause
//
// See admission.h. A session holds its connector, its source, and its prefix where the connector
// has a limit for that; what was taken is given back in reverse when a later limit says no.

#include "dataplane/gate/admission.h"

#define MINUTE_US 60000000u

static bool has(const struct admission_request *request, enum connection_limit_kind kind)
{
	return !request->exempt && limit_is_set(request->connector, kind);
}

static uint32_t most(const struct admission_request *request, enum connection_limit_kind kind)
{
	return has(request, kind) ? request->connector->limits[kind].most : SOURCES_UNLIMITED;
}

static struct sources_rate rate_of(const struct admission_request *request,
				   enum connection_limit_kind kind)
{
	return (struct sources_rate){request->connector->limits[kind].most, MINUTE_US};
}

static bool has_prefix(const struct admission_request *request)
{
	return has(request, LIMIT_PER_PREFIX) || has(request, LIMIT_PREFIX_RATE);
}

// The share of the connections that are left, rounded up: whoever has none may have one as long as
// there is any.
static uint32_t percentage(const struct admission_request *request, uint32_t open)
{
	const uint32_t percent = most(request, LIMIT_PERCENTAGE);
	uint32_t all = most(request, LIMIT_CONNECTIONS);

	if (percent == SOURCES_UNLIMITED)
		return SOURCES_UNLIMITED;
	if (all > request->max_sessions)
		all = request->max_sessions;
	return open >= all ? 0 : (uint32_t)(((uint64_t)(all - open) * percent + 99) / 100);
}

// The tighter one of the two limits on a source.
static enum connection_limit_kind source_limit(const struct admission_request *request,
					       uint32_t open, uint32_t *limit)
{
	const uint32_t share = percentage(request, open);

	*limit = most(request, LIMIT_PER_SOURCE);
	if (share >= *limit)
		return LIMIT_PER_SOURCE;
	*limit = share;
	return LIMIT_PERCENTAGE;
}

static struct sources_name name_of(const struct admission_request *request,
				   enum sources_scope scope)
{
	return (struct sources_name){scope, request->index, request->address};
}

enum connection_limit_kind admission_look(const struct sources *sources,
					  const struct admission_request *request)
{
	const struct sources_name source = name_of(request, SOURCES_SOURCE);
	const struct sources_name prefix = name_of(request, SOURCES_PREFIX);
	const uint32_t open = sources_connector_sessions(sources, request->index);
	const struct sources_level level = sources_look(sources, &source);
	struct sources_level around = {0};
	enum connection_limit_kind kind;
	struct sources_rate rate;
	uint32_t limit;

	if (open >= most(request, LIMIT_CONNECTIONS))
		return LIMIT_CONNECTIONS;
	kind = source_limit(request, open, &limit);
	if (level.sessions >= limit)
		return kind;
	if (has_prefix(request))
		around = sources_look(sources, &prefix);
	if (around.sessions >= most(request, LIMIT_PER_PREFIX))
		return LIMIT_PER_PREFIX;
	rate = rate_of(request, LIMIT_SOURCE_RATE);
	if (has(request, LIMIT_SOURCE_RATE) && !sources_may_take(&level, &rate, request->now_us))
		return LIMIT_SOURCE_RATE;
	rate = rate_of(request, LIMIT_PREFIX_RATE);
	if (has(request, LIMIT_PREFIX_RATE) && !sources_may_take(&around, &rate, request->now_us))
		return LIMIT_PREFIX_RATE;
	return LIMIT_WITHIN;
}

static bool within_rate(struct sources *sources, const struct admission_request *request,
			sources_hold hold, enum connection_limit_kind kind)
{
	const struct sources_rate rate = rate_of(request, kind);

	return hold == SOURCES_NO_HOLD || !has(request, kind) ||
	       sources_take(sources, hold, &rate, request->now_us);
}

static enum connection_limit_kind take(struct sources *sources,
				       const struct admission_request *request, uint32_t open,
				       struct admission_result *result)
{
	const struct sources_name source = name_of(request, SOURCES_SOURCE);
	const struct sources_name prefix = name_of(request, SOURCES_PREFIX);
	struct admission *admission = &result->admission;
	enum connection_limit_kind kind;
	enum sources_result opened;
	uint32_t limit;

	kind = source_limit(request, open, &limit);
	opened = sources_open(sources, &source, limit, request->now_us, &admission->source);
	if (opened == SOURCES_AT_LIMIT)
		return kind;
	result->uncounted = opened == SOURCES_FULL;
	if (has_prefix(request)) {
		opened = sources_open(sources, &prefix, most(request, LIMIT_PER_PREFIX),
				      request->now_us, &admission->prefix);
		if (opened == SOURCES_AT_LIMIT)
			return LIMIT_PER_PREFIX;
		result->uncounted |= opened == SOURCES_FULL;
	}
	if (!within_rate(sources, request, admission->source, LIMIT_SOURCE_RATE))
		return LIMIT_SOURCE_RATE;
	if (!within_rate(sources, request, admission->prefix, LIMIT_PREFIX_RATE))
		return LIMIT_PREFIX_RATE;
	return LIMIT_WITHIN;
}

struct admission_result admission_open(struct sources *sources,
				       const struct admission_request *request)
{
	const uint32_t open = sources_connector_sessions(sources, request->index);
	struct admission_result result = {
		LIMIT_CONNECTIONS, {SOURCES_NO_HOLD, SOURCES_NO_HOLD}, false};

	if (!sources_open_connector(sources, request->index, most(request, LIMIT_CONNECTIONS)))
		return result;
	result.limit = take(sources, request, open, &result);
	if (result.limit != LIMIT_WITHIN)
		admission_close(sources, request->index, &result.admission);
	return result;
}

void admission_close(struct sources *sources, uint16_t connector, const struct admission *admission)
{
	if (admission->prefix != SOURCES_NO_HOLD)
		sources_close(sources, admission->prefix);
	if (admission->source != SOURCES_NO_HOLD)
		sources_close(sources, admission->source);
	sources_close_connector(sources, connector);
}
