// SPDX-License-Identifier: BSD-3-Clause
//
// The rows (connector reference, section 5). Numbers of enumerations are those that Export-Clixml
// shows beside the names.
#include "control/import_parameter.h"

#include <stddef.h>
#include <strings.h>

static const struct import_name group_names[] = {
	{0, "None"},
	{1, "AnonymousUsers"},
	{2, "ExchangeUsers"},
	{4, "ExchangeServers"},
	{8, "ExchangeLegacyServers"},
	{16, "Partners"},
	{32, "Custom"},
	{0, NULL},
};
static const struct import_name mechanism_names[] = {
	{0, "None"},
	{1, "Tls"},
	{2, "Integrated"},
	{4, "BasicAuth"},
	{8, "BasicAuthRequireTLS"},
	{16, "ExchangeServer"},
	{32, "ExternalAuthoritative"},
	{0, NULL},
};
const struct import_name import_role_names[] = {
	{32, "HubTransport"}, {64, "Edge"}, {16384, "FrontendTransport"}, {0, NULL}};
static const struct import_name size_names[] = {
	{0, "Disabled"}, {1, "Enabled"}, {2, "EnabledWithoutValue"}, {0, NULL}};
static const struct import_name source_names[] = {
	{0, "None"}, {1, "IPAddress"}, {2, "User"}, {3, "All"}, {0, NULL}};
static const struct import_name logging_names[] = {{0, "None"}, {1, "Verbose"}, {0, NULL}};
static const struct import_name protection_names[] = {
	{0, "None"}, {1, "Allow"}, {2, "Require"}, {0, NULL}};

#define NO_TLS  "this version has no TLS: "
#define NO_AUTH "this version has no AUTH: nothing of it is left"

// clang-format off: one shape for every row.
const struct import_parameter import_parameters[] = {
	{.name = "Enabled", .type = TYPE_BOOLEAN},
	{.name = "Comment", .type = TYPE_TEXT},
	{.name = "Bindings", .type = TYPE_BINDINGS},
	{.name = "RemoteIPRanges", .type = TYPE_RANGES},
	{.name = "PermissionGroups", .type = TYPE_GROUPS, .names = group_names},
	{.name = "AuthMechanism", .type = TYPE_MECHANISMS, .names = mechanism_names},
	{.name = "TransportRole", .type = TYPE_ROLE, .names = import_role_names},
	{.name = "Fqdn", .type = TYPE_TEXT},
	{.name = "Banner", .type = TYPE_TEXT},
	{.name = "MaxMessageSize", .type = TYPE_SIZE},
	{.name = "MaxHeaderSize", .type = TYPE_SIZE},
	{.name = "MaxHopCount", .type = TYPE_NUMBER},
	{.name = "MaxLocalHopCount", .type = TYPE_NUMBER},
	{.name = "MaxRecipientsPerMessage", .type = TYPE_NUMBER},
	{.name = "MaxProtocolErrors", .type = TYPE_NUMBER},
	{.name = "MaxLogonFailures", .type = TYPE_NUMBER, .quiet = "3", .meaning = NO_AUTH},
	{.name = "MaxInboundConnection", .type = TYPE_NUMBER},
	{.name = "MaxInboundConnectionPerSource", .type = TYPE_NUMBER},
	{.name = "MaxInboundConnectionPercentagePerSource", .type = TYPE_NUMBER},
	{.name = "MessageRateLimit", .type = TYPE_NUMBER},
	{.name = "MessageRateSource", .type = TYPE_NAME, .names = source_names},
	{.name = "TarpitInterval", .type = TYPE_TIME},
	{.name = "AuthTarpitInterval", .type = TYPE_TIME, .quiet = "5s", .meaning = NO_AUTH},
	{.name = "MaxAcknowledgementDelay",
	 .type = TYPE_TIME,
	 .quiet = "30s",
	 .meaning = "the reply to the end of data is the backend's own, and comes as soon as it "
		    "does"},
	{.name = "ConnectionTimeout", .type = TYPE_TIME},
	{.name = "ConnectionInactivityTimeout", .type = TYPE_TIME},
	{.name = "ProtocolLoggingLevel", .type = TYPE_NAME, .names = logging_names},
	{.name = "SizeEnabled", .type = TYPE_NAME, .names = size_names},
	{.name = "PipeliningEnabled", .type = TYPE_BOOLEAN},
	{.name = "DeliveryStatusNotificationEnabled", .type = TYPE_BOOLEAN},
	{.name = "EnhancedStatusCodesEnabled", .type = TYPE_BOOLEAN},
	{.name = "EightBitMimeEnabled", .type = TYPE_BOOLEAN},
	{.name = "ChunkingEnabled", .type = TYPE_BOOLEAN},
	{.name = "BinaryMimeEnabled", .type = TYPE_BOOLEAN},
	{.name = "SmtpUtf8Enabled", .type = TYPE_BOOLEAN},
	{.name = "LongAddressesEnabled", .type = TYPE_BOOLEAN},
	{.name = "OrarEnabled", .type = TYPE_BOOLEAN},
	{.name = "BareLinefeedRejectionEnabled",
	 .type = TYPE_BOOLEAN,
	 .refused = "no",
	 .meaning = "bare line feeds are accepted there and refused here; write "
		    "BareLinefeedRejectionEnabled = no if a client needs it"},
	{.name = "RequireEHLODomain", .type = TYPE_BOOLEAN},
	{.name = "RequireTLS",
	 .type = TYPE_BOOLEAN,
	 .refused = "yes",
	 .meaning = NO_TLS "mail that must be encrypted there is taken in clear text here"},
	{.name = "DomainSecureEnabled",
	 .type = TYPE_BOOLEAN,
	 .quiet = "no",
	 .meaning = NO_TLS "no partner is known by its certificate"},
	{.name = "SuppressXAnonymousTls",
	 .type = TYPE_BOOLEAN,
	 .quiet = "no",
	 .meaning = "X-ANONYMOUSTLS is never offered"},
	{.name = "TlsCertificateName",
	 .type = TYPE_PRESENCE,
	 .meaning = NO_TLS "the certificate is not used"},
	{.name = "TlsDomainCapabilities",
	 .type = TYPE_PRESENCE,
	 .meaning = NO_TLS "no domain is trusted by its certificate"},
	{.name = "ExtendedProtectionPolicy",
	 .type = TYPE_NAME,
	 .names = protection_names,
	 .quiet = "None",
	 .meaning = NO_AUTH},
	{.name = "EnableAuthGSSAPI", .type = TYPE_BOOLEAN, .quiet = "no", .meaning = NO_AUTH},
	{.name = "DefaultDomain",
	 .type = TYPE_PRESENCE,
	 .meaning = "addresses without a domain get none here: they are refused"},
	{.name = "AdvertiseClientSettings",
	 .type = TYPE_BOOLEAN,
	 .quiet = "no",
	 .meaning = "clients are shown no settings: SMTP is as it was"},
	{.name = "ServiceDiscoveryFqdn",
	 .type = TYPE_PRESENCE,
	 .meaning = "clients are shown no settings: SMTP is as it was"},
	{.name = "LiveCredentialEnabled", .type = TYPE_BOOLEAN, .quiet = "no", .meaning = NO_AUTH},
	{.name = "ProxyEnabled",
	 .type = TYPE_BOOLEAN,
	 .quiet = "no",
	 .meaning = "the gate takes no proxied sessions"},
	{.name = "AcceptConsumerMail",
	 .type = TYPE_BOOLEAN,
	 .quiet = "no",
	 .meaning = "it has no counterpart"},
	{.name = "RejectReservedTopLevelRecipientDomains", .type = TYPE_BOOLEAN},
	{.name = "RejectReservedSecondLevelRecipientDomains", .type = TYPE_BOOLEAN},
	{.name = "RejectSingleLabelRecipientDomains", .type = TYPE_BOOLEAN},
	{.name = NULL},
};
// clang-format on

// Properties of every object of the directory and of every remote one: nothing of them is SMTP.
static const char *const not_parameters[] = {
	"AdminDisplayName",
	"DistinguishedName",
	"ExchangeObjectId",
	"ExchangeVersion",
	"Guid",
	"Id",
	"Identity",
	"IsValid",
	"Name",
	"ObjectCategory",
	"ObjectClass",
	"ObjectState",
	"OrganizationalUnitRoot",
	"OrganizationId",
	"OriginatingServer",
	"PSComputerName",
	"PSShowComputerName",
	"RunspaceId",
	"SerializationData",
	"Server",
	"WhenChanged",
	"WhenChangedUTC",
	"WhenCreated",
	"WhenCreatedUTC",
};

bool import_parameter_is_known(const char *name)
{
	for (const struct import_parameter *row = import_parameters; row->name; row++)
		if (strcasecmp(row->name, name) == 0)
			return true;
	for (size_t i = 0; i < sizeof(not_parameters) / sizeof(not_parameters[0]); i++)
		if (strcasecmp(not_parameters[i], name) == 0)
			return true;
	return false;
}
