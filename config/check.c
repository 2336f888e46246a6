// SPDX-License-Identifier: BSD-3-Clause
//
// The rules between values, one function a subject, joined by the table at the end, which also says
// which sections a rule needs whole. Mechanisms are in check_authentication.c, who gets a
// client when ranges meet is in overlap.c, connectors that are of no use or open to the world are
// in exposure.c. Owns no data; tells, and changes nothing.
#include "config/check.h"
#include "config/check_authentication.h"
#include "config/check_dnsbl.h"
#include "config/check_ip_lists.h"
#include "config/check_limits.h"
#include "config/check_logging.h"
#include "config/exposure.h"
#include "config/keys.h"
#include "config/overlap.h"
#include "config/policy.h"
#include "config/value.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

// One of our own addresses.
struct own {
	struct address address;
	const struct port_settings *port;
};

struct check {
	const struct policy *policy;
	struct diagnostics *diagnostics;
	struct own *owns; // sorted by address
	unsigned own_count;
};

static struct place at(const struct check *check, unsigned line)
{
	return (struct place){check->policy->file, line};
}

static unsigned port_line(const struct port_settings *port, const char *name)
{
	return keys_line(&port->lines, SECTION_PORT, name, port->line);
}

static unsigned connector_line(const struct connector *connector, const char *name)
{
	return keys_line(&connector->lines, SECTION_CONNECTOR, name, connector->line);
}

static unsigned backend_line(const struct backend *backend, const char *name)
{
	return keys_line(&backend->lines, SECTION_BACKEND, name, backend->line);
}

// ---- Our own addresses -----------------------------------------------------------------------

static int order_of_owns(const void *a, const void *b)
{
	const struct own *left = a, *right = b;
	int order = address_compare(&left->address, &right->address);

	if (order != 0)
		return order;
	return left->port->line < right->port->line ? -1 : left->port->line > right->port->line;
}

static int collect_owns(struct check *check)
{
	const struct policy *policy = check->policy;
	size_t total = 0;

	for (unsigned i = 0; i < policy->port_count; i++)
		total += policy->ports[i].address_count;
	check->owns = calloc(total + 1, sizeof(*check->owns));
	if (check->owns == NULL)
		return -ENOMEM;
	for (unsigned i = 0; i < policy->port_count; i++)
		for (unsigned j = 0; j < policy->ports[i].address_count; j++)
			check->owns[check->own_count++] = (struct own){
				policy->ports[i].addresses[j].address, &policy->ports[i]};
	qsort(check->owns, check->own_count, sizeof(*check->owns), order_of_owns);
	return 0;
}

static const struct own *find_own(const struct check *check, const struct address *address)
{
	unsigned low = 0, high = check->own_count;

	while (low < high) {
		unsigned middle = low + (high - low) / 2;
		int order = address_compare(address, &check->owns[middle].address);

		if (order == 0)
			return &check->owns[middle];
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return NULL;
}

static bool have_family(const struct check *check, bool ipv4)
{
	for (unsigned i = 0; i < check->own_count; i++)
		if (address_is_ipv4(&check->owns[i].address) == ipv4)
			return true;
	return false;
}

// ---- [gate] ----------------------------------------------------------------------------------

static void check_gate(struct check *check)
{
	const struct gate_settings *gate = &check->policy->gate;
	// A relayed session has two connections, each with both buffers.
	uint64_t need = 2 * ((uint64_t)gate->send_buffer + gate->receive_buffer);
	char have_text[VALUE_TEXT_MAX], need_text[VALUE_TEXT_MAX];

	if (gate->buffer_memory < need)
		diagnostics_error(
			check->diagnostics,
			at(check,
			   keys_line(&gate->lines, SECTION_GATE, "BufferMemory", gate->line)),
			"BufferMemory of %s is too little for a single session, which may "
			"take twice SendBuffer and ReceiveBuffer: %s",
			value_format_size(gate->buffer_memory, have_text),
			value_format_size(need, need_text));
	check_realtime(check->policy, check->diagnostics);
}

// What the workers divide must suffice for each of them.
static void check_workers(struct check *check)
{
	const struct policy *policy = check->policy;
	const struct gate_settings *gate = &policy->gate;
	struct place place =
		at(check, keys_line(&gate->lines, SECTION_GATE, "Workers", gate->line));
	uint64_t need = gate->workers * 2 * ((uint64_t)gate->send_buffer + gate->receive_buffer);
	char have_text[VALUE_TEXT_MAX], need_text[VALUE_TEXT_MAX], quote[DIAGNOSTICS_QUOTE_MAX];

	if (gate->workers < 2)
		return;
	if (gate->max_sessions < gate->workers)
		diagnostics_error(check->diagnostics, place,
				  "Workers: %u of them cannot divide MaxSessions of %u",
				  gate->workers, gate->max_sessions);
	if (gate->buffer_memory < need)
		diagnostics_error(check->diagnostics, place,
				  "Workers: BufferMemory of %s is too little for a session in each "
				  "of %u: %s",
				  value_format_size(gate->buffer_memory, have_text), gate->workers,
				  value_format_size(need, need_text));
	for (unsigned i = 0; i < policy->backend_count; i++)
		if (policy->backends[i].max_connections < gate->workers)
			diagnostics_error(
				check->diagnostics, place,
				"Workers: %u of them cannot divide MaxConnections of %u, of "
				"backend %s",
				gate->workers, policy->backends[i].max_connections,
				diagnostics_quote(policy->backends[i].name, quote));
}

// ---- [port] ----------------------------------------------------------------------------------

static void check_presence_of_ports(struct check *check)
{
	if (check->policy->port_count == 0)
		diagnostics_error(check->diagnostics, at(check, 0),
				  "there is no port: write [port NAME] with Device and Address");
}

static void check_addresses(struct check *check)
{
	char text[ADDRESS_TEXT_MAX], quote[DIAGNOSTICS_QUOTE_MAX];

	for (unsigned i = 1; i < check->own_count; i++) {
		const struct own *own = &check->owns[i], *before = own - 1;

		if (address_compare(&own->address, &before->address) != 0)
			continue;
		diagnostics_error(check->diagnostics, at(check, port_line(own->port, "Address")),
				  "Address: %s is already an address of port %s (line %u): each "
				  "address may stand once",
				  address_format(&own->address, text),
				  diagnostics_quote(before->port->name, quote),
				  port_line(before->port, "Address"));
	}
}

// The part of a device's text that names the hardware: two ports must not share it.
static size_t device_identity(const char *device, const char **start)
{
	const char *colon = strchr(device, ':');

	// af_xdp and af_packet of one interface are the same interface.
	*start = strncmp(device, "af_", 3) == 0 ? colon + 1 : device;
	return strcspn(*start, ","); // options of a vdev
}

static void check_devices(struct check *check)
{
	const struct policy *policy = check->policy;
	char quote[DIAGNOSTICS_QUOTE_MAX];

	for (unsigned i = 1; i < policy->port_count; i++)
		for (unsigned j = 0; j < i; j++) {
			const char *left, *right;
			size_t length = device_identity(policy->ports[i].device, &left);

			if (device_identity(policy->ports[j].device, &right) != length ||
			    strncmp(left, right, length) != 0)
				continue;
			diagnostics_error(check->diagnostics,
					  at(check, port_line(&policy->ports[i], "Device")),
					  "Device: port %s (line %u) has this device already",
					  diagnostics_quote(policy->ports[j].name, quote),
					  port_line(&policy->ports[j], "Device"));
			break;
		}
}

static void check_gateway(struct check *check, const struct port_settings *port, unsigned index)
{
	const struct address *gateway = &port->gateways[index];
	struct place place = at(check, port_line(port, "Gateway"));
	char text[ADDRESS_TEXT_MAX];
	bool covered = false;

	address_format(gateway, text);
	for (unsigned i = 0; i < index; i++)
		if (address_is_ipv4(&port->gateways[i]) == address_is_ipv4(gateway)) {
			diagnostics_error(
				check->diagnostics, place,
				"Gateway: %s is the second %s gateway of this port; one of "
				"each family is allowed",
				text, address_is_ipv4(gateway) ? "IPv4" : "IPv6");
			break;
		}
	for (unsigned i = 0; i < port->address_count; i++)
		covered = covered || interface_address_covers(&port->addresses[i], gateway);
	if (!covered)
		diagnostics_error(check->diagnostics, place,
				  "Gateway: %s is in no network of this port's Address list, so it "
				  "cannot be reached",
				  text);
	if (find_own(check, gateway) != NULL)
		diagnostics_error(check->diagnostics, place,
				  "Gateway: %s is one of our own addresses", text);
}

static void check_gateways(struct check *check)
{
	for (unsigned i = 0; i < check->policy->port_count; i++)
		for (unsigned j = 0; j < check->policy->ports[i].gateway_count; j++)
			check_gateway(check, &check->policy->ports[i], j);
}

// ---- [backend] -------------------------------------------------------------------------------

static void check_presence_of_backends(struct check *check)
{
	if (check->policy->backend_count == 0)
		diagnostics_error(check->diagnostics, at(check, 0),
				  "there is no backend: write [backend NAME] with Servers");
}

static void check_servers(struct check *check)
{
	for (unsigned i = 0; i < check->policy->backend_count; i++) {
		const struct backend *backend = &check->policy->backends[i];
		unsigned line = backend_line(backend, "Servers");

		for (unsigned j = 0; j < backend->server_count; j++) {
			const struct endpoint *server = &backend->servers[j];
			char text[ENDPOINT_TEXT_MAX];

			for (unsigned k = 0; k < j; k++)
				if (address_compare(&backend->servers[k].address,
						    &server->address) == 0 &&
				    backend->servers[k].port == server->port) {
					diagnostics_error(check->diagnostics, at(check, line),
							  "Servers: %s stands twice: remove one",
							  endpoint_format(server, text));
					break;
				}
		}
		if (backend->final_reply_timeout_ms < 600000)
			diagnostics_warning(
				check->diagnostics,
				at(check, backend_line(backend, "FinalReplyTimeout")),
				"FinalReplyTimeout is below 10m (RFC 5321 section 4.5.3.2.6): a "
				"server that is slow to accept will get messages twice");
	}
}

static bool is_reachable(const struct policy *policy, const struct address *server)
{
	for (unsigned i = 0; i < policy->port_count; i++) {
		const struct port_settings *port = &policy->ports[i];

		for (unsigned j = 0; j < port->address_count; j++)
			if (interface_address_covers(&port->addresses[j], server))
				return true;
		for (unsigned j = 0; j < port->gateway_count; j++)
			if (address_is_ipv4(&port->gateways[j]) == address_is_ipv4(server))
				return true;
	}
	return false;
}

static void check_way_to_servers(struct check *check)
{
	for (unsigned i = 0; i < check->policy->backend_count; i++) {
		const struct backend *backend = &check->policy->backends[i];
		struct place place = at(check, backend_line(backend, "Servers"));

		for (unsigned j = 0; j < backend->server_count; j++) {
			const struct address *server = &backend->servers[j].address;
			char text[ADDRESS_TEXT_MAX];

			address_format(server, text);
			if (find_own(check, server) != NULL)
				diagnostics_error(check->diagnostics, place,
						  "Servers: %s is one of our own addresses: mail "
						  "would go round in circles",
						  text);
			else if (!is_reachable(check->policy, server))
				diagnostics_warning(
					check->diagnostics, place,
					"Servers: %s is in no network of a port, and no "
					"port has an %s gateway: it cannot be reached",
					text, address_is_ipv4(server) ? "IPv4" : "IPv6");
		}
	}
}

// ---- [connector] -----------------------------------------------------------------------------

static void check_presence_of_connectors(struct check *check)
{
	unsigned count = check->policy->connector_count;

	if (count == 0)
		diagnostics_error(check->diagnostics, at(check, 0),
				  "there is no connector: write [connector NAME] with Bindings and "
				  "RemoteIPRanges");
	if (count > POLICY_CONNECTORS_MAX)
		diagnostics_error(
			check->diagnostics,
			at(check, check->policy->connectors[POLICY_CONNECTORS_MAX].line),
			"the file has %u connectors, the limit is %u: join those with equal "
			"rights",
			count, POLICY_CONNECTORS_MAX);
}

static void check_authentication_of_connectors(struct check *check)
{
	check_authentication(check->policy, check->diagnostics);
}

static void check_exposure(struct check *check)
{
	exposure_check(check->policy, check->diagnostics);
}

static void check_limits_of_connectors(struct check *check)
{
	check_limits(check->policy, check->diagnostics);
}

static void check_protocol_log(struct check *check)
{
	check_logging(check->policy, check->diagnostics);
}

// Said, and not possible: who leaves the key out is told nothing.
static void check_binary_mime(struct check *check)
{
	for (unsigned i = 0; i < check->policy->connector_count; i++) {
		const struct connector *connector = &check->policy->connectors[i];
		unsigned line =
			keys_line(&connector->lines, SECTION_CONNECTOR, "BinaryMimeEnabled", 0);

		if (line > 0 && connector->binary_mime && !connector->chunking)
			diagnostics_warning(
				check->diagnostics, at(check, line),
				"BinaryMimeEnabled has no effect without ChunkingEnabled");
	}
}

static void check_dnsbls(struct check *check)
{
	check_dnsbl(check->policy, check->diagnostics);
}

static void check_timeouts(struct check *check)
{
	for (unsigned i = 0; i < check->policy->connector_count; i++) {
		const struct connector *connector = &check->policy->connectors[i];
		unsigned silence = connector_line(connector, "ConnectionInactivityTimeout");
		unsigned whole = connector_line(connector, "ConnectionTimeout");
		char silence_text[VALUE_TEXT_MAX], whole_text[VALUE_TEXT_MAX];

		if (connector->inactivity_timeout_ms < connector->connection_timeout_ms)
			continue;
		diagnostics_error(
			check->diagnostics, at(check, silence != connector->line ? silence : whole),
			"ConnectionInactivityTimeout (%s) must be below ConnectionTimeout (%s)",
			value_format_time(connector->inactivity_timeout_ms, silence_text),
			value_format_time(connector->connection_timeout_ms, whole_text));
	}
}

static void check_binding_addresses(struct check *check)
{
	for (unsigned i = 0; i < check->policy->connector_count; i++) {
		const struct connector *connector = &check->policy->connectors[i];
		struct place place = at(check, connector_line(connector, "Bindings"));

		for (unsigned j = 0; j < connector->binding_count; j++) {
			const struct endpoint *binding = &connector->bindings[j];
			bool ipv4 = address_is_ipv4(&binding->address);
			char text[ENDPOINT_TEXT_MAX];

			endpoint_format(binding, text);
			if (address_is_any(&binding->address)) {
				if (!have_family(check, ipv4))
					diagnostics_warning(
						check->diagnostics, place,
						"Bindings: %s serves nobody: no port has "
						"an %s address",
						text, ipv4 ? "IPv4" : "IPv6");
			} else if (find_own(check, &binding->address) == NULL) {
				diagnostics_error(
					check->diagnostics, place,
					"Bindings: the address of %s is no Address of any "
					"port: add it to a [port NAME] or correct it",
					text);
			}
		}
	}
}

// ---- [accepted-domain] -----------------------------------------------------------------------

static void check_presence_of_domains(struct check *check)
{
	if (check->policy->domain_count == 0)
		diagnostics_warning(check->diagnostics, at(check, 0),
				    "there is no accepted domain: every recipient will be refused, "
				    "except where a connector grants "
				    "ms-Exch-SMTP-Accept-Any-Recipient; write [accepted-domain "
				    "DOMAIN]");
}

static void check_all_domains(struct check *check)
{
	for (unsigned i = 0; i < check->policy->domain_count; i++) {
		const struct accepted_domain *domain = &check->policy->domains[i];
		unsigned line = keys_line(&domain->lines, SECTION_ACCEPTED_DOMAIN, "AllDomains",
					  domain->line);
		bool all = strcmp(domain->name, "*") == 0;

		if (all && !domain->all_domains)
			diagnostics_error(check->diagnostics, at(check, domain->line),
					  "[accepted-domain] *: every domain of the world would be "
					  "accepted, which is an open relay; name your domains, or "
					  "write AllDomains = yes");
		else if (all)
			diagnostics_warning(check->diagnostics, at(check, line),
					    "[accepted-domain] *: every domain of the world is "
					    "accepted: whoever may submit may relay");
		else if (domain->all_domains)
			diagnostics_error(check->diagnostics, at(check, line),
					  "AllDomains belongs to [accepted-domain *] only");
	}
}

static void check_lists_of_sources(struct check *check)
{
	check_ip_lists(check->policy, check->diagnostics);
}

static void check_ban(struct check *check)
{
	const struct ban_settings *ban = &check->policy->ban;

	if (ban->time_max_ms < ban->time_ms)
		diagnostics_error(
			check->diagnostics,
			at(check, keys_line(&ban->lines, SECTION_BAN, "BanTimeMax", ban->line)),
			"BanTimeMax is shorter than BanTime");
}

// An entry for subdomains that another entry has already.
static void check_domains(struct check *check)
{
	const struct policy *policy = check->policy;

	for (unsigned i = 0; i < policy->domain_count; i++) {
		const struct accepted_domain *domain = &policy->domains[i], *other;
		bool wildcard = strncmp(domain->name, "*.", 2) == 0;
		const char *base = wildcard ? domain->name + 2 : domain->name;
		struct place place = at(check, domain->line);

		if (strcmp(domain->name, "*") == 0) // judged by check_all_domains
			continue;
		if (wildcard && domain->match_subdomains)
			diagnostics_warning(check->diagnostics, place,
					    "MatchSubDomains has no effect on %s, which stands for "
					    "subdomains only",
					    domain->name);
		if (!wildcard && !domain->match_subdomains)
			continue;
		other = wildcard ? policy_accepted_domain(policy, base, strlen(base)) : NULL;
		if (other != NULL && strcmp(other->name, base) == 0 && other->match_subdomains) {
			diagnostics_warning(check->diagnostics, place,
					    "subdomains of %s stand twice: here and on line %u by "
					    "MatchSubDomains; this entry (%s) decides",
					    base, other->line, domain->name);
			continue;
		}
		other = policy_covering_domain(policy, base, strlen(base));
		if (other != NULL && other->type == domain->type)
			diagnostics_warning(
				check->diagnostics, place,
				"%s changes nothing: %s on line %u covers it with the same "
				"type",
				domain->name, other->name, other->line);
	}
}

// ---- The table -------------------------------------------------------------------------------

#define GATE       (1u << SECTION_GATE)
#define PORTS      (1u << SECTION_PORT)
#define DOMAINS    (1u << SECTION_ACCEPTED_DOMAIN)
#define CONNECTORS (1u << SECTION_CONNECTOR)
#define BACKENDS   (1u << SECTION_BACKEND)
#define IP_LISTS   (1u << SECTION_IP_ALLOW | 1u << SECTION_IP_BLOCK)

static const struct rule {
	unsigned needs; // sections that must have been read whole
	void (*tell)(struct check *check);
} rules[] = {
	{GATE, check_gate},
	{GATE | BACKENDS, check_workers},
	{1u << SECTION_BAN, check_ban},
	{PORTS, check_presence_of_ports},
	{PORTS, check_addresses},
	{PORTS, check_devices},
	{PORTS, check_gateways},
	{CONNECTORS, check_presence_of_connectors},
	{CONNECTORS, check_timeouts},
	{CONNECTORS, check_binary_mime},
	{GATE | CONNECTORS, check_protocol_log},
	{GATE | CONNECTORS, check_limits_of_connectors},
	{CONNECTORS, check_authentication_of_connectors},
	{CONNECTORS | PORTS, check_binding_addresses},
	{BACKENDS, check_presence_of_backends},
	{BACKENDS, check_servers},
	{BACKENDS | PORTS, check_way_to_servers},
	{CONNECTORS, check_exposure},
	{CONNECTORS | 1u << SECTION_DNSBL, check_dnsbls},
	{DOMAINS, check_presence_of_domains},
	{DOMAINS, check_domains},
	{DOMAINS, check_all_domains},
	{IP_LISTS, check_lists_of_sources},
};

int check_policy(const struct policy *policy, unsigned faulty_sections,
		 struct diagnostics *diagnostics)
{
	struct check check = {.policy = policy, .diagnostics = diagnostics};
	int status = collect_owns(&check);

	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]) && status == 0; i++)
		if (!(rules[i].needs & faulty_sections))
			rules[i].tell(&check);
	if (status == 0 && !(CONNECTORS & faulty_sections))
		status = overlap_check(policy, diagnostics);
	free(check.owns);
	return status;
}
