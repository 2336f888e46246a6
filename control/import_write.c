// SPDX-License-Identifier: BSD-3-Clause
//
// The INI file: what is not in an export at its top, marked as such, then domains and connectors,
// each with the notes about it as comments. Decides only what Exchange does not know: our name, a
// port and a backend.
#include "config/diagnostics.h"
#include "config/value.h"
#include "control/commands.h"
#include "control/import.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define PLACEHOLDER "# PLACEHOLDER: "

// Documentation addresses (RFC 5737, RFC 3849): nobody has them.
#define OWN_ADDRESS   "192.0.2.10/24"
#define OWN_ADDRESS_6 "2001:db8::10/64"
#define OTHER_SERVER  "192.0.2.25"
#define OUR_NAME      "mx.example.com"
#define OUR_LOG_PATH  "/var/log/relaygate"

// ---- [gate] ----------------------------------------------------------------------------------

static const char *fqdn_of(const struct connector *connector)
{
	return connector->fqdn && !value_fqdn_fault(connector->fqdn) ? connector->fqdn : NULL;
}

// The name that the first connector gives, rather one in use; NULL when none does.
static const char *gate_name(const struct policy *policy)
{
	const char *name = NULL;

	for (unsigned i = 0; i < policy->connector_count; i++) {
		const struct connector *connector = &policy->connectors[i];

		if (connector->enabled && fqdn_of(connector))
			return fqdn_of(connector);
		if (!name)
			name = fqdn_of(connector);
	}
	return name;
}

static bool any_is_logged(const struct policy *policy)
{
	for (unsigned i = 0; i < policy->connector_count; i++)
		if (policy->connectors[i].protocol_logging == PROTOCOL_LOGGING_VERBOSE)
			return true;
	return false;
}

static void write_gate(const struct import *import, FILE *out)
{
	const char *name = gate_name(import->policy);

	fprintf(out, "[gate]\n");
	if (name)
		fprintf(out, "# From Fqdn of the first connector.\nName = %s\n", name);
	else
		fprintf(out, PLACEHOLDER "no connector has a fully qualified Fqdn.\nName = %s\n",
			OUR_NAME);
	if (any_is_logged(import->policy))
		fprintf(out,
			"# Where the log of the connectors with ProtocolLoggingLevel = Verbose "
			"goes.\n"
			"ReceiveProtocolLogPath = %s\n",
			OUR_LOG_PATH);
}

// ---- [port], [backend] -----------------------------------------------------------------------

// Whether a connector before this one, or this one before, names the address.
static bool is_named_before(const struct policy *policy, unsigned index, unsigned binding)
{
	const struct address *address = &policy->connectors[index].bindings[binding].address;

	for (unsigned i = 0; i <= index; i++) {
		const struct connector *connector = &policy->connectors[i];
		unsigned count = i < index ? connector->binding_count : binding;

		for (unsigned j = 0; j < count; j++)
			if (address_compare(address, &connector->bindings[j].address) == 0)
				return true;
	}
	return false;
}

// "A/24, B/64": the addresses that bindings name, or such that nobody has.
static void write_own_addresses(const struct policy *policy, FILE *out)
{
	bool any = false, ipv4 = false, ipv6 = false;

	for (unsigned i = 0; i < policy->connector_count; i++)
		for (unsigned j = 0; j < policy->connectors[i].binding_count; j++) {
			const struct address *address = &policy->connectors[i].bindings[j].address;
			bool four = address_is_ipv4(address);
			char text[ADDRESS_TEXT_MAX];

			ipv4 |= four;
			ipv6 |= !four;
			if (address_is_any(address) || is_named_before(policy, i, j))
				continue;
			fprintf(out, "%s%s/%d", any ? ", " : "", address_format(address, text),
				four ? 24 : 64);
			any = true;
		}
	if (!any)
		fprintf(out, "%s%s%s", ipv4 ? OWN_ADDRESS : "", ipv4 && ipv6 ? ", " : "",
			ipv6 ? OWN_ADDRESS_6 : "");
}

static void write_port(const struct import *import, FILE *out)
{
	const struct command_options *options = import->options;

	fprintf(out, "\n[port outside]\n");
	if (options->device)
		fprintf(out, "Device = %s\n", options->device);
	else
		fprintf(out, PLACEHOLDER "the interface; give --device.\nDevice = eth1\n");
	if (options->address) {
		fprintf(out, "Address = %s\n", options->address);
	} else {
		fprintf(out, PLACEHOLDER
			"the gate's addresses, which are those that Bindings name; give "
			"--address.\nAddress = ");
		write_own_addresses(import->policy, out);
		fprintf(out, "\n");
	}
	if (options->gateway)
		fprintf(out, "Gateway = %s\n", options->gateway);
	else
		fprintf(out, PLACEHOLDER "clients outside of these networks need a Gateway; give "
					 "--gateway.\n");
	fprintf(out, "\n[backend exchange]\n");
	if (options->backend)
		fprintf(out, "Servers = %s\n", options->backend);
	else
		fprintf(out, PLACEHOLDER
			"the mail servers; give --backend.\nServers = " OTHER_SERVER "\n");
}

// ---- Sections --------------------------------------------------------------------------------

static void write_notes(const struct import *import, unsigned connector, FILE *out)
{
	for (unsigned i = 0; i < import->note_count; i++) {
		const struct import_note *note = &import->notes[i];

		if (import_note_concerns(note, connector))
			fprintf(out, "# %s: %s\n", note->parameter, note->text);
	}
}

// A long list has one item a line.
static void write_value(const struct key *key, const char *text, FILE *out)
{
	const char *comma;
	unsigned commas = 0;

	for (comma = text; (comma = strchr(comma, ',')); comma++)
		commas++;
	fprintf(out, "%s =", key->name);
	if (!key_is_list(key) || commas < 3) {
		fprintf(out, " %s\n", text);
		return;
	}
	fprintf(out, "\n");
	while ((comma = strchr(text, ','))) {
		fprintf(out, "\t%.*s,\n", (int)(comma - text), text);
		text = comma + 2;
	}
	fprintf(out, "\t%s\n", text);
}

static bool is_gate_name(const struct import *import, const struct key *key, const char *text)
{
	const char *name = gate_name(import->policy);

	return key->type == KEY_FQDN && name && strcasecmp(name, text) == 0;
}

static void write_connector(const struct import *import, unsigned index, FILE *out)
{
	const struct import_connector *connector = &import->connectors[index];
	char quote[DIAGNOSTICS_QUOTE_MAX];

	fprintf(out, "\n# Get-ReceiveConnector %s\n", diagnostics_quote(connector->origin, quote));
	write_notes(import, index, out);
	fprintf(out, "[connector %s]\n", connector->name);
	for (unsigned i = 0; i < keys_count(); i++) {
		const struct key *key = keys_at(i);
		const char *text =
			key->section == SECTION_CONNECTOR ? connector->texts[key_index(key)] : NULL;

		if (text && !is_gate_name(import, key, text))
			write_value(key, text, out);
	}
}

static void write_domains(const struct import *import, FILE *out)
{
	static const char *const types[] = {
		[DOMAIN_AUTHORITATIVE] = "Authoritative",
		[DOMAIN_INTERNAL_RELAY] = "InternalRelay",
		[DOMAIN_EXTERNAL_RELAY] = "ExternalRelay",
	};

	for (unsigned i = 0; i < import->policy->domain_count; i++) {
		const struct accepted_domain *domain = &import->policy->domains[i];

		fprintf(out, "\n[accepted-domain %s]\nType = %s\n", domain->name,
			types[domain->type]);
		if (domain->match_subdomains)
			fprintf(out, "MatchSubDomains = yes\n");
		if (domain->all_domains)
			fprintf(out, "AllDomains = yes\n");
	}
}

static void write_source(FILE *out, const char *what, const char *file)
{
	char quote[DIAGNOSTICS_QUOTE_MAX];

	fprintf(out, "#   %-22s %s\n", what, file ? diagnostics_quote(file, quote) : "(not given)");
}

char *import_write(struct import *import)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return NULL;
	fprintf(out, "# Made by relaygate import from\n");
	write_source(out, "Get-ReceiveConnector", import->options->file);
	write_source(out, "Get-ADPermission", import->options->permissions);
	write_source(out, "Get-AcceptedDomain", import->options->domains);
	fprintf(out,
		"# Lines behind \"PLACEHOLDER\" are not from Exchange: put your own values there "
		"before use.\n"
		"# Parameters at the gate's default are not written. Comments above a connector "
		"say what it\n"
		"# had in Exchange and has no more. Then: relaygate check, relaygate explain.\n\n");
	write_gate(import, out);
	write_port(import, out);
	write_domains(import, out);
	for (unsigned i = 0; i < import->policy->connector_count; i++)
		write_connector(import, i, out);
	if (fclose(out)) {
		free(text);
		return NULL;
	}
	return text;
}
