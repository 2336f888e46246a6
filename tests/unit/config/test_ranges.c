// SPDX-License-Identifier: BSD-3-Clause
//
// Every number, size and time of every section at its smallest and largest value, one beyond each,
// at its default and, where it may be, unlimited; every switch and every choice with each of its
// words, at its default, and with a word that is none: what the loader takes, and what the policy
// then holds. Made from the key table, so that no parameter is left out.
#include "config/keys.h"
#include "config/load.h"
#include "config/policy.h"
#include "config/value.h"
#include "tests/unit/config/support.h"

#include <inttypes.h>
#include <strings.h>

// One section of each kind; the key under test goes to the end of its own.
static const char *const sections[SECTION_COUNT] = {
	[SECTION_GATE] = "[gate]\nName = mx.contoso.com\n",
	[SECTION_PORT] = "[port p]\nDevice = eth1\nAddress = 192.0.2.10/24\n",
	[SECTION_ACCEPTED_DOMAIN] = "[accepted-domain contoso.com]\n",
	[SECTION_CONNECTOR] =
		"[connector c]\nBindings = 192.0.2.10:25\nRemoteIPRanges = 10.0.0.0/8\n",
	[SECTION_BACKEND] = "[backend b]\nServers = 192.0.2.20\n",
	[SECTION_DNSBL] = "[dnsbl l.test]\nZone = l.test\n",
	[SECTION_IP_ALLOW] = "[ip-allow]\nAddresses = 203.0.113.1\n",
	[SECTION_IP_BLOCK] = "[ip-block]\nAddresses = 203.0.113.2\n",
	[SECTION_BAN] = "[ban]\n",
};

static const void *object_of(const struct policy *policy, enum section_kind kind)
{
	switch (kind) {
	case SECTION_GATE:
		return &policy->gate;
	case SECTION_PORT:
		return &policy->ports[0];
	case SECTION_ACCEPTED_DOMAIN:
		return &policy->domains[0];
	case SECTION_CONNECTOR:
		return &policy->connectors[0];
	case SECTION_BACKEND:
		return &policy->backends[0];
	case SECTION_IP_ALLOW:
		return &policy->ip_allow;
	case SECTION_BAN:
		return &policy->ban;
	default:
		return &policy->ip_block;
	}
}

static uint64_t field_of(const struct policy *policy, const struct key *key)
{
	const char *at = (const char *)object_of(policy, key->section) + key->offset;
	uint8_t byte;
	uint16_t half;
	uint32_t word;
	uint64_t whole;

	memcpy(&byte, at, sizeof(byte));
	memcpy(&half, at, sizeof(half));
	memcpy(&word, at, sizeof(word));
	if (key->size == sizeof(byte))
		return byte;
	if (key->size == sizeof(half))
		return half;
	if (key->size == sizeof(word))
		return word;
	memcpy(&whole, at, sizeof(whole));
	return whole;
}

// The field's value with this text (NULL: the key is left out); false when it is out of range.
static bool load(const struct key *key, const char *text, uint64_t *value)
{
	struct findings findings;
	struct policy *policy;
	char file[2000] = "";
	bool out;

	for (unsigned kind = 0; kind < SECTION_COUNT; kind++) {
		strcat(file, sections[kind]);
		if (kind == key->section && text != NULL)
			sprintf(file + strlen(file), "%s = %s\n", key->name, text);
		// What other keys' defaults would be in the way of.
		if (kind == SECTION_BAN && strcmp(key->name, "BanTime") == 0)
			strcat(file, "BanTimeMax = 365d\n");
		if (kind == SECTION_BAN && strcmp(key->name, "BanTimeMax") == 0)
			strcat(file, "BanTime = 1s\n");
		if (kind == SECTION_CONNECTOR && strcmp(key->name, "ConnectionTimeout") == 0)
			strcat(file, "ConnectionInactivityTimeout = 1s\n");
		if (kind == SECTION_CONNECTOR &&
		    strcmp(key->name, "ConnectionInactivityTimeout") == 0)
			strcat(file, "ConnectionTimeout = 1d\n");
	}
	findings_init(&findings);
	policy = policy_load_text(file, &findings.diagnostics);
	out = strstr(findings.text, "out of range") != NULL;
	if (policy == NULL && !out && strstr(findings.text, "must be below") == NULL &&
	    strstr(findings.text, key->name) == NULL)
		fail_msg("%s = %s: %s", key->name, text, findings.text);
	if (policy != NULL) {
		assert_false(out);
		*value = field_of(policy, key);
	}
	policy_destroy(policy);
	findings_fini(&findings);
	return !out;
}

// As it would be written: never rounded.
static void write_value(const struct key *key, uint64_t value, char *text)
{
	if (key->type == KEY_TIME)
		sprintf(text, "%" PRIu64 "ms", value);
	else
		sprintf(text, "%" PRIu64, value);
}

static void expect(const struct key *key, uint64_t value, bool good)
{
	char text[32];
	uint64_t held = value;

	write_value(key, value, text);
	if (load(key, text, &held) != good)
		fail_msg("%s = %s should be %s", key->name, text, good ? "taken" : "refused");
	if (good && held != value)
		fail_msg("%s = %s became %" PRIu64, key->name, text, held);
}

static void expect_default(const struct key *key)
{
	uint64_t wanted = UINT64_MAX, held = 0;
	const char *why;

	assert_true(load(key, NULL, &held));
	if (strcmp(key->fallback, "unlimited") == 0)
		wanted = key->size == sizeof(uint32_t) ? UINT32_MAX : UINT64_MAX;
	else if (key->type == KEY_SIZE)
		assert_int_equal(value_size(key->fallback, &wanted, &why), 0);
	else if (key->type == KEY_TIME)
		assert_int_equal(value_time(key->fallback, &wanted, &why), 0);
	else
		assert_int_equal(value_number(key->fallback, &wanted, &why), 0);
	if (held != wanted)
		fail_msg("%s: the default is %" PRIu64 ", not %s", key->name, held, key->fallback);
}

static void test_every_range(void **state)
{
	unsigned judged = 0;

	for (unsigned i = 0; i < keys_count(); i++) {
		const struct key *key = keys_at(i);
		uint64_t held = 0;

		if (key->type != KEY_NUMBER && key->type != KEY_SIZE && key->type != KEY_TIME)
			continue;
		expect_default(key);
		expect(key, key->minimum, true);
		expect(key, key->maximum, true);
		if (key->minimum > 0)
			expect(key, key->minimum - 1, false);
		expect(key, key->maximum + 1, false);
		if (load(key, "unlimited", &held) && held != 0)
			assert_true(key->unlimited && (held == UINT32_MAX || held == UINT64_MAX));
		judged++;
	}
	assert_true(judged >= 30);
}

// The policy's value for a word: false when there is no policy, with an error about the key.
static bool load_word(const struct key *key, const char *word, uint64_t *value)
{
	uint64_t untouched = *value = UINT64_MAX;

	return load(key, word, value) && *value != untouched;
}

static void expect_word(const struct key *key, const char *word, uint64_t wanted)
{
	uint64_t held;

	if (!load_word(key, word, &held) || held != wanted)
		fail_msg("%s = %s: not %" PRIu64, key->name, word, wanted);
	// Where it is the default, the key may as well be left out.
	if (key->fallback != NULL && strcasecmp(key->fallback, word) == 0 &&
	    (!load_word(key, NULL, &held) || held != wanted))
		fail_msg("%s left out: not %s", key->name, word);
}

static void test_every_word(void **state)
{
	// What other keys are needed for, or this version does not have.
	static const char *const refused[] = {"AllDomains", "RequireTLS", "Usage",
					      "ProtocolLoggingLevel"};
	unsigned judged = 0;

	for (unsigned i = 0; i < keys_count(); i++) {
		const struct key *key = keys_at(i);
		uint64_t held;
		bool special = false;

		for (size_t j = 0; j < COUNT(refused); j++)
			special |= strcmp(key->name, refused[j]) == 0;
		if (special || (key->type != KEY_BOOLEAN && key->type != KEY_CHOICE))
			continue;
		if (key->type == KEY_BOOLEAN) {
			expect_word(key, "yes", true);
			expect_word(key, "no", false);
			assert_false(load_word(key, "2", &held));
		}
		for (unsigned j = 0; key->type == KEY_CHOICE && key->choices[j]; j++)
			expect_word(key, key->choices[j], j);
		assert_false(load_word(key, "perhaps", &held));
		judged++;
	}
	assert_true(judged >= 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_range),
		cmocka_unit_test(test_every_word),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
