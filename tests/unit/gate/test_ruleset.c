// SPDX-License-Identifier: BSD-3-Clause
//
// Tests of gate/ruleset, and through it of bindings and grants: which connector a packet belongs
// to. Cases that an administrator would ask about, then random policies against a naive verdict at
// every edge of every range.
#include "dataplane/gate/ruleset.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/gate/policies.h"

// ---- Cases -----------------------------------------------------------------------------------

struct question {
	const char *source;
	uint16_t source_port;
	const char *destination;
	uint16_t destination_port;
	enum verdict_kind kind;
	unsigned answer; // connector or reason
};

static void check_cases(const struct policy *policy, const struct question *cases, size_t count)
{
	struct ruleset *ruleset = ruleset_create(policy);
	assert_non_null(ruleset);
	for (size_t i = 0; i < count; i++) {
		struct view view = {.source = address_of(cases[i].source),
				    .source_port = cases[i].source_port,
				    .destination = address_of(cases[i].destination),
				    .destination_port = cases[i].destination_port};
		const struct view *views[] = {&view};
		struct verdict verdict;
		ruleset_classify(ruleset, views, 1, &verdict);
		assert_int_equal(verdict.kind, cases[i].kind);
		assert_int_equal(verdict.connector,
				 verdict.kind == VERDICT_CLIENT ? cases[i].answer : CONNECTOR_NONE);
		assert_int_equal(verdict.reason,
				 verdict.kind == VERDICT_DROP ? cases[i].answer : REASON_NONE);
	}
	ruleset_destroy(ruleset);
}

#define CHECK(policy, ...)                                                                         \
	do {                                                                                       \
		const struct question cases[] = {__VA_ARGS__};                                     \
		check_cases(policy, cases, sizeof(cases) / sizeof(*cases));                        \
	} while (0)

// The vendor's own example (Exchange: "Receive connectors", remote addresses).
static void test_most_specific_range(void **state)
{
	struct policy *policy = policy_new();
	policy_add_address(policy, "192.168.1.1");
	policy_add_connector(policy, "0.0.0.0:25", "0.0.0.0-255.255.255.255");
	policy_add_connector(policy, "0.0.0.0:25", "192.168.1.0-192.168.1.255");
	policy_add_connector(policy, "0.0.0.0:25", "192.168.1.75");
	CHECK(policy, {"192.168.1.75", 1000, "192.168.1.1", 25, VERDICT_CLIENT, 2},
	      {"192.168.1.74", 1000, "192.168.1.1", 25, VERDICT_CLIENT, 1},
	      {"192.168.1.100", 1000, "192.168.1.1", 25, VERDICT_CLIENT, 1},
	      {"192.168.2.0", 1000, "192.168.1.1", 25, VERDICT_CLIENT, 0},
	      {"255.255.255.255", 1000, "192.168.1.1", 25, VERDICT_CLIENT, 0},
	      {"0.0.0.0", 1000, "192.168.1.1", 25, VERDICT_CLIENT, 0},
	      {"2001:db8::1", 1000, "192.168.1.1", 25, VERDICT_DROP, REASON_no_connector});
	policy_destroy(policy);
}

static void test_binding_before_range(void **state)
{
	struct policy *policy = policy_new();
	policy_add_address(policy, "192.0.2.1");
	policy_add_address(policy, "192.0.2.2");
	policy_add_address(policy, "2001:db8::1");
	policy_add_connector(policy, "0.0.0.0:25, [::]:25", "0.0.0.0/0, ::/0");
	policy_add_connector(policy, "192.0.2.2:25", "10.0.0.0/8");
	policy_add_connector(policy, "192.0.2.9:25", "10.1.0.0/16"); // not an address of ours
	unsigned disabled = policy_add_connector(policy, "192.0.2.1:25", "10.2.0.0/16");
	policy->connectors[disabled].enabled = false;
	CHECK(policy, {"10.1.2.3", 1000, "192.0.2.1", 25, VERDICT_CLIENT, 0},
	      {"10.2.2.3", 1000, "192.0.2.1", 25, VERDICT_CLIENT, 0},
	      {"10.1.2.3", 1000, "192.0.2.2", 25, VERDICT_CLIENT, 1},
	      // No fall-back to the wider binding.
	      {"11.0.0.1", 1000, "192.0.2.2", 25, VERDICT_DROP, REASON_no_connector},
	      {"2001:db8:7::1", 1000, "2001:db8::1", 25, VERDICT_CLIENT, 0},
	      {"10.1.2.3", 1000, "192.0.2.9", 25, VERDICT_DROP, REASON_ip_not_ours},
	      {"10.1.2.3", 1000, "192.0.2.1", 26, VERDICT_DROP, REASON_no_binding},
	      {"10.1.2.3", 1000, "192.0.2.1", 0, VERDICT_DROP, REASON_no_binding},
	      {"10.1.2.3", 1000, "0.0.0.0", 25, VERDICT_DROP, REASON_ip_not_ours},
	      {"10.1.2.3", 1000, "::", 25, VERDICT_DROP, REASON_ip_not_ours});
	policy_destroy(policy);
}

// ::/0 encloses the numbers of IPv4, but is no range of IPv4 addresses.
static void test_families_stay_apart(void **state)
{
	struct policy *policy = policy_new();
	policy_add_address(policy, "192.0.2.1");
	policy_add_address(policy, "2001:db8::1");
	policy_add_connector(policy, "0.0.0.0:25, [::]:25", "::/0");
	policy_add_connector(policy, "0.0.0.0:26", "0.0.0.0/0");
	CHECK(policy, {"10.1.2.3", 1000, "192.0.2.1", 25, VERDICT_DROP, REASON_no_connector},
	      {"2001:db8::2", 1000, "2001:db8::1", 25, VERDICT_CLIENT, 0},
	      {"10.1.2.3", 1000, "192.0.2.1", 26, VERDICT_CLIENT, 1},
	      {"2001:db8::2", 1000, "2001:db8::1", 26, VERDICT_DROP, REASON_no_binding});
	policy_destroy(policy);
}

static void test_servers(void **state)
{
	struct policy *policy = policy_new();
	policy_add_address(policy, "192.0.2.1");
	policy_add_connector(policy, "192.0.2.1:25", "10.0.0.0/24");
	policy_add_server(policy, "10.0.0.11:25");
	policy_add_server(policy, "10.9.9.9:2525");
	CHECK(policy, {"10.0.0.11", 25, "192.0.2.1", 40000, VERDICT_SERVER, 0},
	      {"10.9.9.9", 2525, "192.0.2.1", 1, VERDICT_SERVER, 0},
	      {"10.9.9.9", 25, "192.0.2.1", 40000, VERDICT_DROP, REASON_no_binding},
	      {"10.0.0.12", 25, "192.0.2.1", 40000, VERDICT_DROP, REASON_no_binding},
	      {"10.0.0.11", 25, "192.0.2.2", 40000, VERDICT_DROP, REASON_ip_not_ours},
	      // A server that comes to our binding is judged as a client.
	      {"10.0.0.11", 25, "192.0.2.1", 25, VERDICT_CLIENT, 0},
	      {"10.9.9.9", 2525, "192.0.2.1", 25, VERDICT_DROP, REASON_no_connector});
	policy_destroy(policy);
}

static void test_empty_policy(void **state)
{
	struct policy *policy = policy_new();
	CHECK(policy, {"10.0.0.1", 1, "192.0.2.1", 25, VERDICT_DROP, REASON_ip_not_ours});
	policy_add_address(policy, "192.0.2.1");
	CHECK(policy, {"10.0.0.1", 1, "192.0.2.1", 25, VERDICT_DROP, REASON_no_binding});
	policy_add_connector(policy, "192.0.2.1:25", "");
	CHECK(policy, {"10.0.0.1", 1, "192.0.2.1", 25, VERDICT_DROP, REASON_no_connector});
	policy_destroy(policy);
	ruleset_destroy(NULL);
}

// ---- Random policies -------------------------------------------------------------------------

static const char *const addresses[] = {"192.0.2.1",   "192.0.2.2",   "192.0.2.3",
					"2001:db8::1", "2001:db8::2", "192.0.2.99"};
static const uint16_t ports[] = {25, 26, 587, 40000};

static unsigned below(unsigned bound)
{
	return (unsigned)random() % bound;
}

static struct address add_number(struct address base, uint64_t number)
{
	for (int i = 15; i >= 8; i--, number >>= 8) {
		unsigned sum = base.bytes[i] + (unsigned)(number & 0xff);
		base.bytes[i] = (uint8_t)sum;
		number += (uint64_t)(sum >> 8) << 8;
	}
	return base;
}

// Cuts [first, first + size) into parts that are nested in it, and hands the ranges out at random:
// nested or apart, never equal, as check demands.
static void nest_ranges(struct policy *policy, struct address base, uint64_t first, uint64_t size,
			unsigned depth)
{
	if (below(4)) {
		struct range range = {add_number(base, first), add_number(base, first + size - 1)};
		connector_add_range(&policy->connectors[below(policy->connector_count)], range);
	}
	uint64_t at = first + below(3), end = first + size;
	for (unsigned parts = below(6); parts && depth && at < end; parts--) {
		uint64_t random_62 = (uint64_t)random() << 31 | (uint64_t)random();
		uint64_t part = 1 + random_62 % (size / 2 + 1);
		if (part >= size || part > end - at)
			break;
		nest_ranges(policy, base, at, part, depth - 1);
		at += part + below(3) * below(20);
	}
}

static struct policy *random_policy(void)
{
	static const char *const bindings[] = {
		"0.0.0.0:25",    "[::]:25",     "192.0.2.1:25", "192.0.2.2:25", "[2001:db8::1]:25",
		"192.0.2.1:587", "0.0.0.0:587", "0.0.0.0:26",   "[::]:26",      "[2001:db8::2]:26"};
	struct policy *policy = policy_new();
	for (unsigned i = 0; i < 5; i++)
		policy_add_address(policy, addresses[i]);
	for (unsigned i = 1 + below(8); i > 0; i--) {
		char text[200] = "";
		for (unsigned j = below(4) + 1; j > 0; j--) {
			strcat(text, bindings[below(10)]);
			strcat(text, ",");
		}
		unsigned connector = policy_add_connector(policy, text, "");
		policy->connectors[connector].enabled = below(8) != 0;
	}
	policy_add_server(policy, "10.0.0.11:25");
	policy_add_server(policy, "[2001:db8:1::11]:26");
	nest_ranges(policy, address_of("0.0.0.0"), 0, 1ull << 32, 3);
	nest_ranges(policy, address_of("10.0.0.0"), 5, 1000, 4);
	nest_ranges(policy, address_of("255.255.255.0"), 0, 256, 3);
	nest_ranges(policy, address_of("2001:db8:1::"), 0, 3000, 4);
	nest_ranges(policy, address_of("2001:db8:1:1::"), 0, 1ull << 62, 3);
	return policy;
}

static void check_source(const struct policy *policy, const struct ruleset *ruleset,
			 const struct address *source)
{
	enum { COUNT = 6 * 4 };
	struct view views[COUNT];
	const struct view *pointers[COUNT];
	struct verdict verdicts[COUNT];
	for (unsigned i = 0; i < COUNT; i++) {
		views[i] = (struct view){.source = *source,
					 .source_port = ports[below(4)],
					 .destination = address_of(addresses[i % 6]),
					 .destination_port = ports[i / 6]};
		pointers[i] = &views[i];
	}
	ruleset_classify(ruleset, pointers, COUNT, verdicts);
	for (unsigned i = 0; i < COUNT; i++) {
		struct verdict expected = naive_verdict(policy, &views[i]);
		assert_int_equal(verdicts[i].kind, expected.kind);
		assert_int_equal(verdicts[i].reason, expected.reason);
		assert_int_equal(verdicts[i].connector, expected.connector);
		enum reason reason;
		assert_int_equal(ruleset_connector(ruleset, &views[i].destination,
						   views[i].destination_port, source, &reason),
				 expected.connector);
		// Without a source port nobody is a server.
		if (expected.kind != VERDICT_SERVER)
			assert_int_equal(reason, expected.reason);
		else
			assert_int_equal(reason, REASON_no_binding);
	}
}

static void check_policy(const struct policy *policy)
{
	struct ruleset *ruleset = ruleset_create(policy);
	assert_non_null(ruleset);
	for (unsigned i = 0; i < policy->connector_count; i++) {
		const struct connector *connector = &policy->connectors[i];
		for (unsigned j = 0; j < connector->range_count; j++) {
			const struct range *range = &connector->ranges[j].range;
			struct address edges[] = {add_number(range->first, UINT64_MAX),
						  range->first, range->last,
						  add_number(range->last, 1)};
			for (unsigned k = 0; k < 4; k++)
				check_source(policy, ruleset, &edges[k]);
		}
	}
	static const char *const sources[] = {
		"10.0.0.11", "2001:db8:1::11",
		"0.0.0.0",   "255.255.255.255",
		"::",        "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"};
	for (unsigned i = 0; i < 6; i++) {
		struct address source = address_of(sources[i]);
		check_source(policy, ruleset, &source);
	}
	assert_true(ruleset_intervals(ruleset) >= 2);
	assert_true(ruleset_memory(ruleset) > 0);
	ruleset_destroy(ruleset);
}

static void test_against_naive_verdict(void **state)
{
	for (unsigned seed = 0; seed < 60; seed++) {
		srandom(seed);
		struct policy *policy = random_policy();
		check_policy(policy);
		policy_destroy(policy);
	}
}

// Connectors that share no binding may overlap as they like.
static void test_overlap_between_bindings(void **state)
{
	for (unsigned seed = 100; seed < 130; seed++) {
		srandom(seed);
		struct policy *policy = policy_new();
		for (unsigned i = 0; i < 3; i++) {
			char binding[32];
			policy_add_address(policy, addresses[i]);
			strcpy(binding, addresses[i]);
			policy_add_connector(policy, strcat(binding, ":25"), "");
			for (unsigned j = 0; j < 30; j++) { // apart, each of its own size
				uint64_t first = j * 100 + below(20), last = first + below(80);
				struct address base = address_of("10.0.0.0");
				struct range range = {add_number(base, first),
						      add_number(base, last)};
				connector_add_range(&policy->connectors[i], range);
			}
		}
		check_policy(policy);
		policy_destroy(policy);
	}
}

// A burst of any size and mixture of families equals its packets one by one.
static void test_bursts(void **state)
{
	enum { MOST = 300 };
	static struct view views[MOST];
	static const struct view *pointers[MOST];
	static struct verdict verdicts[MOST + 1];
	srandom(7);
	struct policy *policy = random_policy();
	struct ruleset *ruleset = ruleset_create(policy);
	for (unsigned count = 0; count <= MOST; count += 1 + count / 8) {
		for (unsigned i = 0; i < count; i++) {
			static const char *const bases[] = {"10.0.0.0", "2001:db8:1::"};
			views[i] = (struct view){
				.source = add_number(address_of(bases[below(2)]), below(2000)),
				.source_port = 25,
				.destination = address_of(addresses[below(6)]),
				.destination_port = ports[below(4)]};
			pointers[i] = &views[i];
		}
		verdicts[count].kind = 99; // the one behind the last is not touched
		ruleset_classify(ruleset, pointers, count, verdicts);
		assert_int_equal(verdicts[count].kind, 99);
		for (unsigned i = 0; i < count; i++) {
			struct verdict expected = naive_verdict(policy, &views[i]);
			assert_int_equal(verdicts[i].kind, expected.kind);
			assert_int_equal(verdicts[i].connector, expected.connector);
			assert_int_equal(verdicts[i].reason, expected.reason);
		}
	}
	ruleset_destroy(ruleset);
	policy_destroy(policy);
}

// Many connectors on many bindings: tables that grow.
static void test_many_connectors(void **state)
{
	enum { COUNT = 700 };
	struct policy *policy = policy_new();
	for (unsigned i = 0; i < 5; i++)
		policy_add_address(policy, addresses[i]);
	for (unsigned i = 0; i < COUNT; i++) {
		char binding[32], ranges[64];
		snprintf(binding, sizeof(binding), "0.0.0.0:%u", 1000 + i % 50);
		snprintf(ranges, sizeof(ranges), "10.%u.%u.0/24, 10.%u.%u.7", i % 50, i / 50,
			 i % 50, i / 50 + 100);
		policy_add_connector(policy, binding, ranges);
	}
	struct ruleset *ruleset = ruleset_create(policy);
	assert_non_null(ruleset);
	for (unsigned i = 0; i < COUNT; i++) {
		char text[32];
		enum reason reason;
		struct address destination = address_of(addresses[i % 3]);
		snprintf(text, sizeof(text), "10.%u.%u.200", i % 50, i / 50);
		struct address source = address_of(text);
		uint16_t port = (uint16_t)(1000 + i % 50);
		assert_int_equal(ruleset_connector(ruleset, &destination, port, &source, &reason),
				 i);
		assert_int_equal(reason, REASON_NONE);
		port = (uint16_t)(1000 + (i + 1) % 50);
		assert_int_equal(ruleset_connector(ruleset, &destination, port, &source, &reason),
				 CONNECTOR_NONE);
		assert_int_equal(reason, REASON_no_connector);
	}
	ruleset_destroy(ruleset);
	policy_destroy(policy);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_most_specific_range),
		cmocka_unit_test(test_binding_before_range),
		cmocka_unit_test(test_families_stay_apart),
		cmocka_unit_test(test_servers),
		cmocka_unit_test(test_empty_policy),
		cmocka_unit_test(test_against_naive_verdict),
		cmocka_unit_test(test_overlap_between_bindings),
		cmocka_unit_test(test_bursts),
		cmocka_unit_test(test_many_connectors),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
