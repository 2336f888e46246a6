// SPDX-License-Identifier: BSD-3-Clause
//
// See decide.h. Where an address could be read in several ways (path.h), each reading must be
// allowed. Asks for the rights of anonymous sessions only: nobody can authenticate yet.
#include "dataplane/smtp/decide.h"

static bool has_right(const struct connector *connector, enum right right)
{
	return connector_session_rights(connector) & right;
}

// What stands in a domain's place inside a local part may be anything; "foreign.test:x.own.test"
// must not pass for a subdomain of own.test.
static const struct accepted_domain *accepted(const struct policy *policy, struct slice domain)
{
	if (!path_domain_name(domain))
		return NULL;
	return policy_accepted_domain(policy, (const char *)domain.data, domain.length);
}

static bool all_accepted(const struct policy *policy, const struct path *path)
{
	for (unsigned i = 0; i < path->domain_count; i++) {
		if (!accepted(policy, path->domains[i]))
			return false;
	}
	return true;
}

static bool any_authoritative(const struct policy *policy, const struct path *path)
{
	for (unsigned i = 0; i < path->domain_count; i++) {
		const struct accepted_domain *domain = accepted(policy, path->domains[i]);
		if (domain && domain->type == DOMAIN_AUTHORITATIVE)
			return true;
	}
	return false;
}

enum reason decide_sender(const struct policy *policy, const struct connector *connector,
			  const struct path *path, uint64_t declared_size)
{
	if (!has_right(connector, RIGHT_SUBMIT))
		return REASON_smtp_not_authenticated;
	// The null sender has no domain and passes both: a bounce has no other sender.
	if (!has_right(connector, RIGHT_ACCEPT_ANY_SENDER) && !all_accepted(policy, path))
		return REASON_smtp_sender_not_permitted;
	if (!has_right(connector, RIGHT_ACCEPT_AUTHORITATIVE_SENDER) &&
	    any_authoritative(policy, path))
		return REASON_smtp_own_sender_not_permitted;
	if (declared_size > decide_size_limit(connector))
		return REASON_smtp_too_large;
	return REASON_NONE;
}

enum reason decide_recipient(const struct policy *policy, const struct connector *connector,
			     const struct path *path, uint32_t already)
{
	// <postmaster> has no domain: it is the backend's own (RFC 5321 section 4.5.1).
	if (!path->postmaster && !has_right(connector, RIGHT_ACCEPT_ANY_RECIPIENT) &&
	    !all_accepted(policy, path))
		return REASON_smtp_unable_to_relay;
	if (already >= connector->max_recipients)
		return REASON_smtp_too_many_recipients;
	return REASON_NONE;
}

uint64_t decide_size_limit(const struct connector *connector)
{
	return has_right(connector, RIGHT_BYPASS_MESSAGE_SIZE_LIMIT) ? POLICY_SIZE_UNLIMITED
								     : connector->max_message_size;
}
