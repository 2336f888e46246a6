// SPDX-License-Identifier: BSD-3-Clause
//
// The start order of a gate, and its unwinding. Each step is one function that says in one line
// what went wrong. Owns the parts; knows what they need from one another and nothing else of them.

#include "control/instance.h"

#include "bpf/export.h"
#include "config/policy.h"
#include "control/ban_sync.h"
#include "control/crew.h"
#include "control/generations.h"
#include "control/privileges.h"
#include "control/protocol_log.h"
#include "control/reload.h"
#include "control/resolver.h"
#include "control/standing.h"
#include "control/state_rows.h"
#include "control/steering.h"
#include "control/telemetry.h"
#include "dataplane/base/notice.h"
#include "dataplane/base/spread.h"
#include "dataplane/io/environment.h"
#include "dataplane/io/port.h"
#include "dataplane/net/net.h"
#include "dataplane/pipeline/pipeline.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

_Static_assert(POLICY_WORKERS_MAX == SPREAD_WORKERS_MAX, "one limit of workers");

struct instance {
	struct policy *policy; // of the newest generation, which owns it once there is one
	struct export *export;
	struct port *ports;
	uint64_t *missed; // by each device, as far as it is in the counters
	uint64_t *banned; // frames dropped by each XDP program, likewise
	unsigned ports_open;
	unsigned ports_reclaimed; // their interface must be left as it was found
	struct packet_port *packet_ports;
	struct own_addresses *own; // of each port, as net/ has them
	struct generations *generations;
	struct spread *spread;             // whose flow is whose; NULL when there is one worker
	struct protocol_log *protocol_log; // NULL: no connector asks for one
	struct ban_sync *ban_sync;
	struct resolver *resolver; // NULL: there are no DNS lists
	struct crew *crew;
	struct state_rows *state_rows;
	bool launched;
	struct standing standing; // what is told of all this, once there is an export
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
		.connectors_max = PIPELINE_SLOTS(policy->connector_count),
		.ports_max = policy->port_count * 2 + 4,
		.log_records = policy->gate.log_records,
		.bans_max = policy->ban.entries,
		.servers_max = state_rows_servers(policy),
	};
	char error[EXPORT_ERROR_MAX];

	if (export_open(policy->gate.pin_directory, &shape, &instance->export, error))
		return fail(instance, error);
	if (error[0])
		fprintf(stderr, "relaygate: %s\n", error);
	standing_init(&instance->standing, export_instance(instance->export),
		      export_requests(instance->export));
	instance->standing.next.workers = policy->gate.workers;
	instance->standing.next.generation = 1;
	instance->standing.next.generations_held = 1;
	instance->standing.next.generation_us = instance->standing.next.started_us;
	snprintf(instance->standing.next.file, sizeof(instance->standing.next.file), "%s",
		 policy->file);
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

// Nobody's mail depends on it.
static int start_telemetry(struct instance *instance)
{
	const struct policy *policy = instance->policy;

	if (!environment_telemetry(policy))
		fprintf(stderr,
			"relaygate: no DPDK telemetry: /var/run/dpdk/%s cannot be written "
			"(warning)\n",
			environment_prefix(policy));
	else if (telemetry_start(policy->gate.pin_directory))
		fprintf(stderr,
			"relaygate: no DPDK telemetry: commands cannot be registered (warning)\n");
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
	instance->banned = calloc(policy->port_count, sizeof(*instance->banned));
	if (!instance->ports || !instance->packet_ports || !instance->missed || !instance->banned)
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
	const struct policy *const policies[] = {policy};
	struct own_addresses *own = &instance->own[index];
	struct address *addresses = calloc(max, sizeof(*addresses));
	char error[PORT_ERROR_MAX];
	int result;

	own->addresses = calloc(max, sizeof(*own->addresses));
	if (!addresses || !own->addresses) {
		free(addresses);
		return fail(instance, "out of memory");
	}
	own->count = net_addresses(net, index, own->addresses, max);
	result = steering_adopt(&(struct steering_policies){policies, 1}, index, own->addresses,
				own->count, instance->export, error);
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

	instance->own = calloc(instance->policy->port_count, sizeof(*instance->own));
	if (!instance->own)
		return fail(instance, "out of memory");
	random_init(&random, (const uint8_t[16]){0});
	net = net_create(instance->policy, instance->packet_ports, &random);
	if (!net)
		return fail(instance, "out of memory");
	for (unsigned i = 0; i < instance->policy->port_count && !result; i++)
		result = attach_port(instance, i, net);
	net_destroy(net);
	return result;
}

static int create_generations(struct instance *instance)
{
	char error[GENERATIONS_ERROR_MAX];

	instance->generations = generations_create(instance->policy, instance->policy->gate.workers,
						   instance->export, error);
	return instance->generations ? 0 : fail(instance, error);
}

static int open_protocol_log(struct instance *instance)
{
	const struct policy *policy = instance->policy;
	char error[PROTOCOL_FILES_ERROR_MAX];

	if (!protocol_log_wanted(policy))
		return 0;
	instance->protocol_log =
		protocol_log_create(policy, policy->gate.workers, RELAYGATE_VERSION, error);
	if (!instance->protocol_log)
		return fail(instance, error);
	return protocol_log_adopt(instance->protocol_log, policy,
				  generations_newest(instance->generations)->slots)
		       ? fail(instance, "out of memory")
		       : 0;
}

static int create_bans(struct instance *instance)
{
	instance->ban_sync = ban_sync_create(instance->policy, export_bans(instance->export),
					     worker_now().wall_us);
	return instance->ban_sync ? 0 : fail(instance, "not enough memory: lower BanEntries");
}

static int create_resolver(struct instance *instance)
{
	const struct policy *policy = instance->policy;
	char error[RESOLVER_ERROR_MAX];

	if (policy->dnsbl_count == 0)
		return 0;
	instance->resolver = resolver_create(policy, policy->gate.workers, error);
	return instance->resolver ? 0 : fail(instance, error);
}

static int create_crew(struct instance *instance)
{
	struct crew_settings settings = {
		.policy = instance->policy,
		.generations = instance->generations,
		.ports = instance->ports,
		.packet_ports = instance->packet_ports,
		.spread = instance->spread,
		.export = instance->export,
		.protocol_log = instance->protocol_log,
		.bans = ban_sync_bans(instance->ban_sync),
		.notices = ban_sync_notices(instance->ban_sync),
		.dnsbl = resolver_dnsbl(instance->resolver),
	};
	char error[CREW_ERROR_MAX];

	instance->crew = crew_create(&settings, error);
	if (!instance->crew)
		return fail(instance, error);
	instance->state_rows =
		state_rows_create(instance->export, state_rows_servers(instance->policy));
	return instance->state_rows ? 0 : fail(instance, "out of memory");
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

	// What a former instance gave to its User is not that user's any more.
	if (!user)
		return export_chown(instance->export, geteuid(), getegid())
			       ? fail(instance, "the pins of a former User cannot be taken back")
			       : 0;
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
	export_settle(instance->export);
	instance->launched = true;
	standing_enter(&instance->standing, "running");
	return 0;
}

static void release(struct instance *instance)
{
	const struct policy *policy = instance->policy;

	state_rows_destroy(instance->state_rows);
	telemetry_stop();
	crew_destroy(instance->crew);
	ban_sync_destroy(instance->ban_sync);
	resolver_destroy(instance->resolver);
	protocol_log_destroy(instance->protocol_log);
	while (instance->ports_open > 0)
		port_close(&instance->ports[--instance->ports_open]);
	while (instance->ports_reclaimed > 0) {
		const char *interface =
			steering_interface(&policy->ports[--instance->ports_reclaimed]);

		if (interface)
			export_xdp_release(instance->export, interface);
	}
	for (unsigned i = 0; instance->own && i < policy->port_count; i++)
		free(instance->own[i].addresses);
	// The last use of the policy; rows of counters go back.
	if (instance->generations)
		generations_destroy(instance->generations);
	else
		policy_destroy(instance->policy);
	if (instance->launched) {
		standing_enter(&instance->standing, "stopped");
		export_close(instance->export);
	} else if (instance->export) {
		export_abandon(instance->export);
	}
	free(instance->own);
	free(instance->spread);
	free(instance->packet_ports);
	free(instance->missed);
	free(instance->banned);
	free(instance->ports);
	free(instance);
}

struct instance *instance_start(struct policy *policy, char error[INSTANCE_ERROR_MAX])
{
	static int (*const steps[])(struct instance *) = {
		check_environment, open_counters,      start_environment,
		start_telemetry,   create_spread,      open_ports,
		attach_ports,      create_generations, open_protocol_log,
		create_bans,       create_resolver,    create_crew,
		drop_root,         check_protocol_log, launch,
	};
	struct instance *instance = calloc(1, sizeof(*instance));

	if (!instance || sodium_init() < 0) {
		snprintf(error, INSTANCE_ERROR_MAX, "out of memory");
		free(instance);
		policy_destroy(policy);
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

static struct reload_parts reload_parts(struct instance *instance)
{
	return (struct reload_parts){
		.generations = instance->generations,
		.export = instance->export,
		.protocol_log = instance->protocol_log,
		.standing = &instance->standing,
		.own = instance->own,
	};
}

// What its XDP program dropped never came to the port. A program that cannot be asked shows less
// than before.
static void count_banned(struct instance *instance, unsigned port)
{
	const char *interface = steering_interface(&instance->policy->ports[port]);
	uint64_t frames;

	if (!interface || export_xdp_dropped(instance->export, interface, &frames) ||
	    frames <= instance->banned[port])
		return;
	crew_port_row(instance->crew, port)->frames_banned += frames - instance->banned[port];
	instance->banned[port] = frames;
}

static void sync_bans(struct instance *instance)
{
	crew_reason_row(instance->crew, REASON_ban_not_shared)->count +=
		ban_sync_turn(instance->ban_sync, instance->policy, crew_sources(instance->crew),
			      worker_now().wall_us);
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
	struct reload_parts parts = reload_parts(instance);

	write_protocol_log(instance);
	sync_bans(instance);
	count_lookups(instance);
	// The device counts from its start, the row from the first start of the gate.
	for (unsigned i = 0; i < instance->policy->port_count; i++) {
		uint64_t missed = port_missed(&instance->ports[i]);

		count_banned(instance, i);
		// A device that cannot say shows less than before: a counter never goes back.
		if (missed <= instance->missed[i])
			continue;
		crew_port_row(instance->crew, i)->device_missed += missed - instance->missed[i];
		instance->missed[i] = missed;
	}
	state_rows_servers_write(instance->state_rows, instance->policy,
				 generations_servers(instance->generations), worker_now());
	state_rows_offenders_write(instance->state_rows, instance->crew, worker_now());
	export_sum(instance->export);
	// Behind the protocol log, whose records name connectors of former policies, too.
	if (generations_collect(instance->generations))
		reload_narrow(&parts);
	instance->standing.next.generations_held = generations_count(instance->generations);
	standing_publish(&instance->standing);
}

const struct policy *instance_policy(const struct instance *instance)
{
	return instance->policy;
}

// Into the log, with the first fault.
static void tell_reload(struct instance *instance, int result)
{
	const struct instance_record *record = &instance->standing.next;
	char detail[512];

	snprintf(detail, sizeof(detail), "generation %llu, %s%s%.*s", record->generation,
		 record->reload_cause, result ? ": " : "", (int)strcspn(record->message, "\n"),
		 record->message);
	notice_tell(ban_sync_notices(instance->ban_sync), NULL,
		    result ? REASON_reload_refused : REASON_gate_reloaded, detail);
}

int instance_reload(struct instance *instance, const char *cause)
{
	struct reload_parts parts = reload_parts(instance);
	int result = reload(&parts, cause);

	instance->policy = generations_newest(instance->generations)->policy;
	tell_reload(instance, result);
	return result;
}

struct standing *instance_standing(struct instance *instance)
{
	return &instance->standing;
}

void instance_close_door(struct instance *instance, bool closed)
{
	crew_order(instance->crew, closed ? WORKER_CLOSE_DOOR : WORKER_RUN);
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
