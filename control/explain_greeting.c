// SPDX-License-Identifier: BSD-3-Clause
//
// See explain_greeting.h.
#include "control/explain_greeting.h"

#include "config/value.h"
#include "dataplane/gate/dnsbl.h"
#include "dataplane/smtp/session.h"

#include <json-c/json.h>
#include <stdio.h>

static const char *const offences[] = {
	[EARLY_COUNT] = "counted",
	[EARLY_REJECT] = "550 to each recipient",
	[EARLY_CLOSE] = "521 at once",
};

static const char *const verdicts[] = {
	[DNSBL_NONE] = "not asked",
	[DNSBL_COUNT] = "counted",
	[DNSBL_TARPIT] = "the first recipient of each message waits",
	[DNSBL_REJECT] = "550 to each recipient",
};

static bool is_tested(const struct choice *choice, unsigned identities)
{
	const struct session_peer peer = {.identities = identities,
					  .allowed = choice->allowed != NULL};

	return session_is_unknown(&peer);
}

static void print_lists(const struct policy *policy, const struct choice *choice)
{
	const struct connector *connector = choice->connector;
	char name[DNSBL_NAME_MAX];

	printf("  listed by weights of %u: %s\n", connector->dnsbl_threshold,
	       verdicts[connector->dnsbl_action]);
	for (unsigned i = 0; i < policy->dnsbl_count; i++)
		printf("    %+d  %s\n", policy->dnsbls[i].weight,
		       dnsbl_name(&choice->from.address, policy->dnsbls[i].zone, name));
}

void explain_greeting_print(const struct policy *policy, const struct choice *choice,
			    unsigned identities)
{
	const struct connector *connector = choice->connector;
	char delay[VALUE_TEXT_MAX];

	if (!is_tested(choice, identities)) {
		printf("Greeting: at once, without tests\n");
		return;
	}
	if (connector->greet_delay_ms)
		printf("Greeting: after %s%s, or at once to who waited before\n",
		       value_format_time(connector->greet_delay_ms, delay),
		       connector->greet_teaser ? ", a first line at once" : "");
	else
		printf("Greeting: at once\n");
	printf("  who speaks before it: %s; before the reply to EHLO: %s\n",
	       offences[connector->early_talker_action],
	       offences[connector->early_pipelining_action]);
	if (connector->dnsbl_action != DNSBL_NONE)
		print_lists(policy, choice);
}

static void put(struct json_object *object, const char *key, const char *text)
{
	json_object_object_add(object, key, json_object_new_string(text));
}

static struct json_object *json_of_lists(const struct policy *policy, const struct choice *choice)
{
	struct json_object *array = json_object_new_array();
	char name[DNSBL_NAME_MAX];

	for (unsigned i = 0; i < policy->dnsbl_count; i++) {
		struct json_object *row = json_object_new_object();

		put(row, "list", policy->dnsbls[i].name);
		put(row, "lookup", dnsbl_name(&choice->from.address, policy->dnsbls[i].zone, name));
		json_object_object_add(row, "weight",
				       json_object_new_int(policy->dnsbls[i].weight));
		json_object_array_add(array, row);
	}
	return array;
}

void explain_greeting_json(const struct policy *policy, const struct choice *choice,
			   unsigned identities, struct json_object *object)
{
	const struct connector *connector = choice->connector;
	struct json_object *greeting = json_object_new_object();
	const bool tested = is_tested(choice, identities);

	json_object_object_add(greeting, "tested", json_object_new_boolean(tested));
	if (tested) {
		json_object_object_add(greeting, "delay_ms",
				       json_object_new_int64(connector->greet_delay_ms));
		put(greeting, "early_talker", offences[connector->early_talker_action]);
		put(greeting, "early_pipelining", offences[connector->early_pipelining_action]);
		put(greeting, "listed", verdicts[connector->dnsbl_action]);
		if (connector->dnsbl_action != DNSBL_NONE)
			json_object_object_add(greeting, "lists", json_of_lists(policy, choice));
	}
	json_object_object_add(object, "greeting", greeting);
}
