// SPDX-License-Identifier: BSD-3-Clause
//
// Policy -> the three lists of the steering program: our addresses, our bindings, our servers. Owns
// nothing that lives longer than the call.

#include "control/steering.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct lists {
	uint8_t (*binding_addresses)[16];
	uint16_t *binding_ports;
	uint8_t (*server_addresses)[16];
	uint16_t *server_ports;
	struct export_steering steering;
};

const char *steering_interface(const struct port_settings *port)
{
	return strncmp(port->device, "af_xdp:", 7) == 0 ? port->device + 7 : NULL;
}

static int reserve(struct lists *lists, const struct steering_policies *policies)
{
	unsigned bindings = 1, servers = 1;

	for (unsigned k = 0; k < policies->count; k++) {
		const struct policy *policy = policies->all[k];

		for (unsigned i = 0; i < policy->connector_count; i++)
			bindings += policy->connectors[i].binding_count;
		for (unsigned i = 0; i < policy->backend_count; i++)
			servers += policy->backends[i].server_count;
	}
	lists->binding_addresses = calloc(bindings, 16);
	lists->binding_ports = calloc(bindings, sizeof(uint16_t));
	lists->server_addresses = calloc(servers, 16);
	lists->server_ports = calloc(servers, sizeof(uint16_t));
	return lists->binding_addresses && lists->binding_ports && lists->server_addresses &&
			       lists->server_ports
		       ? 0
		       : -ENOMEM;
}

static void add_policy(struct lists *lists, const struct policy *policy)
{
	struct export_steering *steering = &lists->steering;

	for (unsigned i = 0; i < policy->connector_count; i++) {
		const struct connector *connector = &policy->connectors[i];

		for (unsigned j = 0; connector->enabled && j < connector->binding_count; j++) {
			memcpy(lists->binding_addresses[steering->binding_count],
			       connector->bindings[j].address.bytes, 16);
			lists->binding_ports[steering->binding_count++] =
				connector->bindings[j].port;
		}
	}
	for (unsigned i = 0; i < policy->backend_count; i++) {
		for (unsigned j = 0; j < policy->backends[i].server_count; j++) {
			const struct endpoint *server = &policy->backends[i].servers[j];

			memcpy(lists->server_addresses[steering->server_count],
			       server->address.bytes, 16);
			lists->server_ports[steering->server_count++] = server->port;
		}
	}
}

static void fill(struct lists *lists, const struct steering_policies *policies, unsigned port)
{
	struct export_steering *steering = &lists->steering;

	for (unsigned i = 0; i < policies->count; i++)
		add_policy(lists, policies->all[i]);
	steering->binding_addresses = (const uint8_t(*)[16])lists->binding_addresses;
	steering->binding_ports = lists->binding_ports;
	steering->server_addresses = (const uint8_t(*)[16])lists->server_addresses;
	steering->server_ports = lists->server_ports;
	steering->vlan = policies->all[0]->ports[port].vlan;
	steering->answer_banned = policies->all[0]->ban.action != ABOVE_DROP;
}

int steering_adopt(const struct steering_policies *policies, unsigned port,
		   const struct address *addresses, unsigned address_count, struct export *export,
		   char error[EXPORT_ERROR_MAX])
{
	const char *interface = steering_interface(&policies->all[0]->ports[port]);
	struct lists lists = {0};
	int result;

	if (!interface)
		return 0;
	result = reserve(&lists, policies);
	if (result) {
		snprintf(error, EXPORT_ERROR_MAX, "out of memory");
	} else {
		fill(&lists, policies, port);
		lists.steering.addresses = (const uint8_t(*)[16])addresses;
		lists.steering.address_count = address_count;
		result = export_xdp_adopt(export, interface, &lists.steering, error);
	}
	free(lists.binding_addresses);
	free(lists.binding_ports);
	free(lists.server_addresses);
	free(lists.server_ports);
	return result;
}
