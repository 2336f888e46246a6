// SPDX-License-Identifier: BSD-3-Clause
//
// Nested or disjoint, per binding: the cases by name, and thousands of random policies against a
// slow twin that compares every pair. What a specific binding hides, against a walk over all
// addresses.
#include "config/overlap.h"
#include "config/policy.h"
#include "tests/unit/config/support.h"

#include <inttypes.h>

struct sample {
	const char *binding[3], *ranges[3];
	bool disabled;
};

static const struct scene {
	struct sample connectors[3];
	unsigned errors, warnings;
	const char *fragment;
} scenes[] = {
	// Exchange's own example of nesting
	{{{{"0.0.0.0:25"}, {"0.0.0.0/0"}, false},
	  {{"0.0.0.0:25"}, {"192.168.1.0-192.168.1.255"}, false},
	  {{"0.0.0.0:25"}, {"192.168.1.75"}, false}},
	 0,
	 0,
	 NULL},
	{{{{"192.0.2.1:25"}, {"10.0.0.0/24"}, false}, {{"192.0.2.1:25"}, {"10.0.1.0/24"}, false}},
	 0,
	 0,
	 NULL},
	{{{{"192.0.2.1:25"}, {"10.0.0.0/24"}, false},
	  {{"192.0.2.1:25"}, {"10.0.0.128-10.0.1.10"}, false}},
	 1,
	 0,
	 "the range 10.0.0.128-10.0.1.10 of connector \"c1\" overlaps in part with 10.0.0.0/24 of "
	 "connector \"c0\" on line 100, and both answer on 192.0.2.1:25"},
	{{{{"192.0.2.1:25"}, {"10.0.0.0/24"}, false}, {{"192.0.2.1:25"}, {"10.0.0.0/24"}, false}},
	 1,
	 0,
	 "the range 10.0.0.0/24 of connector \"c1\" is also listed by connector \"c0\" on line "
	 "100"},
	// Another port, another address, another family, disabled: no meeting
	{{{{"192.0.2.1:25"}, {"10.0.0.0/24"}, false}, {{"192.0.2.1:587"}, {"10.0.0.0/24"}, false}},
	 0,
	 0,
	 NULL},
	{{{{"192.0.2.1:25"}, {"10.0.0.0/24"}, false}, {{"192.0.2.2:25"}, {"10.0.0.0/24"}, false}},
	 0,
	 0,
	 NULL},
	{{{{"192.0.2.1:25"}, {"0.0.0.0/0"}, false}, {{"[::]:25"}, {"::/0", "0.0.0.0/0"}, false}},
	 0,
	 0,
	 NULL},
	{{{{"192.0.2.1:25", "[::]:25"}, {"0.0.0.0/0", "::/0"}, false}}, 0, 0, NULL},
	{{{{"192.0.2.1:25"}, {"10.0.0.0/24"}, false}, {{"192.0.2.1:25"}, {"10.0.0.0/24"}, true}},
	 0,
	 0,
	 NULL},
	// Two bindings shared by the same connectors: told once
	{{{{"192.0.2.1:25", "192.0.2.2:25"}, {"10.0.0.0/24"}, false},
	  {{"192.0.2.2:25", "192.0.2.1:25"}, {"10.0.0.0/24"}, false}},
	 1,
	 0,
	 "both answer on 192.0.2.1:25"},
	// Within one connector
	{{{{"192.0.2.1:25"}, {"10.0.0.1", "10.0.0.1/32"}, false}},
	 1,
	 0,
	 "twice, first on line 100"},
	{{{{"192.0.2.1:25"}, {"10.0.0.0-10.0.0.9", "10.0.0.5-10.0.0.20"}, false}},
	 1,
	 0,
	 "write one range, 10.0.0.0-10.0.0.20"},
	{{{{"192.0.2.1:25"}, {"10.0.0.0-10.0.0.9", "10.0.0.5"}, false}}, 0, 0, NULL},
	{{{{"192.0.2.1:25", "192.0.2.1:25"}, {"10.0.0.0"}, false}},
	 1,
	 0,
	 "lists the binding 192.0.2.1:25 twice"},
	// A specific binding hides a wider one
	{{{{"0.0.0.0:25"}, {"10.0.0.0/24"}, false}, {{"192.0.2.1:25"}, {"10.0.0.128/25"}, false}},
	 0,
	 1,
	 "hides 0.0.0.0:25 of connector \"c0\" (line 10): there is no fall-back, so at "
	 "192.0.2.1:25 "
	 "these sources are refused: 10.0.0.0/25"},
	{{{{"0.0.0.0:25"}, {"10.0.0.0/24"}, false}, {{"192.0.2.1:25"}, {"10.0.0.0/8"}, false}},
	 0,
	 0,
	 NULL},
	{{{{"0.0.0.0:25"}, {"10.0.0.0/24"}, false}, {{"192.0.2.1:587"}, {"10.9.9.9"}, false}},
	 0,
	 0,
	 NULL},
	{{{{"[::]:25"}, {"::/0"}, false}, {{"[2001:db8::1]:25"}, {"2001:db8::/32"}, false}},
	 0,
	 1,
	 "refused: ::-2001:db7:ffff:ffff:ffff:ffff:ffff:ffff, 2001:db9::-ffff:"},
	{{{{"0.0.0.0:25"}, {"10.0.0.0/25", "10.0.0.128/25"}, false},
	  {{"192.0.2.1:25"}, {"10.0.1.0"}, false}},
	 0,
	 1,
	 "refused: 10.0.0.0/24"},
	{{{{"0.0.0.0:25"}, {"10.0.0.1", "10.0.0.3", "10.0.0.5-10.0.0.9"}, false},
	  {{"0.0.0.0:25"}, {"10.0.0.11"}, false},
	  {{"192.0.2.1:25"}, {"10.0.0.7"}, false}},
	 0,
	 1,
	 "refused: 10.0.0.1, 10.0.0.3, 10.0.0.5-10.0.0.6 and more"},
};

static void build(struct connector *connector, const struct sample *sample, unsigned index)
{
	char name[8];
	const char *why;

	memset(connector, 0, sizeof(*connector));
	snprintf(name, sizeof(name), "c%u", index);
	connector->name = strdup(name);
	connector->enabled = !sample->disabled;
	connector->line = 10 * (index + 1);
	connector->bindings = calloc(3, sizeof(*connector->bindings));
	connector->ranges = calloc(3, sizeof(*connector->ranges));
	for (unsigned i = 0; i < 3 && sample->binding[i] != NULL; i++)
		assert_int_equal(endpoint_parse(sample->binding[i], 0,
						&connector->bindings[connector->binding_count++],
						&why),
				 0);
	for (unsigned i = 0; i < 3 && sample->ranges[i] != NULL; i++) {
		connector->ranges[connector->range_count].line = 100 * (index + 1) + i;
		assert_int_equal(range_parse(sample->ranges[i],
					     &connector->ranges[connector->range_count++].range,
					     &why),
				 0);
	}
}

static void test_scenes(void **state)
{
	for (size_t i = 0; i < COUNT(scenes); i++) {
		struct policy *policy = calloc(1, sizeof(*policy));
		struct findings findings;

		findings_init(&findings);
		policy->file = strdup("f");
		policy->connectors = calloc(3, sizeof(*policy->connectors));
		for (unsigned j = 0; j < 3 && scenes[i].connectors[j].binding[0] != NULL; j++)
			build(&policy->connectors[policy->connector_count++],
			      &scenes[i].connectors[j], j);
		assert_int_equal(overlap_check(policy, &findings.diagnostics), 0);
		if (findings.diagnostics.errors != scenes[i].errors ||
		    findings.diagnostics.warnings != scenes[i].warnings ||
		    (scenes[i].fragment != NULL &&
		     strstr(findings.text, scenes[i].fragment) == NULL))
			fail_msg("scene %zu: %s", i, findings.text);
		policy_destroy(policy);
		findings_fini(&findings);
	}
}

// A small reproducible generator; tests draw no real randomness.
static uint32_t draw(uint64_t *state, uint32_t below)
{
	*state = *state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(*state >> 33) % below;
}

#define SPACE 24 // addresses 10.0.0.0 to 10.0.0.23: collisions are frequent

static bool listed(const struct policy *policy, const struct endpoint *binding, unsigned host)
{
	for (unsigned i = 0; i < policy->connector_count; i++) {
		const struct connector *connector = &policy->connectors[i];
		bool bound = false;

		for (unsigned j = 0; j < connector->binding_count; j++)
			bound = bound ||
				memcmp(&connector->bindings[j], binding, sizeof(*binding)) == 0;
		for (unsigned j = 0; bound && j < connector->range_count; j++)
			if (connector->ranges[j].range.first.bytes[15] <= host &&
			    host <= connector->ranges[j].range.last.bytes[15])
				return true;
	}
	return false;
}

// Does any pair on a common binding break the rule?
static bool twin_refuses(const struct policy *policy)
{
	for (unsigned a = 0; a < policy->connector_count; a++)
		for (unsigned b = a; b < policy->connector_count; b++) {
			const struct connector *left = &policy->connectors[a];
			const struct connector *right = &policy->connectors[b];
			bool common = false;

			for (unsigned i = 0; i < left->binding_count; i++)
				for (unsigned j = 0; j < right->binding_count; j++)
					common = common ||
						 memcmp(&left->bindings[i], &right->bindings[j],
							sizeof(struct endpoint)) == 0;
			for (unsigned i = 0; common && i < left->range_count; i++)
				for (unsigned j = 0; j < right->range_count; j++) {
					unsigned p = left->ranges[i].range.first.bytes[15];
					unsigned q = left->ranges[i].range.last.bytes[15];
					unsigned r = right->ranges[j].range.first.bytes[15];
					unsigned s = right->ranges[j].range.last.bytes[15];
					bool equal = p == r && q == s;
					bool partial = (p < r && r <= q && q < s) ||
						       (r < p && p <= s && s < q);

					if ((a != b || i != j) && (equal || partial))
						return true;
				}
		}
	return false;
}

static bool twin_hides(const struct policy *policy)
{
	struct endpoint wide, specific;
	const char *why;

	assert_int_equal(endpoint_parse("0.0.0.0:25", 0, &wide, &why), 0);
	for (unsigned last = 1; last <= 2; last++) {
		bool used = false, lost = false;
		char text[24];

		snprintf(text, sizeof(text), "192.0.2.%u:25", last);
		assert_int_equal(endpoint_parse(text, 0, &specific, &why), 0);
		for (unsigned host = 0; host < SPACE; host++) {
			used = used || listed(policy, &specific, host);
			lost = lost ||
			       (listed(policy, &wide, host) && !listed(policy, &specific, host));
		}
		if (used && lost)
			return true;
	}
	return false;
}

static void test_against_slow_twin(void **state)
{
	uint64_t seed = 20240607;
	unsigned refused = 0, hidden = 0;

	for (unsigned round = 0; round < 20000; round++) {
		static const char *const bindings[] = {"0.0.0.0:25", "192.0.2.1:25",
						       "192.0.2.2:25"};
		struct policy policy = {.file = (char *)"f"};
		struct connector connectors[4];
		struct endpoint endpoints[4][2];
		struct connector_range ranges[4][3];
		struct diagnostics diagnostics = {0};
		bool refuse;

		memset(connectors, 0, sizeof(connectors));
		policy.connectors = connectors;
		policy.connector_count = 1 + draw(&seed, 4);
		for (unsigned i = 0; i < policy.connector_count; i++) {
			struct connector *connector = &connectors[i];
			unsigned first = draw(&seed, 3);
			const char *why;

			connector->name = (char *)"c";
			connector->enabled = true;
			connector->bindings = endpoints[i];
			connector->binding_count = 1 + draw(&seed, 2);
			for (unsigned j = 0; j < connector->binding_count; j++) {
				memset(&endpoints[i][j], 0, sizeof(endpoints[i][j]));
				endpoint_parse(bindings[(first + j) % 3], 0, &endpoints[i][j],
					       &why);
			}
			connector->ranges = ranges[i];
			connector->range_count = 1 + draw(&seed, 3);
			for (unsigned j = 0; j < connector->range_count; j++) {
				unsigned low = draw(&seed, SPACE);
				unsigned high = low + draw(&seed, SPACE - low);

				range_parse("10.0.0.0", &ranges[i][j].range, &why);
				ranges[i][j].range.first.bytes[15] = (uint8_t)low;
				ranges[i][j].range.last.bytes[15] = (uint8_t)high;
				ranges[i][j].line = 1 + i * 3 + j;
			}
		}
		assert_int_equal(overlap_check(&policy, &diagnostics), 0);
		refuse = twin_refuses(&policy);
		if ((diagnostics.errors != 0) != refuse)
			fail_msg("round %u: %u errors, the twin says %d", round, diagnostics.errors,
				 refuse);
		refused += refuse;
		if ((diagnostics.warnings != 0) != twin_hides(&policy))
			fail_msg("round %u: %u warnings", round, diagnostics.warnings);
		hidden += diagnostics.warnings != 0;
	}
	// Both answers were seen often.
	assert_in_range(refused, 1000, 19000);
	assert_in_range(hidden, 1000, 19000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_scenes),
		cmocka_unit_test(test_against_slow_twin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
