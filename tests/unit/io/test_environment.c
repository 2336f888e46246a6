// SPDX-License-Identifier: BSD-3-Clause
//
// What the policy becomes for DPDK: device names, and CPUs as a list that stays short on a machine
// with many of them.
#include "dataplane/io/environment.h"

#include "config/policy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void test_cpu_list(void **state)
{
	static const struct {
		unsigned first, last, step; // the set; step 0 = none
		const char *text;
	} cases[] = {
		{0, 0, 0, ""},           {0, 0, 1, "0"},         {3, 3, 1, "3"},
		{0, 1, 1, "0-1"},        {0, 191, 1, "0-191"},   {0, 6, 2, "0,2,4,6"},
		{1023, 1023, 1, "1023"}, {0, 1023, 1, "0-1023"},
	};
	char text[CPU_SETSIZE / 2 * 5];
	cpu_set_t set;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		CPU_ZERO(&set);
		for (unsigned cpu = cases[i].first; cases[i].step && cpu <= cases[i].last;
		     cpu += cases[i].step)
			CPU_SET(cpu, &set);
		environment_cpu_list(&set, text, sizeof(text));
		assert_string_equal(text, cases[i].text);
	}
	CPU_ZERO(&set);
	for (unsigned cpu = 1; cpu < CPU_SETSIZE; cpu += 2)
		CPU_SET(cpu, &set);
	environment_cpu_list(&set, text, sizeof(text));
	assert_string_equal(text + strlen(text) - 10, ",1021,1023");
}

static void test_devices(void **state)
{
	static const struct {
		const char *device, *interface, *name;
	} cases[] = {
		{"af_xdp:eth1", "eth1", "net_af_xdp0"},
		{"af_packet:eth1", "eth1", "net_af_packet0"},
		{"pci:0000:03:00.0", NULL, "0000:03:00.0"},
		{"vdev:net_pcap0,rx_pcap=in.pcap", NULL, "net_pcap0"},
		{"vdev:net_null0", NULL, "net_null0"},
	};
	char name[64];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct port_settings port = {.device = (char *)cases[i].device};
		struct policy policy = {.ports = &port, .port_count = 1};

		environment_device_name(&policy, 0, name);
		assert_string_equal(name, cases[i].name);
		if (cases[i].interface)
			assert_string_equal(environment_interface(cases[i].device),
					    cases[i].interface);
		else
			assert_null(environment_interface(cases[i].device));
	}
}

static void test_missing_interface_is_named(void **state)
{
	struct port_settings port = {
		.name = (char *)"outside", .device = (char *)"af_xdp:nowhere0", .line = 7};
	struct policy policy = {.ports = &port, .port_count = 1, .file = (char *)"gate.ini"};
	char error[ENVIRONMENT_ERROR_MAX];

	assert_true(environment_check(&policy, error) < 0);
	assert_int_equal(strncmp(error, "gate.ini:7: [port outside] Device:", 34), 0);
	assert_non_null(strstr(error, "\"nowhere0\""));
	port.device = (char *)"af_packet:lo";
	assert_int_equal(environment_check(&policy, error), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cpu_list),
		cmocka_unit_test(test_devices),
		cmocka_unit_test(test_missing_interface_is_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
