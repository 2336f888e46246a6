// SPDX-License-Identifier: BSD-3-Clause
//
// See check_limits.h. Speaks only of what the file says: a default that another key makes
// pointless is nobody's mistake.
#include "config/check_limits.h"

#include "config/keys.h"
#include "config/limit_names.h"
#include "config/policy.h"

struct judged {
	const struct policy *policy;
	struct diagnostics *diagnostics;
	const struct connector *connector;
};

static unsigned line_of(const struct judged *judged, const char *key)
{
	return keys_line(&judged->connector->lines, SECTION_CONNECTOR, key, 0);
}

static struct place at(const struct judged *judged, const char *key)
{
	unsigned line = line_of(judged, key);

	return (struct place){judged->policy->file, line ? line : judged->connector->line};
}

// Pairs of which the first, as the wider one, should not be the smaller.
static const struct {
	enum connection_limit_kind wide, narrow;
} pairs[] = {
	{LIMIT_CONNECTIONS, LIMIT_PER_SOURCE},
	{LIMIT_CONNECTIONS, LIMIT_PER_PREFIX},
	{LIMIT_PER_PREFIX, LIMIT_PER_SOURCE},
	{LIMIT_PREFIX_RATE, LIMIT_SOURCE_RATE},
};

static void tell_pairs(const struct judged *judged)
{
	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		const struct connection_limit *wide = &judged->connector->limits[pairs[i].wide];
		const struct connection_limit *narrow = &judged->connector->limits[pairs[i].narrow];
		const char *name = limit_name(pairs[i].narrow);

		if (!line_of(judged, name) || !limit_is_set(judged->connector, pairs[i].wide) ||
		    !limit_is_set(judged->connector, pairs[i].narrow) || wide->most >= narrow->most)
			continue;
		diagnostics_warning(judged->diagnostics, at(judged, name),
				    "%s (%u) has no effect: %s (%u) is below it", name,
				    narrow->most, limit_name(pairs[i].wide), wide->most);
	}
}

static void tell_totals(const struct judged *judged)
{
	const struct gate_settings *gate = &judged->policy->gate;
	const struct connection_limit *limits = judged->connector->limits;

	if (line_of(judged, "MaxInboundConnection") &&
	    limit_is_set(judged->connector, LIMIT_CONNECTIONS) &&
	    limits[LIMIT_CONNECTIONS].most > gate->max_sessions)
		diagnostics_warning(judged->diagnostics, at(judged, "MaxInboundConnection"),
				    "MaxInboundConnection (%u) has no effect: MaxSessions (%u) is "
				    "below it",
				    limits[LIMIT_CONNECTIONS].most, gate->max_sessions);
	if (limit_is_set(judged->connector, LIMIT_SYN_RATE) &&
	    limits[LIMIT_SYN_RATE].most < gate->workers)
		diagnostics_warning(judged->diagnostics, at(judged, "MaxSynRate"),
				    "MaxSynRate (%u) is below Workers (%u): each of them answers "
				    "one SYN a second",
				    limits[LIMIT_SYN_RATE].most, gate->workers);
}

static bool has_neighbours(const struct judged *judged)
{
	for (unsigned i = 0; i < judged->policy->connector_count; i++) {
		const struct connector *other = &judged->policy->connectors[i];

		if (other != judged->connector && other->enabled)
			return true;
	}
	return false;
}

// The clients of one connector, strangers perhaps, are not to keep those of another one out.
static void tell_shares(const struct judged *judged)
{
	const struct gate_settings *gate = &judged->policy->gate;
	const uint32_t most = judged->connector->limits[LIMIT_CONNECTIONS].most;

	if (!judged->connector->enabled || !has_neighbours(judged) ||
	    (limit_is_set(judged->connector, LIMIT_CONNECTIONS) && most < gate->max_sessions))
		return;
	diagnostics_warning(
		judged->diagnostics, at(judged, "MaxInboundConnection"),
		"clients of connector \"%s\" alone can use up all of MaxSessions (%u), "
		"and the other connectors' find no room: set MaxInboundConnection below "
		"it",
		judged->connector->name, gate->max_sessions);
}

static void tell_tarpit(const struct judged *judged)
{
	const struct connector *connector = judged->connector;

	for (unsigned i = 0; i < LIMIT_COUNT; i++)
		if (limit_is_set(connector, i) && connector->limits[i].action == ABOVE_TARPIT &&
		    connector->tarpit_interval_ms == 0) {
			diagnostics_warning(judged->diagnostics, at(judged, "TarpitInterval"),
					    "TarpitInterval is 0s, so the action tarpit of a limit "
					    "is the same as reply");
			return;
		}
}

void check_limits(const struct policy *policy, struct diagnostics *diagnostics)
{
	const struct gate_settings *gate = &policy->gate;
	unsigned line = keys_line(&gate->lines, SECTION_GATE, "SourceEntries", gate->line);

	// Each session may be of a source and a prefix of its own, and a table that is more than
	// half full has no place for some.
	if (gate->source_entries < 4ull * gate->max_sessions)
		diagnostics_warning(
			diagnostics, (struct place){policy->file, line},
			"SourceEntries (%u) is below four times MaxSessions (%u): with many "
			"sources, limits on connections will not hold for all",
			gate->source_entries, gate->max_sessions);
	for (unsigned i = 0; i < policy->connector_count; i++) {
		const struct judged judged = {policy, diagnostics, &policy->connectors[i]};

		tell_pairs(&judged);
		tell_totals(&judged);
		tell_shares(&judged);
		tell_tarpit(&judged);
	}
}

void check_realtime(const struct policy *policy, struct diagnostics *diagnostics)
{
	const struct gate_settings *gate = &policy->gate;
	unsigned line = keys_line(&gate->lines, SECTION_GATE, "Realtime", gate->line);

	// The kernel's own threads that bring us frames would not, either.
	if (gate->realtime && gate->spin)
		diagnostics_error(diagnostics, (struct place){policy->file, line},
				  "Realtime: not with Spin, a worker that never pauses");
}
