// SPDX-License-Identifier: BSD-3-Clause
//
// The tables behind rights.h: every spelling of a right, a principal, a permission group and a
// mechanism that Exchange's documents use, and what each group grants to whom.
#include "config/rights.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <strings.h>

struct spelling {
	const char *text;
	uint32_t bit; // 0 = a right for verbs that the gate does not have
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
	{"ms-Exch-SMTP-Accept-Authentication-Flag", RIGHT_ACCEPT_AUTHENTICATION_FLAG},
	{"ms-Exch-SMTP-Accept-Exch50", RIGHT_ACCEPT_EXCH50},
	{"ms-Exch-Accept-Exch50", RIGHT_ACCEPT_EXCH50},
	{"ms-Exch-Accept-Headers-Routing", RIGHT_ACCEPT_HEADERS_ROUTING},
	{"ms-Exch-Accept-Headers-Organization", RIGHT_ACCEPT_HEADERS_ORGANIZATION},
	{"ms-Exch-Accept-Headers-Forest", RIGHT_ACCEPT_HEADERS_FOREST},
	{"ms-Exch-Bypass-Anti-Spam", RIGHT_BYPASS_ANTI_SPAM},
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

// As the protocol log spells them (section 2.6).
static const struct spelling tokens[] = {
	{"SMTPSubmit", RIGHT_SUBMIT},
	{"SMTPAcceptAnyRecipient", RIGHT_ACCEPT_ANY_RECIPIENT},
	{"SMTPAcceptAnySender", RIGHT_ACCEPT_ANY_SENDER},
	{"SMTPAcceptAuthoritativeDomainSender", RIGHT_ACCEPT_AUTHORITATIVE_SENDER},
	{"SMTPAcceptAuthenticationFlag", RIGHT_ACCEPT_AUTHENTICATION_FLAG},
	{"SMTPAcceptEXCH50", RIGHT_ACCEPT_EXCH50},
	{"AcceptRoutingHeaders", RIGHT_ACCEPT_HEADERS_ROUTING},
	{"AcceptOrganizationHeaders", RIGHT_ACCEPT_HEADERS_ORGANIZATION},
	{"AcceptForestHeaders", RIGHT_ACCEPT_HEADERS_FOREST},
	{"BypassAntiSpam", RIGHT_BYPASS_ANTI_SPAM},
	{"BypassMessageSizeLimit", RIGHT_BYPASS_MESSAGE_SIZE_LIMIT},
};

static const struct spelling mechanisms[] = {
	{"Tls", MECHANISM_TLS},
	{"Integrated", MECHANISM_INTEGRATED},
	{"BasicAuth", MECHANISM_BASIC_AUTH},
	{"BasicAuthRequireTLS", MECHANISM_BASIC_AUTH_REQUIRE_TLS},
	{"ExchangeServer", MECHANISM_EXCHANGE_SERVER},
	{"ExternalAuthoritative", MECHANISM_EXTERNAL_AUTHORITATIVE},
	{"None", 0},
};

// The first spelling of a principal is our own word.
static const struct {
	const char *text;
	enum principal principal;
} principals[] = {
	{"anonymous", PRINCIPAL_ANONYMOUS},
	{"ANONYMOUS LOGON", PRINCIPAL_ANONYMOUS},
	{"NT AUTHORITY\\ANONYMOUS LOGON", PRINCIPAL_ANONYMOUS},
	{"NT-AUTORIT\xc3\x84T\\ANONYMOUS-ANMELDUNG", PRINCIPAL_ANONYMOUS},
	{"AUTORITE NT\\ANONYMOUS LOGON", PRINCIPAL_ANONYMOUS},
	{"S-1-5-7", PRINCIPAL_ANONYMOUS},
	{"authenticated", PRINCIPAL_AUTHENTICATED},
	{"Authenticated Users", PRINCIPAL_AUTHENTICATED},
	{"NT AUTHORITY\\Authenticated Users", PRINCIPAL_AUTHENTICATED},
	{"NT-AUTORIT\xc3\x84T\\Authentifizierte Benutzer", PRINCIPAL_AUTHENTICATED},
	{"AUTORITE NT\\Utilisateurs authentifi\xc3\xa9s", PRINCIPAL_AUTHENTICATED},
	{"NT AUTHORITY\\Usuarios autentificados", PRINCIPAL_AUTHENTICATED},
	{"S-1-5-11", PRINCIPAL_AUTHENTICATED},
	{"externally-secured", PRINCIPAL_EXTERNALLY_SECURED},
	{"Externally Secured Servers", PRINCIPAL_EXTERNALLY_SECURED},
	{"MS Exchange\\Externally Secured Servers", PRINCIPAL_EXTERNALLY_SECURED},
	{"S-1-9-1419165041-1139599005-3936102811-1022490595-23", PRINCIPAL_EXTERNALLY_SECURED},
	{"partner", PRINCIPAL_PARTNER},
	{"Partner Servers", PRINCIPAL_PARTNER},
	{"MS Exchange\\Partner Servers", PRINCIPAL_PARTNER},
	{"S-1-9-1419165041-1139599005-3936102811-1022490595-10", PRINCIPAL_PARTNER},
};

#define FOR_ALL_GROUPS (RIGHT_SUBMIT | RIGHT_ACCEPT_HEADERS_ROUTING)

// Section 2.3: the columns of principals that can reach the gate.
static const struct {
	enum permission_group group;
	enum principal principal;
	rights_mask rights;
} matrix[] = {
	{PERMISSION_GROUP_ANONYMOUS_USERS, PRINCIPAL_ANONYMOUS,
	 FOR_ALL_GROUPS | RIGHT_ACCEPT_ANY_SENDER | RIGHT_ACCEPT_AUTHORITATIVE_SENDER},
	{PERMISSION_GROUP_EXCHANGE_USERS, PRINCIPAL_AUTHENTICATED,
	 FOR_ALL_GROUPS | RIGHT_ACCEPT_ANY_RECIPIENT | RIGHT_BYPASS_ANTI_SPAM},
	{PERMISSION_GROUP_EXCHANGE_SERVERS, PRINCIPAL_EXTERNALLY_SECURED,
	 FOR_ALL_GROUPS | RIGHT_ACCEPT_ANY_RECIPIENT | RIGHT_ACCEPT_ANY_SENDER |
		 RIGHT_ACCEPT_AUTHORITATIVE_SENDER | RIGHT_ACCEPT_AUTHENTICATION_FLAG |
		 RIGHT_ACCEPT_EXCH50 | RIGHT_BYPASS_ANTI_SPAM | RIGHT_BYPASS_MESSAGE_SIZE_LIMIT},
	{PERMISSION_GROUP_PARTNERS, PRINCIPAL_PARTNER, FOR_ALL_GROUPS},
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

rights_mask permission_groups_rights(uint32_t set, enum principal principal)
{
	rights_mask granted = 0;

	for (size_t i = 0; i < COUNT(matrix); i++)
		if (matrix[i].principal == principal && set & matrix[i].group)
			granted |= matrix[i].rights;
	return granted;
}

const char *right_token(enum right right)
{
	return find_bit(tokens, COUNT(tokens), right);
}

int principal_parse(const char *text, size_t length, enum principal *out)
{
	for (size_t i = 0; i < COUNT(principals); i++)
		if (strlen(principals[i].text) == length &&
		    strncasecmp(principals[i].text, text, length) == 0) {
			*out = principals[i].principal;
			return 0;
		}
	return -EINVAL;
}

const char *principal_name(enum principal principal)
{
	for (size_t i = 0; i < COUNT(principals); i++)
		if (principals[i].principal == principal)
			return principals[i].text;
	assert(!"a principal without a name");
	return NULL;
}

int mechanism_parse(const char *text, uint32_t *out)
{
	const struct spelling *found = find_text(mechanisms, COUNT(mechanisms), text);

	if (found == NULL)
		return -EINVAL;
	*out = found->bit;
	return 0;
}

const char *mechanism_name(enum mechanism mechanism)
{
	return find_bit(mechanisms, COUNT(mechanisms), mechanism);
}
