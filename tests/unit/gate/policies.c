// SPDX-License-Identifier: BSD-3-Clause
//
// Hand-made policies and the naive verdict. Everything is owned by the policy and freed by
// policy_destroy().
#include "tests/unit/gate/policies.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct address address_of(const char *text)
{
	struct address address;
	const char *why;
	assert_int_equal(address_parse(text, &address, &why), 0);
	return address;
}

struct policy *policy_new(void)
{
	struct policy *policy = calloc(1, sizeof(*policy));
	policy->ports = calloc(1, sizeof(*policy->ports));
	policy->port_count = 1;
	policy->backends = calloc(1, sizeof(*policy->backends));
	policy->backend_count = 1;
	return policy;
}

void policy_add_address(struct policy *policy, const char *text)
{
	struct port_settings *port = &policy->ports[0];
	port->addresses =
		reallocarray(port->addresses, port->address_count + 1, sizeof(*port->addresses));
	port->addresses[port->address_count++].address = address_of(text);
}

static void add_binding(struct connector *connector, const char *text)
{
	const char *why;
	connector->bindings = reallocarray(connector->bindings, connector->binding_count + 1,
					   sizeof(*connector->bindings));
	assert_int_equal(
		endpoint_parse(text, 25, &connector->bindings[connector->binding_count++], &why),
		0);
}

void connector_add_range(struct connector *connector, struct range range)
{
	connector->ranges = reallocarray(connector->ranges, connector->range_count + 1,
					 sizeof(*connector->ranges));
	connector->ranges[connector->range_count++] = (struct connector_range){.range = range};
}

unsigned policy_add_connector(struct policy *policy, const char *bindings, const char *ranges)
{
	policy->connectors = reallocarray(policy->connectors, policy->connector_count + 1,
					  sizeof(*policy->connectors));
	struct connector *connector = &policy->connectors[policy->connector_count];
	*connector = (struct connector){.enabled = true};
	char *copy = strdup(bindings);
	for (char *rest = copy, *text; (text = strsep(&rest, ", "));)
		if (*text)
			add_binding(connector, text);
	free(copy);
	copy = strdup(ranges);
	for (char *rest = copy, *text; (text = strsep(&rest, ", "));) {
		struct range range;
		const char *why;
		if (!*text)
			continue;
		assert_int_equal(range_parse(text, &range, &why), 0);
		connector_add_range(connector, range);
	}
	free(copy);
	return policy->connector_count++;
}

void policy_add_server(struct policy *policy, const char *text)
{
	struct backend *backend = &policy->backends[0];
	const char *why;
	backend->servers = reallocarray(backend->servers, backend->server_count + 1,
					sizeof(*backend->servers));
	assert_int_equal(endpoint_parse(text, 25, &backend->servers[backend->server_count++], &why),
			 0);
}

static bool is_ours(const struct policy *policy, const struct address *address)
{
	for (unsigned i = 0; i < policy->port_count; i++)
		for (unsigned j = 0; j < policy->ports[i].address_count; j++)
			if (!address_compare(&policy->ports[i].addresses[j].address, address))
				return true;
	return false;
}

static bool is_server(const struct policy *policy, const struct address *address, uint16_t port)
{
	for (unsigned i = 0; i < policy->backend_count; i++)
		for (unsigned j = 0; j < policy->backends[i].server_count; j++)
			if (policy->backends[i].servers[j].port == port &&
			    !address_compare(&policy->backends[i].servers[j].address, address))
				return true;
	return false;
}

// Whether an enabled connector is bound to the view's destination, exactly or by any-address.
static bool is_bound(const struct connector *connector, const struct view *view, bool any)
{
	for (unsigned i = 0; connector->enabled && i < connector->binding_count; i++) {
		const struct endpoint *binding = &connector->bindings[i];
		if (binding->port != view->destination_port)
			continue;
		if (any && address_is_any(&binding->address) &&
		    address_is_ipv4(&binding->address) == address_is_ipv4(&view->destination))
			return true;
		if (!any && !address_compare(&binding->address, &view->destination))
			return true;
	}
	return false;
}

static bool range_is_inside(const struct range *a, const struct range *b)
{
	return range_contains(b, &a->first) && range_contains(b, &a->last);
}

struct verdict naive_verdict(const struct policy *policy, const struct view *view)
{
	if (!is_ours(policy, &view->destination))
		return (struct verdict){VERDICT_DROP, REASON_ip_not_ours, CONNECTOR_NONE};
	bool exact = false, any = false;
	for (unsigned i = 0; i < policy->connector_count; i++) {
		exact |= is_bound(&policy->connectors[i], view, false);
		any |= is_bound(&policy->connectors[i], view, true);
	}
	if (!exact && !any && is_server(policy, &view->source, view->source_port))
		return (struct verdict){VERDICT_SERVER, REASON_NONE, CONNECTOR_NONE};
	if (!exact && !any)
		return (struct verdict){VERDICT_DROP, REASON_no_binding, CONNECTOR_NONE};
	const struct range *best = NULL;
	struct verdict verdict = {VERDICT_DROP, REASON_no_connector, CONNECTOR_NONE};
	for (unsigned i = 0; i < policy->connector_count; i++) {
		const struct connector *connector = &policy->connectors[i];
		if (!is_bound(connector, view, !exact))
			continue;
		for (unsigned j = 0; j < connector->range_count; j++) {
			const struct range *range = &connector->ranges[j].range;
			if (!range_contains(range, &view->source) ||
			    (best && !range_is_inside(range, best)))
				continue;
			best = range;
			verdict = (struct verdict){VERDICT_CLIENT, REASON_NONE, (uint16_t)i};
		}
	}
	return verdict;
}
