// SPDX-License-Identifier: BSD-3-Clause
//
// The table behind usage.h. Exchange takes these at a connector's creation; here they hold as long
// as the file does not say otherwise.
#include "config/usage.h"

#include <strings.h>

static const struct {
	enum connector_usage usage;
	const char *key, *text;
} presets[] = {
	{USAGE_CUSTOM, "PermissionGroups", "None"},
	{USAGE_CUSTOM, "AuthMechanism", "Tls"},
	{USAGE_CLIENT, "PermissionGroups", "ExchangeUsers"},
	{USAGE_CLIENT, "AuthMechanism", "Tls, BasicAuth, BasicAuthRequireTLS, Integrated"},
	{USAGE_CLIENT, "Bindings", "0.0.0.0:587"},
	{USAGE_INTERNAL, "PermissionGroups", "ExchangeServers, ExchangeLegacyServers"},
	{USAGE_INTERNAL, "AuthMechanism", "Tls, ExchangeServer"},
	{USAGE_INTERNAL, "Bindings", "0.0.0.0:25"},
	{USAGE_INTERNET, "PermissionGroups", "AnonymousUsers"},
	{USAGE_INTERNET, "AuthMechanism", "Tls"},
	{USAGE_INTERNET, "RemoteIPRanges", "0.0.0.0-255.255.255.255"},
	{USAGE_PARTNER, "PermissionGroups", "Partners"},
	{USAGE_PARTNER, "AuthMechanism", "Tls"},
};

const char *usage_preset(enum connector_usage usage, const char *key)
{
	for (size_t i = 0; i < sizeof(presets) / sizeof(presets[0]); i++)
		if (presets[i].usage == usage && strcasecmp(presets[i].key, key) == 0)
			return presets[i].text;
	return NULL;
}
