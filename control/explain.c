// SPDX-License-Identifier: BSD-3-Clause
//
// `relaygate explain`: which connector takes a connection and why, every right with the line that
// grants or denies it, and the reply to each verb of a session that did not happen. The answers are
// the data path's own (choice.c, rehearsal.c); here they are only printed, as text or as JSON.
#include "config/grants.h"
#include "config/keys.h"
#include "config/limit_names.h"
#include "config/value.h"
#include "control/ban_text.h"
#include "control/choice.h"
#include "control/commands.h"
#include "control/explain_ban.h"
#include "control/explain_greeting.h"
#include "control/rehearsal.h"

#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static struct tick now(void)
{
	struct timespec wall;

	clock_gettime(CLOCK_REALTIME, &wall);
	return (struct tick){
		.now_us = 1,
		.wall_us = (uint64_t)wall.tv_sec * 1000000 + (uint64_t)wall.tv_nsec / 1000,
	};
}

// Has no limit on its connections.
static bool is_exempt(const struct choice *choice)
{
	return choice->allowed || choice->server;
}

struct answer {
	const struct policy *policy;
	const struct choice *choice;
	struct explain_ban ban;
	const char *refusal; // NULL: there is a session
	unsigned identities; // of it
	struct rehearsal rehearsal;
};

// ---- JSON: the whole answer --------------------------------------------------------------------

static void put(struct json_object *object, const char *key, const char *text)
{
	json_object_object_add(object, key, text ? json_object_new_string(text) : NULL);
}

static void put_line(struct json_object *object, const char *key, unsigned line)
{
	json_object_object_add(object, key, json_object_new_int64(line));
}

// Of an IP list.
static void put_entry(struct json_object *object, const char *line, const char *until,
		      const struct ip_entry *entry)
{
	if (!entry)
		return;
	put_line(object, line, entry->line);
	if (entry->expires_s)
		json_object_object_add(object, until, json_object_new_uint64(entry->expires_s));
}

static struct json_object *json_of_match(const struct connector *connector,
					 const struct endpoint *binding,
					 const struct connector_range *range)
{
	struct json_object *object = json_object_new_object();
	char text[RANGE_TEXT_MAX > ENDPOINT_TEXT_MAX ? RANGE_TEXT_MAX : ENDPOINT_TEXT_MAX];

	put(object, "connector", connector->name);
	put_line(object, "line", connector->line);
	put(object, "binding", endpoint_format(binding, text));
	put(object, "range", range_format(&range->range, text));
	put_line(object, "range_line", range->line);
	return object;
}

static const char *const rival_faults[] = {
	[RIVAL_WIDER_BINDING] = "its binding is wider",
	[RIVAL_WIDER_RANGE] = "its range is wider",
	[RIVAL_DISABLED] = "it is disabled",
};

static struct json_object *json_of_choice(const struct choice *choice)
{
	struct json_object *object, *rivals = json_object_new_array();

	object = choice->connector
			 ? json_of_match(choice->connector, choice->binding, choice->range)
			 : json_object_new_object();
	if (!choice->connector)
		put(object, "connector", NULL);
	for (unsigned i = 0; i < choice->rival_count; i++) {
		const struct rival *rival = &choice->rivals[i];
		struct json_object *row =
			json_of_match(rival->connector, rival->binding, rival->range);

		put(row, "because", rival_faults[rival->fault]);
		json_object_array_add(rivals, row);
	}
	json_object_object_add(object, "rather_than", rivals);
	put_entry(object, "ip_allow_line", "ip_allow_until", choice->allowed);
	put_entry(object, "ip_block_line", "ip_block_until", choice->blocked);
	return object;
}

static struct json_object *json_of_rights(const struct connector *connector, unsigned identities)
{
	struct json_object *array = json_object_new_array();

	for (uint32_t right = RIGHT_FIRST; right <= RIGHT_LAST; right <<= 1) {
		struct grant grant = grant_find(connector, identities, (enum right)right);
		struct json_object *row = json_object_new_object();

		put(row, "right", right_name((enum right)right));
		json_object_object_add(row, "held", json_object_new_boolean(grant.held));
		if (grant.granted || grant.denied) {
			put(row, "to", principal_name(grant.to));
			put(row, "by",
			    grant.denied ? "DeniedRights"
			    : grant.by   ? permission_group_name(grant.by)
					 : "ExtendedRights");
			put_line(row, "line", grant.line);
		}
		json_object_array_add(array, row);
	}
	return array;
}

static struct json_object *json_of_limits(const struct connector *connector)
{
	struct json_object *array = json_object_new_array();

	for (unsigned i = 0; i < LIMIT_COUNT; i++) {
		struct json_object *row;

		if (!limit_is_set(connector, i))
			continue;
		row = json_object_new_object();
		put(row, "limit", limit_name(i));
		json_object_object_add(row, "most",
				       json_object_new_int64(connector->limits[i].most));
		put(row, "action", limit_action_name(connector->limits[i].action));
		json_object_array_add(array, row);
	}
	return array;
}

static struct json_object *json_of_rehearsal(const struct rehearsal *rehearsal)
{
	struct json_object *array = json_object_new_array();

	for (unsigned i = 0; i < rehearsal->count; i++) {
		const struct rehearsal_line *line = &rehearsal->lines[i];
		struct json_object *row = json_object_new_object();

		put(row, line->by_client ? "client" : "gate", line->text);
		if (line->may_be_refused)
			json_object_object_add(row, "backend_may_refuse",
					       json_object_new_boolean(true));
		if (line->if_servers_have_it)
			json_object_object_add(row, "if_servers_have_it",
					       json_object_new_boolean(true));
		if (line->delay_ms)
			json_object_object_add(row, "delay_ms",
					       json_object_new_int64(line->delay_ms));
		json_object_array_add(array, row);
	}
	return array;
}

static void print_json(const struct answer *answer)
{
	const struct policy *policy = answer->policy;
	const struct choice *choice = answer->choice;
	const char *refusal = answer->refusal;
	unsigned identities = answer->identities;
	const bool limited = !refusal && !is_exempt(choice);
	struct json_object *object = json_of_choice(choice);
	struct json_object *session = json_object_new_array();

	explain_ban_json(&answer->ban, object);
	put(object, "refused", refusal);
	if (!refusal) {
		for (unsigned i = 0; i < PRINCIPAL_COUNT; i++)
			if (identities & 1u << i)
				json_object_array_add(
					session,
					json_object_new_string(principal_name((enum principal)i)));
		json_object_object_add(object, "rights",
				       json_of_rights(choice->connector, identities));
		explain_greeting_json(policy, choice, identities, object);
		json_object_object_add(object, "limits",
				       limited ? json_of_limits(choice->connector)
					       : json_object_new_array());
		json_object_object_add(object, "dialogue", json_of_rehearsal(&answer->rehearsal));
		json_object_object_add(object, "accepted",
				       json_object_new_boolean(answer->rehearsal.accepted));
	}
	json_object_object_add(object, "session", session);
	puts(json_object_to_json_string_ext(object, JSON_C_TO_STRING_PRETTY |
							    JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(object);
}

// ---- Text ------------------------------------------------------------------------------------

static void print_match(const struct endpoint *binding, const struct connector_range *range)
{
	char endpoint[ENDPOINT_TEXT_MAX], text[RANGE_TEXT_MAX];

	printf("binding %s, range %s (line %u)", endpoint_format(binding, endpoint),
	       range_format(&range->range, text), range->line);
}

static void print_addresses(const struct policy *policy)
{
	char text[ADDRESS_TEXT_MAX];

	for (unsigned i = 0; i < policy->port_count; i++)
		for (unsigned j = 0; j < policy->ports[i].address_count; j++)
			printf("  ours: %s (port %s, line %u)\n",
			       address_format(&policy->ports[i].addresses[j].address, text),
			       policy->ports[i].name, policy->ports[i].line);
}

// Of enabled connectors; with `owners`, of those whose ranges were looked at.
static void print_bindings(const struct policy *policy, const struct choice *choice, bool owners)
{
	char text[ENDPOINT_TEXT_MAX];

	for (unsigned i = 0; i < policy->connector_count; i++) {
		const struct connector *connector = &policy->connectors[i];

		for (unsigned j = 0; j < connector->binding_count; j++) {
			const struct endpoint *binding = &connector->bindings[j];

			if (!connector->enabled ||
			    (owners && choice_owner(policy, connector, &choice->to) != binding))
				continue;
			printf("  %s%s, binding %s (line %u)\n",
			       owners ? "it is in no range of " : "there is ", connector->name,
			       endpoint_format(binding, text), connector->line);
		}
	}
}

// What there is in place of what was asked for.
static void print_alternatives(const struct policy *policy, const struct choice *choice)
{
	if (choice->reason == REASON_ip_not_ours)
		print_addresses(policy);
	else if (choice->reason == REASON_no_binding || choice->reason == REASON_no_connector)
		print_bindings(policy, choice, choice->reason == REASON_no_connector);
}

static void print_choice(const struct policy *policy, const struct choice *choice,
			 const char *refusal)
{
	if (choice->connector) {
		printf("Connector: %s (line %u)\n  by its ", choice->connector->name,
		       choice->connector->line);
		print_match(choice->binding, choice->range);
		printf("\n");
	}
	if (refusal)
		printf("Refused: %s\n", refusal);
	print_alternatives(policy, choice);
	for (unsigned i = 0; i < choice->rival_count; i++) {
		const struct rival *rival = &choice->rivals[i];

		printf("  rather than %s, ", rival->connector->name);
		print_match(rival->binding, rival->range);
		printf(": %s\n", rival_faults[rival->fault]);
	}
	if (choice->allowed)
		print_entry("IP Allow list", choice->allowed, "");
	if (choice->blocked)
		print_entry("IP Block list", choice->blocked,
			    choice->allowed ? ": the IP Allow list wins" : "");
}

static void print_rights(const struct connector *connector, unsigned identities)
{
	const char *between = "Session: ";

	for (unsigned i = 0; i < PRINCIPAL_COUNT; i++) {
		if (!(identities & 1u << i))
			continue;
		printf("%s%s", between, principal_name((enum principal)i));
		between = ", ";
	}
	printf("\nRights:\n");
	for (uint32_t right = RIGHT_FIRST; right <= RIGHT_LAST; right <<= 1) {
		struct grant grant = grant_find(connector, identities, (enum right)right);

		printf("  %-4s%-48s", grant.held ? "yes" : "no", right_name((enum right)right));
		if (grant.denied)
			printf("denied to %s on line %u\n", principal_name(grant.to), grant.line);
		else if (grant.granted)
			printf("%s to %s, line %u\n",
			       grant.by ? permission_group_name(grant.by) : "granted",
			       principal_name(grant.to), grant.line);
		else
			printf("nothing grants it\n");
	}
}

static void print_limits(const struct choice *choice)
{
	const struct connector *connector = choice->connector;
	bool any = false;

	printf("Limits:\n");
	for (unsigned i = 0; i < LIMIT_COUNT && !is_exempt(choice); i++) {
		if (!limit_is_set(connector, i))
			continue;
		printf("  %-48s%-10u %s\n", limit_name(i), connector->limits[i].most,
		       limit_action_name(connector->limits[i].action));
		any = true;
	}
	if (is_exempt(choice))
		printf("  none: %s\n", choice->allowed ? "it is on the IP Allow list"
						       : "it is a server of a backend");
	else if (!any)
		printf("  none\n");
}

static void print_rehearsal(const struct rehearsal *rehearsal)
{
	char delay[VALUE_TEXT_MAX];

	printf("Dialogue:\n");
	for (unsigned i = 0; i < rehearsal->count; i++) {
		const struct rehearsal_line *line = &rehearsal->lines[i];

		if (line->may_be_refused)
			printf("  %.3s (the backend may refuse)\n", line->text);
		else if (line->delay_ms)
			printf("  %s (after %s)\n", line->text,
			       value_format_time(line->delay_ms, delay));
		else
			printf("  %s%s%s\n", line->by_client ? "> " : "", line->text,
			       line->if_servers_have_it ? " (if all servers have it)" : "");
	}
}

static void print_text(const struct answer *answer)
{
	print_choice(answer->policy, answer->choice, answer->refusal);
	explain_ban_print(&answer->ban);
	if (answer->refusal)
		return;
	print_rights(answer->choice->connector, answer->identities);
	explain_greeting_print(answer->policy, answer->choice, answer->identities);
	print_limits(answer->choice);
	print_rehearsal(&answer->rehearsal);
}

// ---- The command -----------------------------------------------------------------------------

static const char *refusal_of(const struct policy *policy, const struct choice *choice,
			      const struct explain_ban *ban)
{
	static const char *const helps[REASON_COUNT] = {
#define X(name, kind, help) [REASON_##name] = help,
		REASONS(X)
#undef X
	};

	if (!choice->connector)
		return helps[choice->reason];
	if (!choice->blocked || choice->allowed || policy->ip_block.action == ABOVE_REJECT)
		return helps[explain_ban_reason(ban, policy)];
	return policy->ip_block.action == ABOVE_TARPIT || policy->ip_block.action == ABOVE_REPLY
		       ? helps[REASON_smtp_limit_block_list]
		       : helps[REASON_ip_blocked];
}

static int endpoints(const struct command_options *options, struct endpoint *from,
		     struct endpoint *to)
{
	const char *why;

	if (options->rcpt_to && !options->mail_from) {
		fprintf(stderr, "relaygate: --rcpt-to needs --mail-from: RCPT follows MAIL\n");
		return -1;
	}
	if (endpoint_parse(options->from, 49152, from, &why)) {
		fprintf(stderr, "relaygate: --from %s: %s\n", options->from, why);
		return -1;
	}
	if (endpoint_parse(options->to, 25, to, &why)) {
		fprintf(stderr, "relaygate: --to %s: %s\n", options->to, why);
		return -1;
	}
	if (address_is_ipv4(&from->address) != address_is_ipv4(&to->address)) {
		fprintf(stderr, "relaygate: --from %s --to %s: one is IPv4, the other one IPv6\n",
			options->from, options->to);
		return -1;
	}
	return 0;
}

static int explain(const struct policy *policy, const struct command_options *options,
		   const struct choice *choice)
{
	struct rehearsal_envelope envelope = {
		.hello = options->hello ? options->hello : "client.example",
		.sender = options->mail_from,
		.recipients = options->rcpt_to,
	};
	struct answer answer = {
		.policy = policy,
		.choice = choice,
		.ban = explain_ban_find(options->directory ? options->directory
							   : policy->gate.pin_directory,
					policy, &choice->from.address, now().wall_us),
	};

	answer.refusal = refusal_of(policy, choice, &answer.ban);
	if (!answer.refusal) {
		answer.identities = connector_identities(choice->connector) | options->identities;
		envelope.identities = answer.identities;
		if (rehearsal_play(policy, choice, &envelope, now(), &answer.rehearsal)) {
			fprintf(stderr, "relaygate: out of memory\n");
			return EXIT_WRONG;
		}
	}
	if (options->json)
		print_json(&answer);
	else
		print_text(&answer);
	rehearsal_fini(&answer.rehearsal);
	return EXIT_FINE;
}

int command_explain(const struct command_options *options)
{
	struct endpoint from, to;
	struct choice choice;
	struct policy *policy;
	int result;

	if (endpoints(options, &from, &to))
		return EXIT_WRONG;
	policy = load_and_report(options->config);
	if (!policy)
		return EXIT_WRONG;
	if (choice_make(policy, &from, &to, now().wall_us, &choice)) {
		fprintf(stderr, "relaygate: out of memory\n");
		policy_destroy(policy);
		return EXIT_WRONG;
	}
	result = explain(policy, options, &choice);
	choice_fini(&choice);
	policy_destroy(policy);
	return result;
}
