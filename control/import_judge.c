// SPDX-License-Identifier: BSD-3-Clause
//
// What the connectors of an export say together: which of them are Exchange's own and have no place
// at the edge, and which nobody can use. They are written with Enabled = no rather than left out,
// so that the file shows them. A connector that nobody can use stays on where it shares a port with
// others: it keeps its clients from theirs.
#include "control/import.h"
#include "control/import_parameter.h"

#include <stdlib.h>
#include <string.h>

// Exchange 2013 and later: services of a server talk to one another there (connector reference,
// section 1.5).
static const struct {
	const char *role;
	uint16_t port;
	const char *text;
} internal[] = {
	{"HubTransport", 2525,
	 "disabled: the frontend of Exchange hands mail to this port; no client does"},
	{"HubTransport", 465,
	 "disabled: the frontend of Exchange hands its clients' sessions to this port"},
	{"FrontendTransport", 717,
	 "disabled: the other servers of Exchange send through this port; no client does"},
};

static const char *internal_text(const struct connector *connector, const char *role)
{
	const char *text = NULL;

	for (unsigned i = 0; i < connector->binding_count; i++) {
		text = NULL;
		for (size_t j = 0; j < sizeof(internal) / sizeof(internal[0]); j++)
			if (strstr(role, internal[j].role) &&
			    connector->bindings[i].port == internal[j].port)
				text = internal[j].text;
		if (!text)
			return NULL;
	}
	return text;
}

static void disable(struct import *import, unsigned connector, const char *parameter,
		    const char *text)
{
	import_note(import, connector, parameter, "%s", text);
	import_take(import, connector, "Enabled", "no");
}

static void judge_role(struct import *import, unsigned connector)
{
	const struct import_value *value =
		import_member(import->connectors[connector].source, "TransportRole");
	const char *text = NULL;
	char *role;

	if (!value || import_read_names(value, import_role_names, true, &role))
		return; // Exchange 2007 and 2010 have none; a wrong one was told
	text = internal_text(&import->policy->connectors[connector], role);
	free(role);
	if (text)
		disable(import, connector, "TransportRole", text);
}

static bool shares_port(const struct policy *policy, const struct connector *connector)
{
	for (unsigned i = 0; i < policy->connector_count; i++) {
		const struct connector *other = &policy->connectors[i];

		if (other == connector || !other->enabled)
			continue;
		for (unsigned j = 0; j < other->binding_count; j++)
			for (unsigned k = 0; k < connector->binding_count; k++)
				if (other->bindings[j].port == connector->bindings[k].port)
					return true;
	}
	return false;
}

static void judge_groups(struct import *import, unsigned index)
{
	const struct connector *connector = &import->policy->connectors[index];
	unsigned identities = connector_identities(connector);

	if (!connector->enabled)
		return;
	for (uint32_t group = PERMISSION_GROUP_ANONYMOUS_USERS; group <= PERMISSION_GROUP_PARTNERS;
	     group <<= 1) {
		rights_mask rights = 0;

		for (unsigned i = 0; i < PRINCIPAL_COUNT; i++)
			if (identities & 1u << i)
				rights |= permission_groups_rights(group, (enum principal)i);
		if (connector->permission_groups & group && !rights)
			import_note(import, index, "PermissionGroups", "%s grants nothing here: %s",
				    permission_group_name((enum permission_group)group),
				    group == PERMISSION_GROUP_EXCHANGE_SERVERS
					    ? "without ExternalAuthoritative, nobody is an "
					      "Exchange server"
					    : "this version has no authentication");
	}
	if (import->connectors[index].custom && !import->permissions_tree.root)
		import_note(import, index, "PermissionGroups",
			    "Custom: it has rights beside its groups, and they are not known: "
			    "give --permissions");
	if (connector_session_rights(connector) & RIGHT_SUBMIT)
		return;
	if (shares_port(import->policy, connector))
		import_note(import, index, "PermissionGroups",
			    "nobody may submit here: every MAIL will be refused");
	else
		disable(import, index, "PermissionGroups",
			"disabled: nobody may submit here, and no other connector has its ports");
}

// Such a connector is an error in our file, however it came to be.
static void judge_external(struct import *import, unsigned index)
{
	const struct connector *connector = &import->policy->connectors[index];

	if (connector->mechanisms & MECHANISM_EXTERNAL_AUTHORITATIVE &&
	    !(connector->permission_groups & PERMISSION_GROUP_EXCHANGE_SERVERS))
		import_error(import, index, "AuthMechanism",
			     "ExternalAuthoritative without ExchangeServers in PermissionGroups: "
			     "Exchange would not let it be so; is the export whole?");
}

void import_judge(struct import *import)
{
	for (unsigned i = 0; i < import->policy->connector_count; i++)
		judge_role(import, i);
	for (unsigned i = 0; i < import->policy->connector_count; i++) {
		judge_groups(import, i);
		judge_external(import, i);
	}
}
