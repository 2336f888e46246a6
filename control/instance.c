// SPDX-License-Identifier: BSD-3-Clause
//
// The start order of a gate, and its unwinding. Each step is one function that says in one line
// what went wrong. Owns the parts; knows what they need from one another and nothing else of them.

#include "control/instance.h"

#include "bpf/export.h"
#include "config/policy.h"
#include "control/crew.h"
#include "control/privileges.h"
#include "control/protocol_log.h"
#include "control/resolver.h"
#include "control/steering.h"
#include "dataplane/base/spread.h"
#include "dataplane/gate/ruleset.h"
#include "dataplane/io/environment.h"
#include "dataplane/io/port.h"
#include "dataplane/net/net.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(POLICY_WORKERS_MAX == SPREAD_WORKERS_MAX, "one limit of workers");

struct instance {
	const struct policy *policy;
	struct export *export;
	struct port *ports;
	uint64_t *missed; // by each device, as far as it is in the counters
	unsigned ports_open;
	unsigned ports_reclaimed; // their interface must be left as it was found
	struct packet_port *packet_ports;
	struct ruleset *ruleset;
	struct spread *spread;             // whose flow is whose; NULL when there is one worker
	struct protocol_log *protocol_log; // NULL: no connector asks for one
	struct resolver *resolver;         // NULL: no connector asks DNS lists
	struct crew *crew;
	char *error;
};

static int fail(struct instance *instance, const char *what)
{
	snprintf(instance->error, INSTANCE_ERROR_MAX, "%s", what);
	return -1;
}

static int check_environment(struct instance *instance)
{
	char error[ENVIRONMENT_ERROR_MAX];

	return environment_check(instance->policy, error) ? fail(instance, error) : 0;
}

static int open_counters(struct instance *instance)
{
	const struct policy *policy = instance->policy;
	struct export_shape shape = {
		.workers = policy->gate.workers,
		// Room for as many removed connectors as there are now, so that their counts stay.
		.connectors_max = policy->connector_count * 2 + 16,
		.ports_max = policy->port_count * 2 + 4,
		.log_records = policy->gate.log_records,
	};
	char error[EXPORT_ERROR_MAX];

	if (export_open(policy->gate.pin_directory, &shape, &instance->export, error))
		return fail(instance, error);
	if (error[0])
		fprintf(stderr, "relaygate: %s\n", error);
	return 0;
}

static int start_environment(struct instance *instance)
{
	const struct policy *policy = instance->policy;
	char error[ENVIRONMENT_ERROR_MAX], reclaim_error[EXPORT_ERROR_MAX];
	const char *object = export_xdp_object_path();

	if (!object)
		return fail(instance, "the XDP program cannot be put into memory (memfd_create)");
	for (; instance->ports_reclaimed < policy->port_count; instance->ports_reclaimed++) {
		const char *interface =
			steering_interface(&policy->ports[instance->ports_reclaimed]);

		if (interface &&
		    export_xdp_reclaim(interface, policy->gate.pin_directory, reclaim_error))
			return fail(instance, reclaim_error);
	}
	if (environment_start(policy, object, policy->gate.workers, error))
		return fail(instance, error);
	return 0;
}

// A new key at each start: whoever knew it could choose ports that load one worker alone.
static int create_spread(struct instance *instance)
{
	uint8_t key[SPREAD_KEY_BYTES];

	if (instance->policy->gate.workers == 1)
		return 0;
	instance->spread = malloc(sizeof(*instance->spread));
	if (!instance->spread)
		return fail(instance, "out of memory");
	do
		randombytes_buf(key, sizeof(key));
	while (!spread_init(instance->spread, key, instance->policy->gate.workers));
	return 0;
}

static void tell_queues(const struct instance *instance, unsigned index)
{
	const struct port *port = &instance->ports[index];
	unsigned workers = instance->policy->gate.workers;

	if (workers > 1)
		printf("relaygate: port %s: %u workers, %u %s; %s\n",
		       instance->policy->ports[index].name, workers, port->queues,
		       port->queues == 1 ? "queue" : "queues",
		       port->spreads ? "the device puts each connection into its worker's queue"
				     : "workers hand over what came in at another's queue");
}

static int open_ports(struct instance *instance)
{
	const struct policy *policy = instance->policy;
	char error[PORT_ERROR_MAX];

	instance->ports = calloc(policy->port_count, sizeof(*instance->ports));
	instance->packet_ports = calloc(policy->port_count, sizeof(*instance->packet_ports));
	instance->missed = calloc(policy->port_count, sizeof(*instance->missed));
	if (!instance->ports || !instance->packet_ports || !instance->missed)
		return fail(instance, "out of memory");
	for (; instance->ports_open < policy->port_count; instance->ports_open++) {
		struct port *port = &instance->ports[instance->ports_open];

		if (port_open(policy, instance->ports_open, instance->spread, port, error))
			return fail(instance, error);
		tell_queues(instance, instance->ports_open);
		instance->packet_ports[instance->ports_open] = port->packet;
	}
	return 0;
}

static int attach_port(struct instance *instance, unsigned index, const struct net *net)
{
	const struct policy *policy = instance->policy;
	// An address of the policy, its solicited-node group, and one link-local address a port.
	unsigned max = policy->ports[index].address_count + 2;
	struct address *addresses = calloc(max, sizeof(*addresses));
	char error[PORT_ERROR_MAX];
	int result;

	if (!addresses)
		return fail(instance, "out of memory");
	result = steering_adopt(policy, index, addresses, net_addresses(net, index, addresses, max),
				instance->export, error);
	if (!result)
		result = port_join(policy, &instance->ports[index], addresses,
				   net_groups(net, index, addresses, max), error);
	free(addresses);
	return result ? fail(instance, error) : 0;
}

// Which addresses and groups a port has is net's to know; steering and the device's filters need
// it.
static int attach_ports(struct instance *instance)
{
	struct random random;
	struct net *net;
	int result = 0;

	random_init(&random, (const uint8_t[16]){0});
	net = net_create(instance->policy, instance->packet_ports, &random);
	if (!net)
		return fail(instance, "out of memory");
	for (unsigned i = 0; i < instance->policy->port_count && !result; i++)
		result = attach_port(instance, i, net);
	net_destroy(net);
	return result;
}

static int create_ruleset(struct instance *instance)
{
	instance->ruleset = ruleset_create(instance->policy);
	return instance->ruleset
		       ? 0
		       : fail(instance, "not enough memory for the ranges of all connectors");
}

static int open_protocol_log(struct instance *instance)
{
	const struct policy *policy = instance->policy;
	char error[PROTOCOL_FILES_ERROR_MAX];

	if (!protocol_log_wanted(policy))
		return 0;
	instance->protocol_log =
		protocol_log_create(policy, policy->gate.workers, RELAYGATE_VERSION, error);
	return instance->protocol_log ? 0 : fail(instance, error);
}

static int create_resolver(struct instance *instance)
{
	const struct policy *policy = instance->policy;
	char error[RESOLVER_ERROR_MAX];

	if (!resolver_wanted(policy))
		return 0;
	instance->resolver = resolver_create(policy, policy->gate.workers, error);
	return instance->resolver ? 0 : fail(instance, error);
}

static int create_crew(struct instance *instance)
{
	struct crew_settings settings = {
		.policy = instance->policy,
		.ruleset = instance->ruleset,
		.ports = instance->ports,
		.packet_ports = instance->packet_ports,
		.spread = instance->spread,
		.export = instance->export,
		.protocol_log = instance->protocol_log,
		.dnsbl = resolver_dnsbl(instance->resolver),
	};
	char error[CREW_ERROR_MAX];

	instance->crew = crew_create(&settings, error);
	return instance->crew ? 0 : fail(instance, error);
}

// What root made and the gate goes on writing.
static int give_away(struct instance *instance, uint32_t uid, uint32_t gid)
{
	if (export_chown(instance->export, uid, gid))
		return fail(instance, "the pins cannot be given to User");
	if (instance->protocol_log &&
	    protocol_files_give(protocol_log_files(instance->protocol_log), uid, gid))
		return fail(instance, "ReceiveProtocolLogPath cannot be given to User");
	return 0;
}

static int drop_root(struct instance *instance)
{
	const char *user = instance->policy->gate.user;
	uint32_t uid, gid;

	if (!user)
		return 0;
	if (!privileges_lookup(user, &uid, &gid) && give_away(instance, uid, gid))
		return -1;
	return privileges_drop(user, instance->error, INSTANCE_ERROR_MAX);
}

static int check_protocol_log(struct instance *instance)
{
	char error[PROTOCOL_FILES_ERROR_MAX];

	if (!instance->protocol_log)
		return 0;
	return protocol_files_check(protocol_log_files(instance->protocol_log), error)
		       ? fail(instance, error)
		       : 0;
}

static int launch(struct instance *instance)
{
	char error[RESOLVER_ERROR_MAX];

	if (instance->resolver && resolver_launch(instance->resolver, error))
		return fail(instance, error);
	if (crew_launch(instance->crew))
		return fail(instance, "the worker threads do not start");
	return 0;
}

static void release(struct instance *instance)
{
	const struct policy *policy = instance->policy;

	crew_destroy(instance->crew);
	resolver_destroy(instance->resolver);
	protocol_log_destroy(instance->protocol_log);
	ruleset_destroy(instance->ruleset);
	while (instance->ports_open > 0)
		port_close(&instance->ports[--instance->ports_open]);
	while (instance->ports_reclaimed > 0) {
		const char *interface =
			steering_interface(&policy->ports[--instance->ports_reclaimed]);

		if (interface)
			export_xdp_release(instance->export, interface);
	}
	if (instance->export)
		export_close(instance->export);
	free(instance->spread);
	free(instance->packet_ports);
	free(instance->missed);
	free(instance->ports);
	free(instance);
}

struct instance *instance_start(const struct policy *policy, char error[INSTANCE_ERROR_MAX])
{
	static int (*const steps[])(struct instance *) = {
		check_environment,
		open_counters,
		start_environment,
		create_spread,
		open_ports,
		attach_ports,
		create_ruleset,
		open_protocol_log,
		create_resolver,
		create_crew,
		drop_root,
		check_protocol_log,
		launch,
	};
	struct instance *instance = calloc(1, sizeof(*instance));

	if (!instance || sodium_init() < 0) {
		snprintf(error, INSTANCE_ERROR_MAX, "out of memory");
		free(instance);
		return NULL;
	}
	instance->policy = policy;
	instance->error = error;
	for (unsigned i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		if (steps[i](instance)) {
			release(instance);
			return NULL;
		}
	}
	return instance;
}

static void write_protocol_log(struct instance *instance)
{
	if (instance->protocol_log)
		crew_reason_row(instance->crew, REASON_protocol_log_unwritten)->count +=
			protocol_log_drain(instance->protocol_log, worker_now().wall_us);
}

static void count_lookups(struct instance *instance)
{
	struct resolver_counts counts;

	if (!instance->resolver)
		return;
	counts = resolver_take(instance->resolver);
	crew_reason_row(instance->crew, REASON_dnsbl_timeout)->count += counts.dnsbl_timeout;
	crew_reason_row(instance->crew, REASON_dnsbl_failed)->count += counts.dnsbl_failed;
	crew_reason_row(instance->crew, REASON_dnsbl_inquiries_full)->count +=
		counts.dnsbl_inquiries_full;
	crew_reason_row(instance->crew, REASON_dnsbl_cache_full)->count += counts.dnsbl_cache_full;
}

void instance_sum(struct instance *instance)
{
	write_protocol_log(instance);
	count_lookups(instance);
	// The device counts from its start, the row from the first start of the gate.
	for (unsigned i = 0; i < instance->policy->port_count; i++) {
		uint64_t missed = port_missed(&instance->ports[i]);

		// A device that cannot say shows less than before: a counter never goes back.
		if (missed <= instance->missed[i])
			continue;
		crew_port_row(instance->crew, i)->device_missed += missed - instance->missed[i];
		instance->missed[i] = missed;
	}
	export_sum(instance->export);
}

void instance_drain(struct instance *instance, bool force)
{
	crew_order(instance->crew, force ? WORKER_DRAIN_FORCE : WORKER_DRAIN);
}

bool instance_drained(const struct instance *instance)
{
	return crew_drained(instance->crew);
}

void instance_stop(struct instance *instance)
{
	crew_stop(instance->crew);
	instance_sum(instance);
	release(instance);
}
