// SPDX-License-Identifier: BSD-3-Clause
//
// What may have been meant by a key that there is not: one of another section, a similar name, or a
// parameter of Exchange that has no equivalent here, with the reason. The keys themselves are in
// keys.c.
#include "config/keys.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define NEEDS_AUTH "it needs AUTH, which this version does not have"
#define NEEDS_TLS  "it needs TLS, which this version does not have"
#define NOT_SMTP   "it is about what mail clients are shown, and changes nothing of SMTP"
#define INTERNAL   "Exchange uses it internally"

// Parameters of Exchange's receive connectors that an administrator may bring along.
static const struct {
	const char *name, *why;
} not_here[] = {
	{"AcceptConsumerMail", INTERNAL},
	{"AdvertiseClientSettings", NOT_SMTP},
	{"AuthTarpitInterval", NEEDS_AUTH},
	{"DefaultDomain", "addresses without a domain are refused"},
	{"DomainSecureEnabled", NEEDS_TLS},
	{"EnableAuthGSSAPI", NEEDS_AUTH},
	{"ExtendedProtectionPolicy", NEEDS_AUTH},
	{"LiveCredentialEnabled", INTERNAL},
	{"MaxAcknowledgementDelay", "the reply to the end of data is the server's own"},
	{"MaxLogonFailures", NEEDS_AUTH},
	{"ProxyEnabled", INTERNAL},
	{"ServiceDiscoveryFqdn", NOT_SMTP},
	{"SuppressXAnonymousTls", "X-ANONYMOUSTLS is never offered"},
	{"TlsCertificateName", NEEDS_TLS},
	{"TlsDomainCapabilities", NEEDS_TLS},
	{"TransportRole", "it names one of Exchange's services, and the gate is one"},
};

#define HINT_NAME_MAX 40

// Levenshtein's distance without regard to case, row by row.
static unsigned distance(const char *a, const char *b)
{
	unsigned row[HINT_NAME_MAX + 1];
	size_t a_length = strlen(a), b_length = strlen(b);

	if (a_length > HINT_NAME_MAX || b_length > HINT_NAME_MAX)
		return HINT_NAME_MAX;
	for (unsigned j = 0; j <= b_length; j++)
		row[j] = j;
	for (unsigned i = 1; i <= a_length; i++) {
		unsigned diagonal = row[0];

		row[0] = i;
		for (unsigned j = 1; j <= b_length; j++) {
			bool same = strncasecmp(&a[i - 1], &b[j - 1], 1) == 0;
			unsigned change = diagonal + (same ? 0 : 1);

			diagonal = row[j];
			row[j] = row[j] < row[j - 1] ? row[j] + 1 : row[j - 1] + 1;
			if (change < row[j])
				row[j] = change;
		}
	}
	return row[b_length];
}

char *keys_hint(enum section_kind section, const char *name, char buffer[KEY_HINT_MAX])
{
	const struct key *nearest = NULL;
	unsigned least = 3; // two slips of the keyboard

	buffer[0] = '\0';
	for (unsigned i = 0; i < keys_count(); i++) {
		const struct key *key = keys_at(i);
		unsigned steps = distance(name, key->name);

		if (key->section == section && steps < least) {
			nearest = key;
			least = steps;
		}
		if (steps == 0) {
			snprintf(buffer, KEY_HINT_MAX, ": it belongs into %s",
				 section_row(key->section)->title);
			return buffer;
		}
	}
	for (size_t i = 0; i < COUNT(not_here); i++)
		if (strcasecmp(name, not_here[i].name) == 0) {
			snprintf(buffer, KEY_HINT_MAX, ": remove this parameter of Exchange: %s",
				 not_here[i].why);
			return buffer;
		}
	if (nearest != NULL)
		snprintf(buffer, KEY_HINT_MAX, ": did you mean %s?", nearest->name);
	return buffer;
}
