// SPDX-License-Identifier: BSD-3-Clause
//
// The tables behind rights.h: every spelling of a right and of a permission group that Exchange's
// documents use, and what each group grants to a session that has not authenticated.
// Rights of authenticated principals are not in the tables: this version has no authentication.
#include "config/rights.h"

#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <strings.h>

struct spelling {
	const char *text;
	uint32_t bit; // 0 = a right of Exchange that this version does not enforce
};

// The first spelling of a bit is the canonical one.
static const struct spelling rights[] = {
	{"ms-Exch-SMTP-Submit", RIGHT_SUBMIT},
	{"ms-Exch-SMTP-Accept-Any-Recipient", RIGHT_ACCEPT_ANY_RECIPIENT},
	{"ms-Exchange-SMTP-Accept-Any-Recipient", RIGHT_ACCEPT_ANY_RECIPIENT},
	{"s-Exch-SMTP-Accept-Any-Recipient", RIGHT_ACCEPT_ANY_RECIPIENT},
	{"ms-Exch-SMTP-Accept-Any-Sender", RIGHT_ACCEPT_ANY_SENDER},
	{"ms-Exch-SMTP-Accept-Authoritative-Domain-Sender", RIGHT_ACCEPT_AUTHORITATIVE_SENDER},
	{"ms-Exch-SMTP-Accept-Authoritative-Domain", RIGHT_ACCEPT_AUTHORITATIVE_SENDER},
	{"ms-Exch-Bypass-Message-Size-Limit", RIGHT_BYPASS_MESSAGE_SIZE_LIMIT},
	{"ms-Exch-SMTP-Accept-Authentication-Flag", 0},
	{"ms-Exch-SMTP-Accept-Exch50", 0},
	{"ms-Exch-Accept-Exch50", 0},
	{"ms-Exch-Accept-Headers-Routing", 0},
	{"ms-Exch-Accept-Headers-Organization", 0},
	{"ms-Exch-Accept-Headers-Forest", 0},
	{"ms-Exch-Bypass-Anti-Spam", 0},
	{"ms-Exch-SMTP-Accept-Xattr", 0},
	{"ms-Exch-SMTP-Accept-XProxyFrom", 0},
	{"ms-Exch-SMTP-Accept-XSessionParams", 0},
	{"ms-Exch-SMTP-Accept-XShadow", 0},
	{"ms-Exch-SMTP-Accept-XSysProbe", 0},
	{"ms-Exch-SMTP-Send-XMessageContext-ADRecipientCache", 0},
	{"ms-Exch-SMTP-Send-XMessageContext-ExtendedProperties", 0},
	{"ms-Exch-SMTP-Send-XMessageContext-FastIndex", 0},
};

static const struct spelling groups[] = {
	{"AnonymousUsers", PERMISSION_GROUP_ANONYMOUS_USERS},
	{"Anonymous", PERMISSION_GROUP_ANONYMOUS_USERS},
	{"Anonymous users", PERMISSION_GROUP_ANONYMOUS_USERS},
	{"ExchangeUsers", PERMISSION_GROUP_EXCHANGE_USERS},
	{"Exchange users", PERMISSION_GROUP_EXCHANGE_USERS},
	{"ExchangeServers", PERMISSION_GROUP_EXCHANGE_SERVERS},
	{"Exchange servers", PERMISSION_GROUP_EXCHANGE_SERVERS},
	{"ExchangeLegacyServers", PERMISSION_GROUP_EXCHANGE_LEGACY_SERVERS},
	{"Legacy Exchange servers", PERMISSION_GROUP_EXCHANGE_LEGACY_SERVERS},
	{"Partners", PERMISSION_GROUP_PARTNERS},
	{"Partner", PERMISSION_GROUP_PARTNERS},
	{"None", 0},
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct spelling *find_text(const struct spelling *list, size_t count, const char *text)
{
	for (size_t i = 0; i < count; i++)
		if (strcasecmp(list[i].text, text) == 0)
			return &list[i];
	return NULL;
}

static const char *find_bit(const struct spelling *list, size_t count, uint32_t bit)
{
	for (size_t i = 0; i < count; i++)
		if (list[i].bit == bit)
			return list[i].text;
	assert(!"a bit without a name");
	return NULL;
}

int rights_parse(const char *text, enum right *out)
{
	const struct spelling *found = find_text(rights, COUNT(rights), text);

	if (found == NULL)
		return -EINVAL;
	if (found->bit == 0)
		return -ENOTSUP;
	*out = (enum right)found->bit;
	return 0;
}

const char *right_name(enum right right)
{
	return find_bit(rights, COUNT(rights), right);
}

int permission_group_parse(const char *text, uint32_t *out)
{
	const struct spelling *found = find_text(groups, COUNT(groups), text);

	if (found == NULL)
		return -EINVAL;
	*out = found->bit;
	return 0;
}

const char *permission_group_name(enum permission_group group)
{
	return find_bit(groups, COUNT(groups), group);
}

rights_mask permission_groups_anonymous_rights(uint32_t set)
{
	// The other groups grant to principals that have authenticated.
	if (set & PERMISSION_GROUP_ANONYMOUS_USERS)
		return RIGHT_SUBMIT | RIGHT_ACCEPT_ANY_SENDER | RIGHT_ACCEPT_AUTHORITATIVE_SENDER;
	return 0;
}
