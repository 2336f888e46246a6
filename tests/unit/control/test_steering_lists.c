// SPDX-License-Identifier: BSD-3-Clause
//
// The lists that the steering program gets from a policy. export_xdp_adopt is this file's own: it
// keeps what it is given.
#include "control/steering.h"

#include "config/load.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct adopted {
	unsigned calls;
	char interface[32];
	char addresses[512], bindings[512], servers[512]; // as text, in order
	unsigned vlan;
} adopted;

static void note(char list[512], const uint8_t bytes[16], uint16_t port)
{
	struct endpoint endpoint = {.port = port};
	char text[ENDPOINT_TEXT_MAX];

	memcpy(endpoint.address.bytes, bytes, 16);
	strcat(list,
	       port ? endpoint_format(&endpoint, text) : address_format(&endpoint.address, text));
	strcat(list, " ");
}

int export_xdp_adopt(struct export *export, const char *interface,
		     const struct export_steering *steering, char error[EXPORT_ERROR_MAX])
{
	adopted.calls++;
	snprintf(adopted.interface, sizeof(adopted.interface), "%s", interface);
	for (unsigned i = 0; i < steering->address_count; i++)
		note(adopted.addresses, steering->addresses[i], 0);
	for (unsigned i = 0; i < steering->binding_count; i++)
		note(adopted.bindings, steering->binding_addresses[i], steering->binding_ports[i]);
	for (unsigned i = 0; i < steering->server_count; i++)
		note(adopted.servers, steering->server_addresses[i], steering->server_ports[i]);
	adopted.vlan = steering->vlan;
	return 0;
}

static const char policy_text[] =
	"[gate]\nName = mx.test\n"
	"[port outside]\nDevice = af_xdp:eth7\nAddress = 192.0.2.10/24, 2001:db8::10/64\nVlan = 5\n"
	"[port inside]\nDevice = af_packet:eth8\nAddress = 10.0.0.1/24\n"
	"[connector a]\nBindings = 192.0.2.10:25, [2001:db8::10]:2525\n"
	"RemoteIPRanges = 192.0.2.0/24, 2001:db8::/64\nPermissionGroups = AnonymousUsers\n"
	"[connector off]\nEnabled = no\nBindings = 192.0.2.10:587\nRemoteIPRanges = 192.0.2.0/24\n"
	"PermissionGroups = AnonymousUsers\n"
	"[backend cluster]\nServers = 10.0.0.11:25, 10.0.0.12:2525\n";

static void report(void *context, enum diagnostic_severity severity, const char *text)
{
	if (severity == DIAGNOSTIC_ERROR)
		print_error("%s\n", text);
}

static void test_lists(void **state)
{
	struct diagnostics diagnostics = {.report = report};
	struct policy *policy = policy_load_text(policy_text, &diagnostics);
	char error[EXPORT_ERROR_MAX];

	const struct policy *all[] = {policy};
	const struct steering_policies policies = {all, 1};

	assert_non_null(policy);
	assert_int_equal(steering_adopt(&policies, 0, &policy->ports[0].addresses[0].address, 1,
					NULL, error),
			 0);
	assert_int_equal(adopted.calls, 1);
	assert_string_equal(adopted.interface, "eth7");
	assert_string_equal(adopted.addresses, "192.0.2.10 ");
	// A connector that is switched off takes nothing from the kernel.
	assert_string_equal(adopted.bindings, "192.0.2.10:25 [2001:db8::10]:2525 ");
	assert_string_equal(adopted.servers, "10.0.0.11:25 10.0.0.12:2525 ");
	assert_int_equal(adopted.vlan, 5);
	// The other port's device needs no steering.
	assert_int_equal(steering_adopt(&policies, 1, &policy->ports[1].addresses[0].address, 1,
					NULL, error),
			 0);
	assert_int_equal(adopted.calls, 1);
	policy_destroy(policy);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lists),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
