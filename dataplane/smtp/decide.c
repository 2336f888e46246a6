// SPDX-License-Identifier: BSD-3-Clause
//
// See decide.h. Where an address could be read in several ways (path.h), each reading must be
// allowed.
#include "dataplane/smtp/decide.h"

#include <strings.h>

static bool has_right(const struct connector *connector, unsigned identities, enum right right)
{
	return (connector_rights(connector, identities) & right) != 0;
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

static bool is_ascii(struct slice text)
{
	for (size_t i = 0; i < text.length; i++)
		if (text.data[i] > 127)
			return false;
	return true;
}

// A domain above ASCII may be another spelling of an accepted one (full-width letters, an
// ideographic full stop), which only the server would find out: it counts as one of ours.
static bool any_authoritative(const struct policy *policy, const struct path *path)
{
	for (unsigned i = 0; i < path->domain_count; i++) {
		if (!is_ascii(path->domains[i]))
			return true;
		const struct accepted_domain *domain = accepted(policy, path->domains[i]);
		if (domain && domain->type == DOMAIN_AUTHORITATIVE)
			return true;
	}
	return false;
}

enum reason decide_sender(const struct policy *policy, const struct connector *connector,
			  unsigned identities, const struct path *path, uint64_t declared_size)
{
	if (!has_right(connector, identities, RIGHT_SUBMIT))
		return REASON_smtp_not_authenticated;
	// The null sender has no domain and passes both: a bounce has no other sender.
	if (!has_right(connector, identities, RIGHT_ACCEPT_ANY_SENDER) &&
	    !all_accepted(policy, path))
		return REASON_smtp_sender_not_permitted;
	if (!has_right(connector, identities, RIGHT_ACCEPT_AUTHORITATIVE_SENDER) &&
	    any_authoritative(policy, path))
		return REASON_smtp_own_sender_not_permitted;
	if (declared_size > decide_size_limit(connector, identities))
		return REASON_smtp_too_large;
	return REASON_NONE;
}

static bool ends_with_labels(struct slice domain, const char *labels)
{
	const size_t length = strlen(labels);
	if (domain.length && domain.data[domain.length - 1] == '.')
		domain.length--;
	if (domain.length < length ||
	    strncasecmp((const char *)domain.data + domain.length - length, labels, length) != 0)
		return false;
	return domain.length == length || domain.data[domain.length - length - 1] == '.';
}

// RFC 2606 sections 2 and 3, and names without a dot, as far as the connector refuses them.
static enum reason decide_reserved(const struct connector *connector, struct slice domain)
{
	static const char *const top[] = {"test", "example", "invalid", "localhost"};
	static const char *const second[] = {"example.com", "example.net", "example.org"};

	if (domain.length == 0 || domain.data[0] == '[')
		return REASON_NONE;
	for (size_t i = 0; connector->reject_reserved_top_level && i < 4; i++)
		if (ends_with_labels(domain, top[i]))
			return REASON_smtp_reserved_top_level;
	for (size_t i = 0; connector->reject_reserved_second_level && i < 3; i++)
		if (ends_with_labels(domain, second[i]))
			return REASON_smtp_reserved_second_level;
	if (connector->reject_single_label && !memchr(domain.data, '.', domain.length))
		return REASON_smtp_single_label;
	return REASON_NONE;
}

enum reason decide_recipient(const struct policy *policy, const struct connector *connector,
			     unsigned identities, const struct path *path, uint32_t already)
{
	// <postmaster> has no domain: it is the backend's own (RFC 5321 section 4.5.1).
	if (!path->postmaster && !has_right(connector, identities, RIGHT_ACCEPT_ANY_RECIPIENT) &&
	    !all_accepted(policy, path))
		return REASON_smtp_unable_to_relay;
	for (unsigned i = 0; i < path->domain_count; i++) {
		const enum reason reason = decide_reserved(connector, path->domains[i]);
		if (reason != REASON_NONE)
			return reason;
	}
	if (already >= connector->max_recipients)
		return REASON_smtp_too_many_recipients;
	return REASON_NONE;
}

bool decide_trusts_submitter(const struct connector *connector, unsigned identities)
{
	return has_right(connector, identities, RIGHT_ACCEPT_AUTHENTICATION_FLAG);
}

bool decide_takes_exch50(const struct connector *connector, unsigned identities)
{
	return has_right(connector, identities, RIGHT_ACCEPT_EXCH50);
}

bool decide_loops(const struct connector *connector, const struct header *header)
{
	return header->hops > connector->max_hop_count ||
	       (connector->max_local_hop_count > 0 &&
		header->local_hops > connector->max_local_hop_count);
}

uint64_t decide_size_limit(const struct connector *connector, unsigned identities)
{
	return has_right(connector, identities, RIGHT_BYPASS_MESSAGE_SIZE_LIMIT)
		       ? POLICY_SIZE_UNLIMITED
		       : connector->max_message_size;
}
