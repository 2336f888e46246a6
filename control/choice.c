// SPDX-License-Identifier: BSD-3-Clause
//
// See choice.h. The winner comes from the ruleset that the workers use; bindings, ranges and rivals
// are found by looking at every connector, and the two must agree.
#include "control/choice.h"

#include "dataplane/gate/ruleset.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

// The most specific binding that matches; NULL when none does.
static const struct endpoint *matching_binding(const struct connector *connector,
					       const struct endpoint *to)
{
	const struct endpoint *any = NULL;

	for (unsigned i = 0; i < connector->binding_count; i++) {
		const struct endpoint *binding = &connector->bindings[i];

		if (binding->port != to->port ||
		    address_is_ipv4(&binding->address) != address_is_ipv4(&to->address))
			continue;
		if (address_compare(&binding->address, &to->address) == 0)
			return binding;
		if (address_is_any(&binding->address))
			any = binding;
	}
	return any;
}

// The smallest range that holds the address: they are nested, so it begins last, or ends first.
static const struct connector_range *matching_range(const struct connector *connector,
						    const struct address *from)
{
	const struct connector_range *best = NULL;

	for (unsigned i = 0; i < connector->range_count; i++) {
		const struct connector_range *range = &connector->ranges[i];

		if (!range_contains(&range->range, from))
			continue;
		if (!best || address_compare(&range->range.first, &best->range.first) > 0 ||
		    (address_compare(&range->range.first, &best->range.first) == 0 &&
		     address_compare(&range->range.last, &best->range.last) < 0))
			best = range;
	}
	return best;
}

static bool is_exact(const struct endpoint *binding)
{
	return !address_is_any(&binding->address);
}

// Does an exact binding own the destination?
static bool is_owned_exactly(const struct policy *policy, const struct endpoint *to)
{
	for (unsigned i = 0; i < policy->connector_count; i++) {
		const struct endpoint *binding = matching_binding(&policy->connectors[i], to);

		if (policy->connectors[i].enabled && binding && is_exact(binding))
			return true;
	}
	return false;
}

const struct endpoint *choice_owner(const struct policy *policy, const struct connector *connector,
				    const struct endpoint *to)
{
	const struct endpoint *binding = matching_binding(connector, to);

	return connector->enabled && binding && (is_exact(binding) || !is_owned_exactly(policy, to))
		       ? binding
		       : NULL;
}

static void add_rivals(const struct policy *policy, struct choice *choice)
{
	const bool exact = is_owned_exactly(policy, &choice->to);

	for (unsigned i = 0; i < policy->connector_count; i++) {
		const struct connector *connector = &policy->connectors[i];
		struct rival rival = {.connector = connector,
				      .binding = matching_binding(connector, &choice->to),
				      .range = matching_range(connector, &choice->from.address)};

		if (!rival.binding || !rival.range || connector == choice->connector)
			continue;
		rival.fault = !connector->enabled                 ? RIVAL_DISABLED
			      : exact && !is_exact(rival.binding) ? RIVAL_WIDER_BINDING
								  : RIVAL_WIDER_RANGE;
		choice->rivals[choice->rival_count++] = rival;
	}
}

int choice_make(const struct policy *policy, const struct endpoint *from, const struct endpoint *to,
		uint64_t wall_us, struct choice *choice)
{
	struct ruleset *ruleset = ruleset_create(policy);
	uint16_t index;

	*choice = (struct choice){.from = *from, .to = *to};
	choice->rivals = calloc(policy->connector_count + 1, sizeof(*choice->rivals));
	if (!ruleset || !choice->rivals) {
		ruleset_destroy(ruleset);
		choice_fini(choice);
		return -ENOMEM;
	}
	index = ruleset_connector(ruleset, &to->address, to->port, &from->address, &choice->reason);
	choice->server = ruleset_is_server(ruleset, &from->address);
	ruleset_destroy(ruleset);
	choice->allowed = ip_list_find(&policy->ip_allow, &from->address, wall_us);
	choice->blocked = ip_list_find(&policy->ip_block, &from->address, wall_us);
	if (index != CONNECTOR_NONE) {
		choice->reason = REASON_NONE;
		choice->connector = &policy->connectors[index];
		choice->binding = matching_binding(choice->connector, to);
		choice->range = matching_range(choice->connector, &from->address);
		assert(choice->binding && choice->range);
	}
	add_rivals(policy, choice);
	return 0;
}

void choice_fini(struct choice *choice)
{
	free(choice->rivals);
	choice->rivals = NULL;
}
