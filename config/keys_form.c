// SPDX-License-Identifier: BSD-3-Clause
//
// The form of a key's value in words, for error messages and the tables of the README. The keys
// themselves are in keys.c.
#include "config/keys.h"

#include "config/value.h"

#include <assert.h>
#include <stdio.h>

static void format_span(const struct key *key, char buffer[KEY_FORM_MAX])
{
	char low[VALUE_TEXT_MAX], high[VALUE_TEXT_MAX];

	if (key->type == KEY_SIZE) {
		value_format_size(key->minimum, low);
		value_format_size(key->maximum, high);
	} else if (key->type == KEY_TIME) {
		value_format_time(key->minimum, low);
		value_format_time(key->maximum, high);
	} else {
		snprintf(low, sizeof(low), "%llu", (unsigned long long)key->minimum);
		snprintf(high, sizeof(high), "%llu", (unsigned long long)key->maximum);
	}
	snprintf(buffer, KEY_FORM_MAX, "%s to %s%s", low, high,
		 key->unlimited ? ", or unlimited" : "");
}

char *key_format_form(const struct key *key, char buffer[KEY_FORM_MAX])
{
	static const char *const forms[KEY_TYPE_COUNT] = {
		[KEY_BOOLEAN] = "yes or no",
		[KEY_WEIGHT] = "-100 to 100, not 0",
		[KEY_FQDN] = "host name with a dot",
		[KEY_ZONE] = "domain name",
		[KEY_USER] = "user name",
		[KEY_PIN_DIRECTORY] = "absolute path without a dot",
		[KEY_DIRECTORY] = "absolute path",
		[KEY_DEVICE] = "af_xdp:IFACE, af_packet:IFACE, pci:ADDRESS or vdev:TEXT",
		[KEY_BACKEND] = "name of a backend",
		[KEY_BANNER] = "220 TEXT",
		[KEY_LIMIT_REPLY] = "421 TEXT",
		[KEY_COMMENT] = "text",
		[KEY_INTERFACE_ADDRESSES] = "list of ADDRESS/LENGTH",
		[KEY_GATEWAYS] = "list of ADDRESS",
		[KEY_BINDINGS] = "list of IPV4:PORT or [IPV6]:PORT",
		[KEY_RANGES] = "list of ADDRESS, ADDRESS/LENGTH or ADDRESS-ADDRESS",
		[KEY_PERMISSION_GROUPS] = "list of AnonymousUsers, ExchangeUsers, ExchangeServers, "
					  "ExchangeLegacyServers, Partners; or None",
		[KEY_RIGHTS] = "list of PRINCIPAL: RIGHT, the principal being anonymous, "
			       "authenticated, externally-secured or partner",
		[KEY_MECHANISMS] = "list of Tls, Integrated, BasicAuth, BasicAuthRequireTLS, "
				   "ExchangeServer, ExternalAuthoritative; or None",
		[KEY_IP_ENTRIES] = "list of ADDRESS, ADDRESS/LENGTH or ADDRESS-ADDRESS, each with "
				   "\"until YYYY-MM-DD\" or \"until YYYY-MM-DDThh:mmZ\" behind it "
				   "or not",
		[KEY_SERVERS] = "list of ADDRESS, IPV4:PORT or [IPV6]:PORT",
		[KEY_DNS_SERVERS] = "list of ADDRESS, IPV4:PORT or [IPV6]:PORT",
		[KEY_REPLIES] = "list of IPv4 ADDRESS, ADDRESS/LENGTH or ADDRESS-ADDRESS",
	};
	size_t used = 0;

	switch (key->type) {
	case KEY_NUMBER:
	case KEY_SIZE:
	case KEY_TIME:
		format_span(key, buffer);
		break;
	case KEY_CHOICE:
		for (unsigned i = 0; key->choices[i] != NULL; i++) {
			const char *before = i == 0 ? "" : key->choices[i + 1] ? ", " : " or ";

			used += (size_t)snprintf(buffer + used, KEY_FORM_MAX - used, "%s%s", before,
						 key->choices[i]);
			assert(used < KEY_FORM_MAX);
		}
		break;
	default:
		snprintf(buffer, KEY_FORM_MAX, "%s", forms[key->type]);
	}
	return buffer;
}
