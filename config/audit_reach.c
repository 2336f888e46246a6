// SPDX-License-Identifier: BSD-3-Clause
//
// The audit's rules about what nobody can reach: a range that smaller ranges of other connectors
// fill, and a wildcard binding whose every address another connector has bound for itself. Ranges
// on one binding are nested or disjoint (check.c), so one pass over them in their order is enough.
#include "config/audit_internal.h"
#include "config/keys.h"

#include <stdlib.h>

// A range of a connector on one of its bindings.
struct bound {
	const struct endpoint *binding;
	const struct connector *connector;
	const struct connector_range *range;
	unsigned __int128 covered; // addresses that others' ranges inside it take
	bool any_covered;          // of 2^128 addresses, none and all look alike
	bool shut;
};

static int order_of_bounds(const void *a, const void *b)
{
	const struct bound *left = a, *right = b;
	int order = address_compare(&left->binding->address, &right->binding->address);

	if (order == 0 && left->binding->port != right->binding->port)
		order = left->binding->port < right->binding->port ? -1 : 1;
	if (order == 0)
		order = address_compare(&left->range->range.first, &right->range->range.first);
	if (order == 0) // the wider one first
		order = address_compare(&right->range->range.last, &left->range->range.last);
	return order;
}

static unsigned __int128 to_number(const struct address *address)
{
	unsigned __int128 number = 0;

	for (unsigned i = 0; i < sizeof(address->bytes); i++)
		number = number << 8 | address->bytes[i];
	return number;
}

static unsigned __int128 size_of(const struct range *range)
{
	return to_number(&range->last) - to_number(&range->first) + 1;
}

static bool same_binding(const struct endpoint *a, const struct endpoint *b)
{
	return address_compare(&a->address, &b->address) == 0 && a->port == b->port;
}

// Fills *bounds, in their order; returns how many. SIZE_MAX when out of memory.
static size_t collect(const struct policy *policy, struct bound **bounds)
{
	size_t count = 0, room = 0;

	for (unsigned i = 0; i < policy->connector_count; i++)
		room += (size_t)policy->connectors[i].binding_count *
			policy->connectors[i].range_count;
	*bounds = calloc(room + 1, sizeof(**bounds));
	if (!*bounds)
		return SIZE_MAX;
	for (unsigned i = 0; i < policy->connector_count; i++) {
		const struct connector *connector = &policy->connectors[i];

		for (unsigned j = 0; connector->enabled && j < connector->binding_count; j++)
			for (unsigned k = 0; k < connector->range_count; k++)
				if (address_is_ipv4(&connector->bindings[j].address) ==
				    address_is_ipv4(&connector->ranges[k].range.first))
					(*bounds)[count++] =
						(struct bound){.binding = &connector->bindings[j],
							       .connector = connector,
							       .range = &connector->ranges[k]};
	}
	qsort(*bounds, count, sizeof(**bounds), order_of_bounds);
	return count;
}

static bool contains(const struct bound *outer, const struct bound *inner)
{
	return same_binding(outer->binding, inner->binding) &&
	       range_contains(&outer->range->range, &inner->range->range.first);
}

// Sums up what each range loses to those directly inside it. stack: as long as the bounds.
static void sum_up(struct bound *bounds, size_t count, struct bound **stack)
{
	size_t depth = 0;

	for (size_t i = 0; i < count; i++) {
		struct bound *bound = &bounds[i];

		while (depth > 0 && !contains(stack[depth - 1], bound))
			depth--;
		if (depth > 0 && stack[depth - 1]->connector != bound->connector) {
			stack[depth - 1]->covered += size_of(&bound->range->range);
			stack[depth - 1]->any_covered = true;
		}
		stack[depth++] = bound;
	}
	for (size_t i = 0; i < count; i++)
		bounds[i].shut = bounds[i].any_covered &&
				 bounds[i].covered == size_of(&bounds[i].range->range);
}

// Every address of ours that a wildcard binding could stand for is bound by somebody else.
static bool hidden(const struct policy *policy, const struct endpoint *binding)
{
	if (!address_is_any(&binding->address))
		return false;
	for (unsigned i = 0; i < policy->port_count; i++)
		for (unsigned j = 0; j < policy->ports[i].address_count; j++) {
			const struct address *own = &policy->ports[i].addresses[j].address;
			const struct endpoint exact = {*own, binding->port};
			bool bound = false;

			if (address_is_ipv4(own) != address_is_ipv4(&binding->address))
				continue;
			for (unsigned k = 0; k < policy->connector_count && !bound; k++) {
				const struct connector *connector = &policy->connectors[k];

				for (unsigned l = 0; l < connector->binding_count; l++)
					bound = bound ||
						(connector->enabled &&
						 same_binding(&connector->bindings[l], &exact));
			}
			if (!bound)
				return false;
		}
	return true;
}

static void tell_bindings(struct auditor *auditor)
{
	static const struct audit_kind kind = {
		AUDIT_WARNING, "hidden-binding",
		"bind the connector to the address itself: there is no fall-back to a wildcard"};

	for (unsigned i = 0; i < auditor->policy->connector_count; i++) {
		const struct connector *connector = &auditor->policy->connectors[i];
		char text[ENDPOINT_TEXT_MAX];

		for (unsigned j = 0; connector->enabled && j < connector->binding_count; j++)
			if (hidden(auditor->policy, &connector->bindings[j]))
				audit_tell(auditor, &kind,
					   keys_line(&connector->lines, SECTION_CONNECTOR,
						     "Bindings", connector->line),
					   "nobody reaches the binding %s of connector %s: other "
					   "connectors have bound every address of ours",
					   endpoint_format(&connector->bindings[j], text),
					   connector->name);
	}
}

void audit_reach(struct auditor *auditor)
{
	static const struct audit_kind kind = {AUDIT_WARNING, "unreachable-range",
					       "remove it, or the smaller ranges that fill it"};
	struct bound *bounds;
	size_t count = collect(auditor->policy, &bounds);
	struct bound **stack = count == SIZE_MAX ? NULL : calloc(count + 1, sizeof(struct bound *));

	if (!stack) {
		free(bounds);
		auditor->failed = true;
		return;
	}
	sum_up(bounds, count, stack);
	for (size_t i = 0; i < count; i++) {
		const struct bound *bound = &bounds[i];
		char range[RANGE_TEXT_MAX], binding[ENDPOINT_TEXT_MAX];

		if (bound->shut)
			audit_tell(
				auditor, &kind, bound->range->line,
				"nobody in the range %s of connector %s reaches it at %s: smaller "
				"ranges of others take all of it",
				range_format(&bound->range->range, range), bound->connector->name,
				endpoint_format(bound->binding, binding));
	}
	tell_bindings(auditor);
	free(stack);
	free(bounds);
}
