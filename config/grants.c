// SPDX-License-Identifier: BSD-3-Clause
//
// See grants.h. Looks at the principals in their order; the first that grants, or denies, is told.
#include "config/grants.h"
#include "config/keys.h"

static unsigned line_of(const struct connector *connector, const char *key)
{
	return keys_line(&connector->lines, SECTION_CONNECTOR, key, connector->line);
}

// The group that grants the right to the principal, 0 when none does.
static uint32_t granting_group(const struct connector *connector, enum principal principal,
			       enum right right)
{
	for (uint32_t group = PERMISSION_GROUP_ANONYMOUS_USERS; group <= PERMISSION_GROUP_PARTNERS;
	     group <<= 1)
		if (connector->permission_groups & group &&
		    permission_groups_rights(group, principal) & right)
			return group;
	return 0;
}

struct grant grant_find(const struct connector *connector, unsigned identities, enum right right)
{
	struct grant grant = {.held = false};

	for (unsigned i = 0; i < PRINCIPAL_COUNT && !grant.granted; i++) {
		uint32_t group = granting_group(connector, (enum principal)i, right);

		if (!(identities & 1u << i) || (!group && !(connector->granted[i] & right)))
			continue;
		grant.granted = true;
		grant.to = (enum principal)i;
		grant.by = (enum permission_group)group;
		grant.line = line_of(connector, group ? "PermissionGroups" : "ExtendedRights");
	}
	for (unsigned i = 0; i < PRINCIPAL_COUNT && !grant.denied; i++) {
		if (!(identities & 1u << i) || !(connector->denied[i] & right))
			continue;
		grant.denied = true;
		grant.to = (enum principal)i;
		grant.line = line_of(connector, "DeniedRights");
	}
	grant.held = grant.granted && !grant.denied;
	return grant;
}
