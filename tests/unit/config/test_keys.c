// SPDX-License-Identifier: BSD-3-Clause
//
// The table of keys is sound, and the documentation and the sample say what it says.
#include "config/keys.h"
#include "config/policy.h"
#include "tests/unit/config/support.h"

#include <strings.h>

static void test_rows(void **state)
{
	unsigned in_section[SECTION_COUNT] = {0};

	for (unsigned i = 0; i < keys_count(); i++) {
		const struct key *key = keys_at(i);
		char form[KEY_FORM_MAX];

		assert_true(strlen(key->help) > 10);
		assert_true(strlen(key_format_form(key, form)) > 3);
		assert_ptr_equal(keys_find(key->section, key->name), key);
		assert_int_equal(key_index(key), in_section[key->section]++);
		assert_true(in_section[key->section] <= POLICY_KEYS_MAX);
		assert_true(i == 0 || keys_at(i - 1)->section <= key->section);
		assert_false(key->required && key->fallback != NULL);
		assert_true(key->maximum >= key->minimum);
	}
	assert_null(keys_find(SECTION_GATE, "Bindings"));
	assert_non_null(keys_find(SECTION_CONNECTOR, "bINDINGS"));
	for (unsigned kind = 0; kind < SECTION_COUNT; kind++) {
		enum section_kind found;

		assert_true(section_find(section_row(kind)->name, &found));
		assert_int_equal(found, kind);
		assert_true(in_section[kind] > 0);
	}
}

// Of Set-ReceiveConnector (connector reference, section 5): each is a key, or it is told why not.
static void test_every_parameter_of_exchange(void **state)
{
	static const char *const names[] = {
		"AcceptConsumerMail",
		"AdvertiseClientSettings",
		"AuthMechanism",
		"AuthTarpitInterval",
		"Banner",
		"BareLinefeedRejectionEnabled",
		"BinaryMimeEnabled",
		"Bindings",
		"ChunkingEnabled",
		"Comment",
		"ConnectionInactivityTimeout",
		"ConnectionTimeout",
		"DefaultDomain",
		"DeliveryStatusNotificationEnabled",
		"DomainSecureEnabled",
		"EightBitMimeEnabled",
		"EnableAuthGSSAPI",
		"Enabled",
		"EnhancedStatusCodesEnabled",
		"ExtendedProtectionPolicy",
		"Fqdn",
		"LiveCredentialEnabled",
		"LongAddressesEnabled",
		"MaxAcknowledgementDelay",
		"MaxHeaderSize",
		"MaxHopCount",
		"MaxInboundConnection",
		"MaxInboundConnectionPercentagePerSource",
		"MaxInboundConnectionPerSource",
		"MaxLocalHopCount",
		"MaxLogonFailures",
		"MaxMessageSize",
		"MaxProtocolErrors",
		"MaxRecipientsPerMessage",
		"MessageRateLimit",
		"MessageRateSource",
		"OrarEnabled",
		"PermissionGroups",
		"PipeliningEnabled",
		"ProtocolLoggingLevel",
		"ProxyEnabled",
		"RejectReservedSecondLevelRecipientDomains",
		"RejectReservedTopLevelRecipientDomains",
		"RejectSingleLabelRecipientDomains",
		"RemoteIPRanges",
		"RequireEHLODomain",
		"RequireTLS",
		"ServiceDiscoveryFqdn",
		"SizeEnabled",
		"SmtpUtf8Enabled",
		"SuppressXAnonymousTls",
		"TarpitInterval",
		"TlsCertificateName",
		"TlsDomainCapabilities",
		"TransportRole",
		"Usage",
	};
	char hint[KEY_HINT_MAX];

	for (size_t i = 0; i < COUNT(names); i++)
		if (!keys_find(SECTION_CONNECTOR, names[i]) &&
		    !strstr(keys_hint(SECTION_CONNECTOR, names[i], hint), "parameter of Exchange"))
			fail_msg("%s: no key, and no word about it", names[i]);
}

static void test_hints(void **state)
{
	static const struct {
		enum section_kind section;
		const char *name, *hint;
	} cases[] = {
		{SECTION_CONNECTOR, "Binding", "did you mean Bindings?"},
		{SECTION_CONNECTOR, "RemoteIpRange", "did you mean RemoteIPRanges?"},
		{SECTION_CONNECTOR, "maxmesagesize", "did you mean MaxMessageSize?"},
		{SECTION_PORT, "Adress", "did you mean Address?"},
		{SECTION_GATE, "Servers", "belongs into [backend NAME]"},
		{SECTION_BACKEND, "Bindings", "belongs into [connector NAME]"},
		{SECTION_CONNECTOR, "defaultdomain", "parameter of Exchange"},
		{SECTION_CONNECTOR, "TransportRole", "parameter of Exchange: it names one of"},
		{SECTION_CONNECTOR, "Colour", ""},
		{SECTION_CONNECTOR, "", ""},
		{SECTION_CONNECTOR, "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", ""},
	};
	char hint[KEY_HINT_MAX];

	for (size_t i = 0; i < COUNT(cases); i++) {
		keys_hint(cases[i].section, cases[i].name, hint);
		if (cases[i].hint[0] == '\0')
			assert_string_equal(hint, "");
		else if (strstr(hint, cases[i].hint) == NULL)
			fail_msg("%s: %s", cases[i].name, hint);
	}
}

static void test_documentation_has_every_row(void **state)
{
	char *readme = read_source(__FILE__, "config/README.md");
	const char *section = NULL;
	unsigned rows = 0, wanted = 0;

	for (unsigned i = 0; i < keys_count(); i++) {
		const struct key *key = keys_at(i);
		const char *fallback = key->fallback != NULL ? key->fallback : "none";
		char form[KEY_FORM_MAX], title[64], row[900];
		const char *found;

		snprintf(title, sizeof(title), "\n### %s\n", section_row(key->section)->title);
		section = strstr(readme, title);
		if (section == NULL)
			fail_msg("config/README.md lacks the heading%s", title);
		snprintf(row, sizeof(row), "\n| %s | %s | %s | %s |\n", key->name,
			 key_format_form(key, form), key->required ? "required" : fallback,
			 key->help);
		found = strstr(section, row);
		if (found == NULL)
			fail_msg("config/README.md lacks under%sthis row:%s", title, row);
		// Below its own heading, not a later one's.
		assert_true(strstr(section + 1, "\n### ") == NULL ||
			    found < strstr(section + 1, "\n### "));
	}
	// And no row more.
	for (const char *at = strstr(readme, "\n### "); at != NULL; at = strchr(at + 1, '\n'))
		rows += strncmp(at, "\n| ", 3) == 0;
	wanted = keys_count() + SECTION_COUNT; // the tables' headings
	assert_int_equal(rows, wanted);
	free(readme);
}

// "Key = value" in the sample, or ";Key = value" with its default.
static void test_sample_shows_every_key(void **state)
{
	char *sample = read_source(__FILE__, "config/relaygate.ini");
	bool shown[256] = {false};
	enum section_kind section = SECTION_GATE;
	unsigned active[SECTION_COUNT] = {0};

	assert_true(keys_count() <= COUNT(shown));
	for (char *line = strtok(sample, "\n"); line != NULL; line = strtok(NULL, "\n")) {
		bool off = line[0] == ';';
		char *equals = strstr(line, " = ");
		const struct key *key;

		if (line[off] == '[') {
			char name[32];

			assert_int_equal(sscanf(line + off, "[%31[^] ]", name), 1);
			assert_true(section_find(name, &section));
			continue;
		}
		if (line[0] == '#' || equals == NULL)
			continue;
		*equals = '\0';
		key = keys_find(section, line + off);
		if (key == NULL)
			fail_msg("relaygate.ini: no key %s in %s", line + off,
				 section_row(section)->title);
		assert_string_equal(line + off, key->name); // in the documented spelling
		for (unsigned i = 0; i < keys_count(); i++)
			if (keys_at(i) == key)
				shown[i] = true;
		if (off && key->fallback != NULL && key->type != KEY_PERMISSION_GROUPS &&
		    strcmp(equals + 3, key->fallback) != 0)
			fail_msg("relaygate.ini: %s shows %s, the default is %s", key->name,
				 equals + 3, key->fallback);
		active[section] += !off;
	}
	for (unsigned i = 0; i < keys_count(); i++)
		if (!shown[i])
			fail_msg("relaygate.ini lacks %s of %s", keys_at(i)->name,
				 section_row(keys_at(i)->section)->title);
	assert_true(active[SECTION_GATE] > 0 && active[SECTION_CONNECTOR] > 0);
	free(sample);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_every_parameter_of_exchange),
		cmocka_unit_test(test_hints),
		cmocka_unit_test(test_documentation_has_every_row),
		cmocka_unit_test(test_sample_shows_every_key),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
