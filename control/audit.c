// SPDX-License-Identifier: BSD-3-Clause
//
// `relaygate audit`: every connector that lets relay, how wide it is and by which grant, then what
// an administrator should worry about, the worst first. Prints config/audit's answer as text or as
// JSON; the exit code is 2 when something is critical.
#include "config/audit.h"
#include "control/commands.h"

#include <inttypes.h>
#include <json-c/json.h>
#include <stdio.h>
#include <time.h>

static const char *grant_text(const struct grant *grant)
{
	return grant->by ? permission_group_name(grant->by) : "ExtendedRights";
}

// ---- Text ------------------------------------------------------------------------------------

static void print_relays(const struct audit *audit)
{
	if (audit->relay_count == 0) {
		printf("No connector lets anybody relay.\n");
		return;
	}
	printf("%-32s %14s %20s  %s\n", "Who may relay", "IPv4 addresses", "IPv6 /64 networks",
	       "Granted by");
	for (unsigned i = 0; i < audit->relay_count; i++) {
		const struct audit_relay *relay = &audit->relays[i];

		printf("%-32s %14" PRIu64 " %20" PRIu64 "  %s to %s, line %u\n",
		       relay->connector->name, relay->width.ipv4, relay->width.ipv6,
		       grant_text(&relay->grant), principal_name(relay->grant.to),
		       relay->grant.line);
	}
}

static void print_findings(const struct audit *audit, const char *file)
{
	for (unsigned i = 0; i < audit->finding_count; i++) {
		const struct audit_finding *finding = &audit->findings[i];

		printf("%s%s:%u: %s: %s [%s]\n    %s\n", i == 0 ? "\n" : "", file, finding->line,
		       audit_severity_name(finding->severity), finding->text, finding->code,
		       finding->advice);
	}
	if (audit->finding_count == 0)
		printf("\nNothing to worry about.\n");
}

// ---- JSON ------------------------------------------------------------------------------------

static void put(struct json_object *object, const char *key, const char *text)
{
	json_object_object_add(object, key, json_object_new_string(text));
}

static void put_number(struct json_object *object, const char *key, uint64_t number)
{
	json_object_object_add(object, key, json_object_new_uint64(number));
}

static struct json_object *json_of_relay(const struct audit_relay *relay)
{
	struct json_object *row = json_object_new_object();

	put(row, "connector", relay->connector->name);
	put_number(row, "line", relay->connector->line);
	put_number(row, "ipv4_addresses", relay->width.ipv4);
	put_number(row, "ipv6_64_networks", relay->width.ipv6);
	put_number(row, "public_ipv4_addresses", relay->width.public_ipv4);
	put_number(row, "public_ipv6_64_networks", relay->width.public_ipv6);
	put(row, "granted_by", grant_text(&relay->grant));
	put(row, "to", principal_name(relay->grant.to));
	put_number(row, "grant_line", relay->grant.line);
	return row;
}

static void print_json(const struct audit *audit)
{
	struct json_object *object = json_object_new_object();
	struct json_object *relays = json_object_new_array();
	struct json_object *findings = json_object_new_array();

	for (unsigned i = 0; i < audit->relay_count; i++)
		json_object_array_add(relays, json_of_relay(&audit->relays[i]));
	for (unsigned i = 0; i < audit->finding_count; i++) {
		const struct audit_finding *finding = &audit->findings[i];
		struct json_object *row = json_object_new_object();

		put(row, "severity", audit_severity_name(finding->severity));
		put(row, "code", finding->code);
		put_number(row, "line", finding->line);
		put(row, "text", finding->text);
		put(row, "advice", finding->advice);
		json_object_array_add(findings, row);
	}
	json_object_object_add(object, "relays", relays);
	json_object_object_add(object, "findings", findings);
	puts(json_object_to_json_string_ext(object, JSON_C_TO_STRING_PRETTY |
							    JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(object);
}

int command_audit(const struct command_options *options)
{
	struct policy *policy = load_and_report(options->config);
	struct audit *audit;
	struct timespec wall;
	int result = EXIT_FINE;

	if (!policy)
		return EXIT_WRONG;
	clock_gettime(CLOCK_REALTIME, &wall);
	audit = audit_make(policy, (uint64_t)wall.tv_sec * 1000000);
	if (!audit) {
		fprintf(stderr, "relaygate: out of memory\n");
		policy_destroy(policy);
		return EXIT_WRONG;
	}
	if (options->json) {
		print_json(audit);
	} else {
		print_relays(audit);
		print_findings(audit, options->config);
	}
	// The worst stands first.
	if (audit->finding_count && audit->findings[0].severity == AUDIT_CRITICAL)
		result = EXIT_FINDING;
	audit_destroy(audit);
	policy_destroy(policy);
	return result;
}
