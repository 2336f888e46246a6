// SPDX-License-Identifier: BSD-3-Clause
//
// Which way, from which address: prefixes, gateways, derived link-local addresses.
#include "dataplane/net/route.h"

#include "tests/unit/net/fixture.h"

static void expect_text(const struct address *address, const char *expected, const char *what)
{
	char text[ADDRESS_TEXT_MAX];
	address_format(address, text);
	if (strcmp(text, expected) != 0)
		fail_msg("%s: %s, expected %s", what, text, expected);
}

// Port 0: 192.0.2.10/24, 192.0.2.200/24, 192.0.2.129/28, 2001:db8::10/64, gateways .1 and fe80::1.
// Port 1: 198.51.100.10/24, 203.0.113.1/32.
static struct fixture *make(struct route_table *routes)
{
	struct fixture *f = fixture_prepare();
	fixture_add_address(f, 0, "192.0.2.200/24");
	fixture_add_address(f, 0, "192.0.2.129/28");
	fixture_add_address(f, 1, "203.0.113.1/32");
	f->gateways[1] = address_of("fe80::1");
	assert_int_equal(route_table_init(routes, &f->policy, f->ports), 0);
	// any mark will do for a gateway's neighbour
	routes->gateways[FAMILY_IPV4].neighbour = (struct neighbour *)&f->gateways[0];
	routes->gateways[FAMILY_IPV6].neighbour = (struct neighbour *)&f->gateways[1];
	return f;
}

static void ways(void **state)
{
	static const struct {
		const char *destination;
		bool found;
		const char *next_hop, *source;
		unsigned port;
		bool by_gateway;
	} cases[] = {
		{"192.0.2.55", true, "192.0.2.55", "192.0.2.10", 0, false},
		{"192.0.2.130", true, "192.0.2.130", "192.0.2.129", 0, false}, // longest prefix
		{"198.51.100.7", true, "198.51.100.7", "198.51.100.10", 1, false},
		{"8.8.8.8", true, "192.0.2.1", "192.0.2.10", 0, true},
		{"203.0.113.2", true, "192.0.2.1", "192.0.2.10", 0, true},
		{"2001:db8::55", true, "2001:db8::55", "2001:db8::10", 0, false},
		// not our link-local address: it would not be answered
		{"2001:db8:1::1", true, "fe80::1", "2001:db8::10", 0, true},
		{"fe80::77", true, "fe80::77", "fe80::ff:fe00:1", 0, false},
		{"224.0.0.1", false, NULL, NULL, 0, false},
		{"ff02::1", false, NULL, NULL, 0, false},
	};
	struct route_table routes;
	struct fixture *f = make(&routes);

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct address destination = address_of(cases[i].destination);
		struct route route;
		if (route_find(&routes, &destination, &route) != cases[i].found)
			fail_msg("%s", cases[i].destination);
		if (!cases[i].found)
			continue;
		expect_text(&route.next_hop, cases[i].next_hop, cases[i].destination);
		expect_text(&route.source, cases[i].source, cases[i].destination);
		assert_int_equal(route.port, cases[i].port);
		assert_int_equal(route.gateway != NULL, cases[i].by_gateway);
	}
	route_table_fini(&routes);
	free(f);
}

static void no_gateway_no_way(void **state)
{
	struct route_table routes;
	struct fixture *f = fixture_prepare();
	struct route route;
	struct address far4 = address_of("8.8.8.8"), far6 = address_of("2001:db8:1::1");

	f->settings[0].gateway_count = 1; // IPv4 only
	assert_int_equal(route_table_init(&routes, &f->policy, f->ports), 0);
	assert_true(route_find(&routes, &far4, &route));
	assert_false(route_find(&routes, &far6, &route));
	route_table_fini(&routes);
	free(f);
}

static void own_addresses(void **state)
{
	static const struct {
		const char *address;
		int port; // -1 = not ours
	} cases[] = {
		{"192.0.2.10", 0},
		{"192.0.2.200", 0},
		{"192.0.2.129", 0},
		{"192.0.2.11", -1},
		{"198.51.100.10", 1},
		{"203.0.113.1", 1},
		{"203.0.113.2", -1},
		{"2001:db8::10", 0},
		{"2001:db8::11", -1},
		{"fe80::ff:fe00:1", 0},
		{"fe80::1", -1},
		{"0.0.0.0", -1},
		// port 1 has no IPv6, so it derives nothing
		{"fe80::ff:fe01:1", -1},
	};
	struct route_table routes;
	struct fixture *f = make(&routes);

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct address address = address_of(cases[i].address);
		assert_int_equal(route_is_ours(&routes, &address), cases[i].port >= 0);
		for (int port = 0; port < 2; port++)
			assert_int_equal(route_own(&routes, (uint16_t)port, &address) != NULL,
					 port == cases[i].port);
	}
	route_table_fini(&routes);
	free(f);
}

static void configured_link_local_is_kept(void **state)
{
	struct route_table routes;
	struct fixture *f = fixture_prepare();
	struct address derived = address_of("fe80::ff:fe00:1"), given = address_of("fe80::25");
	struct route route;
	struct address neighbour = address_of("fe80::99"), far = address_of("2001:db8:2::1");

	fixture_add_address(f, 0, "fe80::25/64");
	assert_int_equal(route_table_init(&routes, &f->policy, f->ports), 0);
	assert_true(route_is_ours(&routes, &given));
	assert_false(route_is_ours(&routes, &derived));
	assert_true(route_find(&routes, &neighbour, &route));
	expect_text(&route.source, "fe80::25", "link-local");
	assert_true(route_find(&routes, &far, &route));
	expect_text(&route.source, "2001:db8::10", "far");
	route_table_fini(&routes);
	free(f);
}

static void stations_on_the_link(void **state)
{
	static const struct {
		const char *address;
		unsigned port;
		bool possible;
	} cases[] = {
		{"192.0.2.55", 0, true},   {"192.0.2.0", 0, false},       {"192.0.2.255", 0, false},
		{"192.0.2.128", 0, false}, {"192.0.2.143", 0, false},     {"192.0.2.144", 0, true},
		{"192.0.3.1", 0, false},   {"192.0.2.55", 1, false},      {"198.51.100.1", 1, true},
		{"2001:db8::", 0, true},   {"2001:db8:0:1::1", 0, false}, {"fe80::1", 0, true},
		{"fe80::1", 1, false},
	};
	struct route_table routes;
	struct fixture *f = make(&routes);

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct address address = address_of(cases[i].address);
		if (route_on_link(&routes, (uint16_t)cases[i].port, &address) != cases[i].possible)
			fail_msg("%s on port %u", cases[i].address, cases[i].port);
	}
	route_table_fini(&routes);
	free(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ways),
		cmocka_unit_test(no_gateway_no_way),
		cmocka_unit_test(own_addresses),
		cmocka_unit_test(configured_link_local_is_kept),
		cmocka_unit_test(stations_on_the_link),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
