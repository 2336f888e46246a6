// SPDX-License-Identifier: BSD-3-Clause
//
// Compiles bindings. A list of {address, port, exact or any, connector} is sorted, so that one pass
// sees all that is said about an endpoint together, exact bindings first; a second sort brings
// endpoints with equal sets of connectors together. Cold path.
#include "dataplane/gate/bindings.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "config/policy.h"

// One connector bound to one address of ours.
struct bound {
	struct address address;
	uint16_t port;
	uint16_t connector;
	bool any; // by an any-address binding
};

// One endpoint with its connectors.
struct group {
	const struct bound *first; // its address and port
	uint32_t start;            // in the list of connectors
	uint32_t count;
};

struct compiler {
	struct bound *bounds;
	size_t bound_count, bound_capacity;
	struct group *groups;
	uint32_t group_count;
	uint16_t *connectors;
	uint32_t connector_count;
};

static int add_bound(struct compiler *compiler, const struct bound *bound)
{
	if (compiler->bound_count == compiler->bound_capacity) {
		size_t capacity = compiler->bound_capacity ? compiler->bound_capacity * 2 : 64;
		struct bound *bounds = reallocarray(compiler->bounds, capacity, sizeof(*bounds));
		if (!bounds || capacity > UINT32_MAX / 4) {
			compiler->bounds = bounds ? bounds : compiler->bounds;
			return -ENOMEM;
		}
		compiler->bounds = bounds;
		compiler->bound_capacity = capacity;
	}
	compiler->bounds[compiler->bound_count++] = *bound;
	return 0;
}

// Every address of ours that the binding covers. A binding to an address that is not ours covers
// none.
static int add_binding(struct compiler *compiler, const struct policy *policy,
		       const struct endpoint *binding, uint16_t connector)
{
	bool any = address_is_any(&binding->address);
	for (unsigned i = 0; i < policy->port_count; i++) {
		const struct port_settings *port = &policy->ports[i];
		for (unsigned j = 0; j < port->address_count; j++) {
			const struct address *ours = &port->addresses[j].address;
			bool covered =
				any ? address_is_ipv4(ours) == address_is_ipv4(&binding->address)
				    : address_compare(ours, &binding->address) == 0;
			if (!covered)
				continue;
			struct bound bound = {*ours, binding->port, connector, any};
			if (add_bound(compiler, &bound) != 0)
				return -ENOMEM;
		}
	}
	return 0;
}

static int compare_endpoints(const struct bound *a, const struct bound *b)
{
	int order = address_compare(&a->address, &b->address);
	return order ? order : (int)a->port - (int)b->port;
}

static int compare_bounds(const void *left, const void *right)
{
	const struct bound *a = left, *b = right;
	int order = compare_endpoints(a, b);
	if (order == 0)
		order = (int)a->any - (int)b->any;
	return order ? order : (int)a->connector - (int)b->connector;
}

// Groups the sorted list by endpoint.
static int make_groups(struct compiler *compiler)
{
	size_t room = compiler->bound_count + 1;
	compiler->groups = reallocarray(NULL, room, sizeof(*compiler->groups));
	compiler->connectors = reallocarray(NULL, room, sizeof(*compiler->connectors));
	if (!compiler->groups || !compiler->connectors)
		return -ENOMEM;
	struct group *group = NULL;
	for (size_t i = 0; i < compiler->bound_count; i++) {
		const struct bound *bound = &compiler->bounds[i];
		if (!group || compare_endpoints(group->first, bound) != 0) {
			group = &compiler->groups[compiler->group_count++];
			*group = (struct group){bound, compiler->connector_count, 0};
		}
		if (bound->any != group->first->any)
			continue; // an exact binding owns the endpoint alone
		uint16_t *next = &compiler->connectors[compiler->connector_count];
		if (group->count && next[-1] == bound->connector)
			continue; // two bindings of one connector
		*next = bound->connector;
		compiler->connector_count++;
		group->count++;
	}
	return 0;
}

static int compare_groups(const void *left, const void *right, void *connectors)
{
	const struct group *a = left, *b = right;
	if (a->count != b->count)
		return a->count < b->count ? -1 : 1;
	return memcmp((const uint16_t *)connectors + a->start,
		      (const uint16_t *)connectors + b->start, a->count * sizeof(uint16_t));
}

// Numbers the distinct sets of connectors and enters every endpoint.
static int make_classes(struct compiler *compiler, struct bindings *bindings)
{
	uint32_t groups = compiler->group_count, connectors = 0;
	bindings->class_start = calloc((size_t)groups + 1, sizeof(*bindings->class_start));
	bindings->connectors =
		calloc((size_t)compiler->connector_count + 1, sizeof(*bindings->connectors));
	if (!bindings->class_start || !bindings->connectors)
		return -ENOMEM;
	qsort_r(compiler->groups, groups, sizeof(*compiler->groups), compare_groups,
		compiler->connectors);
	for (uint32_t i = 0; i < groups; i++) {
		const struct group *group = &compiler->groups[i];
		if (i == 0 || compare_groups(group - 1, group, compiler->connectors) != 0) {
			memcpy(&bindings->connectors[connectors],
			       &compiler->connectors[group->start],
			       group->count * sizeof(uint16_t));
			connectors += group->count;
			bindings->class_start[++bindings->class_count] = connectors;
		}
		endpoints_set(&bindings->endpoints, &group->first->address, group->first->port,
			      bindings->class_count - 1);
	}
	return 0;
}

static int make_endpoints(struct bindings *bindings, const struct policy *policy, uint32_t groups)
{
	uint64_t most = groups;
	for (unsigned i = 0; i < policy->port_count; i++)
		most += policy->ports[i].address_count;
	if (most > UINT32_MAX / 2 || endpoints_init(&bindings->endpoints, (uint32_t)most) != 0)
		return -ENOMEM;
	for (unsigned i = 0; i < policy->port_count; i++)
		for (unsigned j = 0; j < policy->ports[i].address_count; j++)
			endpoints_set(&bindings->endpoints, &policy->ports[i].addresses[j].address,
				      0, BINDINGS_OUR_ADDRESS);
	return 0;
}

static int collect(struct compiler *compiler, const struct policy *policy)
{
	for (unsigned i = 0; i < policy->connector_count; i++) {
		const struct connector *connector = &policy->connectors[i];
		for (unsigned j = 0; connector->enabled && j < connector->binding_count; j++)
			if (add_binding(compiler, policy, &connector->bindings[j], (uint16_t)i))
				return -ENOMEM;
	}
	if (compiler->bound_count)
		qsort(compiler->bounds, compiler->bound_count, sizeof(*compiler->bounds),
		      compare_bounds);
	return 0;
}

int bindings_build(struct bindings *bindings, const struct policy *policy)
{
	struct compiler compiler = {0};
	*bindings = (struct bindings){0};
	int result = collect(&compiler, policy);
	if (result == 0)
		result = make_groups(&compiler);
	if (result == 0)
		result = make_endpoints(bindings, policy, compiler.group_count);
	if (result == 0)
		result = make_classes(&compiler, bindings);
	if (result == 0)
		endpoints_seal(&bindings->endpoints);
	free(compiler.bounds);
	free(compiler.groups);
	free(compiler.connectors);
	return result;
}

void bindings_fini(struct bindings *bindings)
{
	endpoints_fini(&bindings->endpoints);
	free(bindings->class_start);
	free(bindings->connectors);
	*bindings = (struct bindings){0};
}
